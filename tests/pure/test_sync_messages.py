"""JSON out and in, the clock, the time protocol."""

from firmware import clock
from firmware.errors import FieldError
from firmware.sync import messages, timesync
from tests.pure.sync_support import refused


class Board:
    now = 1000

    def uptime_ms(self):
        return self.now


def test_fields_go_in_the_order_of_their_names():
    assert (
        messages.dump({"b": 1, "a": [1, 2], "c": {"x": None}}).replace(b" ", b"")
        == b'{"a":[1,2],"b":1,"c":{"x":null}}'
    )


def test_text_is_utf_8_and_escaped():
    out = messages.dump({"t": 'K\u00f6ln "A"\n\u20ac'})
    assert messages.parse(out) == {"t": 'K\u00f6ln "A"\n\u20ac'}


def test_what_is_no_json_object_is_refused():
    for payload in (
        b"",
        b"[]",
        b"5",
        b'"x"',
        b"{",
        b'{"a":1',
        b"\xff\xfe",
        b"null",
        b"nul",
        b"{}x",
        b"\x00" * 50,
    ):
        assert "JSON object" in refused(FieldError, messages.parse, payload).reason, payload
    assert refused(FieldError, messages.parse, None).reason == "too large"


def test_the_clock_is_unknown_until_told():
    board = Board()
    wall = clock.WallClock(board)
    assert wall.epoch_ms() == 0 and not wall.known
    assert wall.set(1767225600000, "network") == clock.SET
    board.now += 250
    assert wall.epoch_ms() == 1767225600250 and wall.known and wall.source == "network"


def test_absurd_times_are_refused():
    wall = clock.WallClock(Board())
    for epoch_ms in (0, -5, 1600000000000, 4102444800000, 1 << 62):
        assert wall.set(epoch_ms, "network") == clock.REFUSED
    assert not wall.known


def test_the_terminals_time_counts_until_the_network_speaks():
    board = Board()
    wall = clock.WallClock(board)
    assert wall.set(1767225600000, "terminal") == clock.SET
    assert wall.set(1767225660000, "terminal") == clock.STEPPED
    assert wall.set(1767225600000, "network") == clock.STEPPED
    assert wall.set(1767229200000, "terminal") == clock.OUTRANKED
    board.now += 86400001
    assert wall.set(1767999999000, "terminal") == clock.STEPPED


def test_no_step_back_while_a_session_runs():
    board = Board()
    wall = clock.WallClock(board)
    wall.set(1767225600000, "network")
    wall.in_session = True
    assert wall.set(1767225590000, "network") == clock.BACK and wall.epoch_ms() == 1767225600000
    assert wall.set(1767225599000, "network") == clock.SET and wall.epoch_ms() == 1767225599000
    assert wall.set(1767225700000, "network") == clock.STEPPED
    wall.in_session = False
    assert wall.set(1767225600000, "network") == clock.STEPPED and wall.last_step_ms == -100000


def test_drift_is_measured_between_two_words_of_the_network():
    board = Board()
    wall = clock.WallClock(board)
    wall.set(1767225600000, "network")
    board.now += 3600000
    wall.set(1767225600000 + 3600000 + 180, "network")
    assert wall.drift_ppm == 50


def answer(**changes):
    message = bytearray(48)
    message[0] = changes.get("head", 0x24)
    message[1] = changes.get("stratum", 2)
    message[24:32] = changes.get("originate", b"NONCE678")
    message[40:48] = changes.get("transmit", b"\xed\x00\x15\x80\x80\x00\x00\x00")
    return bytes(message)


def test_an_answer_of_a_time_server():
    assert timesync.transmit_ms(answer(), b"NONCE678") == 0xED001580 * 1000 - 2208988800000 + 500


def test_times_after_2036_are_of_the_next_era():
    got = timesync.transmit_ms(answer(transmit=b"\x00\x00\x00\x01\x00\x00\x00\x00"), b"NONCE678")
    assert got == (4294967296 + 1 - 2208988800) * 1000


def test_an_answer_that_is_not_ours_is_refused():
    for changes in ({"head": 0x23}, {"head": 0x25}, {"originate": b"OTHERS__"}):
        assert (
            refused(FieldError, timesync.transmit_ms, answer(**changes), b"NONCE678").reason
            == "not our answer"
        )
    assert refused(FieldError, timesync.transmit_ms, answer()[:47], b"NONCE678")
    for changes in ({"head": 0xE4}, {"stratum": 0}, {"stratum": 16}, {"transmit": bytes(8)}):
        refused(FieldError, timesync.transmit_ms, answer(**changes), b"NONCE678")
