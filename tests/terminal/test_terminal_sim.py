"""The simulated terminal over TCP: every command, as a foreign ECR meets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hostsim.terminal.books import Books, BooksError
from hostsim.terminal.pt import TerminalSim
from tests.calm import calmly
from tests.terminal.test_terminal_sim_ecr import (
    OK,
    TcpPeer,
    amount,
    bitmaps,
    both_agree,
    number,
    simulated,
    tcp_peer,
    until,
)

Play = Callable[[TcpPeer], Awaitable[None]]


def play(sim: TerminalSim, scene: Play, *, register: bool = True, tlv: str = "") -> None:
    """Run a scene against a terminal, and look at its books afterwards."""

    async def go() -> None:
        async with tcp_peer(sim) as ecr:
            if register:
                await ecr.register(tlv=tlv)
            await scene(ecr)

    calmly(go())
    both_agree(sim.books)


def heads(apdus: list[bytes]) -> list[str]:
    """Commands only, print lines taken together."""
    out: list[str] = []
    for apdu in apdus:
        head = apdu[:2].hex()
        if not (out and head == "06d1" == out[-1]):
            out.append(head)
    return out


def of(apdus: list[bytes], command: str) -> bytes:
    """The first APDU with that command."""
    return next(apdu for apdu in apdus if apdu[:2].hex() == command)


def result(apdus: list[bytes]) -> dict[int, bytes]:
    """The bitmaps of the status information."""
    return bitmaps(of(apdus, "040f"))


def test_registration_is_acknowledged_and_completed_as_captured() -> None:
    async def scene(ecr: TcpPeer) -> None:
        answers = await ecr.register()
        assert [apdu.hex() for apdu in answers] == ["800000", "060f0a19102952523535490978"]

    play(simulated(), scene, register=False)


def test_registration_with_a_wrong_password_is_refused_and_does_not_count() -> None:
    async def scene(ecr: TcpPeer) -> None:
        answers = await ecr.run("0600 06 999999 de 0978")
        assert heads(answers) == ["8000", "061e"]
        assert (await ecr.reserve(1000))[-1].hex() == "061e016b"

    play(simulated(), scene, register=False)


def test_without_registration_money_is_refused_but_status_answers() -> None:
    async def scene(ecr: TcpPeer) -> None:
        assert [apdu.hex() for apdu in await ecr.reserve(1000)] == ["800000", "061e016b"]
        assert [apdu.hex() for apdu in await ecr.run("050100")] == ["800000", "060f0100"]

    play(simulated(), scene, register=False)


def test_registration_takes_bitmaps_in_any_order_and_no_currency() -> None:
    async def scene(ecr: TcpPeer) -> None:
        for body in ("123456de", "123456de0978030206041a020100", "123456de06041a0201000300"):
            answers = await ecr.run(f"0600{len(body) // 2:02x}{body}")
            assert heads(answers) == ["8000", "060f"]

    play(simulated(), scene, register=False)


def test_a_currency_that_begins_like_a_bitmap_is_a_currency() -> None:
    async def scene(ecr: TcpPeer) -> None:
        for currency in ("0348", "0352", "0392", "0376", "0643"):
            for rest in ("", "06021a00", "0305"):
                body = f"123456de{currency}{rest}"
                answers = await ecr.run(f"0600{len(body) // 2:02x}{body}")
                assert bitmaps(of(answers, "060f"))[0x49].hex() == currency

    play(simulated(), scene, register=False)


def test_reservation_tells_states_result_receipt_and_completion() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        answers = await ecr.reserve(2500)
        assert heads(answers) == ["8000", "04ff", "04ff", "04ff", "040f", "06d1", "060f"]
        told = result(answers)
        assert told[0x27] == b"\x00" and number(told[0x04]) == 2500 and number(told[0x49]) == 978
        assert told[0x22].hex() == "411111eeeeee1111" and 0x23 not in told
        assert number(told[0x87]) == 1 and number(told[0x29]) == 52523535
        assert set(told) >= {0x0B, 0x0C, 0x0D, 0x0E, 0x19, 0x2A, 0x3B, 0x88, 0x8A, 0x8B, 0x8C}
        assert (await ecr.pending()).hex() == "061e04b8870001"

    play(sim, scene)
    assert sim.books.summary()["held_minor"] == 2500


def test_without_config_bits_nothing_but_the_result_is_sent() -> None:
    async def scene(ecr: TcpPeer) -> None:
        await ecr.register(config=0x10)
        assert heads(await ecr.reserve(2500)) == ["8000", "040f", "060f"]

    play(simulated(), scene)


def test_tlv_is_sent_only_to_an_ecr_that_takes_it() -> None:
    async def plain(ecr: TcpPeer) -> None:
        for apdu in await ecr.reserve(2500):
            assert apdu[0] == 0x80 or b"\x06" not in apdu[3:4]
        assert 0x06 not in bitmaps((await ecr.run("06c0 01 05", until=("040f",)))[-1])

    async def rich(ecr: TcpPeer) -> None:
        answers = await ecr.reserve(2500)
        assert of(answers, "04ff").hex().startswith("04ff19") or b"\x24" in of(answers, "04ff")
        assert of(answers, "06d3")[2] == 0xFF
        assert 0x06 in bitmaps((await ecr.run("06c0 01 05", until=("040f",)))[-1])

    play(simulated(), plain)
    play(simulated(), rich, tlv="060626040a0206d3")


def test_release_captures_the_rest_once() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        answers = await ecr.money("0623", 1, 1295)
        told = result(answers)
        assert number(told[0x04]) == 1205 and number(told[0x87]) == 2 and number(told[0x37]) == 1
        assert heads(answers)[-2:] == ["06d1", "060f"]
        assert (await ecr.money("0623", 1, 1295))[-1].hex() == "061e01b4"
        assert (await ecr.pending()).hex() == "061e04b887ffff"

    play(sim, scene)
    summary = sim.books.summary()
    assert (summary["captured_minor"], summary["released_minor"]) == (1205, 1295)


def test_release_without_amount_captures_all_and_too_much_is_refused() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        assert (await ecr.money("0623", 1, 2501))[-1].hex() == "061e01b7"
        assert (await ecr.money("0623", 77, 1))[-1].hex() == "061e01b5"
        assert number(result(await ecr.money("0623", 1))[0x04]) == 2500

    play(sim, scene)


def test_book_total_takes_the_amount_used() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        assert (await ecr.money("0624", 1, 2600))[-1].hex() == "061e01b7"
        assert number(result(await ecr.money("0624", 1, 1205))[0x04]) == 1205

    play(sim, scene)
    assert sim.books.summary()["released_minor"] == 1295


def test_profiles_know_what_their_makers_terminals_know() -> None:
    async def feig(ecr: TcpPeer) -> None:
        assert heads(await ecr.reserve(2500)) == ["8000", "04ff", "04ff", "04ff", "040f", "060f"]
        assert (await ecr.money("0624", 1, 100))[-1].hex() == "848300"
        assert heads(await ecr.money("0625", 1)) == ["8000", "04ff", "040f", "06d3", "060f"]
        device = (await ecr.run("0fa1 02 0001"))[-1]
        assert device[3:] == b"17FD1E3CGER-APP-v2.0.9   5252353524.4"

    async def ccv(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        assert (await ecr.money("0623", 1, 100))[-1].hex() == "061e0183"
        assert (await ecr.pending()).hex() == "061e04b8870001"
        assert number(result(await ecr.money("0624", 1, 100))[0x04]) == 100

    play(simulated(profile="feig-cvend"), feig)
    play(simulated(profile="ccv-opm-c60"), ccv)


def test_cancel_releases_everything_once() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2500)
        assert number(result(await ecr.money("0625", 1))[0x04]) == 0
        assert (await ecr.money("0625", 1))[-1].hex() == "061e01b4"

    play(sim, scene)
    assert sim.books.summary()["released_minor"] == 2500


def test_several_pending_holds_are_listed_in_tlv_23_lowest_first() -> None:
    async def scene(ecr: TcpPeer) -> None:
        for _ in range(3):
            await ecr.reserve(1000)
        await ecr.money("0625", 1)
        told = (await ecr.pending()).hex()
        assert told == "061e10b8870002" + "060a" + "2308" + "08020002" + "08020003"

    async def without(ecr: TcpPeer) -> None:
        await ecr.reserve(1000)
        await ecr.reserve(1000)
        assert (await ecr.pending()).hex() == "061e04b8870001"

    play(simulated(), scene, tlv="0600")
    play(simulated(), without)


def test_extension_adds_to_the_hold_by_trace_and_needs_no_card() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        told = result(await ecr.reserve(2500))
        more = f"{amount(1000)}490978 0b{told[0x0B].hex()} 3b{told[0x3B].hex()} 06041f060103"
        body = more.replace(" ", "")
        extended = result(await ecr.run(f"0622{len(body) // 2:02x}{body}"))
        assert number(extended[0x04]) == 1000 and number(extended[0x87]) == 1
        assert number(result(await ecr.money("0623", 1, 500))[0x04]) == 3000
        unknown = f"{amount(1000)}490978 0b000999 06041f060103".replace(" ", "")
        refused = await ecr.run(f"0622{len(unknown) // 2:02x}{unknown}")
        assert refused[-1].hex().startswith("061e04b887")

    play(sim, scene)
    assert sim.books.summary()["authorised_minor"] == 3500


def test_a_long_trace_number_names_the_hold_to_extend() -> None:
    sim = simulated()

    async def scene(ecr: TcpPeer) -> None:
        await ecr.reserve(2000)
        sim.books.records[0].traces.append(12345678)
        for named in ("0b000000 060b1f2b04123456781f060103", "06071f2b0412345678"):
            body = f"{amount(1000)}490978{named}".replace(" ", "")
            answers = await ecr.run(f"0622{len(body) // 2:02x}{body}")
            assert answers[-1][:2].hex() == "060f"

    play(sim, scene)
    assert sim.books.summary()["held_minor"] == 4000


def test_a_card_may_refuse_the_extension() -> None:
    async def scene(ecr: TcpPeer) -> None:
        trace = result(await ecr.reserve(2500))[0x0B].hex()
        answers = await ecr.run(f"0622 0e {amount(1000)} 490978 0b{trace}")
        assert answers[-1].hex() == "061e0105"

    play(simulated("extension-refused"), scene)


def test_partial_approval_only_where_the_ecr_allows_it() -> None:
    async def scene(ecr: TcpPeer) -> None:
        told = result(await ecr.reserve(5000, tlv="06041f700101"))
        assert told[0x27] == b"\x00" and number(told[0x04]) == 2500
        answers = await ecr.reserve(5000, tlv="06041f700100")
        assert result(answers)[0x27] == b"\x05" and answers[-1].hex() == "061e0105"

    play(simulated("partial"), scene)


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
