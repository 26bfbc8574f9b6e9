"""A sample of the fuzz, on both interpreters; what it once found; and that it finds something."""

import json
import subprocess
import sys

import pytest

from firmware.config import parse
from firmware.errors import ConfigError
from hostsim.fuzz import run
from hostsim.setup import ROOT
from tests import mpy
from tests.command import here, own_process

PARSERS = ("modbus", "zvt", "mqtt", "sntp", "orders", "record", "config", "tariff", "zone",
           "members", "desk")  # fmt: skip


def test_every_parser_of_the_requirement_is_there():
    assert run.parsers() == PARSERS


@pytest.mark.timeout(120)
def test_a_sample_brings_out_nothing_but_declared_errors():
    done = own_process("fuzz", "--inputs", "1500", "--seed", "7", "--json", timeout_s=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert {(one["parser"], one["on"]) for one in found["parsers"]} == {
        (parser, on)
        for parser in PARSERS
        for on in ("cpython", "micropython")
        if (parser, on) != ("desk", "micropython")
    }
    for one in found["parsers"]:
        assert one["accepted"] and one["refused"], one
        if one["on"] == "cpython":
            share = {"orders": 10, "desk": 100}.get(one["parser"], 1)
            assert one["inputs"] == 1500 // share and one["lines"] * 5 > one["of_lines"] * 2, one


def test_an_unknown_parser_is_refused_with_those_there_are():
    done = here("fuzz", "--parser", "xml")
    assert done.returncode == 2 and all(name in done.stderr for name in PARSERS)


def planted(parser, inputs, fault):
    """The failures of a campaign on source in which `fault` (lines of Python) was planted."""
    script = f"""
import sys
sys.path.insert(0, "hostsim/fuzz")
import shims_mpy
{fault}
sys.argv = ["work_mpy.py", "{parser}", "{inputs}", "1"]
exec(open("hostsim/fuzz/work_mpy.py").read())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=run.environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)["failures"]


BROKEN = """
def decode(seq, view, plain=True):
    if len(view) > 5 and view[3] == 0x80:
        raise IndexError("planted")
    return real(seq, view, plain)
from firmware.ledger import codec
real = codec.decode
codec.decode = decode
"""


def test_a_planted_fault_is_found_and_its_input_kept():
    failures = planted("record", 4000, BROKEN)
    assert {f["error"] for f in failures} == {"IndexError: planted"}
    assert any(bytes.fromhex(f["input"])[4] == 0x80 for f in failures)


BEHIND = {
    "a command whose time is over at this very moment": ("mqtt", """
from firmware.sync import commands
def verify(message, device, key, last, now):
    try:
        return real(message, device, key, last, now)
    except Exception as e:
        if e.field == "expires_at" and message.get("expires_at") == now:
            raise IndexError("planted")
        raise
real = commands.verify
commands.verify = verify
"""),
    "an order for the very session that has power": (
        "orders",
        """
from firmware.orders import start
async def find(app, remote):
    number = await real(app, remote)
    if number and app.machine.state == "charging":
        raise IndexError("planted")
    return number
real = start.find
start.find = find
""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BEHIND)
def test_a_fault_behind_signature_counter_and_time_is_found(what):
    parser, fault = BEHIND[what]
    assert {f["error"] for f in planted(parser, 1500, fault)} == {"IndexError: planted"}


WRONG = {
    "a card number is not masked": ("zvt", 400, "a card number came out", """
from firmware.terminal import masking
masking.hidden = lambda position, digits: False
"""),
    "numbers whose digits are apart are let through": ("zvt", 400, "a card number came out", """
from firmware.terminal import masking
masking._luhn = lambda raw, places: False
"""),
    "numbers of more than 64 bits are read": ("record", 1500, "read, and cannot be written", """
from firmware.ledger import codec
def get_u(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
codec.get_u = codec._GET[""] = codec._GET["u"] = get_u
"""),
    "a command's counter may be any": ("mqtt", 400, "a replayed command was taken", """
from firmware.sync import commands
verify = commands.verify
commands.verify = lambda message, device, key, last, now: verify(message, device, key, -1, now)
"""),
    "the last command's counter is forgotten": ("mqtt", 400, "a replayed command was taken", """
from firmware.sync.sync import Sync
Sync._used = lambda self, command: None
"""),
    "a command's mac may be any": ("mqtt", 1500, "a forged command was taken", """
from firmware.sync import commands
commands.check_mac = lambda mac, key, data: None
"""),
    "a meter's check sum may be any": ("modbus", 400, "a damaged answer was taken", """
from firmware.errors import ModbusCrcError
from firmware.meter import bus
def check_reply(*what):
    try:
        real(*what)
    except ModbusCrcError:
        pass
real = bus.check_reply
bus.check_reply = check_reply
"""),
    "any unit's answer is taken": ("modbus", 1500, "an answer to something else", """
from firmware.errors import ModbusReplyError
from firmware.meter import bus
def check_reply(*what):
    try:
        real(*what)
    except ModbusReplyError:
        pass
real = bus.check_reply
bus.check_reply = check_reply
"""),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_that_raises_nothing_is_seen(what):
    parser, inputs, word, fault = WRONG[what]
    failures = planted(parser, inputs, fault)
    assert failures and all(word in f["error"] for f in failures), failures


@pytest.mark.parametrize("on", ["cpython", "micropython"])
def test_a_replay_shows_what_came_of_the_input(tmp_path, on):
    path = tmp_path / "deep.hex"
    path.write_text((b'{"charger":' + b"[" * 400 + b"]" * 400 + b"}").hex())
    done = here("fuzz", "--parser", "config", "--on", on, "--replay", str(path))
    assert done.returncode == 1
    assert "refused, as declared" in done.stdout and "ConfigError" in done.stdout


@pytest.mark.parametrize("head", ["0e 33", "ff 0e 00 33", "33 00"])
def test_length_and_attribute_of_a_printed_line_are_no_figures_of_its_text(head):
    """A test number without its first figure, which is the value of one of these."""
    script = f"""
import sys
sys.path.insert(0, "hostsim/fuzz")
import shims_mpy
from devices_mpy import Zvt
apdu = bytearray.fromhex("06 d1 {head}") + b"0569309025904"
Zvt().run(b"\\0" + apdu + b" " * (37 if apdu[2] == 0x33 else 0))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=run.environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


# --- what it found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b'{"a":"\xff"}', b"[1]", b"5", b"", b'{"charger":' + b"[" * 9000]
)
def test_a_config_that_is_no_text_is_refused(text):
    with pytest.raises(ConfigError):
        parse(text)


@pytest.mark.parametrize("which", ["micropython", "micropython32"])
def test_names_that_are_numbers_are_refused_where_the_reader_takes_them(which):
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    script = """
from firmware.config import parse
from firmware.errors import ConfigError
for text in ('{"meter":{"baud":1:2:3}}', '{1:2}', b'{"meter":{3:1}}', b"\\xff"):
    try:
        parse(text)
    except ConfigError as e:
        print(e.field)
"""
    done = mpy.run_mpy(which, script)
    assert done.stdout.split() == ["config"] * 4, done.stdout + done.stderr
