"""firmware.sync on 32-bit MicroPython against a real mosquitto with mutual TLS and the real back
office."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hostsim.backoffice import contract, signing
from hostsim.clock import WorldClock
from hostsim.pki import Pki
from hostsim.timeserver import TimeServer
from tests import mpy
from tests.mqtt_schemas import validate
from tests.sync import sync_rig
from tests.sync.sync_rig import Rig, until
from tests.sync.test_broker import context_of

pytestmark = pytest.mark.skipif(not mpy.has_32_bit(), reason=mpy.NO_32_BIT)


class Listener:
    """Hears everything as the back office may, and holds every message to the contract."""

    def __init__(self, rig: Rig) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.broken: list[str] = []
        self._rig = rig
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hear()), daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert self.broken == []

    async def _hear(self) -> None:
        rig = self._rig
        context = context_of(rig.pki, rig.pki.back_office)
        async with aiomqtt.Client(
            rig.broker.host, rig.broker.office_port, tls_context=context
        ) as client:
            await client.subscribe("forecourt/v1/+/+", qos=1)
            taking = asyncio.create_task(self._take_all(client))
            self._ready.set()
            await asyncio.to_thread(self._stop.wait)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take_all(self, client: aiomqtt.Client) -> None:
        """Never with a time-out on each: one that fits a message's coming would lose it."""
        async for message in client.messages:
            self._take(message)

    def _take(self, message: aiomqtt.Message) -> None:
        topic = str(message.topic)
        assert isinstance(message.payload, bytes)
        try:
            self.messages.append((topic.rpartition("/")[2], validate(topic, message.payload)))
        except AssertionError as exc:
            self.broken.append(str(exc))

    def named(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            m
            for n, m in self.messages
            if n == name and all(m.get(k) == v for k, v in fields.items())
        ]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with sync_rig.rig(tmp_path) as found:
        yield found


def send(rig: Rig, name: str, payload: bytes | str, charger: str = "CP1") -> None:
    """Publish as the back office, whatever it is."""
    data = payload.encode() if isinstance(payload, str) else payload
    rig.office._connection.send(contract.topic(charger, name), data, False)


def assert_exactly_once(rig: Rig, sessions: int, charger: str = "CP1") -> None:
    records = rig.office.records(charger)
    assert [record["seq"] for record in records] == list(range(1, 7 * sessions + 1))
    books = rig.office.books(charger)
    assert books["captured_minor"] == 119 * sessions and books["billed_wh"] == 1000 * sessions
    assert (
        books["authorised_minor"]
        == books["captured_minor"] + books["released_minor"]
        == 6000 * sessions
    )
    grave = [p for p in rig.office.problems() if p["code"] != "odd_record"]  # bills made by hand
    assert grave == []


def test_records_are_stored_once_and_freed_by_the_back_office(rig: Rig) -> None:
    with Listener(rig) as listener:
        charger = rig.charger()
        charger.expect("online")
        charger.order("append", 5)
        charger.order(
            "status", {"state": "free", "version": "0.1", "connector": 1, "heap_free": 1000}
        )
        charger.order("session", {"session": 0, "state": "free", "price_minor": 0})
        charger.order("log", "käse " * 100)
        until(charger.synced)
        until(lambda: listener.named("log", level="info"))
        until(lambda: listener.named("session"))
    assert charger.tell()["acked"] == 35
    assert_exactly_once(rig, 5)
    births = listener.named("status", online=True)
    assert births and births[0]["epoch"] == charger.epoch
    seen = rig.office.chargers()[0]
    assert seen["online"] and seen["status"]["version"] == "0.1" and seen["committed_seq"] == 35


def test_what_was_written_offline_is_delivered_later(rig: Rig) -> None:
    rig.broker.stop()
    charger = rig.charger()
    charger.order("append", 12)
    time.sleep(0.5)
    assert charger.tell()["acked"] == 0
    rig.broker.start()
    until(charger.synced)
    assert_exactly_once(rig, 12)


def test_the_link_survives_a_broker_restart(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    charger.order("append", 3)
    rig.broker.restart()
    charger.order("append", 3)
    until(charger.synced)
    assert charger.tell()["connections"] >= 2
    assert_exactly_once(rig, 6)


def test_a_half_open_connection_is_found_and_left(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    rig.broker.pause()
    charger.order("append", 3)
    gone = charger.expect("offline", timeout=10)
    assert gone["reason"] in ("no PINGRESP", "no PUBACK", "stalled")
    rig.broker.resume()
    charger.expect("online")
    until(charger.synced)
    assert_exactly_once(rig, 3)


def test_a_back_office_that_was_away_gets_everything_at_once(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    charger.order("append", 2)
    until(charger.synced)
    rig.office.end()
    charger.order("append", 6)
    time.sleep(6)  # sent again after 5 s, in vain; of its own accord not before another 10
    assert charger.tell()["acked"] == 14
    rig.office.begin()
    began = time.monotonic()
    until(charger.synced)
    assert time.monotonic() - began < 8, "it waited for its own timer instead of being asked"
    assert_exactly_once(rig, 8)


def test_restarts_of_everything_at_any_moment_lose_and_double_nothing(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    for turn in range(4):
        charger.order("append", 6)
        if turn % 2:
            rig.broker.restart()
        else:
            rig.office.end()
            rig.office.begin()
    until(charger.synced, 30)
    assert_exactly_once(rig, 24)


def test_a_power_cut_marks_it_offline_and_a_close_says_so(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    until(lambda: rig.office.chargers() and rig.office.chargers()[0]["online"])
    charger.kill()
    until(lambda: not rig.office.chargers()[0]["online"])
    assert rig.office.chargers()[0]["status"]["reason"] == "lost"
    second = rig.charger()
    until(lambda: rig.office.chargers()[0]["online"])
    second.order("close")
    second.expect("ended", reason="closed")
    until(lambda: rig.office.chargers()[0]["status"].get("reason") == "closed")


def test_the_network_going_down_is_noticed_at_once(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    charger.order("network", False)
    charger.expect("offline", reason="network down")
    charger.order("append", 1)
    charger.order("network", True)
    until(charger.synced)
    assert_exactly_once(rig, 1)


@pytest.mark.parametrize("fault", ["none", "stranger", "host"])
def test_without_the_right_certificates_there_is_no_connection(
    rig: Rig, tmp_path: Path, fault: str
) -> None:
    changes: dict[str, Any] = {}
    if fault == "host":
        changes = {"server_name": "elsewhere.example"}
    elif fault == "stranger":
        Pki(tmp_path / "other").charger("CP1").install(tmp_path / "stranger")
        changes = {
            "cert": str(tmp_path / "stranger/charger.crt"),
            "key": str(tmp_path / "stranger/charger.key"),
        }
    else:
        Pki(tmp_path / "other").charger("CP1").install(tmp_path / "stranger")
        changes = {"ca": str(tmp_path / "stranger/ca.crt")}
    charger = rig.charger(mqtt=changes)
    time.sleep(1)
    figures = charger.tell()
    assert (
        not figures["online"] and figures["connections"] == 0 and figures["reason"] != "starting"
    )
    assert charger.errors() == ""


def test_tariff_and_config_are_taken_once_and_answered(rig: Rig) -> None:
    with Listener(rig) as listener:
        charger = rig.charger()
        charger.expect("online")
        tariff = {
            "id": "T9",
            "currency": "EUR",
            "elements": [{"price_components": [{"type": "ENERGY", "price": 0.5}]}],
        }
        rig.office.send_tariff("CP1", json.dumps(tariff))
        charger.expect("tariff", id="T9")
        rig.office.send_config("CP1", json.dumps({"charger": "CP1"}))
        charger.expect("config")
        until(lambda: len(listener.named("result", ok=True)) == 2)
        charger.order("network", False)
        charger.expect("offline")
        charger.order("network", True)
        charger.expect("online")
        charger.order("append", 1)
        until(charger.synced)
    assert len([e for e in charger.events if e["ev"] in ("tariff", "config")]) == 2
    assert len(listener.named("result")) == 2


def test_a_malformed_message_is_answered_and_changes_nothing(rig: Rig) -> None:
    with Listener(rig) as listener:
        charger = rig.charger()
        charger.expect("online")
        send(rig, "tariff", b'{"id":"X"}')
        send(rig, "command", b"\xff\xfe{")
        send(rig, "command", b"[]")
        send(rig, "ack", b"nonsense")
        send(rig, "ack", b'{"epoch":1,"seq":99}')
        send(rig, "command", b"{" * 3000)
        send(rig, "config", b"x" * 30000)
        until(lambda: len(listener.named("result", ok=False)) == 5)
        charger.order("append", 1)
        until(charger.synced)
        until(lambda: len(listener.named("log", level="warning")) >= 6)
        listener.messages[:] = [m for m in listener.messages if m[0] == "result"]
    tariff = listener.named("result", about="tariff")[0]
    assert (tariff["field"], tariff["reason"]) == ("elements", "must be given")
    assert listener.named("result", about="config")[0]["reason"] == "too large"
    assert all(
        m["reason"] == "must be a JSON object" for m in listener.named("result", about="command")
    )
    assert charger.tell()["connections"] == 1
    assert_exactly_once(rig, 1)


def test_an_acknowledgement_of_a_number_never_given_is_an_alarm_once(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    for seq in (500, 501):
        send(rig, "ack", json.dumps({"epoch": charger.epoch, "seq": seq}))
    until(lambda: rig.office.problems() != [])
    charger.order("append", 1)
    until(charger.synced)
    records = rig.office.records("CP1")
    assert [record["seq"] for record in records] == list(range(1, 9))
    assert [r["code"] for r in records if r["type"] == "alarm"] == ["flash_copied"]


def commanded(rig: Rig, charger: sync_rig.SyncCharger) -> list[dict[str, Any]]:
    return [event["command"] for event in charger.events if event["ev"] == "command"]


def test_a_signed_command_is_done_once_and_its_result_comes_back(rig: Rig) -> None:
    with Listener(rig) as listener:
        charger = rig.charger()
        charger.expect("online")
        identity = rig.office.send_command("CP1", "report", depth=3, text="käse")
        until(lambda: rig.office.commands()[0]["state"] == "ok")
        assert rig.office.commands()[0]["result"]["data"] == {"depth": 3, "text": "käse"}
        refused = rig.office.send_command("CP1", "forbidden")
        until(lambda: rig.office.commands()[0]["state"] == "refused")
        until(charger.synced)
        until(lambda: bool(listener.named("result", id=refused)))
    done = commanded(rig, charger)
    assert [c["id"] for c in done] == [identity]
    assert listener.named("result", id=refused)[0]["field"] == "name"
    assert not [e for e in charger.events if e["ev"] == "security"]
    grave = [p for p in rig.office.problems() if p["code"] != "odd_record"]  # bills made by hand
    assert grave == []


def test_replayed_expired_forged_and_foreign_commands_do_nothing(rig: Rig) -> None:
    now = time.time_ns() // 1_000_000
    key, other = rig.pki.charger("CP1").command_key, rig.pki.charger("CP2").command_key

    def command(
        identity: str, counter: int, device: str = "CP1", expires: int = now + 60000, k: str = key
    ) -> str:
        return signing.sign(k, identity, device, counter, expires, "report", {})

    with Listener(rig) as listener:
        charger = rig.charger()
        charger.expect("online")
        send(rig, "command", command("good", 5))
        charger.expect("command")
        send(rig, "command", command("second", 6))
        charger.expect("command")
        send(rig, "command", command("good", 5))
        send(rig, "command", command("late", 7, expires=now - 1))
        send(rig, "command", command("forged", 8, k=other))
        send(rig, "command", command("foreign", 9, device="CP2", k=other))
        send(rig, "command", command("changed", 10).replace("report", "restart"))
        wanted = {
            "good": "replayed",
            "late": "expired",
            "forged": "forged",
            "foreign": "foreign",
            "changed": "forged",
        }
        for identity, code in wanted.items():
            until(partial(listener.named, "result", id=identity, ok=False, code=code))
        send(rig, "command", command("third", 7))
        charger.expect("command")
    assert [c["id"] for c in commanded(rig, charger)] == ["good", "second", "third"]
    events = [e for e in charger.events if e["ev"] == "security"]
    codes = ["replayed", "expired", "forged", "foreign"]
    assert [e["code"] for e in events] == ["command_" + c for c in codes], "each once a minute"


def test_a_command_again_after_its_result_was_lost_is_no_attack(rig: Rig) -> None:
    now = time.time_ns() // 1_000_000
    message = signing.sign(
        rig.pki.charger("CP1").command_key, "c1", "CP1", 1, now + 60000, "report", {"a": 1}
    )
    with Listener(rig) as listener:
        charger = rig.charger()
        charger.expect("online")
        send(rig, "command", message)
        send(rig, "command", message)
        until(lambda: len(listener.named("result", id="c1", ok=True)) == 2)
    assert len(commanded(rig, charger)) == 1
    assert not [e for e in charger.events if e["ev"] == "security"]


def test_without_the_time_a_command_waits_for_it(rig: Rig) -> None:
    with Listener(rig) as listener:
        charger = rig.charger(epoch_ms=0)
        charger.expect("online")
        rig.office.send_command("CP1", "report")
        until(lambda: listener.named("result", code="not_yet"))
        assert rig.office.commands()[0]["state"] == "sent"
        charger.order("clock", time.time_ns() // 1_000_000)
        until(lambda: rig.office.commands()[0]["state"] == "ok")
    assert not [e for e in charger.events if e["ev"] == "security"], "it is no attack"


def test_the_network_tells_the_time_of_the_world(rig: Rig) -> None:
    clock = WorldClock(start_epoch_ms=1_800_000_000_000)
    server = TimeServer(clock)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
    try:
        charger = rig.charger(epoch_ms=0, time={"server": "127.0.0.1", "port": server.port})
        told = charger.expect("time")
        assert told["answer"] == "set" and abs(told["epoch_ms"] - clock.now_ms()) < 500
        server.silent = True
        deaf = rig.charger("CP2", epoch_ms=0, time={"server": "127.0.0.1", "port": server.port})
        deaf.expect("online")
        assert not [e for e in deaf.events if e["ev"] == "time"]
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def test_two_chargers_at_once_stay_apart(rig: Rig) -> None:
    chargers = [rig.charger(name) for name in ("CP1", "CP2")]
    for charger in chargers:
        charger.expect("online")
        charger.order("append", 4)
    for charger in chargers:
        until(charger.synced)
    for name in ("CP1", "CP2"):
        assert_exactly_once(rig, 4, name)


def test_a_backlog_drains_while_the_loop_stays_free(rig: Rig) -> None:
    """Told by what is done at a stretch, not by a clock: the machine may be busy."""
    charger = rig.charger()
    charger.expect("online")
    rig.office.end()
    charger.order("append", 20)
    charger.order("count")
    rig.office.begin()
    until(charger.synced, 30)
    found = charger.tell()
    assert_exactly_once(rig, 20)
    assert found["pieces"] >= 140  # a record each
    assert found["in_a_row"] <= 8, "half a window of records without a turn for anybody else"
    assert found["touched"] < 2 * 140, "the whole ledger was walked at a stretch"


def test_the_64_bit_build_does_the_same(rig: Rig) -> None:
    charger = rig.charger(which="micropython")
    charger.expect("online")
    charger.order("append", 2)
    until(charger.synced)
    assert_exactly_once(rig, 2)
