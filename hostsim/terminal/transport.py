"""APDUs over a line: framed on serial (ACK, NAK, T1, T2, resends, duplicates), bare over TCP.

Source: PA00P016 (transport), as in facts/zvt.md. All timers are real time. A link never invents
an APDU and never hands the same transmission up twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hostsim.line import BytePort, LineClosed
from hostsim.terminal import codec
from hostsim.terminal.codec import Deframer, Received, Sign
from hostsim.terminal.faults import Faults

Listener = Callable[[str, dict[str, Any]], None]
REPEAT_S = 7.5  # an ECR sends a frame again T2 (5 s) after the last time, or not at all


@dataclass(frozen=True)
class Timers:
    """Protocol timers in seconds of real time, and how often a frame is sent again."""

    t1: float = 0.2
    t2: float = 5.0
    t3: float = 5.0
    resends: int = 2


class NotDeliveredError(ConnectionError):
    """A frame was never acknowledged, resends included."""


class Link:
    """What the terminal sees of a line: whole APDUs both ways."""

    def __init__(self, port: BytePort, timers: Timers, faults: Faults, listen: Listener) -> None:
        """Sit on a port; `listen` hears of everything that happens on the line."""
        self.timers = timers
        self.off = False  # no power: neither hears nor says anything
        self._port = port
        self._faults = faults
        self._listen = listen
        self._lock = asyncio.Lock()
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._noise = random.Random(1)

    async def receive(self) -> bytes:
        """The next APDU; raises LineClosed when there will be none."""
        apdu = await self._inbox.get()
        if apdu is None:
            raise LineClosed("the line is closed")
        return apdu

    async def send(self, apdu: bytes) -> None:
        """Deliver an APDU; raises NotDeliveredError or LineClosed."""
        if self._dumb:
            return
        async with self._lock:
            await self._send(apdu)

    async def pump(self) -> None:
        """Read the line until it closes; run this as a task."""
        try:
            await self._read()
        except LineClosed:
            pass
        finally:
            self._inbox.put_nowait(None)
            self._closed()

    def forget(self) -> None:
        """Power is back: nothing is known of what was on the line before."""

    @property
    def _dumb(self) -> bool:
        return self.off or self._faults.active("silence")

    def _closed(self) -> None:
        """Hook: the line is gone."""

    async def _send(self, apdu: bytes) -> None:
        raise NotImplementedError

    async def _read(self) -> None:
        raise NotImplementedError

    async def _put(self, data: bytes) -> None:
        gap = self._faults.number("fragment")
        if not gap:
            self._port.write(data)
            return
        size = max(1, len(data) // 4)
        for start in range(0, len(data), size):
            self._port.write(data[start : start + size])
            await asyncio.sleep(gap)


class BareLink(Link):
    """TCP: APDUs follow one another, the length field separates them."""

    async def _send(self, apdu: bytes) -> None:
        await self._put(apdu)
        if self._faults.take("duplicate"):
            await self._put(apdu)

    async def _read(self) -> None:
        data = bytearray()
        while True:
            data += await self._port.read()
            while len(data) >= 3 and len(data) >= (size := codec.needed(data)):
                apdu = bytes(data[:size])
                del data[:size]
                if not self._dumb:
                    self._inbox.put_nowait(apdu)


class FramedLink(Link):
    """Serial: every frame waits for its ACK; what comes twice is acknowledged twice but counts
    once.
    """

    def __init__(self, port: BytePort, timers: Timers, faults: Faults, listen: Listener) -> None:
        """Sit on a serial port."""
        super().__init__(port, timers, faults, listen)
        self._deframer = Deframer()
        self._verdict: asyncio.Future[bool] | None = None
        # the last frame while it may still be a repetition: until a frame of ours was acknowledged
        # or given up, and for REPEAT_S after it last came
        self._last_in: bytes | None = None
        self._last_at = 0.0
        self._sending = False
        self._answers = bytearray()  # ACKs that must not land inside a frame on its way

    def forget(self) -> None:
        self._deframer = Deframer()
        self._last_in = None

    async def _send(self, apdu: bytes) -> None:
        for attempt in range(self.timers.resends + 1):
            if self.off:
                break  # its power failed meanwhile
            if attempt:
                self._listen("line", {"what": "resend", "attempt": attempt})
            if await self._attempt(apdu):
                self._last_in = None
                return
        self._last_in = None  # the dialogue ends here: what comes next is meant anew
        raise NotDeliveredError("no acknowledgement from the ECR")

    async def _attempt(self, apdu: bytes) -> bool:
        verdict: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._verdict = verdict
        try:
            await self._put_whole(self._outgoing(apdu))
            async with asyncio.timeout(self.timers.t2):
                return await verdict
        except TimeoutError:
            self._listen("line", {"what": "timeout", "timer": "T2"})
            return False
        finally:
            self._verdict = None

    async def _put_whole(self, data: bytes) -> None:
        self._sending = True
        try:
            await self._put(data)
        finally:
            self._sending = False
            if self._answers:
                self._port.write(bytes(self._answers))
                self._answers.clear()

    def _closed(self) -> None:
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_exception(LineClosed("the line is closed"))

    def _outgoing(self, apdu: bytes) -> bytes:
        data = codec.frame(apdu)
        if self._faults.take("bad-crc"):
            data = data[:-1] + bytes((data[-1] ^ 0x55,))
        if self._faults.take("duplicate"):
            data += data
        if self._faults.active("garbage"):
            noise = (
                self._noise.choice(b"\x00\x55\xff\xa5\x7f")
                for _ in range(int(self._faults.number("garbage")))
            )
            data = bytes(noise) + data
        return data

    async def _read(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.timers.t1 if self._deframer.inside else None):
                    data = await self._port.read()
            except TimeoutError:
                self._listen("line", {"what": "timeout", "timer": "T1"})
                self._handle(self._deframer.timeout())
                continue
            for item in self._deframer.feed(data):
                self._handle(item)

    def _handle(self, item: Received) -> None:
        if self._dumb:
            return
        match item.sign:
            case Sign.ACK | Sign.NAK:
                self._listen("line", {"what": item.sign.value, "dir": "in"})
                if item.sign is Sign.ACK:
                    self._last_in = None  # also when its next frame comes in the same read
                if self._verdict is not None and not self._verdict.done():
                    self._verdict.set_result(item.sign is Sign.ACK)
            case Sign.BROKEN:
                self._listen("line", {"what": "broken frame", "reason": item.reason})
                self._answer(codec.NAK)
            case Sign.FRAME:
                self._frame(item.apdu)

    def _frame(self, apdu: bytes) -> None:
        if self._faults.take("nak"):
            self._answer(codec.NAK)
            return
        if self._faults.take("drop-ack"):
            self._listen("line", {"what": "fault: ACK not sent"})
        else:
            self._answer(codec.ACK)
        before, self._last_at = self._last_at, time.monotonic()
        if apdu == self._last_in and self._last_at - before < REPEAT_S:
            self._listen("line", {"what": "duplicate frame ignored"})
            return
        self._last_in = apdu
        self._inbox.put_nowait(apdu)

    def _answer(self, byte: int) -> None:
        self._listen("line", {"what": "ack" if byte == codec.ACK else "nak", "dir": "out"})
        if self._sending:
            self._answers.append(byte)
        else:
            self._port.write(bytes((byte,)))
