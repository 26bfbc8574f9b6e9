"""An MQTT link that never blocks the loop and comes back by itself.

One task reads, one sends; every packet is one write. A peer that is gone without a word is found
by an unanswered ping, by a QoS 1 packet without its PUBACK, or by a write that does not move. The
session is always clean: packet ids mean nothing after a reconnect, no message waits in the broker,
and what was not acknowledged is its owner's to send again (`on_down` tells). Source: MQTT 3.1.1,
sections 3.1.2.10 (keep alive) and 4.4 (delivery retry).
"""

import asyncio
import os
import time

from micropython import const

from firmware.errors import LinkError
from firmware.sync import codec as mqtt
from firmware.sync.wire import Wire

_CONNECT_MS = const(15000)
_PUBACK_MS = const(20000)
_IDLE_MS = const(250)
_SETTLED_MS = const(5000)  # a connection this old starts the next back-off anew
_MAX_PID = const(65534)  # umqtt cannot write a greater one
UNACKED = 24  # QoS 1 packets in flight


class Link:
    """`settings`: keepalive_s, retry_min_ms, retry_max_ms and the wire's; `prefix` of all topics,
    ends with the client id and a slash; `will`: its payload, on `status`; `names` of the topics to
    subscribe to at QoS 1.

    `owner`: `feed(link) -> bool` publishes at most one packet, False: nothing to send;
    `on_message(topic, payload)`, `on_up()`, `on_down(reason)`, `on_puback(pid)`. None of them may
    block. `work`: a coroutine to be done before the next packet is read, or None.
    """

    def __init__(
        self, settings: dict, prefix: bytes, will: bytes, names: tuple, network, owner
    ) -> None:
        self._settings = settings
        self._prefix = prefix
        self._will = will
        self._names = names
        self._network = network
        self._owner = owner
        self._wire = Wire(settings)
        self.codec: mqtt.Codec = None  # of this connection
        self._wake = asyncio.Event()
        self._pid = 0
        self._unacked: dict = {}  # packet id: when it was sent
        self._retry_ms = settings["retry_min_ms"]
        self._closing = False
        self._failure: Exception = None
        self._answered = 0  # CONNACK or SUBACK, until it was seen
        self._heard = self._sent = 0
        self._pinged = False
        self._pinged_ms = 0
        self.up = False
        self.connections = 0
        self._beats = settings.get("beats", {})  # firmware/supervisor.py
        self.reason = "starting"

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    @property
    def room(self) -> int:
        """How many more QoS 1 packets may be in flight."""
        return UNACKED - len(self._unacked)

    def publish(self, name: bytes, payload: bytes, retain: bool = False, qos: int = 0) -> int:
        """Encodes one packet, sent when feed() returns; answers its packet id, 0 for QoS 0. Only
        within feed()."""
        pid = 0
        if qos:
            pid = self._new_pid()
            self._unacked[pid] = time.ticks_ms()
        self.codec.publish(self._prefix + name, payload, retain, pid)
        return pid

    def ask(self, name: bytes) -> None:
        """Subscribes once more: the broker sends what it retains. Only within feed()."""
        self.codec.subscribe(self._prefix + name, self._new_pid())

    def _new_pid(self) -> int:
        """None of the few that are still in flight can be this one: a connection ends long
        before."""
        self._pid = self._pid % _MAX_PID + 1
        return self._pid

    async def run(self) -> None:
        """Connects, serves and comes back, until close()."""
        while not self._closing:
            if self._network.ready():
                began = time.ticks_ms()
                await self._connection()
                if time.ticks_diff(time.ticks_ms(), began) > _SETTLED_MS:
                    self._retry_ms = self._settings["retry_min_ms"]
            await self._back_off()

    def close(self) -> None:
        """Ends run() after what is waiting was sent, with a goodbye to the broker."""
        self._closing = True
        self._wake.set()

    async def _back_off(self) -> None:
        """Half to all of the wait at random, so that a fleet does not come back in step."""
        wait = self._retry_ms
        if self._network.ready():
            self._retry_ms = min(wait * 2, self._settings["retry_max_ms"])
        wait -= wait * os.urandom(1)[0] // 512
        while wait > 0 and not self._closing:
            self._beats["sync"] = time.ticks_ms()
            await asyncio.sleep_ms(min(wait, 200))
            wait -= 200

    async def _connection(self) -> None:
        reader = None
        self._failure = None
        self._answered = 0
        self.codec = mqtt.Codec(
            self._prefix.split(b"/")[-2], self._settings["keepalive_s"], self._owner.on_message
        )
        try:
            await asyncio.wait_for_ms(self._open(), _CONNECT_MS)
            reader = asyncio.create_task(self._read())
            await asyncio.wait_for_ms(self._hello(), _CONNECT_MS)
            self.up = True
            self.connections += 1
            self._owner.on_up()
            await self._serve(reader)
            self.reason = "closed"
        except asyncio.TimeoutError:
            self.reason = "no answer in time"
        except (LinkError, OSError, MemoryError) as error:
            self.reason = str(error) or "broken"
        finally:
            await self._end(reader)

    async def _end(self, reader) -> None:
        if reader is not None:
            while self._owner.work and not reader.done():  # half an order would be lost
                await asyncio.sleep_ms(20)
            reader.cancel()
            await asyncio.sleep_ms(0)
        self._wire.close()
        self.codec = None
        self._unacked = {}
        if self.up:
            self.up = False
            self._owner.on_down(self.reason)

    async def _open(self) -> None:
        """Connection, handshake and CONNECT; the answer is the reader's."""
        self.codec.connect(self._prefix + b"status", self._will)
        try:
            await self._wire.open()
            await self._flush()
        except ValueError as error:  # how tls reports certificates
            raise LinkError(f"tls: {error}")

    async def _hello(self) -> None:
        """Waits for CONNACK, then subscribes to one topic after the other."""
        await self._answer(mqtt.CONNACK)
        for name in self._names:
            self.codec.subscribe(self._prefix + name, self._new_pid())
            await self._flush()
            await self._answer(mqtt.SUBACK)

    async def _answer(self, kind: int) -> None:
        while self._answered != kind:
            if self._failure:
                raise self._failure
            await self._wake.wait()
            self._wake.clear()
        self._answered = 0

    # -- sending

    async def _serve(self, reader) -> None:
        self._pinged = False
        while True:
            if self._failure:
                raise self._failure
            if reader.done():
                await reader  # a programming error: the supervisor's business
            self._beats["sync"] = time.ticks_ms()
            await self._flush()
            if self._owner.feed(self):
                await asyncio.sleep_ms(0)
            elif self._closing:
                self.codec.disconnect()
                await self._flush()
                return
            else:
                self._check_timers()
                await self._idle()

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for_ms(self._wake.wait(), _IDLE_MS)
        except asyncio.TimeoutError:
            return
        self._wake.clear()

    async def _flush(self) -> None:
        data = self.codec.take()
        if data:
            await self._wire.write(data)
            self._sent = time.ticks_ms()

    def _check_timers(self) -> None:
        now = time.ticks_ms()
        half = self._settings["keepalive_s"] * 500
        if not self._network.ready():
            raise LinkError("network down")
        if self._pinged:
            if time.ticks_diff(now, self._pinged_ms) > half:
                raise LinkError("no PINGRESP")
        elif time.ticks_diff(now, self._heard) > half or time.ticks_diff(now, self._sent) > half:
            self.codec.ping()
            self._pinged = True
            self._pinged_ms = now
            self._wake.set()
        for sent in self._unacked.values():
            if time.ticks_diff(now, sent) > _PUBACK_MS:
                raise LinkError("no PUBACK")

    # -- receiving

    async def _read(self) -> None:
        codec = self.codec
        try:
            while True:
                kind = codec.took(await self._wire.read_into(codec.room()))
                if kind:
                    self._heard = time.ticks_ms()
                    self._handle(kind, codec)
                    await (self._owner.work or asyncio.sleep_ms(0))
        except (LinkError, OSError, MemoryError) as error:  # of memory: a new connection has more
            self._failure = error
            self._wake.set()

    def _handle(self, kind: int, codec) -> None:
        if kind == mqtt.PUBACK:
            if self._unacked.pop(codec.pid, None) is not None:
                self._owner.on_puback(codec.pid)
        elif kind == mqtt.PINGRESP:
            self._pinged = False
        elif kind != mqtt.PUBLISH:
            self._check_answer(kind, codec.code)
        self._wake.set()

    def _check_answer(self, kind: int, code: int) -> None:
        if kind == mqtt.CONNACK and code:
            raise LinkError(f"refused: {code}")  # MQTT 3.1.1, table 3.1
        if code & 0x80:
            raise LinkError("SUBACK refused")
        self._answered = kind
