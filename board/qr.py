"""A QR code of some text, for a display: versions 1 to 5, level L, bytes, mask 0 (ISO/IEC
18004:2015). Loaded while a code is drawn.
"""

# data codewords and check codewords of versions 1 to 5 at level L (table 9): one block each
_DATA = (19, 34, 55, 80, 108)
_CHECK = (7, 10, 15, 20, 26)
_FORMAT = 0x77C4  # level L, mask 0 (annex C)


def matrix(text: str) -> "list[int] | None":
    """Rows of modules as numbers, bit x is the module in column x, 1 is dark; None when the text
    is longer than 106 bytes.
    """
    data = text.encode()
    version = 1
    while len(data) + 2 > _DATA[version - 1]:
        version += 1
        if version > 5:
            return None
    words = _codewords(data, version)
    size = 17 + 4 * version
    dark, fixed = [0] * size, [0] * size
    _patterns(dark, fixed, size, version)
    _place(words, dark, fixed, size)
    _write_format(dark, size)
    return dark


def _codewords(data: bytes, version: int) -> bytearray:
    room = _DATA[version - 1]
    bits = 4 << 8 | len(data)  # mode: bytes; count of 8 bits
    out = bytearray()
    for value in data:  # 4 bits of it go into the byte before
        out.append(bits >> 4 & 255)
        bits = (bits & 15) << 8 | value
    out.append(bits >> 4 & 255)
    out.append((bits & 15) << 4)
    pad = 0xEC
    while len(out) < room:
        out.append(pad)
        pad ^= 0xEC ^ 0x11
    out.extend(_check(out, _CHECK[version - 1]))
    return out


def _times(a: int, b: int) -> int:
    """Product in GF(256) with x^8 + x^4 + x^3 + x^2 + 1."""
    out = 0
    while b:
        if b & 1:
            out ^= a
        a <<= 1
        if a & 256:
            a ^= 0x11D
        b >>= 1
    return out


def _check(data, count: int) -> bytearray:
    """Reed-Solomon check codewords."""
    generator = bytearray(count)
    generator[-1] = 1
    root = 1
    for _ in range(count):
        for j in range(count):
            generator[j] = _times(generator[j], root)
            if j + 1 < count:
                generator[j] ^= generator[j + 1]
        root = _times(root, 2)
    out = bytearray(count)
    for value in data:
        factor = value ^ out[0]
        for j in range(count - 1):
            out[j] = out[j + 1] ^ _times(generator[j], factor)
        out[-1] = _times(generator[-1], factor)
    return out


def _square(dark, fixed, left: int, top: int, rows) -> None:
    """A pattern of len(rows) rows, as wide as high."""
    n = len(rows)
    for i, bits in enumerate(rows):
        y = top + i
        if 0 <= y < len(dark):
            area = (1 << n) - 1
            if left < 0:
                bits, area = bits >> -left, area >> -left
            else:
                bits, area = bits << left, area << left
            whole = (1 << len(dark)) - 1
            dark[y] |= bits & whole
            fixed[y] |= area & whole


def _patterns(dark, fixed, size: int, version: int) -> None:
    finder = (0, 0xFE, 0x82, 0xBA, 0xBA, 0xBA, 0x82, 0xFE, 0)  # with its light edge, 9 wide
    for left, top in ((-1, -1), (size - 8, -1), (-1, size - 8)):
        _square(dark, fixed, left, top, finder)
    if version > 1:
        _square(dark, fixed, size - 9, size - 9, (31, 17, 21, 17, 31))
    for i in range(8, size - 8):  # timing
        fixed[6] |= 1 << i
        fixed[i] |= 1 << 6
        if i % 2 == 0:
            dark[6] |= 1 << i
            dark[i] |= 1 << 6
    for i in range(9):  # where the format goes
        fixed[8] |= 1 << i
        fixed[i] |= 1 << 8
    for i in range(size - 8, size):
        fixed[8] |= 1 << i
        fixed[i] |= 1 << 8
    dark[size - 8] |= 1 << 8


def _place(words, dark, fixed, size: int) -> None:
    """Two columns at a time from the right, up and down by turns, mask 0 over it."""
    n, total = 0, 8 * len(words)
    right, up = size - 1, True
    while right > 0:
        if right == 6:
            right = 5
        for step in range(size):
            y = size - 1 - step if up else step
            for x in (right, right - 1):
                if fixed[y] >> x & 1:
                    continue
                bit = words[n >> 3] >> (7 - n % 8) & 1 if n < total else 0
                n += 1
                if bit ^ ((x + y) % 2 == 0):
                    dark[y] |= 1 << x
        right -= 2
        up = not up


def _write_format(dark, size: int) -> None:
    for i in range(15):
        if not _FORMAT >> i & 1:
            continue
        # beside the upper left finder
        if i < 6:
            dark[i] |= 1 << 8
        elif i < 8:
            dark[i + 1] |= 1 << 8
        elif i == 8:
            dark[8] |= 1 << 7
        else:
            dark[8] |= 1 << (14 - i)
        # and again at the other two
        if i < 8:
            dark[8] |= 1 << (size - 1 - i)
        else:
            dark[size - 15 + i] |= 1 << 8
