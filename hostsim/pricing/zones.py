"""IANA zone names as POSIX TZ strings, for the firmware that knows only these.

The footer of the zone's TZif file (RFC 8536 3.3) holds the rules of now and later. For a record of
the past it may be wrong, so it is used only where it gives what the zone's own table gives for
every hour of the record; else a string is made for this record from the table: one change of the
clock, or none. A record with more changes than one that the rules of today do not describe is
refused.
"""

from __future__ import annotations

import io
import struct
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import resources
from pathlib import Path


class ZoneError(ValueError):
    """The zone is not known, or its past does not fit a POSIX TZ string."""


def _footer(name: str) -> str:
    for base in zoneinfo.TZPATH:
        path = Path(base) / name
        if path.is_file():
            data = path.read_bytes()
            break
    else:
        data = (resources.files("tzdata.zoneinfo") / name).read_bytes()
    return data.rsplit(b"\n", 2)[1].decode("ascii") if data.endswith(b"\n") else ""


def _by_rules(footer: str) -> tzinfo:
    """A zone that has nothing but a footer's rules, as a TZif file without transitions."""
    empty = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 0, 0)
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    body = struct.pack(">lBB", 0, 0, 0) + b"UTC\0"
    data = empty + header + body + b"\n" + footer.encode("ascii") + b"\n"
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(data))


def _offset_text(seconds: int) -> str:
    """An offset east of UTC as POSIX writes it: west positive."""
    sign = "-" if seconds > 0 else ""
    value = abs(seconds)
    return f"{sign}{value // 3600}:{value // 60 % 60:02d}:{value % 60:02d}"


def _offsets(zone: tzinfo, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """(instant, offset in seconds) at the start and after each change up to the end."""

    def offset(at: datetime) -> int:
        found = at.astimezone(zone).utcoffset()
        return int(found.total_seconds()) if found is not None else 0

    changes = [(start, offset(start))]
    at = start
    while at < end:
        after = min(at + timedelta(hours=1), end)
        if offset(after) != changes[-1][1]:
            low, high = at, after
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
                low, high = (middle, high) if offset(middle) == changes[-1][1] else (low, middle)
            changes.append((high, offset(high)))
        at = after
    return changes


def _made(changes: list[tuple[datetime, int]]) -> str:
    """A POSIX string that is right from the first instant to the last change and on for half a
    year.
    """
    before = changes[0][1]
    if len(changes) == 1:
        return f"<LMT>{_offset_text(before)}"
    at, after = changes[1]
    local = at.replace(tzinfo=None) + timedelta(seconds=before)
    day = local.timetuple().tm_yday - 1
    clock = local.hour * 3600 + local.minute * 60 + local.second
    back = (day + 180) % 365
    rule = f"{day}/{clock // 3600}:{clock // 60 % 60:02d}:{clock % 60:02d}"
    return f"<STD>{_offset_text(before)}<DST>{_offset_text(after)},{rule},{back}/0"


def posix(name: str, start: datetime, end: datetime) -> str:
    """The POSIX TZ string of an IANA zone that is right from start to end (aware datetimes).

    A name that is a POSIX string already is given back as it is. Raises ZoneError.
    """
    if "," in name or any(char.isdigit() for char in name.partition("/")[0]):
        return name
    try:
        zone = zoneinfo.ZoneInfo(name)
        footer = _footer(name)
    except (zoneinfo.ZoneInfoNotFoundError, FileNotFoundError, ValueError, OSError) as error:
        raise ZoneError(f"--tz: unknown time zone (given {name})") from error
    start = start.astimezone(UTC) - timedelta(days=1)
    end = end.astimezone(UTC) + timedelta(days=1)
    changes = _offsets(zone, start, end)
    if footer and _offsets(_by_rules(footer), start, end) == changes:
        return footer
    if len(changes) > 2:
        raise ZoneError(
            f"--tz: {name} changed its clock {len(changes) - 1} times during the record"
        )
    return _made(changes)
