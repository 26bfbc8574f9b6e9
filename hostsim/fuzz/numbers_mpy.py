"""Card numbers for the target `zvt`: texts with one in them, and what must not come out of it."""

# test numbers of the schemes
_NUMBERS = (
    b"4111111111111111", b"5413330089010434", b"5555555555554444", b"378282246310005",
    b"6799998900000060018", b"30569309025904", b"2223003122003222",
)  # fmt: skip
_APART = (b"", b"\0", b" ", b"  ", b"-", b".", b"/", b"\n", b"\x01", b"\x1b", b"\x80", b"\x81",
          b"\xff", b"\0\0", b" - ", b"*", b"?", b"=", b",")  # fmt: skip


def with_number(dice):
    """An APDU whose text has a card number in it, its digits apart."""
    number = dice.choice(_NUMBERS)
    text = dice.choice((b"", b"Card ", b"PAN:", b"\0", b"12.05.  "))
    one = dice.choice(_APART)
    cuts = 1 + dice.below(6)
    for i in range(len(number)):
        if i and not dice.below(cuts):
            text += one if dice.below(3) else dice.choice(_APART)
        text += number[i : i + 1]
    text += dice.choice((b"", b" ok", b"\0\0", b"=2512", b"\xff"))
    what = dice.below(4)
    line = b"\x07" + ber(dice, text)
    if what == 0:
        head, body = b"\x06\xd1", b"\0" + text
    elif what == 1:
        head, body = b"\x06\xd3", b"\x06" + ber(dice, b"\x25" + ber(dice, line))
    elif what == 2:
        head, body = b"\x04\xff", b"\x0a\0\x06" + ber(dice, b"\x24" + ber(dice, line))
    else:
        size = bytes((0xF0 + len(text) // 10 % 10, 0xF0 + len(text) % 10))
        head, body = b"\x04\x0f", b"\x8b" + size + text[:99]
    return head + bytes((min(len(body), 254),)) + body[:254]


def without_number(texts, luhn=True):
    """No text has a card's number in it: 13 to 19 figures in a row with the right check digit
    (`luhn`), or one of ours whatever is between its figures but letters, dates, times, sums and
    what was masked.
    """
    for text in texts:
        raw = text.encode() if isinstance(text, str) else text
        row = b""  # figures in a row
        for byte in raw + b"A":
            if 48 <= byte <= 57:
                row += bytes((byte,))
                continue
            if luhn and 13 <= len(row) <= 19 and row[0] != 48:
                assert not _luhn(row), "a card number came out"
            row = b""
        raw = _without_moments(raw) + b"A"
        spread = b""
        groups = []  # where in it each begins
        apart = True
        for i, byte in enumerate(raw):
            if 48 <= byte <= 57:
                if apart:
                    groups.append(len(spread))
                spread += bytes((byte,))
                apart = False
            elif 65 <= byte & 0xDF <= 90 or _hides(raw, i):
                _without_spread(spread, groups + [len(spread)])
                spread = b""
                groups = []
                apart = True
            elif byte and byte != 63:
                apart = True


def _without_spread(spread, groups):
    """None of ours is in it, in whole groups or inside of one."""
    for number in _NUMBERS:
        at = spread.find(number)
        while at >= 0:
            end = at + len(number)
            parted = [group for group in groups if at < group < end]
            assert parted and not (at in groups and end in groups), "a card number came out"
            at = spread.find(number, at + 1)


def _hides(raw, i):
    """A star that stands for a figure: not between two, as what sets them apart."""
    beside = raw[max(i - 1, 0) : i] + raw[i + 1 : i + 2]
    return raw[i : i + 1] == b"*" and [b for b in beside if 48 <= b <= 57] != list(beside)


def _without_moments(raw):
    """A letter for each date, time and sum."""
    out = word = b""
    for i in range(len(raw) + 1):
        piece = raw[i : i + 1]
        if piece and piece in b"0123456789,-./:?":
            word += piece
        else:
            out += (b"A" if _is_moment(word) else word) + piece
            word = b""
    return out


def _is_moment(word):
    """30.11.2026, 14:05:33, 1.234,56: three parts in ten characters; or 14:05, 12,34."""
    word = word.strip(b",-./:?")
    bare = word
    for sign in (b"-", b"/", b":", b","):
        bare = bare.replace(sign, b".")
    parts = [part for part in bare.replace(b"?", b"").split(b".") if part]
    if len(word) > 10:
        return False
    return len(parts) == 3 or (len(parts) == 2 and word[-3:-2] in (b",", b".", b":"))


def _luhn(figures):
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for i, byte in enumerate(reversed(figures)):
        digit = (byte - 48) * (1 + i % 2)
        total += digit // 10 + digit % 10
    return total % 10 == 0


def ber(dice, value):
    """A value behind its BER length, now and then a longer form than it needs."""
    size = len(value)
    wide = 2 if size > 255 else 1 if size > 127 else 0
    if wide < 2 and not dice.below(8):
        wide += 1
    if not wide:
        return bytes((size,)) + value
    return bytes((0x80 + wide,)) + size.to_bytes(wide, "big") + value
