"""The RFID reader's frames, byte for byte (facts/zvt.md and NXP UM0701-02). On CPython and both
MicroPython builds.
"""

from firmware.errors import FrameError
from firmware.terminal import pn532


def hexed(text):
    return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])


def took(text):
    """(used, answer) of bytes in hex."""
    data = hexed(text)
    buf = bytearray(pn532.ROOM)
    buf[: len(data)] = data
    return pn532.take(memoryview(buf), len(data))


def refused(text):
    try:
        took(text)
    except FrameError as e:
        return e.used
    raise AssertionError("not refused: " + text)


def test_commands_are_these_bytes():
    for command, wanted in (
        (pn532.SAM_NORMAL, "0000ff03fdd414011700"),
        (pn532.VERSION, "0000ff02fed4022a00"),
        (pn532.ONE_CARD, "0000ff04fcd44a0100e100"),
        (pn532.FIELD_OFF, "0000ff04fcd4320100f900"),
        (pn532.FEW_TRIES, "0000ff06fad43205ff0102f300"),
    ):
        assert pn532.frame(command) == hexed(wanted)
    assert pn532.WAKE == hexed("5555000000") and pn532.ACK == hexed("0000ff00ff00")


def test_uids_of_four_seven_and_ten_bytes():
    for frame, uid in (
        (
            "0000ff0cf4d54b0101000408041ca72f08d400",
            "1ca72f08",
        ),
        (
            "0000ff15ebd54b01010044200704c8b2ae4f80310675778102805200",
            "04c8b2ae4f8031",
        ),
        (
            "0000ff12eed54b01010044200a88112233445566778899eb00",
            "88112233445566778899",
        ),
    ):
        used, answer = took(frame)
        assert used == len(frame) // 2 - 1  # the 00 at the end is as noise
        assert pn532.uid_of(answer) == hexed(uid)
    assert pn532.uid_of(b"\x4b\x00") == b""


def test_acknowledgements_answers_and_what_is_not_whole_yet():
    assert took("0000ff00ff00") == (5, pn532.ACKED)
    assert took("0000ff02fed51516" + "00") == (8, b"\x15")
    assert took("0000ff06fad50332010607e800") == (12, hexed("0332010607"))
    whole = "0000ff06fad50332010607e8"
    for cut in range(0, len(whole), 2):
        assert took(whole[:cut])[1] is None


def test_noise_before_a_frame_is_dropped_and_a_start_at_the_end_is_kept():
    assert took("55aa0102" + "0000ff00ff00") == (9, pn532.ACKED)
    assert took("55aa01ff") == (4, None)
    assert took("55aa0100") == (3, None)
    assert took("55aa010000ff") == (4, None)


def test_wrong_lengths_check_sums_and_the_readers_own_no_are_refused():
    assert refused("0000ff02ffd5151600") == 3  # length and its complement
    assert refused("0000ff02fed5151700") == 3  # check sum
    assert refused("0000ff02fed4151700") == 3  # from the host
    assert refused("0000ffff0000") == 3  # NACK
    assert refused("0000ff01ff7f8100") == 3  # error frame
    assert refused("0000fffa06" + "00" * 20) == 3  # more than any answer of ours
    for answer in (b"", b"\x4b", b"\x4b\x01", hexed("4b010100040803010203"), b"\x15\x00",
                   hexed("4b01010004080701020304")):  # fmt: skip
        try:
            pn532.uid_of(answer)
        except FrameError:
            continue
        raise AssertionError(answer)


def test_no_bytes_end_the_search_for_a_frame():
    """Whatever comes, the search goes on and never past the end."""
    state = 12345
    for _ in range(300):
        data = bytearray(pn532.ROOM)
        n = 0
        for i in range(pn532.ROOM):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            data[i] = (0, 0xFF, 0xD5, state >> 16 & 0xFF)[state >> 8 & 3]
            n = i + 1
        while n:
            try:
                used, _ = pn532.take(memoryview(data), n)
            except FrameError as e:
                used = e.used
            assert 0 <= used <= n
            if not used:
                break
            data[: n - used] = data[used:n]
            n -= used
