"""The VAT a bill shows per rate is the charger's: on the invoice, in the sums, in the CDR."""

from __future__ import annotations

import dataclasses
import datetime
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from firmware.pricing.calendar import TimeZone
from firmware.pricing.engine import Engine
from firmware.pricing.tariff import Tariff
from firmware.session import closing
from hostsim.backoffice import cdr, figures, views
from hostsim.backoffice.invoices import document, verify
from hostsim.backoffice.models import writing
from hostsim.backoffice.reports import query, roll
from hostsim.backoffice.reports.period import Days
from hostsim.backoffice.tables import Invoice
from tests.backoffice import desk
from tests.backoffice.records import Ledger


@dataclasses.dataclass
class Delivered:
    """As much of session.data.Session and of running.Bill as `priced` asks for."""

    engine: Engine
    reason: str = "unplugged"
    start_at: int = 1_767_225_600_000
    start_wh: int = 0
    register_wh: int = 0
    elapsed_ms: int = 0
    billed_wh: int = 0
    receipt_no: int = 0
    total_minor: int = 0


def priced(dice: random.Random, rules: tuple[int, int, int] = (0, 0, 0)) -> dict[str, Any]:
    """A `priced` record's fields of a random session of a random tariff, by the firmware."""
    wh, ms = dice.randrange(1, 60_000), dice.randrange(60_000, 20_000_000)
    engine = Engine(Tariff.from_json(json.dumps(tariff(dice))), TimeZone("UTC0"), lambda *_: None)
    engine.start(1_767_225_600_000, True)
    engine.tick(ms // 2, wh * 1000, 1, -1, -1)
    engine.finish(1_767_225_600_000 + ms, wh * 1000, False)
    reason = dice.choice(("unplugged", "fault"))
    done = Delivered(engine, register_wh=wh, elapsed_ms=ms, reason=reason)
    return closing.priced(done, done, 1, "EUR", rules)


def tariff(dice: random.Random) -> dict[str, Any]:
    """One to four rates, with and without tax in the prices, price limits now and then."""
    rates = [dice.choice((7.0, 19.0, 5.5, 0.0, 20.0)) for _ in range(3)]
    found: dict[str, Any] = {
        "country_code": "DE", "party_id": "FCT", "id": "X", "currency": "EUR",
        "last_updated": "2026-01-01T00:00:00Z",
        "elements": [{"price_components": [
            {"type": kind, "price": dice.randrange(1, 9999) / 10_000, "vat": vat, "step_size": 1}
            for kind, vat in zip(("ENERGY", "FLAT", "TIME"), rates, strict=True)
        ]}],
    }  # fmt: skip
    if dice.random() < 0.7:
        found["tax_included"] = dice.choice(("YES", "NO"))
    if dice.random() < 0.3:
        found["max_price"] = {"excl_vat": dice.randrange(100, 900) / 100}
    if dice.random() < 0.3:
        found["min_price"] = {"incl_vat": dice.randrange(100, 900) / 100}
    return found


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20))]
)
def test_the_desks_vat_is_the_chargers_whatever_the_tariff(seed: int) -> None:
    dice = random.Random(seed)
    several = 0
    for _ in range(20):
        fields = priced(dice, dice.choice(((0, 0, 0), (0, 0, 1))))
        shown = figures.vat_groups(fields)
        several += len(shown) > 1
        if fields["vat"]:
            assert shown == figures.fours(fields["vat"])
        for at, name in ((1, "net_minor"), (2, "vat_minor"), (3, "total_minor")):
            assert sum(row[at] for row in shown) == fields[name]
        old = figures.vat_groups(fields | {"vat": []})  # of a charger that did not say them yet
        assert sum(row[1] for row in old) == fields["net_minor"]
        assert [row[3] for row in old] == [row[3] for row in shown]
        assert all(abs(a[1] - b[1]) <= 1 for a, b in zip(old, shown, strict=True))
        parts = cdr._net_parts(fields)
        whole = figures.amount(fields["net_minor"], "EUR")
        assert sum(parts, Decimal(0)) == whole or fields["reason"] == "fault"
    assert several > 7


MIXED: dict[str, Any] = {
    "total": 1840, "net_minor": 1607, "vat_minor": 233,
    "lines": [0, 12_000_000, 5300, 70_000, 636, 3, 1, 120_400, 190_000, 1204],
    "vat": [70_000, 595, 41, 636, 190_000, 1012, 192, 1204],
}  # fmt: skip


def sold(directory: Path, **changes: Any) -> Any:
    """A desk with one sale of two rates."""
    made = desk.office(directory)
    ledger = Ledger()
    ledger.hold(1).authorised(1).energising(1)
    ledger.put("power_off", sess=1, register_wh=2000, elapsed_ms=3_600_000, reason="unplugged")
    ledger.priced(1, **(MIXED | changes))
    ledger.records[-1]["version"] = 2
    ledger.captured(1, captured=1840, released=4160)
    desk.fill(made, ledger)
    return made


def test_an_invoice_the_report_and_the_cdr_have_the_chargers_split(tmp_path: Path) -> None:
    made = sold(tmp_path)
    session = made.sessions()[0]
    with Db(made.engine) as db:
        kept = json.loads(db.scalars(select(Invoice)).one().document)
    assert kept["vat"] == [[70_000, 595, 41, 636], [190_000, 1012, 192, 1204]]
    assert (kept["net_minor"], kept["vat_minor"]) == (1607, 233)
    assert verify.verify(made.engine).faults == []
    zone = made.operator.zone
    roll.catch_up(made.engine, zone)
    days = Days(datetime.date(2025, 12, 1), datetime.date(2026, 12, 31))
    found = query.read(made.engine, zone, days, 2**42, "EUR")
    assert sum(row["net_minor"] for row in found.vat) == found.total["net_minor"] == 1607
    costs = cdr.compose(views.session(made.engine, session["id"]) or {})
    assert costs["total_energy_cost"] == {"excl_vat": Decimal("5.95"), "incl_vat": Decimal("6.36")}
    assert costs["total_fixed_cost"]["excl_vat"] == Decimal("10.12")
    assert costs["total_cost"]["excl_vat"] == Decimal("16.07")
    made.close()


def test_a_bill_whose_rates_do_not_add_up_is_refused(tmp_path: Path) -> None:
    made = sold(tmp_path, vat=[70_000, 594, 42, 636, 190_000, 1012, 192, 1204])
    assert made.sessions()[0]["state"] == "delivered"
    assert any("VAT rates" in problem["detail"] for problem in made.problems())
    made.close()


def test_verify_names_a_document_whose_rates_do_not_add_up(tmp_path: Path) -> None:
    made = sold(tmp_path)
    with writing(made.engine) as db:
        row = db.query(Invoice).one()
        fields = json.loads(row.document)
        fields["vat"][0][1:3] = [594, 42]
        row.document = document.canonical(fields)
        row.hash = document.digest(row.document)
    faults = verify.verify(made.engine).faults
    assert any("rates' net add up to 1606, it says 1607" in fault for fault in faults)
    made.close()
