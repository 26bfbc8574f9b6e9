"""A hostile charger, with a valid certificate, against the back office: nothing it sends may end
the service, change the books wrongly, fill the database, or go unseen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice import contract, views
from hostsim.backoffice.desk import Desk
from hostsim.backoffice.ingest import MAX_AHEAD, Ack
from hostsim.backoffice.models import Record, open_database
from tests.backoffice.records import EPOCH, Inbox, Ledger

TOPIC = "forecourt/v1/CP1/"


class Reception(Inbox):
    """The desk over a database: messages by topic, as the broker brings them."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.sent: list[tuple[str, bytes]] = []
        self.desk = Desk(
            engine,
            self.ingest,
            lambda: 1767300000000,
            lambda topic, payload, retain: self.sent.append((topic, payload)),
        )

    def hear(self, name: str, payload: Any, charger: str = "CP1", retained: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.desk.handle([(f"forecourt/v1/{charger}/{name}", data, retained)])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Reception]:
    engine = open_database(f"sqlite:///{tmp_path / 'office.db'}")
    yield Reception(engine)
    engine.dispose()


def session(ledger: Ledger | None = None) -> list[dict[str, Any]]:
    return (ledger or Ledger()).session(1).records


def text(record: dict[str, Any], old: str, new: str) -> bytes:
    changed = json.dumps(record).replace(old, new)
    assert changed != json.dumps(record)
    return changed.encode()


# --- values that no database or book may see -----------------------------------------------------


@pytest.mark.parametrize(
    ("which", "old", "new"),
    [
        (5, '"captured_minor": 119', '"captured_minor": 119.0'),
        (5, '"captured_minor": 119', '"captured_minor": 1.19e2'),
        (1, '"amount_minor": 6000', '"amount_minor": 6e3'),
        (0, '"seq": 1', '"seq": 1e22'),
        (0, '"seq": 1', '"seq": 1.0'),
        (0, '"epoch": 71', '"epoch": 71.0'),
        (0, '"epoch": 71', '"epoch": 1e400'),
        (0, '"epoch": 71', '"epoch": 99999999999999999999999'),
        (0, '"at": 1767225600001', '"at": true'),
        (4, '"lines": [0,', '"lines": [0.0,'),
        (4, '"lines": [0,', '"lines": [99999999999999999999999,'),
    ],
)
def test_a_number_that_is_no_integer_of_ours_is_refused(
    office: Reception, which: int, old: str, new: str
) -> None:
    records = session()
    office.take(*records[:which])
    assert office.take(text(records[which], old, new)) == []
    assert office.problems() == ["malformed"]
    office.take(*records)
    assert office.books()["captured_minor"] == 119


@pytest.mark.parametrize("bad", ["\\ud800", "\\udfff\\ud800", "a\\u0000b"])
def test_text_that_no_database_keeps_holds_nobody_up(office: Reception, bad: str) -> None:
    """A charger passes on what others said to it: refusing it would stop its queue for ever."""
    records = session()
    poison = text(records[1], '"card": "Visa"', f'"card": "{bad}"')
    other = [("CP2", json.dumps(r).encode()) for r in session()]
    batch = [("CP1", json.dumps(records[0]).encode()), ("CP1", poison), *other]
    assert office.ingest.take(batch) == [Ack("CP1", EPOCH, 2), Ack("CP2", EPOCH, 6)]
    assert office.take(poison) == [Ack("CP1", EPOCH, 2)], "the same again is no conflict"
    assert "\ufffd" in views.sessions(office.engine, "CP1")[0]["card"]
    assert office.problems() == ["epoch_twice"]


def test_a_poisoned_status_or_result_ends_nothing(office: Reception) -> None:
    for name, message in (
        ("status", {"online": True, "epoch": 2**70, "acked_seq": 1}),
        ("status", {"online": True, "epoch": 1e22, "acked_seq": 1}),
        ("status", {"online": True, "epoch": 5, "acked_seq": 2**80}),
        ("session", {"state": "free", "session": 2**90}),
        ("result", {"about": "command", "ok": True, "id": "x", "at": 2**90}),
        ("log", {"at": 1e300, "level": "info", "text": "x"}),
    ):
        office.hear(name, message)
    assert set(office.problems()) == {"malformed"}
    office.hear("status", b'{"online":true,"at":0,"state":"\\ud800"}')
    office.hear("log", b'{"at":1,"level":"info","text":"\\ud800"}')
    office.hear("status", b"\xff\xff")
    office.hear("records", b"\xff\xff")
    assert set(office.problems()) == {"malformed"}
    office.hear("records", session()[0])
    assert office.ingest.position("CP1", EPOCH) == 1


def messages() -> list[tuple[str, Any]]:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 50)
    ledger.refunded("R1", 1, 50)
    ledger.put("alarm", code="x", sess=1, detail="d")
    ledger.put("command", command="c", counter=1, name="stop", result="ok", detail="")
    found: list[tuple[str, Any]] = [("records", r) for r in ledger.records]
    found.append(("status", {"online": True, "epoch": EPOCH, "next_seq": 9, "acked_seq": 3,
                             "at": 5, "clock": "network", "state": "free", "connector": 1,
                             "version": "1", "reason": "", "tariff": "T", "uptime_ms": 5,
                             "heap_free": 7}))  # fmt: skip
    found.append(("session", {"at": 1, "state": "free", "session": 0}))
    found.append(("result", {"about": "command", "ok": True, "id": "x", "at": 1, "detail": ""}))
    found.append(("log", {"at": 1, "level": "info", "text": "t"}))
    return found


VALUES: list[object] = [
    0, -1, 1, 5, 2**31, 2**63 - 1, 2**63, 2**70, 1.0, 1e22, None, True, "", "x", "\ud800",
    "\x00", "y" * 5000, [], {}, [0] * 300, {"a": {}}, EPOCH,
]  # fmt: skip


def spoilt(dice: random.Random, message: Any) -> bytes:
    changed = json.loads(json.dumps(message))
    for _ in range(dice.randint(1, 3)):
        name = dice.choice([*changed, "extra"])
        if dice.random() < 0.2:
            changed.pop(name, None)
        else:
            changed[name] = dice.choice(VALUES)
    data = bytearray(json.dumps(changed).encode())
    if dice.random() < 0.15:
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


@pytest.mark.parametrize(
    "turns", [400, pytest.param(60_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_nothing_a_charger_says_ends_the_desk(office: Reception, turns: int) -> None:
    dice = random.Random(4)
    said = messages()
    for _ in range(turns):
        name, message = dice.choice(said)
        charger = dice.choice(("CP1", "CP2", "CP3"))
        payload = (
            spoilt(dice, message) if dice.random() < 0.8 else json.dumps(message).encode()
        )
        office.hear(name, payload, charger, dice.random() < 0.1)
    honest = [r | ({"refund": "R9"} if "refund" in r else {}) for n, r in said if n == "records"]
    assert office.take(*honest, charger="CP9")[-1] == Ack("CP9", EPOCH, len(honest))
    books = office.books("CP9")
    assert (books["captured_minor"], books["refunded_minor"]) == (119, 50)


# --- gaps and clones -----------------------------------------------------------------------------


def test_early_records_never_fill_the_table(office: Reception) -> None:
    ledger = Ledger()
    ledger.session(1)
    office.take(ledger.records[0])
    early = [ledger.records[2] | {"seq": seq} for seq in range(3, 3 * MAX_AHEAD)]
    for at in range(0, len(early), 50):
        office.take(*early[at : at + 50])
    with office.engine.connect() as db:
        kept = db.exec_driver_sql(f"SELECT count(*) FROM {Record.__tablename__}").scalar()
    assert kept is not None and kept <= 1 + MAX_AHEAD
    assert "gap" in office.problems()


def test_a_long_backlog_in_one_batch_is_taken_whole(office: Reception) -> None:
    ledger = Ledger()
    for sess in range(1, 121):
        ledger.session(sess)
    assert len(ledger.records) > 2 * MAX_AHEAD
    assert office.take(*ledger.records) == [Ack("CP1", EPOCH, 720)]
    assert office.problems() == []


def test_records_acknowledged_by_a_lost_database_are_missed_at_once(office: Reception) -> None:
    records = session()
    office.take(*records[:2])
    office.hear("status", {"online": True, "epoch": EPOCH, "acked_seq": 5, "at": 0})
    assert office.problems() == ["gap"]
    assert "3 to 5" in office.detail()
    office.hear("status", {"online": True, "epoch": EPOCH, "acked_seq": 2, "at": 0})
    assert office.problems() == ["gap"]


def test_a_cloned_charger_is_a_conflict_that_names_both_and_changes_no_book(
    office: Reception,
) -> None:
    first, clone = Ledger(), Ledger()
    first.session(1)
    clone.session(1)
    first.session(2)
    clone.hold(2, 5000)
    clone.authorised(2, 5000)
    office.take(*first.records)
    before = office.books()
    assert office.take(*clone.records[:6]) == [Ack("CP1", EPOCH, 6)], "what is the same is here"
    assert office.take(*clone.records[6:]) == []
    assert office.problems() == ["conflict"]
    assert views.problems(office.engine)[0]["count"] == 2 and "used twice" in office.detail()
    assert office.books() == before


def test_an_identity_used_by_two_flashes_is_seen_each_time(office: Reception) -> None:
    first, second = Ledger(), Ledger(epoch=EPOCH + 4)
    first.session(1)
    second.session(1)
    office.take(*first.records[:3])
    office.take(*second.records)
    office.take(*first.records[3:])
    assert set(office.problems()) == {"new_epoch", "old_epoch"}
    books = office.books()
    assert books["captured_minor"] == 238, "both flashes sold, both are in the books"


# --- records that cannot be true -----------------------------------------------------------------


def test_the_same_bill_number_twice_is_impossible(office: Reception) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.hold(2)
    ledger.authorised(2)
    ledger.energising(2, 2000)
    ledger.priced(2, start=2000, end=3000, receipt_no=1)
    office.take(*ledger.records)
    assert office.problems() == ["impossible"] and "number 1" in office.detail()


def test_a_bill_above_the_register_that_was_read_is_impossible(office: Reception) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1, 1000)
    ledger.put("power_off", sess=1, register_wh=2000, elapsed_ms=1000, reason="unplugged")
    ledger.priced(1, start=1000, end=5000)
    office.take(*ledger.records)
    assert office.problems() == ["impossible"] and "register" in office.detail()


def test_a_bill_whose_lines_are_another_sum_is_impossible(office: Reception) -> None:
    ledger = Ledger()
    ledger.hold(1)
    ledger.authorised(1)
    ledger.energising(1, 1000)
    ledger.priced(1, lines=[0, 1000000, 1000, 190000, 19])
    office.take(*ledger.records)
    assert office.problems() == ["impossible"] and "lines" in office.detail()


def test_a_refund_larger_than_the_capture_is_impossible_also_in_two_parts(
    office: Reception,
) -> None:
    ledger = Ledger()
    ledger.session(1)
    ledger.refund_asked("R1", 1, 100)
    ledger.refunded("R1", 1, 100)
    ledger.refund_asked("R2", 1, 20)
    ledger.refunded("R2", 1, 20)
    office.take(*ledger.records)
    assert office.problems() == ["impossible", "impossible"]
    assert office.books()["refunded_minor"] == 100


def test_records_of_kinds_unknown_to_everybody_are_kept_and_shown(office: Reception) -> None:
    ledger = Ledger()
    ledger.put("unknown", payload="c80105")
    ledger.records[0]["version"] = 3
    ledger.session(1)
    assert office.take(*ledger.records) == [Ack("CP1", EPOCH, 7)]
    assert views.records(office.engine, "CP1")[0]["payload"] == "c80105"
    assert office.problems() == ["unknown_record"]
    assert contract.known_version("captured") >= 1
