"""Makes new inputs from old ones, the same on MicroPython and CPython for the same seed."""

import json

EDGES: "tuple" = tuple(
    [2**bits + more for bits in (31, 32, 53, 63, 64) for more in (-2, -1, 0, 1)]
)
"""Numbers at which something that counts in so many bits goes over."""

LENGTHS = (32, 48, 64, 120, 255, 256, 511, 1008)  # texts have limits at and near these
_BYTES = b"\x00\x01\x02\x06\x10\x15\x1f\x20\x7e\x7f\x80\x81\x82\xa7\xfe\xff"
_NUMBERS = (
    b"0", b"-1", b"1", b"1e9", b"0.5", b"1.0", b"-0", b"007", b"255", b"256", b"65536",
    b"99999999999999999999999999", b"1e400", b"null", b"true", b"[]", b"{}", b'""',
) + tuple([str(n).encode() for n in EDGES])  # fmt: skip
_LONGEST = 4096
_DEEP = "@deep"  # stands for lists in lists
_DEPTHS = (2, 4, 5, 6, 60, 400, 3000)
_VALUES: "tuple" = (
    0, 1, -1, 2**70, 0.5, -0.0, 1e22, 1e-9, None, True, False, "", "0", "x",
    "\u20ac" * 40, [], {}, [[]], {"a": 1}, [None] * 40, "a\nb", "\u0000", _DEEP,
)  # fmt: skip


class Dice:
    """A small generator of its own: MicroPython's random has another sequence."""

    def __init__(self, seed: int):
        self._x = (seed * 2654435761 + 88172645463325252) & 0xFFFFFFFFFFFFFFFF or 1

    def below(self, n: int) -> int:
        x = self._x
        x ^= (x << 13) & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 7
        x ^= (x << 17) & 0xFFFFFFFFFFFFFFFF
        self._x = x
        return (x >> 11) % n

    def choice(self, items):
        return items[self.below(len(items))]

    def octets(self, n: int) -> bytes:
        return bytes([self.below(256) for _ in range(n)])


def lebs() -> tuple:
    """The edges as LEB128."""
    return tuple([leb(n) for n in EDGES])


def leb(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text_of(dice: Dice) -> str:
    """A text as long as some limit, in characters or in bytes, or one more or less."""
    n = dice.choice(LENGTHS) + dice.below(3) - 1
    what = dice.choice(("y", "\u00e9", "\u20ac", "\U0001f600"))
    if dice.below(2):
        return what * n
    wide = len(what.encode())
    return what * (n // wide) + "y" * (n % wide)


def mutated(dice: Dice, corpus: list, words) -> bytearray:
    """One to eight changes to an input of the corpus; `words`: what the format is made of."""
    data = bytearray(dice.choice(corpus))
    for _ in range(1 + dice.below(1 + dice.below(8))):
        _OPERATIONS[dice.below(len(_OPERATIONS))](dice, data, corpus, words)
    data[_LONGEST:] = b""
    return data


def tree_mutated(dice: Dice, text, words=()) -> "bytearray | None":
    """A JSON text with one to three of its values changed, moved or left out; None: it is none.
    `words`: values that mean something to who reads it.
    """
    try:
        tree = json.loads(bytes(text))
        places: "list[tuple]" = []
        if isinstance(tree, (dict, list)):
            _places(tree, places)
        if not places:
            return None
        for _ in range(1 + dice.below(3)):
            _change(dice, places, words)
        text = json.dumps(tree).encode()
    except (ValueError, RuntimeError):  # no JSON, or too deep for it
        return None
    if _DEEP in str(text):
        n = dice.choice(_DEPTHS)
        text = text.replace(b'"' + _DEEP.encode() + b'"', b"[" * n + b"]" * n)
    return bytearray(text)


def _change(dice, places, words) -> None:
    owner, key = dice.choice(places)
    what = dice.below(8)
    if isinstance(owner, dict) and what < 2:
        owner.pop(key, None)
        if what:
            owner[str(key) + "_"] = 1
    elif what < 6:
        owner[key] = _value(dice, words)
    else:
        other, at = dice.choice(places)
        try:
            owner[key] = json.loads(json.dumps(other[at]))
        except (KeyError, IndexError):
            owner[key] = dice.below(1000)


def _value(dice, words):
    what = dice.below(8)
    if what < 2:
        return dice.choice(EDGES)
    if what < 3:
        return text_of(dice)
    if what < 5 and words:
        return dice.choice(words)
    return dice.choice(_VALUES)


def _places(tree, found):
    """(owner, key) of every value in a tree."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        found.append((tree, key))
        if isinstance(tree[key], (dict, list)):
            _places(tree[key], found)


def _at(dice: Dice, data) -> int:
    return dice.below(len(data)) if data else 0


def _flip(dice, data, corpus, words):
    if data:
        data[_at(dice, data)] ^= 1 << dice.below(8)


def _set(dice, data, corpus, words):
    if data:
        at = _at(dice, data)
        data[at] = dice.choice(_BYTES) if dice.below(2) else dice.below(256)


def _count(dice, data, corpus, words):
    """A byte a little larger or smaller: lengths and counters."""
    if data:
        at = _at(dice, data)
        data[at] = (data[at] + dice.below(9) - 4) & 255


def _insert(dice, data, corpus, words):
    at = _at(dice, data)
    data[at:at] = dice.octets(1 + dice.below(1 + dice.below(16)))


def _remove(dice, data, corpus, words):
    at = _at(dice, data)
    end = at + 1 + dice.below(1 + dice.below(16))
    data[at:] = data[end:]


def _cut(dice, data, corpus, words):
    at = _at(dice, data)
    data[at:] = b""


def _repeat(dice, data, corpus, words):
    at = _at(dice, data)
    end = at + 1 + dice.below(16)
    piece = bytes(data[at:end])
    data[at:at] = piece * (1 + dice.below(1 + dice.below(20)))


def _splice(dice, data, corpus, words):
    """The end of another input, or a piece of it."""
    other = dice.choice(corpus)
    if len(other):
        start = dice.below(len(other))
        at = _at(dice, data)
        if dice.below(2):
            data[at:] = other[start:]
        else:
            data[at:at] = other[start : start + 1 + dice.below(32)]


def _word(dice, data, corpus, words):
    if words:
        at = _at(dice, data)
        end = at + dice.below(4)
        data[at:end] = dice.choice(words)


def _number(dice, data, corpus, words):
    """A number in a text becomes another one."""
    start = _at(dice, data)
    at = start
    while at < len(data) and not 48 <= data[at] <= 57:
        at += 1
    end = at
    while end < len(data) and (48 <= data[end] <= 57 or data[end] in b".eE+-"):
        end += 1
    if end > at:
        data[at:end] = dice.choice(_NUMBERS)


_OPERATIONS = (_flip, _flip, _set, _set, _count, _insert, _remove, _cut, _repeat, _splice,
               _word, _word, _number)  # fmt: skip
