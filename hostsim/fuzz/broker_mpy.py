"""Targets: what a broker says, and a time server's answer."""

import binascii
import hashlib
import json

from mutate_mpy import tree_mutated  # type: ignore[import-not-found]
from target_mpy import Clock, Target, lone_surrogate  # type: ignore[import-not-found]

from firmware.errors import FieldError, LinkError


def written(**fields):
    """What App.append does with what came from outside: it must fit a record."""
    from firmware.ledger.codec import cut, encode, find_row

    fields["detail"] = cut(fields["detail"])
    encode(memoryview(bytearray(1008)), find_row(1, "security"), 1763800000000, fields)


class _Handlers:
    """What app hangs behind sync, as far as it reads what came."""

    def __init__(self):
        from firmware.config import parse
        from firmware.pricing.tariff import Tariff

        self._config = parse
        self._tariff = Tariff.from_json
        self.message = b""  # as it came
        self._last = _COUNTER

    def on_tariff(self, raw):
        self._tariff(bytes(raw))
        return {"detail": ""}

    def on_config(self, raw):
        self._config(bytes(raw))
        return {"detail": ""}

    def on_command(self, command):
        assert isinstance(command["args"], dict)
        said = json.loads(self.message)
        assert said.get("mac") == mac(KEY, _covered(said)), "a forged command was taken"
        assert command["device"] == "CP1" and command["expires_at"] > NOW_MS
        assert command["counter"] == said["counter"] > self._last, "a replayed command was taken"
        self._last = said["counter"]
        return {"detail": "", "data": command["args"]}

    def command_counter(self):
        return _COUNTER

    def on_time(self, epoch_ms):
        pass

    def on_security(self, code, detail):
        written(code=code, detail=detail)


def _covered(said):
    """What the mac is of, by the description in docs/mqtt."""
    names = ("id", "device", "counter", "expires_at", "name", "args")
    return "\n".join(["forecourt-command-1"] + [str(said[name]) for name in names]).encode()


KEY = b"0123456789abcdef0123456789abcdef"
NOW_MS = 1763800000000
_COUNTER = 8  # of the last command in the ledger
MAX_PACKET = 12288
_SELDOM = 150  # one packet in so many is drained: they are long
_MOST_SENT = 12


class _Ledger:
    """A hundred records of some kinds, one of them lost."""

    epoch = 7
    next_seq = 100

    def __init__(self):
        self.acked_seq = 3
        self.oldest_seq = 1

    def append(self, kind, **fields):
        assert kind == "alarm"

    def read_after(self, seq):
        from firmware.ledger.codec import Record

        if seq + 1 >= self.next_seq:
            return None
        if seq % 3 == 0:
            return Record(seq + 1, "alarm", 1, 0, {"code": "c", "sess": 0, "detail": "\u20acx"})
        if seq % 3 == 1:
            return Record(seq + 1, "lost", 0, 0, {})
        state = {"sess": 5, "register_wh": seq, "elapsed_ms": 0, "state": [1, -2]}
        return Record(seq + 1, "checkpoint", 1, 9, state)

    def acknowledge(self, epoch, seq):
        assert epoch == 7 and self.acked_seq < seq < 100
        self.acked_seq = seq


class _Link:
    """What leaves the charger; the back office must be able to read it."""

    room = 16

    def __init__(self):
        self.sent = 0

    def publish(self, name, payload, retain=False, qos=0):
        assert isinstance(json.loads(payload), dict) and len(payload) < 4096
        self.sent += 1
        return self.sent


class Mqtt(Target):
    """Packets of a broker through codec and sync: acknowledgements, commands, tariffs, configs.
    First byte: how many bytes come at once, and (64) a charger that has no time. A command whose
    mac is "sign" is signed, an acknowledgement whose check is "right" has that of its record.
    """

    declared = (LinkError,)
    about = (
        "firmware.sync.codec", "firmware.sync.messages", "firmware.sync.commands",
        "firmware.sync.outbox",
    )  # fmt: skip
    words = (
        b'"epoch":7', b'"seq":50', b'"again":true', b'"id":"c"', b'"device":"CP1"', b'"counter":9',
        b'"expires_at":1763900000000', b'"name":"stop"', b'"args":"{}"', b'"mac":"sign"',
        b'"seq":99', b'"seq":3', b'"check":"right"', b'"expires_at":1763800000000',
        b"forecourt/v1/CP1/ack", b"/command", b"/tariff", b"/config", b"{", b"}", b"[", b"\\u0000",
        b"\xd0\x00", b"\x20\x02\x00\x00", b"\x40\x02\x00\x01", b"\x90\x03\x00\x01\x01", b"\x30",
        b"\x31", b"\x32", b"\x33", b"\xff\xff\xff\x7f", b"\x80\x01", b"null", b"1e5",
        b"\xe2\x82\xac", b"\\ud83d",
    )  # fmt: skip
    values = (
        NOW_MS, NOW_MS - 1, NOW_MS + 1, 2, 3, 4, 7, 8, 9, 98, 99, 100, "right", "sign", "CP1",
        '{"a":1,"b":2,"c":3,"d":4,"e":5}', '{"session":"A7"}', "{", "[]", True,
    )  # fmt: skip

    def __init__(self):
        from firmware.ledger.ledger import Ledger  # noqa: F401 - sync is with a ledger
        from firmware.sync import codec, commands
        from firmware.sync.outbox import check_of
        from firmware.sync.sync import Sync

        self._codec = codec
        self._commands = commands
        self._check_of = check_of
        self._sync = Sync
        self._objects = [seed for seed in self.seeds() if b"{" in seed]

    def seeds(self):
        for name, payload in (
            ("ack", b'{"epoch":7,"seq":50,"again":true}'),
            ("ack", b'{"epoch":8,"seq":5}'),
            ("ack", b'{"epoch":7,"seq":60,"check":1}'),
            ("ack", b'{"epoch":7,"seq":61,"check":"right"}'),
            ("ack", b'{"epoch":7,"seq":99,"check":"right"}'),
            ("ack", b'{"epoch":7,"seq":3,"again":true}'),
            ("ack", b'{"epoch":7,"seq":100}'),
            ("other", b"{}"),
            ("config", b'"' + b"x" * 700 + b'"'),
            ("command", self._command("stop", "{}")),
            ("command", self._command("report", '{"a":[1,2.5,null,"x"]}')),
            ("command", self._command("stop", "{}", expires_at=NOW_MS)),
            ("command", self._command("stop", "{}", expires_at=NOW_MS + 1)),
            ("command", self._command("stop", "{}", counter=0)),
            ("command", self._command("stop", "{}", counter=2**63 - 1)),
            ("command", self._command("stop", "{}", id="\U0001f600" * 63)),
            ("command", self._command("stop", "{}", id="\U0001f600" * 64)),
            ("command", self._command("x" * 64, '{"a":1,"b":2,"c":3,"d":4}')),
            ("command", self._command("stop", '{"a":"' + "x" * 2040 + '"}')),
            ("command", self._command("stop", '{"a":"' + "x" * 2041 + '"}')),
            ("config", b'{"charger":"CP1","salt":"0123456789","mqtt":{"host":"h"}}'),
            ("tariff", b'{"id":"T","currency":"EUR","elements":[]}'),
        ):
            for pid in (b"", b"\x00\x05"):
                topic = b"forecourt/v1/CP1/" + name.encode()
                body = bytes((0, len(topic))) + topic + pid + payload
                yield b"\x07" + bytes((0x32 if pid else 0x30,)) + _length(len(body)) + body
                if name == "command":
                    kept = bytes((0x33 if pid else 0x31,))  # by the broker
                    yield b"\x07" + kept + _length(len(body)) + body
                    without_time = b"\x47" + bytes((0x32 if pid else 0x30,))
                    yield without_time + _length(len(body)) + body
        for counters in ((9, 9), (9, 10), (10, 9), (10, 8), (8, 9)):  # one after the other
            yield b"\x3f" + b"".join([self._sent(counter) for counter in counters])
        for op in (0x30, 0x31, 0x32, 0x33):
            yield self._large(op, b"forecourt/v1/CP1/config", 13000)
        yield b"\x00\x20\x02\x00\x00\x90\x03\x00\x01\x01\x40\x02\x00\x05\xd0\x00"

    def _large(self, op, topic, size):
        body = bytes((0, len(topic))) + topic + b"\x00\x05" + b"[" * (size - len(topic) - 4)
        return b"\x3f" + bytes((op,)) + _length(len(body)) + body

    def _sent(self, counter):
        topic = b"forecourt/v1/CP1/command"
        payload = self._command("stop", "{}", counter=counter, id="c%d" % counter)
        body = bytes((0, len(topic))) + topic + payload
        return b"\x30" + _length(len(body)) + body

    def _command(self, name, args, **changes):
        fields = {"id": "c1", "device": "CP1", "counter": 9, "name": name, "args": args,
                  "expires_at": 1763900000000, "mac": "sign"}  # fmt: skip
        fields.update(changes)
        return json.dumps(fields).encode()

    def made(self, dice, corpus):
        """A packet whose JSON payload was changed as a tree; one whose body is drained."""
        if dice.below(_SELDOM) == 0:
            topic = dice.choice((b"", b"x", b"forecourt/v1/CP1/command", b"y" * dice.below(300)))
            size = dice.choice((MAX_PACKET, MAX_PACKET, 30000)) + dice.below(8) - 6
            return bytearray(self._large(0x30 + dice.below(4), topic[:255], size))
        if dice.below(2):
            return None
        data = bytes(dice.choice(self._objects if dice.below(2) else corpus))
        at = data.find(b"{")
        tree = tree_mutated(dice, data[at:], self.values) if at > 0 else None
        return None if tree is None else self._whole(bytearray(data[:at]) + tree)

    def _whole(self, data):
        """With a right remaining length of the first packet."""
        end = 3
        while end < len(data) and end < 6 and data[end - 1] & 0x80:
            end += 1
        data[2:end] = _length(len(data) - end)
        return data

    def mended(self, data, dice):
        return self._whole(data) if len(data) > 3 and dice.below(3) else data

    def run(self, data):
        first = data[0] if data else 0
        self._ledger = _Ledger()
        self._handlers = _Handlers()
        sync = self._sync(
            {"charger_id": "CP1", "command_key": binascii.hexlify(KEY).decode(),
             "mqtt": {"retry_min_ms": 100}, "time": {}},
            self._ledger, Clock(0 if first & 64 else NOW_MS), None, self._handlers,
        )  # fmt: skip

        def on_message(topic, payload, *more):
            if payload is None or not lone_surrogate(payload):
                self._handlers.message = payload = self._signed(payload)
                sync.on_message(topic, payload, *more)

        codec = self._codec.Codec(b"CP1", 30, on_message)
        sync.link.codec = codec
        step = first % 64 + 1
        at = 1
        while at < len(data):
            room = codec.room()
            n = min(len(room), step, len(data) - at)
            assert n > 0
            room[:n] = data[at : at + n]
            at += n
            codec.took(n)
        link = _Link()
        sync.on_up()
        while link.sent < _MOST_SENT and sync.feed(link):
            sync.on_puback(link.sent)

    def _signed(self, payload):
        """Behind the signature there is more to read."""
        if payload is None or b'"sign"' not in payload and b'"right"' not in payload:
            return payload
        try:
            message = json.loads(payload)
            if message.get("check") == "right":
                record = self._ledger.read_after(message["seq"] - 1)
                check = self._check_of(record, message["epoch"])
                return payload.replace(b'"right"', str(check).encode())
            text = self._commands.signed_bytes(message)
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
            return payload
        return payload.replace(b'"sign"', b'"' + mac(KEY, text).encode() + b'"')


def mac(key: bytes, data: bytes) -> str:
    """HMAC-SHA-256 in hex (RFC 2104), and not by the firmware; of a key of at most 64 bytes."""
    key += bytes(64 - len(key))
    for pad in (0x36, 0x5C):
        data = hashlib.sha256(bytes([byte ^ pad for byte in key]) + data).digest()
    return binascii.hexlify(data).decode()


def _length(n):
    out = bytearray()
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)


class _Board:
    """A board's clock: hours pass between two answers, or nothing."""

    now_ms = 5

    def uptime_ms(self):
        return self.now_ms


class Sntp(Target):
    """A time server's answer, and the clock that is set by it."""

    declared = (FieldError,)
    about = ("firmware.sync.timesync", "firmware.clock")
    words = (
        b"NONCE123", b"\x24\x01", b"\x1c\x0f", b"\xe4\x00", b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xec\xaa\x00\x00", bytes(8),
    )  # fmt: skip

    def __init__(self):
        from firmware.clock import NETWORK, TERMINAL, WallClock
        from firmware.sync.timesync import transmit_ms

        self._clock = WallClock
        self._sources = (NETWORK, TERMINAL)
        self._transmit_ms = transmit_ms

    def seeds(self):
        for seconds in (0xECAA0000, 0x83AA7E80, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 1, 0):
            for fraction in (0, 0x80000000, 0xFFFFFFFF):
                for head in (b"\x24\x01", b"\x1c\x0f", b"\x64\x02", b"\xe4\x03", b"\x24\x10"):
                    yield b"\x00" + self._answer(head, seconds, fraction)
        good = self._answer(b"\x24\x01", 0xECAA0000, 0)
        yield b"\x01" + good * 2
        for first in (0, 2, 4, 5, 6):  # the sources in turn, in a session, back and forth
            yield bytes((first,)) + good + self._answer(b"\x24\x01", 0xECA90000, 0) + good
        yield b"\x02" + self._answer(b"\x24\x01", 0xECAA0000, 0)[:47]

    def _answer(self, head, seconds, fraction):
        stamp = seconds.to_bytes(4, "big") + fraction.to_bytes(4, "big")
        return head + bytes(22) + b"NONCE123" + bytes(8) + stamp

    def run(self, data):
        """First byte: the source, and whether a session runs. Then answers, one after another."""
        board = _Board()
        clock = self._clock(board)
        first = data[0] if data else 0
        clock.in_session = bool(first & 2)
        answers = [data[at : at + 48] for at in range(1, len(data), 48)][:6] or [b""]
        for n, answer in enumerate(answers):
            board.now_ms += 3600000 * (first >> 3)
            found = self._transmit_ms(bytes(answer), b"NONCE123")
            assert type(found) is int and found >= -(2**31) * 1000
            said = clock.set(found, self._sources[(first + n * (first >> 2)) & 1])
            assert said in ("set", "stepped", "refused", "outranked", "back")
            assert clock.known or said == "refused"
