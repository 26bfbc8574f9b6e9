"""What the sync tests share: a broker, a back office, and firmware.sync as a MicroPython
process."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hostsim.backoffice.service import BackOffice, sqlite_url
from hostsim.broker import Broker
from hostsim.pki import Pki
from tests import mpy

SCRIPT = "tests/sync/sync_charger_mpy.py"


def until(what: Callable[[], Any], timeout: float = 15, why: str = "") -> Any:
    """The first true value of `what()`."""
    end = time.monotonic() + timeout
    while not (value := what()):
        assert time.monotonic() < end, f"waited {timeout} s: {why or what}"
        time.sleep(0.02)
    return value


class SyncCharger:
    """tests/sync/sync_charger_mpy.py running on MicroPython."""

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        which: str = "micropython32",
        heap: str = "1M",
    ) -> None:
        """`heap` is generous because the sources are compiled on the way."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.json"
        path.write_text(json.dumps(settings))
        search = ":".join(str(part) for part in (mpy.ROOT, mpy.LIB, ".frozen"))
        self._errors = (folder / "stderr").open("w+")
        self._process = subprocess.Popen(
            [str(mpy.interpreter(which)), "-X", f"heapsize={heap}", SCRIPT, str(path)],
            cwd=mpy.ROOT,
            env={**os.environ, "MICROPYPATH": search},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._collect, daemon=True).start()
        self.epoch = self.expect("start")["epoch"]

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"ev": "text", "text": line}
            self.events.append(event)
            self._queue.put(event)
        self._queue.put(None)

    def expect(self, ev: str, timeout: float = 15, **fields: Any) -> dict[str, Any]:
        """The next event of that name (and these fields); earlier ones of other names are passed
        over."""
        end = time.monotonic() + timeout
        while True:
            try:
                event = self._queue.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no {ev} {fields} in {timeout} s; events: {self.events[-12:]}"
                ) from None
            if event is None:
                raise AssertionError(
                    f"it ended while {ev} was awaited: {self.events[-6:]}\n{self.errors()}"
                )
            if event["ev"] == ev and all(event.get(k) == v for k, v in fields.items()):
                return event

    def order(self, *words: Any) -> dict[str, Any]:
        """Send one order and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self.expect("done", order=words[0])

    def tell(self) -> dict[str, Any]:
        """Its figures now."""
        assert self._process.stdin is not None
        self._process.stdin.write('["tell"]\n')
        self._process.stdin.flush()
        return self.expect("tell")

    def synced(self) -> bool:
        """Whether every record is acknowledged."""
        figures = self.tell()
        return bool(figures["acked_seq"] + 1 == figures["next_seq"])

    def errors(self) -> str:
        """What it wrote to stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def kill(self) -> None:
        """A power cut."""
        self._process.kill()
        self._process.wait()
        self._errors.close()


class Rig:
    """Broker, back office and as many chargers as a test wants, all in one directory."""

    def __init__(self, folder: Path) -> None:
        """Nothing is started yet."""
        self.folder = folder
        self.pki = Pki(folder / "pki")
        self.broker = Broker(folder / "broker", self.pki)
        self.office = BackOffice(sqlite_url(folder / "office.db"), self.broker, self.pki)
        self._chargers: list[SyncCharger] = []

    def settings(self, name: str = "CP1", **changes: Any) -> dict[str, Any]:
        """What firmware.sync reads."""
        files = self.folder / name
        identity = self.pki.charger(name)
        identity.install(files)
        settings: dict[str, Any] = {
            "charger_id": name,
            "command_key": identity.command_key,
            "sectors": 64,
            "epoch_ms": time.time_ns() // 1_000_000,
            "mqtt": {
                "host": "127.0.0.1",
                "port": self.broker.port,
                "server_name": "localhost",
                "keepalive_s": 2,
                "retry_min_ms": 100,
                "retry_max_ms": 400,
                "ca": str(files / "ca.crt"),
                "cert": str(files / "charger.crt"),
                "key": str(files / "charger.key"),
            },
            "time": {"server": "", "port": 123, "interval_s": 600},
        }
        for key, value in changes.items():
            if isinstance(value, dict):
                settings[key].update(value)
            else:
                settings[key] = value
        return settings

    def charger(
        self, name: str = "CP1", which: str = "micropython32", **changes: Any
    ) -> SyncCharger:
        """Start a charger; `changes` go into its settings."""
        charger = SyncCharger(
            self.folder / f"{name}-{len(self._chargers)}", self.settings(name, **changes), which
        )
        self._chargers.append(charger)
        return charger

    def start(self) -> None:
        """Broker and back office, connected."""
        self.broker.start()
        self.office.begin()
        assert self.office.wait_connected()

    def stop(self) -> None:
        """Everything."""
        for charger in self._chargers:
            charger.kill()
        self.office.close()
        self.broker.stop()


@contextlib.contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """A rig whose broker and back office run."""
    found = Rig(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()
