"""Commands on the real charger as an attacker sees them: on the broker with a stolen identity,
with what was recorded there before.
"""

import aiomqtt
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hostsim.backoffice import signing
from hostsim.backoffice.models import Command
from hostsim.world import CHARGER_ID
from tests.sync.test_broker import context_of
from tests.worlds import act, agree, charging, results, run, settled, until_record, until_state

pytestmark = pytest.mark.timeout(300)
FAR_S = 7 * 24 * 3600


async def publish(world, message):
    context = context_of(world.pki, world.pki.back_office)
    at = world.broker
    async with aiomqtt.Client(at.host, at.office_port, tls_context=context) as client:
        await client.publish(f"forecourt/v1/{CHARGER_ID}/command", message, qos=1)


def recorded(world, identity):
    """A command as it went over the broker."""
    with Session(world.back_office.engine) as db:
        return db.scalars(select(Command.message).where(Command.id == identity)).one()


async def delivered(world):
    """All that is in flash is in the back office (the charger's view is a moment old)."""
    office = world.back_office
    await world.until(
        lambda: len(office.records(CHARGER_ID)) == len(world.charger_records()),
        60,
        "the back office to have everything",
    )


async def answered(world, identity, code):
    await world.until(
        lambda: any(r.get("id") == identity and r.get("code") == code for r in results(world)),
        60,
        f"{code} as the answer",
    )


def test_a_refused_command_is_used_up_also_after_a_power_cut():
    async def scenario(world):
        await charging(world)
        identity = world.back_office.send_command(CHARGER_ID, "restart", expires_in_s=FAR_S)
        await answered(world, identity, "refused")
        message = recorded(world, identity)
        await act(world, "power", on=False)
        await act(world, "unplug")
        await act(world, "power", on=True)
        await until_record(world, "captured")
        await until_state(world, "free")
        await world.until(lambda: world.view["sync"]["online"], 60, "the back office")
        starts = world.charger.starts
        await publish(world, message)
        await answered(world, identity, "replayed")
        await settled(world)
        assert world.charger.starts == starts, "a restart nobody asked for any more"
        kept = [r for r in world.charger_records() if r["kind"] == "command"]
        assert [(r["name"], r["result"]) for r in kept] == [("restart", "refused")]
        await delivered(world)
        agree(world)

    run(scenario, wanted_wh=20000)


def test_forged_and_foreign_commands_do_nothing_and_are_reported_to_the_operator():
    async def scenario(world):
        await charging(world)
        expires = world.clock.now_ms() + FAR_S * 1000
        stolen = world.pki.charger("FC-0002").command_key
        await publish(world, signing.sign(stolen, "forged", CHARGER_ID, 99, expires, "stop", {}))
        await answered(world, "forged", "forged")
        await publish(world, signing.sign(stolen, "foreign", "FC-0002", 99, expires, "stop", {}))
        await answered(world, "foreign", "foreign")
        own = world.back_office.command_key(CHARGER_ID).hex()
        late = signing.sign(own, "late", CHARGER_ID, 99, world.clock.now_ms() - FAR_S, "stop", {})
        await publish(world, late)
        await answered(world, "late", "expired")
        assert world.state == "charging"
        identity = world.back_office.send_command(CHARGER_ID, "stop", expires_in_s=FAR_S)
        await until_record(world, "power_off")
        await act(world, "unplug")
        await settled(world)
        await publish(world, recorded(world, identity))
        await world.until(lambda: len([r for r in results(world) if r.get("id") == identity]) > 1,
                          60, "the first answer again")  # fmt: skip
        security = [r for r in world.charger_records() if r["kind"] == "security"]
        codes = ["command_forged", "command_foreign", "command_expired"]
        assert [r["code"] for r in security] == codes, "each once a minute is enough"
        await delivered(world)
        problems = world.back_office.problems(CHARGER_ID)
        shown = " ".join(p["detail"] for p in problems if p["code"] == "security")
        assert [code for code in codes if code not in shown] == []
        agree(world)

    run(scenario, wanted_wh=20000)


def test_a_restart_by_command_is_said_once_and_is_no_security_event():
    """Its answer is lost with the power; the ledger's record is the answer."""

    async def scenario(world):
        await until_state(world, "free")
        starts = world.charger.starts
        identity = world.back_office.send_command(CHARGER_ID, "restart", expires_in_s=36000)
        await world.until(lambda: world.charger.starts > starts, 60, "the restart")
        await world.until(
            lambda: [c["state"] for c in world.back_office.commands() if c["id"] == identity]
            == ["ok"], 60, "the ledger's word",
        )  # fmt: skip
        await delivered(world)
        kinds = [r["kind"] for r in world.charger_records()]
        assert kinds.count("command") == 1 and "security" not in kinds
        assert not world.back_office.problems(CHARGER_ID)

    run(scenario)


def test_text_no_database_keeps_in_a_forged_command_does_not_stop_the_queue():
    async def scenario(world):
        await publish(world, b'{"id":"x","device":"\\ud800\\u0000\\u0007","counter":1,'
                      b'"expires_at":5,"name":"stop","args":"{}","mac":"00"}')  # fmt: skip
        await until_record(world, "security")
        await delivered(world)
        kept = [r for r in world.charger_records() if r["kind"] == "security"]
        assert [r["code"] for r in kept] == ["command_foreign"]
        assert "\ufffd" in kept[0]["detail"]
        there = world.back_office.records(CHARGER_ID)
        assert [r["type"] for r in there].count("security") == 1
        assert not [p for p in world.back_office.problems(CHARGER_ID) if p["code"] == "malformed"]

    run(scenario)
