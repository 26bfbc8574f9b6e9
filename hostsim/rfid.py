"""A PN532 on a UART, simulated: an RFID reader that knows nothing of firmware/terminal/pn532.py.

Written from NXP UM0701-02 (6.2.1 frames, 6.2.2 dialogue, 7.2.2 GetFirmwareVersion, 7.2.10
SAMConfiguration, 7.3.1 RFConfiguration, 7.3.5 InListPassiveTarget). It sleeps after power-on until
it is woken and its SAM is configured; a wrong frame gets a NACK or the error frame; ACK from the
host ends a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from hostsim.line import LineClosed, PtyLine

BAUD = 115_200
_ACK = bytes.fromhex("0000ff00ff00")
_NACK = bytes.fromhex("0000ffff0000")
_ERROR = bytes.fromhex("0000ff01ff7f8100")
_SCAN_S = 0.03
_HOLD_S = 10.0
FAULTS = {
    "noise": "bytes of no frame before every answer",
    "broken": "every answer's check sum is wrong",
    "silent": "acknowledges, and answers nothing",
    "deaf": "answers nothing at all",
}


@dataclass(frozen=True)
class RfidCard:
    """A card with a UID, and what a back office makes of it: member, expired, revoked or unknown;
    `sak` and `ats` as real cards of that kind have them.
    """

    name: str
    about: str
    uid: str
    state: str = "unknown"
    account: str = ""
    tariff: str = ""
    sak: int = 0x08
    ats: str = ""


RFID_CARDS: dict[str, RfidCard] = {
    card.name: card
    for card in (
        RfidCard("member-card", "a member: on account", "04c8b2ae4f8031", "member", "ACME-7",
                 sak=0x20, ats="067577810280"),
        RfidCard("fleet-card", "a member with a tariff of the fleet's own", "1ca72f08", "member",
                 "FLEET-1", "FLEET"),
        RfidCard("expired-card", "a member's card that has expired", "04c8b2ae4f8032", "expired",
                 "ACME-7"),
        RfidCard("revoked-card", "a member's card that was revoked", "04c8b2ae4f8033", "revoked",
                 "ACME-7"),
        RfidCard("unknown-card", "a card nobody knows", "0badcafe"),
        RfidCard("long-card", "a card nobody knows, UID of ten bytes", "88112233445566778899"),
    )
}  # fmt: skip


def framed(data: bytes) -> bytes:
    """A frame from the reader."""
    body = b"\xd5" + data
    return (
        b"\x00\x00\xff"
        + bytes([len(body), (0x100 - len(body)) & 0xFF])
        + body
        + bytes([(0x100 - sum(body)) & 0xFF, 0])
    )


class RfidReader:
    """One reader on a pty; `path` is what the firmware opens."""

    def __init__(self, seed: int = 1) -> None:
        """It has power and sleeps."""
        self.line = PtyLine(BAUD)
        self.faults: set[str] = set()
        self.commands: list[int] = []
        self.card: RfidCard | None = None
        self.field = False
        self.powered = True
        self.on_change: Callable[[], None] = lambda: None
        self._random = random.Random(seed)
        self._until = 0.0
        self._awake = self._ready = False
        self._tries = 0xFF
        self._buffer = bytearray()
        self._last = b""
        self._job: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def path(self) -> str:
        return self.line.path

    def present(self, card: RfidCard) -> None:
        """Somebody holds a card to it, ten seconds at most."""
        self.card = card
        self._until = asyncio.get_running_loop().time() + _HOLD_S

    def remove(self) -> None:
        """The card is taken away."""
        self.card = None

    def set_power(self, on: bool) -> None:
        """Without power it forgets everything; with it it sleeps again."""
        self.powered = on
        self._end_job()
        self._buffer.clear()
        self._awake = self._ready = self.field = False
        self._tries = 0xFF

    def begin(self) -> Callable[[], None]:
        """Serves in the background; gives what ends that."""
        self._serving = asyncio.get_running_loop().create_task(self.serve(), name="RFID reader")
        return self.close

    async def serve(self) -> None:
        """Until cancelled, or the line is closed."""
        with contextlib.suppress(LineClosed):
            while True:
                data = await self.line.read()
                if self.powered:
                    self._hear(data)

    def close(self) -> None:
        """Ends it."""
        self._end_job()
        if self._serving is not None:
            self._serving.cancel()
        self.line.close()

    # -- frames

    def _hear(self, data: bytes) -> None:
        if not self._awake:
            if b"\x55\x55" not in data:
                return  # what comes before it is awake is lost
            self._awake = True
            data = data[data.index(b"\x55\x55") :]
        self._buffer += data
        while self._one_frame():
            pass
        del self._buffer[:-300]

    def _one_frame(self) -> bool:
        start = self._buffer.find(b"\x00\xff")
        if start < 0 or len(self._buffer) < start + 4:
            return False
        length, check = self._buffer[start + 2], self._buffer[start + 3]
        if (length, check) == (0, 0xFF):
            del self._buffer[: start + 4]
            self._end_job()
            return True
        if (length, check) == (0xFF, 0):
            del self._buffer[: start + 4]
            self._send(self._last)
            return True
        if (length + check) & 0xFF or length == 0:
            del self._buffer[: start + 2]
            self.line.write(_NACK)
            return True
        end = start + 4 + length + 1
        if len(self._buffer) < end:
            return False
        body, total = bytes(self._buffer[start + 4 : end - 1]), sum(self._buffer[start + 4 : end])
        del self._buffer[:end]
        if total & 0xFF or body[0] != 0xD4 or length < 2:
            self.line.write(_NACK if total & 0xFF else _ERROR)
        else:
            self._take(body[1], body[2:])
        return True

    def _take(self, command: int, data: bytes) -> None:
        if "deaf" in self.faults:
            return
        self.commands.append(command)
        self._end_job()
        self.line.write(_ACK)
        self._job = asyncio.get_running_loop().create_task(self._do(command, data))

    def _end_job(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _send(self, frame: bytes) -> None:
        self._last = frame
        if "silent" in self.faults:
            return
        if "broken" in self.faults:
            frame = frame[:-2] + bytes([frame[-2] ^ 0x55, 0])
        if "noise" in self.faults:
            frame = self._random.randbytes(self._random.randrange(1, 9)) + frame
        with contextlib.suppress(LineClosed):
            self.line.write(frame)

    # -- commands

    async def _do(self, command: int, data: bytes) -> None:
        await asyncio.sleep(0.002)
        if command == 0x14:
            self._ready = data[:1] == b"\x01"
            self._send(framed(b"\x15"))
        elif not self._ready:
            return  # it has only been woken
        elif command == 0x02:
            self._send(framed(bytes.fromhex("0332010607")))
        elif command == 0x32 and data[:1] == b"\x05" and len(data) == 4:
            self._tries = data[3]
            self._send(framed(b"\x33"))
        elif command == 0x32 and data[:1] == b"\x01" and len(data) == 2:
            self.field = bool(data[1] & 1)
            self.on_change()
            self._send(framed(b"\x33"))
        elif command == 0x4A and len(data) == 2 and data[0] in (1, 2):
            await self._list(data[1])
        else:
            self._send(_ERROR)

    async def _list(self, kind: int) -> None:
        """Looks for a card of type A, as often as was configured."""
        if not self.field:
            self.field = True
            self.on_change()
        left = self._tries
        while True:
            await asyncio.sleep(_SCAN_S)
            card = self._there() if kind == 0 else None
            if card is not None:
                uid = bytes.fromhex(card.uid)
                ats = bytes.fromhex(card.ats)
                atqa = b"\x00\x44" if len(uid) == 7 else b"\x00\x04"
                self._send(
                    framed(b"\x4b\x01\x01" + atqa + bytes([card.sak, len(uid)]) + uid + ats)
                )
                return
            if left != 0xFF:
                if left == 0:
                    self._send(framed(b"\x4b\x00"))
                    return
                left -= 1

    def _there(self) -> RfidCard | None:
        if self.card is not None and asyncio.get_running_loop().time() > self._until:
            self.card = None
        return self.card
