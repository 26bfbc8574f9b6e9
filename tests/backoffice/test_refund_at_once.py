"""Two people decide about one refund at the same moment, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import disputes
from hostsim.backoffice.accounts.logins import Caller
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.refund_desk import DeskError, RefundDesk
from hostsim.backoffice.refunds import RefundError
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk, postgres
from tests.backoffice.desk import fill
from tests.backoffice.refunding import mixed


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackOffice]:
    """A back office on either database with one paid session."""
    url = request.getfixturevalue("server") if request.param == "postgresql" else ""
    office = desk.office(tmp_path, Operator(approve_above_minor=1600), url)
    if url:
        with office.engine.begin() as db:
            for table in ("refund_orders", "disputes", "audit"):
                db.execute(text(f"DELETE FROM {table}"))
    fill(office, mixed())
    yield office
    office.close()


def together(*work: Callable[[], object]) -> list[str]:
    """What each said, begun at the same moment."""
    gate = threading.Barrier(len(work))
    said = [""] * len(work)

    def run(n: int) -> None:
        gate.wait()
        try:
            work[n]()
        except (RefundError, DeskError, disputes.PaymentError) as exc:
            said[n] = exc.why

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return said


def test_two_refunds_of_the_whole_are_one(shared: BackOffice) -> None:
    def order(name: str) -> Callable[[], object]:
        return lambda: shared.refunds.request(
            "CP1", receipt=1, amount_minor=3000, reason="goodwill", operator=name
        )

    for n in range(8):
        said = together(*(order(f"p{k}") for k in range(3)))
        standing = [o for o in shared.refunds.listed() if o["state"] == "requested"]
        assert len(standing) == 1 and said.count("") == 1, (n, said)
        shared.refunds.refuse(standing[0]["refund"], "bert")


def test_an_order_is_approved_or_refused_not_both(shared: BackOffice) -> None:
    for n in range(8):
        refund = shared.refunds.request(
            "CP1", receipt=1, amount_minor=1, reason="goodwill", operator="ann", refund=f"R{n}"
        )
        said = together(
            lambda r=refund: shared.refunds.approve(r, "bert"),  # type: ignore[misc]
            lambda r=refund: shared.refunds.refuse(r, "carl"),  # type: ignore[misc]
        )
        assert said.count("") == 1, said
        with Db(shared.engine) as db:
            query = text("SELECT count(*) FROM audit WHERE subject = :r")
            assert db.execute(query, {"r": refund}).scalar() == 2


def test_two_halves_at_once_do_not_go_under_the_limit(shared: BackOffice) -> None:
    counter = RefundDesk(shared)

    def half(name: str) -> Callable[[], object]:
        caller = Caller(name, "support", "")
        return lambda: counter.ask(caller, 1, "part", 1000, [], "goodwill", False, "")

    assert together(half("ann"), half("bert")) == ["", ""]
    assert sorted(o["state"] for o in shared.refunds.listed()) == ["approved", "requested"]


def test_a_dispute_and_a_refund_at_once_do_not_both_take_it(shared: BackOffice) -> None:
    for n in range(4):
        said = together(
            lambda: shared.refunds.request(
                "CP1", receipt=1, amount_minor=3000, reason="goodwill", operator="ann"
            ),
            lambda n=n: disputes.note(shared.engine, "carl", 1, 3000, f"CB{n}", "", 1),  # type: ignore[misc]
        )
        for order in shared.refunds.listed():
            if order["state"] == "requested":
                with pytest.raises(RefundError, match="less is left"):
                    shared.refunds.approve(order["refund"], "bert")
                shared.refunds.refuse(order["refund"], "bert")
        assert said[1] == "", said
        identity = disputes.of_session(shared.engine, 1)[-1]["id"]
        disputes.close(shared.engine, "carl", identity, True, 1)
