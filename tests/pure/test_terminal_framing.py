"""ZVT serial framing: frames of facts/zvt.md byte for byte, damage, noise, fuzz."""

from firmware.errors import FrameError
from firmware.terminal import framing

# (APDU, frame) as computed and checked against captures (facts/zvt.md, "Serial transport")
FRAMES = (
    ("800000", "10028000001003F51F"),
    ("06000612345 6DE0978", "1002060006123456DE097810032C28"),
    ("06220D0400000000500049097819 40", "100206220D0400000000500049097819401003FE0F"),
    ("06230387FFFF", "100206230387FFFF1003FBBD"),
    ("0625081940870231490978", "1002062508194087023149097810036BC6"),
    ("06010A04000000011000490978", "100206010A0400000001101000490978 1003F2FF"),
    ("06010704000000044683", "10020601070400000004468310031010"),
)


def _bytes(text):
    return bytes.fromhex(text.replace(" ", ""))


def _feed(receiver, data):
    """All that came of these bytes: APDUs as bytes, controls as numbers, errors as text."""
    got: list = []
    for byte in data:
        try:
            n = receiver.feed(byte)
        except FrameError as e:
            got.append(("refused", str(e)))
            continue
        if n > 0:
            got.append(bytes(receiver.data[:n]))
        elif n:
            got.append(n)
    return got


def _frame(apdu):
    out = bytearray(2 * len(apdu) + 6)
    n = framing.encode(apdu, out)
    return bytes(out[:n])


def test_crc_is_kermit():
    assert framing.crc16(b"123456789") == 0x2189


def test_frames_byte_for_byte_out():
    for apdu, frame in FRAMES:
        assert _frame(_bytes(apdu)) == _bytes(frame), apdu


def test_frames_byte_for_byte_in():
    receiver = framing.Receiver(64)
    for apdu, frame in FRAMES:
        assert _feed(receiver, _bytes(frame)) == [_bytes(apdu)]
    assert receiver.noise == 0 and receiver.state < 2


def test_every_crc_that_looks_like_a_control_sequence():
    receiver = framing.Receiver(64)
    seen = 0
    for number in range(20000):
        apdu = bytes((6, 1, 2, number >> 8, number & 0xFF))
        frame = _frame(apdu)
        if frame[-2] == 0x10 or frame[-1] == 0x10:
            seen += 1
            assert _feed(receiver, frame) == [apdu]
    assert seen > 50


def test_a_frame_of_nothing_but_dle():
    apdu = bytes((0x10,)) * 40
    assert _feed(framing.Receiver(40), _frame(apdu)) == [apdu]


def test_acknowledgements_between_frames():
    assert _feed(framing.Receiver(8), b"\x06\x15\x06") == [-1, -2, -1]


def test_acknowledgement_bytes_inside_a_frame_are_data():
    apdu = b"\x06\x15\x02\x06\x15"
    assert _feed(framing.Receiver(8), _frame(apdu)) == [apdu]


def test_noise_before_a_frame_is_skipped_and_counted():
    receiver = framing.Receiver(8)
    assert _feed(receiver, b"\x00\xff\x10\x55\x02\x03" + _frame(b"\x80\x00\x00")) == [
        b"\x80\x00\x00"
    ]
    assert receiver.noise > 0


def test_torn_frame_gives_way_to_the_next():
    torn = _frame(b"\x06\x22\x03\x01\x02\x03")[:-5]
    assert _feed(framing.Receiver(16), torn + _frame(b"\x80\x00\x00")) == [b"\x80\x00\x00"]


def test_reset_forgets_a_frame_that_has_begun():
    receiver = framing.Receiver(16)
    _feed(receiver, b"\x10\x02\x06\x22")
    assert receiver.state > 1
    receiver.reset()
    assert _feed(receiver, _frame(b"\x80\x00\x00")) == [b"\x80\x00\x00"]


def test_wrong_crc_is_refused_and_the_next_frame_taken():
    good = _frame(b"\x06\x0f\x00")
    for bit in range(8):
        for at in range(2, len(good)):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            receiver = framing.Receiver(16)
            got = _feed(receiver, bad)
            assert b"\x06\x0f\x00" not in got, (at, bit)
            got = _feed(receiver, good + good)
            assert b"\x06\x0f\x00" in got


def test_bad_escape_is_refused():
    assert _feed(framing.Receiver(16), b"\x10\x02\x80\x10\x41") == [("refused", "bad escape")]


def test_frame_without_a_whole_header_is_refused():
    assert _feed(framing.Receiver(16), _frame(b"\x80\x00")) == [("refused", "frame too short")]


def test_longest_frame_fits_and_one_more_does_not():
    receiver = framing.Receiver(32)
    whole = bytes(range(32))
    assert _feed(receiver, _frame(whole)) == [whole]
    got = _feed(receiver, _frame(whole + b"\x20"))
    assert got[0] == ("refused", "frame too long") and len(receiver.data) == 32
    assert _feed(receiver, _frame(whole)) == [whole]


def test_own_frame_that_does_not_fit_is_refused():
    try:
        framing.encode(b"\x80\x00\x00", bytearray(10))
    except FrameError as e:
        assert "too small" in str(e)
    else:
        raise AssertionError("must be refused")


def _noise(seed):
    while True:
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        yield seed >> 16 & 0xFF


def test_random_bytes_give_only_frame_errors():
    receiver = framing.Receiver(24)
    source = _noise(7)
    for _ in range(30000):
        byte = next(source)
        if byte < 40:  # more of what matters
            byte = (0x10, 0x02, 0x03, 0x06, 0x15)[byte % 5]
        try:
            assert -2 <= receiver.feed(byte) <= 24
        except FrameError:
            pass
    # two tries: the first may complete what the noise began
    frame = _frame(b"\x80\x00\x00")
    assert b"\x80\x00\x00" in _feed(receiver, frame + frame)
