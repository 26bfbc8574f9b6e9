"""Refuses a board that clashes with itself, with the reason, before anything is built for it.

DATA of a board module:

name        the module's own
uarts       role (meter, terminal; rfid where there is one): (UART, TX, RX, RS-485 direction pin
            or None)
contactor   (pin, level when active); so `stop`, `emergency` and `jumper`, which on an esp32 may be
            the stop button's: then it counts only when the power comes (boot.py)
feedback    (pin, level while its contact is closed, `nc` or `no`): `nc` is a mirror contact,
            closed while the contactor is open; `no` is closed while the contactor is
pilot       `pwm` and `adc` pin, `levels`: lowest reading of 65535 for 12, 9, 6 and 3 V
lights      pins of the red, green and blue lamp, None for none
screen      None, or (`ssd1306` or `hd44780`, I2C, SDA, SCL, address)
supply      not on every board: (ADC pin, mV at full scale)
network     None, or what board/net.py wants: `wiznet`: True; `spi`: (SPI, SCK, MOSI, MISO), `cs`,
            `int`, `reset`; `mdc`, `mdio`, `power`, `clock`, `phy`; and `wifi`: True
files, ledger   of an rp2: (first sector, sectors) of MicroPython's storage
partitions  of an esp32: `vfs` and `ledger`, (offset, bytes) in flash
watchdog_ms

The form of each entry is looked at first (board/shape.py). What chips and circuit boards are:
board/chips.py, board/models.py. Not on a charger.
"""

from board.chips import CHIPS, peripheral_pins
from board.models import MODELS
from board.shape import wrong

SECTOR = 4096
_ESP32_FILES = 0x200000  # MicroPython's program ends here
_SMALLEST_LEDGER = 16
_CONTACTS = ("feedback", "stop", "emergency", "jumper")
# a UART's line and I2C at rest, the W5500's interrupt
_IDLE_HIGH = (" RX", " SDA", " SCL", " int")
_SCREENS = {"ssd1306": (0x3C, 0x3D), "hd44780": (*range(0x20, 0x28), *range(0x38, 0x40))}


class PlanError(ValueError):
    """The board cannot be as its module says; str() says why, a line a fault."""


def names() -> "tuple[str, ...]":
    """The boards there are."""
    return tuple(MODELS)


def load(name: str) -> dict:
    """DATA of a board, checked. Raises PlanError."""
    if name not in MODELS:
        raise PlanError("there is no board %r; there are: %s" % (name, ", ".join(names())))
    data = __import__("board." + name, None, None, ("DATA",)).DATA
    found = faults(data)
    if not found and data["name"] != name:
        found = ["its DATA is that of %s" % data["name"]]
    if found:
        raise PlanError("\n".join(["board %s: %s" % (name, fault) for fault in found]))
    return data


def faults(data: dict) -> "list[str]":
    """Why this cannot be a board; [] when it can."""
    out = wrong(data)
    if out:
        return out
    if data["name"] not in MODELS:
        return ["board/models.py does not know %s" % data["name"]]
    model = MODELS[data["name"]]
    chip = CHIPS[model["chip"]]
    _pins(data, model, chip, out)
    _strapped(data, out)
    _peripherals(data, chip, out)
    _cable(data["network"] or {}, model, chip, out)
    _analogue(data, model, chip, out)
    _flash(data, model, chip, out)
    if not 1000 <= data["watchdog_ms"] <= chip["watchdog_ms"]:
        out.append(
            "watchdog_ms %d: %s allows 1000 to %d"
            % (data["watchdog_ms"], model["chip"], chip["watchdog_ms"])
        )
    return out


def feedback_level(data: dict, closed: bool) -> int:
    """What the feedback's pin shows while the contactor is closed, or open."""
    _, level, kind = data["feedback"]
    return level if closed == (kind == "no") else 1 - level


def shares_stop(data: dict) -> bool:
    """Whether the jumper bridges the stop button: then it counts only when the power comes."""
    return data["jumper"] == data["stop"]


def uses(data: dict) -> "list[tuple[int, str, bool]]":
    """Every pin with what it is for and whether the board drives it."""
    out = []
    for role, (_, tx, rx, direction) in data["uarts"].items():
        out.append((tx, role + " TX", True))
        out.append((rx, role + " RX", False))
        if direction is not None:
            out.append((direction, role + " RS-485 direction", True))
    for name in ("contactor", "feedback", "stop", "emergency"):
        out.append((data[name][0], name, name == "contactor"))
    if not shares_stop(data):
        out.append((data["jumper"][0], "jumper", False))
    out.append((data["pilot"]["pwm"], "pilot PWM", True))
    out.append((data["pilot"]["adc"], "pilot ADC", False))
    return out + _shown(data) + _networked(data["network"] or {})


def _shown(data: dict) -> "list[tuple[int, str, bool]]":
    out = []
    for colour, pin in zip(("red", "green", "blue"), data["lights"]):
        if pin is not None:
            out.append((pin, colour + " lamp", True))
    if data["screen"]:
        _, _, sda, scl, _ = data["screen"]
        out.append((sda, "screen SDA", True))
        out.append((scl, "screen SCL", True))
    return out


def _networked(network: dict) -> "list[tuple[int, str, bool]]":
    out = []
    if "spi" in network:
        for pin, what in zip(network["spi"][1:], ("SCK", "MOSI", "MISO")):
            out.append((pin, "W5500 " + what, what != "MISO"))
        for what in ("cs", "int", "reset"):
            out.append((network[what], "W5500 " + what, what != "int"))
    return out


def _pins(data: dict, model: dict, chip: dict, out: "list[str]") -> None:
    taken: "dict[int, str]" = {}
    for pin, use, drives in uses(data):
        if pin in taken:
            out.append("pin %d is %s and %s" % (pin, taken[pin], use))
            continue
        taken[pin] = use
        if pin not in chip["pins"]:
            out.append("pin %d (%s): %s has no such pin" % (pin, use, model["chip"]))
            continue
        kept = chip["keep"].get(pin) or model["keep"].get(pin)
        if kept:
            out.append("pin %d (%s) is for %s" % (pin, use, kept))
        elif pin not in model["header"]:
            out.append("pin %d (%s) is not led out on this board" % (pin, use))
        if drives and pin in chip["inputs"]:
            out.append("pin %d (%s) can only read" % (pin, use))
    if shares_stop(data) and chip["port"] != "esp32":
        out.append("pin %d: only an esp32's jumper may be the stop button's" % data["stop"][0])
    pin, level = data["contactor"]
    if chip["strap"].get(pin) == level:
        out.append("pin %d: the chip starts only while the contactor's pin is active" % pin)


def _strapped(data: dict, out: "list[str]") -> None:
    for pin, use, level in straps(data):
        if use in _CONTACTS:
            out.append("pin %d (%s): how the chip starts hangs on it, no contact may" % (pin, use))
        elif not level and use.endswith(_IDLE_HIGH):
            out.append("pin %d (%s) is high at rest, the chip starts only while low" % (pin, use))


def straps(data: dict) -> "list[tuple[int, str, int]]":
    """Pins in use that the chip looks at when the power comes: what for, the level they must have
    then.
    """
    strap = CHIPS[MODELS[data["name"]]["chip"]]["strap"]
    return [(pin, use, strap[pin]) for pin, use, _ in uses(data) if pin in strap]


def _peripherals(data: dict, chip: dict, out: "list[str]") -> None:
    numbers: "dict[int, str]" = {}
    for role, (number, tx, rx, _) in data["uarts"].items():
        if number not in chip["uarts"]:
            out.append("%s: UART %d is not free" % (role, number))
        elif number in numbers:
            out.append("UART %d is %s and %s" % (number, numbers[number], role))
        elif chip["mux"]:
            _bound("uart", number, {"tx": tx, "rx": rx}, role, out)
        numbers.setdefault(number, role)
    if data["screen"]:
        kind, number, sda, scl, address = data["screen"]
        if address not in _SCREENS.get(kind, ()):
            out.append("screen: no %s is at address 0x%02x" % (kind, address))
        if number not in (0, 1):
            out.append("screen: there is no I2C %d" % number)
        elif chip["mux"]:
            _bound("i2c", number, {"sda": sda, "scl": scl}, "screen", out)


def _bound(kind: str, number: int, wired: dict, use: str, out: "list[str]") -> None:
    able = peripheral_pins(kind, number)
    for role, pin in wired.items():
        if pin not in able[role]:
            fitting = ", ".join([str(n) for n in able[role]])
            out.append(
                "%s: pin %d cannot be %s of %s %d, only %s"
                % (use, pin, role.upper(), kind.upper(), number, fitting)
            )


def _cable(network: dict, model: dict, chip: dict, out: "list[str]") -> None:
    """Only what the board's MicroPython and its wiring have."""
    if "wiznet" in network and "W5500" not in model["image"]:
        out.append("network: the image %s has no W5500" % model["image"])
    if "wifi" in network and chip["port"] != "esp32":
        out.append("network: %s has no Wi-Fi" % model["chip"])
    if "mdc" in network:
        there = {key: value for key, value in network.items() if key != "wifi"}
        if there != model.get("lan"):
            out.append("network: this board's LAN8720 is %s" % (model.get("lan") or "missing"))
    if "spi" in network:
        number, sck, mosi, miso = network["spi"]
        if number not in chip["spis"]:
            out.append("network: SPI %d is not free" % number)
        elif chip["mux"]:
            wired = {"sck": sck, "mosi": mosi, "miso": miso}
            _bound("spi", number, wired, "network", out)
        if chip["port"] != "esp32":
            out.append("network: on %s only the image's own W5500 (wiznet)" % model["chip"])


def _analogue(data: dict, model: dict, chip: dict, out: "list[str]") -> None:
    pin = data["pilot"]["adc"]
    if pin not in chip["adc"]:
        out.append("pilot: pin %d has no analogue input" % pin)
    if "supply" not in data:
        return
    pin, full_mv = data["supply"]
    if pin not in chip["adc"]:
        out.append("supply: pin %d has no analogue input" % pin)
    elif model["keep"].get(pin) != "measuring the supply":
        out.append("supply: pin %d does not measure it on this board" % pin)
    if not 5500 < full_mv < 65536:
        out.append("supply: %d mV at full scale cannot show 5 V" % full_mv)


def regions(data: dict) -> "dict[str, tuple[int, int]]":
    """`files` and `ledger`: (offset, length) in bytes, from the beginning of MicroPython's storage
    (rp2) or of the flash (esp32).
    """
    parts = data.get("partitions")
    if parts:
        return {"files": parts["vfs"], "ledger": parts["ledger"]}
    return {name: (data[name][0] * SECTOR, data[name][1] * SECTOR) for name in ("files", "ledger")}


def _flash(data: dict, model: dict, chip: dict, out: "list[str]") -> None:
    rp2 = chip["port"] == "rp2"
    wanted = ("files", "ledger") if rp2 else ("partitions",)
    before = len(out)
    for key in ("files", "ledger", "partitions"):
        if (key in data) != (key in wanted):
            out.append("%s %s" % (key, "missing" if key in wanted else "is not for this chip"))
    if len(out) > before:
        return
    low = 2 * SECTOR if rp2 else _ESP32_FILES
    high = model["storage"] * SECTOR if rp2 else model["flash"]
    found = regions(data)
    for name, (first, length) in found.items():
        if first % SECTOR or length % SECTOR:
            out.append("%s does not begin and end with a sector of %d bytes" % (name, SECTOR))
        if first < low:
            out.append("%s begins in what is MicroPython's (before %d)" % (name, low))
        if length <= 0 or first + length > high:
            out.append("%s ends at %d, the flash at %d" % (name, first + length, high))
    (files, length), (ledger, size) = found["files"], found["ledger"]
    if files < ledger + size and ledger < files + length:
        out.append("the ledger lies over the file system")
    if size // SECTOR < _SMALLEST_LEDGER:
        sectors = size // SECTOR
        out.append("the ledger needs %d sectors, it has %d" % (_SMALLEST_LEDGER, sectors))
