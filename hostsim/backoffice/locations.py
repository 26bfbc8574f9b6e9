"""Where a charger stands and what its connector is, as CDRs say it: operator.toml's `location`
for all chargers, and `chargers.NAME`, whose fields go over it.

Source: OCPI 2.2.1, mod_cdrs, "CdrLocation"; mod_locations, "GeoLocation", "ConnectorType",
"ConnectorFormat", "PowerType"; eMI3 part 2, "EVSE ID".
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

_LENGTHS = {"id": 36, "name": 255, "address": 45, "city": 45, "postal_code": 10}
_FORMATS = ("SOCKET", "CABLE")
_POWER = ("AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC")
_STANDARDS = (
    *"CHADEMO CHAOJI GBT_AC GBT_DC".split(),
    *(f"DOMESTIC_{letter}" for letter in "ABCDEFGHIJKLMNO"),
    *(f"IEC_60309_2_{kind}" for kind in "single_16 three_16 three_32 three_64".split()),
    *(f"IEC_62196_{kind}" for kind in "T1 T1_COMBO T2 T2_COMBO T3A T3C".split()),
    *(f"NEMA_{kind}" for kind in "5_20 6_30 6_50 10_30 10_50 14_30 14_50".split()),
    *"PANTOGRAPH_BOTTOM_UP PANTOGRAPH_TOP_DOWN TESLA_R TESLA_S".split(),
)
_CHOICES = {
    "connector_standard": _STANDARDS,
    "connector_format": _FORMATS,
    "connector_power_type": _POWER,
}
_SHAPES = {
    "country": (r"[A-Z]{3}", "must be three capital letters (ISO 3166-1 alpha-3)"),
    "latitude": (r"-?[0-9]{1,2}\.[0-9]{5,7}", "must be text as 50.770774, 5 to 7 decimals"),
    "longitude": (r"-?[0-9]{1,3}\.[0-9]{5,7}", "must be text as -126.104965, 5 to 7 decimals"),
    "evse_id": (r"[A-Z]{2}\*?[A-Z0-9]{3}\*?E[A-Z0-9][A-Z0-9*]{0,30}", "must be as DE*ABC*E1*2"),
}
_DEGREES = {"latitude": 90, "longitude": 180}
_CHARGER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


class LocationError(ValueError):
    """A field of a location is wrong; str() names it and what is allowed."""


@dataclass(frozen=True)
class Location:
    """`id`: "" for the charger's name. `evse_id`: "" for one made of the charger's name. Degrees
    are WGS 84, as text."""

    address: str
    city: str
    country: str
    latitude: str
    longitude: str
    connector_standard: str
    connector_format: str
    connector_power_type: str
    id: str = ""
    name: str = ""
    postal_code: str = ""
    evse_id: str = ""

    @property
    def given(self) -> bool:
        """By the operator: these are no placeholders."""
        return self != NOT_GIVEN


NOT_GIVEN = Location(
    address="not given",
    city="not given",
    country="ZZZ",
    latitude="0.00000",
    longitude="0.00000",
    connector_standard="IEC_62196_T2",
    connector_format="SOCKET",
    connector_power_type="AC_3_PHASE",
)
"""Of OCPI's form and recognisable: ZZZ is nobody's code (ISO 3166-1, user-assigned). The enums
have no value for "unknown": a CDR with it says in its remark that these are placeholders."""
DEMO = Location(
    id="demo-site",
    name="Forecourt demo site",
    address="Musterstrasse 1",
    city="Musterstadt",
    postal_code="12345",
    country="DEU",
    latitude="51.000000",
    longitude="10.000000",
    connector_standard="IEC_62196_T2",
    connector_format="SOCKET",
    connector_power_type="AC_3_PHASE",
)
"""The simulator's: made up."""
_FIELDS = tuple(field.name for field in dataclasses.fields(Location))
_NEEDED = tuple(
    field.name for field in dataclasses.fields(Location) if field.default is dataclasses.MISSING
)


def read(common: Any, chargers: Any) -> tuple[Location | None, dict[str, Location]]:
    """The default and the chargers' own from the two tables, {} for one that is not there.
    Raises LocationError."""
    base = _table("location", common)
    if "evse_id" in base:
        raise LocationError("location.evse_id: is one charger's, under chargers")
    default = _whole("location", base) if base else None
    if not isinstance(chargers, dict):
        raise LocationError("chargers: must be a table")
    own: dict[str, Location] = {}
    seen: dict[str, str] = {}
    for name, value in chargers.items():
        where = f"chargers.{name}"
        if not _CHARGER.fullmatch(name):
            raise LocationError(f"{where}: is not a charger's name")
        own[name] = _whole(where, base | _table(where, value))
        evse_id = own[name].evse_id.replace("*", "")
        if evse_id and evse_id in seen:
            raise LocationError(f"{where}.evse_id: is that of {seen[evse_id]}")
        seen[evse_id] = name
    return default, own


def _table(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise LocationError(f"{where}: must be a table")
    for name, text in value.items():
        if name not in _FIELDS:
            raise LocationError(f"{where}.{name}: is not a field; there are {', '.join(_FIELDS)}")
        fault = _fault(name, text)
        if fault:
            raise LocationError(f"{where}.{name}: {fault} (given {text!r})")
    return value


def _whole(where: str, fields: dict[str, str]) -> Location:
    for name in _NEEDED:
        if name not in fields:
            raise LocationError(f"{where}.{name}: is missing")
    return Location(**fields)


def _fault(name: str, text: Any) -> str:
    if name in _CHOICES:
        return "" if text in _CHOICES[name] else f"must be one of {', '.join(_CHOICES[name])}"
    if name in _LENGTHS:
        good = isinstance(text, str) and text.strip() and text.isprintable()
        longest = _LENGTHS[name]
        return "" if good and len(text) <= longest else f"must be text of 1 to {longest}"
    shape, rule = _SHAPES[name]
    if not isinstance(text, str) or not re.fullmatch(shape, text):
        return rule
    most = _DEGREES.get(name)
    return f"must be -{most} to {most}" if most and abs(float(text)) > most else ""


def cdr_location(
    location: Location, charger: str, connector: int, country: str, party: str
) -> dict[str, Any]:
    """OCPI's CdrLocation; a charger is one EVSE. `country` (alpha-2) and `party`: the CPO's."""
    evse_id = location.evse_id or f"{country}*{party}*E" + re.sub(
        "[^A-Z0-9]", "*", charger.upper()
    )
    found: dict[str, Any] = {"id": location.id or charger}
    if location.name:
        found["name"] = location.name
    found |= {"address": location.address, "city": location.city}
    if location.postal_code:
        found["postal_code"] = location.postal_code
    return found | {
        "country": location.country,
        "coordinates": {"latitude": location.latitude, "longitude": location.longitude},
        "evse_uid": charger,
        "evse_id": evse_id,
        "connector_id": str(connector),
        "connector_standard": location.connector_standard,
        "connector_format": location.connector_format,
        "connector_power_type": location.connector_power_type,
    }
