"""`python -m hostsim meter` and `meters`, as a stranger would use them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient

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
