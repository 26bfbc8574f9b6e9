"""One simulated meter behind its registers: a counter that integrates power in integers and never
forgets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from hostsim.clock import WorldClock
from hostsim.meter.faults import checked
from hostsim.meter.models import Model, Register

MJ_PER_WH = 3_600_000
_MILLIVOLT = 230_400
_SAVE_MS = 1000


class MeterDevice:
    """`source()` gives the watts that flow now; they are taken to flow until the next step."""

    def __init__(
        self,
        clock: WorldClock,
        source: Callable[[], int],
        model: Model,
        serial: str,
        start_wh: int,
        unit: int,
        state_file: Path | None = None,
    ) -> None:
        """The state file wins over `start_wh` and `serial` when it is there."""
        self._clock = clock
        self._source = source
        self.model = model
        self.serial = serial
        self.unit = unit
        self._mj = start_wh * MJ_PER_WH
        self._file = state_file
        self._saved_mj = -1
        if state_file is not None and state_file.exists():
            state = json.loads(state_file.read_text())
            self._mj = state["energy_mj"]
            self.serial = state["serial"]
        self.power_w = 0
        self.exponent = 0  # what the energy register's exponent register says, where there is one
        self._since_ms = clock.now_ms()
        self.faults: dict[str, int | str] = {}
        self._faulty_mj: dict[str, int] = {}

    def step(self) -> None:
        """Book what flowed since the last step."""
        now_ms = self._clock.now_ms()
        self._mj += self.power_w * (now_ms - self._since_ms)
        self._since_ms = now_ms
        self.power_w = self._source()

    def save(self) -> None:
        """Write the counter to the state file, whole or not at all."""
        if self._file is None or self._saved_mj == self._mj:
            return
        self._saved_mj = self._mj
        text = json.dumps({"energy_mj": self._mj, "serial": self.serial})
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(text)
        os.replace(temporary, self._file)

    def set_fault(self, name: str, param: int | str | None = None) -> None:
        """Raises FaultError for an unknown fault or parameter."""
        value = checked(name, param)
        self.step()
        self.faults[name] = value
        self._faulty_mj[name] = self._mj

    def clear_fault(self, name: str | None = None) -> None:
        """One fault, or all."""
        self.step()
        for key in [name] if name else list(self.faults):
            self.faults.pop(key, None)

    @property
    def counted_mj(self) -> int:
        """What flowed, exactly, in millijoules."""
        return self._mj

    def shown_mj(self) -> int:
        """What the register is made from: the counter, and what faults do to it."""
        mj = self._mj
        faults = self.faults
        if "freeze" in faults:
            mj = self._faulty_mj["freeze"]
        if "pace" in faults:
            begun = self._faulty_mj["pace"]
            mj = begun + (mj - begun) * int(faults["pace"]) // 100
        if "swap" in faults:
            mj -= self._faulty_mj["swap"] - 5000 * MJ_PER_WH
        if "rollback" in faults:
            mj -= int(faults["rollback"]) * MJ_PER_WH
        if "jump" in faults:
            mj += int(faults["jump"]) * MJ_PER_WH
        return max(mj, 0)

    @property
    def register_wh(self) -> int:
        """What the import register says now, whole Wh, rounded down: the meter's own book."""
        self.step()
        return self.model.energy_wh(self._energy(), self.exponent)

    def image(self) -> dict[int, dict[int, int]]:
        """Function code -> address -> register, as a request finds them now."""
        self.step()
        words: dict[int, dict[int, int]] = {3: {}, 4: {}}
        for reg in self.model.registers.values():
            _put(words[reg.function_code], reg.address, self._encoded(reg))
            if reg.exponent_register is not None:
                words[reg.function_code][reg.exponent_register] = self.exponent & 0xFFFF
        if self.model.serial:
            serial = self.model.serial
            _put(words[int(serial["function_code"])], int(serial["address"]), self._serial_bytes())
        return words

    def values(self) -> dict[str, float]:
        """Decoded registers for an engineer's eyes."""
        image = self.image()
        shown = {}
        for name, reg in self.model.registers.items():
            words = image[reg.function_code]
            data = b"".join(words[reg.address + i].to_bytes(2, "big") for i in range(reg.words))
            try:
                shown[f"{name} [{reg.unit}]"] = round(float(reg.decode(data)), 3)
            except (ValueError, OverflowError):
                shown[f"{name} [{reg.unit}]"] = float("nan")
        return shown

    def shown_serial(self) -> str:
        """The number the meter gives as its own."""
        return str(self.faults.get("swap", self.serial))

    def _encoded(self, reg: Register) -> bytes:
        if "nan" in self.faults and reg.name.startswith(("Import", "Power")):
            return reg.not_available()
        if reg.name == "Import":
            return self._energy()
        return reg.encode(self._quantity(reg))

    def _energy(self) -> bytes:
        return self.model.energy(Fraction(self.shown_mj(), MJ_PER_WH), self.exponent)

    def _quantity(self, reg: Register) -> Fraction:
        """The value in the register's own unit."""
        name = reg.name
        phases = 3 if "VoltageL3" in self.model.registers else 1
        power = self.power_w + int(self.faults.get("power", 0))
        if name.startswith("Voltage"):
            return Fraction(_MILLIVOLT + 100 * "L1L2L3".find(name[-2:]) // 2, 1000)
        if name.startswith("Current"):
            return Fraction(power * 1000, phases * _MILLIVOLT)
        if name in ("Power", "ImportPower"):
            return Fraction(power)
        if name.startswith("PowerL"):
            return Fraction(power, phases)
        return Fraction(50) if name == "Frequency" else Fraction(0)

    def _serial_bytes(self) -> bytes:
        serial = self.model.serial or {}
        size = 2 * int(serial["words"])
        text = self.shown_serial()
        if serial["type"] == "string":
            return text.encode("ascii", "replace")[:size].ljust(size, b"\0")
        return (int(text) % (1 << 8 * size)).to_bytes(size, "big")


def _put(words: dict[int, int], address: int, data: bytes) -> None:
    for i in range(0, len(data), 2):
        words[address + i // 2] = int.from_bytes(data[i : i + 2], "big")
