"""One charger of the fleet on the wire: its records in order, at most 16 ahead of the last that
was acknowledged, again from there when no acknowledgement comes (docs/mqtt, "Delivery")."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections import deque
from collections.abc import Callable

import aiomqtt

from hostsim.backoffice.connection import AT_ONCE
from hostsim.fleet.records import VirtualLedger
from hostsim.pki import Identity

PREFIX = "forecourt/v1/"
WINDOW = 16
_AGAIN_S = 5.0  # twice as long each time, up to
_LONGEST_S = 300.0  # as firmware/sync/outbox.py does
_RETRY_S = 1.0


class FleetCharger:
    """`now_ms` dates its records; `acked(seconds)` hears how long each session's last record took
    from its publication to its acknowledgement."""

    def __init__(
        self, ledger: VirtualLedger, identity: Identity, host: str, port: int,
        now_ms: Callable[[], int], acked: Callable[[float], None],
    ) -> None:  # fmt: skip
        """Nothing is sent yet."""
        self.ledger = ledger
        self._identity = identity
        self._host, self._port = host, port
        self._now_ms, self._heard = now_ms, acked
        self._records: deque[tuple[int, bytes, bool]] = deque()  # not acknowledged yet
        self._published: dict[int, float] = {}
        self._sent_seq = 0
        self._wait_s = _AGAIN_S
        self._wake = asyncio.Event()
        self.acked_seq = 0
        self.repeated = 0
        self.connected = False
        self.ready = asyncio.Event()

    def add_session(self) -> None:
        """A session that has just ended joins the records to be sent."""
        records = self.ledger.session(self._now_ms() - 3_600_000)
        for number, record in enumerate(records, 1):
            last = number == len(records)
            self._records.append((record["seq"], json.dumps(record).encode(), last))
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many records nobody has acknowledged."""
        return len(self._records)

    async def run(self) -> None:
        """Until cancelled; comes back whenever the broker went away."""
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._connected()
            self.connected = False
            await asyncio.sleep(_RETRY_S)

    async def _connected(self) -> None:
        name = self.ledger.name
        async with aiomqtt.Client(
            self._host, self._port, identifier=name, tls_context=_tls(self._identity),
            keepalive=60, timeout=30, max_queued_outgoing_messages=0, socket_options=AT_ONCE,
        ) as client:  # fmt: skip
            await client.subscribe(f"{PREFIX}{name}/ack", qos=1)
            await self._say_status(client)
            self.connected = True
            self._sent_seq = self.acked_seq
            self.ready.set()
            reading = asyncio.create_task(self._read(client))
            try:
                while not reading.done():
                    await self._send(client)
                    await self._pause()
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _pause(self) -> None:
        """Until there is something to do; when nothing was acknowledged for long, again."""
        before = self.acked_seq
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), self._wait_s if self._records else None)
        except TimeoutError:
            if self._records and self.acked_seq == before:
                self.repeated += self._sent_seq - self.acked_seq
                self._sent_seq = self.acked_seq
                self._wait_s = min(self._wait_s * 2, _LONGEST_S)

    async def _send(self, client: aiomqtt.Client) -> None:
        topic = f"{PREFIX}{self.ledger.name}/records"
        for seq, payload, last in list(self._records):
            if seq > self.acked_seq + WINDOW:
                break
            if seq > self._sent_seq:
                if last:
                    self._published.setdefault(seq, time.monotonic())
                self._sent_seq = seq
                await client.publish(topic, payload, qos=1)

    async def _read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload
            ack = json.loads(payload if isinstance(payload, bytes | bytearray) else b"{}")
            if ack.get("epoch") != self.ledger.epoch:
                continue
            self.acked_seq = max(self.acked_seq, ack["seq"])
            self._wait_s = _AGAIN_S
            while self._records and self._records[0][0] <= self.acked_seq:
                seq = self._records.popleft()[0]
                began = self._published.pop(seq, None)
                if began is not None:
                    self._heard(time.monotonic() - began)
            if ack.get("again"):
                self._sent_seq = self.acked_seq
            self._wake.set()

    async def _say_status(self, client: aiomqtt.Client) -> None:
        status = {
            "online": True, "at": self._now_ms(), "state": "free", "connector": 1,
            "version": "fleet", "epoch": self.ledger.epoch, "next_seq": self.ledger.seq + 1,
            "acked_seq": self.acked_seq, "tariff": self.ledger.tariff.name,
        }  # fmt: skip
        topic = f"{PREFIX}{self.ledger.name}/status"
        await client.publish(topic, json.dumps(status), qos=1, retain=True)


def _tls(identity: Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(identity.ca))
    context.load_cert_chain(identity.cert, identity.key)
    return context
