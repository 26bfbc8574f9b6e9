"""The ledger's region on an RP2040 or RP2350: any length at any offset, over whole pages.

The chip programs pages of 256 bytes only (RP2040 datasheet 2.8.3.1.3, flash_range_program). What
is not to be touched in a page is given as ff, which clears no bit, so a page may be programmed
many times as the ledger fills it.
"""

from micropython import const
from rp2 import Flash

_PAGE = const(256)


class Rp2Flash:
    """The extended block device of `firmware.ports.Flash`: `sectors` sectors from `start` bytes
    after the beginning of MicroPython's storage.
    """

    def __init__(self, start: int, sectors: int):
        self._flash = Flash(start=start, len=sectors * 4096)  # type: ignore[call-arg] # stub
        self._page = bytearray(_PAGE)
        self._blank = bytes([0xFF]) * _PAGE
        self.ioctl = self._flash.ioctl
        self.readblocks = self._flash.readblocks

    def writeblocks(self, n: int, buf, off: int = 0) -> None:
        """Programs; OSError outside the sector."""
        length = len(buf)
        if off < 0 or off + length > 4096:
            raise OSError(22)
        page = self._page
        at = 0
        while at < length:
            begin = (off + at) % _PAGE
            count = min(length - at, _PAGE - begin)
            page[:] = self._blank
            page[begin : begin + count] = buf[at : at + count]
            self._flash.writeblocks(n, page, off + at - begin)
            at += count
