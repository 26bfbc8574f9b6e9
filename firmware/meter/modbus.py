"""Modbus RTU codec: CRC-16, a read request into the caller's buffer, the check of a reply. Pure,
integers only.

Source: MODBUS over Serial Line V1.02, 2.5.1 (RTU framing) and 6.2.2 (CRC); MODBUS Application
Protocol V1.1b3, 6.3 and 6.4 (read holding/input registers), 7 (exceptions). Nothing here
allocates unless it raises."""

from micropython import const

from firmware.errors import ModbusCrcError, ModbusException, ModbusReplyError

READ_HOLDING = const(3)
READ_INPUT = const(4)
REQUEST_SIZE = const(8)
EXCEPTION_SIZE = const(5)
MAX_WORDS = const(125)
MAX_REPLY = const(255)


# CRC of one nibble; one for bytes would be twice as fast and 512 bytes, and no serial line
# would notice.
_TABLE = (
    0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
    0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
)  # fmt: skip


def crc16(buf: "bytes | bytearray | memoryview", size: int) -> int:
    """CRC-16/MODBUS of the first `size` bytes; its low byte goes on the wire first."""
    table = _TABLE
    crc = 0xFFFF
    for i in range(size):
        crc ^= buf[i]
        crc = (crc >> 4) ^ table[crc & 15]
        crc = (crc >> 4) ^ table[crc & 15]
    return crc


def build_read(
    buf: "bytearray | memoryview", unit: int, function: int, address: int, count: int
) -> int:
    """Write the request for `count` registers from protocol address `address` into buf; gives its
    length, 8.

    Raises ValueError for a unit, function, address or count the protocol does not have.
    """
    if not (1 <= unit <= 247 and READ_HOLDING <= function <= READ_INPUT):
        raise ValueError("unit or function")
    if not (1 <= count <= MAX_WORDS and 0 <= address and address + count <= 0x10000):
        raise ValueError("address or count")
    buf[0] = unit
    buf[1] = function
    buf[2] = address >> 8
    buf[3] = address & 0xFF
    buf[4] = 0
    buf[5] = count
    crc = crc16(buf, 6)
    buf[6] = crc & 0xFF
    buf[7] = crc >> 8
    return REQUEST_SIZE


def reply_size(buf: "bytes | bytearray | memoryview", size: int, count: int) -> int:
    """Length of the reply whose first `size` bytes are there: an exception is shorter than what
    was asked for.
    """
    if size >= 2 and buf[1] & 0x80:
        return EXCEPTION_SIZE
    return 5 + 2 * count


def check_reply(
    buf: "bytes | bytearray | memoryview", size: int, unit: int, function: int, count: int
) -> None:
    """Return when buf holds the whole, undamaged answer to that request; its registers start at
    buf[3].

    Raises ModbusCrcError for damage, ModbusException when the slave refused, ModbusReplyError for
    anything else."""
    if size < EXCEPTION_SIZE:
        raise ModbusReplyError(f"{size} bytes are no reply")
    if crc16(buf, size - 2) != buf[size - 2] | buf[size - 1] << 8:
        raise ModbusCrcError("check sum of the reply is wrong")
    if buf[0] != unit:
        raise ModbusReplyError(f"unit {buf[0]} answered instead of {unit}")
    if buf[1] == function | 0x80 and size == EXCEPTION_SIZE:
        raise ModbusException(buf[2])
    if buf[1] != function:
        raise ModbusReplyError(f"function {buf[1]} answered instead of {function}")
    if buf[2] != 2 * count or size != 5 + 2 * count:
        raise ModbusReplyError(f"{size} bytes instead of {5 + 2 * count}")
