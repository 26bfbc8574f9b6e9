"""More processes that take records: each with its own connection to broker and database, sharing
the messages (MQTT shared subscription). What one of them had received and not committed when it
ended was not acknowledged, and comes again.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from hostsim.backoffice.operator import Operator

_SAID = 500  # bytes
_HANGS_S = 30.0


@dataclass(frozen=True)
class Address:
    """A broker's, for the back office."""

    host: str
    office_port: int


class Worker:
    """One of them, seen from the first process."""

    def __init__(self, process: BaseProcess, said: ctypes.Array[ctypes.c_char]) -> None:
        """`said`: what it says of itself, and writes anew all the time."""
        self.process = process
        self._said = said
        self._heard = b""
        self._heard_at = time.monotonic()

    @property
    def name(self) -> str:
        """As its process is called."""
        return self.process.name

    def why_not(self) -> str:
        """Why it does not take records; "" when it does."""
        if self.process.exitcode is not None:
            return f"ended with {self.process.exitcode}"
        said = self._said.value
        now = time.monotonic()
        if said != self._heard:
            self._heard, self._heard_at = said, now
        if now - self._heard_at > _HANGS_S:
            return f"silent for {now - self._heard_at:.0f} s"
        return said.decode(errors="replace").partition(" ")[2]


def begin(
    count: int, url: str, broker: tuple[str, int], pki: Path, operator: Operator, group: str
) -> list[Worker]:
    """Starts them; they end with this process."""
    spawn = multiprocessing.get_context("spawn")
    found: list[Worker] = []
    for number in range(count):
        said = spawn.Array("c", _SAID, lock=False)  # one that was stopped would keep it
        process = spawn.Process(
            target=_work, args=(url, broker, pki, operator, group, said),
            name=f"back office {number + 2}", daemon=True,
        )  # fmt: skip
        process.start()
        found.append(Worker(process, said))
    return found


def end(workers: list[Worker]) -> None:
    """Ends them in order."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(10)


def _work(
    url: str, broker: tuple[str, int], pki: Path, operator: Operator, group: str,
    said: ctypes.Array[ctypes.c_char],
) -> None:  # fmt: skip
    from hostsim.backoffice.service import BackOffice
    from hostsim.pki import Pki

    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first one, which ends these
    office = BackOffice(
        url, Address(*broker), Pki(pki), operator=operator, group=group, leads=False
    )
    office.begin()
    parent = multiprocessing.parent_process()
    beats = 0
    while not over.wait(0.5):
        beats += 1
        troubles = "; ".join(f"{who}: {why}" for who, why in office.troubles().items())
        said.value = f"{beats} {troubles}".encode()[: _SAID - 1]
        if parent is not None and not parent.is_alive():
            break
    office.close()
