"""A back office whose members charge on account, for the tests of monthly invoices."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice.members import Members
from hostsim.backoffice.reports import roll
from tests.gateway.pay import CHARGER, TILL, House

ACCOUNT = "ACME-7"
DAY_MS = 86_400_000


@contextlib.contextmanager
def house(directory: Path, **operator: Any) -> Iterator[House]:
    """With two members, in May; records are dated by its clock."""
    found = House(directory, TILL, **operator)
    members = Members(found.office.engine, lambda: found.ms)
    members.add(ACCOUNT, name="Acme fleet", address="Hafen 1", vat_id="DE1", by="anna")
    members.add("OTHER-1", by="anna")
    found.ms = int(datetime.datetime(2026, 5, 20, tzinfo=datetime.UTC).timestamp() * 1000)
    put = found.station.put
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            found.station, "put", lambda kind, **fields: put(kind, **{"at": found.ms, **fields})
        )
        yield found
    found.close()


def session(house: House, total: int, account: str = ACCOUNT) -> None:
    """A session of a member's card; records are dated by the house's clock."""
    station = house.station
    before = len(station.records)
    station.begin("rfid", account, 6000)
    station.charge(total)
    assert len(station.records) > before


def next_month(house: House) -> None:
    house.ms += 20 * DAY_MS
    house.office.bills.work()


def account(house: House, name: str = ACCOUNT) -> dict[str, Any]:
    return next(a for a in house.office.bills.accounts() if a["account"] == name)


def vat(house: House) -> list[dict[str, Any]]:
    """What the tax office is told of the whole time."""
    roll.catch_up(house.office.engine, house.office.operator.zone)
    with house.office.engine.connect() as db:
        query = "SELECT kind, documents, gross_minor, tax_minor FROM stat_vat"
        return [dict(row._mapping) for row in db.exec_driver_sql(query)]


def refund(house: House, amount: int, receipt: int = 1) -> None:
    """Given back on account."""
    identity = house.office.refunds.request(
        CHARGER, receipt=receipt, amount_minor=amount, reason="goodwill", operator="anna"
    )
    house.office.refunds.approve(identity, "bert")
    house.station.obey()
    house.office.refunds.tend()
    house.station.obey()
    assert house.office.refunds.follow(identity)["state"] == "done"


def paid(house: House, token: str = "P") -> dict[str, Any]:
    """The newest bill, paid by its member."""
    bill = house.office.bills.listed(ACCOUNT)[0]
    address = f"/bill/{bill['number']}/{bill['check']}"
    house.browser.post(address, data={"token": token * 43, "method": "coin"})
    house.turn()
    house.office.bills.work()
    return house.office.bills.listed(ACCOUNT)[0]
