"""One command of the ECR and everything the terminal says until it is done.

Source: PA00P015 chapter 1 (master and slave, 80-00-00, 84-xx-00, T3) and 2.2 (sequence of an
authorisation).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hostsim.terminal import codec, printing
from hostsim.terminal import fields as f
from hostsim.terminal.cards import Card
from hostsim.terminal.codec import CodecError
from hostsim.terminal.codes import STATUS_TEXTS
from hostsim.terminal.fields import Fields

if TYPE_CHECKING:
    from hostsim.terminal.pt import TerminalSim
    from hostsim.terminal.session import Session

WAIT_S = 2.0  # after 84 9C 00
_T4_MINUTES = b"\x03"


class RefusalError(Exception):
    """The command ends with 061E and this code; `extra` follows the code."""

    def __init__(self, code: int, extra: bytes = b"") -> None:
        super().__init__(f"refused with {code:02X}")
        self.code = code
        self.extra = extra


class NotAcceptedError(Exception):
    """The ECR did not acknowledge, or refused, what had to be acknowledged."""


class Dialogue:
    """What a command handler speaks through."""

    def __init__(self, sim: TerminalSim, session: Session, apdu: bytes) -> None:
        """For one command APDU; raises CodecError when it is none."""
        self.sim = sim
        self._session = session
        self.command, self._start, self.body, problem = codec.split_loosely(apdu)
        if problem is not None:
            sim.tell(
                "error",
                {"what": "length field is wrong, frame taken as it is", "reason": str(problem)},
            )
        self.fields = Fields()
        self.abortable = False
        self.closing = False  # the last word is being said

    def parse(self, skip: int = 0) -> Fields:
        """Read the bitmaps after `skip` bytes; raises RefusalError 9A when they make no sense."""
        try:
            self.fields = f.parse(self.body[skip:], self._start + skip)
        except CodecError as exc:
            self.sim.tell("error", {"what": "command not understood", "reason": str(exc)})
            raise RefusalError(0x9A) from exc
        return self.fields

    def parse_with_password(self, *, optional: bool = False) -> Fields:
        """Read a command that begins with three bytes of password; a wrong one is a RefusalError.

        `optional`: bitmaps may follow without it, as some ECRs send reversal and refund.
        """
        if optional and f.plain_bitmaps(self.body):
            return self.parse()
        self.check_password(self.body[:3])
        return self.parse(3)

    def check_password(self, password: bytes) -> None:
        """Compare; a wrong or missing one is a RefusalError."""
        if password.hex() != f"{self.sim.password:06d}":
            self.sim.tell("error", {"what": "wrong password"})
            raise RefusalError(0x83)

    def number(self, tag: int) -> int | None:
        """A BCD bitmap of the command; raises RefusalError 9A when it is no number."""
        try:
            return self.fields.number(tag)
        except CodecError as exc:
            raise RefusalError(0x9A) from exc

    @property
    def tlv_wanted(self) -> bool:
        """Whether this ECR takes TLV: it said so at registration or uses it now, or the terminal
        does not ask.
        """
        return self.sim.profile.tlv_always or self.sim.registration.tlv or self.fields.has_tlv

    async def ack(self) -> None:
        """80 00 00 to the command."""
        delay = self.sim.faults.number("slow-answer")
        if delay:
            await asyncio.sleep(delay)
        await self._session.send(codec.join(0x8000))

    async def say(self, apdu: bytes) -> bytes:
        """Send and wait for the ECR's answer within T3; raises NotAcceptedError."""
        return await self._session.ask(apdu)

    async def insist(self, apdu: bytes) -> None:
        """Send what must be acknowledged; 84 9C 00 repeats it. Raises NotAcceptedError."""
        left = self.fields.raw(0x02)
        tries = left[0] if left else 0
        while True:
            reply = await self.say(apdu)
            if reply[:2] in (b"\x80\x00", b"\x84\x00"):
                return
            if reply[:2] != b"\x84\x9c":
                raise NotAcceptedError(f"the ECR answered {reply.hex().upper()}")
            tries -= 1
            if tries == 0:
                raise NotAcceptedError("the ECR asked for more time too often")
            await asyncio.sleep(WAIT_S)

    async def mention(self, apdu: bytes) -> None:
        """Send something that does not matter enough to stop for."""
        try:
            await self.say(apdu)
        except NotAcceptedError as exc:
            self.sim.tell("line", {"what": "not acknowledged", "reason": str(exc)})

    async def finish(self, apdu: bytes) -> None:
        """Say the last word of a command; the ECR may answer it with its next command."""
        self.closing = True
        await self.mention(apdu)

    async def status(self, code: int) -> None:
        """Show a state on the display, and tell the ECR by 04FF if it asked for that (config bit
        0x08).
        """
        text = STATUS_TEXTS.get(code, "")
        self.sim.show(text)
        if not self.sim.registration.intermediate:
            return
        body = bytes((code,))
        if self.tlv_wanted and not self.sim.profile.tlv_always and text:
            line = f.tlv(0x07, printing.encode(text))
            body += _T4_MINUTES + f.container(f.tlv(0x24, line))
        await self.mention(codec.join(0x04FF, body))

    async def card(self, timeout_s: float, *, once: bool = False) -> Card:
        """Ask for a card and wait for it; raises CardTimeoutError, CardAbortedError."""
        self.sim.reader.arm()
        self.abortable = True
        try:
            await self.status(0x0A)
            card = await self.sim.reader.wait(timeout_s, once=once)
        finally:
            self.abortable = False
        self.sim.tell("card", {"what": "read", "card": card.name})
        return card

    async def print(self, lines: list[str], kind: int, *, admin: bool = False) -> None:
        """Let the ECR print, if registration says it does; raises NotAcceptedError."""
        registration = self.sim.registration
        if not (registration.prints_admin if admin else registration.prints_payment):
            return
        for apdu in printing.apdus(lines, kind, registration, self.sim.profile):
            await self.insist(apdu)

    async def complete(self, body: bytes = b"") -> None:
        """060F."""
        if self.sim.faults.take("lose-completion"):
            self.sim.tell("line", {"what": "fault: completion not sent"})
            return
        await self.finish(codec.join(0x060F, body))

    async def abort(self, code: int, extra: bytes = b"") -> None:
        """061E with its code."""
        await self.finish(codec.join(0x061E, bytes((code,)) + extra))
