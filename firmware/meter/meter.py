"""One energy meter: reads it, believes it only when it can be true, and says when it does not
know.

Promises: a round of `step` gives figures of one round of requests or raises; it never gives an
older or a guessed register value, and allocates nothing. Two Readings are used in turn. Energy is
the register in whole Wh, rounded down. Plausibility uses the charger's clock; timing on the line
is the bus's business and is real time."""

from micropython import const

from firmware.errors import MeterError, ModbusError
from firmware.meter.plausible import Plausibility
from firmware.meter.registers import FLOAT32, TEXT, decode, float32_step, text

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.meter.bus import ModbusBus
    from firmware.meter.profiles import Profile
    from firmware.ports import Clock

_UNKNOWN = const("unknown")
_OK = const("ok")
_SILENT = const("silent")
_IMPLAUSIBLE = const("implausible")
_SWAPPED = const("swapped")
# letters of a field (profiles.py)
_ENERGY = const(69)
_POWER = const(80)
_GIVEN_BACK = const(81)
_CURRENT = const(73)
_VOLTAGE = const(86)

_WHY = {
    "back": "the energy register stepped back",
    "beyond": "the energy register gained more than the supply can give",
    "power": "the power shown is more than the supply can give",
    "still": "the energy register stands still while power flows",
    "pace": "the energy register and the power shown disagree",
}


class Reading:
    """`energy_wh` (import register), `power_w`, `current_ma` (largest phase), `voltage_mv` (first
    phase), `at_ms` (charger time of the answer). -1 in current and voltage: this meter does not
    say. `behind`: the register stands still although power flowed.
    """

    def __init__(self) -> None:
        self.energy_wh = 0
        self.power_w = 0
        self.current_ma = -1
        self.voltage_mv = -1
        self.at_ms = 0
        self.behind = False


class Meter:
    """`begin()`, then `step()` until it gives -1, sleeping in between as it says.

    `state` is unknown, ok, silent, implausible or swapped; `problem` says why in one line, ""
    when ok.

    `max_power_w`: the most the supply can give (config). `serial`: the number expected; "" takes
    the first one read. `resolution_wh`: step of the energy register at its present size, for
    receipt and screen."""

    def __init__(
        self,
        bus: "ModbusBus",
        profile: "Profile | str",
        unit: int,
        clock: "Clock",
        max_power_w: int = 23000,
        serial: str = "",
    ) -> None:
        self.bus = bus
        if isinstance(profile, str):
            from firmware.meter.profiles import load

            profile = load(profile)
        self._requests = profile.requests()
        self._low_first = profile.low_first
        number = profile.serial
        self._number_at: "tuple[int, ...]" = ()
        if number:
            kind = number.fields[0].kind
            self._number_at = (number.function, number.address, number.count, kind)
        self.unit = unit
        self._clock = clock
        self._check = Plausibility(max_power_w, profile.resolution_wh)
        self.serial = serial
        self.state = _UNKNOWN
        self.problem = ""
        self.reading = Reading()
        self._round = Reading()
        self._exponent = 0
        self._verify = False
        self._asked = False
        self._at = 0
        self._asked_ms = 0

    @property
    def resolution_wh(self) -> int:
        return self._check.resolution_wh

    def expect(self, serial: str, energy_wh: int, span_s: int = -1) -> None:
        """After a power cut: the meter and the register the ledger knows. How long the charger was
        off says nothing of the first step forward; `span_s`: so many seconds of full power at
        most, as nothing flows through a contactor without power.
        """
        self.serial = serial
        self._check.expect(energy_wh, span_s)

    def forget(self) -> bool:
        """A technician or the idle charger takes the meter as it is now: another meter, a
        register set back. Gives whether it is the latter.
        """
        changed = self.state == _IMPLAUSIBLE and self._check.refused in ("back", "beyond")
        self.serial = ""
        self.state = _UNKNOWN
        self.problem = ""
        self._verify = False
        self._check.forget()
        return changed

    def begin(self, identify: bool = False) -> None:
        """Start a reading; `step` does it. The serial number is asked for first when `identify`
        says so or a silence came before.
        """
        self.bus.give(self)  # a poll that was given up
        self._asked = False
        self._at = -1 if (identify or self._verify) and self._number_at else 0
        self._asked_ms = self._clock.uptime_ms()
        now = self._round
        now.power_w = 0
        now.current_ma = -1
        now.voltage_mv = -1

    def step(self) -> int:
        """Go on: milliseconds until the next step is due, or -1: `reading` is new. Raises a
        ModbusError when the meter does not answer and a MeterError when what it says cannot be
        true; `state` and `problem` tell which.
        """
        bus = self.bus
        try:
            if not self._asked:
                if not bus.take(self):
                    return 1
                self._asked = True
                self._ask()
            wait = bus.step()
            if wait >= 0:
                return wait
        except ModbusError as exc:
            bus.give(self)
            self._lost(exc)
            raise
        bus.give(self)
        self._asked = False
        if self._at < 0:
            self._identified(bus.data)
        else:
            self._take(self._requests[self._at][3], bus.data, self._round)
        self._at += 1
        if self._at < len(self._requests):
            return 0
        self._done()
        return -1

    def _ask(self) -> None:
        if self._at < 0:
            self._asked_ms = self._clock.uptime_ms()
            function, address, count, _ = self._number_at
        else:
            function, address, count, _ = self._requests[self._at]
        self.bus.ask(self.unit, function, address, count)

    def _identified(self, data: "memoryview") -> None:
        """Whose register this is; an empty `serial` takes the number as it is."""
        _, _, count, kind = self._number_at
        if kind == TEXT:
            number = text(data, 0, 2 * count)
        else:
            value = decode(data, 0, kind, self._low_first, 0)
            number = "" if value is None else str(value)
        if self.serial and number != self.serial:
            self.state = _SWAPPED
            self._verify = True
            self.problem = f"meter {number} answers instead of {self.serial}"
            raise MeterError(self.problem)
        self.serial = number
        self._verify = False
        if self.state == _SWAPPED:
            self.state = _UNKNOWN

    def _done(self) -> None:
        now = self._round
        now.at_ms = self._clock.uptime_ms()
        if not self._check.accept(now.energy_wh, now.power_w, self._asked_ms, now.at_ms):
            self._verify = bool(self._number_at and self.serial)  # perhaps it is another meter
            raise self._refuse(_WHY[self._check.refused])
        now.behind = self._check.behind
        self._round = self.reading
        self.reading = now
        self.state = _OK
        self.problem = ""

    def _take(self, fields: bytes, data: "memoryview", now: Reading) -> None:
        """The values of one answer; `fields` as Profile.requests makes them."""
        for i in range(0, len(fields), 4):
            what = fields[i]
            pos = fields[i + 1]
            kind = fields[i + 2]
            power = fields[i + 3] - 128
            if what == _ENERGY:
                power += self._exponent
            value = decode(data, pos, kind, self._low_first, power)
            if value is None:
                if what == _CURRENT or what == _VOLTAGE:
                    continue
                raise self._refuse(
                    "the meter has no value for "
                    + ("its energy register" if what == _ENERGY else "power")
                )
            if what == _ENERGY:
                now.energy_wh = value
                step = 1
                if kind == FLOAT32:
                    step = float32_step(data, pos, self._low_first, power)
                elif power > 0:
                    step = 10**power
                if step > self._check.resolution_wh:
                    self._check.resolution_wh = step
            else:
                self._note(what, value, now)

    def _note(self, what: int, value: int, now: Reading) -> None:
        if what == _POWER:
            now.power_w += value
        elif what == _GIVEN_BACK:
            now.power_w -= value
        elif what == _CURRENT:
            if value > now.current_ma:
                now.current_ma = value
        elif what == _VOLTAGE:
            if now.voltage_mv < 0:
                now.voltage_mv = value
        else:
            self._exponent = value

    def _refuse(self, why: str) -> MeterError:
        self.state = _IMPLAUSIBLE
        self.problem = why
        return MeterError(why)

    def _lost(self, exc: ModbusError) -> None:
        """A silence may hide a change of meters: verify before the next figures are believed."""
        if self.state != _SWAPPED:
            self.state = _SILENT
        self.problem = str(exc)
        self._verify = bool(self._number_at and self.serial)
