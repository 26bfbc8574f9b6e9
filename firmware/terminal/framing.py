"""Serial framing of ZVT, pure: bytes in, whole APDUs out (PA00P016, "Transport protocol RS232").

Frame: `DLE STX | APDU, each DLE doubled | DLE ETX | CRC low, CRC high`. The CRC runs over the un-
doubled APDU and the ETX; its own two bytes are never doubled and may look like any control
sequence. Goals: one buffer, made at start, never grows; a frame comes out whole and checked or as
FrameError with its reason; after noise the next `DLE STX` is found. Limit: a frame whose APDU is
longer than the buffer is refused.
"""

from micropython import const

from firmware.errors import FrameError

ACK = const(0x06)
NAK = const(0x15)
# what Receiver.feed gives besides a length
NOTHING = const(0)
GOT_ACK = const(-1)
GOT_NAK = const(-2)

_DLE = const(0x10)
_STX = const(0x02)
_ETX = const(0x03)
# states of the receiver
_HUNT = const(0)
_HUNT_DLE = const(1)
_DATA = const(2)
_DATA_DLE = const(3)
_CRC_LOW = const(4)
_CRC_HIGH = const(5)

_NIBBLES = (0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387,
            0x8408, 0x9489, 0xA50A, 0xB58B, 0xC60C, 0xD68D, 0xE70E, 0xF78F)  # fmt: skip


def crc_add(crc: int, byte: int) -> int:
    """CRC-16/KERMIT (reflected 0x8408, start 0) taken one byte further."""
    crc = (crc >> 4) ^ _NIBBLES[(crc ^ byte) & 15]
    return (crc >> 4) ^ _NIBBLES[(crc ^ (byte >> 4)) & 15]


def crc16(data: "bytes | bytearray | memoryview") -> int:
    """CRC-16/KERMIT of all of `data`; b"123456789" gives 0x2189."""
    crc = 0
    for byte in data:
        crc = crc_add(crc, byte)
    return crc


def encode(apdu: "bytes | memoryview", out: bytearray) -> int:
    """Frame of `apdu` into `out` (needs at most 2 * len(apdu) + 6 bytes); returns its length."""
    if len(out) < 2 * len(apdu) + 6:
        raise FrameError("frame buffer too small")
    out[0] = _DLE
    out[1] = _STX
    n = 2
    for byte in apdu:
        out[n] = byte
        n += 1
        if byte == _DLE:
            out[n] = byte
            n += 1
    crc = crc_add(crc16(apdu), _ETX)
    out[n] = _DLE
    out[n + 1] = _ETX
    out[n + 2] = crc & 0xFF
    out[n + 3] = crc >> 8
    return n + 4


class Receiver:
    """Takes a line byte by byte; `data[:n]` is the APDU once `feed` has given n > 0, until the
    next `feed`. `state` above 1: a frame has begun and not ended (T1 applies).
    """

    def __init__(self, capacity: int) -> None:
        self.data = bytearray(capacity)
        self.noise = 0  # bytes outside frames that were neither ACK nor NAK
        self.state = _HUNT
        self._n = 0
        self._crc = 0
        self._low = 0

    def reset(self) -> None:
        """Gives up a frame that has begun."""
        self.state = _HUNT

    def feed(self, byte: int) -> int:
        """One byte from the line: NOTHING, GOT_ACK, GOT_NAK, or the length of a whole APDU.

        Raises FrameError (and hunts for the next frame) on bad escaping, CRC, length or an APDU
        over the capacity.
        """
        state = self.state
        if state > _HUNT_DLE:
            return self._inside(state, byte)
        self.state = _HUNT
        if byte == _DLE:
            self.state = _HUNT_DLE
        elif state == _HUNT_DLE and byte == _STX:
            self.state = _DATA
            self._n = self._crc = 0
        elif byte == ACK:
            return GOT_ACK
        elif byte == NAK:
            return GOT_NAK
        else:
            self.noise += 1
        return NOTHING

    def _inside(self, state: int, byte: int) -> int:
        if state >= _CRC_LOW:
            return self._end(state, byte)
        self.state = _DATA
        if state == _DATA and byte == _DLE:
            self.state = _DATA_DLE
            return NOTHING
        if state == _DATA_DLE and byte != _DLE:
            if byte == _STX:  # the frame before was torn, a new one begins
                self._n = self._crc = 0
                return NOTHING
            self.state = _CRC_LOW if byte == _ETX else _HUNT
            if byte != _ETX:
                raise FrameError("bad escape")
        elif self._n >= len(self.data):
            self.state = _HUNT
            raise FrameError("frame too long")
        else:
            self.data[self._n] = byte
            self._n += 1
        self._crc = crc_add(self._crc, byte)
        return NOTHING

    def _end(self, state: int, byte: int) -> int:
        if state == _CRC_LOW:
            self._low = byte
            self.state = _CRC_HIGH
            return NOTHING
        self.state = _HUNT
        if self._crc != (byte << 8 | self._low):
            raise FrameError("frame CRC")
        if self._n < 3:
            raise FrameError("frame too short")
        return self._n
