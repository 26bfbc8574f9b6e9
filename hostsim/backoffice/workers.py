"""More processes that take records: each with its own connection to broker and database, sharing
the messages (MQTT shared subscription). What one of them had received and not committed when it
ended was not acknowledged, and comes again.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from hostsim.backoffice.operator import Operator


@dataclass(frozen=True)
class Address:
    """A broker's, for the back office."""

    host: str
    office_port: int


def begin(
    count: int, url: str, broker: tuple[str, int], pki: Path, operator: Operator, group: str
) -> list[BaseProcess]:
    """Starts them; they end with this process."""
    spawn = multiprocessing.get_context("spawn")
    found: list[BaseProcess] = []
    for number in range(count):
        worker = spawn.Process(
            target=_work, args=(url, broker, pki, operator, group),
            name=f"back office {number + 2}", daemon=True,
        )  # fmt: skip
        worker.start()
        found.append(worker)
    return found


def end(workers: list[BaseProcess]) -> None:
    """Ends them in order."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(10)


def _work(url: str, broker: tuple[str, int], pki: Path, operator: Operator, group: str) -> None:
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
    while not over.wait(0.5):
        if parent is not None and not parent.is_alive():
            break
    office.close()
