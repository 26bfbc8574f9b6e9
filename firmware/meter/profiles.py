"""Meter profiles: data, one line each; only what a Meter asks for of the configured one
(`requests`) is kept, and this module is left again when it has it. Adding a meter is adding a line
here, its facts to the simulator, and nothing else: tests/meter/test_meter_models.py goes through
all of them.

    NAME;words;gap;order;resolution;line;fields;serial

words       most registers one request may ask for
gap         most registers between two fields that may be read along with them (the maker's map)
order       m: most significant word at the lower address, l: least
resolution  step of the energy register in Wh (1 where no source states one)
line        baud, data bits, parity and stop bits of a new meter; `?` behind it: no source, assumed
field       quantity, function code, hexadecimal protocol address (0-based), type letter
            (registers.py), power of ten into Wh, W, mA or mV. E import energy, P power, Q power
            given back (subtracted), I current, V voltage (one per phase), X decade exponent of E
serial      function code, address, type letter; text (s) has its number of registers behind it

Sources: docs/meters.md, one per model, with the conflicts between them and what was chosen.
"""

from micropython import const

from firmware.errors import ConfigError
from firmware.meter.registers import TEXT, type_of, words_of

_EASTRON_3 = const("V40000f3 V40002f3 V40004f3 I40006f3 I40008f3 I4000Af3 P40034f0 E40048f3")
_EASTRON_1 = const("V40000f3 I40006f3 P4000Cf0 E40048f3")
_GAVAZZI = const("V40000i2 V40002i2 V40004i2 I4000Ci0 I4000Ei0 I40010i0 P40028i-1 E4")

_LINES = (
    "SDM120;80;80;m;1;2400 8N1;" + _EASTRON_1 + ";3FC00I",
    "SDM230;80;80;m;1;2400 8N1?;" + _EASTRON_1 + ";3FC00I",
    "SDM630;80;80;m;1;9600 8N1;" + _EASTRON_3 + ";3FC00I",
    "SDM72D-M;80;80;m;1;9600 8N1;P40034f0 E40048f3;",
    "SDM72D-M-V2;80;80;m;1;9600 8N1;" + _EASTRON_3 + ";",
    "EM111;11;11;l;100;9600 8N1?;V40000i2 I40002i0 P40004i-1 E40010i2;45000s7",
    "EM24;11;11;l;100;9600 8N1?;" + _GAVAZZI + "0042i2;45000s7",
    "EM340;11;11;l;100;9600 8N1?;" + _GAVAZZI + "0034i2;45000s7",
    "B21-B23;50;8;m;10;9600 8E1?;"
    "V35B00I2 V35B02I2 V35B04I2 I35B0CI1 I35B0EI1 I35B10I1 P35B14i-2 E35000Q1;38900I",
    "IEM3155;50;0;m;1;19200 8E1;"
    "V30BD3f3 V30BD5f3 V30BD7f3 I30BB7f3 I30BB9f3 I30BBBf3 P30BF3f3 E30C83q0;30081I",
    "PRO380;50;4;m;10;9600 8E1?;"
    "V35002f3 V35004f3 V35006f3 I3500Cf3 I3500Ef3 I35010f3 P35012f3 E3600Cf3;",
    "JANITZA-B23;80;48;m;1;9600 8N1?;"
    "V34A38f3 V34A3Af3 V34A3Cf3 I34A44f3 I34A46f3 I34A48f3 P34A52f0 E34A7Cf0;",
    "DVH4013;50;0;m;1;9600 8E1;"
    "P30000I-1 Q30002I-1 V30004I1 V30006I1 V30008I1 I3000AI0 I3000CI0 I3000EI0 E34000I0;",
    "PAC2200;50;6;m;1;19200 8N1?;"
    "V40001f3 V40003f3 V40005f3 I4000Df3 I4000Ff3 I40011f3 P40041f0 E40321d0;",
    "EEM-350;11;11;l;100;9600 8N1?;V40000i2 I4000Ci0 P40028i-1 E4003Ei2;",
    "7M.38;50;0;m;1;9600 8N1?;"
    "V409C4f3 V409C6f3 V409C8f3 I409D4f3 I409D6f3 I409D8f3 P409E8f0 E40AC0f0;",
    "DMG610;50;0;m;10;9600 8N1?;"
    "V40001I1 V40003I1 V40005I1 I40007I-1 I40009I-1 I4000BI-1 P40039i-2 E41B1FQ1;",
    "WM3M4C;50;4;m;1;9600 8N1?;"
    "V4006BT3 V4006DT3 V4006FT3 I4007Et3 I40080t3 I40082t3 P4008Ct0 X4019Eh0 E401A2i0;40009s4",
)


class Field:
    """One value: where it is, of what type, which power of ten brings it to Wh, W, mA or mV."""

    def __init__(self, text: str) -> None:
        self.quantity = text[0]
        self.function = int(text[1])
        self.address = int(text[2:6], 16)
        self.kind = type_of(text[6])
        rest = int(text[7:] or "0")
        self.power = 0 if self.kind == TEXT else rest
        self.words = rest if self.kind == TEXT else words_of(self.kind)
        self.pos = 0  # byte in its group's answer


class Group:
    """One request: `count` registers from `address`; the fields it brings."""

    def __init__(self, field: Field) -> None:
        self.function = field.function
        self.address = field.address
        self.count = field.words
        self.fields = [field]


class Profile:
    """A meter's map. `groups` are the fewest requests the meter allows; `serial` is a Group or
    None.
    """

    def __init__(self, line: str) -> None:
        self.name, words, gap, order, resolution, self.line, fields, serial = line.split(";")
        self.low_first = order == "l"
        self.resolution_wh = int(resolution)
        self.fields = [Field(f) for f in fields.split(" ")]
        self.groups = _grouped(self.fields, int(words), int(gap))
        self.serial = Group(Field("S" + serial)) if serial else None

    def requests(self) -> "tuple[tuple[int, int, int, bytes], ...]":
        """What Meter keeps: per request function, address, count, and four bytes a field:
        letter, place in the answer, type, power of ten + 128.
        """
        return tuple([
            (g.function, g.address, g.count, b"".join([
                bytes((ord(f.quantity), f.pos, f.kind, f.power + 128)) for f in g.fields
            ])) for g in self.groups
        ])  # fmt: skip


def _order(field: Field) -> "tuple[int, int]":
    return (field.function, field.address)


def _grouped(fields: "list[Field]", words: int, gap: int) -> "list[Group]":
    groups: list[Group] = []
    for field in sorted(fields, key=_order):
        if groups:
            group = groups[-1]
            end = group.address + group.count
            span = field.address + field.words - group.address
            if field.function == group.function and field.address - end <= gap and span <= words:
                field.pos = 2 * (field.address - group.address)
                group.count = span
                group.fields.append(field)
                continue
        groups.append(Group(field))
    return groups


def names() -> "list[str]":
    """Every model there is, as config names them."""
    return [line[: line.index(";")] for line in _LINES]


def load(name: str) -> Profile:
    """The profile of that model; raises ConfigError."""
    for line in _LINES:
        if line.startswith(name + ";"):
            return Profile(line)
    raise ConfigError("meter.model", "one of " + ", ".join(names()), name)
