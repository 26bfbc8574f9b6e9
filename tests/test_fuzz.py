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

PARSERS = ("modbus", "zvt", "mqtt", "record", "config", "tariff", "zone", "members")


def test_every_parser_of_the_requirement_is_there():
    assert run.parsers() == PARSERS


@pytest.mark.timeout(120)
def test_a_sample_brings_out_nothing_but_declared_errors():
    done = own_process("fuzz", "--inputs", "3000", "--seed", "7", "--json", timeout_s=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert {(one["parser"], one["on"]) for one in found["parsers"]} == {
        (parser, on) for parser in PARSERS for on in ("cpython", "micropython")
    }
    for one in found["parsers"]:
        assert one["accepted"] and one["refused"], one
        if one["on"] == "cpython":
            assert one["inputs"] == 3000 and one["lines"] > one["of_lines"] // 2, one


def test_an_unknown_parser_is_refused_with_those_there_are():
    done = here("fuzz", "--parser", "xml")
    assert done.returncode == 2 and all(name in done.stderr for name in PARSERS)


BROKEN = """
import sys
sys.path.insert(0, "hostsim/fuzz")
import shims_mpy
import flash_mpy
def decode(seq, view, plain=True):
    if len(view) > 5 and view[3] == 0x80:
        raise IndexError("planted")
    return real(seq, view, plain)
from firmware.ledger import codec
real = codec.decode
codec.decode = decode
sys.argv = ["work_mpy.py", "record", "4000", "1"]
exec(open("hostsim/fuzz/work_mpy.py").read())
"""


def test_a_planted_fault_is_found_and_its_input_kept():
    command = [sys.executable, "-c", BROKEN]
    done = subprocess.run(
        command, cwd=ROOT, env=run.environment(), capture_output=True, text=True, check=True
    )
    failures = json.loads(done.stdout)["failures"]
    assert [f["error"] for f in failures] == ["IndexError: planted"]
    assert bytes.fromhex(failures[0]["input"])[4] == 0x80


# --- what it found -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"\xff\xfe", b'{"a":"\xff"}', b"[1]", b"5", b""])
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
