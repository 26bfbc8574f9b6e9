"""The simulated terminal on a serial line: frames that break, come twice or are not
acknowledged.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.calm import calmly
from tests.terminal.scenes import play, states
from tests.terminal.test_terminal_sim_ecr import (
    OK,
    Peer,
    SerialPeer,
    amount,
    framed,
    serial_peer,
    simulated,
    until,
)


def test_serial_serves_everything_with_frames() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        assert (await ecr.reserve(2510))[-1].hex() == "060f00"
        assert (await ecr.money("0623", 1, 1000))[-1].hex() == "060f00"
        assert (await ecr.run("0650 03 123456"))[-1].hex() == "060f00"

    play(sim, scene, serial=True)
    assert sim.books.summary()["captured_minor"] == 1510


def test_a_broken_frame_and_one_that_stops_are_answered_with_nak() -> None:
    sim = simulated()

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            good = framed(bytes.fromhex("050100"))
            ecr.port.write(good[:-1] + b"\x00")
            assert await ecr._item(10) == b"\x15"
            ecr.port.write(good[:5])
            assert await ecr._item(10) == b"\x15"
            ecr.port.write(b"\xff\x00" + good)
            assert await ecr._item(10) == b"\x06"
            assert await ecr.receive() == OK

    calmly(go())


def test_a_frame_sent_twice_counts_once() -> None:
    sim = simulated()
    seen: list[str] = []

    def listen(kind: str, data: dict[str, Any]) -> None:
        if kind == "apdu" and data["dir"] == "in":
            seen.append(data["command"])

    sim._on_event = listen

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            ecr.port.write(framed(bytes.fromhex("050100")) * 2)
            assert [await ecr._item(10), await ecr._item(10)] == [b"\x06", b"\x06"]
            assert await ecr.receive() == OK
            assert (await ecr.receive()).hex() == "060f0100"
            await ecr.send(OK)
            assert (await ecr.run("050100"))[-1].hex() == "060f0100"

    calmly(go())
    assert seen.count("0501") == 2


def test_a_frame_without_ack_is_sent_three_times_and_the_hold_is_reversed() -> None:
    sim = simulated()

    async def go() -> None:
        async with serial_peer(sim) as (line, ecr):
            await ecr.register(config=0x10)
            ecr.port.write(framed(bytes.fromhex(f"0622 07 {amount(1000)}")))
            assert await ecr._item(10) == b"\x06"
            assert await ecr.receive() == OK
            await until(lambda: states(sim) == ["auto-reversed"])
            data = await ecr.port.read()
            assert data.count(b"\x10\x02\x04\x0f") == 3
            assert line.dropped == 0

    calmly(go())


def test_a_command_that_was_given_up_is_answered_when_it_comes_again() -> None:
    sim = simulated()
    command = framed(bytes.fromhex("060006123456de0978"))

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            for _ in range(2):
                ecr.port.write(command)
                assert await ecr._item(2) == b"\x06"
                for _ in range(3):  # nobody acknowledges
                    assert await ecr._item(2) == OK
                with pytest.raises(TimeoutError):
                    await ecr._item(0.5)

    calmly(go())


def test_what_comes_again_long_after_is_no_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = simulated()
    monkeypatch.setattr("hostsim.terminal.transport.REPEAT_S", 0.3)
    command = framed(bytes.fromhex("050100"))

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            sim.set_fault("slow-answer", 30)
            for copies in (1, 2):  # a terminal that says nothing yet has nothing acknowledged
                ecr.port.write(command)
                assert await ecr._item(2) == b"\x06"
                assert seen.count("0501") == 1, copies
            await asyncio.sleep(0.4)
            ecr.port.write(command)
            assert await ecr._item(2) == b"\x06"
            assert await ecr._item(2) == bytes.fromhex("849c00")
            ecr.port.write(b"\x06")

    seen: list[str] = []
    sim._on_event = lambda kind, data: seen.append(data["command"]) if kind == "apdu" else None
    calmly(go())


@pytest.mark.parametrize(
    "fault", ["nak", "bad-crc", "drop-ack", "duplicate", "garbage", "fragment"]
)
def test_the_line_recovers_from(fault: str) -> None:
    sim = simulated(bank_s=0.01)

    class Patient(SerialPeer):
        """Takes an answer as acknowledgement, as an ECR does whose ACK was lost."""

        async def _verdict(self) -> bool:
            item = await self._item(2.0)
            while len(item) > 1:
                self.port.write(b"\x06")
                if not self.frames or self.frames[-1] != item:
                    self.frames.append(item)
                return True
            return item == b"\x06"

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            await ecr.register(config=0x10)
            patient = Patient(ecr.port)
            sim.set_fault(fault, 0.02 if fault == "fragment" else True)
            body = f"{amount(1000)}490978"
            last: list[bytes] = []
            for apdu in await patient.run(f"0622{len(body) // 2:02x}{body}"):
                if apdu not in last:
                    last.append(apdu)
            assert [apdu[:2].hex() for apdu in last] == ["8000", "040f", "060f"]

    calmly(go())
    assert states(sim) == ["pending"]


def test_a_pulled_plug_loses_bytes_both_ways() -> None:
    sim = simulated()

    async def go() -> None:
        async with serial_peer(sim) as (line, ecr):
            line.connected = False
            ecr.port.write(framed(bytes.fromhex("050100")))
            with pytest.raises(TimeoutError):
                await ecr.receive(0.2)
            line.connected = True
            assert (await ecr.run("050100"))[-1].hex() == "060f0100"

    calmly(go())


def test_a_wrong_length_field_in_a_good_frame_is_lived_with() -> None:
    sim = simulated()

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            await ecr.register()
            answers = await ecr.run("06220d040000000050004909781940")
            assert answers[-1].hex() == "060f00"

    calmly(go())
    assert sim.books.summary()["held_minor"] == 5000
