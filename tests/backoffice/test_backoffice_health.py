"""What works in the background and does not any more is seen by whoever watches by machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hostsim.backoffice import connection
from hostsim.backoffice.phone.keeper import Keeper, Keepers
from hostsim.broker import Broker, free_ports
from hostsim.pki import Pki
from tests.backoffice.desk import Visitor
from tests.backoffice.test_backoffice_no_database import renamed
from tests.sync import sync_rig


def test_a_chore_that_keeps_failing_is_named_with_its_fault_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real broker and database file; once a fault of the program, once the database's."""
    monkeypatch.setattr(connection, "RESEND_S", 0.1)
    with sync_rig.rig(tmp_path) as rig:
        watcher = Visitor(rig.office)
        sync_rig.until(lambda: rig.office.connected)

        def looked() -> tuple[int, dict[str, str]]:
            answer = watcher.get("/health")
            return answer.status_code, answer.json()["workers"]

        assert looked() == (200, {})
        wrong = [ZeroDivisionError("card 4111111111111111")]

        def counting() -> None:
            if wrong:
                raise wrong[0]

        counting.__qualname__ = "counting"
        rig.office._desk.chores.append(counting)
        sync_rig.until(lambda: looked()[1].get("counting", "").endswith("; 3 in a row"))
        status, why = looked()
        assert status == 503 and why.keys() == {"counting"}
        assert why["counting"].startswith("ZeroDivisionError at desk.py:"), "and no card's number"
        wrong.clear()
        sync_rig.until(lambda: looked() == (200, {}))
        renamed(rig.office, "stat_todo", "mislaid")
        sync_rig.until(lambda: "2 in a row" in looked()[1].get("database", ""))
        assert looked()[1]["database"].startswith("OperationalError at ")
        renamed(rig.office, "mislaid", "stat_todo")
        sync_rig.until(lambda: looked() == (200, {}))  # at once, not when it is forgotten


def test_what_hangs_or_has_no_broker_is_named(tmp_path: Path) -> None:
    with sync_rig.rig(tmp_path) as rig:
        watcher = Visitor(rig.office)
        sync_rig.until(lambda: rig.office.connected)
        rig.office._connection._busy["records"] = time.monotonic() - 301
        assert watcher.get("/health").json()["workers"] == {"records": "silent for 301 s"}
        rig.office._connection._busy.clear()
        rig.broker.stop()
        sync_rig.until(lambda: "broker" in watcher.get("/health").json()["workers"])
        assert watcher.get("/health").status_code == 503


def test_a_cashier_that_fell_is_named() -> None:
    def work() -> None:
        raise ZeroDivisionError

    fell: list[Exception] = []
    keeper = Keeper(work, fell.append, "cashier, paid")
    keeper.begin()
    sync_rig.until(lambda: bool(fell))
    keeper.end()
    [(who, why)] = Keepers([keeper]).troubles().items()
    assert who == "cashier, paid"
    assert why.startswith("ZeroDivisionError at keeper.py:")


def test_a_process_that_died_or_has_no_broker_is_named(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", Pki(tmp_path / "pki"))
    broker.start()
    [port] = free_ports(1)
    command = [
        sys.executable, "-m", "hostsim", "backoffice", "--db", str(tmp_path / "o.db"),
        "--broker", f"127.0.0.1:{broker.office_port}", "--pki", str(tmp_path / "pki"),
        "--port", str(port), "--workers", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(port, lambda found: found["broker"] and found["workers"] == {})
            broker.stop()
            until(port, lambda found: "broker: " in found["workers"].get("back office 2", ""))
            os.kill(helper_of(process.pid), signal.SIGKILL)
            until(port, lambda found: found["workers"]["back office 2"] == "ended with -9")
        finally:
            process.terminate()
            process.wait(20)
            broker.stop()


def until(port: int, seen: Callable[[dict[str, Any]], bool]) -> None:
    end = time.monotonic() + 60
    found: dict[str, Any] = {}
    while not found or not seen(found):
        assert time.monotonic() < end, found
        time.sleep(0.1)
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=10)
            found = answer.json()
            well = found["broker"] and found["database"] and not found["workers"]
            assert answer.status_code == (200 if well else 503)


def helper_of(parent: int) -> int:
    """The other process."""
    for pid in (name for name in os.listdir("/proc") if name.isdecimal()):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == parent and "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
    raise AssertionError("there is none")
