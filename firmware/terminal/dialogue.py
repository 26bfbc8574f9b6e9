"""A conversation with the terminal: one command, its answers, until the terminal gives the line
back (PA00P015, "Communication"; T3 and T4 of PA00P016).

Here lies the commit point of every payment: the terminal keeps it only when its 040F was answered
with 80 00 00. An approval is therefore handed to `commit` first, and what `commit` refuses is
never answered, so that the terminal takes it back by itself (PA00P015, "Status information").
"""

import asyncio
import time

from micropython import const

from firmware.errors import ForecourtError, FrameError, TerminalRefused, TerminalTimeout
from firmware.terminal import commands, results
from firmware.terminal.apdu import Apdu, parse
from firmware.terminal.masking import scrub_lines

# commands and answers by class and instruction
_SET_TIME = const(0x0401)
_RESULT = const(0x040F)
_STATUS = const(0x04FF)
_COMPLETION = const(0x060F)
_ABORTED = const(0x061E)
_PRINT_LINE = const(0x06D1)
_PRINT_BLOCK = const(0x06D3)

_T3_MS = const(5000)
_T4_MS = const(180000)
QUERY_MS = const(30000)  # T4 of what a terminal answers out of its own memory
_BUSY_TRIES = const(5)
_BUSY_MS = const(1000)
_SLICE_MS = const(100)  # how soon an abort is noticed
_BEAT_MS = const(5000)  # how often a long wait shows that it is one
_ABORT_MS = const(10000)  # to the end of an aborted or refused command
_CLEAR_MS = const(1500)  # to the end of what was aborted, if there was anything
_SLOW_MS = const(3000)  # a commit longer than this has perhaps outlived T3: ask for a repetition
_MAX_TEXT = const(1500)
_NEAR = const(80)  # in which a number may have begun that goes on in the next line


TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Trace = Callable[[str, str, str], None]


def _nothing(*_: object) -> None:
    pass


class Answer:
    """What a conversation has given so far; complete or not, it holds what is known."""

    t4_ms = _T4_MS  # how long the command may take between two signs of it
    results = False  # the command has a 040F; one that comes to another is not ours to keep
    result: "Apdu | None" = None  # the last 040F
    end: "Apdu | None" = None  # 060F or 061E
    aborted = False  # it was 061E
    code = -1  # the terminal's word: of 040F, or of 061E when that brought the refusal
    acknowledged = False  # we said 80 00 00 to the result
    commit: "Callable[[Apdu], None] | None" = None  # who decides on a result that approves
    committed = False
    veto = ""  # why the approval was not acknowledged
    last_status = -1


class Dialogue:
    """Owner of the line. `on_text` and `on_time` as in base.PaymentTerminal."""

    def __init__(self, link: "Any", salt: bytes, trace: "Trace | None" = None) -> None:
        self.on_text: "Callable[[str], None]" = _nothing
        self.on_time: "Callable[..., None]" = _nothing
        self.receipt_text = ""  # the driver's part of what the terminal printed last, by lines
        self.beats: "dict" = {}  # signs of life, firmware/supervisor.py
        self._who = "terminal"  # the task that talks
        self._link = link
        self._salt = salt
        self._trace = trace
        self._lock = asyncio.Lock()
        self._open = False  # the terminal may still be in a command of ours
        self._abort = False
        self._wait_ms = _T4_MS
        self._t4_ms = _T4_MS

    async def _converse(
        self, command: bytes, answer: Answer, reading_ms: int = 0, tries: int = _BUSY_TRIES
    ) -> None:
        """One command to its end. Fills `answer` as it goes; `reading_ms`: it is a read card,
        which ends with its 040F, and the time to wait for that; `tries` while it is busy.

        Raises TerminalRefused, TerminalTimeout, TerminalGone. The caller has the lock.
        """
        if self._open:
            await self._clear()
        self.receipt_text = ""
        self._open = True
        await self._command(command, tries)
        self._wait_ms = self._t4_ms = reading_ms or answer.t4_ms
        while answer.end is None:
            # one abort: a terminal that was reset meanwhile takes it and has nothing to end
            apdu = await self._heard(reading_ms > 0 and self._wait_ms != _ABORT_MS)
            if apdu is not None:
                await self._handle(apdu, answer)
                if reading_ms and answer.acknowledged:
                    break
            elif answer.veto:
                break  # silence after our silence: it has reversed
            else:
                raise TerminalTimeout("no answer in T4")
        self._open = False

    async def _command(self, command: bytes, tries: int) -> None:
        for left in range(tries - 1, -1, -1):
            await self._send(command)
            kind = 0
            while kind < 0x8000:
                apdu = await self._receive(_T3_MS)
                if apdu is None:
                    raise TerminalTimeout("no answer in T3")
                kind = apdu.command
                if kind < 0x8000:  # it had something to say first
                    await self._other(apdu)
            if kind >> 8 != 0x84 or kind == 0x8400:
                return
            if kind & 0xFF != results.BUSY or not left:
                break
            await asyncio.sleep_ms(_BUSY_MS)
        self._open = False
        raise TerminalRefused(kind & 0xFF, results.classify(kind & 0xFF)[0])

    async def _heard(self, reading: bool) -> "Apdu | None":
        """The next APDU within the time that runs; sends the abort that was asked for."""
        began = time.ticks_ms()
        while True:
            left = self._wait_ms - time.ticks_diff(time.ticks_ms(), began)
            if left <= 0:
                return None
            self._beat()
            apdu = await self._receive(min(left, _SLICE_MS if reading else _BEAT_MS))
            if apdu is not None:
                return apdu
            if self._abort and reading:
                self._abort = reading = False
                await self._send(commands.ABORT)
                self._wait_ms = _ABORT_MS
                began = time.ticks_ms()

    def _beat(self) -> None:
        """Whoever talks, lives; so does the owner's task, which may wait for the line."""
        now = self.beats["terminal"] = time.ticks_ms()
        if self.beats.get(self._who) is not None:
            self.beats[self._who] = now

    async def _handle(self, apdu: Apdu, answer: Answer) -> None:
        kind = apdu.command
        if kind == _RESULT and answer.results:
            self._wait_ms = self._t4_ms
            await self._result(apdu, answer)
        elif kind == _COMPLETION or kind == _ABORTED:
            answer.end = apdu
            answer.aborted = kind == _ABORTED
            if answer.aborted and answer.code <= 0:
                answer.code = apdu.code
            try:
                await self._send(commands.DONE)
            except TerminalTimeout:
                pass  # the command is over all the same
        elif kind < 0x8000:
            if kind == _STATUS:
                answer.last_status = apdu.condition
                if apdu.minutes > 0:
                    self._wait_ms = apdu.minutes * 60000
                elif not answer.veto:
                    self._wait_ms = self._t4_ms
            await self._other(apdu)

    async def _result(self, apdu: Apdu, answer: Answer) -> None:
        if apdu.broken and answer.commit is not None and not answer.committed:
            answer.veto = "result not understood: " + apdu.broken
        if answer.veto:
            self._wait_ms = _ABORT_MS
            return
        if not apdu.broken:
            answer.result = apdu
            answer.code = apdu.code
            self._tell_time(apdu)
        if answer.commit is not None and apdu.code == 0 and not answer.committed:
            began = time.ticks_ms()
            try:
                answer.commit(apdu)
            except (ForecourtError, OSError, ValueError, MemoryError) as exc:
                answer.veto = str(exc) or "not written"
                self._wait_ms = _ABORT_MS
                return
            answer.committed = True
            if time.ticks_diff(time.ticks_ms(), began) > _SLOW_MS:
                await self._send(commands.MORE_TIME)
                return
        await self._send(commands.DONE)
        answer.acknowledged = True

    async def _other(self, apdu: Apdu) -> None:
        """What a terminal may say at any time."""
        kind = apdu.command
        if kind == _STATUS:
            text = results.status_key(apdu.condition) or " ".join(apdu.lines).strip()
            if text:
                self.on_text(text)
        elif kind == _PRINT_LINE or kind == _PRINT_BLOCK:
            if apdu.receipt_type in (0, 2):
                # one text: lines cost three times as much
                text = self.receipt_text
                more = text[-_NEAR:] + "\n".join([line.rstrip() for line in apdu.lines]) + "\n"
                self.receipt_text = (text[:-_NEAR] + scrub_lines(more))[:_MAX_TEXT]
        elif kind == _SET_TIME:
            self._tell_time(apdu)
        elif kind == _RESULT:
            return  # a payment nobody here asked for: not ours to keep
        elif kind != _COMPLETION and kind != _ABORTED:
            await self._send(commands.UNKNOWN_COMMAND)
            return
        await self._send(commands.DONE)

    def _tell_time(self, apdu: Apdu) -> None:
        date = apdu.day if apdu.day >= 0 else apdu.date
        if date < 0 or apdu.time < 0:
            return
        year = 2000 + date // 10000 if apdu.day >= 0 else None
        month, day = date // 100 % 100, date % 100
        hour, minute, second = apdu.time // 10000, apdu.time // 100 % 100, apdu.time % 100
        if 0 < month < 13 and 0 < day < 32 and hour < 24 and minute < 60 and second < 60:
            self.on_time(year, month, day, hour, minute, second)

    async def _clear(self) -> None:
        """Ends a command that was left in the middle; TerminalTimeout when nobody answers."""
        await self._send(commands.ABORT)
        wait_ms = _T3_MS
        while True:
            apdu = await self._receive(wait_ms)
            if apdu is None or apdu.command >> 8 == 0x84:
                break
            wait_ms = _CLEAR_MS
            if apdu.command < 0x8000:
                await self._other(apdu)
                if apdu.command in (_ABORTED, _COMPLETION):
                    break
        self._open = False

    async def _send(self, apdu: bytes) -> None:
        if self._trace is not None:
            shown = bytearray(apdu)
            parse(shown)  # passwords go out of sight
            self._show("tx", shown)
        for _ in range(3):
            if await self._link.send(apdu):
                return
            crossed = await self._receive(0)
            if crossed is not None and crossed.command < 0x8000:
                await self._other(crossed)
        raise TerminalTimeout("the terminal talks all the time")

    async def _receive(self, timeout_ms: int) -> "Apdu | None":
        """The next APDU, read and masked; one that cannot be read has `broken` set."""
        data = await self._link.receive(timeout_ms)
        if data is None:
            return None
        command = data[0] << 8 | data[1]
        try:
            apdu = parse(data, self._salt)
        except FrameError as exc:
            apdu = Apdu()
            apdu.command = command
            apdu.broken = str(exc)
        if self._trace is not None:
            self._show("rx", data, apdu.broken)
        return apdu

    def _show(self, direction: str, data: "bytearray | memoryview", broken: str = "") -> None:
        from firmware.terminal.names import name

        self._trace(direction, bytes(data).hex(), broken or name(data[0] << 8 | data[1]))
