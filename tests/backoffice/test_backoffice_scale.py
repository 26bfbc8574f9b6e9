"""Databases of earlier versions, backup and restore, PostgreSQL, several workers, the fleet."""

from __future__ import annotations

import datetime
import functools
import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from hostsim.__main__ import app
from hostsim.backoffice import backup, schema, views
from hostsim.backoffice.bill_tables import AccountTerms
from hostsim.backoffice.bills import make
from hostsim.backoffice.bills.desk import touched
from hostsim.backoffice.ingest import Ingest
from hostsim.backoffice.invoices import find, verify
from hostsim.backoffice.models import Base, Payment, Session, open_database, writing
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone import pays
from hostsim.backoffice.reports import query, roll
from hostsim.commission import FLEET_TARIFF
from hostsim.fleet.records import VirtualLedger
from tests.backoffice import billing, desk, postgres
from tests.backoffice.desk import Visitor
from tests.backoffice.test_backoffice_reports import MAY, MAY_1
from tests.command import here

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture
def empty(server: str) -> str:
    """The URL of an empty PostgreSQL database."""
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server


def sell(engine: Engine, chargers: int = 3, sessions: int = 12) -> None:
    """Some of May."""
    ingest = Ingest(engine, lambda: MAY_1)
    for number in range(chargers):
        ledger = VirtualLedger(f"FL-{number:03}", seed=5)
        records: list[dict[str, Any]] = []
        for n in range(sessions):
            records += ledger.session(MAY_1 + (n * 31 + number) * HOUR)
        ingest.take([(ledger.name, json.dumps(record).encode()) for record in records])
    roll.catch_up(engine, BERLIN)


def everything(engine: Engine) -> dict[str, Any]:
    """What must survive: books, documents, sums."""
    report = query.read(engine, BERLIN, MAY, 2**42)
    return {
        "sessions": views.sessions(engine),
        "documents": [one["document"] for one in find.newest(engine, 1000)],
        "total": report.total,
        "vat": report.vat,
        "heads": verify.verify(engine).heads,
    }


# -- versions


def old_database(where: Path | str, version: str) -> Engine:
    """A database (path, or URL) as that version made it."""
    from alembic import command

    engine = create_engine(where if isinstance(where, str) else f"sqlite:///{where}")
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema._SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()
    return engine


def differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return [d for d in compare_metadata(context, Base.metadata) if d[0] != "remove_table"]


def test_the_newest_version_is_the_scripts_newest() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema._SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.NEWEST


@pytest.mark.parametrize("version", [schema.FIRST, schema.NEWEST])
def test_an_older_database_is_brought_to_the_same_schema(tmp_path: Path, version: str) -> None:
    old_database(tmp_path / "o.db", version).dispose()
    engine = open_database(f"sqlite:///{tmp_path / 'o.db'}")
    assert differences(engine) == []
    fresh = open_database(f"sqlite:///{tmp_path / 'fresh.db'}")
    assert differences(fresh) == []


def test_what_was_sold_before_there_were_invoices_gets_its_invoice(tmp_path: Path) -> None:
    engine = old_database(tmp_path / "o.db", schema.FIRST)
    session = (
        "1, 'CP1', 7, 1, 'captured', 1, 1, 'card', 'S1', '', 'EUR', 'T1', 5, 'M1', 1,"
        " 1767225600000, 1767229200000, 3600000, 1000, 2000, 1000, 1, 119, 100, 19,"
        " '[0, 1000000, 1190, 190000, 119]', 'unplugged'"
    )
    payment = (
        "1, 'captured', 6000, 6000, 119, 5881, 1, 1, 'T', 'V', 'A1', '##1234', 'Visa', '', 0, 0,"
        " '', 1, 1767229200000"
    )
    refund = (
        "1, 1, 'CP1', 7, 'R1', 'refunded', 19, 'terminal', 'x', 'c', 2, 2, 1, 0, '', 1,"
        " 1767232800000"
    )
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO chargers VALUES ('CP1', 7, 1, 1, 0, '{}', '{}')"))
        connection.execute(text(f"INSERT INTO sessions VALUES ({session})"))
        connection.execute(text(f"INSERT INTO payments VALUES ({payment})"))
        connection.execute(text(f"INSERT INTO refunds VALUES ({refund})"))
    engine.dispose()
    office = desk.office(tmp_path)
    assert [d["number"] for d in find.by_session(office.engine, 1)] == [
        "CP1-I000001", "CP1-C000001",
    ]  # fmt: skip
    assert verify.verify(office.engine).good
    roll.catch_up(office.engine, BERLIN)
    assert query.today(office.engine, datetime.date(2026, 1, 1))["money"] == {"EUR": 119}
    office.close()
    again = desk.office(tmp_path)
    assert len(find.by_session(again.engine, 1)) == 2
    again.close()


def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'o.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema.SchemaError, match="version 9999"):
        open_database(f"sqlite:///{tmp_path / 'o.db'}")


# -- backup


def test_a_restored_backup_is_the_same(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    sell(engine)
    rows = backup.backup(engine, tmp_path / "b.gz")
    other = open_database(f"sqlite:///{tmp_path / 'b.db'}")
    assert backup.restore(other, tmp_path / "b.gz") == rows > 300
    assert everything(other) == everything(engine)
    assert verify.verify(other).good
    sell(other)  # the chargers repeat all they have: nothing new
    assert everything(other) == everything(engine)
    with pytest.raises(backup.BackupError, match="not empty"):
        backup.restore(other, tmp_path / "b.gz")


@pytest.mark.parametrize("damage", ["cut", "changed", "left out", "other", "nonsense"])
def test_a_damaged_backup_changes_nothing(tmp_path: Path, damage: str) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    sell(engine, 1, 4)
    path = tmp_path / "b.gz"
    backup.backup(engine, path)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "changed":
        path.write_bytes(gzip.compress(b"".join(lines).replace(b"EUR", b"USD")))
    elif damage == "left out":
        path.write_bytes(gzip.compress(b"".join(lines[:5] + lines[6:])))
    elif damage == "other":
        path.write_bytes(gzip.compress(b'{"format": "other"}\n'))
    else:
        path.write_bytes(b"nonsense")
    other = open_database(f"sqlite:///{tmp_path / 'b.db'}")
    with pytest.raises(backup.BackupError):
        backup.restore(other, path)
    assert views.sessions(other) == []


def test_the_commands_back_up_and_restore(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    sell(engine, 1, 3)

    run = functools.partial(here, "database")
    file = str(tmp_path / "b.gz")
    assert run("backup", file, "--database", str(tmp_path / "a.db")).returncode == 0
    done = run("restore", file, "--database", str(tmp_path / "b.db"))
    assert done.returncode == 0 and "rows restored" in done.stdout
    again = run("restore", file, "--database", str(tmp_path / "b.db"))
    assert again.returncode == 1 and "not empty" in again.stderr


@pytest.mark.parametrize(
    "words",
    [
        "invoices verify", "people list", "members list", "members add A", "members stop A",
        "members tariff F TARIFF", "database migrate", "database rebuild", "database backup FILE",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["", "sqlite:///", "sqlite+pysqlite:///"])
def test_a_mistyped_database_is_refused_and_not_made(
    words: str, scheme: str, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "typo.db"
    named = {"FILE": str(tmp_path / "b.gz"), "TARIFF": str(FLEET_TARIFF)}
    args = [named.get(word, word) for word in words.split()]
    done = CliRunner().invoke(app, [*args, "--db", f"{scheme}{path}"])
    said = "".join(done.output.replace("│", "").split())
    assert done.exit_code == 2 and f"{path}: there is no such file".replace(" ", "") in said, said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_a_database_is_found_by_any_address_of_its_file(scheme: str, tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'real.db'}").dispose()
    address = f"{scheme}:///{tmp_path / 'real.db'}?timeout=5"
    done = CliRunner().invoke(app, ["invoices", "verify", "--db", address])
    assert done.exit_code == 0, done.output


def test_an_address_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(app, ["invoices", "verify", "--db", "sqlite:/://x"])
    assert done.exit_code == 2, done.output


# -- PostgreSQL


def test_postgresql_keeps_the_same_books_as_sqlite(tmp_path: Path, empty: str) -> None:
    lite, big = open_database(f"sqlite:///{tmp_path / 'a.db'}"), open_database(empty)
    sell(lite)
    sell(big)
    assert everything(big) == everything(lite)
    assert verify.verify(big).good and views.problems(big) == []
    sell(big)
    assert everything(big) == everything(lite), "repetitions change nothing"
    assert differences(big) == []
    big.dispose()


def test_a_backup_goes_from_sqlite_to_postgresql_and_on(tmp_path: Path, empty: str) -> None:
    lite, big = open_database(f"sqlite:///{tmp_path / 'a.db'}"), open_database(empty)
    sell(lite, 2, 5)
    backup.backup(lite, tmp_path / "b.gz")
    backup.restore(big, tmp_path / "b.gz")
    assert everything(big) == everything(lite)
    ledger = VirtualLedger("FL-900", seed=1)
    ingest = Ingest(big, lambda: MAY_1)
    ingest.take([("FL-900", json.dumps(r).encode()) for r in ledger.session(MAY_1)])
    assert len(views.sessions(big)) == len(views.sessions(lite)) + 1, "its counters went on"
    backup.backup(big, tmp_path / "c.gz")
    back = open_database(f"sqlite:///{tmp_path / 'c.db'}")
    backup.restore(back, tmp_path / "c.gz")
    assert len(views.sessions(back)) == len(views.sessions(big))
    big.dispose()


def test_the_desk_works_on_postgresql(tmp_path: Path, empty: str) -> None:
    office = desk.office(tmp_path, url=empty)
    sell(office.engine)
    visitor = Visitor(office).log_in("admin")
    for path in ("/", "/fleet", "/fleet/FL-001", "/payments", "/payments?find=1234", "/sessions",
                 "/sessions/1", "/invoices", "/invoices/check", "/refunds", "/reports?preset=year",
                 "/reports?first=2026-05-01&last=2026-05-31&charger=FL-001",
                 "/tariffs", "/people", "/audit"):  # fmt: skip
        assert visitor.get(path).status_code == 200, path
    first = next(s for s in views.sessions(office.engine) if s["captured_minor"])
    address = f"/sessions/{first['id']}/refund"
    visitor.submit(address, address, what="part", amount="0.10", reason="goodwill", once="one")
    assert office.refunds.follow("one")["state"] == "approved"
    office.close()


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_text_no_database_can_hold_stops_nobody_elses_records(
    tmp_path: Path, bad: str, kind: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    engine = open_database(request.getfixturevalue("empty") if kind == "postgresql" else url)
    ledger = VirtualLedger("FL-1", seed=1)
    lines = [json.dumps(record) for record in ledger.session(MAY_1)]
    wrong = lines[0].replace('"S1"', f'"S{bad}"')
    assert wrong != lines[0]
    ingest = Ingest(engine, lambda: MAY_1)
    ingest.take([("FL-1", wrong.encode()), ("FL-2", lines[0].encode())])
    assert [row["reference"] for row in views.sessions(engine, "FL-1")] == ["S\ufffd"]
    assert len(views.sessions(engine, "FL-2")) == 1
    engine.dispose()


@pytest.mark.parametrize("version", [schema.FIRST, "0005", "0008"])
def test_an_older_postgresql_database_is_brought_to_the_same_schema(
    empty: str, version: str
) -> None:
    old_database(empty, version).dispose()
    engine = open_database(empty)
    assert differences(engine) == []
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_that_make_bills_at_once_bill_everything_once(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("empty") if kind == "postgresql" else ""
    with billing.house(tmp_path, url=url) as house:
        for total in (500, 250):
            billing.session(house, total)
            billing.session(house, total + 1, "OTHER-1")
        house.ms += 20 * billing.DAY_MS
        begun = threading.Barrier(3)

        def work(_: int) -> None:
            begun.wait()
            try:
                make.make(house.office.engine, house.office.operator, 202605, house.ms)
            except IntegrityError:  # the other one was faster; this one's turn comes again
                return

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        house.office.bills.work()
        totals = [b["total_minor"] for b in house.office.bills.listed()]
        assert sorted(totals) == [750, 752] and make.verify(house.office.engine) == []
        house.office.bills.work()
        assert len(house.office.bills.listed()) == 2


# -- the fleet, over broker and network


def fleet(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "hostsim", "fleet", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.timeout(240)
def test_two_workers_share_a_fleets_sessions_exactly_once_in_sqlite(tmp_path: Path) -> None:
    result = fleet("--chargers", "8", "--rate", "10", "--seconds", "4", "--workers", "2")
    assert result["exactly_once"] and result["sessions"] >= 35
    assert result["differences"] == [] and result["workers"] == 2


@pytest.mark.timeout(240)
def test_two_workers_share_a_fleets_sessions_exactly_once_in_postgresql(empty: str) -> None:
    result = fleet(
        "--chargers", "8", "--rate", "10", "--seconds", "4", "--workers", "2",
        "--database", empty,
    )  # fmt: skip
    assert result["exactly_once"] and result["sessions"] >= 35


def test_two_processes_on_one_payment_or_account_lose_nothing_of_each_other(empty: str) -> None:
    engine = open_database(empty)
    with writing(engine) as db:
        db.add(
            Pay(
                id="p1", page="p", code="c", charger="FL-000", gateway="till", currency="EUR",
                amount_minor=6000, state=pays.STARTING,
            )
        )  # fmt: skip
        db.add(AccountTerms(account="ACME", look=True))
    session = Session(id=7, sess=1, charger="FL-000", remote="p1", reference="ACME")
    session.payment = Payment(how="account")

    def record() -> None:  # as the process that takes the charger's records
        with writing(engine) as db, db.no_autoflush:
            pays.heard(db, session, "hold_asked", {}, MAY_1)
            touched(db, session)

    with writing(engine) as db:  # as the leading process: gives the hold back, judges the account
        db.get_one(Pay, "p1", with_for_update=True).state = pays.CANCELLING
        db.get_one(AccountTerms, "ACME", with_for_update=True).look = False
        db.flush()
        other = threading.Thread(target=record)
        other.start()
        time.sleep(0.5)
    other.join(10)
    with writing(engine) as db:
        pay = db.get_one(Pay, "p1")
        assert (pay.state, pay.session_id) == (pays.CANCELLING, 7)
        assert db.get_one(AccountTerms, "ACME").look
    engine.dispose()
