"""Runs on MicroPython for hostsim/setup/room.py: room_mpy.py SIZES.json SECTORS PROGSIZE. Two
versions with files of these sizes and what is a charger's own, on LittleFS in memory; then a
tariff and a configuration are changed, all is provisioned anew, what starts every version is
renewed, and the older version is replaced. Prints the sectors that
were left at the fullest.
"""

import json
import sys

import vfs

SECTOR = 4096
TARIFF = 2 * SECTOR
CONFIG = 3000
OWN = {
    "config.json": CONFIG, "config.old": CONFIG, "tariff.json": TARIFF, "tariff.old": TARIFF,
    "ca.crt": 1200, "charger.crt": 1000, "charger.key": 121, "wifi.txt": 80, "meter.json": 300,
    "tariff.bad": 10, "main.py": 900, "boot.py": 400, "start.mpy": 1500, "last.mpy": 1500,
    "board.txt": 16, "slot": 1, "trial": 3, "starts": 1, "back": 40, "slot.new": 1,
    "why": 12,
}  # fmt: skip
TOGETHER = (
    ("ca.crt", "charger.crt", "charger.key", "tariff.json", "wifi.txt", "config.json"),
    ("start.mpy", "last.mpy", "boot.py", "main.py", "board.txt"),
)


class Ram:
    """A block device in memory (extended interface)."""

    def __init__(self, sectors):
        self.data = bytearray(b"\xff" * (SECTOR * sectors))

    def readblocks(self, n, buf, off=0):
        at = n * SECTOR + off
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, n, buf, off=0):
        at = n * SECTOR + off
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, n):
        if op == 4:
            return len(self.data) // SECTOR
        if op == 5:
            return SECTOR
        if op == 6:
            self.data[n * SECTOR : (n + 1) * SECTOR] = b"\xff" * SECTOR
        return 0


def put(fs, name, size):
    """A file of so many bytes."""
    with fs.open(name, "wb") as f:
        while size > 0:
            size -= f.write(b"x" * min(size, 512))


def version(fs, slot, tree):
    """A whole version with its folders."""
    for path, size in tree.items():
        at = path.find("/", 1)
        while at > 0:
            try:
                fs.mkdir(slot + path[:at])
            except OSError:
                pass
            at = path.find("/", at + 1)
        put(fs, slot + path, size)


def free(fs):
    """Sectors; below 0 where LittleFS would need more."""
    left = fs.statvfs("/")[3]
    return left - (1 << 32) if left >> 31 else left


def main(sizes, sectors, progsize):
    with open(sizes) as f:
        tree = json.load(f)
    device = Ram(int(sectors))
    vfs.VfsLfs2.mkfs(device, progsize=int(progsize))
    fs = vfs.VfsLfs2(device, progsize=int(progsize))
    for name in OWN:
        put(fs, "/" + name, OWN[name])
    for slot in ("/a", "/b"):
        fs.mkdir(slot)
        version(fs, slot, tree)
    least = free(fs)
    for kind, size in (("/tariff", TARIFF), ("/config", CONFIG)):
        put(fs, kind + ".in", size)
        put(fs, kind + ".new", size)
        least = min(least, free(fs))
        fs.rename(kind + ".json", kind + ".old")
        fs.rename(kind + ".new", kind + ".json")
        fs.remove(kind + ".in")
    for names in TOGETHER:  # written beside, then renamed (hostsim/technician/link.py)
        for name in names:
            put(fs, "/" + name + ".new", OWN[name])
        least = min(least, free(fs))
        for name in names:
            fs.rename("/" + name + ".new", "/" + name)
    for path, size in tree.items():
        fs.remove("/a" + path)
        put(fs, "/a" + path, size)
        least = min(least, free(fs))
    print(least)


main(*sys.argv[1:])
