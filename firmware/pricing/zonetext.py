"""Reads a POSIX TZ string (IEEE Std 1003.1, 8.3; RFC 8536 3.3.1) for calendar.TimeZone."""

from firmware.errors import FieldError


def parse(text: str) -> tuple[int, int | None, tuple[int, ...], tuple[int, ...]]:
    """(standard offset, daylight offset or None, rule of its start, of its end), east in seconds.

    A rule is (month, week, day, second), or (0, Julian day, 0, second), or (-1, day of the year,
    0, second). Raises FieldError (field `tz`) when the string is malformed.
    """
    return _Text(text).zone()


class _Text:
    """The rest of the string that is still to be read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = text

    def zone(self) -> tuple[int, int | None, tuple[int, ...], tuple[int, ...]]:
        """The whole string."""
        self._name()
        std = -self._clock(24)
        if not self._rest:
            return std, None, (), ()
        dst = std + 3600
        self._name()
        if self._rest and self._rest[0] != ",":
            dst = -self._clock(24)
        self._rest = self._rest or ",M3.2.0,M11.1.0"
        start = self._rule()
        end = self._rule()
        if self._rest:
            self._bad()
        return std, dst, start, end

    def _bad(self) -> None:
        raise FieldError(
            "tz", "must be a POSIX TZ string such as CET-1CEST,M3.5.0,M10.5.0/3", self._text
        )

    def _name(self) -> None:
        text = self._rest
        if text[:1] == "<":
            end = text.find(">")
            name, self._rest = text[1:end], text[end + 1 :] if end > 0 else ""
        else:
            end = 0
            while end < len(text) and text[end].isalpha():
                end += 1
            name, self._rest = text[:end], text[end:]
        if len(name) < 3:
            self._bad()

    def _int(self, high: int) -> int:
        end = 0
        while end < len(self._rest) and self._rest[end].isdigit():
            end += 1
        if not 0 < end < 4 or int(self._rest[:end]) > high:
            self._bad()
        found = int(self._rest[:end])
        self._rest = self._rest[end:]
        return found

    def _skip(self, char: str) -> bool:
        if self._rest[:1] != char:
            return False
        self._rest = self._rest[1:]
        return True

    def _clock(self, hours: int) -> int:
        minus = self._skip("-")
        if not minus:
            self._skip("+")
        seconds = self._int(hours) * 3600
        if self._skip(":"):
            seconds += self._int(59) * 60
            if self._skip(":"):
                seconds += self._int(59)
        return -seconds if minus else seconds

    def _rule(self) -> tuple[int, ...]:
        if not self._skip(","):
            self._bad()
        if self._skip("M"):
            month = self._int(12)
            week = self._int(5) if self._skip(".") else 0
            day = self._int(6) if self._skip(".") else 9
            if not month or not week or day > 6:
                self._bad()
            rule = (month, week, day)
        elif self._skip("J"):
            rule = (0, self._int(365), 0)
            if not rule[1]:
                self._bad()
        else:
            rule = (-1, self._int(365), 0)
        return rule + (self._clock(167) if self._skip("/") else 7200,)
