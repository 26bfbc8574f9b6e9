"""NOR flash in a file, for the host board and the tests; runs on MicroPython unix and on CPython.

Goals: what a real NOR does to a ledger can happen here. A program only clears bits. An erase sets
a whole sector to FF. The power may fail after any byte of a program (the byte in progress is left
half programmed and may read differently each time) and in the middle of an erase (the part that
was reached reads differently each time until it is erased again). Sectors wear (counted) and can
be bad (programs leave bits set, erases leave bits clear) or stuck (they stay as they are, with an
error or without). What was programmed survives a killed
process: every change goes to the file before the call returns. Flash that programs all bytes of a
page side by side is had with `page_tears`.

Limits: time is not modelled; no read disturb; what a page tear left undone reads the same each
time, but for one byte. Beside the image `path` lies `path + ".state"`, 8
bytes a sector: erases (u32), flags (bit 0 bad, bit 1 unstable up to `mark`, bit 2 one weak byte at
`mark`, bit 3 stuck, bit 4 with errors, bit 5 unstable from `mark` on instead), the weak bits of
that byte, `mark` (u16). Without a path everything is in memory.
"""

import os
import struct

_BAD = 1
_UNSTABLE = 2
_WEAK = 4
_STUCK = 8
_ERRORS = 16
_BEHIND = 32
_BLANK = b"\xff" * 256
_HALF_BLANK = b"\xef" * 256


class PowerCut(BaseException):
    """The power failed. No Exception: no firmware code can catch it, as with the real thing."""


class FileFlash:
    """The extended block device of `firmware.ports.Flash` over a file.

    `cut_after_bytes`: the power fails after so many more bytes were programmed or erased (-1:
    never), an erase counting the sector's size. `cut_at_op`: it fails in the middle of the so
    many-th program or erase from now (0 is the next one, -1: never). Then `on_cut()` is called
    and, when that returns, PowerCut raised; until `power_on()` every call raises it. An erase that
    is cut leaves the sector erased up to there and as it was behind; with `whole_tears` all of it
    lies between both, with `from_the_end` it goes the other way, from the sector's end. A program
    that is cut has done the bytes before; with `page_tears` any bits of all it was given. Counters
    since the object was made: `ops`, `programmed` (bytes) and `erased` (sectors).
    """

    def __init__(self, path: str = "", sectors: int = 64, sector_size: int = 4096, seed: int = 1):
        self.sectors = sectors
        self.sector_size = sector_size
        self.cut_after_bytes = -1
        self.cut_at_op = -1
        self.whole_tears = False
        self.from_the_end = False
        self.page_tears = False
        self.on_cut = None
        self.ops = 0
        self.programmed = 0
        self.erased = 0
        self._dead = False
        self._random = seed
        self._file = None
        self._state_file = None
        self._image = None
        self._state = bytearray(8 * sectors)
        if path:
            self._open(path)
        else:
            self._image = bytearray(b"\xff" * (sectors * sector_size))

    # --- the block device ------------------------------------------------------------------------

    def readblocks(self, n: int, buf, off: int = 0) -> None:
        """Reads len(buf) bytes of sector `n` from `off`."""
        self._check(n, off, len(buf))
        self._read(n * self.sector_size + off, buf)
        flags = self._state[8 * n + 4]
        if flags & (_UNSTABLE | _WEAK):
            self._disturb(n, buf, off, flags)

    def writeblocks(self, n: int, buf, off: int = 0) -> None:
        """Programs: every bit becomes the AND of what is there and what is given; nothing is
        erased."""
        self._check(n, off, len(buf))
        if self._stuck(n):
            return
        self.ops += 1
        done = self._until_cut(len(buf))
        place = n * self.sector_size + off
        old = bytearray(len(buf))
        self._read(place, old)
        bad = self._state[8 * n + 4] & _BAD
        if done < len(buf) and self.page_tears:
            self._undone(old, buf)
        else:
            for i in range(done):
                old[i] &= buf[i] | (0x10 if bad else 0)
        if done < len(buf):
            # the byte in progress: bits on their way from 1 to 0
            weak = old[done] & ~buf[done] & 0xFF
            old[done] &= buf[done] | self._byte()
            self._mark(n, _WEAK, off + done, weak)
        else:
            self._strengthen(n, off, done)
        self._write(place, old)
        self.programmed += done
        if done < len(buf):
            self._die()

    def ioctl(self, op: int, n: int):
        """4: number of sectors. 5: sector size. 6: erase sector `n`. 3 (sync) and others: 0."""
        if op == 4:
            return self.sectors
        if op == 5:
            return self.sector_size
        if op == 6:
            self._check(n, 0, 0)
            self._erase(n)
        return 0

    # --- what happens to it ----------------------------------------------------------------------

    def power_on(self) -> None:
        """The power is back; cuts that were asked for are off."""
        self._dead = False
        self.cut_after_bytes = -1
        self.cut_at_op = -1

    def set_bad(self, n: int, bad: bool = True) -> None:
        """Sector `n` cannot be programmed or erased right any more."""
        flags = self._state[8 * n + 4]
        self._state[8 * n + 4] = (flags | _BAD) if bad else (flags & ~_BAD & 0xFF)
        self._save(n)

    def set_stuck(self, n: int, errors: bool = False, stuck: bool = True) -> None:
        """Sector `n` stays as it is from now on, whatever is programmed or erased; with `errors`
        the device says so."""
        flags = self._state[8 * n + 4] & ~(_STUCK | _ERRORS) & 0xFF
        if stuck:
            flags |= (_STUCK | _ERRORS) if errors else _STUCK
        self._state[8 * n + 4] = flags
        self._save(n)

    def wear(self, n: int) -> int:
        """Erases of sector `n` in its life."""
        return struct.unpack_from("<I", self._state, 8 * n)[0]

    def image(self) -> bytes:
        """All of the flash as it is stored (what is unstable reads differently)."""
        out = bytearray(self.sectors * self.sector_size)
        self._read(0, out)
        return bytes(out)

    def load(self, image, state=None) -> None:
        """Replaces everything in the flash by an image (and `state()` of the time it was taken).
        """
        self._write(0, image)
        self._state[:] = state if state is not None else bytearray(8 * self.sectors)
        for n in range(self.sectors):
            self._save(n)

    def state(self) -> bytes:
        """Wear, bad sectors and unstable bits, for `load`."""
        return bytes(self._state)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._state_file.close()

    # --- inside ----------------------------------------------------------------------------------

    def _open(self, path: str) -> None:
        size = self.sectors * self.sector_size
        if _size(path) != size:
            with open(path, "wb") as f:
                for _ in range(size // len(_BLANK)):
                    f.write(_BLANK)
        if _size(path + ".state") != len(self._state):
            with open(path + ".state", "wb") as f:
                f.write(self._state)
        self._file = open(path, "r+b", buffering=0)  # held open
        state = open(path + ".state", "r+b", buffering=0)
        state.readinto(self._state)
        self._state_file = state

    def _check(self, n: int, off: int, length: int) -> None:
        if self._dead:
            raise PowerCut("off")
        if n < 0 or n >= self.sectors or off < 0 or off + length > self.sector_size:
            raise OSError(22)

    def _read(self, place: int, buf) -> None:
        if self._file:
            self._file.seek(place)
            self._file.readinto(buf)
        else:
            buf[:] = memoryview(self._image)[place : place + len(buf)]

    def _write(self, place: int, data) -> None:
        if self._file:
            self._file.seek(place)
            self._file.write(data)
        else:
            self._image[place : place + len(data)] = data

    def _save(self, n: int) -> None:
        if self._state_file:
            self._state_file.seek(8 * n)
            self._state_file.write(memoryview(self._state)[8 * n : 8 * n + 8])

    def _strengthen(self, n: int, off: int, length: int) -> None:
        """A weak byte that is programmed again is weak no more."""
        if self._state[8 * n + 4] & _WEAK:
            mark = struct.unpack_from("<H", self._state, 8 * n + 6)[0]
            if off <= mark < off + length:
                self._state[8 * n + 4] &= ~_WEAK & 0xFF
                self._save(n)

    def _mark(self, n: int, flag: int, mark: int, weak: int = 0) -> None:
        if self._state[8 * n + 4] & _UNSTABLE:
            return  # bad enough
        self._state[8 * n + 4] |= flag
        self._state[8 * n + 5] = weak
        struct.pack_into("<H", self._state, 8 * n + 6, min(mark, 0xFFFF))
        self._save(n)

    def _stuck(self, n: int) -> bool:
        flags = self._state[8 * n + 4]
        if flags & _ERRORS:
            raise OSError(5)
        return flags & _STUCK > 0

    def _until_cut(self, length: int) -> int:
        """How many of `length` bytes are done before the power fails."""
        done = length
        if self.cut_at_op >= 0:
            self.cut_at_op -= 1
            if self.cut_at_op < 0:
                done = length // 2
        if self.cut_after_bytes >= 0:
            if self.cut_after_bytes < done:
                done = self.cut_after_bytes
            else:
                self.cut_after_bytes -= length
        return done

    def _erase(self, n: int) -> None:
        if self._stuck(n):
            return
        self.ops += 1
        size = self.sector_size
        done = self._until_cut(size)
        bad = self._state[8 * n + 4] & _BAD
        block = _HALF_BLANK if bad else _BLANK
        # small pieces: a charger's heap has no 4 KB in one piece
        begin = n * size + (size - done if self.from_the_end else 0)
        for place in range(0, done, len(block)):
            self._write(begin + place, block[: min(len(block), done - place)])
        struct.pack_into("<I", self._state, 8 * n, self.wear(n) + 1)
        self.erased += 1
        if done < size:
            if self.whole_tears:
                self._half_erase(n)
            if done and self.from_the_end:
                self._mark(n, _UNSTABLE | _BEHIND, size - done)
            elif done:
                self._mark(n, _UNSTABLE, size if self.whole_tears else done)
            self._die()
        self._state[8 * n + 4] = bad
        self._save(n)

    def _half_erase(self, n: int) -> None:
        """Some bits of every byte have gone to 1."""
        piece = bytearray(64)
        for place in range(n * self.sector_size, (n + 1) * self.sector_size, len(piece)):
            self._read(place, piece)
            for i in range(len(piece)):
                piece[i] |= self._byte()
            self._write(place, piece)

    def _undone(self, old, buf) -> None:
        """Some bits of all bytes were programmed: few, half, or most."""
        share = self._byte() % 3
        for i in range(len(buf)):
            undone = self._byte()
            if share == 0:
                undone |= self._byte() | self._byte()
            elif share == 1:
                undone &= self._byte() & self._byte()
            old[i] &= buf[i] | undone

    def _die(self) -> None:
        self._dead = True
        if self.on_cut:
            self.on_cut()
        raise PowerCut("power cut")

    def _byte(self) -> int:
        self._random = (self._random * 1103515245 + 12345) & 0x3FFFFFFF
        return (self._random >> 16) & 0xFF

    def _disturb(self, n: int, buf, off: int, flags: int) -> None:
        """Cells between two states read as either."""
        mark = struct.unpack_from("<H", self._state, 8 * n + 6)[0]
        if flags & _UNSTABLE:
            begin, end = (mark, self.sector_size) if flags & _BEHIND else (0, mark)
            for i in range(max(begin, off), min(end, off + len(buf))):
                buf[i - off] &= self._byte() | self._byte()
        elif off <= mark < off + len(buf):
            buf[mark - off] |= self._byte() & self._state[8 * n + 5]


def _size(path: str) -> int:
    try:
        return os.stat(path)[6]
    except OSError:
        return -1
