"""A small ECR of the tests' own, to meet the simulated terminal as a stranger would.

It shares no code with the terminal's codec: CRC, framing and bitmaps are written again here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hostsim.clock import WorldClock
from hostsim.line import PtyLine, SerialPort
from hostsim.terminal.books import Books
from hostsim.terminal.pt import TerminalSim
from hostsim.terminal.transport import Timers

CASES = Path(__file__).parents[1] / "cases" / "zvt"
QUICK = Timers(t1=0.2, t2=0.3, t3=0.3)
OK = bytes.fromhex("800000")
SIZES = {0x04: 6, 0x0B: 3, 0x0C: 3, 0x0D: 2, 0x0E: 2, 0x19: 1, 0x27: 1, 0x29: 4, 0x2A: 15, 0x37: 3}
SIZES |= {0x3B: 8, 0x49: 2, 0x87: 2, 0x88: 3, 0x8A: 1, 0x8C: 1, 0xAA: 3}
COUNTED = {0x22: 2, 0x23: 2, 0x8B: 2, 0x3C: 3, 0x60: 3}

Answer = Callable[[bytes], bytes | None]


def cases(name: str) -> list[dict[str, Any]]:
    """The captured APDUs or frames."""
    data: list[dict[str, Any]] = json.loads((CASES / name).read_text())
    return data


def kermit(data: bytes) -> int:
    """CRC-16/KERMIT by nibbles, unlike the terminal's by bits."""
    table = [0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387]
    table += [0x8408, 0x9489, 0xA50A, 0xB58B, 0xC60C, 0xD68D, 0xE70E, 0xF78F]
    crc = 0
    for byte in data:
        crc = crc >> 4 ^ table[(crc ^ byte) & 15]
        crc = crc >> 4 ^ table[(crc ^ byte >> 4) & 15]
    return crc


def framed(apdu: bytes) -> bytes:
    """A serial frame."""
    crc = kermit(apdu + b"\x03")
    return (
        b"\x10\x02" + apdu.replace(b"\x10", b"\x10\x10") + b"\x10\x03" + crc.to_bytes(2, "little")
    )


def bitmaps(apdu: bytes, skip: int = 0) -> dict[int, bytes]:
    """Bitmaps of an APDU after `skip` plain bytes; the TLV container whole under 06."""
    data = apdu[(5 if apdu[2] == 0xFF else 3) + skip :]
    out: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        tag, at = data[at], at + 1
        if tag == 0x06:
            size = data[at]
            at += 1
            if size > 0x80:
                count = size - 0x80
                size = int.from_bytes(data[at : at + count], "big")
                at += count
        elif tag in COUNTED:
            size = int("".join(str(byte & 15) for byte in data[at : at + COUNTED[tag]]))
            at += COUNTED[tag]
        else:
            size = SIZES[tag]
        out[tag] = data[at : at + size]
        at += size
    return out


def number(value: bytes) -> int:
    """BCD."""
    return int(value.hex())


def amount(minor: int) -> str:
    """BMP 04 in hexadecimal."""
    return f"04{minor:012d}"


def always_ok(apdu: bytes) -> bytes:
    """Acknowledge everything."""
    return OK


class Peer:
    """An ECR: sends a command, answers what comes, until the terminal is done."""

    async def send(self, apdu: bytes) -> None:
        raise NotImplementedError

    async def receive(self, seconds: float = 3.0) -> bytes:
        raise NotImplementedError

    async def run(
        self,
        command: str,
        *,
        answer: Answer = always_ok,
        until: tuple[str, ...] = ("060f", "061e"),
    ) -> list[bytes]:
        """All APDUs the terminal sent, in order."""
        await self.send(bytes.fromhex(command.replace(" ", "")))
        out: list[bytes] = []
        while True:
            apdu = await self.receive()
            out.append(apdu)
            if apdu[0] == 0x84 or apdu[:2].hex() in until:
                if apdu[0] not in (0x80, 0x84):
                    await self._reply(answer(apdu))
                return out
            if apdu[0] != 0x80:
                await self._reply(answer(apdu))

    async def _reply(self, apdu: bytes | None) -> None:
        if apdu is not None:
            await self.send(apdu)

    async def register(self, *, config: int = 0xDE, tlv: str = "") -> list[bytes]:
        body = f"123456{config:02x}0978{tlv}"
        return await self.run(f"0600{len(body) // 2:02x}{body}")

    async def reserve(
        self, minor: int, *, tlv: str = "", answer: Answer = always_ok
    ) -> list[bytes]:
        body = f"{amount(minor)}4909781940{tlv}"
        return await self.run(f"0622{len(body) // 2:02x}{body}", answer=answer)

    async def money(
        self, command: str, receipt: int, minor: int | None = None, answer: Answer = always_ok
    ) -> list[bytes]:
        body = f"87{receipt:04d}1940490978" + ("" if minor is None else amount(minor))
        return await self.run(f"{command}{len(body) // 2:02x}{body}", answer=answer)

    async def pending(self) -> bytes:
        return (await self.run("0623 03 87ffff"))[-1]


class TcpPeer(Peer):
    """Bare APDUs over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, apdu: bytes) -> None:
        self.writer.write(apdu)
        await self.writer.drain()

    async def receive(self, seconds: float = 3.0) -> bytes:
        async with asyncio.timeout(seconds):
            head = await self.reader.readexactly(3)
            size = head[2]
            if size == 0xFF:
                head += await self.reader.readexactly(2)
                size = int.from_bytes(head[3:5], "little")
            return head + await self.reader.readexactly(size)


class SerialPeer(Peer):
    """Frames on a serial line; acknowledges every frame that is good."""

    def __init__(self, port: SerialPort) -> None:
        self.port = port
        self.data = bytearray()
        self.acks: list[int] = []
        self.frames: list[bytes] = []

    async def send(self, apdu: bytes) -> None:
        for _ in range(3):
            self.port.write(framed(apdu))
            if await self._verdict():
                return
        raise AssertionError("the terminal never acknowledged")

    async def _verdict(self) -> bool:
        while True:
            item = await self._item(3.0)
            if item in (b"\x06", b"\x15"):
                return item == b"\x06"
            self.port.write(b"\x06")
            self.frames.append(item)

    async def receive(self, seconds: float = 3.0) -> bytes:
        while True:
            if self.frames:
                return self.frames.pop(0)
            item = await self._item(seconds)
            if len(item) > 1:
                self.port.write(b"\x06")
                return item

    async def _item(self, seconds: float) -> bytes:
        """The next ACK, NAK or good frame's APDU; a bad frame is answered with NAK."""
        async with asyncio.timeout(seconds):
            while True:
                item = self._cut()
                if item is not None:
                    return item
                self.data += await self.port.read()

    def _cut(self) -> bytes | None:
        while self.data and self.data[0] not in (0x06, 0x15, 0x10):
            del self.data[0]
        if not self.data:
            return None
        if self.data[0] != 0x10:
            return bytes((self.data.pop(0),))
        at = 2
        apdu = bytearray()
        while at + 3 < len(self.data):
            if self.data[at] != 0x10:
                apdu.append(self.data[at])
                at += 1
            elif self.data[at + 1] == 0x10:
                apdu.append(0x10)
                at += 2
            else:
                crc = int.from_bytes(self.data[at + 2 : at + 4], "little")
                del self.data[: at + 4]
                if crc == kermit(bytes(apdu) + b"\x03"):
                    return bytes(apdu)
                self.port.write(b"\x15")
                return self._cut()
        return None


def simulated(card: str | None = "visa", **options: Any) -> TerminalSim:
    """A terminal that wastes no time."""
    options.setdefault("timers", QUICK)
    options.setdefault("card_timeout_s", 0.4)
    options.setdefault("bank_s", 0.0)
    return TerminalSim(WorldClock(), auto_tap=card, **options)


@asynccontextmanager
async def tcp_peer(sim: TerminalSim) -> AsyncIterator[TcpPeer]:
    """Connect to a terminal over TCP."""
    door = await sim.serve_tcp(port=0)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        yield TcpPeer(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        await door.close()


@asynccontextmanager
async def serial_peer(
    sim: TerminalSim, baud: int = 0
) -> AsyncIterator[tuple[PtyLine, SerialPeer]]:
    """Connect to a terminal over a pty."""
    line = PtyLine(baud, 11)
    port = SerialPort(line.path)
    task = asyncio.create_task(sim.serve(line, True))
    try:
        yield line, SerialPeer(port)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        port.close()
        line.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait a little for something to become true."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


def both_agree(books: Books) -> None:
    """The books add up, whatever happened."""
    summary = books.summary()
    held = summary["captured_minor"] + summary["released_minor"] + summary["held_minor"]
    assert summary["authorised_minor"] == held
    assert summary["reversed_minor"] <= summary["captured_minor"]


def test_the_stranger_frames_as_the_facts_do() -> None:
    for case in cases("frames.json"):
        assert framed(bytes.fromhex(case["apdu"])).hex() == bytes.fromhex(case["frame"]).hex()
    assert kermit(b"123456789") == 0x2189
