"""Field by field: the values of a tariff checked and turned into integers.

Every function takes what jsontext read and the field's path, and raises FieldError with that path.
Source of the fields: OCPI 2.2.1 and 2.3.0, mod_tariffs, section "Data types". Decimals may be JSON
numbers or strings that hold one.
"""

from micropython import const

from firmware.errors import FieldError
from firmware.pricing import decimals
from firmware.pricing.calendar import DAY_S, days_of, month_days
from firmware.pricing.jsontext import Num

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any

_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_DIMENSIONS = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")
# Restriction: (kind in tariff.py, decimals carried, what the value is multiplied by)
_BOUNDS = {
    "min_duration": (4, 0, 1000), "max_duration": (5, 0, 1000),
    "min_kwh": (6, 6, 1), "max_kwh": (7, 6, 1),
    "min_current": (8, 3, 1), "max_current": (9, 3, 1),
    "min_power": (10, 3, 1), "max_power": (11, 3, 1),
}  # fmt: skip
_DAY_MINUTES = const(1440)
_HIGHEST = const(1000000000000)


def only(value: "Any", path: str, known: tuple[str, ...]) -> None:
    """The value must be an object with no other than the known fields."""
    if not isinstance(value, dict):
        raise FieldError(path, "must be an object", value)
    for key in value:
        if key not in known:
            raise FieldError(f"{path}.{key}", "unknown field")


def text(value: "Any", path: str, longest: int) -> str:
    """A string of at most so many characters."""
    if not isinstance(value, str) or len(value) > longest:
        raise FieldError(path, f"must be a text of at most {longest} characters", value)
    return value


def choice(value: "Any", path: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise FieldError(path, "must be one of " + ", ".join(allowed), value)
    return value


def currency(value: "Any", path: str) -> str:
    """An ISO 4217 code."""
    code = text(value, path, 3)
    if len(code) != 3 or not (code.isalpha() and code == code.upper()):
        raise FieldError(path, "must be an ISO 4217 code", value)
    return code


def number(value: "Any", places: int, path: str) -> int:
    """A decimal that is not negative, as an integer of 10**-places."""
    if not isinstance(value, (Num, str)):
        raise FieldError(path, "must be a number", value)
    found = decimals.decimal(str(value), places, path)
    if found > _HIGHEST:
        raise FieldError(path, "is too large", value)
    return found


def whole(value: "Any", path: str) -> int:
    """An integer that is not negative."""
    return number(value, 0, path)


def limit(value: "Any", path: str) -> tuple[int, int]:
    """A Price (2.2.1) or PriceLimit (2.3.0) as (without tax, with tax), -1 where not given."""
    only(value, path, ("excl_vat", "incl_vat", "before_taxes", "after_taxes"))
    new = "before_taxes" in value or "after_taxes" in value
    if new and ("excl_vat" in value or "incl_vat" in value):
        raise FieldError(path, "must be a Price or a PriceLimit, not both")
    found = []
    for key in ("before_taxes", "after_taxes") if new else ("excl_vat", "incl_vat"):
        given = value.get(key)
        found.append(-1 if given is None else number(given, 4, f"{path}.{key}"))
    if found[0] < 0 and found[1] < 0:
        raise FieldError(path, "must give an amount")
    if 0 <= found[1] < found[0]:
        raise FieldError(path, "must not be lower with tax than without")
    return found[0], found[1]


def display_texts(value: "Any", path: str) -> list[tuple[str, str]]:
    """A list of DisplayText as (language, text)."""
    found = []
    if not isinstance(value, list):
        raise FieldError(path, "must be a list", value)
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        only(item, here, ("language", "text"))
        language = text(item.get("language"), here + ".language", 2)
        found.append((language, text(item.get("text"), here + ".text", 512)))
    return found


def component(value: "Any", path: str, reservation: str) -> tuple[int, ...]:
    """A PriceComponent as (dimension, price, vat or -1, step_size); see tariff.py."""
    only(value, path, ("type", "price", "vat", "step_size"))
    dimension = _DIMENSIONS.index(choice(value.get("type"), path + ".type", _DIMENSIONS))
    if reservation:
        if dimension in (0, 2):
            raise FieldError(
                path + ".type", "must be TIME or FLAT in a reservation", value["type"]
            )
        dimension = (4 if dimension == 1 else 5) + (
            2 if reservation == "RESERVATION_EXPIRES" else 0
        )
    price = number(value.get("price"), 4, path + ".price")
    vat = value.get("vat")
    rate = -1 if vat is None else number(vat, 4, path + ".vat")
    if rate > 1000000:
        raise FieldError(path + ".vat", "must be at most 100 percent", vat)
    step = value.get("step_size")
    return dimension, price, rate, 1 if step is None else whole(step, path + ".step_size")


def restrictions(value: "Any", path: str) -> tuple[tuple[int, ...], str]:
    """TariffRestrictions as (kind, value, ...) and the reservation word; kinds as in tariff.py."""
    if not isinstance(value, dict):
        raise FieldError(path, "must be an object", value)
    found: list[int] = []
    reservation = ""
    for key in sorted(value):
        given = value[key]
        here = f"{path}.{key}"
        if given is None or key in ("start_time", "end_time"):
            continue
        if key in _BOUNDS:
            kind, places, factor = _BOUNDS[key]
            found += [kind, number(given, places, here) * factor]
        elif key == "day_of_week":
            bits = _weekdays(given, here)
            if bits not in (0, 127):
                found += [1, bits]
        elif key in ("start_date", "end_date"):
            found += [2 if key == "start_date" else 3, parse_date(text(given, here, 10), here)]
        elif key == "reservation":
            reservation = choice(given, here, ("RESERVATION", "RESERVATION_EXPIRES"))
        else:
            raise FieldError(here, "unknown field")
    window = _window(value, path)
    if window >= 0:
        found += [0, window]
    return tuple(found), reservation


def can_hold(rule: tuple[int, ...], value: "Any", path: str) -> None:
    """`rule` is what `restrictions` made of `value`. One that never holds sells nothing: a minimum
    is inclusive, a maximum and end_date are exclusive (OCPI 2.2.1 mod_tariffs,
    TariffRestrictions), so that equal never holds either."""
    found = {rule[at]: rule[at + 1] for at in range(0, len(rule), 2)}
    for key in value:
        kind = 3 if key == "end_date" else _BOUNDS[key][0] if key in _BOUNDS else 0
        low = kind - 1 in found
        if value[key] is None or not kind & 1 or (kind == 3 and not low):
            continue
        if found[kind] <= found.get(kind - 1, 0):
            least = "start_date" if kind == 3 else "min" + key[3:] if low else "0"
            word = "after " if kind == 3 else "above "
            raise FieldError(f"{path}.{key}", f"must be {word}{least}", value[key])


def _weekdays(value: "Any", path: str) -> int:
    if not isinstance(value, list):
        raise FieldError(path, "must be a list", value)
    bits = 0
    for index, day in enumerate(value):
        bits |= 1 << _DAYS.index(choice(day, f"{path}[{index}]", _DAYS))
    return bits


def _window(value: "Any", path: str) -> int:
    """start_time and end_time as start * 2048 + end; -1 for the whole day."""
    start, end = value.get("start_time"), value.get("end_time")
    first = (
        0
        if start is None
        else parse_time(text(start, path + ".start_time", 5), path + ".start_time")
    )
    last = 0 if end is None else parse_time(text(end, path + ".end_time", 5), path + ".end_time")
    if first == last:
        return -1
    return first * 2048 + (last or _DAY_MINUTES)


def caps(value: "Any", path: str) -> list[tuple[int, int]]:
    """x_caps as (bits of dimensions, amount), single dimensions before the pair."""
    names = ("ENERGY", "TIME", "PARKING_TIME", "TIME+PARKING_TIME")
    only(value, path, names)
    found = []
    for name, bits in zip(names, (1, 2, 4, 6)):
        if value.get(name) is not None:
            found.append((bits, number(value[name], 4, f"{path}.{name}")))
    return found


def sleep(value: "Any", path: str) -> int:
    """x_parking_sleep as start * 2048 + end."""
    only(value, path, ("start_time", "end_time"))
    if value.get("start_time") is None or value.get("end_time") is None:
        raise FieldError(path, "must give start_time and end_time")
    found = _window(value, path)
    if found < 0:
        raise FieldError(path, "must not begin when it ends")
    return found


def parse_time(text: str, field: str) -> int:
    """Read "HH:MM" (OCPI TariffRestrictions) as the minute of the day. Raises FieldError."""
    if len(text) != 5 or text[2] != ":" or not (text[:2].isdigit() and text[3:].isdigit()):
        raise FieldError(field, "must be a time such as 13:30", text)
    minute = int(text[:2]) * 60 + int(text[3:])
    if int(text[:2]) > 23 or int(text[3:]) > 59:
        raise FieldError(field, "must be a time such as 13:30", text)
    return minute


def parse_date(text: str, field: str) -> int:
    """Read "YYYY-MM-DD" as days from 1970-01-01. Raises FieldError."""
    if len(text) == 10 and text[4] == "-" and text[7] == "-":
        if text[:4].isdigit() and text[5:7].isdigit() and text[8:].isdigit():
            year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
            if year > 1900 and 0 < month < 13 and 0 < day <= month_days(year, month):
                return days_of(year, month, day)
    raise FieldError(field, "must be a date such as 2025-12-24", text)


def parse_instant(text: str, field: str) -> int:
    """Read an OCPI DateTime (RFC 3339 in UTC, with or without Z and fraction) as epoch ms.

    Raises FieldError. A fraction beyond milliseconds is cut off; +00:00 is as good as Z.
    """
    body = text[:-1] if text[-1:] == "Z" else text[:-6] if text[-6:] == "+00:00" else text
    body, dot, fraction = body.partition(".")
    good = len(body) == 19 and body[10] in "T " and body[16] == ":" and body[17:].isdigit()
    if not good or (dot and not fraction.isdigit()) or int(body[17:]) > 60:
        raise FieldError(field, "must be a UTC time such as 2025-12-24T18:30:00Z", text)
    seconds = parse_date(body[:10], field) * DAY_S + parse_time(body[11:16], field) * 60
    return (seconds + int(body[17:])) * 1000 + (int((fraction + "000")[:3]) if dot else 0)
