"""A character display of 20 x 4 with HD44780 behind a PCF8574 on I2C.

Sources: HD44780U datasheet (table 6, figure 24: start of the 4-bit interface; character code A00),
PCF8574; the usual wiring of the backpack: P0 RS, P1 R/W, P2 E, P3 light, P4 to P7 data.
"""

_ROWS = (0x00, 0x40, 0x14, 0x54)
_LIGHT = 0x08
_ENABLE = 0x04
_DATA = 0x01
# in the display's own set, code A00
_OWN = {"ä": "\xe1", "ö": "\xef", "ü": "\xf5", "ß": "\xe2", "Ä": "\xe1", "Ö": "\xef", "Ü": "\xf5"}
# eight more that it is taught, five dots wide
_TAUGHT = "€éèêàçùô"
_DOTS = (
    b"\x07\x08\x1e\x08\x1e\x08\x07\x00"
    b"\x02\x04\x0e\x11\x1f\x10\x0e\x00"
    b"\x08\x04\x0e\x11\x1f\x10\x0e\x00"
    b"\x04\x0a\x0e\x11\x1f\x10\x0e\x00"
    b"\x08\x04\x0e\x01\x0f\x11\x0f\x00"
    b"\x00\x0e\x10\x10\x11\x0e\x04\x0c"
    b"\x08\x04\x11\x11\x11\x13\x0d\x00"
    b"\x04\x0a\x0e\x11\x11\x11\x0e\x00"
)
_PLAIN = {"â": "a", "î": "i", "û": "u", "ë": "e", "ï": "i", "É": "E", "À": "A", "È": "E"}


class Hd44780:
    """`i2c`: machine.I2C; `light`: what shows the lamp's colour; `sleep_ms`: time's. Implements
    ports.ScreenPort; it draws no codes.
    """

    columns = 20
    rows = 4

    def __init__(self, i2c, address: int, light, sleep_ms):
        self._sleep_ms = sleep_ms
        self._i2c = i2c
        self._address = address
        self._light = light
        self._shown = [""] * 4
        self.there = False
        self._begin()

    def _begin(self) -> None:
        try:
            for nibble, wait_ms in ((3, 5), (3, 1), (3, 1), (2, 1)):
                self._nibble(nibble << 4)
                self._sleep_ms(wait_ms)
            for command in (0x28, 0x0C, 0x06, 0x01):  # 2 lines, on, to the right, clear
                self._byte(command)
            self._sleep_ms(2)
            self._byte(0x40)
            for dots in _DOTS:
                self._byte(dots, _DATA)
        except OSError:
            self.there = False
            return
        self.there = True
        self._shown = [""] * 4

    def show(self, lines, qr: str, light: str) -> None:
        self._light.show(light)
        if not self.there:
            self._begin()
        for row, line in enumerate(lines[:4]):
            text = codes(line)
            text += " " * (20 - len(text))
            if text != self._shown[row] and self.there:
                self._write(row, text)

    def turn(self) -> None:
        """Nothing to do between two changes."""

    def _write(self, row: int, text: str) -> None:
        self._shown[row] = text
        try:
            self._byte(0x80 | _ROWS[row])
            for letter in text[:20]:
                self._byte(ord(letter), _DATA)
        except OSError:
            self.there = False  # begun again at the next change

    def _byte(self, value: int, mode: int = 0) -> None:
        self._nibble(value & 0xF0 | mode)
        self._nibble(value << 4 & 0xF0 | mode)

    def _nibble(self, bits: int) -> None:
        """The display takes what is there when E falls."""
        bits |= _LIGHT
        self._i2c.writeto(self._address, bytes((bits, bits | _ENABLE, bits)))


def codes(line: str) -> str:
    """A line in the display's own characters."""
    if not any([c > "\x7f" for c in line]):
        return line
    out = ""
    for letter in line:
        if letter in _TAUGHT:
            out += chr(_TAUGHT.index(letter))
        elif letter > "\x7f":
            out += _OWN.get(letter) or _PLAIN.get(letter, "?")
        else:
            out += letter
    return out
