"""Reads an OCPI Tariff object into a Tariff, element by element, so that no tree of it is built.

Needed only when a tariff arrives: Tariff.from_json leaves it, fields and jsontext again afterwards.
"""

from micropython import const

from firmware.errors import FieldError
from firmware.pricing import fields
from firmware.pricing.jsontext import Reader

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.tariff import Tariff

_MAX_COMPONENTS = const(240)
_MIN_MS = const(4)  # kinds of restrictions below it are of the calendar (tariff.py)
_TYPES = ("AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR")
_TAX = ("NO", "YES", "N/A")
_TAX_NA = const(2)


def read(tariff: "Tariff", source: str | bytes) -> None:
    """Fill a Tariff from JSON. Raises FieldError naming the field, what it must be and what came."""
    reader = Reader(source)
    for key in reader.members():
        if key == "elements":
            for index in reader.items():
                _element(tariff, reader.value(), f"elements[{index}]")
        else:
            _member(tariff, key, reader.value())
    reader.end()
    _finish(tariff)


def _member(tariff: "Tariff", key: str, value: object) -> None:
    if key in ("id", "tariff_alt_url", "country_code", "party_id", "currency", "type"):
        _text(tariff, key, value)
    elif key == "tax_included":
        tariff.tax = _TAX.index(fields.choice(value, key, _TAX))
    elif key in ("min_price", "max_price"):
        if value is not None:
            if key == "min_price":
                tariff.min_price = fields.limit(value, key)
            else:
                tariff.max_price = fields.limit(value, key)
    elif key in ("start_date_time", "end_date_time", "last_updated"):
        if value is not None:
            when = fields.parse_instant(fields.text(value, key, 40), key)
            if key == "start_date_time":
                tariff.start_ms = when
            elif key == "end_date_time":
                tariff.end_ms = when
    elif key == "tariff_alt_text":
        tariff.alt_text = fields.display_texts(value, key)
    elif key == "energy_mix":
        if value is not None and not isinstance(value, dict):
            raise FieldError(key, "must be an object", value)
    elif key == "preauthorize_amount":
        if value is not None:
            fields.number(value, 4, key)
    else:
        _extension(tariff, key, value)


def _text(tariff: "Tariff", key: str, value: object) -> None:
    if value is None and key in ("tariff_alt_url", "type"):
        return
    if key == "id":
        tariff.id = fields.text(value, key, 36)
    elif key == "tariff_alt_url":
        tariff.alt_url = fields.text(value, key, 255)
    elif key == "type":
        tariff.type = fields.choice(value, key, _TYPES)
    elif key == "currency":
        tariff.currency = fields.currency(value, key)
    else:
        fields.text(value, key, 2 if key == "country_code" else 3)


def _extension(tariff: "Tariff", key: str, value: object) -> None:
    """The x_ fields: what OCPI has no word for (docs/pricing.md, "Extensions")."""
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


def _element(tariff: "Tariff", value: object, path: str) -> None:
    fields.only(value, path, ("price_components", "restrictions"))
    element = len(tariff.rules)
    given = value.get("restrictions")
    rule, reservation = (
        fields.restrictions(given, path + ".restrictions") if given else ((), "")
    )
    tariff.rules.append(rule)
    components = value.get("price_components")
    if not isinstance(components, list) or not components:
        raise FieldError(
            path + ".price_components", "must be a list of at least one", components
        )
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
    rates = {c[2] for c in tariff.components if bits >> c[0] & 1}
    if len(rates) > 1:
        raise FieldError("x_caps", "needs one vat for all components it caps", sorted(rates))


def _cuts(tariff: "Tariff") -> None:
    minutes: set[int] = set()
    cuts = [set(), set(), set(), set()]  # ms, mWh, mA, W
    for rule in tariff.rules + ([(0, tariff.sleep)] if tariff.sleep >= 0 else []):
        for at in range(0, len(rule), 2):
            kind = rule[at]
            if kind == 0:
                minutes.add(rule[at + 1] // 2048)
                minutes.add(rule[at + 1] % 2048)
            elif kind < _MIN_MS:
                tariff.cut_midnight = True
                minutes.add(0)
            else:
                cuts[(kind - _MIN_MS) // 2].add(rule[at + 1])
    if tariff.free_mwh:
        cuts[1].add(tariff.free_mwh)
    tariff.cut_minutes = sorted(minutes)
    tariff.cut_ms, tariff.cut_mwh, tariff.cut_ma, tariff.cut_w = [sorted(found) for found in cuts]
    tariff.time_dependent = bool(minutes)
    tariff.needs_power = bool(tariff.cut_ma or tariff.cut_w)
