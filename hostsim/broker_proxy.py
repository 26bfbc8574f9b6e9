"""A hostile network between charger and broker: drops, delays, doubles, swaps and cuts packets,
or falls silent.

It ends the charger's TLS with the broker's certificate and goes on to the broker with the
charger's own, so that it sees MQTT packets (MQTT 3.1.1, 2.2) and can harm one at a time. A dropped
QoS 1 PUBLISH is acknowledged all the same: lost behind the acknowledgement, which only the back
office's own can tell. Runs in a thread of its own; the faults may be changed at any time, from any
thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field

from hostsim.broker import HOST, Broker
from hostsim.pki import Pki

_PUBLISH = 0x30
_MAX_DELAY_S = 0.3
_HELD_S = 0.1  # a packet waits that long for one to overtake it


@dataclass
class Faults:
    """Probabilities per PUBLISH, in either direction; `silent`: nothing passes or is closed."""

    drop: float = 0.0
    double: float = 0.0
    swap: float = 0.0
    delay: float = 0.0
    cut: float = 0.0
    silent: bool = False


@dataclass
class BrokerProxy:
    """`host` and `port` between `start()` and `stop()`; `done` counts the harm by kind."""

    broker: Broker
    pki: Pki
    seed: int = 0
    faults: Faults = field(default_factory=Faults)
    done: Counter[str] = field(default_factory=Counter)
    host: str = HOST
    port: int = 0

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self._dice = random.Random(self.seed)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def start(self) -> None:
        """Listen; the port is known afterwards."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready)), daemon=True)
        self._thread.start()
        ready.wait(10)

    def stop(self) -> None:
        """Close everything."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)
            self._loop = None

    def cut_all(self) -> None:
        """Break every connection now."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _main(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.pki.ca))
        context.load_cert_chain(self.pki.broker.cert, self.pki.broker.key)
        context.verify_mode = ssl.CERT_REQUIRED
        server = await asyncio.start_server(self._serve, HOST, self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._end.wait()
        server.close()
        self._abort()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = writer.get_extra_info("peercert")["subject"]
        name = dict(part[0] for part in subject)["commonName"]
        own = self.pki.charger(name)
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        context.load_cert_chain(own.cert, own.key)
        try:
            far = await asyncio.open_connection(self.broker.host, self.broker.port, ssl=context)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far[1]}
        self._writers |= ends
        ways = (self._pass(reader, far[1], writer), self._pass(far[0], writer, far[1]))
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            end.transport.abort()
        self._writers -= ends

    async def _pass(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        """Packets one way until an end closes or a fault breaks the connection."""
        held: list[bytes] = []

        def release() -> None:
            target.write(b"".join(held))
            held.clear()

        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                packet = await _packet(source)
                while self.faults.silent:  # noqa: ASYNC110 - another thread changes it
                    await asyncio.sleep(0.02)
                if packet[0] & 0xF0 != _PUBLISH:
                    target.write(packet)
                    continue
                out = await self._harmed(packet, target, back)
                if out is None:
                    return
                if held or not self._strikes("swap"):
                    target.write(out)
                    release()
                else:
                    held.append(out)
                    asyncio.get_running_loop().call_later(_HELD_S, release)

    async def _harmed(
        self, packet: bytes, target: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> bytes | None:
        """What to send instead of a PUBLISH; None: the connection was cut in the middle of it."""
        if self._strikes("delay"):
            await asyncio.sleep(self._dice.random() * _MAX_DELAY_S)
        if self._strikes("cut"):
            target.write(packet[: self._dice.randrange(1, len(packet))])
            await target.drain()
            return None
        if self._strikes("drop"):
            if packet[0] & 6:
                back.write(b"\x40\x02" + _packet_id(packet))
            return b""
        return packet * 2 if self._strikes("double") else packet

    def _strikes(self, kind: str) -> bool:
        if self._dice.random() >= getattr(self.faults, kind):
            return False
        self.done[kind] += 1
        return True


async def _packet(source: asyncio.StreamReader) -> bytes:
    """One whole MQTT packet."""
    head = await source.readexactly(2)
    while head[-1] & 0x80:
        head += await source.readexactly(1)
    size = sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(head[1:]))
    return head + await source.readexactly(size)


def _packet_id(publish: bytes) -> bytes:
    at = 1
    while publish[at] & 0x80:
        at += 1
    at += 3 + int.from_bytes(publish[at + 1 : at + 3], "big")
    return publish[at : at + 2]
