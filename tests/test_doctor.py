"""The doctor on a running charger: by the back office's command, on the charger's own screen."""

import asyncio
from typing import Any

from hostsim.world import CHARGER_ID, World
from tests import worlds


async def asked(world: World) -> dict[str, dict[str, Any]]:
    """The findings by name, as the back office gets them."""
    assert world.back_office
    identity = world.back_office.send_command(CHARGER_ID, "doctor")

    def answer() -> dict[str, Any]:
        assert world.back_office
        found = [c for c in world.back_office.commands(CHARGER_ID) if c["id"] == identity]
        result = (found[0]["result"] or {}) if found else {}
        whole = "data" in result and result.get("code") != "part"
        return dict(found[0]) if whole else {}

    await world.until(lambda: bool(answer()), worlds.STEP_S, "the doctor's result")
    assert answer()["state"] == "ok", answer()
    checks = answer()["result"]["data"]["checks"]
    for check in checks:
        assert set(check) == {"name", "ok", "reason", "todo"}
        assert check["ok"] is (check["todo"] == ""), check
        assert check["reason"], check
    return {check["name"]: check for check in checks}


def bad(checks: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, check in checks.items() if not check["ok"]}


def test_doctor_finds_a_whole_charger_good_and_a_broken_one_by_part() -> None:
    async def scenario(world: World) -> None:
        checks = await asked(world)
        assert bad(checks) == set(), [c for c in checks.values() if not c["ok"]]
        assert list(checks) == [
            "power", "clock", "ledger", "meter", "meter line", "terminal", "end of day", "rfid",
            "contactor", "pilot", "network", "broker", "certificates", "config",
        ]  # fmt: skip
        assert "21034567" in checks["meter"]["reason"]
        assert "charger.crt" in checks["certificates"]["reason"]
        await worlds.act(world, "meter", on=False)
        await worlds.act(world, "terminal", on=False)
        await worlds.act(world, "emergency", on=True)
        world.evse.set_fault("contactor_welded", True)
        await worlds.until_state(world, "out_of_service")
        await world.until(
            lambda: (
                world.view["meter"] != "ok"
                and world.view["terminal"] not in ("ready", "busy")
            ),
            worlds.STEP_S,
            "meter and terminal to be missed",
        )
        checks = await asked(world)
        broken = {"meter", "terminal", "rfid", "pilot"}
        # the line as well, once one request in a hundred was lost
        assert broken <= bad(checks) <= {*broken, "meter line"}, list(checks.values())

    worlds.run(scenario)


def test_doctor_is_refused_while_a_session_is_open() -> None:
    async def scenario(world: World) -> None:
        await worlds.waiting_for_plug(world)
        assert world.back_office
        identity = world.back_office.send_command(CHARGER_ID, "doctor")
        await world.until(
            lambda: any(r.get("id") == identity for r in worlds.results(world)),
            worlds.STEP_S,
            "the refusal",
        )
        answer = next(r for r in worlds.results(world) if r.get("id") == identity)
        assert not answer["ok"]
        assert "session is open" in answer["reason"]

    worlds.run(scenario)


def test_five_presses_of_stop_show_the_findings_and_one_more_ends_them() -> None:
    async def scenario(world: World) -> None:
        await worlds.act(world, "meter", on=False)
        await world.until(
            lambda: world.view["meter"] == "silent", worlds.STEP_S, "the meter to be missed"
        )
        seen: list[str] = []

        async def press(times: int) -> None:
            for _ in range(times):
                await worlds.act(world, "stop")
                await asyncio.sleep(0.1)

        await press(4)
        await asyncio.sleep(6)
        assert "Self-test" not in worlds.screen(world)
        await press(5)

        def shown() -> bool:
            seen.append(worlds.screen(world))
            return "Self-test: FAULT" in seen[-1] and "meter" in seen[-1]

        await world.until(shown, worlds.STEP_S, "the meter's fault on the screen")
        assert any("Self-test: good" in text and "power" in text for text in seen)
        assert "To do: check its supply" in " ".join(seen[-1].split())
        await press(1)
        await world.until(
            lambda: "Self-test" not in worlds.screen(world), worlds.STEP_S, "the end of it"
        )

    worlds.run(scenario, config={"languages": ["en"]})
