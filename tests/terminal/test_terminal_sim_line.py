"""The line and the clock that simulated peers share."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hostsim.clock import WorldClock
from hostsim.line import LineClosed, LineError, PtyLine, SerialPort
from hostsim.terminal.session import Session


def test_bytes_leave_no_faster_than_the_baud_rate() -> None:
    async def go() -> None:
        line = PtyLine(9600, 11)
        port = SerialPort(line.path)
        started = time.monotonic()
        line.write(bytes(range(256)))
        got = b""
        while len(got) < 256:
            got += await port.read()
        assert got == bytes(range(256))
        assert time.monotonic() - started >= 256 * 11 / 9600 * 0.95
        port.close()
        line.close()

    asyncio.run(go())


def test_faults_of_the_line_touch_their_direction_only() -> None:
    async def go() -> None:
        line = PtyLine(0)
        port = SerialPort(line.path)
        line.mangle = lambda data: data.replace(b"a", b"b")
        line.mangle_in = lambda data: data.upper()
        line.write(b"banana")
        assert await port.read() == b"bbnbnb"
        port.write(b"banana")
        assert await line.read() == b"BANANA"
        line.mangle = line.mangle_in = None
        line.connected = False
        reading = asyncio.create_task(line.read())
        line.write(b"lost")
        port.write(b"lost")
        await asyncio.sleep(0.05)
        assert not reading.done()
        line.connected = True
        port.write(b"found")
        assert await reading == b"found"
        line.write(b"stale")
        await asyncio.sleep(0.02)
        line.discard()
        line.write(b"fresh")
        assert await port.read() == b"fresh"
        port.close()
        line.close()

    asyncio.run(go())


def test_a_closed_line_says_so() -> None:
    async def go() -> None:
        line = PtyLine(0)
        reading = asyncio.create_task(line.read())
        await asyncio.sleep(0.01)
        line.close()
        line.close()
        with pytest.raises(LineClosed):
            await reading
        with pytest.raises(LineClosed):
            line.write(b"x")

    asyncio.run(go())


def test_a_device_that_is_none_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(LineError, match="cannot open"):
        SerialPort(str(tmp_path / "ttyS9"))
    (tmp_path / "file").write_text("")
    with pytest.raises(LineError, match="is not a serial device"):
        SerialPort(str(tmp_path / "file"))
    with pytest.raises(LineError, match="baud rate 12345"):
        SerialPort(str(tmp_path / "file"), 12345)


def test_the_clock_runs_at_its_speed_without_jumps() -> None:
    clock = WorldClock(1_000_000, speed=1)
    assert 1_000_000 <= clock.now_ms() < 1_001_000
    began, before = time.monotonic(), clock.now_ms()
    clock.speed = 60
    jump_ms = clock.now_ms() - before
    assert jump_ms <= (time.monotonic() - began) * 60_000 + 1
    time.sleep(0.05)
    assert clock.now_ms() - before >= 3000
    for wrong in (0, 61):
        with pytest.raises(ValueError, match="is not within 1 to 60"):
            clock.speed = wrong


def test_sleepers_wake_when_the_speed_changes() -> None:
    async def go() -> None:
        clock = WorldClock()
        started = time.monotonic()
        sleeper = asyncio.create_task(clock.sleep(30))
        await asyncio.sleep(0.05)
        clock.speed = 60
        await sleeper
        assert 0.4 < time.monotonic() - started < 25

    asyncio.run(go())


def test_a_terminal_that_is_ended_while_it_lets_a_command_end_does_end() -> None:
    async def scenario() -> None:
        session = Session.__new__(Session)
        session._reply = None
        session.link = SimpleNamespace(timers=SimpleNamespace(t3=30.0))  # type: ignore[assignment]
        command = asyncio.create_task(asyncio.sleep(60))
        waiting = asyncio.create_task(session._let_end(command))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        command.cancel()

    asyncio.run(scenario())
