"""The VAT of credit notes is the bill's: of one rate, of discounts, of what is above the price."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from firmware.ledger import credit, refunds
from firmware.pricing.calendar import TimeZone
from firmware.pricing.engine import Engine
from firmware.pricing.tariff import Tariff
from firmware.session import closing
from hostsim.backoffice import figures, refund_vat
from hostsim.backoffice.bills import make
from hostsim.backoffice.invoices import find, verify
from hostsim.backoffice.operator import Operator
from tests.backoffice import desk
from tests.backoffice.desk import Ledger, Visitor, fill
from tests.backoffice.test_backoffice_vat import Delivered

Rows = dict[int, list[int]]


class Record:
    """As much of a ledger's record as refunds._take reads."""

    def __init__(self, kind: str, **fields: Any) -> None:
        self.kind, self.fields, self.seq, self.at = kind, fields, 1, 1


def bill(dice: random.Random, tax: str) -> dict[str, Any]:
    """A `priced` record's fields of a random session with one rate, by the firmware."""
    rate = dice.choice((7.0, 19.0, 5.5, 20.0, 8.1))
    parts = ("ENERGY", "FLAT", "TIME")[: dice.randrange(1, 4)]
    text = {
        "country_code": "DE", "party_id": "FCT", "id": "X", "currency": "EUR",
        "last_updated": "2026-01-01T00:00:00Z", "tax_included": tax,
        "elements": [{"price_components": [
            {"type": kind, "price": dice.randrange(1, 9999) / 10_000, "vat": rate, "step_size": 1}
            for kind in parts
        ]}],
    }  # fmt: skip
    engine = Engine(Tariff.from_json(json.dumps(text)), TimeZone("UTC0"), lambda *_: None)
    wh, ms = dice.randrange(100, 60_000), dice.randrange(60_000, 20_000_000)
    engine.start(1_767_225_600_000, True)
    engine.tick(ms // 2, wh * 1000, 1, -1, -1)
    engine.finish(1_767_225_600_000 + ms, wh * 1000, False)
    done = Delivered(engine, register_wh=wh, elapsed_ms=ms)
    return closing.priced(done, done, 1, "EUR", (0, 0, 0)) | {"sess": 1}


def cut(dice: random.Random, total: int) -> list[int]:
    """An amount in one to four parts."""
    marks = sorted(dice.sample(range(1, total), min(dice.randrange(4), total - 1)))
    return [b - a for a, b in zip([0, *marks], [*marks, total], strict=True)]


def charged(fields: dict[str, Any], given: list[list[int]]) -> dict[str, Any]:
    """What the charger reads in its flash of a sale and the refunds that are done."""
    sale = refunds.begin("new", 99, 1, 0)
    for lines in given:
        refunds._take(sale, Record(
            "refunded", refund="R", sess=1, receipt_no=1, amount_minor=sum(lines[3::4]),
            net_minor=sum(lines[1::4]), vat_minor=sum(lines[2::4]), lines=lines,
        ), 0, [])  # fmt: skip
    refunds._take(sale, Record("priced", **fields), 0, [])
    return sale


@pytest.mark.parametrize("tax", ["YES", "NO"])
def test_parts_of_a_bill_of_one_rate_add_up_to_its_net_and_vat(tax: str) -> None:
    dice = random.Random(tax)
    differs = 0
    for _ in range(40):
        fields = bill(dice, tax)
        total = fields["total_minor"]
        if total < 2:
            continue
        groups = figures.vat_groups(fields)
        rate = groups[0][0]
        differs += figures.net_of(figures.Decimal(total), rate, 0) != fields["net_minor"]
        given: list[list[int]] = []
        for amount in cut(dice, total):
            before = {rate: sum(row[3] for row in given)}
            taxed = {rate: sum(row[2] for row in given)}
            row = credit.lines(charged(fields, given), before[rate], amount)
            assert row == refund_vat.split(groups, before, amount, {}, taxed), "both alike"
            assert row[0] == rate and min(row[1:]) >= 0 and row[1] + row[2] == row[3] == amount
            given.append(row)
        assert sum(row[1] for row in given) == fields["net_minor"]
        assert sum(row[2] for row in given) == fields["vat_minor"]
    assert (differs > 0) == (tax == "NO"), differs


@pytest.mark.parametrize("seed", range(20))
def test_what_older_firmware_gave_back_is_made_good_by_the_last_part(seed: int) -> None:
    dice = random.Random(seed)
    fields = bill(dice, "NO")
    total = max(fields["total_minor"], 2)
    groups = figures.vat_groups(fields)
    rate, _, _, gross = groups[0]
    first = dice.randrange(1, total)
    net = int(figures.net_of(figures.Decimal(first), rate, 0))
    old = [rate, net, first - net, first]
    row = credit.lines(charged(fields, [old]), first, gross - first)
    assert row[2] == fields["vat_minor"] - old[2] and row[3] == gross - first
    assert row == refund_vat.split(groups, {rate: first}, gross - first, {}, {rate: old[2]})


# -- documents


def sale(ledger: Ledger, total: int, net: int, lines: list[int], vat: list[int], how: str) -> None:
    ledger.hold(1)
    ledger.records[-1] |= {"method": "rfid", "reference": "anna"} if how == "account" else {}
    ledger.authorised(1).energising(1)
    ledger.put("power_off", sess=1, register_wh=2000, elapsed_ms=3_600_000, reason="unplugged")
    ledger.priced(1, total, net_minor=net, vat_minor=total - net, lines=lines, vat=vat)
    ledger.records[-1]["version"] = 2
    ledger.captured(1, captured=total, released=6000 - total)
    ledger.records[-1]["how"] = how


def give(ledger: Ledger, name: str, number: int, lines: list[int], way: str = "reversal") -> None:
    """A refund that is done; the charger's record says these lines."""
    ledger.refund_asked(name, 1, sum(lines[3::4]))
    ledger.records[-1]["way"] = way
    ledger.refunded(name, 1, sum(lines[3::4]))
    ledger.records[-1] |= {
        "way": way, "credit_no": number, "lines": lines,
        "net_minor": sum(lines[1::4]), "vat_minor": sum(lines[2::4]),
    }  # fmt: skip


@pytest.mark.parametrize("how", ["direct", "account"])
@pytest.mark.parametrize("parts", [[114], [60, 54], [1, 50, 13, 50]])
def test_credit_notes_of_one_rate_are_the_invoice_whatever_the_charger_wrote(
    tmp_path: Path, how: str, parts: list[int]
) -> None:
    office = desk.office(tmp_path, Operator())
    ledger = Ledger()
    sale(ledger, 114, 95, [0, 1_000_000, 11_400, 190_000, 114], [], how)
    for number, gross in enumerate(parts, 1):
        net = int(figures.net_of(figures.Decimal(gross), 190_000, 0))  # as it was until 0.1.0
        way = "account" if how == "account" else "reversal"
        give(ledger, f"R{number}", number, [190_000, net, gross - net, gross], way)
    fill(office, ledger)
    assert {p["code"] for p in office.problems()} <= {"refund_unknown"}  # nobody here asked
    rows = [x["document"]["vat"][0] for x in find.by_session(office.engine, 1)]
    assert rows[0] == [190_000, 95, 19, 114] and len(rows) == 1 + len(parts)
    assert [sum(row[at] for row in rows) for at in (1, 2, 3)] == [0, 0, 0]
    assert all(max(row[1:]) <= 0 for row in rows[1:])
    assert verify.verify(office.engine).good
    if how == "account":
        with make.Db(office.engine) as db:
            items = [*make._sessions(db, 2**50), *make._refunds(db, 2**50)]
        assert len(items) == 1 + len(parts) and make._vat(items) == [[190_000, 0, 0, 0]]
    office.close()


DISCOUNT = [
    0, 1_000_000, 100_000, 190_000, 1000, 3, 1, 57_000, 190_000, 570,
    2, 3_600_000, 107_000, 70_000, 1070, 9, 0, -1, 70_000, -200,
]  # fmt: skip
RATES = [70_000, 813, 57, 870, 190_000, 1319, 251, 1570]


def test_a_line_below_zero_is_given_back_at_its_own_vat(tmp_path: Path) -> None:
    office = desk.office(tmp_path, Operator(approve_above_minor=100_000))
    ledger = Ledger()
    sale(ledger, 2440, 813 + 1319, DISCOUNT, RATES, "direct")
    fill(office, ledger)
    visitor = Visitor(office).log_in("support")
    visitor.submit("/sessions/1/refund", "/sessions/1/refund", what="lines", line=["0", "3"],
                   reason="goodwill", once="R1")  # fmt: skip
    assert office.refunds.follow("R1")["amount_minor"] == 800
    give(ledger, "R1", 1, [70_000, 267, 18, 285, 190_000, 433, 82, 515])
    give(ledger, "R2", 2, [70_000, 546, 39, 585, 190_000, 886, 169, 1055])
    fill(office, ledger)
    rows = [x["document"]["vat"] for x in find.by_session(office.engine, 1)]
    assert rows[1] == [[70_000, 187, 13, 200], [190_000, -840, -160, -1000]]
    assert rows[2] == [[70_000, -1000, -70, -1070], [190_000, -479, -91, -570]]
    assert verify.verify(office.engine).good
    assert {p["code"] for p in office.problems()} <= {"refund_unknown"}  # R2
    office.close()


def test_chosen_lines_and_parts_add_up_to_the_bill_rate_by_rate() -> None:
    dice = random.Random(6)
    groups = figures.fours(RATES)
    for _ in range(200):
        left = dict(enumerate(priced_lines(DISCOUNT)))
        before: dict[int, int] = {}
        sums: Rows = {row[0]: [0, 0, 0] for row in groups}
        todo = 2440
        while todo:
            some = dice.sample(sorted(left), dice.randrange(len(left) + 1))
            chosen: dict[int, int] = {}
            for line in some:
                rate, gross = left[line]
                chosen[rate] = chosen.get(rate, 0) + gross
            amount = sum(chosen.values())
            if not 0 < amount <= todo:
                chosen, amount = {}, dice.randrange(1, todo + 1)
            else:
                left = {line: left[line] for line in left if line not in some}
            found = refund_vat.split(groups, before, amount, chosen)
            assert sum(found[3::4]) == amount
            for rate, *three in figures.fours(found):
                assert rate in sums and three[0] + three[1] == three[2]
                assert all(n * three[2] >= 0 for n in three), "one sign"
                sums[rate] = [a + b for a, b in zip(sums[rate], three, strict=True)]
                before[rate] = before.get(rate, 0) + three[2]
            todo -= amount
        assert sums == {row[0]: row[1:] for row in groups}


def priced_lines(lines: list[int]) -> list[tuple[int, int]]:
    return [(lines[at + 3], lines[at + 4]) for at in range(0, len(lines), 5)]


def test_in_what_goes_back_beyond_the_bill_there_is_no_vat() -> None:
    found = refund_vat.split([[190_000, 95, 19, 114]], {}, 150, {})
    assert found == [190_000, 95, 19, 114, -1, 36, 0, 36]


def test_what_was_above_the_price_has_no_vat_when_the_flash_is_gone(tmp_path: Path) -> None:
    office = desk.office(tmp_path, Operator())
    ledger = Ledger().hold(1).authorised(1).energising(1)
    ledger.put("power_off", sess=1, register_wh=2000, elapsed_ms=3_600_000, reason="unplugged")
    ledger.priced(1)
    ledger.captured(1, captured=150, released=5850)
    ledger.records[-1]["how"] = "direct"
    fill(office, ledger)
    name = "above_price-71-1"
    ledger.refund_asked(name, 1, 31)
    ledger.records[-1] |= {"way": "acquirer", "reason": "above_price", "command": ""}
    ledger.put("refund_sent", refund=name, sess=1, amount_minor=31, way="acquirer", receipt=0,
               trace=0)  # fmt: skip
    fill(office, ledger, Ledger(72).session(1))
    order = "above_price-CP1-71-1"
    office.refunds.confirm(order, accepted=True, operator="fin", reference="ARN")
    assert office.refunds.follow(order)["state"] == "done"
    rows = [x["document"]["vat"] for x in find.by_session(office.engine, 1)]
    assert rows == [[[190_000, 100, 19, 119]], [[-1, -31, 0, -31]]]
    assert verify.verify(office.engine).good
    office.close()
