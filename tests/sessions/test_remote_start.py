"""Sessions that a signed command starts, on all real parts: amount authorised elsewhere, no card,
no terminal. Each ends with the books.
"""

import asyncio
import json
import zlib

import pytest
from typer.testing import CliRunner

from hostsim.__main__ import app
from hostsim.backoffice import signing
from hostsim.backoffice.invoices import find as invoices
from hostsim.backoffice.invoices.sheet import sheet
from hostsim.world import CHARGER_ID, DEFAULT_TARIFF
from tests.sessions.test_commands_hostile import answered, publish, recorded
from tests.worlds import (
    act,
    agree,
    energy,
    results,
    run,
    settled,
    until_record,
    until_state,
)

pytestmark = pytest.mark.timeout(300)
AMOUNT = 2500


def start(world, session="A7", **changes):
    args = {"session": session, "method": "gateway", "amount_minor": AMOUNT, "connector": 1,
            "reference": "pi_3Nk", **changes}  # fmt: skip
    return world.back_office.send_command(CHARGER_ID, "start", expires_in_s=9999, **args)


async def answer(world, identity):
    await world.until(
        lambda: any(r.get("id") == identity for r in results(world)), 60, "the charger's answer"
    )
    return next(r for r in results(world) if r.get("id") == identity)


async def at_real_speed(world):
    """For the technician's commands: one expires by the charger's clock, minutes after the back
    office heard of the charger last, which are seconds at 60 times real time.
    """
    await act(world, "speed", n=1)
    await answer(world, world.back_office.send_command(CHARGER_ID, "report", expires_in_s=9999))


async def delivered(world):
    office = world.back_office
    await world.until(
        lambda: len(office.records(CHARGER_ID)) == len(world.charger_records()),
        60,
        "the back office to have everything",
    )


@pytest.mark.parametrize("rom", [False, True], ids=["192k-ram", "96k-romfs"])
def test_a_session_from_start_to_refund_with_the_terminal_away_and_a_power_cut(rom):
    async def scenario(world):
        await act(world, "terminal", on=False)
        await act(world, "plug")
        identity = start(world)
        said = await answer(world, identity)
        # the command may come before the charger has looked at the plug
        assert said["ok"] and said["data"].pop("state") in ("wait_plug", "starting")
        assert said["data"] == {"session": "A7", "sess": 1}
        await until_state(world, "charging")
        await energy(world, 100)
        message = recorded(world, identity)
        await act(world, "power", on=False)
        await asyncio.sleep(0.3)
        await act(world, "power", on=True)
        await until_record(world, "captured")
        last = await settled(world)
        await act(world, "unplug")
        total = last["priced"]["total_minor"]
        assert last["priced"]["reason"] == "power_cut" and last["priced"]["billed_wh"] >= 100
        assert (last["captured"]["how"], last["captured"]["receipt"]) == ("gateway", 0)
        assert last["captured"]["released_minor"] == AMOUNT - total
        # the same command once more, as an attacker or a broker may send it
        await publish(world, message)
        await answered(world, identity, "replayed")
        # and a new one for the same session: what became of it, and nothing starts
        again = await answer(world, start(world))
        assert again["ok"] and again["data"]["sess"] == 1
        assert again["data"]["state"] in ("receipt", "ended")
        kinds = [r["kind"] for r in world.charger_records()]
        assert kinds.count("hold_asked") == 1 == kinds.count("captured")
        # its refund is the gateway's
        refunds = world.back_office.refunds
        refund = refunds.request(CHARGER_ID, receipt=1, amount_minor=0, reason="goodwill",
                                 operator="anna")  # fmt: skip
        refunds.approve(refund, operator="bert")
        await world.until(lambda: refunds.follow(refund)["state"] == "sent", 60, "the hand-over")
        assert refunds.follow(refund)["way"] == "gateway"
        refunds.confirm(refund, accepted=True, operator="bert", reference="re_1")
        refunds._send_confirmation(refund)  # as two workers, or one after a lost answer
        await world.until(lambda: refunds.follow(refund)["state"] == "done", 60, "its end")
        await delivered(world)
        assert [r["kind"] for r in world.charger_records()].count("refunded") == 1
        books = agree(world)
        assert books["terminal"]["payments"] == 0 == books["terminal"]["elsewhere"]["payments"]
        for book in ("charger", "backoffice"):
            assert books[book]["elsewhere"] == {
                "authorised_minor": AMOUNT, "captured_minor": total,
                "released_minor": AMOUNT - total, "refunded_minor": total, "payments": 1,
            }  # fmt: skip
        kept = world.back_office.sessions(CHARGER_ID)[0]
        assert (kept["remote"], kept["method"], kept["reference"]) == ("A7", "gateway", "pi_3Nk")
        assert (kept["how"], kept["captured_minor"]) == ("gateway", total)
        documents = invoices.by_session(world.back_office.engine, kept["id"])
        assert [d["total_minor"] for d in documents] == [total, -total]
        for found in documents:
            assert sheet(found["document"], "en").payment == (("Payment", "online"),)

    run(scenario, wanted_wh=20000, rom=rom)


def test_stop_by_id_and_what_is_forged_expired_or_not_its_turn_does_nothing():
    async def scenario(world):
        own = world.back_office.command_key(CHARGER_ID).hex()
        stolen = world.pki.charger("FC-0002").command_key
        now = world.clock.now_ms()
        args = {"session": "F1", "method": "app", "amount_minor": 900, "connector": 1,
                "reference": "x"}  # fmt: skip
        forged = signing.sign(stolen, "forged", CHARGER_ID, 90, now + 10**9, "start", args)
        await publish(world, forged)
        await answered(world, "forged", "forged")
        late = signing.sign(own, "late", CHARGER_ID, 91, now - 1, "start", args)
        await publish(world, late)
        await answered(world, "late", "expired")
        raised = json.loads(signing.sign(own, "m", CHARGER_ID, 92, now + 10**9, "start", args))
        raised["args"] = raised["args"].replace("900", "99900")
        await publish(world, json.dumps(raised))
        await answered(world, "m", "forged")
        assert world.state == "free" and "hold_asked" not in world.records
        dearer = await answer(world, start(world, "A0", method="app", tariff_crc=77))
        assert not dearer["ok"] and dearer["field"] == "tariff_crc" and world.state == "free"
        crc = zlib.crc32(DEFAULT_TARIFF.read_bytes())
        said = await answer(world, start(world, "A1", method="app", tariff_crc=crc))
        assert said["data"]["state"] == "wait_plug"
        await act(world, "plug")
        await until_state(world, "charging")
        await energy(world, 100)
        other = await answer(world, start(world, "A2"))
        assert not other["ok"] and (other["field"], other["given"]) == ("state", "charging")
        office = world.back_office
        wrong = office.send_command(CHARGER_ID, "stop", expires_in_s=9999, session="A2")
        assert (await answer(world, wrong))["field"] == "session"
        assert world.state == "charging"
        right = office.send_command(CHARGER_ID, "stop", expires_in_s=9999, session="A1")
        assert (await answer(world, right))["ok"]
        await until_state(world, "finished", "settling", "receipt")
        await act(world, "unplug")
        await until_record(world, "captured")
        last = await settled(world)
        assert (last["priced"]["reason"], last["captured"]["how"]) == ("remote", "app")
        await delivered(world)
        assert agree(world)["charger"]["elsewhere"]["payments"] == 1

    run(scenario, wanted_wh=20000)


def test_the_amount_is_the_limit_and_a_technician_starts_from_the_command_line():
    async def scenario(world):
        await act(world, "plug")
        await until_state(world, "plugged")
        await at_real_speed(world)
        where = ["--dir", str(world.options.directory)]
        words = ["command", "start", *where, "--amount", "100"]
        done = await asyncio.to_thread(
            CliRunner().invoke, app, [*words, "--method", "account", "--session", "S1"]
        )
        assert done.exit_code == 0, done.output
        assert "state starting" in done.output
        await until_state(world, "charging")
        words[-1] = "150"
        more = ["command", "extend", *where, "--session", "S1", "--amount", "150"]
        done = await asyncio.to_thread(CliRunner().invoke, app, more)
        assert done.exit_code == 0, done.output
        await act(world, "speed", n=60)
        await until_record(world, "power_off", timeout_s=90)
        await act(world, "unplug")
        await until_record(world, "captured")
        last = await settled(world)
        assert last["power_off"]["reason"] == "hold_reached"
        assert 100 < last["captured"]["captured_minor"] <= 150
        assert last["extend_done"]["amount_minor"] == 150
        assert sum(last["captured"][name] for name in ("captured_minor", "released_minor")) == 150
        assert last["captured"]["how"] == "account"
        await at_real_speed(world)
        refused = await asyncio.to_thread(
            CliRunner().invoke, app, [*words, "--session", "S9", "--connector", "2", "--json"]
        )
        assert refused.exit_code == 1
        assert json.loads(refused.output)["field"] == "connector"
        await act(world, "speed", n=60)
        refunds = world.back_office.refunds
        refund = refunds.request(CHARGER_ID, receipt=1, amount_minor=5, reason="goodwill",
                                 operator="anna")  # fmt: skip
        refunds.approve(refund, operator="bert")
        await world.until(lambda: refunds.follow(refund)["state"] == "done", 60, "the credit")
        assert refunds.follow(refund)["way"] == "account"
        await delivered(world)
        agree(world)

    run(scenario, wanted_wh=20000)
