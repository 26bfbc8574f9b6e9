"""Commands: counters that are never given twice, and one at a time on its way to a charger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from hostsim import command_cli
from hostsim.backoffice import in_line
from hostsim.backoffice.models import Charger, Command, writing
from hostsim.backoffice.service import BackOffice
from tests.backoffice.desk import NOW_MS, fill, say
from tests.backoffice.desk import office as opened
from tests.backoffice.records import Ledger
from tests.command import here

DAY_MS = 86_400_000
TEN_YEARS_MS = 3650 * DAY_MS


class Line:
    """A back office without a broker, and what it would have published."""

    def __init__(self, office: BackOffice) -> None:
        self.office = office
        self.ms = NOW_MS
        self.clock = 1000.0  # seconds of the machine
        self.sent: list[str] = []
        office._now_ms = office._desk._now_ms = lambda: self.ms
        office._desk._send = lambda topic, payload, retain: self._note(topic, payload)
        say(office, "status", online=True)

    def _note(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/command"):
            self.sent.append(json.loads(payload)["id"])

    def command(self, name: str = "report", **more: Any) -> str:
        return self.office.send_command("CP1", name, **more)

    def answer(self, identity: str, **more: Any) -> None:
        say(self.office, "result", about="command", id=identity, **({"ok": True} | more))

    def reminded(self, after_s: int = 5) -> list[str]:
        self.ms += after_s * 1000
        self.clock += after_s
        return [json.loads(payload)["id"] for _, payload, _ in self.office._desk.reminders()]

    def of(self, identity: str) -> Command:
        with Db(self.office.engine, expire_on_commit=False) as db:
            return db.get_one(Command, identity)

    def put_back(self, counter: int) -> None:
        """As a copy of the database has it."""
        with writing(self.office.engine) as db:
            db.get_one(Charger, "CP1").command_counter = counter


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    office = opened(tmp_path)
    found = Line(office)
    monkeypatch.setattr(in_line.time, "monotonic", lambda: found.clock)
    found.office._desk._lines = in_line.Lines(NOW_MS)
    yield found
    office.close()


def test_a_database_that_was_put_back_gives_no_counter_twice(line: Line) -> None:
    before = [line.of(line.command()).counter for _ in range(3)]
    assert before == [NOW_MS, NOW_MS + 1, NOW_MS + 2]
    line.put_back(before[0])
    line.ms += 1000
    assert line.of(line.command()).counter == NOW_MS + 1000
    line.ms = NOW_MS - DAY_MS  # the clock was put back as well
    assert line.of(line.command()).counter == NOW_MS + 1001


def test_a_charger_that_knows_a_higher_counter_raises_it_by_ten_years_at_most(line: Line) -> None:
    ledger = Ledger()
    for counter in (NOW_MS + 5000, NOW_MS + TEN_YEARS_MS + 1, 2**63 - 1):
        ledger.put("command", command="c", counter=counter, name="stop", result="ok", detail="")
    fill(line.office, ledger)
    assert line.of(line.command()).counter == NOW_MS + 5001
    for above, given in ((NOW_MS + 7000, NOW_MS + 7001), (2**63 - 1, NOW_MS + 7003)):
        line.answer(line.command(), ok=False, code="replayed", field="counter",
                    reason=f"must be above {above}", given="1")  # fmt: skip
        line.answer(line.command(), ok=False, code="refused", reason=f"must be above {above + 9}")
        with Db(line.office.engine) as db:
            highest = db.scalars(select(Command.counter).order_by(Command.counter.desc())).first()
        assert highest == given


def test_the_next_command_leaves_when_the_one_before_was_answered(line: Line) -> None:
    first, second, third = line.command(), line.command("stop"), line.command()
    assert line.sent == [first]
    assert line.reminded() == [first]  # not overtaken by the others
    line.answer(first, code="part", data={"checks": []})
    line.answer(first, ok=False, code="not_yet")
    assert line.sent == [first]
    line.answer(first)
    assert line.sent == [first, second] and line.reminded() == [second]
    line.answer(second, ok=False, code="refused", reason="no")
    assert line.sent == [first, second, third]
    line.answer(third)
    assert line.sent == [first, second, third] and line.reminded() == []


def test_one_that_has_expired_or_whose_charger_was_away_holds_nothing_up(line: Line) -> None:
    short = line.command(expires_in_s=8)
    say(line.office, "status", online=False)
    stop = line.command("stop")
    assert line.sent == [short] and line.reminded() == []
    line.ms += 5000
    say(line.office, "status", online=True)
    assert line.sent == [short, stop], "at once when it comes back, the dead one not at all"
    assert line.reminded() == [stop] and line.of(short).state == "unanswered"


def test_what_is_never_answered_holds_the_others_up_for_half_a_minute_in_all(line: Line) -> None:
    dead = [line.command() for _ in range(12)]
    stop = line.command("stop")
    for _ in range(5):
        assert line.reminded() == dead[:1]
    assert line.reminded() == [*dead, stop]
    assert line.sent[1:] == []
    now = line.command("stop")
    assert line.sent[1:] == [now], "it need not wait for the next round"
    line.answer(now, ok=False, code="refused", reason="nothing to stop")
    assert line.reminded() == [], "the charger would call the others replayed"
    assert {line.of(one).state for one in [*dead, stop]} == {"replayed"}
    ledger = Ledger()
    ledger.put("command", command=dead[0], counter=5, name="report", result="ok", detail="")
    fill(line.office, ledger)
    assert line.of(dead[0]).state == "ok"


def test_a_charger_that_comes_and_goes_is_waited_for_no_longer(line: Line) -> None:
    dead, stop = line.command(), line.command("stop")
    heard: list[str] = []
    for _ in range(4):
        for _ in range(3):
            heard += line.reminded()
        say(line.office, "status", online=False)
        line.clock += 600
        assert line.reminded() == []
        say(line.office, "status", online=True)
    assert stop in heard and heard.index(stop) > 3 and heard[0] == dead


def test_who_comes_back_has_time_for_what_it_owes_before_it_is_asked_again(line: Line) -> None:
    restart = line.command("restart")
    line.ms += 60_000
    say(line.office, "status", online=False)
    line.clock += 20
    say(line.office, "status", online=True)
    assert line.sent == [restart] and line.reminded(3) == []
    ledger = Ledger()
    ledger.put("command", command=restart, counter=line.of(restart).counter, name="restart",
               result="ok", detail="")  # fmt: skip
    fill(line.office, ledger)
    line.clock += 6
    assert line.reminded() == [] and line.of(restart).state == "ok"


def test_the_ledgers_word_counts_where_the_charger_called_it_replayed(line: Line) -> None:
    """Power was lost between the command's effect and its answer."""
    identity = line.command("stop")
    line.answer(identity, ok=False, code="replayed", reason="must be above 7")
    assert line.of(identity).state == "replayed"
    ledger = Ledger()
    ledger.put("command", command=identity, counter=7, name="stop", result="ok", detail="done")
    fill(line.office, ledger)
    assert line.of(identity).state == "ok"


Heard = Callable[[Line, str], None]


def recorded(result: str, detail: str) -> Heard:
    """The ledger's word on a command comes in."""

    def hear(line: Line, identity: str) -> None:
        ledger = Ledger()
        command = line.of(identity)
        ledger.put("command", command=identity, counter=command.counter, name=command.name,
                   result=result, detail=detail)  # fmt: skip
        fill(line.office, ledger)

    return hear


def told(**more: Any) -> Heard:
    """Its result message comes in."""
    return lambda line, identity: line.answer(identity, **more)


START = "start --amount 9"
DONE = told(detail="session 4", data={"sess": 4, "state": "starting"})
ELSEWHERE = told(ok=False, code="refused", field="connector", reason="must be 1")
REPLAYED = told(ok=False, code="replayed", reason="must be above 7")
WRONG = recorded("refused", "connector: must be 1")


@pytest.mark.parametrize(
    ("words", "heard", "code", "says"),
    [
        (START, [recorded("ok", "session 4"), DONE], 0, "start: sess 4, state starting"),
        (START, [DONE], 0, "start: sess 4, state starting"),
        (START, [recorded("ok", "session 4")], 0, "start: session 4"),
        (START, [WRONG, ELSEWHERE], 1, "start refused: connector: must be 1"),
        (START, [ELSEWHERE], 1, "start refused: connector: must be 1"),
        (START, [WRONG], 1, "start refused: connector: must be 1"),
        ("restart", [recorded("ok", "done")], 0, "restart: done"),
        ("restart", [REPLAYED, recorded("ok", "done")], 0, "restart: done"),
        ("restart", [REPLAYED], 1, "restart refused: : must be above 7"),
    ],
)
def test_the_command_line_takes_the_ledgers_word_and_the_answer_as_they_come(
    words: str, heard: list[Heard], code: int, says: str, line: Line, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Either may be there first, and of a charger that restarts there is no answer."""
    left = list(heard)

    def look_again(seconds: float) -> None:
        if left:
            with Db(line.office.engine) as db:
                identity = db.scalars(select(Command.id)).one()
            left.pop(0)(line, identity)

    monkeypatch.setattr(command_cli.time, "sleep", look_again)
    (tmp_path / "backoffice.db").symlink_to(tmp_path / "o.db")
    done = here("command", *words.split(), "--dir", tmp_path, "--charger", "CP1")
    assert (done.returncode, done.stdout.strip(), left) == (code, says, [])


def test_one_closed_by_its_record_alone_is_an_answer_like_any_other(line: Line) -> None:
    first, second, third = line.command(), line.command("stop"), line.command()
    for _ in range(5):
        assert line.reminded() == [first]
    recorded("ok", "")(line, first)
    for _ in range(6):
        assert line.reminded() == [second], "one at a time"
    assert line.reminded() == [second, third]


def test_one_that_another_process_closed_lets_the_next_one_leave_alone(line: Line) -> None:
    first, second, third = line.command(), line.command("stop"), line.command()
    for _ in range(5):
        assert line.reminded() == [first]
    with writing(line.office.engine) as db:
        db.get_one(Command, first).state = "ok"
    line.clock += 4
    line.office._desk.send_next(["CP1"])
    assert line.sent == [first, second] and line.reminded() == [second]
    assert third not in line.sent


def test_a_line_that_went_out_whole_goes_out_again_after_as_long(line: Line) -> None:
    dead = [line.command() for _ in range(3)]
    for _ in range(5):
        assert line.reminded() == dead[:1]
    assert line.reminded() == dead
    for _ in range(5):
        assert line.reminded() == [], "what it took in meanwhile it would call replayed"
    assert line.reminded() == dead
    say(line.office, "status", online=False)
    say(line.office, "status", online=True)
    assert line.reminded(3) == [] and line.reminded(3) == dead, "it was away: nobody heard it"


def test_a_reminder_does_not_follow_the_command_that_came_after_it(line: Line) -> None:
    """What a round is to send is written in one piece and sent one after the other; meanwhile the
    charger answers, and its next command leaves."""
    others = line.office.send_command("CP0", "report")
    say(line.office, "status", charger="CP0", online=True)
    first, second = line.command(), line.command("stop")
    line.ms += 5000
    line.clock += 5

    class Client:
        async def publish(self, topic: str, payload: bytes, **_: Any) -> None:
            line._note(topic, payload)
            if json.loads(payload)["id"] == others:
                line.answer(first)

    line.sent.clear()
    client: Any = Client()
    asyncio.run(line.office._connection._round(client, line.office._desk))
    assert line.sent == [others, second]


def test_a_stop_for_which_flash_is_full_is_said_again_until_it_expires(line: Line) -> None:
    full = {"ok": False, "code": "full", "reason": "no room"}
    stop = line.command("stop")
    line.answer(stop, **full)
    assert line.of(stop).state == "sent" and line.reminded() == [stop]
    line.answer(stop)
    assert line.of(stop).state == "ok" and line.reminded() == []
    late = line.command("stop")
    line.answer(late, **full)
    assert line.reminded(3600) == []
    done = line.of(late)
    assert done.state == "full" and (done.result or {})["reason"] == "no room"
    report = line.command("report")
    line.answer(report, **full)
    assert line.of(report).state == "full" and line.reminded() == []
