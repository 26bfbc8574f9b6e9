"""A 128 x 64 OLED with SSD1306, SSD1309 or SH1106 on I2C: 16 columns and 8 rows of words, and the
receipt's code as a QR code, which take turns.

Sources: SSD1306 datasheet rev 1.1 (table 9-1, chapter 10); an SH1106 knows no horizontal mode, so
pages are addressed one by one, as both do, and its memory is 132 wide: `left` is 2 there.
"""

import framebuf

_WIDTH = 128
# display off, clock, 64 lines, no offset, start line 0, charge pump, mirrored both ways (the flat
# cable at the bottom), pins, contrast, precharge, level, from memory, not inverted, on
_START = (b"\xae\xd5\x80\xa8\x3f\xd3\x00\x40\x8d\x14\xa1\xc8\xda\x12\x81\xcf\xd9\xf1\xdb\x40"
          b"\xa4\xa6\xaf")  # fmt: skip
_TURNS = 8  # half seconds a page stands
# letters the font of framebuf lacks: the letter below and what is drawn above it
_ABOVE = {"ä": "a:", "ö": "o:", "ü": "u:", "Ä": "A:", "Ö": "O:", "Ü": "U:", "ë": "e:", "ï": "i:",
          "é": "e/", "è": "e\\", "ê": "e^", "à": "a\\", "â": "a^", "î": "i^", "ô": "o^",
          "ù": "u\\", "û": "u^", "ç": "c,", "É": "E/", "À": "A\\"}  # fmt: skip
_MARKS = {":": ((2, 0), (5, 0)), "/": ((5, 0), (4, 1)), "\\": ((3, 0), (4, 1)),
          "^": ((3, 0), (4, 0), (2, 1), (5, 1)), ",": ((3, 7), (4, 7))}  # fmt: skip
_DRAWN = {"€": b"\x14\x3e\x55\x55\x55\x41\x22\x00", "ß": b"\x00\x7e\x01\x49\x49\x36\x00\x00"}


class Ssd1306:
    """`i2c`: machine.I2C; `light`: what shows the lamp's colour. Implements ports.ScreenPort."""

    columns = 16
    rows = 8

    def __init__(self, i2c, address: int, light, left: int = 0):
        self._i2c = i2c
        self._address = address
        self._light = light
        self._left = left
        self._memory = bytearray(_WIDTH * 8)
        self.frame = framebuf.FrameBuffer(self._memory, _WIDTH, 64, framebuf.MONO_VLSB)
        self._lines: "tuple[str, ...]" = ()
        self._qr = ""
        self._turn = 0
        self.there = self._begin()

    def _begin(self) -> bool:
        try:
            self._i2c.writeto(self._address, b"\x00" + _START)
        except OSError:
            return False  # not fitted, or pulled off
        return True

    def show(self, lines, qr: str, light: str) -> None:
        self._light.show(light)
        self._lines = lines
        self._qr = qr
        self._turn = 0
        self._words()

    def turn(self) -> None:
        """Every half second: words and code take turns."""
        if not self._qr:
            return
        self._turn = (self._turn + 1) % (2 * _TURNS)
        if self._turn == _TURNS:
            self._code()
        elif not self._turn:
            self._words()

    def _words(self) -> None:
        frame = self.frame
        frame.fill(0)
        for row, line in enumerate(self._lines[:8]):
            frame.text(plain(line), 0, 8 * row)
            for column, letter in enumerate(line):
                if letter > "\x7f":
                    self._foreign(letter, 8 * column, 8 * row)
        self._send()

    def _foreign(self, letter: str, x: int, y: int) -> None:
        frame = self.frame
        if letter in _DRAWN:
            frame.fill_rect(x, y, 8, 8, 0)
            for i, bits in enumerate(_DRAWN[letter]):
                for j in range(8):
                    if bits >> j & 1:
                        frame.pixel(x + i, y + j, 1)
        for i, j in _MARKS.get(_ABOVE.get(letter, "  ")[1], ()):
            frame.pixel(x + i, y + j, 1)

    def _code(self) -> None:
        """Light modules lit, as a reader expects; words stay where the code is too long."""
        from board.qr import matrix

        code = matrix(self._qr)
        if code is None:
            return
        size = len(code)
        scale = 2 if 2 * size + 6 <= 64 else 1
        frame = self.frame
        frame.fill(0)
        frame.fill_rect(0, 0, 64, 64, 1)
        edge = (64 - scale * size) // 2
        for y, row in enumerate(code):
            for x in range(size):
                if row >> x & 1:
                    frame.fill_rect(edge + scale * x, edge + scale * y, scale, scale, 0)
        for row, line in enumerate(self._lines[:8]):
            frame.text(plain(line)[:8], 64, 8 * row)
        self._send()

    def _send(self) -> None:
        low, high = self._left & 15, 0x10 | self._left >> 4
        try:
            for page in range(8):
                self._i2c.writeto(self._address, bytes((0, 0xB0 | page, low, high)))
                part = memoryview(self._memory)[page * _WIDTH : (page + 1) * _WIDTH]
                self._i2c.writevto(self._address, (b"\x40", part))
            self.there = True
        except OSError:
            self.there = False
            return


def plain(line: str) -> str:
    """What the font has: foreign letters without their marks."""
    for letter in line:
        if letter > "\x7f":
            return "".join([_ABOVE.get(c, " ")[0] if c > "\x7f" else c for c in line])
    return line
