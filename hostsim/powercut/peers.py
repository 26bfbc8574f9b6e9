"""The ends of the firmware's lines in virtual time: a byte port, a Modbus slave, an MQTT broker.

What these carry is real: the terminal is hostsim.terminal, the registers are a
hostsim.meter.MeterDevice, the back office is hostsim.backoffice's Desk over its database. Only
what is between them and the firmware is played here: no baud rate, no TLS, one charger.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from hostsim.meter.device import MeterDevice
from hostsim.terminal.books import Books, Kind, Record, State

WAY_S = 0.002  # from one end of a line to the other


class Port:
    """A serial line's far end, as hostsim.line.BytePort. `send(data)` takes what goes to the
    firmware.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._in = bytearray()
        self._arrived = asyncio.Event()

    def arrived(self, data: bytes) -> None:
        """Bytes of the firmware, after their way."""
        asyncio.get_running_loop().call_later(WAY_S, self._take, data)

    def _take(self, data: bytes) -> None:
        self._in += data
        self._arrived.set()

    async def read(self) -> bytes:
        while not self._in:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._in)
        self._in.clear()
        return data

    def write(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(WAY_S, self._send, data)

    def close(self) -> None:
        """Nobody closes this line."""


class KeepingBooks(Books):
    """Of a terminal that keeps a reservation nobody acknowledged, and undoes none when it is told
    of the last receipt: who asked for it must cancel it.
    """

    def void(self, record: Record, why: str, now_ms: int) -> None:
        if record.kind is Kind.RESERVATION:
            record.state = State.PENDING
            self.save()
        else:
            super().void(record, why, now_ms)


class ModbusSlave:
    """Answers reads of one device's registers; a torn request is forgotten when the next
    begins.
    """

    def __init__(self, device: MeterDevice, send: Callable[[bytes], None]) -> None:
        self._device = device
        self._send = send
        self._request = bytearray()
        self._at = 0.0

    def arrived(self, data: bytes) -> None:
        """Bytes of the firmware."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._at > WAY_S:
            self._request.clear()
        self._at = loop.time()
        self._request += data
        if len(self._request) < 8:
            return
        request = bytes(self._request[:8])
        self._request.clear()
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        if crc16(request) or unit != self._device.unit:
            return
        loop.call_later(WAY_S, self._answer, function, address, count)

    def _answer(self, function: int, address: int, count: int) -> None:
        words = self._device.image()[function]
        body = bytes((self._device.unit, function, 2 * count))
        body += b"".join(words.get(address + i, 0).to_bytes(2, "big") for i in range(count))
        self._send(body + crc16(body).to_bytes(2, "little"))


def crc16(data: bytes) -> int:
    """MODBUS over Serial Line V1.02, 6.2.2: 0 over a whole frame."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


class Broker:
    """MQTT 3.1.1 for one client and one connection. `heard(topic, payload, retained)` gets what it
    publishes; `send(data)` takes what goes to it; `wanted(topic)`: it wants to hear that one now.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        heard: Callable[[str, bytes, bool], None],
        wanted: Callable[[str], None],
    ) -> None:
        self._send = send
        self._heard = heard
        self._wanted = wanted
        self._in = bytearray()
        self._will: tuple[str, bytes] | None = None
        self._topics: set[str] = set()
        self._pid = 0

    def arrived(self, data: bytes) -> None:
        """Bytes of the client."""
        self._in += data
        while (packet := self._packet()) is not None:
            self._handle(packet[0], packet[1])

    def closed(self) -> None:
        """The connection ended without a goodbye: the will is told."""
        if self._will is not None:
            self._heard(*self._will, False)
        self._will = None
        self._topics.clear()

    def publish(self, topic: str, payload: bytes) -> None:
        """To the client, if it wants to hear it."""
        if topic in self._topics:
            self._pid = self._pid % 65535 + 1
            name = topic.encode()
            body = struct.pack(">H", len(name)) + name + struct.pack(">H", self._pid) + payload
            self._say(0x32, body)

    def _packet(self) -> tuple[int, bytes] | None:
        size = shift = 0
        for at in range(1, min(len(self._in), 5)):
            size |= (self._in[at] & 0x7F) << shift
            shift += 7
            if not self._in[at] & 0x80:
                end = at + 1 + size
                if len(self._in) < end:
                    return None
                kind, body = self._in[0], bytes(self._in[at + 1 : end])
                del self._in[:end]
                return kind, body
        return None

    def _handle(self, kind: int, body: bytes) -> None:
        if kind == 0x10:
            self._connect(body)
        elif kind == 0x82:
            length = struct.unpack_from(">H", body, 2)[0]
            topic = body[4 : 4 + length].decode()
            self._topics.add(topic)
            self._say(0x90, body[:2] + b"\x01")
            self._wanted(topic)
        elif kind >> 4 == 3:
            self._published(kind, body)
        elif kind == 0xC0:
            self._say(0xD0, b"")
        elif kind == 0xE0:
            self._will = None

    def _connect(self, body: bytes) -> None:
        """The will is all that is of interest; the firmware always sends one."""
        at = 10
        texts = []
        for _ in range(3):
            length = struct.unpack_from(">H", body, at)[0]
            texts.append(body[at + 2 : at + 2 + length])
            at += 2 + length
        self._will = (texts[1].decode(), texts[2])
        self._say(0x20, b"\x00\x00")

    def _published(self, kind: int, body: bytes) -> None:
        length = struct.unpack_from(">H", body)[0]
        topic = body[2 : 2 + length].decode()
        at = 2 + length
        if kind & 0x06:
            self._say(0x40, body[at : at + 2])
            at += 2
        self._heard(topic, body[at:], False)

    def _say(self, kind: int, body: bytes) -> None:
        size = len(body)
        head = bytearray((kind,))
        while size > 0x7F:
            head.append(size & 0x7F | 0x80)
            size >>= 7
        head.append(size)
        self._send(bytes(head) + body)
