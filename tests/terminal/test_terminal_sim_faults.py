"""The simulated terminal when ECR, bank or mains fail it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hostsim.terminal.books import Books
from hostsim.terminal.faults import FAULTS
from tests.calm import calmly
from tests.terminal.scenes import play, states
from tests.terminal.test_terminal_sim_ecr import (
    OK,
    Peer,
    SerialPeer,
    TcpPeer,
    amount,
    bitmaps,
    both_agree,
    number,
    serial_peer,
    simulated,
    tcp_peer,
    until,
)


def deaf_to(command: str) -> Callable[[bytes], bytes | None]:
    """An ECR that does not answer that command."""
    return lambda apdu: None if apdu[:2].hex() == command else OK


@pytest.mark.parametrize("silent", ["040f", "06d1"])
def test_a_result_or_receipt_nobody_acknowledged_is_reversed(silent: str) -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        answers = await ecr.reserve(2500, answer=deaf_to(silent))
        assert [apdu.hex() for apdu in answers[-2:]] == ["04ff0105", "061e016c"]
        assert (await ecr.pending()).hex() == "061e04b887ffff"

    play(sim, scene)
    assert states(sim) == ["auto-reversed"]


def test_a_refused_result_is_reversed() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        no = bytes.fromhex("846600")
        answers = await ecr.reserve(2500, answer=lambda a: no if a[:2] == b"\x04\x0f" else OK)
        assert answers[-1].hex() == "061e016c"

    play(sim, scene)
    assert states(sim) == ["auto-reversed"]


def test_a_lost_completion_leaves_the_hold() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        await ecr.reserve(2500, answer=deaf_to("060f"))
        assert (await ecr.pending()).hex() == "061e04b8870001"

    play(sim, scene)


def test_an_unacknowledged_capture_or_cancel_leaves_the_hold_open() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        await ecr.reserve(2500)
        for command in ("0623", "0624", "0625"):
            answers = await ecr.money(command, 1, 100, answer=deaf_to("040f"))
            assert answers[-1].hex() == "061e016c"
            assert (await ecr.pending()).hex() == "061e04b8870001"
        assert number(bitmaps((await ecr.money("0623", 1, 500))[2])[0x04]) == 2000

    play(sim, scene)
    assert states(sim) == ["captured"]


def test_asking_for_time_repeats_the_result_every_two_seconds() -> None:
    sim = simulated()
    seen: list[bytes] = []

    def slow(apdu: bytes) -> bytes:
        if apdu[:2] != b"\x04\x0f":
            return OK
        seen.append(apdu)
        return OK if len(seen) == 2 else bytes.fromhex("849c00")

    async def scene(ecr: Peer) -> None:
        started = asyncio.get_running_loop().time()
        assert (await ecr.reserve(2500, answer=slow))[-1].hex() == "060f00"
        assert asyncio.get_running_loop().time() - started >= 2
        assert seen[0] == seen[1]

    play(sim, scene)
    assert states(sim) == ["pending"]


def test_mirror_reverses_what_the_ecr_lost_and_nothing_else() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        await ecr.reserve(1000)
        await ecr.reserve(2000, tlv="06051f1f020001")
        assert states(sim) == ["pending", "pending"]
        await ecr.reserve(3000, tlv="06051f1f020001")
        assert states(sim) == ["pending", "auto-reversed", "pending"]
        await ecr.money("0623", 3, 100)
        await ecr.reserve(4000, tlv="06051f1f020003")
        assert states(sim) == ["pending", "auto-reversed", "captured", "pending"]

    play(sim, scene)


def test_mirror_does_not_undo_an_older_hold_when_the_newer_was_reversed_already() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        await ecr.reserve(1000)
        sim.set_fault("lose-confirm")
        assert (await ecr.reserve(2000))[-1].hex() == "061e016c"
        await ecr.reserve(3000, tlv="06051f1f020002")
        assert states(sim) == ["pending", "auto-reversed", "pending"]

    play(sim, scene)


def test_a_receipt_that_came_after_the_last_hold_proves_it_also_when_it_is_a_captures() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        await ecr.reserve(1000)
        await ecr.reserve(2000)
        await ecr.money("0623", 1, 400)  # receipt 3
        await ecr.reserve(3000, tlv="06051f1f020003")
        assert states(sim) == ["captured", "pending", "pending"]
        await ecr.reserve(4000, tlv="06051f1f020003")  # 4 was lost
        assert states(sim) == ["captured", "pending", "auto-reversed", "pending"]

    play(sim, scene)


def test_receipts_that_come_round_are_ordered_all_the_same() -> None:
    sim = simulated()
    sim.books.counters["receipt"] = 9998

    async def scene(ecr: Peer) -> None:
        await ecr.reserve(1000)  # 9999
        await ecr.reserve(2000)  # 1
        await ecr.reserve(3000, tlv="06051f1f020001")
        assert states(sim) == ["pending", "pending", "pending"]
        await ecr.reserve(4000, tlv="06051f1f029999")
        assert states(sim) == ["pending", "pending", "auto-reversed", "pending"]

    play(sim, scene)


def test_power_cut_before_the_acknowledgement_voids_and_after_it_keeps(tmp_path: Path) -> None:
    sim = simulated(books=Books(tmp_path / "books.json"))

    async def scene(ecr: SerialPeer) -> None:
        await ecr.register()
        await ecr.reserve(1000)

        def cut(apdu: bytes) -> bytes | None:
            if apdu[:2] == b"\x04\x0f":
                sim.power_off()
                return None
            return OK

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ecr.reserve(2000, answer=cut), 0.5)
        assert sim.present_card("visa") == "(the display is dark)"
        assert states(sim) == ["pending", "auto-reversed"]
        sim.power_on()
        assert (await ecr.pending()).hex() == "061e016b"
        await ecr.register()
        assert (await ecr.pending()).hex() == "061e04b8870001"

    async def go() -> None:
        async with serial_peer(sim) as (_, ecr):
            await scene(ecr)

    calmly(go())
    both_agree(sim.books)


def test_a_process_that_died_before_the_acknowledgement_has_reversed(tmp_path: Path) -> None:
    path = tmp_path / "books.json"
    sim = simulated(books=Books(path))
    copies: list[str] = []

    async def scene(ecr: Peer) -> None:
        def look(apdu: bytes) -> bytes:
            if apdu[:2] == b"\x04\x0f":
                copies.append(path.read_text())
            return OK

        await ecr.reserve(1000, answer=look)

    play(sim, scene)
    path.write_text(copies[0])
    assert states(simulated(books=Books(path))) == ["auto-reversed"]


def test_a_connection_that_drops_before_the_acknowledgement_voids() -> None:
    sim = simulated()

    async def go() -> None:
        async with tcp_peer(sim) as ecr:
            await ecr.register()
            await ecr.send(bytes.fromhex(f"0622 07 {amount(1000)}"))
            while (await ecr.receive())[:2].hex() != "040f":
                await ecr.send(OK)
            ecr.writer.close()
            await until(lambda: states(sim) == ["auto-reversed"])

    calmly(go())


def test_a_new_connection_takes_over_and_registration_stays() -> None:
    sim = simulated()

    async def go() -> None:
        door = await sim.serve_tcp(port=0)
        streams = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        first, second = (TcpPeer(*pair) for pair in streams)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await first.receive()
        await second.register()
        third = TcpPeer(*await asyncio.open_connection("127.0.0.1", door.port))
        assert (await third.pending()).hex() == "061e04b887ffff"
        sim.power_off()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await third.receive()
        for peer in (first, second, third):
            peer.writer.close()
        await door.close()

    calmly(go())


def test_faults_of_the_result() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        sim.set_fault("drop-040f")
        answers = await ecr.reserve(1000)
        assert b"\x04\x0f" not in [apdu[:2] for apdu in answers]
        assert answers[-1].hex() == "061e016c"
        sim.set_fault("lose-completion")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ecr.reserve(1000), 1.5)
        assert (await ecr.pending()).hex() == "061e04b8870002"

    play(sim, scene)
    assert states(sim) == ["auto-reversed", "pending"]


def test_faults_of_the_bank_and_the_card() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        sim.set_fault("decline-next", "ff")
        answers = await ecr.reserve(1000, tlv="0600")
        assert answers[-1].hex() == "061e19ff06161f160201171f170e" + b"Host error 117".hex()
        assert 0x06 in bitmaps(next(a for a in answers if a[:2] == b"\x04\x0f"))
        sim.set_fault("acquirer-down")
        assert (await ecr.reserve(1000))[-1].hex() == "061e01a0"
        assert (await ecr.run("067000"))[-1].hex() == "061e017d"
        sim.set_fault("acquirer-down", False)
        sim.set_fault("wait-card")
        assert (await ecr.reserve(1000))[-1].hex() == "061e016c"
        sim.set_fault("wait-card", False)
        sim.set_fault("unmasked")
        told = bitmaps(next(a for a in await ecr.reserve(1000) if a[:2] == b"\x04\x0f"))
        assert told[0x22].hex() == "4111111111111111" and told[0x23].hex().startswith("4111")
        sim.set_fault("unmasked", None)
        sim.set_fault("long-apdu")
        sim.set_fault("long-trace")
        result = next(a for a in await ecr.reserve(1000) if a[:2] == b"\x04\x0f")
        assert result[2] == 0xFF and bitmaps(result)[0x0B] == b"\x00\x00\x00"
        sim.set_fault("reversed-reservation")
        assert (await ecr.money("0623", 2, 1))[-1].hex() == "061e01b4"

    play(sim, scene)


def test_faults_of_the_dialogue() -> None:
    sim = simulated()

    async def scene(ecr: Peer) -> None:
        sim.set_fault("busy")
        assert (await ecr.run("050100"))[-1].hex() == "849c00"
        sim.set_fault("collision")
        await ecr.send(bytes.fromhex("050100"))
        assert [(await ecr.receive())[:2].hex() for _ in range(3)] == ["0401", "8000", "060f"]
        await ecr.send(OK)
        sim.set_fault("unknown-command")
        answers = await ecr.run(
            "050100", answer=lambda a: bytes.fromhex("848300") if a[:2] == b"\x06\xe7" else OK
        )
        assert [a[:2].hex() for a in answers] == ["8000", "06e7", "060f"]
        sim.set_fault("slow-answer", 0.2)
        started = asyncio.get_running_loop().time()
        await ecr.run("050100")
        assert asyncio.get_running_loop().time() - started >= 0.2
        sim.set_fault("slow-answer", False)
        sim.set_fault("silence")
        await ecr.send(bytes.fromhex("050100"))
        with pytest.raises(TimeoutError):
            await ecr.receive(0.3)
        sim.set_fault("silence", False)
        assert (await ecr.run("050100"))[-1].hex() == "060f0100"

    play(sim, scene)


def test_faults_are_named_and_checked() -> None:
    sim = simulated()
    with pytest.raises(ValueError, match="no fault 'nack'; there are silence, nak"):
        sim.set_fault("nack")
    with pytest.raises(ValueError, match="fault decline-next takes code, not 'zz'"):
        sim.set_fault("decline-next", "zz")
    for name in FAULTS:
        sim.set_fault(name)
        sim.set_fault(name, False)
    assert sim.faults.names() == []


# The serial line
