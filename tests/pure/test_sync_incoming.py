"""Whatever comes from the broker: nothing is raised, and what is said of it is true."""

import asyncio
import json
from binascii import hexlify

import tests.pure.sync_support  # noqa: F401 - first: umqtt on CPython
from firmware.errors import LedgerFull
from firmware.sync import codec, commands
from firmware.sync import sync as room
from firmware.sync.sync import Sync

KEY = b"0123456789abcdef0123456789abcdef"
NOW = 1767225600000


class Handlers:
    """The charger behind it."""

    def __init__(self):
        self.done = []
        self.events = []
        self.details = []
        self.event_room = True
        self.on_time = None

    full = 0
    walks = False

    def on_command(self, command):
        if self.full and not self.walks:
            self.full -= 1
            raise LedgerFull("command")
        return self._walked(command) if self.walks else self._do(command)

    def _do(self, command):
        self.done.append(command["counter"])
        return {"detail": "done"}

    async def _walked(self, command):
        if self.full:
            self.full -= 1
            raise LedgerFull("command")
        return self._do(command)

    def command_counter(self):
        return 0

    def on_security(self, code, detail):
        if not self.event_room:
            return 0
        self.events.append(code)
        self.details.append(detail)
        return 1


class Clock:
    source = "network"

    def epoch_ms(self):
        return NOW


class Ledger:
    epoch = 7
    next_seq = 2
    acked_seq = 0
    oldest_seq = 1


class Ticks:
    """MicroPython's on 32 bits: they go round after 12 days, and a difference has a sign."""

    ms = 0

    def ticks_ms(self):
        return self.ms % (1 << 30)

    def ticks_diff(self, later, earlier):
        return (later - earlier + (1 << 29)) % (1 << 30) - (1 << 29)


def sync_of(handlers):
    settings = {"charger_id": "CP1", "command_key": hexlify(KEY).decode(), "time": {},
                "mqtt": {"retry_min_ms": 100}}  # fmt: skip
    return Sync(settings, Ledger(), Clock(), None, handlers)


def command(**changes):
    message = {"id": "c1", "device": "CP1", "counter": 5, "expires_at": NOW + 1000,
               "name": "stop", "args": "{}"}  # fmt: skip
    message.update(changes)
    message["mac"] = hexlify(commands.hmac_sha256(KEY, commands.signed_bytes(message))).decode()
    return message


def said(sync, *payloads):
    """The codes of what is answered to these, "" for what was done."""
    for payload in payloads:
        sync.on_message(b"forecourt/v1/CP1/command", payload)
    codes = [result.get("code", "") for result in sync._results]
    sync._results.clear()
    return codes


def test_what_nobody_signed_is_malformed_and_kills_nothing():
    """Among it the very message that once did: a counter that is no number, and no mac, before any
    command was taken."""
    handlers = Handlers()
    sync = sync_of(handlers)
    kept = '"device":"CP1","expires_at":1,"name":"stop","args":"{}"'
    deep = "[" * 3000 + "]" * 3000
    for text in (
        '{"id":"a","counter":"x",%s}' % kept,
        '{"id":"a","counter":1.5,"mac":null,%s}' % kept,
        '{"id":"a","counter":%s,%s}' % (deep, kept),
        '{"id":%s,"counter":1,%s}' % (deep, kept),
        '{"id":"a","counter":%d,%s}' % (1 << 63, kept),
        '{"id":"a","device":["CP1"],"counter":1,"expires_at":1,"name":"stop","args":"{}"}',
        '{"id":"a","device":"CP1","counter":1,"expires_at":"x","name":"stop","args":"{}"}',
        '{"id":"a","device":"CP1","counter":1,"expires_at":1,"name":"stop","args":"%s"}'
        % ("x" * 9000),
        "{}",
    ):
        payload = text.encode()
        assert said(sync, payload) == ["malformed"], payload[:60]
    assert said(sync, None) == ["malformed"]
    assert handlers.done == [] and handlers.events == ["command_malformed"]


def test_a_wrong_type_is_never_the_last_command_again():
    handlers = Handlers()
    sync = sync_of(handlers)
    good = json.dumps(command()).encode()
    assert said(sync, good, good) == ["", ""] and handlers.done == [5]
    broken = command()
    broken["counter"] = "5"
    assert said(sync, json.dumps(broken).encode()) == ["malformed"]
    assert said(sync, json.dumps(command(id="c0", counter=4)).encode()) == ["replayed"]


def test_a_command_for_which_flash_is_full_is_not_used_up():
    for walks in (False, True):
        handlers = Handlers()
        handlers.full = 2
        handlers.walks = walks
        sync = sync_of(handlers)
        message = json.dumps(command()).encode()
        for answer in ("full", "full", "", ""):  # at last it is the last one again
            sync.on_message(b"forecourt/v1/CP1/command", message)
            if sync.work:
                asyncio.run(sync.work)
            assert said(sync) == [answer]
        assert handlers.done == [5] and handlers.events == []


def test_a_command_the_broker_kept_is_ignored_and_said_once():
    """Nobody sends one retained: it would work again with every connection."""
    handlers = Handlers()
    sync = sync_of(handlers)
    sync.link.codec = codec.Codec(b"CP1", 30, sync.on_message)
    body = json.dumps(command()).encode()
    topic = b"forecourt/v1/CP1/command"
    body = bytes((0, len(topic))) + topic + body
    head = bytes((len(body) & 0x7F | 0x80, len(body) >> 7))

    def comes(first):
        packet = bytes((first,)) + head + body
        while packet:
            room = sync.link.codec.room()
            n = min(len(room), len(packet))
            room[:n] = packet[:n]
            packet = packet[n:]
            sync.link.codec.took(n)

    for _ in range(3):
        comes(0x31)
    assert said(sync) == ["malformed"] and handlers.done == []
    comes(0x30)
    assert said(sync) == [""] and handlers.done == [5]


def odd(kind, identity):
    """A message with one thing wrong."""
    if kind == "forged":
        return json.dumps(dict(command(id=identity), mac="0" * 64)).encode()
    changes: dict = {"replayed": {"counter": 4}, "expired": {"counter": 9, "expires_at": NOW - 1},
               "foreign": {"device": "CP2"}}  # fmt: skip
    return json.dumps(command(id=identity, **changes[kind])).encode()


def events_of(handlers, sync, *kinds):
    """The security events that these bring about."""
    before = len(handlers.events)
    for kind in kinds:
        assert said(sync, odd(kind, "x")) == [kind]
    return [code[8:] for code in handlers.events[before:]]


def test_many_security_events_of_one_code_hide_no_other():
    handlers = Handlers()
    real = room.time
    clock = Ticks()
    room.time = clock  # type: ignore[assignment]
    try:
        sync = sync_of(handlers)
        assert said(sync, json.dumps(command()).encode()) == [""]
        flood = ("replayed",) * 50
        assert events_of(handlers, sync, *flood) == ["replayed"]
        assert events_of(handlers, sync, "forged", *flood) == ["forged"]
        assert events_of(handlers, sync, "expired", "foreign", "forged") == ["expired", "foreign"]
        assert "held" not in handlers.details[0]
        assert handlers.details[1].startswith("49 held back before; mac: ")
        assert handlers.details[2].startswith("50 held back before; expires_at: ")
        assert handlers.details[3].startswith("device: ")
        clock.ms += 60000
        assert events_of(handlers, sync, "forged", "replayed") == []
        clock.ms += 1
        twice = ("replayed", "replayed", "forged")
        assert events_of(handlers, sync, *twice) == ["replayed", "forged"]
        assert handlers.details[4].startswith("3 held back before; counter: ")
        for later in (1 << 28, 1 << 29, 3 << 28, 1 << 30):  # days of quiet, whatever the ticks say
            clock.ms += later + 60001
            assert events_of(handlers, sync, "replayed", "replayed") == ["replayed"], later
        handlers.event_room = False
        clock.ms += 60001
        assert events_of(handlers, sync, "forged", "forged") == []
        handlers.event_room = True
        assert events_of(handlers, sync, "forged", "forged") == ["forged"], "as soon as it can be"
    finally:
        room.time = real
