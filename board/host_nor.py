"""The host board's flash: a NOR in a file. A program only clears bits, an erase sets a sector
to FF, and what was written survives a killed process. Faults (cuts, wear, bad sectors) are
played by FileFlash in host_flash.py, for tests; the image is the same.
"""

import os

_PIECE = b"\xff" * 64  # a charger's heap has no sector in one piece


class FileNor:
    """The extended block device of `firmware.ports.Flash` over the file `path`, made when it is
    not there.
    """

    def __init__(self, path: str, sectors: int, sector_size: int):
        self.sectors = sectors
        self.sector_size = sector_size
        try:
            fits = os.stat(path)[6] == sectors * sector_size
        except OSError:
            fits = False
        self._file = open(path, "r+b" if fits else "w+b", buffering=0)  # held open
        if not fits:
            for n in range(sectors):
                self._erase(n)

    def _at(self, n: int, off: int, length: int):
        if n < 0 or n >= self.sectors or off < 0 or off + length > self.sector_size:
            raise OSError(22)
        self._file.seek(n * self.sector_size + off)
        return self._file

    def readblocks(self, n: int, buf, off: int = 0) -> None:
        """Reads len(buf) bytes of sector `n` from `off`."""
        self._at(n, off, len(buf)).readinto(buf)

    def writeblocks(self, n: int, buf, off: int = 0) -> None:
        """Programs: every bit becomes the AND of what is there and what is given."""
        new = bytearray(len(buf))
        self.readblocks(n, new, off)
        for i in range(len(buf)):
            new[i] &= buf[i]
        self._at(n, off, len(buf)).write(new)

    def _erase(self, n: int) -> None:
        file = self._at(n, 0, 0)
        for _ in range(self.sector_size // len(_PIECE)):
            file.write(_PIECE)

    def ioctl(self, op: int, n: int) -> int:
        """4: number of sectors. 5: sector size. 6: erase sector `n`. 3 (sync) and others: 0."""
        if op == 4:
            return self.sectors
        if op == 5:
            return self.sector_size
        if op == 6:
            self._erase(n)
        return 0
