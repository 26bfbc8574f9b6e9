"""Card data ends here: digits are masked and texts scrubbed in the receive buffer itself, before
anything is kept.

What may leave: at most the first six and last four digits of a PAN, and a salted hash. Tracks,
names and unknown texts do not (PCI DSS 4.0, 3.3 and 3.4). The hash of a bank card is taken over
the masked digits, so that a tap answered with the whole PAN and a payment answered with a masked
one name the same card, and no hash holds a whole PAN; two cards of one bank share it once in ten
thousand.
"""

import hashlib

from micropython import const

_STAR = const(0x2A)
_WIDE = const(0xEE)
# a card name is kept only when it is a scheme's, not what else a terminal may write there
_SCHEMES = (
    "mastercard maestro visa v_pay vpay girocard american amex jcb diners discover "
    "union eurocard ec- bancontact carte_banc debit credit"
)
_HIGH = {0x81: "ü", 0x84: "ä", 0x8E: "Ä", 0x94: "ö", 0x99: "Ö", 0x9A: "Ü", 0xE1: "ß"}  # CP 437


def card_hash(salt: bytes, identity: bytes) -> str:
    """sha256(salt + identity), 16 hex digits: recognises a card again, gives nothing back without
    the salt.
    """
    return hashlib.sha256(salt + identity).digest()[:8].hex()


def wipe(view: "memoryview", filler: int = _STAR) -> None:
    """Overwrites all of it."""
    for i in range(len(view)):
        view[i] = filler


def hidden(position: int, digits: int) -> bool:
    """Whether a PAN's digit at this position has to be masked; a number under 13 digits shows its
    last four only.
    """
    return position < digits - 4 and (position >= 6 or digits < 13)


def take_pan(view: "memoryview", track: bool) -> str:
    """Masked text of a packed PAN, "" when it is none (PA00P015, BMP 22; `track`: the digits
    before the separator of BMP 23).

    The view is masked in place: hidden digits become nibble E, a track becomes EE throughout.
    """
    digits = []
    separated = not track
    for i in range(2 * len(view)):
        nibble = view[i >> 1] & 15 if i & 1 else view[i >> 1] >> 4
        if nibble == 15 or (track and nibble == 13):
            separated = True
            break
        digits.append(nibble)
    count = len(digits)
    if track or count > 19:
        wipe(view, _WIDE)
    if not separated or count > 19:
        return ""
    text = ""
    for i, nibble in enumerate(digits):
        if nibble > 9 or hidden(i, count):
            text += "*"
            keep = 0xF0 if i & 1 else 0x0F
            view[i >> 1] = view[i >> 1] & keep | 0xEE & ~keep
        else:
            text += str(nibble)
    return text


def take_text(view: "memoryview", scrub: bool = True) -> str:
    """The text; NUL and end blanks are off, characters that cannot be shown are "?". What is left
    in the view says the same: then both are scrubbed of card numbers, tracks and names as cards
    carry them.
    """
    size = 0
    for byte in view:
        if byte:
            shown = 32 <= byte < 127 or byte in _HIGH
            view[size] = byte if shown else 0x3F
            size += 1
    wipe(view[size:], 0)
    view = view[:size]
    if scrub:
        scrub_text(view)
    out = bytearray()
    for byte in view:
        if byte < 127:
            out.append(byte)
        else:
            out.extend(_HIGH[byte].encode())
    return out.decode().rstrip()


def scrub_text(view: "memoryview") -> None:
    """Masks what may not be shown of a text that is otherwise as it will be."""
    _scrub_spread(view)
    i = 0
    while i < len(view):
        byte = view[i]
        if byte == 0x2F and _between_capitals(view, i):
            wipe(view)
        # a card number does not begin with 0
        i = _scrub_run(view, i) if 0x31 <= byte <= 0x39 else i + 1


def scrub_lines(text: str) -> str:
    """The same of texts that were scrubbed each by itself: no number comes of two."""
    raw = bytearray(text.encode())
    return raw.decode() if _scrub_spread(memoryview(raw)) else text


def take_name(view: "memoryview") -> str:
    """A card scheme's name, or "card" (and nothing left in the view) when it is none known."""
    text = take_text(view).strip()
    low = text.lower()
    for scheme in _SCHEMES.split(" "):
        if scheme.replace("_", " ") in low:
            if len(text) <= 16:
                return text
            wipe(view)
            return scheme
    wipe(view)
    return "card"


def take_token(view: "memoryview") -> str:
    """A number-like text (authorisation code, merchant number): letters and digits, at least one
    digit, and no card number; else "", and nothing left in the view. 15 digits that begin as
    card numbers do keep their first six and last four.
    """
    text = take_text(view, False).strip()
    figures = 0
    for char in text:
        if "0" <= char <= "9":
            figures += 1
        elif not ("A" <= char <= "Z" or "a" <= char <= "z"):
            figures = 0
            break
    if not figures or (figures >= 13 and _luhn(text.encode())):
        wipe(view)
        return ""
    # in 15 bytes a card number of 16 digits has lost its check digit; letters may set one apart
    if (figures == 15 and (text[0] in "3456" or "2221" <= text[:4] < "2721")) or (
        13 <= figures < len(text)
    ):
        return take_text(view).strip()
    return text


def _luhn(text: bytes) -> bool:
    """Whether the digits in it end in a card number's check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    double = False
    for i in range(len(text) - 1, -1, -1):
        if 0x30 <= text[i] <= 0x39:
            digit = (text[i] & 15) * (2 if double else 1)
            total += digit - 9 if digit > 9 else digit
            double = not double
    return total % 10 == 0


def _between_capitals(view: "memoryview", i: int) -> bool:
    """SURNAME/FIRST, as tracks carry it."""
    return 0 < i < len(view) - 1 and 0x41 <= view[i - 1] <= 0x5A and 0x41 <= view[i + 1] <= 0x5A


def _scrub_run(view: "memoryview", start: int) -> int:
    """Masks the digits from `start` if they are enough for a card number; gives where to go on.
    One separator between digits does not end a run.
    """
    places = []
    end = i = start
    while i < len(view):
        if 0x30 <= view[i] <= 0x39:
            places.append(i)
            end = i + 1
        elif i != end or view[i] not in b" -.?":
            break
        i += 1
    if len(places) >= 13:
        _mask(view, places)
    return end


def _mask(view: "memoryview", places: "list[int]") -> None:
    """Hides a card number whose digits stand at `places`, and the track that goes on behind it."""
    count = len(places)
    for i in range(count):
        if count > 19 or hidden(i, count):
            view[places[i]] = _STAR
    end = places[-1] + 1
    if end < len(view) and view[end] in b"=^Dd":
        wipe(view[end:])


def _scrub_spread(view: "memoryview") -> bool:
    """Masks card numbers whose digits are set apart by whatever is no letter; whether there were
    some. Dates and sums look the same, so only with the right check digit.
    """
    found = False
    places = []
    for i in range(len(view) + 1):
        byte = view[i] if i < len(view) else 0x41
        if 0x30 <= byte <= 0x39:
            places.append(i)
        elif (
            0x41 <= byte & 0xDF <= 0x5A
            or (byte == _STAR and i and view[i - 1] == _STAR)  # masked already
            or (byte == 0x3A and _minutes(view, i + 1))
        ):
            if len(places) >= 13 and _mask_spread(view, places):
                found = True
            places = []
    return found


def _minutes(view: "memoryview", i: int) -> bool:
    """Two digits stand there and no third: a time of day."""
    for place in range(i, i + 3):
        digit = place < len(view) and 0x30 <= view[place] <= 0x39
        if digit != (place < i + 2):
            return False
    return True


def _mask_spread(view: "memoryview", places: "list[int]") -> bool:
    """Any groups of these digits that are a card number together; whether there were some."""
    groups = [0]
    for i in range(1, len(places)):
        if places[i] != places[i - 1] + 1:
            groups.append(i)
    groups.append(len(places))
    found = False
    for i in range(len(groups) - 1):
        start = groups[i]
        if view[places[start]] not in b"23456":
            continue
        for end in groups[i + 1 : i + 20]:
            if 13 <= end - start <= 19 and _luhn(bytes([view[p] for p in places[start:end]])):
                _mask(view, places[start:end])
                found = True
    return found
