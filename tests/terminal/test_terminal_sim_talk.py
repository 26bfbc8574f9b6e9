"""`zvt talk` against the simulated terminal, and `terminal` as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from hostsim.line import PtyLine, SerialPort, StreamPort
from hostsim.terminal.cli import app
from hostsim.terminal.commands import COMMANDS, Values
from hostsim.terminal.decode import decode
from hostsim.terminal.ecr import Ecr, TalkError
from hostsim.terminal.pt import TerminalSim
from tests.calm import calmly
from tests.terminal.test_terminal_sim_ecr import simulated

STEPS: list[tuple[str, dict[str, Any], str]] = [
    ("register", {"tlv": True}, "060F"),
    ("status", {}, "060F"),
    ("reserve", {"amount_minor": 2500}, "060F"),
    ("extend", {"amount_minor": 500, "trace": 1}, "060F"),
    ("pending", {}, "061E"),
    ("release", {"receipt": 1, "amount_minor": 700}, "060F"),
    ("reserve", {"amount_minor": 1000}, "060F"),
    ("book", {"receipt": 3, "amount_minor": 400}, "060F"),
    ("reserve", {"amount_minor": 1000}, "060F"),
    ("cancel", {"receipt": 5}, "060F"),
    ("pay", {"amount_minor": 900}, "060F"),
    ("reverse", {"receipt": 7}, "060F"),
    ("refund", {"amount_minor": 100}, "060F"),
    ("read-card", {"timeout_s": 2}, "040F"),
    ("end-of-day", {}, "060F"),
    ("diagnosis", {}, "060F"),
    ("initialise", {}, "060F"),
    ("abort", {}, "8000"),
    ("log-off", {}, "8000"),
]


async def talk_all(ecr: Ecr) -> None:
    """Every command `zvt talk` knows, in an order that makes sense."""
    for name, values, last in STEPS:
        told: dict[str, Any] = {}
        async for apdu in ecr.run(COMMANDS[name].make(Values(**values))):
            told = decode(apdu)
        assert told["command"] == last, name


def check(sim: TerminalSim) -> None:
    assert {name for name, _, _ in STEPS} == set(COMMANDS)
    summary = sim.books.summary()
    assert (summary["captured_minor"], summary["released_minor"]) == (2300 + 400 + 900, 2300)
    assert summary["refunded_minor"] == 1000


def test_every_command_over_tcp() -> None:
    sim = simulated()

    async def go() -> None:
        door = await sim.serve_tcp(port=0)
        port = StreamPort(*await asyncio.open_connection("127.0.0.1", door.port))
        async with Ecr(port, framed=False) as ecr:
            await talk_all(ecr)
        await door.close()

    calmly(go())
    check(sim)


def test_every_command_over_a_serial_line() -> None:
    sim = simulated()

    async def go() -> None:
        line = PtyLine(0)
        task = asyncio.create_task(sim.serve(line, True))
        async with Ecr(SerialPort(line.path), framed=True) as ecr:
            await talk_all(ecr)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        line.close()

    calmly(go())
    check(sim)


def test_a_terminal_that_is_off_is_said_to_be() -> None:
    sim = simulated()
    sim.set_fault("silence")

    async def go() -> None:
        door = await sim.serve_tcp(port=0)
        port = StreamPort(*await asyncio.open_connection("127.0.0.1", door.port))
        async with Ecr(port, framed=False, patience_s=0.1) as ecr:
            sim.set_fault("silence", False)
            sim.set_fault("lose-completion")
            with pytest.raises(TalkError, match="is the terminal on"):
                async for _ in ecr.run(COMMANDS["register"].make(Values())):
                    pass
        await door.close()

    calmly(go())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["talk", "status"], "give either --tcp HOST:PORT or --serial PATH"),
        (["talk", "stats", "--tcp", "1"], "no command 'stats'; there are register"),
        (["talk", "cancel", "--tcp", "1"], "cancel needs --receipt"),
        (["talk", "status", "--tcp", "1", "--config", "xy"], "--config takes a hexadecimal byte"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], words: str) -> None:
    told = CliRunner().invoke(app, ["zvt", *arguments], env={"COLUMNS": "200"})
    assert told.exit_code == 2 and words in told.output


def test_money_needs_a_yes() -> None:
    told = CliRunner().invoke(app, ["zvt", "talk", "end-of-day", "--tcp", "1"], input="n\n")
    assert told.exit_code == 1 and "This moves money" in told.output


def test_terminal_process_serves_and_ends_with_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from hostsim.terminal.cli import app; app()", "terminal"]
        + ["--tcp", "0", "--tap", "visa", "--bank-s", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if " on 127.0.0.1:" in line:
            break
    address = line.split(" on ")[1].split(". ")[0]
    talked = CliRunner().invoke(
        app, ["zvt", "talk", "pay", "--amount", "100", "--yes", "--tcp", address]
    )
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=20)[0]
    assert talked.exit_code == 0, talked.output
    assert process.returncode == 0
    assert "Books: authorised_minor 100, captured_minor 100" in told
