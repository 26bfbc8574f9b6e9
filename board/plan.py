"""Refuses a board that clashes with itself, with the reason, before anything is built for it.

DATA of a board module:

name        the module's own
uarts       role (meter, terminal, rfid): (UART, TX, RX, RS-485 direction pin or None)
contactor   (pin, level when active); so `feedback`, `stop`, `emergency` and `jumper`, which is
            read at power-on only and may therefore be the stop button's
pilot       `pwm` and `adc` pin, `levels`: lowest reading of 65535 for 12, 9, 6 and 3 V
lights      pins of the red, green and blue lamp, None for none
screen      None, or (`ssd1306` or `hd44780`, I2C, SDA, SCL, address)
network     None, or what board/net.py wants
files, ledger   of an rp2: (first sector, sectors) of MicroPython's storage
partitions  of an esp32: `vfs` and `ledger`, (offset, bytes) in flash
watchdog_ms

What chips and circuit boards are: board/chips.py, board/models.py. Not on a charger.
"""

from board.chips import CHIPS, peripheral_pins
from board.models import MODELS

SECTOR = 4096
_ESP32_FILES = 0x200000  # MicroPython's program ends here
_SMALLEST_LEDGER = 16
_NEEDED = ("name", "uarts", "contactor", "feedback", "stop", "emergency", "jumper", "pilot",
           "lights", "screen", "network", "watchdog_ms")  # fmt: skip
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
    if found:
        raise PlanError("\n".join(["board %s: %s" % (name, fault) for fault in found]))
    return data


def faults(data: dict) -> "list[str]":
    """Why this cannot be a board; [] when it can."""
    missing = [key for key in _NEEDED if key not in data]
    if missing:
        return ["%s missing" % key for key in missing]
    if data["name"] not in MODELS:
        return ["board/models.py does not know %s" % data["name"]]
    model = MODELS[data["name"]]
    chip = CHIPS[model["chip"]]
    out: "list[str]" = []
    _pins(data, model, chip, out)
    _peripherals(data, chip, out)
    _analogue(data, chip, out)
    _flash(data, model, chip, out)
    if not 1000 <= data["watchdog_ms"] <= chip["watchdog_ms"]:
        out.append(
            "watchdog_ms %d: %s allows 1000 to %d"
            % (data["watchdog_ms"], model["chip"], chip["watchdog_ms"])
        )
    return out


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
    if data["jumper"] != data["stop"]:
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
    pin, level = data["contactor"]
    if chip["strap"].get(pin) == level:
        out.append("pin %d: the chip starts only while the contactor's pin is active" % pin)


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


def _analogue(data: dict, chip: dict, out: "list[str]") -> None:
    pilot = data["pilot"]
    if pilot["adc"] not in chip["adc"]:
        out.append("pilot: pin %d has no analogue input" % pilot["adc"])
    levels = pilot["levels"]
    if len(levels) != 4 or not 65535 > levels[0] > levels[1] > levels[2] > levels[3] > 0:
        out.append("pilot: the four levels must fall, between 65535 and 0")


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
    for key in wanted:
        if key not in data:
            out.append("%s missing" % key)
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
