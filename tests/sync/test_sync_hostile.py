"""Exactly once through a network that drops, doubles, swaps, delays and cuts; and parsers that
only say what they declare, whatever comes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.errors import FieldError, LinkError
from hostsim.backoffice.service import BackOffice, sqlite_url
from hostsim.broker_proxy import ANSWERS, PUBLISH, BrokerProxy, Faults
from tests import mpy
from tests.pure import sync_support  # noqa: F401 - gives CPython what the codec imports
from tests.sync import sync_rig
from tests.sync.sync_rig import Rig, SyncCharger, until
from tests.sync.test_sync_link import assert_exactly_once

from firmware.ledger.codec import Record  # isort: skip
from firmware.sync import codec, commands, messages, outbox, timesync  # isort: skip

needs_32_bit = pytest.mark.skipif(not mpy.has_32_bit(), reason=mpy.NO_32_BIT)
Proxied = tuple[Rig, BrokerProxy]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with sync_rig.rig(tmp_path) as found:
        yield found


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    with sync_rig.rig(tmp_path) as rig:
        proxy = BrokerProxy(rig.broker, rig.pki, seed=7)
        proxy.start()
        yield rig, proxy
        proxy.stop()


@needs_32_bit
@pytest.mark.parametrize(
    "faults",
    [
        Faults(drop=0.1),
        Faults(double=0.4, swap=0.3),
        Faults(cut=0.05, delay=0.1),
        Faults(drop=0.05, double=0.1, swap=0.1, delay=0.05, cut=0.03),
        Faults(swap=0.4, double=0.2, delay=0.2, cut=0.05, packets=ANSWERS, held_s=1),
        Faults(swap=0.1, half=0.02, packets=ANSWERS | PUBLISH, held_s=2),
    ],
    ids=["drop", "double and swap", "cut and delay", "all", "answers", "half open, far behind"],
)
def test_every_record_arrives_once(proxied: Proxied, faults: Faults) -> None:
    rig, proxy = proxied
    charger = rig.charger(mqtt={"port": proxy.port})
    charger.expect("online")
    proxy.faults = faults
    for _ in range(3):
        charger.order("append", 3)
        time.sleep(0.2)
    until(charger.synced, 60, "every record acknowledged")
    assert proxy.done, "the network did no harm"
    assert_exactly_once(rig, 9)


@needs_32_bit
def test_a_lost_answer_of_the_broker_is_waited_for_and_then_it_connects_anew(rig: Rig) -> None:
    with contextlib.ExitStack() as undo:
        lost = {}
        for number, packet in enumerate(sorted(ANSWERS)):
            proxy = BrokerProxy(rig.broker, rig.pki)
            proxy.start()
            undo.callback(proxy.stop)
            proxy.faults = Faults(drop=1, packets=frozenset({packet}))
            # With a short keep-alive the broker leaves before the charger gives up its welcome.
            keepalive_s = 2 if packet == "pingresp" else 60
            charger = rig.charger(
                f"CP{number}", mqtt={"port": proxy.port, "keepalive_s": keepalive_s}
            )
            charger.order("append", 1)
            lost[packet] = (charger, proxy)
        for packet, (charger, proxy) in lost.items():
            until_reason(charger, _REASONS[packet])
            assert proxy.done == {f"drop {packet}": proxy.done[f"drop {packet}"]}
            proxy.faults = Faults()
        for number, (charger, _) in enumerate(lost.values()):
            until(charger.synced, 40)
            assert_exactly_once(rig, 1, f"CP{number}")


def until_reason(charger: SyncCharger, reason: str) -> None:
    """It has left its connection for that reason."""
    until(lambda: charger.tell()["reason"] == reason, 40, reason)


_REASONS = {
    "connack": "no answer in time", "suback": "no answer in time", "pingresp": "no PINGRESP",
    "puback": "no PUBACK",
}  # fmt: skip


@needs_32_bit
@pytest.mark.parametrize(
    "faults",
    [
        Faults(drop=0.02, cut=0.02, double=0.1, packets=ANSWERS | PUBLISH),
        pytest.param(
            Faults(swap=0.3, delay=0.1, packets=ANSWERS | PUBLISH, held_s=1),
            marks=pytest.mark.long,
        ),
        Faults(drop=0.1, packets=frozenset({"connack", "suback"})),
        pytest.param(Faults(half=0.02, packets=ANSWERS | PUBLISH), marks=pytest.mark.long),
    ],
    ids=["drop, double and cut", "late", "no welcome", "half open"],
)
def test_the_back_office_behind_such_a_network_takes_every_record_once(
    tmp_path: Path, faults: Faults
) -> None:
    rig = Rig(tmp_path)
    rig.broker.start()
    proxy = BrokerProxy(rig.broker, rig.pki, seed=3)
    proxy.start()
    rig.office.close()
    rig.office = BackOffice(sqlite_url(tmp_path / "office.db"), proxy, rig.pki)
    try:
        rig.office.begin()
        assert rig.office.wait_connected()
        charger = rig.charger()
        charger.expect("online")
        proxy.faults = faults
        for _ in range(3):
            charger.order("append", 3)
            time.sleep(0.2)
            proxy.cut_all()
        until(charger.synced, 90)
        assert proxy.done, "the network did no harm"
        assert_exactly_once(rig, 9)
    finally:
        rig.stop()
        proxy.stop()


@needs_32_bit
def test_a_silent_network_is_left_and_everything_delivered_after_it(proxied: Proxied) -> None:
    rig, proxy = proxied
    charger = rig.charger(mqtt={"port": proxy.port})
    charger.expect("online")
    proxy.faults.silent = True
    charger.order("append", 3)
    charger.expect("offline", timeout=10)
    proxy.faults.silent = False
    proxy.cut_all()
    until(charger.synced, 30)
    assert_exactly_once(rig, 3)


@needs_32_bit
def test_a_command_that_is_lost_once_is_not_overtaken_by_the_next(proxied: Proxied) -> None:
    """Both are done, in their order, and nobody is called an attacker."""
    rig, proxy = proxied
    charger = rig.charger(mqtt={"port": proxy.port})
    charger.expect("online")
    charger.order("append", 1)
    until(charger.synced, 20)
    proxy.faults = Faults(drop=1.0)
    lost = rig.office.send_command("CP1", "report")
    until(lambda: proxy.done, 10, "the network lost something")
    proxy.faults = Faults()
    rig.office.send_command("CP1", "report")
    until(lambda: [c["state"] for c in rig.office.commands("CP1")] == ["ok", "ok"], 20)
    done = [e["command"]["id"] for e in charger.events if e["ev"] == "command"]
    assert len(done) == 2 and done[0] == lost
    assert [e for e in charger.events if e["ev"] == "security"] == []


QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(st.binary(max_size=200), st.integers(1, 64))
def test_the_codec_says_nothing_but_link_errors(data: bytes, step: int) -> None:
    got: list[object] = []
    tested = codec.Codec(b"CP1", 30, lambda topic, payload: got.append((topic, payload)))
    at = 0
    try:
        while at < len(data):
            room = tested.room()
            n = min(len(room), step, len(data) - at)
            assert n > 0
            room[:n] = data[at : at + n]
            at += n
            tested.took(n)
    except LinkError:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("abc\n\u20ac", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=5,
)


class _Ledger:
    epoch = 5
    next_seq = 10
    acked_seq = 3
    oldest_seq = 1

    def append(self, kind: str, **fields: object) -> int:
        assert kind == "alarm"
        return 10

    def read_after(self, seq: int) -> Record:
        return Record(seq + 1, "alarm", 1, 0, {"code": "c", "sess": 0, "detail": "\u20ac"})

    def acknowledge(self, epoch: int, seq: int) -> None:
        assert epoch == 5 and 3 < seq < 10


@QUICK
@given(st.binary(max_size=80) | st.text('{}[]":,019e.-tnul \\', max_size=80).map(str.encode))
def test_payloads_are_objects_or_field_errors(payload: bytes) -> None:
    try:
        assert isinstance(messages.parse(payload), dict)
    except FieldError:
        pass


@QUICK
@given(st.dictionaries(st.sampled_from(["epoch", "seq", "again", "check"]), JSON | st.just(5)))
def test_acknowledgements_are_taken_or_field_errors(message: dict[str, object]) -> None:
    try:
        outbox.Outbox(_Ledger()).on_ack(message)
    except FieldError:
        pass


NAMES = ("id", "device", "counter", "expires_at", "name", "args", "mac")


@QUICK
@given(st.dictionaries(st.sampled_from(NAMES), JSON | st.just("CP1") | st.integers(0, 9)))
def test_commands_that_nobody_signed_are_field_errors(message: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        commands.verify(message, "CP1", b"0123456789abcdef", 0, 1)


@QUICK
@given(st.binary(max_size=68), st.binary(min_size=8, max_size=8))
def test_time_answers_are_times_or_field_errors(answer: bytes, nonce: bytes) -> None:
    for data in (answer, b"\x24\x02" + bytes(22) + nonce + answer.ljust(16, b"x")):
        try:
            assert isinstance(timesync.transmit_ms(data, nonce), int)
        except FieldError:
            pass
