"""The doctor: by the back office's command on a running charger, on the charger's own screen, at
the technician's laptop.
"""

import asyncio
import json
import os
import subprocess
import tty
from pathlib import Path
from typing import Any

import pytest

from hostsim.charger import Machine
from hostsim.setup import BUILD, MICROPYTHON, ROOT
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
        broken = {"meter", "terminal", "pilot"}
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
        world.terminal.faults.set("acquirer-down", True)
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
            return "Self-test: FAULT" in seen[-1] and "terminal" in seen[-1]

        await world.until(shown, worlds.STEP_S, "the terminal's fault on the screen")
        assert any("Self-test: good" in text and "power" in text for text in seen)
        assert any("To do: check its supply" in " ".join(text.split()) for text in seen)
        assert "host was not reached: code 7D" in " ".join(seen[-1].split())
        await press(1)
        await world.until(
            lambda: "Self-test" not in worlds.screen(world), worlds.STEP_S, "the end of it"
        )

    worlds.run(scenario, config={"languages": ["en"]})


_command = Machine.command
_LOADED = {"meter line"}
"""A few requests only, at sixty times the speed: on a busy machine one of them is damaged."""


def as_doctor(machine: Machine) -> list[str]:
    """What `make doctor` starts on a board in place of the charger."""
    return [word.replace("import main", "import doctor") for word in _command(machine)]


async def examined(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The charger is switched off, the doctor runs on it until it has spoken, and is ended; the
    ledger is as it was.
    """
    assert world.charger
    await worlds.act(world, "power", on=False)
    before = world.charger_records()
    said: list[str] = []
    monkeypatch.setattr(Machine, "command", as_doctor)
    monkeypatch.setattr(world.charger, "_log", said.append)
    await worlds.act(world, "power", on=True)
    await world.until(
        lambda: any(line.startswith("[{") for line in said), worlds.STEP_S, "the findings"
    )
    await worlds.act(world, "power", on=False)
    assert world.charger_records() == before != []
    findings = json.loads(next(line for line in said if line.startswith("[{")))
    return {finding["name"]: finding for finding in findings}


def test_doctor_at_the_laptop_asks_the_terminals_host_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(world: World) -> None:
        await world.until(
            lambda: world.view.get("terminal") == "ready", worlds.STEP_S, "the terminal"
        )
        checks = await examined(world, monkeypatch)
        assert bad(checks) <= _LOADED, [c for c in checks.values() if not c["ok"]]
        assert checks["terminal"]["reason"].endswith("its host answers")
        assert checks["rfid"]["reason"] == "no reader configured"
        assert "set by the terminal" in checks["clock"]["reason"], "it tells it with the diagnosis"

    worlds.run(scenario, ready=False, config={"time_server": {"host": ""}})


def test_rfid_reader_that_does_not_answer_is_red_though_the_terminal_reads_cards() -> None:
    async def scenario(world: World) -> None:
        checks = await asked(world)
        assert checks["rfid"]["ok"] and "list 0" in checks["rfid"]["reason"], checks["rfid"]
        assert world.reader
        await worlds.act(world, "reader", on=False)
        for _ in range(30):
            checks = await asked(world)
            if not checks["rfid"]["ok"]:
                break
            await asyncio.sleep(1)
        assert {"rfid"} <= bad(checks) <= {"rfid"} | _LOADED
        assert "HSU" in checks["rfid"]["todo"]

    worlds.run(scenario, rfid=True)


def test_doctor_at_the_laptop_searches_for_the_meter_and_starts_no_watchdog(
    tmp_path: Path,
) -> None:
    """The hardware's starts with the first feed and bites 8.3 s after the last one."""
    config = {
        "charger": CHARGER_ID,
        "salt": "0123456789abcdef",
        "mqtt": {"host": "127.0.0.1", "port": 1},
        "meter": {"model": "auto"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    lines = [os.openpty() for _ in range(2)]
    try:
        for near, _ in lines:
            tty.setraw(near)
        done = subprocess.run(
            [str(MICROPYTHON), "-X", "heapsize=4m",
             str(ROOT / "tests" / "technician" / "doctor_mpy.py"), str(tmp_path),
             *(os.ttyname(far) for _, far in lines)],
            env={"MICROPYPATH": f"{ROOT}:{BUILD / 'lib'}:.frozen"},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    finally:
        for pair in lines:
            for end in pair:
                os.close(end)
    *_, findings, said = done.stdout.splitlines()
    assert bad({f["name"]: f for f in json.loads(findings)}) >= {"meter", "terminal"}
    assert json.loads(said) == {"fed": 0, "shown": ["Looking for the meter ..."]}
