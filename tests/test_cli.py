"""The command line as a user has it: what it prints, how it ends, what it leaves behind."""

import asyncio
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hostsim import broker, commission
from hostsim import demo as demo_module
from hostsim.__main__ import app
from hostsim.broker import Broker, BrokerError
from hostsim.charger import ChargerError, Machine
from hostsim.pki import Pki
from hostsim.world import Options, World, WorldError
from tests.command import here, own_process
from tests.mpy import ROOT
from tests.worlds import started

pytestmark = pytest.mark.timeout(240)
COMMANDS = {"run", "demo", "reconcile", "bench", "price", "terminal", "meter", "backoffice"}
COMMANDS |= {"invoices", "people", "database", "fleet", "fleet-pages", "command", "members"}
COMMANDS |= {"gateway", "ocmf"}
COMMANDS |= {"starve", "doctor", "powercut", "soak", "fuzz", "zvt", "meters", "probe", "refund"}
KEYS = set(
    "authorised_minor captured_minor released_minor priced_minor currency billed_wh meter_wh"
    " books_agree records_sent records_acked heap_bytes peak_heap_bytes pointer_bits micropython"
    " tap_to_power_ms max_loop_stall_ms stop_reason".split()
)


def demo(*args: object, by: Callable[..., Any] = here) -> dict[str, Any]:
    done = by("demo", "--json", *args)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["books_agree"] is True
    assert found["captured_minor"] == found["priced_minor"]
    assert found["captured_minor"] + found["released_minor"] == found["authorised_minor"]
    assert found["records_sent"] >= found["records_acked"] > 0
    return found


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


# --- help ----------------------------------------------------------------------------------------


def test_help_lists_every_command_and_each_has_its_own():
    text = own_process("--help").stdout
    assert {name for name in COMMANDS if re.search(rf"\b{name}\b", text)} == COMMANDS
    for name in sorted(COMMANDS):
        done = CliRunner().invoke(app, [name, "--help"])
        assert done.exit_code == 0 and re.search(rf"Usage: .*{name} ", done.output), name


# --- demo ----------------------------------------------------------------------------------------


def test_demo_prints_one_object_with_every_figure():
    found = demo("--kwh", 0.5, by=own_process)
    assert KEYS <= set(found)
    assert found["authorised_minor"] == 6000 and found["currency"] == "EUR"
    assert found["billed_wh"] == found["meter_wh"] >= 500
    assert found["heap_bytes"] <= Machine.choose().heap_kb * 1024
    assert 0 < found["peak_heap_bytes"] <= found["heap_bytes"]
    assert found["micropython"] >= "1.25"
    assert found["pointer_bits"] == Machine.choose().bits
    assert found["tap_to_power_ms"] > 0 and found["max_loop_stall_ms"] >= 0
    assert found["stop_reason"] == "vehicle"


@pytest.mark.parametrize("refund", [0, 3], ids=["all by reversal", "a part by the acquirer"])
def test_demo_gives_money_back_and_the_books_agree(refund):
    found = demo("--kwh", 0.5, "--refund", refund)
    assert found["books_agree"] and found["refunded_minor"] == (refund or found["captured_minor"])


def test_demo_shows_receipt_and_books_to_a_person():
    done = own_process("demo", "--kwh", 0.2)
    assert done.returncode == 0, done.stderr
    assert "Ladeweg 1" in done.stdout and "VAT id" in done.stdout
    assert "Total" in done.stdout and "they agree to the cent" in done.stdout
    assert "\x1b" not in done.stdout


def test_one_seed_is_one_time_of_day_and_one_price():
    first, again = demo_module.start_ms(7), demo_module.start_ms(7)
    assert first % 86_400_000 == again % 86_400_000 != demo_module.start_ms(8) % 86_400_000
    assert demo_module.start_ms(7, "18:30") % 86_400_000 == (18 * 60 + 30) * 60_000
    for wrong in ("24:00", "7:30", "noon"):
        done = here("demo", "--time", wrong)
        assert done.returncode == 2 and "HH:MM" in done.stderr and not done.stdout


def test_demo_from_rom_has_the_small_heap():
    found = demo("--rom", "--kwh", 0.2)
    assert found["heap_bytes"] <= Machine.choose(True).heap_kb * 1024


def test_demo_stops_before_the_hold_is_passed():
    found = demo("--hold", 300, "--kwh", 20)
    assert found["stop_reason"] == "hold_reached"
    assert 200 <= found["priced_minor"] <= 300 == found["authorised_minor"]


@pytest.mark.parametrize(
    ("card", "reason"), [("declined", "try_another_card"), ("unreadable", "card_unreadable")]
)
def test_demo_with_a_card_that_is_no_good(card, reason):
    found = demo("--card", card)
    assert (found["authorised_minor"], found["stop_reason"]) == (0, reason)


def element(kind: str, price: object, **more: object) -> dict[str, Any]:
    restrictions = more.pop("restrictions", None)
    component = {"type": kind, "price": price, "step_size": 1, **more}
    return {"price_components": [component]} | (
        {"restrictions": restrictions} if restrictions else {}
    )


@pytest.mark.parametrize(
    ("tariff", "low", "high"),
    [
        # 0.5 kWh at 11 kW are some three minutes
        ({"currency": "EUR", "elements": [element("TIME", "12", vat="10")]}, 30, 200),
        ({"currency": "CAD", "elements": [element("ENERGY", 1)], "tax_included": "NO"}, 50, 51),
        (
            {
                "id": "R",
                "currency": "CHF",
                "elements": [
                    element("FLAT", 1, vat=20),
                    element("ENERGY", 2, vat=8.1, restrictions={"max_kwh": 0.1}),
                    element("ENERGY", 1, vat=8.1),
                    element("PARKING_TIME", 60, restrictions={"start_time": "00:00"}),
                ],
            },
            180,
            2000,
        ),
        ({"currency": "EUR", "elements": [element("FLAT", "0")]}, 0, 0),
    ],
    ids=["time, no id, strings", "CAD without tax", "CHF with restrictions", "free"],
)
def test_demo_sells_by_foreign_tariffs(tariff, low, high, tmp_path):
    path = tmp_path / "tariff.json"
    path.write_text(json.dumps(tariff))
    found = demo("--tariff", path, "--kwh", 0.5, "--seed", 7)
    assert found["currency"] == tariff["currency"]
    assert low <= found["priced_minor"] <= high


GOOD = {"id": "T", "currency": "EUR", "elements": [element("ENERGY", 0.5)]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "json:"),
        (json.dumps({**GOOD, "colour": 1}), "colour"),
        (
            json.dumps({**GOOD, "elements": [element("ENERGY", -1)]}),
            "elements[0].price_components[0].price",
        ),
        (json.dumps({**GOOD, "end_date_time": "2020-01-01T00:00:00Z"}), "end_date_time"),
        (json.dumps({**GOOD, "start_date_time": "2090-01-01T00:00:00Z"}), "start_date_time"),
    ],
    ids=["no JSON", "unknown field", "negative price", "past", "future"],
)
@pytest.mark.parametrize("command", ["demo", "run"])
def test_a_bad_tariff_ends_at_once_with_the_field(command, text, says, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    for by in (here, own_process) if says == "json:" else (here,):
        done = by(command, "--tariff", path)
        assert done.returncode == 2
        assert says in one_line(done.stderr) and done.stdout == ""
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["demo", "--card", "nobody"], "visa"),
        (["demo", "--tariff", "/nowhere.json"], "/nowhere.json"),
        (["demo", "--speed", "0"], "speed"),
        (["demo", "--speed", "61"], "speed"),
        (["demo", "--kwh", "-1"], "kwh"),
        (["demo", "--hold", "0"], "hold"),
        (["run", "--port", "70000"], "port"),
        (["reconcile", "/nowhere"], "/nowhere"),
        (["fly"], "fly"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_allowed(args, says):
    for by in (here, own_process) if args[0] in ("fly", "reconcile") else (here,):
        done = by(*args)
        assert done.returncode == 2
        assert says in done.stderr and "Traceback" not in done.stderr


# --- run -----------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def left_behind(directory: Path) -> list[str]:
    """Processes that know of this directory: mosquitto by its command, the charger by its cwd."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if str(directory) in command or where.startswith(str(directory)):
            found.append(f"{process.name} {command}")
    return found


class Running:
    """`hostsim run` in a process of its own, up."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hostsim", "run", "--port", str(self.port)]
            + ["--dir", str(directory), "--speed", "60"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.text = ""
        assert self.process.stderr
        for line in self.process.stderr:
            self.text += line
            if "Ctrl-C" in line:
                return
        raise AssertionError(self.text)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    def act(self, name: str, **args: object) -> None:
        data = json.dumps({"act": name, "args": args}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/act", data)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["ok"]

    def until(self, what: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + 60
        while not what(found := json.loads(self.get("/api/snapshot"))):
            assert time.monotonic() < end, found
            time.sleep(0.1)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stderr
        self.process.stderr.close()
        return code


    def charging(self) -> None:
        """Somebody pays and charges."""
        self.until(lambda seen: seen["session"] is None and seen["screen"]["light"] == "green")
        self.act("plug")
        self.act("tap", card="visa")
        self.until(lambda seen: (seen["session"] or {}).get("state") == "charging")


@pytest.mark.timeout(400)
def test_run_leaves_no_process_behind_however_it_ends_and_goes_on_with_its_books(tmp_path):
    running = Running(tmp_path)
    try:
        assert f"http://127.0.0.1:{running.port}/" in running.text
        assert len(left_behind(tmp_path)) >= 3
        assert "FC-0001" in running.get("/") and "Log in" in running.get("/backoffice/")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            running.charging()
            code = running.end(number)
            assert code == (0 if number != signal.SIGKILL else -signal.SIGKILL)
            end = time.monotonic() + 30
            while left_behind(tmp_path) and time.monotonic() < end:
                time.sleep(0.05)
            assert left_behind(tmp_path) == []
            running = Running(tmp_path)
            running.until(lambda seen: seen["books"].get("terminal", {}).get("open") == [])
            running.until(lambda seen: seen["books"]["agree"] is True)
    finally:
        running.end(signal.SIGINT)
    done = own_process("reconcile", tmp_path, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["agree"], found
    assert found["charger"]["payments"] == 3 and found["terminal"]["open"] == []


def test_run_says_what_is_in_use(tmp_path):
    running = Running(tmp_path / "one")
    try:
        done = own_process("run", "--port", running.port, "--dir", tmp_path / "two")
        assert done.returncode == 1
        assert f"Port {running.port}" in done.stderr and "--port" in done.stderr
        done = own_process("run", "--port", 0, "--dir", tmp_path / "one")
        assert done.returncode == 1 and "another run" in one_line(done.stderr)
        running.get("/")
    finally:
        running.end(signal.SIGINT)


# --- what is missing or broken -------------------------------------------------------------------


def test_a_firmware_that_is_not_built_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(commission, "BUILD", tmp_path)
    with pytest.raises(ChargerError, match="make build"):
        asyncio.run(World(Options(tmp_path)).start())


def test_a_missing_broker_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(broker, "MOSQUITTO", tmp_path / "none")
    monkeypatch.setattr(broker.shutil, "which", lambda *_, **__: None)
    with pytest.raises(BrokerError, match="make setup"):
        Broker(tmp_path, Pki(tmp_path / "pki")).start()


def test_a_charger_that_resets_in_a_loop_ends_the_wait_with_its_last_words(monkeypatch):
    choose = Machine.choose
    monkeypatch.setattr(
        Machine,
        "choose",
        classmethod(lambda cls, *a: dataclasses.replace(choose(*a), heap_kb=48)),
    )

    async def scenario():
        async with started():
            raise AssertionError("it cannot start")

    began = time.monotonic()
    with pytest.raises(WorldError, match=r"(?s)resets in a loop.*MemoryError"):
        asyncio.run(scenario())
    assert time.monotonic() - began < 50


def test_a_config_the_firmware_refuses_ends_the_wait_at_once():
    async def scenario():
        async with started(config={"languages": "en"}):
            raise AssertionError("it cannot start")

    began = time.monotonic()
    with pytest.raises(WorldError, match="sells nothing: config: languages"):
        asyncio.run(scenario())
    assert time.monotonic() - began < 50
