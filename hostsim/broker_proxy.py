"""A hostile network between charger (or back office) and broker: drops, delays, doubles, swaps and
cuts packets, or falls silent.

It ends the client's TLS with the broker's certificate and goes on to the broker with the client's
own, so that it sees MQTT packets (MQTT 3.1.1, 2.2) and can harm one at a time. A dropped QoS 1
PUBLISH is acknowledged all the same: lost behind the acknowledgement, which only the back office's
own can tell. Dropping or doubling single packets is harsher than a TCP connection is; cutting it
in the middle of one, delaying, and one direction that falls silent are what it does. Limit: a
PUBACK that the broker never gets takes one place of its window (`max_inflight_messages`) until the
connection ends, and mosquitto 2.0 does not repeat within one. Runs in a thread of its own; the
faults may be changed at any time, from any thread.
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
from hostsim.pki import BACK_OFFICE, Pki

_NAMES = {
    0x10: "connect", 0x20: "connack", 0x30: "publish", 0x40: "puback", 0x80: "subscribe",
    0x90: "suback", 0xC0: "pingreq", 0xD0: "pingresp", 0xE0: "disconnect",
}  # fmt: skip
PUBLISH = frozenset({"publish"})
ANSWERS = frozenset({"puback", "suback", "connack", "pingresp"})


@dataclass
class Faults:
    """Probabilities per packet, in either direction: `swap`, it waits for up to `held_s` while
    others pass; `delay`, it and what is behind it wait for up to `late_s`; `half`, from it on
    nothing passes in its direction, until the connection ends. `packets`: which of them strike.
    `silent`: nothing passes or is closed."""

    drop: float = 0.0
    double: float = 0.0
    swap: float = 0.0
    delay: float = 0.0
    cut: float = 0.0
    half: float = 0.0
    silent: bool = False
    packets: frozenset[str] = PUBLISH
    held_s: float = 0.1
    late_s: float = 0.3


@dataclass
class BrokerProxy:
    """`host` and `port`, for chargers and the back office, between `start()` and `stop()`; `done`
    counts the harm: "drop puback"."""

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

    @property
    def office_port(self) -> int:
        """For the back office."""
        return self.port

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
        context.load_verify_locations(self.pki.office_ca)
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
        office = name == BACK_OFFICE
        own = self.pki.back_office if office else self.pki.charger(name)
        port = self.broker.office_port if office else self.broker.port
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        context.load_cert_chain(own.cert, own.key)
        try:
            far = await asyncio.open_connection(self.broker.host, port, ssl=context)
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
        deaf = False
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                packet = await _packet(source)
                while self.faults.silent:  # noqa: ASYNC110 - another thread changes it
                    await asyncio.sleep(0.02)
                deaf = deaf or self._strikes("half", packet)
                out = b"" if deaf else await self._harmed(packet, target, back)
                if out is None:
                    return
                if out and self._strikes("swap", packet):
                    held_s = self._dice.random() * self.faults.held_s
                    asyncio.get_running_loop().call_later(held_s, _write, target, out)
                else:
                    _write(target, out)

    async def _harmed(
        self, packet: bytes, target: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> bytes | None:
        """What to send instead; None: the connection was cut in the middle of it."""
        if self._strikes("delay", packet):
            await asyncio.sleep(self._dice.random() * self.faults.late_s)
        if self._strikes("cut", packet):
            _write(target, packet[: self._dice.randrange(1, len(packet))])
            await target.drain()
            return None
        if self._strikes("drop", packet):
            if _name(packet) == "publish" and packet[0] & 6:
                back.write(b"\x40\x02" + _packet_id(packet))
            return b""
        return packet * 2 if self._strikes("double", packet) else packet

    def _strikes(self, kind: str, packet: bytes) -> bool:
        faults, name = self.faults, _name(packet)
        if name not in faults.packets or self._dice.random() >= getattr(faults, kind):
            return False
        self.done[f"{kind} {name}"] += 1
        return True


def _name(packet: bytes) -> str:
    return _NAMES.get(packet[0] & 0xF0, "")


def _write(target: asyncio.StreamWriter, data: bytes) -> None:
    if data and not target.is_closing():
        target.write(data)


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
