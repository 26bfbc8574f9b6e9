"""Runs on MicroPython (unix): makes a LittleFS image as the rp2 port does, from a folder.

Usage: micropython lfs_mpy.py FOLDER IMAGE SECTORS; a sector has 4096 bytes. The same files give
the same image: in the order of their names, without times.
"""

import os
import sys

import vfs

_SECTOR = 4096


class Ram:
    """A block device in memory (extended interface)."""

    def __init__(self, sectors):
        self.data = bytearray(b"\xff" * (_SECTOR * sectors))

    def readblocks(self, n, buf, off=0):
        at = n * _SECTOR + off
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, n, buf, off=None):
        if off is None:
            self.ioctl(6, n)
            off = 0
        at = n * _SECTOR + off
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // _SECTOR
        if op == 5:
            return _SECTOR
        if op == 6:
            at = arg * _SECTOR
            self.data[at : at + _SECTOR] = b"\xff" * _SECTOR
        return 0


def copy(fs, source, target):
    for name, kind in sorted([entry[:2] for entry in os.ilistdir(source)]):
        if kind & 0x4000:
            fs.mkdir(target + "/" + name)
            copy(fs, source + "/" + name, target + "/" + name)
        else:
            with open(source + "/" + name, "rb") as f, fs.open(target + "/" + name, "wb") as g:
                g.write(f.read())


def main(folder, image, sectors):
    device = Ram(int(sectors))
    vfs.VfsLfs2.mkfs(device, progsize=256)
    copy(vfs.VfsLfs2(device, progsize=256, mtime=False), folder, "")
    with open(image, "wb") as f:
        f.write(device.data)


main(*sys.argv[1:])
