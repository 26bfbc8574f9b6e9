"""ZVT on the wire: serial frames and APDUs.

Sources: PA00P016 (transport: DLE framing, CRC, timers) and PA00P015 chapter 1 (APDU, length
field), as collected in facts/zvt.md. Written for the simulator alone; the firmware has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

STX, ETX, ACK, DLE, NAK = 0x02, 0x03, 0x06, 0x10, 0x15
MAX_APDU = 5 + 0xFFFF


class CodecError(ValueError):
    """Bytes that are not what they claim to be; `offset` is where, counted from the start of the
    APDU.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


def crc(data: bytes) -> int:
    """CRC-16/KERMIT (reflected 0x8408, start 0): "123456789" gives 0x2189."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0x8408 if value & 1 else value >> 1
    return value


def frame(apdu: bytes) -> bytes:
    """Wrap an APDU for the serial line; the CRC is over the plain APDU and ETX and is never
    doubled itself.
    """
    doubled = apdu.replace(b"\x10", b"\x10\x10")
    check = crc(apdu + bytes((ETX,)))
    return bytes((DLE, STX)) + doubled + bytes((DLE, ETX, check & 0xFF, check >> 8))


def join(command: int, body: bytes = b"") -> bytes:
    """Make an APDU from class and instruction (0x0622) and its data, with the long length where
    needed.
    """
    head = command.to_bytes(2, "big")
    if len(body) < 0xFF:
        return head + bytes((len(body),)) + body
    if len(body) > 0xFFFF:
        raise CodecError(2, f"{len(body)} bytes do not fit into an APDU")
    return head + b"\xff" + len(body).to_bytes(2, "little") + body


def needed(data: bytes | bytearray) -> int:
    """How long the APDU starting here is, as far as its first bytes tell; at least one more than
    `data` if unsure.
    """
    if len(data) < 3:
        return 3
    if data[2] != 0xFF:
        return 3 + data[2]
    if len(data) < 5:
        return 5
    return 5 + int.from_bytes(data[3:5], "little")


def split(apdu: bytes) -> tuple[int, int, bytes]:
    """Give command, offset of the data, and the data; raises CodecError."""
    if len(apdu) < 3:
        raise CodecError(len(apdu), "an APDU has at least three bytes")
    size = needed(apdu)
    if len(apdu) != size:
        raise CodecError(2, f"the length field says {size} bytes in all, there are {len(apdu)}")
    start = 5 if apdu[2] == 0xFF else 3
    return int.from_bytes(apdu[:2], "big"), start, apdu[start:]


def split_loosely(apdu: bytes) -> tuple[int, int, bytes, CodecError | None]:
    """As `split`, but a serial frame's own end counts: a wrong length field is handed back, not
    raised.
    """
    try:
        return (*split(apdu), None)
    except CodecError as exc:
        if len(apdu) < 3 or (apdu[2] == 0xFF and len(apdu) < 5):
            raise
        start = 5 if apdu[2] == 0xFF else 3
        return int.from_bytes(apdu[:2], "big"), start, apdu[start:], exc


class Sign(Enum):
    """What came out of the line."""

    ACK = "ack"
    NAK = "nak"
    FRAME = "frame"
    BROKEN = "broken"


@dataclass(frozen=True)
class Received:
    """One sign from the line; `apdu` for a frame (also one whose CRC is wrong), `reason` for a
    broken one.
    """

    sign: Sign
    apdu: bytes = b""
    reason: str = ""


class _State(Enum):
    IDLE = 0
    START = 1
    DATA = 2
    ESCAPED = 3
    CRC_LOW = 4
    CRC_HIGH = 5


class Deframer:
    """Turns bytes of the serial line into signs; never raises, whatever comes."""

    def __init__(self) -> None:
        self._state = _State.IDLE
        self._data = bytearray()
        self._crc_low = 0
        self.noise = 0

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and T1 runs."""
        return self._state is not _State.IDLE

    def feed(self, data: bytes) -> list[Received]:
        """Take bytes, give what they completed."""
        out: list[Received] = []
        for byte in data:
            sign = self._step(byte)
            if sign is not None:
                out.append(sign)
        return out

    def timeout(self) -> Received:
        """T1 is over inside a frame."""
        return self._broken("T1: the frame stopped in the middle")

    def _step(self, byte: int) -> Received | None:
        match self._state:
            case _State.IDLE:
                return self._idle(byte)
            case _State.START:
                self._begin(byte)
            case _State.DATA:
                return self._in_data(byte)
            case _State.ESCAPED:
                return self._after_dle(byte)
            case _State.CRC_LOW:
                self._crc_low = byte
                self._state = _State.CRC_HIGH
            case _State.CRC_HIGH:
                return self._finish(byte)
        return None

    def _idle(self, byte: int) -> Received | None:
        if byte == ACK:
            return Received(Sign.ACK)
        if byte == NAK:
            return Received(Sign.NAK)
        if byte == DLE:
            self._state = _State.START
        else:
            self.noise += 1
        return None

    def _begin(self, byte: int) -> None:
        if byte == STX:
            self._data.clear()
            self._state = _State.DATA
        elif byte != DLE:
            self.noise += 1
            self._state = _State.IDLE

    def _in_data(self, byte: int) -> Received | None:
        if byte == DLE:
            self._state = _State.ESCAPED
        elif len(self._data) >= MAX_APDU:
            return self._broken("longer than any APDU")
        else:
            self._data.append(byte)
        return None

    def _after_dle(self, byte: int) -> Received | None:
        if byte == DLE:
            self._data.append(DLE)
            self._state = _State.DATA
        elif byte == ETX:
            self._state = _State.CRC_LOW
        elif byte == STX:
            self._data.clear()
            self._state = _State.DATA
        else:
            return self._broken(f"DLE followed by {byte:02X}")
        return None

    def _finish(self, byte: int) -> Received:
        apdu = bytes(self._data)
        expected = crc(apdu + bytes((ETX,)))
        got = self._crc_low | byte << 8
        if got != expected:
            return self._broken(f"CRC is {got:04X}, must be {expected:04X}", apdu)
        self._reset()
        return Received(Sign.FRAME, apdu)

    def _broken(self, reason: str, apdu: bytes = b"") -> Received:
        self._reset()
        return Received(Sign.BROKEN, apdu, reason)

    def _reset(self) -> None:
        self._state = _State.IDLE
        self._data.clear()
