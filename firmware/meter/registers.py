"""Register types: the bits of a register to an integer, exactly, without a float (a board's
floats have 32 bits).

A value is scaled by a power of ten into the unit we keep (Wh, W, mA, mV) and its magnitude is
rounded down: a register of 12.3459 kWh is 12345 Wh. What means "not available" is None: NaN and
infinity, all bits set in an unsigned type, the largest and smallest value of a signed type (mbmd
meters/rs485/abb.go, wrapTransform). The usual sizes stay within 31-bit small ints on the way, so
that a poll allocates nothing. Types that few meters have are in rare.py, loaded when one comes."""

from micropython import const

INT16 = const(1)
UINT16 = const(2)
INT32 = const(3)
UINT32 = const(4)
INT64 = const(5)
UINT64 = const(6)
FLOAT32 = const(7)
FLOAT64 = const(8)
DECADE_U = const(9)
DECADE_S = const(10)
BCD32 = const(11)
TEXT = const(12)
_MOST = const(19)  # 10**19 is beyond 64 bits

# letter in a profile: type. Upper case is unsigned; t, T: decade types T6, T5 of the Iskra WM3M4.
CODES = "hHiIqQfdtTbs"
_TYPES = bytes((1, 2, 3, 4, 5, 6, 7, 8, 10, 9, 11, 12))
_LOADED: list = []  # rare.decode_rare, once it is needed
_WORDS = bytes((0, 1, 1, 2, 2, 4, 4, 2, 4, 2, 2, 2, 0))


def type_of(code: str) -> int:
    """Type number of a profile's letter; raises ValueError."""
    return _TYPES[CODES.index(code)]


def words_of(kind: int) -> int:
    """Registers a value of this type takes; 0 for text, whose length is in the profile."""
    return _WORDS[kind]


def decode(
    buf: "bytes | bytearray | memoryview", pos: int, kind: int, low_first: bool, power: int
) -> "int | None":
    """The value at byte `pos` times 10**power, magnitude rounded down; None when it is not
    available.
    """
    step = 2
    if low_first and kind > UINT16:
        pos += 2 * (_WORDS[kind] - 1)
        step = -2
    a = buf[pos] << 8 | buf[pos + 1]
    if kind <= UINT16:
        return scaled(_word(kind, a), power)
    b = buf[pos + step] << 8 | buf[pos + step + 1]
    if kind == FLOAT32:
        return _float32(a, b, power)
    if kind == UINT32:
        return None if a & b == 0xFFFF else scaled(a << 16 | b, power)
    if kind == INT32:
        if (a == 0x7FFF and b == 0xFFFF) or (a == 0x8000 and b == 0):
            return None
        return scaled((a - 0x10000 if a & 0x8000 else a) << 16 | b, power)
    if not _LOADED:
        from firmware.meter.rare import decode_rare

        _LOADED.append(decode_rare)  # an import statement allocates each time
    return _LOADED[0](buf, pos, kind, step, power)


def _word(kind: int, a: int) -> "int | None":
    if kind == UINT16:
        return None if a == 0xFFFF else a
    if 0x7FFF <= a <= 0x8000:
        return None
    return a - 0x10000 if a & 0x8000 else a


def scaled(value: "int | None", power: int) -> "int | None":
    """`value` times 10**power, magnitude rounded down; None stays None, and a power that no
    meter means is None: a wild exponent must not cost kilobytes of digits.
    """
    if value is None or power == 0:
        return value
    if not -_MOST < power < _MOST:
        return None
    if power > 0:
        return value * 10**power
    if value < 0:
        return -(-value // 10**-power)
    return value // 10**-power


def _float32(a: int, b: int, power: int) -> "int | None":
    """IEEE 754 binary32 from its two words. The 24-bit significand goes through in two halves of
    12 bits.
    """
    exponent = a >> 7 & 0xFF
    if exponent == 0xFF:
        return None
    high = a & 0x7F
    if exponent:
        high |= 0x80
    else:
        exponent = 1
    top = high << 4 | b >> 12
    low = b & 0xFFF
    shift = 150 - exponent
    if power > 0:
        top *= 10**power
        low *= 10**power
    if shift >= 12:
        value = (top + (low >> 12)) >> (shift - 12)
    elif shift >= 0:
        value = (top << (12 - shift)) + (low >> shift)
    else:
        value = ((top << 12) + low) << -shift
    if power < 0:
        value //= 10**-power
    return -value if a & 0x8000 else value


def float32_step(
    buf: "bytes | bytearray | memoryview", pos: int, low_first: bool, power: int
) -> int:
    """Distance to the next value a float32 at `pos` can show, rounded up, at least 1: its
    resolution at this size.
    """
    hi = pos + 2 if low_first else pos
    exponent = (buf[hi] << 1 & 0xFF) | buf[hi + 1] >> 7
    shift = 150 - (exponent or 1)
    unit = 10**power if power > 0 else 1
    if shift < 0:
        return unit << -shift
    return 1 if shift > 30 else ((unit - 1) >> shift) + 1


def text(buf: "bytes | bytearray | memoryview", pos: int, size: int) -> str:
    """Printable ASCII of `size` bytes, without what pads it."""
    out = ""
    for i in range(pos, pos + size):
        if 0x20 < buf[i] < 0x7F:
            out += chr(buf[i])
    return out
