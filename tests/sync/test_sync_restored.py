"""A database that was put back to a backup older than what the charger's flash has: the firmware's
own ledger and outbox against the real desk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import backup, gaps, views
from hostsim.backoffice.invoices import verify
from hostsim.backoffice.models import Session, open_database
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Invoice
from tests.backoffice.desk import Visitor
from tests.backoffice.test_backoffice_attacks import Reception
from tests.sync import sync_rig
from tests.sync.sync_rig import until
from tests.sync.test_sync_copies import NOW, Device

BACKUP = 40
SINCE = 500  # records of 4 KB / 17: the flash of 16 sectors has gone round
BOOT = {"firmware": "v" * 200, "reason": "power", "safe": 0}


class Charger(Device):
    """Its records are long, and nothing that an operator is told of."""

    def write(self, name: str, count: int) -> None:
        for _ in range(count):
            self.ledger.append("boot", **BOOT)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A backup with BACKUP records, and the image of the flash that was acknowledged all since."""
    directory = tmp_path_factory.mktemp("before")
    first = Reception(open_database(f"sqlite:///{directory / 'first.db'}"))
    device = Charger()
    device.write("before", BACKUP)
    device.talk(first)
    backup.backup(first.engine, directory / "books.gz")
    for _ in range(SINCE // 50):
        device.write("since", 50)
        device.talk(first)
        device.ledger.idle()
    first.engine.dispose()
    return directory / "books.gz", device.flash.image()


class Restored:
    """`device` has gone round its flash since the backup that `office` was put back to."""

    def __init__(self, directory: Path, books: Path, image: bytes) -> None:
        self.device = Charger(image)
        ledger = self.device.ledger
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
        self.acked, self.oldest = ledger.acked_seq, ledger.oldest_seq
        assert BACKUP < self.oldest < self.acked == BACKUP + SINCE
        engine = open_database(f"sqlite:///{directory / 'again.db'}")
        backup.restore(engine, books)
        self.office = Reception(engine)

    def talk(self) -> None:
        self.device.talk(self.office)

    def gap(self) -> gaps.Gap:
        (found,) = gaps.every(self.office.engine)
        return found

    def give_up(self, through: int) -> None:
        office = self.office
        ack = gaps.give_up(office.engine, office.ingest, "CP1", through, "anna", "burnt disk", NOW)
        office.desk.acknowledge(ack)

    def here(self) -> set[int]:
        return {record["seq"] for record in views.records(self.office.engine, "CP1")}

    def details(self, code: str) -> list[str]:
        found = views.problems(self.office.engine, "CP1", only_open=False)
        return [row["detail"] for row in found if row["code"] == code]


@pytest.fixture
def restored(tmp_path: Path, before: tuple[Path, bytes]) -> Iterator[Restored]:
    found = Restored(tmp_path, *before)
    yield found
    found.office.engine.dispose()


def test_exactly_what_is_lost_is_given_up_and_the_charger_repeats_the_rest(
    restored: Restored,
) -> None:
    device, oldest, acked = restored.device, restored.oldest, restored.acked
    restored.talk()
    says = f"records 41 to {oldest - 1} are lost, {oldest} to {acked} are still in the charger"
    assert restored.gap().text == says and restored.details("gap") == [says]
    assert restored.here() == set(range(1, BACKUP + 1))
    restored.give_up(oldest - 1)
    restored.talk()
    device.status(restored.office)
    assert restored.here() == {*range(1, BACKUP + 1), *range(oldest, acked + 1)}
    assert gaps.every(restored.office.engine) == []
    found = restored.office.problems()
    assert "gap" not in found and gaps.GIVEN_UP in found, "the gap is closed, the note is not"
    device.write("later", 5)
    restored.talk()
    assert device.ledger.acked_seq == acked + 5 and acked + 5 in restored.here()
    assert device.alarms().count("flash_copied") == 0 and device.refused == []


def test_a_charger_that_would_sell_nothing_more_sells_again(restored: Restored) -> None:
    device = restored.device
    for _ in range(60):
        device.write("n", 30)
        restored.talk()
        if not device.ledger.room_for_session():
            break
    assert not device.ledger.room_for_session()
    gap = restored.gap()
    assert gap.last == device.ledger.oldest_seq - 1 > restored.oldest, "the ring went on"
    restored.give_up(gap.last)
    restored.talk()
    assert device.ledger.room_for_session()
    assert restored.here() >= set(range(gap.last + 1, device.ledger.next_seq))
    assert device.ledger.acked_seq == device.ledger.next_seq - 1


def test_nothing_but_what_was_shown_is_given_up(restored: Restored) -> None:
    restored.talk()
    shown = restored.gap().last
    restored.device.write("n", 60)
    restored.talk()
    assert restored.gap().last > shown
    for through, why in ((shown, "changed meanwhile"), (restored.acked, "changed meanwhile")):
        with pytest.raises(gaps.GapError, match=why):
            restored.give_up(through)
    assert restored.here() == set(range(1, BACKUP + 1)) and restored.details("gap_accepted") == []


def test_while_flash_has_all_of_it_there_is_nothing_to_give_up(tmp_path: Path) -> None:
    first = Reception(open_database(f"sqlite:///{tmp_path / 'first.db'}"))
    device = Charger()
    device.write("before", 10)
    device.talk(first)
    engine = open_database(f"sqlite:///{tmp_path / 'again.db'}")
    again = Reception(engine)
    device.status(again)
    (gap,) = gaps.every(engine)
    assert gap.text == "records not here: 1 to 10 are still in the charger, which repeats them"
    with pytest.raises(gaps.GapError, match="nothing is lost"):
        gaps.give_up(engine, again.ingest, "CP1", 10, "anna", "burnt disk", NOW)
    device.talk(again)
    device.status(again)
    assert gaps.every(engine) == [] and "gap" not in again.problems()
    first.engine.dispose()
    engine.dispose()


def test_on_real_parts_the_charger_page_and_its_button_end_it(tmp_path: Path) -> None:
    """Broker, back office with its pages, the firmware's sync over its ledger on MicroPython."""
    with sync_rig.rig(tmp_path) as rig:
        charger = rig.charger(sectors=10)
        charger.order("append", 5)
        until(charger.synced)
        backup.backup(rig.office.engine, tmp_path / "books.gz")
        for _ in range(6):
            charger.order("append", 20)
            until(charger.synced)
        given = numbers(rig.office)
        rig.office.close()
        rig.office = BackOffice(f"sqlite:///{tmp_path / 'again.db'}", rig.broker, rig.pki)
        backup.restore(rig.office.engine, tmp_path / "books.gz")
        rig.office.begin()
        until(lambda: [gap for gap in gaps.every(rig.office.engine) if gap.acked == 875])
        charger.order("append", 1)
        time.sleep(0.5)
        assert not charger.synced(), "the queue stands"
        (gap,) = gaps.every(rig.office.engine)
        assert 35 < gap.last < gap.acked
        anna = Visitor(rig.office).log_in("finance", "anna")
        assert gap.text.capitalize() in anna.get("/fleet/CP1").text
        anna.submit("/fleet/CP1", "/fleet/CP1/give-up", through=str(gap.last), note="burnt disk")
        until(charger.synced)
        there = [record["seq"] for record in rig.office.records("CP1")]
        assert there == [*range(1, 36), *range(gap.last + 1, 883)]
        until(lambda: not gaps.every(rig.office.engine))
        assert verify.verify(rig.office.engine).faults == []
        fresh = {sess: number for sess, number in numbers(rig.office).items() if sess > 5}
        assert len(fresh) > 20 and not set(fresh.values()) & set(given.values())


def numbers(office: BackOffice) -> dict[int, str]:
    """Session -> number of its invoice."""
    with Db(office.engine) as db:
        query = select(Session.sess, Invoice.number)
        query = query.join(Invoice, Invoice.session_id == Session.id)
        return {sess: number for sess, number in db.execute(query)}
