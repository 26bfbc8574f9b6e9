"""Config "auto": the firmware finds the meter itself, keeps it, and finds another in its place."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from hostsim.setup import ROOT
from tests.meter.test_meter_cli import HOSTSIM, meter
from tests.worlds import act, agree, charging, energy, run, settled, until_state

pytestmark = pytest.mark.timeout(300)
AUTO = {"meter": {"model": "auto"}}


def kept(world):
    return json.loads((world.files / "meter.json").read_text())


@pytest.mark.parametrize("rom", [False, True], ids=["192k-ram", "96k-romfs"])
def test_the_meter_is_found_kept_and_found_anew_after_a_swap(rom):
    async def scenario(world):
        found = kept(world)  # a pty has no parity
        assert (found["line"][:5], found["unit"], found["model"]) == ("19200", 2, "IEM3155")
        before = world.meter.register_wh
        await charging(world)
        await energy(world, 100)
        await act(world, "unplug")
        last = await settled(world)
        assert last["priced"]["billed_wh"] == world.meter.register_wh - before >= 100
        await act(world, "remove_card")
        await act(world, "stop")
        await until_state(world, "free")
        await world.change_meter(model="PRO380", serial="7", start_wh=77_000, baud=9600)
        await world.until(lambda: kept(world).get("model") == "PRO380", 120, "the other meter")
        text = "PRO380 at 9600 8N1, unit 1 was found"
        await world.until(lambda: any(text in line for line in world.log), 60, "the words")
        world.view = {}  # what the charger said before it started anew
        await world.until_ready(60)
        assert (kept(world)["line"][:4], kept(world)["unit"]) == ("9600", 1)
        before = world.meter.register_wh
        await charging(world)
        await energy(world, 100)
        await act(world, "unplug")
        last = await settled(world)
        assert last["priced"]["billed_wh"] == world.meter.register_wh - before >= 100
        agree(world)

    kind = {"model": "IEM3155", "unit": 2, "baud": 19200}
    run(scenario, rom=rom, config=AUTO, meter=kind, wanted_wh=20000)


def test_what_is_not_certain_is_said_and_nothing_is_sold():
    async def scenario(world):
        await world.until(
            lambda: any("these fit: EM340, EM24" in line for line in world.log), 60, "the words"
        )
        await world.until(lambda: world.view.get("message") == "meter_lost", 60, "no sale")
        assert "model" not in (kept(world) if (world.files / "meter.json").exists() else {})

    run(scenario, ready=False, config=AUTO, meter={"model": "EM24"})


def probed(path: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*HOSTSIM, "probe", "--serial", str(path), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_technician_reads_what_is_there_and_how_good_the_line_is(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    with meter(path, "--model", "SDM630", "--start-wh", "1234567"):
        done = probed(path)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[0]) == (0, "A meter answers at 9600 8N1, unit 1.")
    assert lines[1] == "SDM630: 1234.567 kWh, 0 W, serial 21034567"
    # a meter whose process is kept waiting by others is a bad line indeed, and has to be said so
    figures = [int(n) for n in re.findall(r"\d+", lines[-2].split(";")[0])]
    answered, asked, *wrong = figures
    assert asked >= 50 and lines[-2].startswith(f"Line: {answered} of {asked} requests answered")
    assert lines[-2].endswith("good.") == (answered == asked and not any(wrong))
    settings = json.loads("{" + lines[-1].split(": ", 1)[1].split(", or ")[0] + "}")
    assert settings == {
        "meter": {"model": "SDM630", "unit": 1, "baud": 9600, "parity": "N", "stop_bits": 1}
    }


def test_a_bad_line_is_told_with_what_to_change(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    with meter(path, "--model", "IEM3155", "--fault", "echo") as process:
        echo = probed(path)
        assert process.poll() is None
    assert "the transceiver hears itself" in echo.stdout
    with meter(path, "--model", "IEM3155", "--fault", "drop=6", "--baud", "115200"):
        bad = probed(path)
    assert "check termination" in bad.stdout or "check A/B" in bad.stdout, bad.stdout


def test_a_line_that_is_not_there_is_refused() -> None:
    done = probed(Path("/nowhere/tty"))
    assert (done.returncode, "there is no such device" in done.stderr) == (2, True)
