"""The bytes that go to a character display, and QR codes. Runs on CPython and MicroPython."""

from board import qr
from board.hd44780 import Hd44780, codes


class Bus:
    """An I2C bus that keeps what was written; `away`: nobody answers."""

    def __init__(self):
        self.sent = []
        self.away = False

    def writeto(self, address, data):
        if self.away:
            raise OSError(5)
        self.sent.append((address, bytes(data)))


class Light:
    def show(self, light):
        self.shown = light


def _display():
    bus = Bus()
    light = Light()
    return Hd44780(bus, 0x27, light, lambda ms: None), bus, light


def _bytes_of(sent):
    """What the display took, two falls of E a byte: (is it data, byte)."""
    nibbles = [data[1] for _, data in sent]
    out = []
    for i in range(0, len(nibbles), 2):
        out.append((nibbles[i] & 1, nibbles[i] & 0xF0 | nibbles[i + 1] >> 4))
    return out


def test_start_puts_the_display_into_four_bits_and_teaches_it_eight_letters():
    _, bus, _ = _display()
    assert bus.sent[0] == (0x27, b"\x38\x3c\x38")  # 3, light on, E up and down
    assert [data[1] for _, data in bus.sent[:4]] == [0x3C, 0x3C, 0x3C, 0x2C]
    taken = _bytes_of(bus.sent[4:])
    assert taken[:5] == [(0, 0x28), (0, 0x0C), (0, 0x06), (0, 0x01), (0, 0x40)]
    assert taken[5:13] == [(1, b) for b in b"\x07\x08\x1e\x08\x1e\x08\x07\x00"]  # the euro
    assert len(taken) == 5 + 64


def test_only_rows_that_changed_are_written_where_they_belong():
    display, bus, light = _display()
    display.show(("Ready", "", "", "Tap"), "", "green")
    bus.sent.clear()
    display.show(("Ready", "", "", "Tip"), "", "red")
    assert light.shown == "red"
    taken = _bytes_of(bus.sent)
    assert taken[0] == (0, 0xD4)  # row 3 begins at 0x54
    assert bytes([b for _, b in taken[1:]]) == b"Tip" + b" " * 17
    assert len(taken) == 21


def test_foreign_letters_are_the_displays_own_or_taught_or_plain():
    assert codes("12,50 €") == "12,50 \x00"
    assert codes("Säule größer") == "S\xe1ule gr\xef\xe2er"
    assert codes("Énergie à côté") == "Energie \x04 c\x07t\x01"
    assert codes("plain") == "plain"


def test_display_that_was_pulled_off_comes_back_at_the_next_change():
    display, bus, _ = _display()
    bus.away = True
    display.show(("one", "", "", ""), "", "green")
    assert not display.there
    bus.away = False
    bus.sent.clear()
    display.show(("two", "", "", ""), "", "green")
    assert display.there
    written = bytes([b for mode, b in _bytes_of(bus.sent[4:]) if mode])
    assert b"two" in written


def test_codewords_of_one_letter_are_those_of_the_standard():
    words = qr._codewords(b"a", 1)
    assert bytes(words[:19]) == b"\x40\x16\x10" + b"\xec\x11" * 8
    assert len(words) == 26


def test_check_codewords_make_the_block_a_multiple_of_the_generator():
    for version in (1, 2, 3, 4, 5):
        words = qr._codewords(b"forecourt", version)
        root = 1
        for _ in range(qr._CHECK[version - 1]):
            value = 0
            for word in words:
                value = qr._times(value, root) ^ word
            assert value == 0
            root = qr._times(root, 2)


def test_smallest_code_that_holds_the_text_is_drawn_and_none_for_more():
    for length, size in ((17, 21), (18, 25), (53, 29), (78, 33), (106, 37)):
        assert len(qr.matrix("x" * length)) == size
    assert qr.matrix("x" * 107) is None


def test_code_of_a_full_first_version_module_by_module():
    rows = [
        0x1FD67F, 0x104641, 0x175D5D, 0x17465D, 0x17545D, 0x104041, 0x1FD57F, 0x000B00,
        0x047DF7, 0x130A2C, 0x173B5A, 0x0BB089, 0x13B34F, 0x136D00, 0x11597F, 0x023D41,
        0x13B55D, 0x036C5D, 0x137D5D, 0x0A8341, 0x1BD37F,
    ]  # fmt: skip
    assert qr.matrix("0123456789ABCDEF!") == rows
