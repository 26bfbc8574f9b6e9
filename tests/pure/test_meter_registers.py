"""Register types from their bits: edges by hand, the rest against plain big-integer arithmetic."""

from firmware.meter.registers import (
    CODES,
    decode,
    float32_step,
    text,
    type_of,
    words_of,
)


def value(code, bits, power=0, low_first=False):
    return decode(bytes.fromhex(bits.replace(" ", "")), 0, type_of(code), low_first, power)


def test_int16():
    assert value("h", "0000") == 0
    assert value("h", "7ffe") == 32766
    assert value("h", "ffff") == -1
    assert value("h", "8001") == -32767
    assert value("h", "7fff") is None
    assert value("h", "8000") is None
    assert value("h", "fff6", 2) == -1000
    assert value("h", "fff6", -1) == -1


def test_uint16():
    assert value("H", "fffe") == 65534
    assert value("H", "ffff") is None
    assert value("H", "0019", -1) == 2


def test_int32_both_word_orders():
    assert value("i", "0001 0000") == 65536
    assert value("i", "0001 0000", 0, True) == 1
    assert value("i", "0000 0001", 0, True) == 65536
    assert value("i", "7fff fffe") == 2147483646
    assert value("i", "3fff ffff") == 1073741823
    assert value("i", "4000 0000") == 1073741824
    assert value("i", "bfff ffff") == -1073741825
    assert value("i", "ffff ffff") == -1
    assert value("i", "7fff ffff") is None
    assert value("i", "8000 0000") is None
    assert value("i", "ffff 7fff", 0, True) is None
    assert value("i", "d687 0012", 2, True) == 123456700


def test_uint32():
    assert value("I", "ffff fffe") == 4294967294
    assert value("I", "ffff ffff") is None
    assert value("I", "8000 0000") == 2147483648
    assert value("I", "05f5 e0ff", 1) == 999999990


def test_int64_and_uint64():
    assert value("q", "0000 0000 075b cd15") == 123456789
    assert value("q", "ffff ffff ffff ffff") == -1
    assert value("q", "7fff ffff ffff fffe") == 9223372036854775806
    assert value("q", "7fff ffff ffff ffff") is None
    assert value("q", "8000 0000 0000 0000") is None
    assert value("Q", "ffff ffff ffff ffff") is None
    assert value("Q", "ffff ffff ffff fffe") == 18446744073709551614
    assert value("Q", "0000 0000 0001 0000", 1) == 655360
    assert value("Q", "0001 0000 0000 0000", 0, True) == 1


def test_float32_edges():
    assert value("f", "4366 3334", 3) == 230200  # 230.2000122...
    assert value("f", "3f80 0000", 3) == 1000
    assert value("f", "0000 0000", 3) == 0
    assert value("f", "8000 0000", 3) == 0
    assert value("f", "0000 0001", 3) == 0  # smallest denormal
    assert value("f", "007f ffff", 18) == 0
    assert value("f", "3fff ffff", 0) == 1
    assert value("f", "bfff ffff", 0) == -1
    assert value("f", "4b7f ffff", 0) == 16777215
    assert value("f", "4b80 0000", 3) == 16777216000
    assert value("f", "7f7f ffff", 0) == 0xFFFFFF << 104
    assert value("f", "3a83 126e", 3) == 0  # just below 0.001 kWh
    assert value("f", "3a83 126f", 3) == 1
    assert value("f", "449a 5225", 3) == 1234567
    assert value("f", "5225 449a", 3, True) == 1234567
    assert value("f", "42c8 0000", -1) == 10


def test_float32_that_is_no_number():
    for bits in ("7fc0 0000", "7f80 0000", "ff80 0000", "7f80 0001", "ffff ffff", "ffc0 0000"):
        assert value("f", bits, 3) is None, bits


def test_float32_against_big_integers():
    state = 1
    for exponent in range(1, 255):
        for power in (-1, 0, 3, 6):
            state = (state * 1103 + 12345) % 65521
            high = exponent << 7 | state & 0x7F
            low = (state * 37) & 0xFFFF
            significand = 0x800000 | (state & 0x7F) << 16 | low
            scaled = significand * (1, 1000, 1000000)[power // 3 if power > 0 else 0]
            shift = 150 - exponent
            expected = scaled >> shift if shift > 0 else scaled << -shift
            if power < 0:
                expected //= 10
            bits = bytes((high >> 8, high & 0xFF, low >> 8, low & 0xFF))
            assert decode(bits, 0, type_of("f"), False, power) == expected, (exponent, power)
            minus = bytes((bits[0] | 0x80, bits[1], bits[2], bits[3]))
            assert decode(minus, 0, type_of("f"), False, power) == -expected


def test_float64_edges():
    assert value("d", "3ff0 0000 0000 0000", 3) == 1000
    assert value("d", "0000 0000 0000 0001") == 0
    assert value("d", "7ff8 0000 0000 0000") is None
    assert value("d", "7ff0 0000 0000 0000") is None
    assert value("d", "ffff ffff ffff ffff") is None
    assert value("d", "4132 d687 0000 0000") == 1234567
    assert value("d", "4132 d686 ffff ffff") == 1234566
    assert value("d", "c132 d687 8000 0000") == -1234567
    assert value("d", "433f ffff ffff ffff") == 9007199254740991
    assert value("d", "4340 0000 0000 0000", 3) == 9007199254740992000


def test_float64_against_big_integers():
    state = 7
    for exponent in range(900, 1150):
        words = [0, 0, 0, 0]
        for i in range(4):
            state = (state * 1103 + 12345) % 65521
            words[i] = state
        significand = 0
        for i in range(4):
            significand = significand << 16 | words[i]
        significand = significand & ((1 << 52) - 1) | 1 << 52
        words[0] = exponent << 4 | words[0] & 0xF
        bits = bytes(byte for word in words for byte in (word >> 8, word & 0xFF))
        shift = 1075 - exponent
        for power in (-2, 0, 3):
            scaled = significand * (1000 if power == 3 else 1)
            expected = scaled >> shift if shift > 0 else scaled << -shift
            if power < 0:
                expected //= 100
            assert decode(bits, 0, type_of("d"), False, power) == expected, (exponent, power)


def test_decade_types_of_the_iskra_meter():
    assert value("T", "ff00 0900", 3) == 230400  # 2304 * 10^-1 V in mV
    assert value("T", "0000 0005", 0) == 5
    assert value("t", "fdff ffff", 0) == 0  # -1 * 10^-3
    assert value("t", "00ff fff6", 0) == -10
    assert value("t", "02ff ffff", 0) == -100
    assert value("T", "0280 0000", 0) == 8388608 * 100
    assert value("t", "7f00 0001", 0) is None


def test_bcd():
    assert value("b", "1234 5678") == 12345678
    assert value("b", "0000 0010", 2) == 1000
    assert value("b", "1234 567a") is None


def test_words_and_letters():
    sizes = {"h": 1, "H": 1, "i": 2, "I": 2, "f": 2, "t": 2, "T": 2, "b": 2, "q": 4, "Q": 4}
    for code in CODES:
        assert words_of(type_of(code)) == sizes.get(code, 4 if code == "d" else 0)


def test_step_of_a_float_grows_with_it():
    assert float32_step(bytes.fromhex("449a5225"), 0, False, 3) == 1  # 1234 kWh: 0.12 Wh
    assert float32_step(bytes.fromhex("46800000"), 0, False, 3) == 2  # 16384 kWh: 1.95 Wh
    assert float32_step(bytes.fromhex("47c35000"), 0, False, 3) == 8  # 100 MWh: 7.8 Wh
    assert float32_step(bytes.fromhex("000047c3"), 0, True, 3) == 8
    assert float32_step(bytes.fromhex("4b800000"), 0, False, 0) == 2
    assert float32_step(bytes(4), 0, False, 3) == 1


def test_text_keeps_what_can_be_printed():
    assert text(b"\0BX 12\0\xff\n", 1, 8) == "BX12"


def test_any_bits_decode_without_an_error():
    state = 99
    buf = bytearray(8)
    for _ in range(1500):
        for i in range(8):
            state = (state * 1103 + 12345) % 65521
            buf[i] = state & 0xFF
        for code in "hHiIqQfdtTb":
            result = decode(buf, 0, type_of(code), bool(state & 1), state % 7 - 3)
            assert result is None or isinstance(result, int)


def test_a_power_no_meter_means_is_not_available():
    for power in (19, 300, 32767, -19, -300, -32768):
        assert value("i", "0000 0001", power) is None, power
        assert value("t", "0000 0001", power) is None, power
    assert value("t", "8000 0001", 0) is None  # 1 * 10^-128
    assert value("i", "0000 0001", 18) == 10**18
    assert value("Q", "7fff ffff ffff ffff", -18) == 9
