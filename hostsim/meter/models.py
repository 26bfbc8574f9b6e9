"""Register maps of the simulated meters, from models.json, and how a quantity becomes registers.

Written from the facts, not from the firmware's table, so that one misreading cannot hide in both.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

_FORMATS = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}
_NOT_AVAILABLE = {
    "int16": b"\x7f\xff",
    "int32": b"\x7f\xff\xff\xff",
    "int64": b"\x7f" + b"\xff" * 7,
    "float32": b"\x7f\xc0\x00\x00",
    "float64": b"\x7f\xf8" + bytes(6),
    "T5": b"\xff" * 4,
    "T6": b"\x7f" + b"\xff" * 3,
}
_TO_BASE = {"kWh": 1000, "Wh": 1}


@dataclass(frozen=True)
class Register:
    """One value of the map: raw * scale is the value in `unit`."""

    name: str
    address: int
    function_code: int
    type: str
    words: int
    word_order: str
    scale: Fraction
    unit: str
    exponent_register: int | None = None

    def encode(self, value: Fraction) -> bytes:
        """Registers in address order for a value in `unit`; a counter shows whole counts only."""
        raw = value / self.scale
        if self.type.startswith("float"):
            data = struct.pack(_FORMATS[self.type], float(raw))
        elif self.type in ("T5", "T6"):
            data = _decade(raw, signed=self.type == "T6")
        else:
            data = struct.pack(_FORMATS[self.type], raw.numerator // raw.denominator)
        return self._ordered(data)

    def not_available(self) -> bytes:
        """What the meter shows when it has no value."""
        return self._ordered(_NOT_AVAILABLE.get(self.type, b"\xff" * (2 * self.words)))

    def decode(self, data: bytes) -> Fraction:
        """The value in `unit`, exactly; raises ValueError for NaN."""
        data = self._ordered(data)
        if self.type in ("T5", "T6"):
            mantissa = int.from_bytes(data[1:], "big", signed=self.type == "T6")
            exponent = int.from_bytes(data[:1], "big", signed=True)
            return Fraction(mantissa) * Fraction(10) ** exponent * self.scale
        raw = struct.unpack(_FORMATS[self.type], data)[0]
        return Fraction(raw) * self.scale

    def _ordered(self, data: bytes) -> bytes:
        if self.word_order != "lsw_first":
            return data
        return b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))


@dataclass(frozen=True)
class Model:
    """A meter as the facts describe it. `words`: the most one request may ask for."""

    name: str
    title: str
    source: str
    line: str
    unit: int
    words: int
    resolution_wh: int
    mapped: tuple[tuple[int, int, int], ...]
    serial: dict[str, int | str] | None
    registers: dict[str, Register]

    def energy(self, wh: Fraction, exponent: int = 0) -> bytes:
        """The import register for that much energy; `exponent` is what its exponent register
        says, where it has one.
        """
        reg = self.registers["Import"]
        return reg.encode(wh / _TO_BASE[reg.unit] / Fraction(10) ** exponent)

    def energy_wh(self, data: bytes, exponent: int = 0) -> int:
        """Whole Wh an import register shows, rounded down."""
        reg = self.registers["Import"]
        return int(reg.decode(data) * _TO_BASE[reg.unit] * Fraction(10) ** exponent // 1)

    def addresses(self) -> dict[int, list[int]]:
        """Function code -> sorted addresses that answer."""
        found: dict[int, set[int]] = {3: set(), 4: set()}
        for reg in self.registers.values():
            found[reg.function_code].update(range(reg.address, reg.address + reg.words))
            if reg.exponent_register is not None:
                found[reg.function_code].add(reg.exponent_register)
        for function, first, last in self.mapped:
            found[function].update(range(first, last + 1))
        if self.serial:
            first = int(self.serial["address"])
            found[int(self.serial["function_code"])].update(
                range(first, first + int(self.serial["words"]))
            )
        return {function: sorted(found[function]) for function in found}


def _decade(value: Fraction, signed: bool) -> bytes:
    """Iskra T5, T6: signed decade exponent in the high byte, 24-bit mantissa; three decimals."""
    mantissa = int(value * 1000)
    exponent = -3
    limit = 1 << (23 if signed else 24)
    while abs(mantissa) >= limit:
        mantissa = int(mantissa / 10)
        exponent += 1
    return exponent.to_bytes(1, "big", signed=True) + mantissa.to_bytes(3, "big", signed=signed)


@cache
def models() -> dict[str, Model]:
    """All models by the name the firmware's config uses."""
    facts = json.loads((Path(__file__).parent / "models.json").read_text())
    return {name: _model(name, entry) for name, entry in facts["models"].items()}


def model(name: str) -> Model:
    """One model; raises ValueError naming those there are."""
    try:
        return models()[name]
    except KeyError:
        raise ValueError(f"no meter {name!r}; there are {', '.join(models())}") from None


def _model(name: str, entry: dict) -> Model:
    registers = {
        key: Register(key, **{**reg, "scale": Fraction(reg["scale"])})
        for key, reg in entry["registers"].items()
    }
    return Model(
        name=name,
        title=entry["title"],
        source=entry["source"],
        line=entry["line"],
        unit=entry["unit"],
        words=entry["words"],
        resolution_wh=entry["resolution_wh"],
        mapped=tuple((a, b, c) for a, b, c in entry["mapped"]),
        serial=entry["serial"],
        registers=registers,
    )
