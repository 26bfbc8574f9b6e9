"""Runs under MicroPython, with price_mpy.py: finds the tariff to price a record by, and reads it.

A file holds an OCPI Tariff, a list of them, or an OCPI response whose `data` is one of these. The
tariff itself goes through the charger's own reader. Before that, fields that OCPI does not have
are left out and named in the notes: 2.3.0 (transport_and_format, extensibility) lets nobody refuse
them. An unknown restriction is refused all the same, because a price that overlooks it would be
wrong, and so is an unknown x_ field: those are the charger's own.
"""

from firmware.errors import FieldError, TariffError
from firmware.pricing.fields import parse_instant
from firmware.pricing.jsontext import Num
from firmware.pricing.tariff import Tariff

ELEMENT = ("price_components", "restrictions")
COMPONENT = ("type", "price", "vat", "step_size")
LIMIT = ("excl_vat", "incl_vat", "before_taxes", "after_taxes")
TARIFF = (
    "country_code", "party_id", "id", "currency", "type", "tariff_alt_text", "tariff_alt_url",
    "min_price", "max_price", "preauthorize_amount", "elements", "tax_included",
    "start_date_time", "end_date_time", "energy_mix", "last_updated",
)  # fmt: skip
TEXT = ("language", "text")


def load(reader):
    """The tariffs of a file as a list of objects. Raises FieldError."""
    found = reader.value()
    reader.end()
    if isinstance(found, dict) and "data" in found and "elements" not in found:
        found = found["data"]
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list) or not found:
        raise FieldError("tariff", "must be a Tariff object or a list of them")
    for index, one in enumerate(found):
        if not isinstance(one, dict):
            raise FieldError(f"[{index}]", "must be a Tariff object", one)
    return found


def choose(tariffs, ids, start_ms):
    """The one the record's periods name, else the first valid at its start. Raises FieldError."""
    if len(tariffs) == 1:
        return tariffs[0]
    named = [one for one in tariffs if one.get("id") in ids]
    if len(named) > 1:
        raise FieldError(
            "charging_periods", "must name one tariff: it never changes during a session",
            ", ".join(sorted(ids)),
        )  # fmt: skip
    for one in named or tariffs:
        if named or _valid(one, start_ms):
            return one
    raise FieldError("tariff", f"none of the {len(tariffs)} was valid at the session's start")


def _valid(one, start_ms):
    start, end = [
        parse_instant(given, key) if isinstance(given, str) else None
        for key, given in [(key, one.get(key)) for key in ("start_date_time", "end_date_time")]
    ]
    return (start is None or start <= start_ms) and (end is None or start_ms < end)


def read(given):
    """(Tariff, notes: the fields left out, why a charger would not take it) of an object. Raises
    FieldError, TariffError."""
    left_out = []
    _keep(given, "", TARIFF, left_out)
    for key in ("min_price", "max_price"):
        _keep(given.get(key), key + ".", LIMIT, left_out)
    for at, text in _each(given, "tariff_alt_text"):
        _keep(text, at, TEXT, left_out)
    for at, element in _each(given, "elements"):
        _keep(element, at, ELEMENT, left_out)
        for inner, component in _each(element, "price_components"):
            _keep(component, at + inner, COMPONENT, left_out)
    text = _text(given)
    notes = [f"tariff: {path} is no field of OCPI and was left out" for path in left_out]
    try:
        return Tariff.from_json(text), notes
    except TariffError as e:
        tariff = Tariff.from_json(text, True)  # a session of the past was sold by it
        notes.append(f"tariff: {e}: that element never holds; a charger refuses such a tariff")
        return tariff, notes


def _each(given, key):
    items = given.get(key) if isinstance(given, dict) else None
    if not isinstance(items, list):
        return []
    return [(f"{key}[{index}].", item) for index, item in enumerate(items)]


def _keep(given, path, known, left_out):
    if isinstance(given, dict):
        for key in list(given):
            if key not in known and not (key.startswith("x_") and not path):
                left_out.append(path + key)
                del given[key]


def _text(value):
    """JSON text of what jsontext read, numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join([_text(key) + ":" + _text(value[key]) for key in value]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_text(item) for item in value]) + "]"
    if isinstance(value, Num):
        return value.text
    if isinstance(value, str):
        return '"' + "".join([_char(char) for char in value]) + '"'
    return "null" if value is None else "true" if value else "false"


def _char(char):
    if char in '"\\':
        return "\\" + char
    return f"\\u{ord(char):04x}" if ord(char) < 32 else char
