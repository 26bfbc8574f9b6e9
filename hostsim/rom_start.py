"""Runs on MicroPython: maps the ROMFS image outside the heap, mounts it, and starts the charger
from it.

As a board with a ROMFS partition does by itself: bytecode is executed in place and only data takes
heap (../shared/facts/micropython.md, "The 32-bit build is the memory gate"). Usage: micropython
rom_start.py IMAGE [BESIDE]
"""

import gc
import os
import sys

import ffi
import uctypes
import vfs


def mount(path: str) -> None:
    libc = ffi.open("libc.so.6")
    mmap = libc.func("p", "mmap", "pLiiil")
    size = os.stat(path)[6]
    with open(path, "rb") as f:
        address = mmap(0, size, 1, 2, f.fileno(), 0)  # PROT_READ, MAP_PRIVATE
    vfs.mount(vfs.VfsRom(uctypes.bytearray_at(address, size)), "/rom")


mount(sys.argv[1])
sys.path[:] = ["/rom", ".frozen"]
del mount, ffi, uctypes, vfs
if len(sys.argv) > 2:  # a program that looks at the charger from beside
    exec(open(sys.argv[2]).read(), {})
gc.collect()
import main  # noqa: E402, F401
