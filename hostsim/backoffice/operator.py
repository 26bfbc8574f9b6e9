"""Who runs the network: what heads an invoice, which local time days are counted in, who must
approve a refund. Read from a TOML file; the first fault names the field, and nothing is taken.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hostsim.backoffice import locations
from hostsim.backoffice.locations import Location

LANGUAGES = ("en", "de", "fr")
_MAX_TEXT = 200
_MAX_NUMBER = 10**9
_TABLES = ("location", "chargers")


class OperatorError(ValueError):
    """A field of the operator's file is wrong; str() names it and what is allowed."""


@dataclass(frozen=True)
class Operator:
    """`address`: lines separated by " / ". `public_url`: where drivers reach the pages, without a
    slash at its end, "" when only known from the request. `proxies`: how many of the operator's
    own stand before the pages, each adding to X-Forwarded-For. Amounts are minor units of
    `currency`, of `approve_above` of the one each is under."""

    name: str = "Forecourt demo operator"
    address: str = "Musterstrasse 1 / 12345 Musterstadt"
    vat_id: str = "DE000000000"
    helpline: str = "+49 000 000000"
    time_zone: str = "Europe/Berlin"
    language: str = "en"
    country: str = "DE"
    party: str = "FCT"
    public_url: str = ""
    currency: str = "EUR"
    approve_above_minor: int = 2000
    approve_above: Mapping[str, int] = field(default_factory=dict, hash=False)
    refund_days: int = 90
    hold_open_h: int = 30
    session_idle_min: int = 30
    session_hours: int = 12
    proxies: int = 0
    gateway: str = ""
    gateway_mode: str = "test"
    gateway_url: str = ""
    gateway_acquires: str = ""
    mail_server: str = ""
    mail_from: str = ""
    pay_hold_minor: int = 6000
    pay_extend_minor: int = 0
    pay_most_minor: int = 0
    bill_min_minor: int = 50
    pay_wait_s: int = 120
    pay_patience_s: int = 900
    pay_confirm_s: int = 900
    pay_give_up_s: int = 60
    pay_silent_s: int = 1800
    pay_alarm_tries: int = 4
    hold_days: int = 7
    hold_alarm_h: int = 24
    location: Location | None = None
    chargers: Mapping[str, Location] = field(default_factory=dict, hash=False)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone days and months are counted in."""
        return ZoneInfo(self.time_zone)

    @property
    def acquires(self) -> frozenset[str]:
        """Terminals whose acquirer the gateway is."""
        names = self.gateway_acquires.split(",") if self.gateway else []
        return frozenset(name.strip() for name in names if name.strip())

    def alone_minor(self, currency: str) -> int:
        """What of one session one person may give back; 0 in a currency that has no limit here."""
        own = self.approve_above_minor if currency == self.currency else 0
        return self.approve_above.get(currency, own)

    def location_of(self, charger: str) -> Location:
        """Its own, else the default, else locations.NOT_GIVEN."""
        return self.chargers.get(charger) or self.location or locations.NOT_GIVEN


def read(path: Path) -> Operator:
    """The operator in a TOML file. Raises OperatorError, OSError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise OperatorError(f"{path.name}: must be TOML ({exc})") from exc
    return of(found)


def of(fields: dict[str, Any]) -> Operator:
    """The operator these fields describe. Raises OperatorError."""
    known = {one.name: one for one in dataclasses.fields(Operator)}
    for name, value in fields.items():
        if name not in known:
            raise OperatorError(f"{name}: is not a field; there are {', '.join(known)}")
        if name in _TABLES:
            continue
        if name == "approve_above":
            _check_limits(value)
            continue
        if isinstance(known[name].default, int):
            least = 0 if known[name].default == 0 else 1
            if type(value) is not int or not least <= value <= _MAX_NUMBER:
                raise OperatorError(
                    f"{name}: must be a whole number of {least} or more (given {value!r})"
                )
        elif not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
            raise OperatorError(f"{name}: must be text of at most {_MAX_TEXT} (given {value!r})")
    try:
        default, own = locations.read(*(fields.get(name, {}) for name in _TABLES))
    except locations.LocationError as exc:
        raise OperatorError(str(exc)) from exc
    operator = Operator(**(fields | {"location": default, "chargers": own}))
    _check(operator)
    return operator


def _check_limits(table: Any) -> None:
    good = isinstance(table, dict) and all(
        re.fullmatch("[A-Z]{3}", name) and type(value) is int and 0 <= value <= _MAX_NUMBER
        for name, value in table.items()
    )
    if not good:
        raise OperatorError(
            f"approve_above: must have whole numbers of 0 or more by currency (given {table!r})"
        )


def _check(o: Operator) -> None:
    try:
        _ = o.zone
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise OperatorError(f"time_zone: must be an IANA name (given {o.time_zone!r})") from exc
    rules = (
        ("name", bool(o.name.strip()), "must not be empty"),
        ("gateway_mode", o.gateway_mode in ("test", "live"), "must be test or live"),
        (
            "pay_most_minor",
            not o.pay_extend_minor or o.pay_most_minor > o.pay_hold_minor,
            "must be above pay_hold_minor where there is pay_extend_minor",
        ),
        ("language", o.language in LANGUAGES, f"must be one of {', '.join(LANGUAGES)}"),
        ("country", bool(re.fullmatch("[A-Z]{2}", o.country)), "must be two capital letters"),
        ("currency", bool(re.fullmatch("[A-Z]{3}", o.currency)), "must be three capital letters"),
        ("party", bool(re.fullmatch("[A-Z0-9]{3}", o.party)), "must be three capitals or digits"),
        (
            "mail_server",
            not o.mail_server or bool(re.fullmatch(r"[^\s:/]+:[0-9]{1,5}", o.mail_server)),
            "must be HOST:PORT",
        ),
        ("mail_from", not o.mail_server or "@" in o.mail_from, "must be an address"),
        (
            "public_url",
            not o.public_url
            or bool(re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?", o.public_url)),
            "must be http(s)://host[:port][/path] without a slash at its end",
        ),
    )
    for name, good, rule in rules:
        if not good:
            raise OperatorError(f"{name}: {rule} (given {getattr(o, name)!r})")
