"""Which meter is on the line: its line settings, unit and model, found by asking. For config
`meter.model: "auto"` (auto.py) and for a technician (probe.py).

Modbus has no discovery: a unit is there when it answers anything, an exception included; a model
fits when every request of its profile is answered and the figures can be true. Maps overlap, so
several may fit. Those with the same energy register bill the same, and the fullest of them is
taken; where they differ, nothing is guessed: the technician compares the register with the
meter's display. A model is out when a request of it was answered wrongly or refused, or was met
with silence by a meter that answers all else; where the line lost the answers it stays, in doubt.
"""

from micropython import const

from firmware.errors import ModbusError, ModbusException, ModbusReplyError, ModbusTimeout
from firmware.meter.bus import ModbusBus
from firmware.meter.profiles import load, names
from firmware.meter.registers import TEXT, decode, text
from firmware.serialio import Serial

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.meter.profiles import Group, Profile

LINES = ("9600 8N1", "9600 8E1", "19200 8E1", "19200 8N1", "2400 8N1", "38400 8N1", "115200 8N1")
UNITS = (1, 33, 2, 3, 4, 5, 10, 42)
_PROBES = ((4, 0x0000, 2), (3, 0x0000, 2))
_LOOKS = const(4)  # at a line that may be bad


class Candidate:
    """A model that fits: its profile, the register in Wh, power in W, and the serial number (""
    where none); `unsure`: the line lost an answer of it.
    """

    def __init__(self, profile: "Profile") -> None:
        self.profile = profile
        self.energy_wh = -1
        self.power_w = 0
        self.serial = ""
        self.unsure = False

    def weight(self) -> int:
        """Fuller profiles first, those in doubt last."""
        weight = 2 * len(self.profile.fields) + (1 if self.profile.serial else 0)
        return weight - 1000 if self.unsure else weight

    def energy_key(self) -> "tuple[int, int, int, int, bool]":
        for field in self.profile.fields:
            if field.quantity == "E":
                low_first = self.profile.low_first
                return (field.function, field.address, field.kind, field.power, low_first)
        raise ValueError(self.profile.name)


class Found:
    """A unit that answers: `line` as "9600 8N1", `unit`, the `candidates` that fit, fullest
    first, those in doubt behind them; `asked`: what it answered first.
    """

    def __init__(self, line: str, unit: int, asked: "tuple[int, int, int]") -> None:
        self.line = line
        self.unit = unit
        self.asked = asked
        self.candidates: list[Candidate] = []

    def chosen(self) -> "Candidate | None":
        """The model to use; None when none fits for certain, or those that fit, or may, would
        bill differently.
        """
        if not self.candidates or self.candidates[0].unsure:
            return None
        first = self.candidates[0]
        for other in self.candidates[1:]:
            if other.energy_key() != first.energy_key():
                return None
        return first


def line_settings(line: str) -> "tuple[int, int | None, int, int]":
    """ "9600 8E1" -> baud, parity (None, 0 even, 1 odd), stop bits, bits per character on the
    line.
    """
    baud, frame = line.split(" ")
    parity = {"N": None, "E": 0, "O": 1}[frame[1]]
    stop = int(frame[2])
    return int(baud), parity, stop, 9 + stop + (parity is not None)


def opener(open_uart: "Callable[..., object]") -> "Callable[[str], ModbusBus]":
    """A bus for a line setting, with one attempt a request; `open_uart(baud, bits, parity, stop)`
    opens the port anew after the one before was closed.
    """
    uart = None

    def open_bus(line: str) -> ModbusBus:
        nonlocal uart
        if uart:
            uart.deinit()
        baud, parity, stop, bits = line_settings(line)
        uart = open_uart(baud, 8, parity, stop)
        return ModbusBus(Serial(uart), baud, bits, 150, 200, 1)

    return open_bus


async def search(
    open_bus: "Callable[[str], ModbusBus]",
    lines: "tuple[str, ...]" = LINES,
    units: "tuple[int, ...]" = UNITS,
) -> "Found | None":
    """The first unit that answers, with the models that fit; None when nothing does.

    `open_bus(line)` sets the UART and gives a bus for it; one attempt per request is enough here.
    A new meter has unit 1, so every line setting is tried for that before any other unit.
    """
    for some in (units[:1], units[1:]):
        for line in lines:
            bus = open_bus(line) if some else None
            for unit in some:
                asked = await _answers(bus, unit)
                if asked:
                    bus.attempts = 3  # a bad line is not another model
                    found = Found(line, unit, asked)
                    await _fit(bus, found)
                    return found
    return None


async def _answers(
    bus: "ModbusBus", unit: int, probes: "tuple[tuple[int, int, int], ...]" = _PROBES
) -> "tuple[int, int, int] | None":
    for asked in probes:
        try:
            await bus.request(unit, *asked)
            return asked
        except ModbusException:
            return asked
        except ModbusError:
            continue
    return None


async def _fit(bus: "ModbusBus", found: Found) -> None:
    refused: set[tuple[int, int, int]] = set()
    for name in names():
        candidate = Candidate(load(name))
        if await _fits(bus, found, candidate, refused):
            found.candidates.append(candidate)
    found.candidates.sort(key=Candidate.weight, reverse=True)


async def _fits(
    bus: "ModbusBus", found: Found, candidate: Candidate, refused: "set[tuple[int, int, int]]"
) -> bool:
    profile = candidate.profile
    groups = profile.groups + ([profile.serial] if profile.serial else [])
    for group in groups:
        key = (group.function, group.address, group.count)
        if key in refused:
            return False
        try:
            data = await _read(bus, found, key)
        except (ModbusException, ModbusTimeout):
            refused.add(key)
            return False
        except ModbusError:
            candidate.unsure = True
            return True
        if not _possible(candidate, group, data):
            return False
    return True


async def _read(bus: "ModbusBus", found: Found, key: "tuple[int, int, int]") -> "memoryview":
    """ModbusException: refused. ModbusTimeout: met with silence, between requests that were all
    answered at the first go. Another ModbusError: the line lost it.
    """
    try:
        return await bus.request(found.unit, *key)
    except ModbusTimeout as e:
        if not await _good(bus, found):
            raise ModbusReplyError(str(e))
    return await bus.request(found.unit, *key)


async def _good(bus: "ModbusBus", found: Found) -> bool:
    """Whether the line loses nothing."""
    bus.attempts = 1
    try:
        for _ in range(_LOOKS):
            if not await _answers(bus, found.unit, (found.asked,)):
                return False
        return True
    finally:
        bus.attempts = 3


def _possible(candidate: Candidate, group: "Group", data: "memoryview") -> bool:
    low_first = candidate.profile.low_first
    for field in group.fields:
        if field.quantity == "S":
            if field.kind == TEXT:
                candidate.serial = text(data, 0, 2 * field.words)
            else:
                candidate.serial = str(decode(data, 0, field.kind, low_first, 0) or "")
            return bool(candidate.serial)
        value = decode(data, field.pos, field.kind, low_first, field.power)
        if value is None or not _in_range(field.quantity, value):
            return False
        if field.quantity == "E":
            candidate.energy_wh = value
        elif field.quantity == "P":
            candidate.power_w = value
    return True


def _in_range(quantity: str, value: int) -> bool:
    if quantity == "V":
        return 80000 <= value <= 300000
    if quantity == "I":
        return -1000000 <= value <= 1000000
    if quantity == "E":
        return 0 <= value < 1000000000
    return -300000 <= value <= 300000
