"""What the connection does with messages before the desk gets them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt

from hostsim.backoffice.connection import Connection
from hostsim.backoffice.desk import Message
from hostsim.pki import Pki
from tests.backoffice.desk import Nowhere

RECORDS, STATUS = "forecourt/v1/CP1/records", "forecourt/v1/CP1/status"


@dataclass
class Came:
    """As aiomqtt gives a message."""

    topic: str
    payload: bytes
    retain: bool = False


class Broker:
    """Gives these messages, then nothing more; each batch is worked on while the next comes."""

    def __init__(self, *came: Came) -> None:
        self._came = came
        self.batches: list[list[Message]] = []
        self.worked = threading.Event()

    @property
    async def messages(self) -> AsyncIterator[Came]:
        for one in self._came:
            yield one
        await asyncio.to_thread(self.worked.wait, 10)
        yield self._came[0]  # once more, when the first is done with
        await asyncio.sleep(0.2)
        raise aiomqtt.MqttError("gone")

    def handle(self, batch: list[Message]) -> None:
        """The desk's."""
        self.batches.append(batch)
        self.worked.set()


def test_a_record_that_is_repeated_while_it_waits_is_worked_on_once(tmp_path: Path) -> None:
    first, second = Came(RECORDS, b"1"), Came(RECORDS, b"2")
    status = Came(STATUS, b"{}")
    broker = Broker(first, second, first, status, status, first, second)
    connection = Connection(Nowhere(), Pki(tmp_path), lambda *_: None)
    both: Any = broker

    async def work() -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            await connection._receive(both, both)

    asyncio.run(work())
    found = [(topic, payload) for batch in broker.batches for topic, payload, _ in batch]
    assert found == [
        (RECORDS, b"1"), (RECORDS, b"2"), (STATUS, b"{}"), (STATUS, b"{}"), (RECORDS, b"1"),
    ]  # fmt: skip
