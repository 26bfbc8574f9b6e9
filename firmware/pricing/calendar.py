"""Civil dates, POSIX time zones and ISO 8601, in integers.

The zone is a POSIX TZ string (IEEE Std 1003.1, 8.3, with the extension of RFC 8536 3.3.1: hours of
a rule from -167 to 167, negative daylight saving), for example "CET-1CEST,M3.5.0,M10.5.0/3".
"""

from firmware.pricing.paper import leave

DAY_S = 86400


def days_of(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the proleptic Gregorian calendar."""
    shifted = year if month > 2 else year - 1
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def date_of(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a count of days from 1970-01-01."""
    days += 719468
    era = days // 146097
    of_era = days - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return (
        year + era * 400 + (1 if month < 3 else 0),
        month,
        of_year - (153 * shifted + 2) // 5 + 1,
    )


def month_days(year: int, month: int) -> int:
    """How many days a month has."""
    if month == 12:
        return 31
    return days_of(year, month + 1, 1) - days_of(year, month, 1)


def weekday(days: int) -> int:
    """Day of the week of a count of days from 1970-01-01: 0 is Monday."""
    return (days + 3) % 7


class TimeZone:
    """Local time by a POSIX TZ string. Raises FieldError (field `tz`) when the string is
    malformed.
    """

    def __init__(self, text: str) -> None:
        from firmware.pricing import zonetext

        try:
            self._std, self._dst, self._start, self._end = zonetext.parse(text)
        finally:
            leave("firmware.pricing.zonetext")
        self.text = text
        self._from = 1
        self._until = 0
        self._offset = self._std

    def offset(self, epoch_s: int) -> int:
        """Seconds that local time is ahead of UTC at an instant."""
        if not self._from <= epoch_s < self._until:
            self._find(epoch_s)
        return self._offset

    def until(self, epoch_s: int) -> int:
        """The next instant (epoch seconds) at which the offset may change; far away when it never
        does.
        """
        self.offset(epoch_s)
        return self._until

    def local(self, epoch_s: int) -> tuple[int, int]:
        """(days from 1970-01-01, second of the day) on the local clock."""
        shown = epoch_s + self.offset(epoch_s)
        days = shown // DAY_S
        return days, shown - days * DAY_S

    def _find(self, epoch_s: int) -> None:
        if self._dst is None:
            self._from, self._until = epoch_s - DAY_S, epoch_s + 400 * 366 * DAY_S
            return
        year = date_of((epoch_s + self._std) // DAY_S)[0]
        changes = []
        for near in range(year - 1, year + 2):
            changes.append((_instant(self._start, near) - self._std, 1))
            changes.append((_instant(self._end, near) - self._dst, 0))
        changes.sort()
        self._from, to_dst = changes[0]
        for at, kind in changes:
            if at > epoch_s:
                self._until = at
                break
            self._from, to_dst = at, kind
        self._offset = self._dst if to_dst else self._std


def _instant(rule: tuple[int, ...], year: int) -> int:
    """Local seconds from the epoch at which a rule of POSIX TZ strikes in a year."""
    month, number, day, clock = rule
    if month > 0:
        first = days_of(year, month, 1)
        sunday_based = (weekday(first) + 1) % 7
        days = first + (day - sunday_based) % 7 + (number - 1) * 7
        if days >= first + month_days(year, month):
            days -= 7
    else:
        days = days_of(year, 1, 1) + number
        if month == 0:
            days -= 1 if number < 60 or month_days(year, 2) == 28 else 0
    return days * DAY_S + clock


def instant_text(epoch_ms: int) -> str:
    """Write epoch ms as an OCPI DateTime; milliseconds only where there are any."""
    seconds = epoch_ms // 1000
    ms = epoch_ms - seconds * 1000
    days = seconds // DAY_S
    rest = seconds - days * DAY_S
    year, month, day = date_of(days)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{clock}" + (f".{ms:03d}Z" if ms else "Z")
