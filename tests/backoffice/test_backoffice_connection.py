"""What the connection does with messages before the desk gets them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt

from hostsim.backoffice import views
from hostsim.backoffice.connection import Connection
from hostsim.backoffice.desk import Message
from hostsim.pki import Pki
from tests.backoffice.desk import Nowhere
from tests.backoffice.records import EPOCH, Ledger
from tests.sync import sync_rig

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


def test_one_chargers_message_ends_the_back_office_for_nobody(tmp_path: Path) -> None:
    with sync_rig.rig(tmp_path) as rig:
        office, record = rig.office, json.dumps(Ledger().session(1).records[0]).encode()
        deep = b'{"a":' + b"[" * 600 + b"]" * 600 + b"}"
        take, falls = office._desk.handle, [RuntimeError("nobody thought of this")]

        def handle(batch: list[Message]) -> None:
            take(batch)
            if falls:
                raise falls.pop()

        office._desk.handle = handle  # type: ignore[method-assign]
        asyncio.run(publish(rig, "CP2", ("log", deep), ("status", deep), ("records", deep)))
        sync_rig.until(lambda: office.faults == 1 and office.connected)
        asyncio.run(publish(rig, "CP1", ("records", record)))
        sync_rig.until(lambda: office.ingest.position("CP1", EPOCH) == 1)
        assert {row["code"] for row in views.problems(office.engine)} == {"malformed"}


async def publish(rig: sync_rig.Rig, charger: str, *messages: tuple[str, bytes]) -> None:
    identity = rig.pki.charger(charger)
    tls = ssl.create_default_context(cafile=str(rig.pki.ca))
    tls.load_cert_chain(identity.cert, identity.key)
    async with aiomqtt.Client(rig.broker.host, rig.broker.port, tls_context=tls) as client:
        for name, payload in messages:
            await client.publish(f"forecourt/v1/{charger}/{name}", payload, qos=1)
