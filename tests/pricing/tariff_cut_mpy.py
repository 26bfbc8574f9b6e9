# mypy: ignore-errors
# Runs on MicroPython: micropython tests/pricing/tariff_cut_mpy.py. Stores a tariff on LittleFS in
# memory and cuts the power at every block the flash is asked to program or erase, once before it
# and once halfway through; then starts again and prints, as JSON, which tariff is in force after
# each cut. "first" is the store of a charger's first tariff, "next" of a new one over it.
import errno
import json

import vfs

from firmware import tariffs
from firmware.prices import Prices

SIZE = 512
SECTORS = 64
TARIFF = (
    '{"id":"%s","currency":"EUR","elements":[{"price_components":['
    '{"type":"ENERGY","price":0.49,"vat":19,"step_size":1}]}],'
    '"tariff_alt_text":[{"language":"en","text":"%s"}]}'
)


class Flash:
    """NOR flash that loses power at its n-th change."""

    def __init__(self, image=None):
        self.image = bytearray(image or b"\xff" * (SECTORS * SIZE))
        self.left = -1
        self.half = False
        self.dead = False
        self.changes = 0

    def readblocks(self, n, buf, off=0):
        buf[:] = self.image[n * SIZE + off : n * SIZE + off + len(buf)]

    def change(self, at, new):
        self.changes += 1
        if self.left == 0 and not self.dead:
            self.dead = True
            if self.half:
                self.image[at : at + len(new) // 2] = new[: len(new) // 2]
        if self.dead:
            return -errno.EIO
        self.left -= 1
        self.image[at : at + len(new)] = new
        return 0

    def writeblocks(self, n, buf, off=0):
        return self.change(n * SIZE + off, buf)

    def ioctl(self, op, n):
        if op == 4:
            return SECTORS
        if op == 5:
            return SIZE
        if op == 6:
            return self.change(n * SIZE, b"\xff" * SIZE)
        return 0


def raw(name):
    return (TARIFF % (name, name * 400)).encode()


def on(flash, work):
    """Mount, work, unmount; what work gave, or None when power went."""
    vfs.mount(vfs.VfsLfs2(flash), "/f")
    try:
        return work()
    except OSError:
        assert flash.dead
        return None
    finally:
        vfs.umount("/f")


def loaded(image):
    """(id in force or "", id of the one before or "") after a start."""
    prices = Prices("/f", "UTC0", "EUR")

    def start():
        tariffs.load(prices)
        before = [raw(name) for name in ("A", "B")]
        found = [tariffs.one_before(prices, tariffs.binascii.crc32(text)) for text in before]
        return "".join([one.id for one in found if one])

    before = on(Flash(image), start)
    return [prices.tariff.id if prices.tariff else "", before]


def stored(flash, name):
    prices = Prices("/f", "UTC0", "EUR")

    def work():
        tariffs.load(prices)
        return tariffs.store(prices, raw(name))

    return on(flash, work)


def cuts(image, name):
    found = []
    whole = Flash(image)
    assert stored(whole, name) is True
    for at in range(whole.changes):
        for half in (False, True):
            flash = Flash(image)
            flash.left = at
            flash.half = half
            said = stored(flash, name)
            found.append([at, half, said] + loaded(flash.image))
    return found, whole.image


empty = Flash()
vfs.VfsLfs2.mkfs(empty)
first, image = cuts(empty.image, "A")
following, image = cuts(image, "B")
print(json.dumps({"first": first, "next": following, "end": loaded(image)}))  # noqa: T201
