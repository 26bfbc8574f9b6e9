"""The simulated terminal over TCP, as a foreign ECR meets it: every command that is not a hold's,
refused cards, amounts, and its books.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hostsim.terminal.books import Books, BooksError
from tests.terminal.scenes import heads, of, play, result
from tests.terminal.test_terminal_sim_ecr import (
    OK,
    TcpPeer,
    amount,
    bitmaps,
    number,
    simulated,
    until,
)


def test_payment_reversal_and_refund() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        told = result(await ecr.run(f"0601 07 {amount(1999)}"))
        assert number(told[0x04]) == 1999 and number(told[0x87]) == 1
        told = result(await ecr.run("0630 06 123456 870001"))
        assert number(told[0x04]) == 1999 and number(told[0x87]) == 2
        assert (await ecr.run("0630 03 870001"))[-1].hex() == "061e01b4"
        assert (await ecr.run("0630 06 999999 870001"))[-1].hex() == "061e0183"
        told = result(await ecr.run(f"0631 0d 123456 {amount(300)} 490978"))
        assert number(told[0x04]) == 300 and number(told[0x87]) == 3

    play(sim, scene)
    summary = sim.books.summary()
    assert (summary["reversed_minor"], summary["unreferenced_refund_minor"]) == (1999, 300)
    assert summary["refunded_minor"] == 2299


def test_capture_is_reversed_by_either_receipt_before_end_of_day_only() -> None:
    async def scene(ecr: TcpPeer) -> None:
        for release in (500, 600):
            await ecr.reserve(2500)
            await ecr.money("0623", 1 if release == 500 else 3, release)
        assert number(result(await ecr.run("0630 06 123456 870002"))[0x04]) == 2000
        await ecr.run("0650 03 123456")
        assert (await ecr.run("0630 06 123456 870004"))[-1].hex() == "061e01b5"

    play(simulated(), scene)


def test_end_of_day_waits_for_holds_and_totals_the_batch() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        assert (await ecr.run("0650 03 123456"))[-1].hex() == "061e04b8870001"
        await ecr.money("0623", 1, 500)
        sim.auto_tap = "girocard"
        await ecr.run(f"0601 07 {amount(1000)}")
        told = result(await ecr.run("0650 03 123456"))
        assert number(told[0x04]) == 3000
        totals = told[0x60]
        assert (number(totals[0:2]), number(totals[2:4]), len(totals)) == (1, 3, 53)
        assert (totals[4], number(totals[5:11])) == (1, 1000)
        assert (totals[32], number(totals[33:39])) == (1, 2000)
        again = result(await ecr.run("0650 03 123456"))
        assert number(again[0x04]) == 0

    play(sim, scene)
    assert [batch["total_minor"] for batch in sim.books.summary()["batches"]] == [3000, 0]


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("declined", 0x05),
        ("insufficient", 0x71),
        ("expired", 0x78),
        ("blocked", 0x04),
        ("pin", 0x41),
        ("network", 0xA0),
        ("member", 0x7A),
    ],
)
def test_refused_cards_are_told_by_status_and_abort(card: str, code: int) -> None:
    async def scene(ecr: TcpPeer) -> None:
        answers = await ecr.reserve(2500)
        told = result(answers)
        assert told[0x27][0] == code and 0x87 not in told
        assert answers[-1] == bytes((0x06, 0x1E, 1, code))

    sim = simulated(card)
    play(sim, scene)
    assert sim.books.summary()["authorised_minor"] == 0


def test_no_card_and_an_unreadable_one() -> None:
    async def nobody(ecr: TcpPeer) -> None:
        assert (await ecr.reserve(2500))[-1].hex() == "061e016c"

    async def unreadable(ecr: TcpPeer) -> None:
        assert (await ecr.reserve(2500))[-1].hex() == "061e0164"

    play(simulated(None), nobody)
    play(simulated("unreadable"), unreadable)


def test_amounts_and_currencies_are_checked() -> None:
    async def scene(ecr: TcpPeer) -> None:
        assert (await ecr.reserve(0))[-1].hex() == "061e01c8"
        assert (await ecr.reserve(1000000))[-1].hex() == "061e01c3"
        assert (await ecr.run("0622 03 490978"))[-1].hex() == "061e019a"
        assert (await ecr.run(f"0622 0a {amount(1000)} 490756"))[-1].hex() == "061e036f0978"
        assert (await ecr.run("0622 07 04 0000000000ff"))[-1].hex() == "061e019a"
        assert (await ecr.run("0622 02 1199"))[-1].hex() == "061e019a"

    play(simulated(), scene)


def test_receipt_numbers_rise_and_come_round() -> None:
    sim = simulated()
    sim.books.counters["receipt"] = 9998
    sim.books.counters["trace"] = 999998

    async def scene(ecr: TcpPeer) -> None:
        told = [result(await ecr.run(f"0601 07 {amount(100)}")) for _ in range(3)]
        assert [number(t[0x87]) for t in told] == [9999, 1, 2]
        assert [number(t[0x0B]) for t in told] == [999999, 1, 2]

    play(sim, scene)


def test_read_card_gives_the_uid_once_and_ends_with_the_status() -> None:
    sim = simulated("mastercard")

    async def scene(ecr: TcpPeer) -> None:
        read = "06c0 0f 0f1910fc0206081f1501d01f600107"
        answers = await ecr.run(read, until=("040f", "061e"))
        captured = "040f35270006314c0a000000000000081ca72f1f450505788070021f4c01011f4d02fe04"
        assert answers[-1].hex() == captured + "1f4f0204001f50012060094307a0000000041010"
        sim.auto_tap = None
        assert (await ecr.run("06c0 01 01", until=("040f", "061e")))[-1].hex() == "061e016c"
        assert heads(await ecr.reserve(2500))[-1] == "060f", "the card is still held"

    play(sim, scene)


def test_abort_ends_the_wait_for_a_card_and_is_harmless_when_idle() -> None:
    async def scene(ecr: TcpPeer) -> None:
        assert (await ecr.run("06b000", until=("8000",)))[-1] == OK
        await ecr.send(bytes.fromhex("06c0013c"))
        assert await ecr.receive() == OK
        assert (await ecr.receive())[:2].hex() == "04ff"
        await ecr.send(OK)
        await ecr.send(bytes.fromhex("06b000"))
        assert await ecr.receive() == OK
        assert (await ecr.receive()).hex() == "061e016c"
        await ecr.send(OK)

    play(simulated(None), scene)


def test_a_busy_terminal_says_so() -> None:
    async def scene(ecr: TcpPeer) -> None:
        await ecr.send(bytes.fromhex("06c0013c"))
        await ecr.receive()
        assert (await ecr.receive())[:2].hex() == "04ff"
        await ecr.send(OK)
        await ecr.send(bytes.fromhex("050100"))
        assert (await ecr.receive()).hex() == "849c00"

    play(simulated(None), scene)


def test_diagnosis_sets_the_clock_and_initialisation_ends_out_of_service() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        sim.set_fault("out-of-service", "51")
        assert (await ecr.reserve(2500))[-1].hex() == "061e0151"
        assert (await ecr.run("050100"))[-1].hex() == "060f0151"
        assert (await ecr.register())[-1].hex().startswith("060f0a1911")
        assert heads(await ecr.run("0693 03 123456"))[-1] == "060f"
        answers = await ecr.run("067000")
        assert heads(answers) == ["8000", "04ff", "0401", "06d1", "060f"]
        assert set(bitmaps(of(answers, "0401"))) == {0xAA, 0x0C}
        assert (await ecr.run("050100"))[-1].hex() == "060f0100"

    play(sim, scene)


def test_status_enquiry_tells_the_software_when_asked() -> None:
    async def scene(ecr: TcpPeer) -> None:
        told = (await ecr.run("0501 05 123456 0300"))[-1]
        assert told[3:6].hex() == "f0f1f6" and told[6:-1] == b"Forecourt-PT 1.0"

    play(simulated(), scene)


def test_other_commands() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        assert (await ecr.run("069900"))[-1].hex() == "848300"
        assert (await ecr.run("0830 01 01"))[-1].hex() == "060f00"
        assert heads(await ecr.run("061a00")) == ["8000", "06d1", "060f"]
        assert (await ecr.run("061b 08 123456 2912345678"))[-1].hex() == "060f00"
        assert sim.terminal_id == 12345678
        assert (await ecr.run("060200", until=("8000",)))[-1] == OK
        assert (await ecr.reserve(2500))[-1].hex() == "061e016b"
        await ecr.register()
        assert (await ecr.run("061800"))[-1].hex() == "060f00"
        assert (await ecr.reserve(2500))[-1].hex() == "061e016b"

    play(sim, scene)


def test_commands_and_acknowledgements_in_one_packet_are_taken_apart() -> None:
    async def scene(ecr: TcpPeer) -> None:
        await ecr.send(bytes.fromhex("050100"))
        assert await ecr.receive() == OK and (await ecr.receive())[:2].hex() == "060f"
        await ecr.send(bytes.fromhex("800000" + "050100"))
        assert await ecr.receive() == OK and (await ecr.receive())[:2].hex() == "060f"
        await ecr.send(bytes.fromhex("0501"))
        await asyncio.sleep(0.05)
        await ecr.send(bytes.fromhex("00"))
        assert await ecr.receive() == OK

    play(simulated(), scene)


def test_person_and_display() -> None:
    sim = simulated(None)

    async def scene(ecr: TcpPeer) -> None:
        task = asyncio.create_task(ecr.reserve(2500))
        await until(lambda: sim.reader.awaiting)
        assert sim.display == "Please present card"
        assert sim.present_card("visa") == "Please wait"
        assert (await task)[-1].hex() == "060f00"
        await until(lambda: sim.display == "Welcome")
        assert sim.reader.held is None
        with pytest.raises(ValueError, match="no card 'vsia'; there are visa, "):
            sim.present_card("vsia")

    play(sim, scene)


def test_books_survive_a_restart_and_hold_no_card_number(tmp_path: Path) -> None:
    path = tmp_path / "books.json"
    sim = simulated(books=Books(path))

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        await ecr.reserve(1500)
        await ecr.money("0623", 1, 500)

    play(sim, scene)
    assert "4111111111111111" not in path.read_text()
    again = simulated(books=Books(path))
    assert again.books.summary() == sim.books.summary()

    async def later(ecr: TcpPeer) -> None:
        assert (await ecr.pending()).hex() == "061e04b8870002"
        assert number(result(await ecr.reserve(100))[0x87]) == 4

    play(again, later)


def test_books_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "books.json"
    path.write_text('{"format": 1}')
    with pytest.raises(BooksError, match="does not hold"):
        Books(path)
