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
# as many digits as numbers have that begin with 2 to 6: 8 * count + the first of them
_LENGTHS = b"\x82\x73\x7b\x83\x9b\x6c\x84\x9c\x85\x9d\x86\x8e\x96\x9e"
# a card name is kept only when it is a scheme's, not what else a terminal may write there
_SCHEMES = (
    "mastercard maestro visa v_pay vpay girocard american amex jcb diners discover "
    "union eurocard ec- bancontact carte_banc debit credit"
)
_HIGH = b"\x81\x84\x8e\x94\x99\x9a\xe1"  # üäÄöÖÜß in CP 437


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
    whole = bytes(view).hex() or ""  # MicroPython: b"" of none
    text = (whole.replace("d", "f") if track else whole).split("f")[0]
    count = len(text)
    if track or count > 19:
        wipe(view, _WIDE)
        if count > 19 or count == len(whole):
            return ""
    shown = ""
    for i in range(count):
        shown += "e" if text[i] > "9" or hidden(i, count) else text[i]
    if not track:
        view[:] = bytes.fromhex(shown + whole[count:])
    return shown.replace("e", "*")


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
        _scrub(view)
    out = bytearray()
    for byte in view:
        if byte > 127:
            out.append(0xC3)  # all of these begin so in UTF-8
            byte = b"\xbc\xa4\x84\xb6\x96\x9c\x9f"[_HIGH.find(bytes((byte,)))]
        out.append(byte)
    return out.decode().rstrip()


def scrub_lines(text: str) -> str:
    """The same of texts that were scrubbed each by itself: no number comes of two."""
    raw = bytearray(text.encode())
    return raw.decode() if _scrub(memoryview(raw)) else text


def take_name(view: "memoryview") -> str:
    """A card scheme's name, or "card" (and nothing left in the view) when it is none known."""
    text = take_text(view).strip()
    low = text.lower()
    shown = "card"
    for scheme in _SCHEMES.split(" "):
        if scheme.replace("_", " ") in low:
            if len(text) <= 16:
                return text
            shown = scheme
            break
    wipe(view)
    return shown


def take_token(view: "memoryview") -> str:
    """A number-like text (authorisation code, merchant number): letters and digits, at least one
    digit, and no card number; else "", and nothing left in the view. 15 digits that begin as
    card numbers do keep their first six and last four.
    """
    text = take_text(view, False).strip()
    raw = text.encode()
    places = []
    for i in range(len(raw)):
        if 0x30 <= raw[i] <= 0x39:
            places.append(i)
        elif not 0x41 <= raw[i] & 0xDF <= 0x5A:
            places = []
            break
    count = len(places)
    if not count or (count > 12 and _luhn(raw, places)):
        wipe(view)
        return ""
    # in 15 bytes a card number of 16 digits has lost its check digit; letters may set one apart
    if count < len(text) or (count == 15 and ("3" <= text < "7" or "2221" <= text < "2721")):
        text = take_text(view).strip()
    return text


def _luhn(raw: "bytes | memoryview", places: "list[int]") -> bool:
    """Whether these digits end in a card number's check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for i in range(len(places)):
        digit = raw[places[-1 - i]] & 15
        total += digit
        if i & 1:
            total += digit + digit // 5  # of twice the digit both figures
    return total % 10 == 0


def _scrub(view: "memoryview") -> bool:
    """Masks card numbers, tracks and names of a text; whether there were numbers.

    Digits belong together until a letter, two stars, or a word that is a date, time or sum ends
    them: 30.11.2026, 2026-11-30, 14:05:33, 1.234,56; 14:05, 12,34. It has ten characters at most,
    and two signs or one before its last two digits.
    """
    found = False
    groups: "list[list[int]]" = []  # of digits: their places
    word = 0  # the first of its groups
    apart = True
    for i in range(len(view) + 1):
        byte = view[i] if i < len(view) else 0x61
        if 0x30 <= byte <= 0x39:
            if apart:
                groups.append([])
                apart = False
            groups[-1].append(i)
        elif byte != 0x3F:
            apart = True
            if byte in b",-./:":
                continue
            signs = len(groups) - word - 1
            if 0 < signs < 3:
                last = groups[-1][-1]
                if last - groups[word][0] < 10 and (signs == 2 or view[last - 2] in b",.:"):
                    groups = groups[:word]
                    byte = 0x61
            if 0x41 <= byte & 0xDF <= 0x5A or (byte == _STAR and i and view[i - 1] == _STAR):
                found = _numbers(view, groups) or found
                groups = []
                # SURNAME/FIRST, as tracks carry it
                if byte < 0x5B and i > 1 and view[i - 1] == 0x2F and 0x41 <= view[i - 2] <= 0x5A:
                    wipe(view)
            word = len(groups)
    return found


def _numbers(view: "memoryview", groups: "list[list[int]]") -> bool:
    """Masks those of these groups that are a card number together; whether there were some. One
    group is enough without a check digit, but for an application's id (A00000..., D27600...).
    """
    found = False
    for i in range(len(groups)):
        places = []
        for group in groups[i : i + 19]:
            places += group
            start = 0
            while start < len(places) and view[places[start]] == 0x30:
                start += 1  # a card number does not begin with 0
            places = places[start:]
            count = len(places)
            one = group is groups[i]
            if count > 12 and (
                (one and (count > 19 or bytes(view[: group[0] + 3])[-4:] not in b"A000D276"))
                or (
                    count < 20
                    and (one or count << 3 | view[places[0]] & 7 in _LENGTHS)
                    and _luhn(view, places)
                )
            ):
                found = True
                for k in range(count):
                    if count > 19 or hidden(k, count):
                        view[places[k]] = _STAR
                start = places[-1] + 1
                if bytes(view[start : start + 1]) in b"=^Dd":  # the track goes on
                    wipe(view[start:])
    return found
