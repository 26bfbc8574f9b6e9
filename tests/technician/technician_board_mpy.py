"""Runs on MicroPython (unix) as a board for the technician's tests: executes what comes over stdin
(a line with the length, then so many bytes); answers with what it prints, 04, the traceback, 04.

Usage: micropython technician_board_mpy.py FOLDER. FOLDER/flash.bin is the ledger's region; files
are in FOLDER/files. What a board has and the unix port has not is put in its place here.
"""

import io
import sys

FOLDER = sys.argv[1]
real_os, real_sys = __import__("os"), sys


class Os:
    """`os` of a board whose files take 286 sectors."""

    def __getattr__(self, name):
        return getattr(real_os, name)

    def statvfs(self, path):
        return (4096, 4096, 286, 0)


class Implementation(tuple):
    _machine = "Raspberry Pi Pico with RP2040"
    _mpy = 4870


class Sys:
    implementation = Implementation(("micropython", (1, 25, 0, "")))

    def __getattr__(self, name):
        return getattr(real_sys, name)


class Flash:
    """rp2.Flash over the ledger's file, wherever it begins."""

    def __init__(self, start=0, len=0):
        self._file = open(FOLDER + "/flash.bin", "rb")

    def readblocks(self, n, buf, off=0):
        self._file.seek(4096 * n + off)
        self._file.readinto(buf)


class Partition(Flash):
    """esp32.Partition, as long as the ledger's file."""

    def info(self):
        return (1, 0x40, 0x7C0000, real_os.stat(FOLDER + "/flash.bin")[6], "ledger", False)


class Rp2:
    pass


class Esp32:
    pass


Rp2.Flash = Flash
Esp32.Partition = Partition
sys.modules["os"], sys.modules["sys"], sys.modules["rp2"] = Os(), Sys(), Rp2
sys.modules["esp32"] = Esp32
names = {"__name__": "__main__"}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    code = sys.stdin.read(int(line))
    failed = ""
    try:
        exec(code, names)
    except Exception as e:  # noqa: BLE001 - a board's prompt tells every one
        told = io.StringIO()
        real_sys.print_exception(e, told)
        failed = told.getvalue()
    real_sys.stdout.write("\x04" + failed + "\x04\n")
