"""A payment is given back for its own session alone, whatever a charger writes; and what a charger
holds while no order of it is here any more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import audit, backup
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import CardSale, Payment
from hostsim.backoffice.models import Refund, RefundOrder, open_database, writing
from hostsim.backoffice.pay_tables import PayRefund
from hostsim.backoffice.refunds import RefundError
from hostsim.backoffice.service import BackOffice, sqlite_url
from hostsim.pki import Pki
from tests.backoffice.desk import Nowhere, Visitor, command_of, fill, needs_micropython, text_of
from tests.backoffice.records import Ledger
from tests.gateway.house_gateway import Till
from tests.gateway.pay import CHARGER, TILL, House, finish, refund_of

pytestmark = needs_micropython
STRANGER = "CP2"
TERMINAL = "52500041"


def till_of(house: House) -> Till:
    found = house.phone.gateway
    assert isinstance(found, Till)
    return found


def refunded(house: House, reference: str) -> int:
    return house.phone.gateway.look_up(reference).refunded_minor


def stranger(over: int, way: str, reference: str = "", **card: str | int) -> Ledger:
    """Another charger's session that says whatever suits it, its refund handed over."""
    ledger = Ledger(4242).hold(1)
    ledger.records[-1] |= {"method": "gateway" if way == "gateway" else "card",
                           "reference": reference}  # fmt: skip
    ledger.authorised(1)
    ledger.records[-1] |= card
    ledger.energising(1)
    ledger.put("power_off", sess=1, register_wh=2000, elapsed_ms=3600000, reason="unplugged")
    ledger.priced(1)
    ledger.captured(1, 119 + over, 5881 - over)
    ledger.records[-1] |= {"how": "direct", "trace": card.get("trace", 0)}
    refund = f"above_price-{ledger.epoch}-1"
    same = {"refund": refund, "sess": 1, "amount_minor": over, "way": way}
    ledger.put("refund_asked", **same, reason="above_price", command="")
    ledger.put("refund_sent", **same, receipt=0, trace=0)
    return ledger


def only_order(house: House, charger: str = STRANGER) -> tuple[str, str]:
    [order] = house.office.refunds.listed(charger)
    return order["refund"], order["state"]


# -- another's payment by phone


def test_no_charger_gives_back_anothers_payment_by_naming_it(house: House) -> None:
    house.started(500)
    reference = house.now().reference
    fill(house.office, stranger(400, "gateway", reference), charger=STRANGER)
    house.turn(4)
    assert refunded(house, reference) == 0
    assert house.office.refunds.listed(STRANGER) == []
    assert house.now().refunded_minor == 0 and "impossible" in house.problems()
    assert house.differences() == []


def test_an_order_of_a_session_that_names_anothers_payment_is_left_to_a_person(
    house: House,
) -> None:
    house.started(500)
    reference = house.now().reference
    theirs = Ledger(4242).session(1)
    theirs.records[0] |= {"method": "gateway", "reference": reference}
    theirs.records[-1]["how"] = "gateway"
    fill(house.office, theirs, charger=STRANGER)
    refund = house.office.refunds.request(STRANGER, receipt=1, reason="fault", operator="anna")
    house.office.refunds.approve(refund, "bert")
    same = {"refund": refund, "sess": 1, "amount_minor": 119, "way": "gateway"}
    theirs.put("refund_asked", **same, reason="fault", command="c")
    theirs.put("refund_sent", **same, receipt=0, trace=0)
    fill(house.office, theirs, charger=STRANGER)
    house.turn(4)
    assert refunded(house, reference) == 0 and house.payback(refund).state == "hand"


def test_a_refund_that_waits_or_was_refused_is_not_paid_whatever_the_charger_hands_over(
    house: House,
) -> None:
    house.started(500)
    for refund in ("waits", "refused"):
        house.office.refunds.request(CHARGER, receipt=1, amount_minor=100, reason="fault",
                                     operator="anna", refund=refund)  # fmt: skip
    house.office.refunds.refuse("refused", "bert", "no")
    for refund in ("waits", "refused"):
        same = {"refund": refund, "sess": 1, "amount_minor": 100, "way": "gateway"}
        house.station.put("refund_asked", **same, reason="fault", command="c")
        house.station.put("refund_sent", **same, receipt=0, trace=0)
    house.station.hand_over()
    house.turn(4)
    assert house.now().refunded_minor == 0
    assert refunded(house, house.now().reference) == 0
    assert (refund_of(house, "waits"), refund_of(house, "refused")) == ("requested", "refused")


def test_more_than_was_ordered_is_impossible(house: House) -> None:
    house.started(500)
    house.office.refunds.request(CHARGER, receipt=1, amount_minor=100, reason="fault",
                                 operator="anna", refund="R-1")  # fmt: skip
    house.office.refunds.approve("R-1", "bert")
    same = {"refund": "R-1", "sess": 1, "amount_minor": 500, "way": "gateway"}
    house.station.put("refund_asked", **same, reason="fault", command="c")
    house.station.put("refund_sent", **same, receipt=0, trace=0)
    house.station.hand_over()
    house.turn(4)
    assert "impossible" in house.problems()
    assert refunded(house, house.now().reference) == 0


# -- another's terminal


def cards(house: House, patch: pytest.MonkeyPatch, taken: int) -> str:
    """The gateway is the acquirer, and has one sale of the terminal with trace 1."""
    till = till_of(house)
    till._payments["card-1"] = Payment(
        "card-1", "", base.CAPTURED, "EUR", 6000, captured_minor=taken, released_minor=6000 - taken
    )

    def found(sale: CardSale) -> list[Payment]:
        its = (sale.terminal_id, sale.trace, sale.captured_minor) == (TERMINAL, 1, taken)
        return [till.look_up("card-1")] if its else []

    patch.setattr(till, "find_card_payments", found)
    return "card-1"


@pytest.fixture
def acquired(tmp_path: Path) -> House:
    return House(tmp_path, TILL, gateway_acquires=TERMINAL)


def test_no_charger_gives_back_a_card_sale_of_anothers_terminal(
    acquired: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        sale = cards(acquired, monkeypatch, 419)
        acquired.station.begin("card", "S1", 6000)
        acquired.station.charge(419)
        theirs = stranger(300, "acquirer", terminal_id=TERMINAL, trace=1)
        fill(acquired.office, theirs, charger=STRANGER)
        acquired.turn(4)
        assert refunded(acquired, sale) == 0
        refund, _ = only_order(acquired)
        assert acquired.payback(refund).state == "hand"
        alarms = [p for p in acquired.office.problems() if p["code"] == "gateway_refund"]
        assert [p["charger"] for p in alarms] == [STRANGER]
        assert f"{CHARGER} names terminal {TERMINAL}" in alarms[0]["detail"]
    finally:
        acquired.close()


@pytest.mark.parametrize(("over", "paid"), [(300, 300), (2001, 0)], ids=["little", "much"])
def test_what_the_terminal_took_above_the_price_is_paid_by_itself_up_to_the_limit(
    acquired: House, monkeypatch: pytest.MonkeyPatch, over: int, paid: int
) -> None:
    try:
        sale = cards(acquired, monkeypatch, 119 + over)
        mine = stranger(over, "acquirer", terminal_id=TERMINAL, trace=1)
        fill(acquired.office, mine, charger=STRANGER)
        acquired.turn(4)
        assert refunded(acquired, sale) == paid
        if not paid:
            refund, state = only_order(acquired)
            assert state == "requested"
            with pytest.raises(RefundError, match="waits for approval"):
                acquired.office.refunds.confirm(refund, accepted=True, operator="bert")
            finance = Visitor(acquired.office).log_in("finance", "bert")
            assert "Waiting for approval (1)" in text_of(finance.get("/refunds").text)
            assert "nothing is paid before" in text_of(finance.get(f"/refunds/{refund}").text)
            finance.submit(f"/refunds/{refund}", f"/refunds/{refund}/approve")
            assert finance.status == 200
            acquired.turn(4)
            assert refunded(acquired, sale) == over
            sent = [c["name"] for c in acquired.office.commands(STRANGER)]
            assert sent == ["refund_done"], "it needs no order: it began it"
    finally:
        acquired.close()


def test_a_charger_is_told_that_what_it_began_by_itself_was_refused(house: House) -> None:
    theirs = stranger(2001, "acquirer", terminal_id=TERMINAL, trace=1)
    fill(house.office, theirs, charger=STRANGER)
    refund, _ = only_order(house)
    house.office.refunds.refuse(refund, "bert", "the terminal lies")
    assert only_order(house) == (refund, "refused")
    house.office.refunds.tend()
    told = command_of(house.office, "refund_done")
    assert (told["refund"], told["ok"]) == ("above_price-4242-1", False)
    theirs.put("refund_failed", refund="above_price-4242-1", sess=1, amount_minor=2001,
               way="acquirer", code=0, text="refused", state="failed")  # fmt: skip
    theirs.records[-1]["version"] = 2
    fill(house.office, theirs, charger=STRANGER)
    assert only_order(house) == (refund, "failed")
    assert house.office.refunds.left(1) == 2120


# -- a refund's id is another's


def test_another_chargers_records_do_not_touch_an_order(house: House) -> None:
    house.started(500)
    refunds = house.office.refunds
    refunds.request(CHARGER, receipt=1, amount_minor=300, reason="fault", operator="anna",
                    refund="R-1")  # fmt: skip
    refunds.approve("R-1", "bert")
    theirs = Ledger(77).session(1)
    theirs.put("refund_failed", refund="R-1", sess=1, code=0, text="a stranger's word")
    theirs.put("refund_failed", refund="R-1", sess=0, code=0, text="a stranger's word")
    theirs.put("refund_requested", refund="R-1", receipt_no=1, amount_minor=1, reason="fault",
               operator="anna", command="", card=0)  # fmt: skip
    same = {"refund": "R-1", "sess": 1, "amount_minor": 1, "way": "gateway"}
    theirs.put("refund_asked", **same, reason="fault", command="")
    theirs.put("refund_sent", **same, receipt=0, trace=0)
    fill(house.office, theirs, charger=STRANGER)
    said = [p["detail"] for p in house.office.problems() if p["code"] == "impossible"]
    assert len(said) == 5 and "refund_failed: refund R-1 is of another charger" in said
    order = refunds.follow("R-1")
    assert (order["state"], order["text"]) == ("approved", "")
    house.station.obey()
    finish(house)
    assert refund_of(house, "R-1") == "done"
    assert refunded(house, house.now().reference) == 300


# -- after a backup was put back


def put_back(house: House, file: Path) -> None:
    """Another database with what the backup has; the gateway goes on."""
    house.url = sqlite_url(house.directory / "again.db")
    engine = open_database(house.url)
    backup.restore(engine, file)
    engine.dispose()
    gateway = house.phone.gateway
    operator = house.office.operator
    house.office.close()
    house.ms += 25 * 3_600_000
    house.office = BackOffice(
        house.url, Nowhere(), Pki(house.directory / "pki"), now_ms=lambda: house.ms,
        operator=operator, gateway=gateway,
    )  # fmt: skip
    assert house.office.phone is not None
    house.phone = house.office.phone
    house.station.office = house.office
    till_of(house)._done.clear()  # no gateway keeps its keys for so long


def heard_again(house: House) -> None:
    house.station.given = 0
    house.station.hand_over()


def test_a_refund_that_a_restored_database_has_forgotten_is_paid_once(house: House) -> None:
    house.started(500)
    file = house.directory / "b.gz"
    backup.backup(house.office.engine, file)
    refund = house.ask_refund(300)
    assert refund_of(house, refund) == "sent"
    put_back(house, file)
    heard_again(house)
    order = house.office.refunds.follow(refund)
    assert (order["state"], order["operator"], order["approved_by"]) == ("sent", "anna", "charger")
    assert "refund_unknown" in house.problems()
    [noted] = audit.entries(house.office.engine, subject=refund)[-1:]
    assert (noted["person"], noted["action"]) == (CHARGER, "refund asked")
    finish(house)
    assert refund_of(house, refund) == "done"
    assert refunded(house, house.now().reference) == 300
    assert house.office.refunds.left(1) == 200 and house.differences() == []


@pytest.mark.parametrize("ordered", [False, True], ids=["order lost", "order kept"])
def test_a_refund_that_was_paid_after_the_backup_is_not_paid_again(
    house: House, ordered: bool
) -> None:
    house.started(500)
    file = house.directory / "b.gz"
    if not ordered:
        backup.backup(house.office.engine, file)
    refund = house.ask_refund(200)
    if ordered:
        backup.backup(house.office.engine, file)
    house.turn(2)  # paid, and the charger has not heard of it
    assert refunded(house, house.now().reference) == 200
    put_back(house, file)
    heard_again(house)
    finish(house)
    assert refund_of(house, refund) == "done"
    assert refunded(house, house.now().reference) == 200 and house.differences() == []


def test_a_large_forgotten_refund_waits_for_a_person(house: House) -> None:
    house.started(3000)
    file = house.directory / "b.gz"
    backup.backup(house.office.engine, file)
    refund = house.ask_refund(2500)
    put_back(house, file)
    heard_again(house)
    finish(house)
    assert refund_of(house, refund) == "requested"
    assert refunded(house, house.now().reference) == 0
    house.office.refunds.approve(refund, "bert")
    finish(house)
    assert refund_of(house, refund) == "done"
    assert refunded(house, house.now().reference) == 2500


def test_a_forgotten_refund_that_the_charger_has_ended_is_not_paid_again(house: House) -> None:
    house.started(500)
    file = house.directory / "b.gz"
    backup.backup(house.office.engine, file)
    refund = house.ask_refund(200)
    finish(house)
    put_back(house, file)
    heard_again(house)
    house.turn(4)
    assert refund_of(house, refund) == "done"
    with Db(house.office.engine) as db:
        assert db.get(PayRefund, refund) is None
    assert refunded(house, house.now().reference) == 200


def test_a_database_that_had_lost_an_order_before_this_version_has_it_again(
    house: House,
) -> None:
    """As the migration to version 0013 leaves it."""
    from hostsim.backoffice.migrations.versions import v0013

    house.started(500)
    refund = house.ask_refund(200)
    with writing(house.office.engine) as db:
        db.execute(delete(RefundOrder))
    assert house.office.refunds.listed() == []
    with house.office.engine.begin() as connection:
        connection.exec_driver_sql(v0013._LOST)
    assert refund_of(house, refund) == "requested"
    house.office.refunds.approve(refund, "bert")
    finish(house)
    assert refund_of(house, refund) == "done"
    with Db(house.office.engine) as db:
        assert db.query(Refund).one().order_id == refund
