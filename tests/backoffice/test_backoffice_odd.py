"""Bills and captures that no charger of ours writes: refused where it cannot be said what was
taken, shown where it can. What a charger does write is neither.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from hostsim.backoffice import odd, views
from hostsim.backoffice.likely import unlikely
from hostsim.backoffice.models import Record, writing
from hostsim.backoffice.tables import Rollout, TariffVersion
from hostsim.fleet.records import VirtualLedger
from hostsim.ledgerimage import read_image
from tests.backoffice.records import Inbox, Ledger
from tests.backoffice.test_backoffice_vat import priced
from tests.backoffice.test_refund_vat import bill
from tests.mpy import ROOT

HOLD, BILL, CAPTURE = 0, 4, 5
DAY_MS = 86_400_000


def taken(inbox: Inbox, at: int, **changes: Any) -> dict[str, Any]:
    """A good session with one record changed: the books."""
    records = Ledger().session(1).records
    records[at] |= changes
    inbox.take(*records)
    return inbox.books()


@pytest.mark.parametrize(
    ("at", "changes", "said"),
    [
        (BILL, {"currency": "USD"}, "priced in 'USD', the hold is in EUR"),
        (BILL, {"currency": ""}, "priced in '', the hold is in EUR"),
        (BILL, {"lines": [0, -1_000_000, 1000, 190_000, 119]}, "a quantity of -1000000"),
        (BILL, {"lines": [0, 1_000_000, 11_900, 9 * 10**9, 119]}, "VAT of 9000000000"),
        (BILL, {"lines": [0, 1_000_000, 11_900, -2, 119]}, "VAT of -2"),
        (BILL, {"lines": [0, 1, 1, 119]}, "groups of five"),
        (CAPTURE, {"how": "gateway"}, "taken by 'gateway', the session's method is bank"),
        (CAPTURE, {"how": "account"}, "taken by 'account', the session's method is bank"),
        (HOLD, {"method": "rfid"}, "taken by '', the session's method is rfid"),
        (HOLD, {"method": "gateway"}, "taken by '', the session's method is gateway"),
    ],
)
def test_what_leaves_open_what_was_taken_or_where_is_impossible(
    inbox: Inbox, at: int, changes: dict[str, Any], said: str
) -> None:
    books = taken(inbox, at, **changes)
    shown = views.problems(inbox.engine)[-1]
    assert shown["code"] == "impossible" and said in shown["detail"]
    assert books["captured_minor"] == 0


@pytest.mark.parametrize(
    ("at", "changes", "said"),
    [
        (BILL, {"receipt_no": 0}, "receipt number 0"),
        (BILL, {"end_at": 1_767_225_599_999}, "it ends before it starts"),
        (BILL, {"lines": [0, 100_000_000, 119, 190_000, 119]}, "100000000 mWh are on the lines"),
        (BILL, {"lines": [0, 1_000_000, 11_900_000, 190_000, 119]}, "at 11900000 are not 119"),
        (BILL, {"lines": [0, 1_000_000, 12_100, 190_000, 119]}, "at 12100 are not 119"),
        (BILL, {"lines": [99, 1_000_000, 11_900, 190_000, 119]}, "a line of kind 99"),
        (BILL, {"net_minor": 119, "vat_minor": 0}, "net 119 and VAT 0 do not fit"),
        (BILL, {"net_minor": 97, "vat_minor": 22}, "net 97 and VAT 22 do not fit"),
    ],
)
def test_a_bill_that_does_not_explain_its_price_is_shown_and_booked(
    inbox: Inbox, at: int, changes: dict[str, Any], said: str
) -> None:
    """The terminal took that much, whatever the lines say."""
    books = taken(inbox, at, **changes)
    (shown,) = views.problems(inbox.engine)
    assert shown["code"] == "odd_record" and said in shown["detail"]
    assert books["captured_minor"] == 119 and shown["session"] == 1


def test_a_way_of_capture_nobody_knows_is_shown_and_booked(inbox: Inbox) -> None:
    ledger = Ledger().session(1)
    ledger.records[HOLD]["method"] = "card"
    ledger.records[CAPTURE]["how"] = "zzz"
    inbox.take(*ledger.records)
    assert inbox.problems() == ["odd_record"] and "how 'zzz' is none" in inbox.detail()
    assert inbox.books()["captured_minor"] == 119


def rolled_out(inbox: Inbox, crc: int, state: str, charger: str = "CP1") -> None:
    with writing(inbox.engine) as db:
        db.add(TariffVersion(id=crc, tariff="T1", crc=crc, currency="EUR", payload="{}",
                             created_at=1, created_by="a"))  # fmt: skip
        db.flush()
        db.add(Rollout(version_id=crc, charger=charger, state=state, sent_at=1, sent_by="a"))


@pytest.mark.parametrize(
    ("crc", "state", "odd"),
    [(77, "accepted", True), (77, "sent", False), (5, "accepted", False), (5, "replaced", False)],
)
def test_a_tariff_never_sent_is_shown_once_the_charger_has_taken_one(
    inbox: Inbox, crc: int, state: str, odd: bool
) -> None:
    """Before that it may have one from a technician. The session's tariff is 5."""
    ledger = Ledger().session(1)
    ledger.session(2)
    inbox.take(*ledger.records[:6])
    rolled_out(inbox, crc, state)
    inbox.take(*ledger.records[6:])
    assert inbox.problems() == (["odd_record"] if odd else [])
    assert inbox.books()["captured_minor"] == 238


def line(kind: int, quantity: int, price: int, gross: int, vat: int = 190_000) -> list[int]:
    return [kind, quantity, price, vat, gross]


@pytest.mark.parametrize(
    ("wh", "lines", "net"),
    [
        (7, line(0, 7_000, 5_900, 0), 0),  # rounds to nothing
        (300, [1, 103_740, 48_000, 190_000, 14, 0, 300_000, 5_900, 190_000, 18], 27),
        (12_000, [0, 12_000_000, 5_300, 70_000, 636, 3, 1, 120_400, 190_000, 1_204], 1_606),
        (150_000, line(0, 150_000_000, 4_901, 7_352), 6_178),  # gross of a price without tax
        (1_000, [*line(0, 1_000_000, 5_900, 59), *line(11, 0, -1, -59)], 0),  # waived
        (1_000, [*line(0, 1_000_000, 5_900, 59), *line(9, 0, -1, -9)], 42),  # at the maximum
        (1_000, line(0, 1_000_000, 5_900, 59, vat=-1), 59),  # a rate nobody gave
        (1_200, line(0, 5_000_000, 5_900, 295), 248),  # up to a step of 5 kWh
        (0, line(2, 3_600_000, 60_000, 600), 504),  # the clock was not known: times 0
    ],
)
def test_what_a_charger_writes_is_not_odd(
    inbox: Inbox, wh: int, lines: list[int], net: int
) -> None:
    total = sum(lines[4::5])
    ledger = Ledger().hold(1, 10_000).authorised(1, 10_000).energising(1)
    unknown = {"start_at": 0, "end_at": 0} if not wh else {}
    ledger.priced(1, total=total, end=1000 + wh, lines=lines, net_minor=net,
                  vat_minor=total - net, **unknown)  # fmt: skip
    if total:
        ledger.captured(1, total, 10_000 - total)
    inbox.take(*ledger.records)
    assert [p["detail"] for p in views.problems(inbox.engine)] == []
    assert inbox.books()["captured_minor"] == total


@pytest.mark.parametrize("tax", ["YES", "NO"])
def test_no_bill_of_the_firmware_is_odd_or_impossible(tax: str) -> None:
    for seed in range(120):
        dice = random.Random(seed)
        fields = bill(dice, tax)
        record = Record(type="priced", at=1, payload=fields)
        assert unlikely(record) == "" and list(odd._bill(fields)) == [], fields


def test_no_bill_of_several_rates_limits_and_waived_parts_is_odd() -> None:
    for seed in range(120):
        dice = random.Random(seed)
        fields = priced(dice, dice.choice(((0, 0, 0), (0, 0, 1), (30_000, 0, 0))))
        record = Record(type="priced", at=1, payload=fields)
        assert unlikely(record) == "" and list(odd._bill(fields)) == [], fields


@pytest.mark.parametrize("name", ["format1", "format1_2026_11"])
def test_the_recorded_flashes_have_nothing_impossible_of_these(inbox: Inbox, name: str) -> None:
    """Images of earlier versions. Their bills are made up: they are odd, and booked."""
    image = read_image(ROOT / "tests" / "fixtures" / "ledger" / f"{name}.bin")
    inbox.take(*[{("type" if key == "kind" else key): value for key, value in one.items()}
                 for one in image], charger=name)  # fmt: skip
    shown = views.problems(inbox.engine, name)
    refused = [p["detail"].partition(":")[0] for p in shown if p["code"] == "impossible"]
    assert set(refused) <= {"refund_failed"}, shown
    assert {p["detail"][:6] for p in shown if p["code"] == "odd_record"} <= {"priced"}


def test_a_month_of_a_fleets_records_is_not_odd(inbox: Inbox) -> None:
    ledger = VirtualLedger("CP1", seed=11)
    at = 1_764_000_000_000
    batch: list[tuple[str, bytes]] = []
    for _ in range(120):
        batch += [("CP1", json.dumps(record).encode()) for record in ledger.session(at)]
        at += DAY_MS // 4
    inbox.ingest.take(batch)
    assert [p["detail"] for p in views.problems(inbox.engine)] == []
    assert inbox.books()["captured_minor"] > 10_000
