"""Reads an OCPI Tariff object into a Tariff, element by element, so that no tree of it is built.

Needed only when a tariff arrives: Tariff.from_json leaves it, fields and jsontext again
afterwards.
"""

from micropython import const

from firmware.errors import FieldError
from firmware.pricing import fields
from firmware.pricing.jsontext import Reader

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any

    from firmware.pricing.tariff import Tariff

_MAX_COMPONENTS = const(240)
_MIN_MS = const(4)  # kinds of restrictions below it are of the calendar (tariff.py)
_TYPES = ("AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR")
_TAX = ("NO", "YES", "N/A")
_TEXTS = {"id": 36, "tariff_alt_url": 255, "country_code": 2, "party_id": 3}
_OPTIONAL = (
    "type", "tariff_alt_text", "tariff_alt_url", "min_price", "max_price", "start_date_time",
    "end_date_time", "energy_mix", "preauthorize_amount", "tax_included", "last_updated", "id",
    "country_code", "party_id",
)  # fmt: skip
_TAX_NA = const(2)


def read(tariff: "Tariff", source: str | bytes, stored: bool) -> None:
    """Fill a Tariff from JSON. Raises FieldError: the field, what it must be, what came."""
    reader = Reader(source)
    for key in reader.members():
        if key == "elements":
            for index in reader.items(key):
                _element(tariff, reader.value(), f"elements[{index}]", stored)
        else:
            _member(tariff, key, reader.value())
    reader.end()
    _finish(tariff)


def _member(tariff: "Tariff", key: str, value: "Any") -> None:
    if value is None and key in _OPTIONAL:
        return  # null is as good as absent
    if key in _TEXTS:
        setattr(tariff, key, fields.text(value, key, _TEXTS[key]))
    elif key in ("min_price", "max_price"):
        setattr(tariff, key, fields.limit(value, key))
    elif key in ("start_date_time", "end_date_time", "last_updated"):
        when = fields.parse_instant(fields.text(value, key, 40), key)
        setattr(tariff, key[:-9] + "ms" if key[-9:] == "date_time" else key, when)
    elif key == "tariff_alt_text":
        tariff.tariff_alt_text = fields.display_texts(value, key)
    else:
        _word(tariff, key, value)


def _word(tariff: "Tariff", key: str, value: "Any") -> None:
    if key == "currency":
        tariff.currency = fields.currency(value, key)
    elif key == "type":
        tariff.type = fields.choice(value, key, _TYPES)
    elif key == "tax_included":
        tariff.tax = _TAX.index(fields.choice(value, key, _TAX))
    elif key == "preauthorize_amount":
        fields.number(value, 4, key)
    elif key != "energy_mix" or not isinstance(value, dict):
        _extension(tariff, key, value)


def _extension(tariff: "Tariff", key: str, value: "Any") -> None:
    """The rest: the x_ fields, for which OCPI has no word (docs/pricing.md, "Extensions")."""
    if key == "x_free_kwh":
        tariff.free_mwh = fields.number(value, 6, key)
    elif key == "x_free_minutes":
        tariff.free_ms = fields.whole(value, key) * 60000
    elif key == "x_grace_minutes":
        tariff.grace_ms = fields.whole(value, key) * 60000
    elif key == "x_caps":
        tariff.caps = fields.caps(value, key)
    elif key == "x_parking_sleep":
        tariff.sleep = fields.sleep(value, key)
    else:
        raise FieldError(key, "unknown field")


def _element(tariff: "Tariff", value: "Any", path: str, stored: bool) -> None:
    fields.only(value, path, ("price_components", "restrictions"))
    element = len(tariff.rules)
    given = value.get("restrictions")
    given = {} if given is None else given
    here = path + ".restrictions"
    rule, reservation = fields.restrictions(given, here)
    if not stored:
        fields.can_hold(rule, given, here)
    tariff.rules.append(rule)
    components = value.get("price_components")
    if not isinstance(components, list) or not components:
        raise FieldError(path + ".price_components", "must be a list of at least one", components)
    for index, given in enumerate(components):
        found = fields.component(given, f"{path}.price_components[{index}]", reservation)
        tariff.components.append(found + (element,))
    if len(tariff.components) > _MAX_COMPONENTS:
        raise FieldError(path, f"more than {_MAX_COMPONENTS} price components")


def _finish(tariff: "Tariff") -> None:
    if not tariff.components:
        raise FieldError("elements", "must be a list of at least one")
    if not tariff.currency:
        raise FieldError("currency", "must be given")
    if 0 <= tariff.end_ms <= tariff.start_ms:
        raise FieldError("end_date_time", "must be after start_date_time")
    for side in (0, 1):
        if 0 <= tariff.max_price[side] < tariff.min_price[side]:
            raise FieldError("max_price", "must not be below min_price")
    if tariff.tax == _TAX_NA:
        for component in tariff.components:
            if component[2] > 0:
                raise FieldError("tax_included", "N/A does not go with a vat above 0")
    for bits, _ in tariff.caps:
        _one_vat(tariff, bits)
    _cuts(tariff)


def _one_vat(tariff: "Tariff", bits: int) -> None:
    rates = {c[2] for c in tariff.components if c[1] and bits >> c[0] & 1}
    if len(rates) > 1:
        raise FieldError("x_caps", "needs one vat for all components it caps", sorted(rates))


def _cuts(tariff: "Tariff") -> None:
    minutes: set[int] = set()
    cuts: list[set[int]] = [set(), set(), set(), set()]  # ms, mWh, mA, W
    for rule in tariff.rules + ([(0, tariff.sleep)] if tariff.sleep >= 0 else []):
        for at in range(0, len(rule), 2):
            kind = rule[at]
            if kind == 0:
                minutes.add(rule[at + 1] // 2048)
                minutes.add(rule[at + 1] % 2048)
            elif kind < _MIN_MS:
                minutes.add(0)
            else:
                cuts[(kind - _MIN_MS) // 2].add(rule[at + 1])
    if tariff.free_mwh:
        cuts[1].add(tariff.free_mwh)
    tariff.cut_minutes = sorted(minutes)
    tariff.cut_ms, tariff.cut_mwh, tariff.cut_ma, tariff.cut_w = [sorted(found) for found in cuts]
    tariff.time_dependent = bool(minutes)
    tariff.needs_power = bool(tariff.cut_ma or tariff.cut_w)
