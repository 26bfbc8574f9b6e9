"""A small strict JSON reader (RFC 8259) that keeps numbers as the text they were written in.

MicroPython's own json turns 0.1 into a float, on boards a 32-bit one, so no price may pass through
it. Limits: 48 KB of text, 12 levels. A list can be taken item by item, so that a long tariff need
not stand in memory as a tree.
"""

from micropython import const

from firmware.errors import FieldError

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_BYTES = 49152
MAX_DEPTH = 12
_ESCAPES = {98: "\b", 102: "\f", 110: "\n", 114: "\r", 116: "\t", 34: '"', 92: "\\", 47: "/"}


class Num:
    """A JSON number, as its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Reader:
    """Reads one JSON document; every refusal is a FieldError with the position."""

    def __init__(self, source: str | bytes, longest: int = MAX_BYTES) -> None:
        data = source.encode() if isinstance(source, str) else source
        if len(data) > longest:
            raise FieldError("json", f"longer than {longest} bytes", len(data))
        self._data = data
        self._at = 3 if data[:3] == b"\xef\xbb\xbf" else 0
        self._depth = 0

    def _fail(self, reason: str) -> None:
        raise FieldError("json", f"{reason} at byte {self._at}")

    def peek(self) -> int:
        """The next character that is not white space; -1 at the end."""
        data = self._data
        at = self._at
        while at < len(data) and data[at] in b" \t\r\n":
            at += 1
        self._at = at
        return data[at] if at < len(data) else -1

    def _take(self, char: int) -> None:
        if self.peek() != char:
            self._fail(f"'{chr(char)}' expected")
        self._at += 1

    def _enter(self, char: int) -> None:
        self._take(char)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail("nested too deep")

    def members(self) -> "Iterator[str]":
        """Yield each key of the object that starts here; the caller reads each value before the
        next.
        """
        self._enter(123)
        seen = set()
        if self.peek() != 125:
            while True:
                key = self._string()
                if key in seen:
                    self._fail(f"'{key}' given twice")
                seen.add(key)
                self._take(58)
                yield key
                if self.peek() != 44:
                    break
                self._at += 1
        self._take(125)
        self._depth -= 1

    def items(self, field: str = "json") -> "Iterator[int]":
        """Yield the index of each item of the list that starts here; the caller reads the item."""
        if self.peek() != 91:
            raise FieldError(field, "must be a list")
        self._enter(91)
        index = 0
        if self.peek() != 93:
            while True:
                yield index
                index += 1
                if self.peek() != 44:
                    break
                self._at += 1
        self._take(93)
        self._depth -= 1

    def value(self) -> "Any":
        """Read the value that starts here: dict, list, str, Num, True, False or None."""
        char = self.peek()
        if char == 34:
            return self._string()
        if char == 123:
            found = {}
            for key in self.members():
                found[key] = self.value()
            return found
        if char == 91:
            return [self.value() for _ in self.items()]
        return self._word()

    def end(self) -> None:
        """Say that the document must be over."""
        if self.peek() != -1:
            self._fail("nothing more expected")

    def _word(self) -> "Any":
        start = at = self._at
        data = self._data
        while at < len(data) and data[at] not in b" \t\r\n,]}:":
            at += 1
        text = str(data[start:at], "utf-8") if at > start and max(data[start:at]) < 128 else ""
        for word, found in (("true", True), ("false", False), ("null", None)):
            if text == word:
                self._at = at
                return found
        if not _is_number(text):
            self._fail("a value expected")
        self._at = at
        return Num(text)

    def _string(self) -> str:
        self._take(34)
        data = self._data
        start = self._at
        out = None
        while True:
            at = self._at
            if at >= len(data) or data[at] < 32:
                self._fail("unfinished string")
            char = data[at]
            if char == 34:
                self._at = at + 1
                piece = self._text(start, at)
                return piece if out is None else out + piece
            self._at = at + 1
            if char == 92:
                out = (out or "") + self._text(start, at) + self._escape()
                start = self._at

    def _text(self, start: int, end: int) -> str:
        try:
            return str(self._data[start:end], "utf-8")
        except UnicodeError:
            self._at = start
            self._fail("text that is not UTF-8")
            return ""

    def _escape(self) -> str:
        char = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        if char != 117:
            if char not in _ESCAPES:
                self._fail("unknown escape")
            return _ESCAPES[char]
        code = self._hex4()
        if 0xD800 <= code < 0xDC00 and self._data[self._at : self._at + 2] == b"\\u":
            self._at += 2
            low = self._hex4()
            code = (
                0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) if low >> 10 == 55 else 0xD800
            )
        if 0xD800 <= code < 0xE000:
            self._fail("half a surrogate pair")
        return chr(code)

    def _hex4(self) -> int:
        code = 0
        for _ in range(4):
            char = self._data[self._at] if self._at < len(self._data) else 0
            digit = b"0123456789abcdef".find(bytes((char | 32 if char > 64 else char,)))
            if digit < 0:
                self._fail("four hexadecimal digits expected")
            code = code * 16 + digit
            self._at += 1
        return code


def _is_number(text: str) -> bool:
    body = text[1:] if text[:1] == "-" else text
    body = body.lower()
    mantissa, e, power = body.partition("e")
    whole, dot, fraction = mantissa.partition(".")
    if e:
        power = power[1:] if power[:1] in ("+", "-") and power else power
    if not whole or (e and not power) or (dot and not fraction):
        return False
    if len(whole) > 1 and whole[0] == "0":
        return False
    for char in whole + fraction + power:
        if not "0" <= char <= "9":
            return False
    return True


def loads(source: str | bytes) -> "Any":
    """Read a whole document; numbers come as Num. Raises FieldError with the position."""
    reader = Reader(source)
    found = reader.value()
    reader.end()
    return found
