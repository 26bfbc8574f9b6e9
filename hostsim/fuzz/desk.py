"""Target on CPython only: the back office's side of the contract, over a database in memory.

A process of its own (run.py), as work_mpy.py, whose arguments it takes.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shims_mpy  # type: ignore[import-not-found]  # noqa: F401 - finds hostsim
import targets_mpy  # type: ignore[import-not-found]
from mutate_mpy import Dice, tree_mutated  # type: ignore[import-not-found]
from sqlalchemy import select
from target_mpy import Target  # type: ignore[import-not-found]

from hostsim.backoffice import contract, desk, ingest
from hostsim.backoffice.models import Problem, writing
from hostsim.backoffice.service import BackOffice
from hostsim.pki import Pki

_NOW_MS = 1_767_300_000_000
_EPOCH = 71
_AHEAD = 6  # sessions there are before the input
_MOST_LINES = 12
_HEAD = ("epoch", "seq", "type", "version", "at")
_NEXT = re.compile(rb'"seq": ?"next"')
_EXPECTED = frozenset(
    "malformed gap conflict new_epoch old_epoch impossible alarm security lost_record"
    " unknown_record later_record members_refused odd_record refund_unknown epoch_twice clock"
    " unbooked".split()
)
_FITS: dict[str, dict[str, Any]] = {
    "hold_asked": {"hold_minor": 6000, "currency": "EUR", "method": "card", "tariff": "T"},
    "authorised": {"amount_minor": 6000}, "energising": {"register_wh": 1000},
    "checkpoint": {"register_wh": 1500}, "power_off": {"register_wh": 2000, "reason": "unplug"},
    "priced": {"receipt_no": 1, "start_wh": 1000, "end_wh": 2000, "billed_wh": 1000,
               "total_minor": 119, "net_minor": 100, "vat_minor": 19, "start_at": _NOW_MS,
               "end_at": _NOW_MS + 60000, "currency": "EUR",
               "lines": [0, 1000000, 11900, 190000, 119]},
    "captured": {"captured_minor": 119, "released_minor": 5881, "how": "direct"},
    "cancelled": {"released_minor": 6000}, "extended": {"amount_minor": 7000},
    "extend_done": {"amount_minor": 7000, "how": "kept"},
    "refund_requested": {"refund": "R1", "receipt_no": 1, "amount_minor": 10},
    "refund_asked": {"refund": "R1", "amount_minor": 10, "way": "terminal"},
    "refund_sent": {"refund": "R1", "amount_minor": 10, "way": "acquirer"},
    "refunded": {"refund": "R1", "amount_minor": 10, "way": "terminal", "credit_no": 1,
                 "receipt_no": 1, "net_minor": 8, "vat_minor": 2},
    "refund_failed": {"refund": "R1", "amount_minor": 10, "state": "failed"},
}  # fmt: skip
_SESSION = "hold_asked authorised energising checkpoint power_off priced captured".split()
_REFUND = "refund_requested refund_asked refunded".split()
_OTHERS: dict[str, dict[str, Any]] = {
    "status": {"online": True, "at": _NOW_MS, "epoch": _EPOCH, "next_seq": 5, "acked_seq": 4,
               "clock": "network", "members": 3, "state": "free", "faults": ["x"]},
    "session": {"session": 1, "state": "charging", "at": _NOW_MS, "energy_wh": 5},
    "result": {"about": "members", "ok": True, "at": _NOW_MS, "data": {"version": 1, "next": 1}},
    "log": {"at": _NOW_MS, "level": "info", "text": "x"},
}  # fmt: skip


class Desk(Target):
    """Messages of chargers, one a line: records, status, session, result or log, a space, JSON.
    First byte: 1 for a charger of another name, 2 when the chores are done afterwards. A `seq`
    "next" is the next one. Accepted: no problem came of it.
    """

    declared = (contract.ContractError,)
    room = "/hostsim/backoffice/"
    about = (
        "hostsim.backoffice.contract", "hostsim.backoffice.desk", "hostsim.backoffice.ingest",
        "hostsim.backoffice.at_hand", "hostsim.backoffice.books", "hostsim.backoffice.copies",
        "hostsim.backoffice.rules", "hostsim.backoffice.member_sync",
    )  # fmt: skip
    words = (
        b"\nrecords ", b"\nresult ", b"\nstatus ", b"\nlog ", b'"seq":"next"', b'"epoch":71',
        b'"version":9', b'"type":"priced"', b'"payload":"00"', b"1e5", b"NaN", b"\\u0000",
        b"\\ud800", b"null", b"[", b"{", b"}",
    )  # fmt: skip
    values: tuple[Any, ...] = (
        "next", _EPOCH, _EPOCH + 1, 1, 2, 5, 119, 6000, 7000, "R1", "EUR", "card", "acquirer",
        "captured", "priced", "unknown", "members", [0, 1, 2], [0, 1000000, 1000, 190000, 119],
    )  # fmt: skip

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._office = BackOffice(
            "sqlite://", _Nowhere(), Pki(Path(self._folder.name)), now_ms=lambda: _NOW_MS
        )
        self._desk: desk.Desk = self._office._desk
        self._sent: list[tuple[str, bytes]] = []
        self._desk._send = lambda topic, payload, retain: self._sent.append((topic, payload))
        self._desk.ingest.take(_records(list(_first())))
        with self._office.engine.connect() as connection:
            mine = connection.connection.driver_connection
        assert isinstance(mine, sqlite3.Connection)
        self._mine = mine
        self._template = sqlite3.connect(":memory:")
        self._mine.backup(self._template)
        self._seq = len(list(_first()))

    def seeds(self) -> Iterator[bytes]:
        """One of each kind, whole sessions, refunds, and what is no record."""
        kinds = sorted(path.stem for path in (contract.SCHEMAS / "records").glob("*.json"))
        for kind in kinds:
            yield b"\x00" + _line("records", _record(kind, "next", 9))
        yield b"\x00" + b"\n".join(_line("records", _record(k, "next", 9)) for k in _SESSION)
        yield b"\x00" + b"\n".join(_line("records", _record(k, "next", 1)) for k in _REFUND)
        refund = ("refund_requested", "refund_asked", "refund_sent", "refund_failed")
        yield b"\x00" + b"\n".join(_line("records", _record(k, "next", 2)) for k in refund)
        yield b"\x00" + _line("records", _record("boot", 2, 1))  # a conflict
        yield b"\x00" + _line("records", _record("boot", 200, 1))
        yield b"\x01" + _line("records", _record("boot", 1, 1) | {"epoch": 72})
        yield b"\x00" + _line("records", {"epoch": 71, "seq": "next", "type": "unknown",
                                          "version": 1, "at": 0, "payload": "00"})  # fmt: skip
        for name, message in _OTHERS.items():
            yield b"\x00" + _line(name, message)
            yield b"\x02" + _line(name, message)
        for about in ("command", "refund", "tariff", "config"):
            answer = {"about": about, "ok": False, "at": 5, "id": "R1", "code": "refused"}
            yield b"\x02" + _line("result", answer | {"reason": "r", "field": "f", "given": "g"})

    def made(self, dice: Dice, corpus: list[bytes]) -> bytearray | None:
        """One line of them changed as a tree."""
        if not dice.below(4):
            return None
        data = bytes(dice.choice(corpus))
        lines = data[1:].split(b"\n")
        at = dice.below(len(lines))
        name, _, text = lines[at].partition(b" ")
        tree = tree_mutated(dice, text, self.values)
        if tree is None:
            return None
        lines[at] = name + b" " + bytes(tree)
        return bytearray(data[:1] + b"\n".join(lines))

    def run(self, data: bytearray) -> None:
        """Raises what nobody foresaw, also where the back office is prepared for it (BROKEN)."""
        self._template.backup(self._mine)
        self._sent.clear()
        office = self._desk.ingest
        self._desk.ingest = ingest.Ingest(self._office.engine, lambda: _NOW_MS)
        first = data[0] if data else 0
        broken: list[Exception] = []
        kept = desk.ingest_texts.fault

        def fault(exc: Exception) -> str:
            broken.append(exc)
            return kept(exc)

        desk.ingest_texts.fault = fault
        try:
            self._desk.handle(list(self._messages(bytes(data[1:]), first)))
            if first & 2:
                self._desk.reminders()
        finally:
            desk.ingest_texts.fault = kept
            self._desk.ingest = office
        if broken:
            raise broken[0]
        assert not self._desk.faults, "a chore fell"
        self._look()

    def _messages(self, data: bytes, first: int) -> Iterator[tuple[str, bytes, bool]]:
        charger = "CP2" if first & 1 else "CP1"
        seq = 0 if first & 1 else self._seq
        for line in data.split(b"\n")[:_MOST_LINES]:
            name, _, payload = line.partition(b" ")
            if name.decode("latin-1") not in contract.OUTGOING:
                name = b"records"
            if _NEXT.search(payload):
                seq += 1
                payload = _NEXT.sub(b'"seq":%d' % seq, payload)
            yield contract.topic(charger, name.decode()), payload, bool(first & 4)

    def _look(self) -> None:
        """What it said keeps to the contract; what it shows operators has one of the codes."""
        for topic, payload in self._sent:
            contract.check(contract.split_topic(topic)[1], contract.parse(payload))
        with writing(self._office.engine) as db:
            codes = set(db.scalars(select(Problem.code)))
        assert codes <= _EXPECTED, codes - _EXPECTED
        if "malformed" in codes:
            raise contract.ContractError("malformed")


class _Nowhere:
    """A broker's address where none is."""

    host = "127.0.0.1"
    office_port = 1


def _record(kind: str, seq: int | str, sess: int) -> dict[str, Any]:
    """A record as its schema wants it, such that the books may take it."""
    schema = json.loads((contract.SCHEMAS / "records" / f"{kind}.json").read_text())["properties"]
    plain = {"string": "x", "array": [], "integer": 0}
    fields: dict[str, Any] = {
        name: plain[what["type"]] for name, what in schema.items() if name not in _HEAD
    }
    fields |= _FITS.get(kind, {})
    if "sess" in fields:
        fields["sess"] = sess
    if "receipt_no" in fields:
        fields["receipt_no"] = sess
    if "remote" in fields:
        fields["remote"] = ""
    head = {"epoch": _EPOCH, "seq": seq, "type": kind, "at": _NOW_MS,
            "version": schema["version"]["maximum"]}  # fmt: skip
    return head | fields


def _first() -> Iterator[dict[str, Any]]:
    """Sessions that are settled, and one that is open."""
    seq = 0
    for sess in range(1, _AHEAD):
        for kind in _SESSION:
            seq += 1
            yield _record(kind, seq, sess)
    for kind in _SESSION[:3]:
        seq += 1
        yield _record(kind, seq, _AHEAD)


def _records(records: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    return [("CP1", json.dumps(one).encode()) for one in records]


def _line(name: str, message: dict[str, Any]) -> bytes:
    return name.encode() + b" " + json.dumps(message).encode()


if __name__ == "__main__":
    targets_mpy.TARGETS["desk"] = Desk
    import work_mpy  # type: ignore[import-not-found]  # noqa: F401 - runs
