"""What the chips of board/*.py can do and what they keep for themselves. Data for board/plan.py,
not on a charger.

Sources: RP2040 datasheet 1.4.3 (GPIO functions), RP2350 datasheet 1.2.3, ESP32 datasheet 2.2 (pin
overview) and 2.4 (strapping pins, table 3), ESP32-S3 datasheet 2.2 and 2.6, MicroPython 1.25
ports/rp2 and ports/esp32.

A row: `pins` there are, `inputs` that cannot drive and have no pull, `keep` (pin -> what for),
`strap` (pin -> the level it must have when the chip starts), `mild` (of these, what the other
level does where the chip starts all the same), `uarts` and `spis` free for us, `mux` True where a
peripheral is bound to certain pins, `adc` pins, `watchdog_ms` longest time, `port` of MicroPython.
"""


def _pins(text):
    """`0-3 5`: 0, 1, 2, 3, 5."""
    out = []
    for part in text.split():
        first, _, last = part.partition("-")
        out.extend(range(int(first), int(last or first) + 1))
    return tuple(out)


def _kept(text, why):
    return {pin: why for pin in _pins(text)}


_RP2: dict = {
    "port": "rp2",
    "pins": _pins("0-29"),
    "inputs": (),
    "keep": {},
    "strap": {},
    "mild": {},
    "uarts": (0, 1),
    "spis": (0, 1),
    "mux": True,
    "adc": _pins("26-29"),
}

CHIPS: "dict[str, dict]" = {
    # RP2040-E1 halves the watchdog's 2^24 us; MicroPython 1.25 has the same limit for both
    "rp2040": _RP2 | {"watchdog_ms": 8388},
    "rp2350": _RP2 | {"watchdog_ms": 8388},
    "esp32": {
        "port": "esp32",
        "pins": _pins("0-19 21-23 25-27 32-39"),
        "inputs": _pins("34-39"),
        "keep": _kept("6-11", "the module's flash") | _kept("1 3", "the console, UART0"),
        "strap": {0: 1, 2: 0, 5: 1, 12: 0, 15: 1},
        "mild": {5: "changes the timing of SDIO, not used", 15: "silences the ROM's messages"},
        "uarts": (1, 2),
        "spis": (1, 2),
        "mux": False,
        "adc": _pins("32-39"),  # ADC2 is the radio's
        "watchdog_ms": 60000,
    },
    "esp32s3": {
        "port": "esp32",
        "pins": _pins("0-21 26-48"),
        "inputs": (),
        "keep": _kept("26-32", "the module's flash")
        | _kept("33-37", "the module's octal memory")
        | _kept("19 20", "USB")
        | _kept("43 44", "the console, UART0"),
        "strap": {0: 1, 3: 1, 45: 0, 46: 0},
        "mild": {},
        "uarts": (1, 2),
        "spis": (1, 2),
        "mux": False,
        "adc": _pins("1-10"),
        "watchdog_ms": 60000,
    },
}


def peripheral_pins(kind: str, number: int) -> "dict[str, tuple[int, ...]]":
    """Role -> the pins of an RP2040's or RP2350's UART, I2C or SPI (datasheet, table 2)."""
    if kind == "uart":
        tx = [pin for pin in range(0, 30, 4) if (pin + 4 >> 3) % 2 == number]
        return {"tx": tuple(tx), "rx": tuple([pin + 1 for pin in tx])}
    if kind == "i2c":
        sda = tuple(range(2 * number, 30, 4))
        return {"sda": sda, "scl": tuple([pin + 1 for pin in sda])}
    miso = [pin for pin in range(0, 30, 4) if (pin >> 3) % 2 == number]
    return {
        role: tuple([pin + at for pin in miso if pin + at < 30])
        for at, role in enumerate(("miso", "cs", "sck", "mosi"))
    }
