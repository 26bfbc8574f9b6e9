"""Runs on MicroPython (unix): writes a first stage into LittleFS as an RP2040 has it, with the
power failing after every write of its flash.

Usage: micropython first_stage_mpy.py FILE. FILE is JSON: what the board is asked to run, in order.
Prints JSON: the sectors that were written, and for every cut {name: text} of the files there.
"""

import json
import sys

import vfs

_SIZE = 4096


class Nor:
    """Like rp2.Flash: sectors of 4 KB. `cuts`: what it held after each write."""

    def __init__(self, held):
        self.held = held
        self.cuts = []
        self.written = set()

    def readblocks(self, n, buf, off=0):
        buf[:] = self.held[_SIZE * n + off : _SIZE * n + off + len(buf)]

    def writeblocks(self, n, buf, off=0):
        self._put(n, off, buf)

    def _put(self, n, off, buf):
        self.held[_SIZE * n + off : _SIZE * n + off + len(buf)] = buf
        self.written.add(n)
        self.cuts.append(bytes(self.held))

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.held) // _SIZE
        if op == 5:
            return _SIZE
        if op == 6:
            self._put(arg, 0, b"\xff" * _SIZE)
        return 0


def found(image):
    """The files of a board that was switched off there."""
    fs = vfs.VfsLfs2(Nor(bytearray(image)), progsize=256)
    out = {}
    for name, *_ in fs.ilistdir("/"):
        f = fs.open(name, "r")
        out[name] = f.read()
        f.close()
    return out


with open(sys.argv[1]) as f:
    asked = json.load(f)
nor = Nor(bytearray(b"\xff" * _SIZE * 16))
vfs.VfsLfs2.mkfs(nor, progsize=256)
nor.cuts = []
fs = vfs.VfsLfs2(nor, progsize=256)
names = {}
exec(asked.pop(0), names)  # the link's own functions, before there is nothing else to import
vfs.umount("/")
vfs.mount(fs, "/")
for code in asked:
    exec(code, names)
print(json.dumps({"written": sorted(nor.written), "cuts": [found(image) for image in nor.cuts]}))
