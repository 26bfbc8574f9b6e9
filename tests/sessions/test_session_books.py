"""What the runner does when a record would break the books: real ledger, real machine."""

from pathlib import Path

from board.host_flash import FileFlash
from firmware.ledger.ledger import Ledger
from firmware.session.runner import Runner
from tests.pure.session_bench import Bench


class Lines:
    closed = True

    def contactor(self, closed: bool) -> None:
        self.closed = closed

    def offer(self, milliamps: int) -> None:
        self.milliamps = milliamps


class Clock:
    def uptime_ms(self) -> int:
        return 5000


class Board:
    resets = 0

    def __init__(self) -> None:
        self.lines = Lines()
        self.clock = Clock()

    def reset(self) -> None:
        self.resets += 1


class Parts:
    """What a runner is made of, here without terminal and meter."""

    class cfg:  # noqa: N801 - an attribute of the parts
        cards_kinds = ("bank",)

    def __init__(self, path: Path) -> None:
        self.board = Board()
        self.machine = Bench().m
        self.ledger = Ledger(FileFlash(str(path), 16, 4096), lambda: 0)
        self.ledger.mount()
        self.said: list[str] = []

    def log(self, level: str, text: str) -> None:
        self.said.append(text)

    def append(self, kind: str, **fields: object) -> None:
        self.ledger.append(kind, **fields)


def test_a_record_that_breaks_the_books_ends_out_of_service_and_not_in_a_restart(
    tmp_path: Path,
) -> None:
    parts = Parts(tmp_path / "flash.bin")
    runner = Runner(parts)
    assert not runner.record("energising", {"sess": 7, "register_wh": 1, "serial": ""})
    assert not parts.board.lines.closed and not parts.board.resets
    assert (parts.machine.state, parts.machine.broken) == ("out_of_service", "ledger_fault")
    assert "session not open" in parts.said[0]
    alarm = parts.ledger.recent("alarm", 1)[0]
    assert alarm.fields["code"] == "books_fault"
