"""Register types that few meters have, after the rules of registers.py, which loads this for
them: 64 bits, BCD, and the decade types of the Iskra WM3M4 (a power of ten in the upper byte).
"""

from firmware.meter.registers import BCD32, DECADE_S, FLOAT64, INT64, UINT64, scaled


def decode_rare(
    buf: "bytes | bytearray | memoryview", pos: int, kind: int, step: int, power: int
) -> "int | None":
    """The value whose most significant word is at byte `pos` and the next one `step` bytes on;
    as registers.decode.
    """
    a = buf[pos] << 8 | buf[pos + 1]
    b = buf[pos + step] << 8 | buf[pos + step + 1]
    if kind == BCD32:
        return scaled(_bcd(a << 16 | b), power)
    if kind > FLOAT64:
        mantissa = (a & 0xFF) << 16 | b
        if kind == DECADE_S and mantissa & 0x800000:
            mantissa -= 0x1000000
        exponent = a >> 8
        return scaled(mantissa, power + (exponent - 256 if exponent & 0x80 else exponent))
    pos += 2 * step
    c = buf[pos] << 8 | buf[pos + 1]
    d = buf[pos + step] << 8 | buf[pos + step + 1]
    if kind == FLOAT64:
        return _float64(a, b, c, d, power)
    return scaled(_whole64(kind, a, b, c, d), power)


def _whole64(kind: int, a: int, b: int, c: int, d: int) -> "int | None":
    if kind == UINT64 and a & b & c & d == 0xFFFF:
        return None
    if kind == INT64:
        if (a == 0x7FFF and b & c & d == 0xFFFF) or (a == 0x8000 and b | c | d == 0):
            return None
        if a & 0x8000:
            a -= 0x10000
    return ((a << 16 | b) << 16 | c) << 16 | d


def _bcd(raw: int) -> "int | None":
    value = 0
    for shift in range(28, -1, -4):
        digit = raw >> shift & 0xF
        if digit > 9:
            return None
        value = value * 10 + digit
    return value


def _float64(a: int, b: int, c: int, d: int, power: int) -> "int | None":
    """IEEE 754 binary64 from its four words; the lowest word is looked at only where it can
    matter.
    """
    exponent = a >> 4 & 0x7FF
    if exponent == 0x7FF:
        return None
    top = (a & 0xF) << 16 | b
    if exponent:
        top |= 0x100000
    else:
        exponent = 1
    shift = 1075 - exponent
    if power <= 0 and shift >= 16:
        value = top >> (shift - 32) if shift >= 32 else (top << (32 - shift)) + (c >> (shift - 16))
    else:
        whole = (top << 16 | c) << 16 | d
        if power > 0:
            whole *= 10**power
        value = whole >> shift if shift >= 0 else whole << -shift
    if power < 0:
        value //= 10**-power
    return -value if a & 0x8000 else value
