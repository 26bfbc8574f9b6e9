"""Target: what the back office orders, through sync to the real handlers over a ledger in RAM."""

import asyncio
import json
import sys

from broker_mpy import NOW_MS, mac  # type: ignore[import-not-found]
from charger_mpy import App, images  # type: ignore[import-not-found]
from mutate_mpy import tree_mutated  # type: ignore[import-not-found]
from target_mpy import Target, lone_surrogate  # type: ignore[import-not-found]

from firmware.errors import CommandError

_KEY = b"0123456789abcdef0123456789abcdef"
_CPYTHON = sys.implementation.name == "cpython"
_MOST_LINES = 8
_MOST_STEPS = 4000
_LONGEST = 4096
_CODES = ("refused", "forged", "replayed", "expired", "foreign", "malformed", "not_yet", "part",
          "full")  # fmt: skip
_RESULT: "dict" = {"about": str, "id": str, "ok": bool, "code": str, "field": str, "reason": str,
                   "given": str, "detail": str, "at": int, "data": dict}  # fmt: skip
_START = {"session": "A8", "method": "gateway", "amount_minor": 2500, "connector": 1,
          "reference": "pi_3Nk"}  # fmt: skip
_REFUND = {"refund": "R9", "receipt": 1, "amount_minor": 5, "reason": "goodwill",
           "operator": "bob", "card": False, "epoch": 7}  # fmt: skip
_COMMANDS: "tuple" = (
    ("start", _START), ("start", dict(_START, session="A1", tariff_crc=7)),
    ("start", dict(_START, method="account", amount_minor=100000000, tariff=None)),
    ("stop", {}), ("stop", {"session": "A7"}), ("extend", {"session": "A7", "amount_minor": 4000}),
    ("report", {}), ("restart", {}), ("doctor", {}), ("nothing", {}), ("refund", _REFUND),
    ("refund", dict(_REFUND, refund="R1", card=True)), ("refund", dict(_REFUND, refund="R2")),
    ("refund", dict(_REFUND, refund="R3", reason="other", amount_minor=0)),
    ("refund_done", {"refund": "R2", "ok": True, "code": 0, "operator": "bob"}),
    ("refund_done", {"refund": "R1", "ok": False, "code": 5, "operator": "bob"}),
)  # fmt: skip


class Orders(Target):
    """Commands, one JSON object a line. First byte: what stands in flash (low two bits) and what
    the charger does. A line of one letter is the pilot (A, B, C), a tick (T) or Stop (S). `args`
    may be an object; a mac "sign" is made right, a counter "next" is the next one.
    """

    declared = (CommandError,)
    about = (
        "firmware.orders.orders", "firmware.orders.start", "firmware.orders.more",
        "firmware.orders.refund", "firmware.sync.commands", "firmware.sync.messages",
    )  # fmt: skip
    words = (
        b"\n", b"\nB", b"\nC", b"\nT", b"\nS", b"\nA", b'"mac":"sign"', b'"counter":"next"',
        b'"args":{}', b'"args":"{}"', b'"name":"stop"', b'"name":"start"', b'"name":"refund"',
        b"null", b"true", b"{", b"}", b"\\u0000", b"\\n", b"\xe2\x82\xac",
    )  # fmt: skip
    values = (
        "A1", "A7", "A8", "R1", "R2", "R3", "R4", "above_price-7-1", "goodwill", "other", "card",
        "gateway", "app", "account", "rfid", "next", "sign", "CP1", 99, 100, 2499, 2500, 2501,
        99999999, 100000000, 100000001, NOW_MS, NOW_MS - 1, NOW_MS + 1, 7, "{}", True,
    )  # fmt: skip

    def __init__(self):
        from firmware import paper

        paper.leave = lambda *names: None  # before anybody has it: it would measure imports
        self._images = images()
        from firmware.orders import more, orders, refund, start
        from firmware.sync import commands, messages
        from firmware.sync.sync import Sync

        assert more and orders and refund and start
        self._commands = commands
        self._messages = messages
        self._sync = Sync

    def seeds(self):
        lines = [self._line(name, args) for name, args in _COMMANDS]
        for n, line in enumerate(lines):
            for state in range(n % 3, 32, 3):
                yield bytes((state,)) + line
        start = self._line("start", dict(_START, session="A7"))
        more = self._line("extend", {"session": "A7", "amount_minor": 4000})
        stop = self._line("stop", {"session": "A7"})
        yield b"\x01" + b"\n".join([start, b"B", b"C", more, stop, b"T", b"T"])
        yield b"\x01" + b"\n".join([b"B", start, b"C", more, more, stop, start])
        yield b"\x0d" + b"\n".join([start, start])
        yield b"\x0d" + b"\n".join([more, stop, b"T", start])
        yield b"\x01" + b"\n".join([lines[10], lines[10], lines[14], lines[15]])
        yield b"\x01" + start.replace(b'"next"', b"5") + b"\n" + start.replace(b'"next"', b"5")

    def _line(self, name, args):
        fields = {"id": "c1", "device": "CP1", "counter": "next", "name": name, "args": args,
                  "expires_at": NOW_MS + 60000, "mac": "sign"}  # fmt: skip
        return json.dumps(fields).encode()

    def made(self, dice, corpus):
        """One command of them changed as a tree, most often in its arguments."""
        if not dice.below(4):
            return None
        data = bytes(dice.choice(corpus))[:_LONGEST]
        lines = data[1:].split(b"\n")
        at = dice.below(len(lines))
        line = lines[at]
        if len(line) < 2:
            line = self._line(*dice.choice(_COMMANDS))
        start = line.find(b'"args": {') + 8
        end = line.find(b"}", start) + 1
        inside = start > 8 and end > 2 + start and dice.below(4)
        tree = tree_mutated(dice, line[start:end] if inside else line, self.values)
        if tree is None:
            return None
        lines[at] = line[:start] + bytes(tree) + line[end:] if inside else bytes(tree)
        if not dice.below(3):
            lines.insert(dice.below(len(lines) + 1), dice.choice((b"A", b"B", b"C", b"T", b"S")))
        return bytearray(data[:1] + b"\n".join(lines))

    def run(self, data):
        if lone_surrogate(data):
            return
        first = data[0] if data else 0
        app = App(self._images[first & 3], first >> 2)
        app.sync = self._sync(
            {"charger_id": "CP1", "command_key": _KEY.hex(), "mqtt": {"retry_min_ms": 100},
             "time": {}}, app.ledger, app.clock, None, app.remote,
        )  # fmt: skip
        said: "list[dict]" = []
        publish = app.sync.publish_result

        def heard(result):
            publish(result)
            self._check(dict(result, at=app.clock.epoch_ms()))
            said.append(result)

        app.sync.publish_result = heard
        for line in bytes(data[1:_LONGEST]).split(b"\n")[:_MOST_LINES]:
            if len(line) == 1:
                app.event(line.decode("latin-1") if _CPYTHON else chr(line[0]))
            else:
                self._order(app, line, said)
            if app.restarted:
                break
        app.consistent()
        if said and not said[-1]["ok"]:
            raise CommandError(said[-1].get("field", ""), said[-1]["reason"])

    def _order(self, app, line, said):
        message, counter = self._signed(app, line)
        before = len(said)
        app.sync.on_message(b"forecourt/v1/CP1/command", message)
        if app.sync.work:
            _finish(app.sync.work)
        assert len(said) > before or app.restarted, "nothing was answered"
        done = [one for one in said[before:] if one["ok"]]
        if done:
            last = max(app.ledger.books.last_counter, app.sync._counter)
            assert counter is None or counter <= last, "done, and not used up"

    def _signed(self, app, line):
        """(the message, its counter where that is good)."""
        try:
            message = json.loads(line)
        except (ValueError, RuntimeError):
            return line, None
        if not isinstance(message, dict) or message.get("mac") != "sign":
            return line, None
        if isinstance(message.get("args"), (dict, list)):
            message["args"] = json.dumps(message["args"])
        if message.get("counter") == "next":
            message["counter"] = app.ledger.books.last_counter + 1
        try:
            message["mac"] = mac(_KEY, self._commands.signed_bytes(message))
        except (KeyError, RuntimeError):
            pass
        counter = message.get("counter")
        return json.dumps(message).encode(), counter if type(counter) is int else None

    def _check(self, result):
        """As docs/mqtt/schemas/result.json says, and not long."""
        for name, value in result.items():
            assert type(value) is _RESULT[name], name
        assert result["about"] == "command"
        assert len(result.get("id", "")) <= 64 and len(result.get("given", "")) <= 60
        assert result.get("code", "part") in _CODES
        assert result["ok"] or "reason" in result
        assert len(self._messages.dump(result)) < _LONGEST


def _finish(work):
    """A coroutine to its end; what it waits for here is only its turn."""
    if not _CPYTHON:
        asyncio.run(work)
        return
    try:
        for _ in range(_MOST_STEPS):
            work.send(None)
    except StopIteration:
        return
    raise RuntimeError("the order does not come to its end")
