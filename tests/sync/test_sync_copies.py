"""A flash that is copied, put back to an earlier state or replaced: the firmware's own ledger and
outbox against the real desk. No record is freed that the back office does not have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board.host_flash import FileFlash
from firmware.errors import ForecourtError
from hostsim.backoffice import backup, contract, views
from hostsim.backoffice.models import open_database
from tests.backoffice.test_backoffice_attacks import Reception
from tests.pure import sync_support  # noqa: F401 - gives CPython what sync imports

from firmware.ledger.ledger import Ledger  # isort: skip
from firmware.sync.outbox import Outbox, check_of  # isort: skip

NOW = 1763800000000


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Reception]:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    yield Reception(engine)
    engine.dispose()


class Device:
    """A charger's ledger over a flash, talking to the desk as sync does."""

    def __init__(self, image: bytes = b"", now: int = NOW) -> None:
        self.flash = FileFlash(sectors=16)
        if image:
            self.flash.load(image)
        self.now = now
        self.ledger = Ledger(self.flash, self._time)
        self.ledger.mount()
        self.outbox = Outbox(self.ledger)
        self.refused: list[str] = []

    def _time(self) -> int:
        self.now += 1 if self.now else 0
        return self.now

    def write(self, name: str, count: int) -> None:
        for number in range(count):
            self.ledger.append("alarm", code=f"{name}{number}", sess=0, detail="\u20ac")

    def alarms(self) -> list[str]:
        return [record.fields["code"] for record in self.ledger.recent("alarm", 200)]

    def talk(self, office: Reception, plain: bool = False, deaf: bool = False) -> None:
        """One connection, until nothing moves. `plain`: a back office whose acknowledgements are
        numbers only; `deaf`: they are lost."""
        outbox = self.outbox
        outbox.rewind()
        self.status(office)
        for _ in range(60):
            batch = []
            while (payload := outbox.next()) is not None:
                batch.append((contract.topic("CP1", "records"), payload.encode(), False))
            office.desk.handle(batch)
            sent, office.sent = office.sent, []
            for _, data in [] if deaf else sent:
                ack = json.loads(data)
                contract.check("ack", ack)
                if plain:
                    ack.pop("check", None)
                try:
                    outbox.on_ack(ack)
                except ForecourtError as error:
                    self.refused.append(str(error))
            if outbox.told:
                outbox.told = False
                self.status(office)
            if not batch and not sent:
                break

    def status(self, office: Reception) -> None:
        ledger = self.ledger
        office.hear("status", {
            "online": True, "at": NOW, "epoch": ledger.epoch, "next_seq": ledger.next_seq,
            "acked_seq": ledger.acked_seq, "oldest_seq": ledger.oldest_seq,
        })  # fmt: skip


def codes(office: Reception) -> list[str]:
    return [r["code"] for r in views.records(office.engine, "CP1") if r["type"] == "alarm"]


def conflicts(office: Reception) -> int:
    return office.problems().count("conflict")


def test_a_copied_flash_keeps_its_own_records_and_is_shown(office: Reception) -> None:
    first = Device()
    first.write("common", 40)
    first.talk(office)
    copy = Device(first.flash.image(), NOW + 5000)
    first.write("first", 60)
    first.talk(office)
    assert first.ledger.acked_seq == 100
    copy.write("copy", 60)
    copy.talk(office)
    copy.talk(office)
    assert copy.ledger.acked_seq == 40, "only what both have"
    assert copy.alarms().count("flash_copied") == 1
    assert any(f"of record {100}" in text for text in copy.refused)
    assert conflicts(office) > 0
    assert [c for c in codes(office) if c.startswith("copy")] == []
    own = [copy.ledger.read_after(seq) for seq in range(40, 100)]
    assert [record and record.fields["code"] for record in own] == [
        f"copy{n}" for n in range(60)
    ], "all there to be read out"


def test_a_database_put_back_to_a_backup_gets_what_came_since_from_the_flash(
    office: Reception, tmp_path: Path
) -> None:
    device = Device()
    device.write("before", 40)
    device.talk(office)
    backup.backup(office.engine, tmp_path / "books.gz")
    device.write("since", 100)
    device.talk(office)
    device.write("now", 5)
    assert device.ledger.acked_seq == 140
    engine = open_database(f"sqlite:///{tmp_path / 'again.db'}")
    backup.restore(engine, tmp_path / "books.gz")
    restored = Reception(engine)
    device.status(restored)
    assert "gap" in restored.problems()
    device.talk(restored)
    assert device.ledger.acked_seq == 145 and device.alarms().count("flash_copied") == 0
    assert sorted(codes(restored)) == sorted(device.alarms())
    device.status(restored)
    assert "gap" not in restored.problems(), "it is closed"
    engine.dispose()


@pytest.mark.parametrize("now", [0, NOW])
def test_the_device_whose_records_are_here_goes_on_after_a_copy_of_it(
    office: Reception, now: int
) -> None:
    first = Device(now=now)
    first.write("common", 40)
    first.talk(office)
    copy = Device(first.flash.image(), NOW + 5000 if now else 0)
    first.write("first", 20)
    first.talk(office)
    copy.write("copy", 40)  # beyond what the first one has
    copy.talk(office)
    assert conflicts(office) > 0
    again = Device(first.flash.image(), now)  # restarted: it remembers less than it was told
    again.write("more", 40)
    again.talk(office)
    assert again.ledger.acked_seq == again.ledger.next_seq - 1 == 100
    wanted = [("common", 40), ("first", 20), ("more", 40)]
    assert codes(office) == [f"{name}{n}" for name, count in wanted for n in range(count)]
    assert "flash_copied" not in again.alarms()


def test_a_flash_put_back_is_an_alarm_and_none_of_its_numbers_counts_twice(
    office: Reception,
) -> None:
    device = Device()
    device.write("before", 40)
    device.talk(office)
    kept = device.flash.image()
    device.write("sold", 30)
    device.talk(office)
    rewound = Device(kept, NOW + 9000)
    rewound.talk(office)
    assert rewound.alarms()[0] == "flash_copied"
    rewound.write("later", 60)
    rewound.talk(office)
    assert rewound.ledger.acked_seq <= 40 and conflicts(office) > 0
    assert codes(office).count("sold29") == 1
    assert [c for c in codes(office) if c.startswith("later")] == []
    assert rewound.alarms().count("flash_copied") == 1


def test_a_replaced_flash_is_taken_from_its_first_record(office: Reception) -> None:
    for name in ("old", "new"):
        device = Device()
        device.write(name, 30)
        device.talk(office)
        assert device.ledger.acked_seq == 30 and device.alarms().count("flash_copied") == 0
    assert office.problems().count("new_epoch") == 1 and conflicts(office) == 0


def test_lost_acknowledgements_and_plain_ones_free_what_is_there(office: Reception) -> None:
    device = Device()
    device.write("a", 50)
    device.talk(office, deaf=True)
    assert device.ledger.acked_seq == 0
    device.talk(office)
    assert device.ledger.acked_seq == 50
    device.write("b", 50)
    device.talk(office, plain=True)
    assert device.ledger.acked_seq == 100 and len(codes(office)) == 100
    assert conflicts(office) == 0 and device.refused == []


def test_duplicates_alone_earn_no_more_than_was_repeated(office: Reception) -> None:
    first = Device()
    first.write("common", 10)
    image = first.flash.image()
    first.write("first", 50)
    first.talk(office)
    copy = Device(image)
    outbox = Outbox(copy.ledger)
    batch = [(contract.topic("CP1", "records"), outbox.next().encode(), False) for _ in range(10)]
    office.sent.clear()
    office.desk.handle(batch)
    assert [json.loads(data)["seq"] for _, data in office.sent] == [10]


def test_both_sides_make_the_same_check_value_of_every_kind(office: Reception) -> None:
    from firmware.ledger.codec import Record
    from tests.ledger.ledger_rows import ROWS

    values: dict[str, Any] = {
        "u": (0, 2**40), "i": (0, -(2**40)), "s": ("", 'a"\\\u20ac\x00\U0001f697'),
        "l": ([], [1, -2]),
    }  # fmt: skip
    for number, kind, version, fields in ROWS:
        for which in range(2 if number < 128 else 0):
            given = {
                name: values[of or "u"][which]
                for name, _, of in (word.partition(":") for word in fields.split())
            }
            record = Record(9, kind, version, NOW, given)
            message = contract.parse(record.to_json(7).encode())
            assert contract.check_value(message) == check_of(record, 7) >= 0, kind
    unread = Record(9, "alarm", 9, NOW, {"code": "", "sess": 0, "detail": ""}, b"\x01")
    assert contract.check_value(contract.parse(unread.to_json(7).encode())) is None
    assert check_of(unread, 7) == check_of(Record(9, "lost", 0, 0, {}), 7) == -1
