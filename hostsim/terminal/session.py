"""One line to one ECR: routes what comes in to the command that runs, or starts a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from hostsim.line import LineClosed
from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.codec import CodecError
from hostsim.terminal.dialogue import Dialogue, NotAcceptedError, RefusalError
from hostsim.terminal.reader import CardAbortedError, CardTimeoutError
from hostsim.terminal.transport import Link, NotDeliveredError

if TYPE_CHECKING:
    from hostsim.terminal.pt import TerminalSim

Handler = Callable[[Dialogue], Awaitable[None]]

_ABORT = 0x06B0
_ANYTIME = (0x0501, 0x0600, 0x0602, 0x0618, 0x061A, 0x0670, 0x0693, 0x0830, 0x0FA1)
_UNKNOWN_TO_ECR = codec.join(0x06E7)


class Session:
    """A conversation; ends with the line."""

    def __init__(self, sim: TerminalSim, link: Link, handlers: dict[int, Handler]) -> None:
        """Talk for `sim` over `link`."""
        self._sim = sim
        self.link = link
        self._handlers = handlers
        self._reply: asyncio.Future[bytes] | None = None
        self._running: asyncio.Task[None] | None = None
        self._current: Dialogue | None = None

    async def run(self) -> None:
        """Until the line closes or this is cancelled."""
        pump = asyncio.create_task(self.link.pump())
        try:
            while True:
                apdu = await self.link.receive()
                self._sim.tell_apdu("in", apdu)
                await self._route(apdu)
        except LineClosed:
            self._sim.tell("line", {"what": "closed"})
        finally:
            pump.cancel()
            await self.drop()
            with suppress(asyncio.CancelledError):
                await pump

    async def drop(self) -> None:
        """Give up the running command; what the ECR did not acknowledge is reversed by its
        handler.
        """
        task = self._running
        if task is not None and not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def cut(self) -> None:
        """Power is gone: the running command ends where it is."""
        if self._running is not None:
            self._running.cancel()

    async def send(self, apdu: bytes) -> None:
        """Deliver an APDU; raises NotAcceptedError when the line does not take it."""
        self._sim.tell_apdu("out", apdu)
        try:
            await self.link.send(apdu)
        except (NotDeliveredError, LineClosed) as exc:
            raise NotAcceptedError(str(exc)) from exc

    async def ask(self, apdu: bytes) -> bytes:
        """Deliver, and wait T3 for 80 or 84; raises NotAcceptedError."""
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._reply = reply
        try:
            await self.send(apdu)
            async with asyncio.timeout(self.link.timers.t3):
                return await reply
        except TimeoutError:
            self._sim.tell("line", {"what": "timeout", "timer": "T3"})
            raise NotAcceptedError("no answer within T3") from None
        finally:
            self._reply = None

    async def _route(self, apdu: bytes) -> None:
        if apdu[0] in (0x80, 0x84):
            if self._reply is not None and not self._reply.done():
                self._reply.set_result(apdu)
            return
        if self._running is not None and not self._running.done():
            if self._current is None or not self._current.closing:
                await self._while_busy(apdu)
                return
            await self._let_end(self._running)
        if self._sim.faults.take("busy"):
            await self._short(0x849C)
            return
        await self._start(apdu)

    async def _let_end(self, task: asyncio.Task[None]) -> None:
        """The next command came right behind, or instead of, the answer to the last word."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(codec.join(0x8000))
        # raises our own end only, which must not be lost: a world that stops waits for it
        await asyncio.wait({task}, timeout=self.link.timers.t3)

    async def _while_busy(self, apdu: bytes) -> None:
        command = int.from_bytes(apdu[:2], "big")
        if command == _ABORT and self._current is not None and self._current.abortable:
            await self._short(0x8000)
            self._sim.reader.abort()
        else:
            await self._short(0x849C)

    async def _short(self, command: int) -> None:
        """Answer with nothing but 80 00 00 or 84 xx 00."""
        with suppress(NotAcceptedError):
            await self.send(codec.join(command))

    async def _start(self, apdu: bytes) -> None:
        try:
            dialogue = Dialogue(self._sim, self, apdu)
        except CodecError as exc:
            self._sim.tell("error", {"what": "not an APDU", "reason": str(exc)})
            await self._short(0x849A)
            return
        handler = self._handlers.get(dialogue.command)
        if dialogue.command == _ABORT:
            await self._short(0x8000)  # nothing runs: nothing to do (PA00P015 2.23)
        elif handler is None or not self._sim.knows(dialogue.command):
            await self._short(0x8483)
        else:
            self._current = dialogue
            self._running = asyncio.create_task(self._perform(dialogue, handler))
            self._running.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A mistake of ours must be seen, not look like a silent terminal."""
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._sim.tell("error", {"what": "the simulator failed", "reason": repr(exc)})
            message = "a terminal command failed"
            task.get_loop().call_exception_handler({"message": message, "exception": exc})

    async def _perform(self, dialogue: Dialogue, handler: Handler) -> None:
        try:
            if self._sim.faults.take("collision"):
                await self.send(codec.join(0x0401, self._sim.clock_fields()))
            await dialogue.ack()
            if self._sim.faults.take("unknown-command"):
                await dialogue.mention(_UNKNOWN_TO_ECR)
            if not self._sim.registration.active and dialogue.command not in _ANYTIME:
                raise RefusalError(0x6B)
            await handler(dialogue)
        except RefusalError as refusal:
            await dialogue.abort(refusal.code, self._extra(dialogue, refusal))
        except (CardTimeoutError, CardAbortedError):
            await dialogue.abort(0x6C)
        except NotAcceptedError as exc:
            self._sim.tell("line", {"what": "dialogue given up", "reason": str(exc)})
        finally:
            self._current = None
            self._sim.show_idle()

    def _extra(self, dialogue: Dialogue, refusal: RefusalError) -> bytes:
        if refusal.code != 0xFF or refusal.extra or not dialogue.tlv_wanted:
            return refusal.extra
        return f.container(f.tlv(0x1F16, b"\x01\x17"), f.tlv(0x1F17, b"Host error 117"))
