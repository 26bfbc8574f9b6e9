"""Safe mode on a charger that a board's /main.py has sent there: said on the screen and to the
back office, the ledger as it was.
"""

import json

import pytest

from hostsim.charger import Machine
from hostsim.world import World
from tests import worlds

_command = Machine.command


def in_safe_mode(machine: Machine) -> list[str]:
    return [*_command(machine), "safe starts"]


def test_safe_mode_says_so_sells_nothing_and_leaves_the_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(world: World) -> None:
        before = world.charger_records()
        monkeypatch.setattr(Machine, "command", in_safe_mode)
        await worlds.act(world, "power", on=False)
        await worlds.act(world, "power", on=True)

        def said() -> bool:
            statuses = [m for m in world.mqtt if m["topic"].endswith("/status")]
            newest = json.loads(statuses[-1]["payload"])
            return bool(newest.get("state") == "safe_mode" and newest["reason"] == "starts")

        await world.until(said, worlds.STEP_S, "the status")
        await world.until(
            lambda: "Starting failed three times" in worlds.screen(world),
            worlds.STEP_S,
            "the screen",
        )
        assert world.evse.screen["light"] == "blink-red"
        world.terminal.present_card("visa")
        await worlds.act(world, "plug")
        assert not world.evse.contactor
        assert not world.terminal.reader.awaiting
        assert world.charger_records() == before

    worlds.run(scenario, config={"languages": ["en"]})
