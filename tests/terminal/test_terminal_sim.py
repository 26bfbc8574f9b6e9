"""The simulated terminal over TCP, as a foreign ECR meets it: registration, holds and what
becomes of them.
"""

from __future__ import annotations

from tests.terminal.scenes import heads, of, play, result
from tests.terminal.test_terminal_sim_ecr import (
    TcpPeer,
    amount,
    bitmaps,
    number,
    simulated,
)


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
