"""`python -m hostsim meter` and `meters`, as a stranger would use them."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.framer import FramerRTU

from hostsim.meter.faults import FAULTS
from hostsim.setup import ROOT

HOSTSIM = [sys.executable, "-m", "hostsim"]


@contextmanager
def meter(path: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*HOSTSIM, "meter", "--serial", str(path), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        assert "Ctrl-C" in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def read(path: Path, address: int, count: int) -> list[int]:
    client = ModbusSerialClient(str(path), baudrate=9600, timeout=2)
    assert client.connect()
    try:
        answer = client.read_input_registers(address, count=count, device_id=1)
        return [] if answer.isError() else list(answer.registers)
    finally:
        client.close()


def test_a_foreign_master_reads_it_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    options = ("--model", "EM340", "--start-wh", "1234500", "--power", "4600")
    with meter(path, *options) as process:
        begun = time.monotonic()
        assert read(path, 0x34, 2) == [12345, 0]
        assert time.monotonic() - begun > 0.02  # 8 + 9 bytes at 9600 baud
        assert read(path, 0x28, 2) == [46000, 0]
        assert read(path, 0x0200, 2) == []
    assert process.returncode == 0
    assert not path.is_symlink()


def raw(path: Path, *body: int) -> bytes:
    """One frame of our own making, and what comes back."""
    frame = bytes(body)
    frame += FramerRTU.compute_CRC(frame).to_bytes(2, "big")
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd)
        os.write(fd, frame)
        answer = b""
        while select.select([fd], [], [], 0.3)[0]:
            answer += os.read(fd, 256)
        return answer
    finally:
        os.close(fd)


def test_what_a_meter_does_not_have_is_refused_by_the_book_and_other_units_are_not_answered(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tty"
    with meter(path, "--model", "EM340"):
        assert raw(path, 1, 4, 0, 0x34, 0, 126)[1:3] == b"\x84\x03"
        assert raw(path, 1, 4, 0, 0x34, 0, 0)[1:3] == b"\x84\x03"
        assert raw(path, 1, 4, 0, 0x34, 0, 12)[1:3] == b"\x84\x03"  # 11 at most on this one
        assert raw(path, 1, 6, 0, 0x34, 0, 1)[1:3] == b"\x86\x01"
        assert raw(path, 1, 4, 0xEE, 0, 0, 2)[1:3] == b"\x84\x02"
        assert raw(path, 2, 4, 0, 0x34, 0, 2) == b""


def test_faults_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    with meter(path, "--fault", "rollback=500,late=30", "--start-wh", "1000"):
        assert read(path, 0x48, 2) == [0x3F00, 0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "SDM9000"), "no meter 'SDM9000'; there are SDM120"),
        (("--fault", "smoke"), "no fault 'smoke'; there are silence"),
        (("--fault", "late=soon"), "not a whole number"),
    ],
)
def test_what_does_not_exist_is_refused(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    done = subprocess.run(
        [*HOSTSIM, "meter", "--serial", str(tmp_path / "tty"), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, says in done.stderr) == (2, True), done


def test_the_list_is_one_json_array() -> None:
    done = subprocess.run(
        [*HOSTSIM, "meters", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    entries = json.loads(done.stdout)
    assert len(entries) >= 18
    assert {"model", "import_register", "import_scale_wh", "source"} <= set(entries[0])


def test_the_faults_are_listed_as_json_too() -> None:
    command = [*HOSTSIM, "meters", "--json", "--faults"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [list(one) for one in found] == [["name", "default", "help"]] * len(FAULTS)
    assert [one["name"] for one in found] == list(FAULTS)
