"""The whole desk on PostgreSQL: every page, table, document and CDR says what SQLite's says, over
one past in which everything went wrong."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from html import unescape

import pytest
from sqlalchemy import select

from hostsim.backoffice import backup, troubles
from hostsim.backoffice.accounts import tokens
from hostsim.backoffice.models import (
    Problem,
    Record,
    Refund,
    RefundOrder,
    Session,
    writing,
)
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.refund_rules import RefundError
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Dispute, EndOfDay
from hostsim.fleet import history
from tests.backoffice import desk, postgres
from tests.backoffice.desk import NOW_MS, Visitor

pytestmark = pytest.mark.timeout(240)
OPERATOR = Operator(time_zone="Europe/Berlin", approve_above_minor=5)
DAY_MS = 86_400_000
REPLACED = "FH-00000"  # its flash
MORE = (
    "/reports?preset=year", "/reports?preset=year&charger=FH-00001",
    "/reports?preset=year&tariff=ADHOC-1", "/reports/report.pdf?preset=year",
    "/reports/cdrs.json?preset=year", "/payments?find=FH-00001-5", "/payments?state=disputed",
    "/refunds?state=failed", "/refunds?find=FH-00002-7", "/ocpi/2.2.1/cdrs",
    "/ocpi/2.2.1/cdrs?offset=100&date_from=2025-06-01T00:00:00Z", "/problems",
    "/invoices/check", *(f"/payments/troubles/{kind}" for kind in troubles.ORDER),
)  # fmt: skip
_OF_EACH = 1  # of pages that differ only in a number
_CHANGES = re.compile(
    r'name="(csrf|once)" value="[^"]*"|Last log-in: [^<]*'
    "|<td>[^<]*</td><td>admin</td><td>logged in"
)
_NUMBERS = re.compile(r"(?<=refunds/)[^/?.]+|[0-9]+")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BackOffice, BackOffice]]:
    """SQLite's and PostgreSQL's, with the same past."""
    folder = tmp_path_factory.mktemp("both")
    with postgres.server() as url:
        lite = desk.office(folder, OPERATOR)
        history.fill(lite.engine, 240, 3, NOW_MS, OPERATOR, documents=100)
        spoil(lite)
        tokens.add(lite.engine, "anna", "partner", NOW_MS)
        backup.backup(lite.engine, folder / "b.gz")
        big = desk.office(folder, OPERATOR, url)
        backup.restore(big.engine, folder / "b.gz")
        yield lite, big
        lite.close()
        big.close()


def spoil(office: BackOffice) -> None:
    """What a short past leaves out: a row of every kind of trouble."""
    with writing(office.engine) as db:
        paid = select(Session).where(Session.state == "captured").order_by(Session.id.desc())
        first, twice, failing = db.scalars(paid.where(Session.charger == "FH-00001").limit(3))
        old = db.scalars(paid.where(Session.charger == REPLACED).limit(1)).one()
        for session in (failing, first):
            session.state = session.payment.state = "authorised"
        failing.payment.failures = 3
        first.opened_at -= 9 * DAY_MS
        db.add(Problem(charger="FH-00001", code="gateway_books", detail="differs", at=NOW_MS))
        for code in ("impossible", "unbooked"):
            db.add(Problem(charger="FH-00001", code=code, detail="captured", at=NOW_MS))
        db.add(
            Dispute(session_id=twice.id, amount_minor=twice.total_minor, reference="CB-1",
                    opened_at=NOW_MS)
        )  # fmt: skip
        db.add(
            Pay(id="p", page="p", code="c", charger="FH-00001", gateway="till", currency="EUR",
                amount_minor=6000, state="lost", reference="pi_1", created_at=NOW_MS)
        )  # fmt: skip
        for name, session, state in (("X1", twice, "done"), ("X2", old, "requested"),
                                     ("X3", old, "failed")):  # fmt: skip
            asked = NOW_MS - 90 * DAY_MS
            db.add(
                RefundOrder(refund=name, charger=session.charger, session_id=session.id,
                            receipt_no=session.receipt_no, amount_minor=10, reason="goodwill",
                            operator="anna", state="approved", approved_by="bert",
                            requested_at=asked, approved_at=asked)
            )  # fmt: skip
            db.add(
                Refund(session_id=session.id, charger=session.charger, epoch=session.epoch,
                       refund=name, state=state, amount_minor=10, asked_at=asked, done_at=asked)
            )  # fmt: skip
        day = db.scalars(select(EndOfDay).order_by(EndOfDay.id.desc()).limit(1)).one()
        day.result, day.terminal_minor = "differs", day.terminal_minor - 5
        db.add(
            Record(charger=day.charger, epoch=day.epoch, seq=day.seq - 1, type="captured",
                   version=1, at=day.at, received_at=day.at, applied=True,
                   payload={"sess": 9, "captured_minor": 119, "how": "pending_query"})
        )  # fmt: skip


def test_every_page_on_postgresql_says_what_it_says_on_sqlite(
    both: tuple[BackOffice, BackOffice]
) -> None:
    one, other = (Visitor(office).log_in("admin") for office in both)
    queue, kinds, seen = deque(["/", *MORE]), Counter[str](), set[str]()
    while queue:
        path = queue.popleft()
        kind = _NUMBERS.sub("#", path)
        if path in seen or (path not in MORE and kinds[kind] >= _OF_EACH):
            continue
        seen.add(path)
        kinds[kind] += 1
        here, there = one.get(path), other.get(path)
        assert here.status_code == there.status_code, path
        kept = [_CHANGES.sub("", answer.content.decode("latin-1")) for answer in (here, there)]
        assert kept[0].splitlines() == kept[1].splitlines(), path
        links = re.findall(r'href="(/[^"#]*)"', here.text if "html" in _type(here) else "")
        queue.extend(unescape(link) for link in links if not link.startswith("/static"))
    assert len(seen) > 80 and {kind.partition("?")[0] for kind in kinds} >= {
        "/fleet/FH-#", "/sessions/#", "/invoices/FH-#-I#.pdf", "/refunds/#", "/sessions/#/refund",
    }  # fmt: skip


def _type(answer: object) -> str:
    return str(answer.headers["content-type"])  # type: ignore[attr-defined]


def test_each_kind_of_trouble_is_found_by_both(both: tuple[BackOffice, BackOffice]) -> None:
    found = [troubles.groups(office.engine, OPERATOR, NOW_MS, 5) for office in both]
    assert found[0] == found[1]
    assert {group["kind"] for group in found[0]} == set(troubles.ORDER)


def test_what_people_do_ends_the_same_on_both(both: tuple[BackOffice, BackOffice]) -> None:
    ends = []
    for office in both:
        visitor = Visitor(office).log_in("admin", "bert")
        with office.engine.connect() as connection:
            newest = select(Session.id).where(Session.state == "captured")
            query = newest.where(Session.charger == "FH-00002").order_by(Session.id.desc())
            session = connection.scalars(query.offset(4)).first()
        address = f"/sessions/{session}"
        visitor.submit(f"{address}/refund", f"{address}/refund", what="lines", line="0",
                       reason="goodwill", once="by-line")  # fmt: skip
        for group in troubles.groups(office.engine, OPERATOR, NOW_MS, 1):
            row = group["rows"][0]
            page = f"/payments/troubles/{group['kind']}"
            if group["kind"] not in troubles.ELSEWHERE:
                visitor.submit("/payments", f"{page}/close", ref=row["ref"], mark=str(row["mark"]),
                               note="seen")  # fmt: skip
                assert visitor.status == 200
        groups = troubles.groups(office.engine, OPERATOR, NOW_MS, 1)
        left = [(group["kind"], group["count"]) for group in groups]
        assert office.refunds.follow("by-line")["state"] == "requested"
        visitor.submit("/refunds/by-line", "/refunds/by-line/approve")
        assert office.refunds.follow("by-line")["state"] == "requested", "not by who asked"
        office.refunds.approve("by-line", "anna")
        with pytest.raises(RefundError):
            office.refunds.approve("by-line", "carl")
        visitor.submit(address, f"{address}/disputes", amount="0.01", reference="CB-2", note="n",
                       once="d1")  # fmt: skip
        said = office.refunds.follow("by-line")
        ends.append((left, said["state"], said["amount_minor"], said["chosen"],
                     desk.text_of(visitor.get(address).text)))  # fmt: skip
    assert ends[0] == ends[1]
    assert ends[0][1] == "approved" and ends[0][3] == [0] and "CB-2" in ends[0][4]
