"""Runs on MicroPython: heap that the code of each module keeps, each loaded by itself.

    micropython rooms_mpy.py IMAGE-OR-FOLDER MODULE...

With an image the code stays in ROMFS. Prints one JSON object, module to bytes. The modules come in
an order in which each finds what it needs loaded; what is loaded with another counts to it.
"""

import gc
import json
import os
import sys

import ffi
import uctypes
import vfs


def mount(path: str) -> None:
    if os.stat(path)[0] & 0x4000:  # a folder
        vfs.mount(vfs.VfsPosix(path), "/code")
        return
    mmap = ffi.open("libc.so.6").func("p", "mmap", "pLiiil")
    size = os.stat(path)[6]
    with open(path, "rb") as f:
        address = mmap(0, size, 1, 2, f.fileno(), 0)  # PROT_READ, MAP_PRIVATE
    vfs.mount(vfs.VfsRom(uctypes.bytearray_at(address, size)), "/code")


def kept(module: str) -> int:
    gc.collect()
    before = gc.mem_alloc()
    __import__(module)
    gc.collect()
    return gc.mem_alloc() - before


mount(sys.argv[1])
sys.path[:] = ["/code", ".frozen"]
for name in ("asyncio", "errno", "hashlib", "json", "socket", "struct", "time", "tls"):
    __import__(name)  # the interpreter's own
print(json.dumps({name: kept(name) for name in sys.argv[2:]}))
