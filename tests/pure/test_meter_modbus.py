"""The Modbus RTU codec against literal bytes, and against rubbish. Runs on CPython and
MicroPython.

Vectors: Eastron SDM320Y user manual (06-2018 V1.0), page 42 (two readings); MODBUS Application
Protocol V1.1b3, 7."""

from firmware.errors import ModbusCrcError, ModbusError, ModbusException, ModbusReplyError
from firmware.meter.modbus import build_read, check_reply, crc16, reply_size

VOLTS = bytes.fromhex("010404436633341b38")
PULSE = bytes.fromhex("01030442c800006fb5")


def raised(function, *args):
    try:
        function(*args)
    except ModbusError as exc:
        return exc
    return None


def with_crc(text):
    body = bytes.fromhex(text)
    crc = crc16(body, len(body))
    return body + bytes((crc & 0xFF, crc >> 8))


def test_request_for_a_holding_register_is_the_manuals():
    buf = bytearray(8)
    assert build_read(buf, 1, 3, 0x000C, 2) == 8
    assert bytes(buf) == bytes.fromhex("0103000c00020408")


def test_request_for_an_input_register():
    buf = bytearray(8)
    build_read(buf, 1, 4, 0x0000, 2)
    assert bytes(buf) == bytes.fromhex("01040000000271cb")
    build_read(buf, 247, 3, 0xFF83, 125)
    assert bytes(buf[:6]) == bytes.fromhex("f703ff83007d")


def test_check_sum_of_nothing_and_of_the_standard_text():
    assert crc16(b"", 0) == 0xFFFF
    assert crc16(b"123456789", 9) == 0x4B37


def test_requests_the_protocol_does_not_have_are_refused():
    buf = bytearray(8)
    for args in (
        (0, 3, 0, 1),
        (248, 3, 0, 1),
        (1, 5, 0, 1),
        (1, 3, 0, 0),
        (1, 3, 0, 126),
        (1, 3, 65535, 2),
        (1, 3, -1, 1),
    ):
        try:
            build_read(buf, *args)
        except ValueError:
            continue
        raise AssertionError(args)


def test_whole_answers_pass():
    check_reply(VOLTS, 9, 1, 4, 2)
    check_reply(PULSE, 9, 1, 3, 2)


def test_every_single_flipped_bit_is_found():
    for bit in range(8 * len(VOLTS)):
        damaged = bytearray(VOLTS)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert isinstance(raised(check_reply, damaged, 9, 1, 4, 2), ModbusCrcError), bit


def test_every_shorter_piece_is_refused():
    for size in range(9):
        assert raised(check_reply, VOLTS, size, 1, 4, 2) is not None, size


def test_answer_of_another_unit_function_or_length_is_refused():
    for unit, function, count in ((2, 4, 2), (1, 3, 2), (1, 4, 1), (1, 4, 3)):
        exc = raised(check_reply, VOLTS, 9, unit, function, count)
        assert isinstance(exc, ModbusReplyError)
    lying = with_crc("01040643663334")
    assert isinstance(raised(check_reply, lying, 9, 1, 4, 2), ModbusReplyError)


def test_exception_answer_has_its_code():
    frame = bytes.fromhex("018402c2c1")
    assert reply_size(frame, 2, 40) == 5
    assert reply_size(frame, 1, 40) == 85
    exc = raised(check_reply, frame, 5, 1, 4, 40)
    assert isinstance(exc, ModbusException) and exc.code == 2
    assert isinstance(raised(check_reply, frame, 5, 1, 3, 40), ModbusReplyError)


def test_rubbish_raises_only_declared_errors():
    state = 12345
    buf = bytearray(64)
    for turn in range(3000):
        state = (state * 1103 + 12345) % 65521
        size = state % 40
        for i in range(size):
            state = (state * 1103 + 12345) % 65521
            buf[i] = state & 0xFF
        if turn & 1 and size >= 5:
            crc = crc16(buf, size - 2)
            buf[size - 2] = crc & 0xFF
            buf[size - 1] = crc >> 8
        raised(check_reply, buf, size, 1, 4, state % 16)
        reply_size(buf, size, 2)
