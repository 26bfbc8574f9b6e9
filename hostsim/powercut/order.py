"""Written first, then acted on: judged at the moment of the act, from what is in flash then.

Every item between the firmware and the world passes here before it takes effect. APDUs are read
with the simulator's codec, records with the independent reader of flash images.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hostsim.ledgerimage import FIRST_NOTE, frames_of, noted
from hostsim.terminal import fields
from hostsim.terminal.codec import CodecError, Deframer, Sign, split_loosely

Records = Callable[[], list[dict[str, Any]]]

_ENDS = ("captured", "cancelled", "declined")
_RESERVE, _RELEASE, _BOOK_TOTAL, _CANCEL = 0x0622, 0x0623, 0x0624, 0x0625
_REVERSE, _REFUND, _END_OF_DAY = 0x0630, 0x0631, 0x0650
_STATUS, _ABORT, _OK = 0x040F, 0x061E, 0x8000
_EXTENSION = b"\x03"
_QUERY = b"\xff\xff"
_MOST = 20  # sentences that are kept


class Order:
    """`records()`: what is in flash now. `broken`: a sentence for every act that came before its
    record. `acked`: the newest record the back office has acknowledged.
    """

    def __init__(self, records: Records, acked: int) -> None:
        self.broken: list[str] = []
        self.acked = acked
        self.judged: dict[str, int] = {}  # how many acts of each kind
        self._records = records
        self._tried: set[int] = set()  # receipts of captures whose outcome is not known
        self.forget()

    def forget(self) -> None:
        """One side's power failed: what was half said is gone."""
        self._from_charger, self._from_terminal = Deframer(), Deframer()
        self._command = 0
        self._extends = False
        self._approved = False  # the terminal's last word was an approval
        self._receipt = 0
        self._sent: tuple[int, bytes] = 0, b""  # which the terminal has not answered
        self._text = b""

    def _must(self, act: str, holds: object, how: str = "before its record was in flash") -> None:
        self.judged[act] = self.judged.get(act, 0) + 1
        if not holds and len(self.broken) < _MOST:
            newest = [f"{r['seq']} {r['kind']}" for r in self._records()[-4:]]
            self.broken.append(f"{act} {how}; newest in flash: {newest}")

    # --- what flash says -------------------------------------------------------------------------

    def _open(self) -> dict[str, dict[str, Any]]:
        """The records of the session that is not settled, the newest of each kind; {} without."""
        found: dict[str, dict[str, Any]] = {}
        for record in self._records():
            if record["kind"] == "hold_asked":
                found = {}
            if record["kind"] in _ENDS:
                found = {}
            elif "sess" in record and (found or record["kind"] == "hold_asked"):
                found[record["kind"]] = record
        return found

    def _refund(self, *ways: str) -> dict[str, Any]:
        """The refund that was decided for one of these ways and has not ended; {} without."""
        found: dict[str, Any] = {}
        for record in self._records():
            if record["kind"] in ("refund_asked", "refund_sent") and record["way"] in ways:
                found = record
            elif record["kind"] in ("refunded", "refund_failed"):
                found = {} if found.get("refund") == record["refund"] else found
        return found

    def _newest(self, *kinds: str) -> str:
        for record in reversed(self._records()):
            if record["kind"] in kinds and record.get("result") != "failed":
                return str(record["kind"])
        return ""

    # --- power -----------------------------------------------------------------------------------

    def lines(self, data: bytes) -> None:
        """Bytes to the charger's own lines."""
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(" ")
            if name in ("contactor", "offer") and value not in ("0", ""):
                here = self._open()
                on = "energising" in here and not {"power_off", "priced"} & set(here)
                self._must("power on" if name == "contactor" else "current offered", on)

    # --- the terminal ----------------------------------------------------------------------------

    def said(self, data: bytes) -> None:
        """Bytes of the terminal."""
        for command, body, start in _apdus(self._from_terminal, data):
            self._sent = 0, b""
            if command == _STATUS:
                self._approved = _fields(body, start).raw(0x27) == b"\x00"
            elif command >> 8 != 0x80:
                self._approved = False
            if command == _ABORT or command >> 8 == 0x84:
                self._tried.discard(self._receipt)

    def heard(self, data: bytes) -> None:
        """Bytes to the terminal."""
        for command, body, start in _apdus(self._from_charger, data):
            if self._sent == (command, body):
                continue  # a frame that nobody acknowledged, once more
            self._sent = command, body
            if command == _OK:
                if self._approved:
                    self._acknowledged()
                self._approved = False
            elif command >> 8 != 0x84:
                self._commanded(command, body, start)

    def _acknowledged(self) -> None:
        """The charger keeps what the terminal approved."""
        if self._command == _RESERVE:
            kind = "extended" if self._extends else "authorised"
            self._must(f"{kind} acknowledged", kind in self._open())
        elif self._command == _REFUND:
            kept = self._refund("card")
            self._must("refund to the card acknowledged", kept.get("receipt"))
        elif self._command == _END_OF_DAY:
            kept_day = self._newest("day_asked", "end_of_day") == "end_of_day"
            self._must("end of day acknowledged", kept_day)

    def _commanded(self, command: int, body: bytes, start: int) -> None:
        self._command = command
        self._approved = self._extends = False
        if command in (_REVERSE, _REFUND):
            self._money_back(command)
        elif command == _END_OF_DAY:
            asked = self._newest("day_asked", "end_of_day") == "day_asked"
            self._must("end of day asked", asked)
        elif command in (_RESERVE, _RELEASE, _BOOK_TOTAL, _CANCEL):
            self._hold(command, _fields(body, start))

    def _money_back(self, command: int) -> None:
        if command == _REVERSE:  # a refund to a card that is in doubt is taken back, too
            self._must("reversal asked", self._refund("reversal", "card"))
        else:
            self._must("refund to the card asked", self._refund("card"))

    def _hold(self, command: int, given: fields.Fields) -> None:
        here = self._open()
        receipt = given.raw(0x87)
        if command == _RESERVE:
            self._extends = given.tlv(0x1F06) == _EXTENSION
            if self._extends:
                self._must("extension asked", "extend_asked" in here)
            else:
                self._must("hold asked", "hold_asked" in here and "authorised" not in here)
            return
        if receipt in (None, _QUERY):
            self._tried.clear()
            return
        self._receipt = given.number(0x87) or 0
        total = here.get("priced", {}).get("total_minor", 0)
        if command != _CANCEL:
            self._must("capture asked", total)
        else:
            self._must("release asked", here and ("energising" not in here or "priced" in here))
            self._must("release", not total, "of a hold of which money is owed")
        asked = self._receipt not in self._tried
        self._must("the same again", asked, "without asking what became of it")
        self._tried.add(self._receipt)

    # --- the back office -------------------------------------------------------------------------

    def published(self, topic: str, payload: bytes) -> None:
        """A message of the charger."""
        name = topic.rpartition("/")[2]
        if name == "records":
            record = json.loads(payload)
            mine = next((r for r in self._records() if r["seq"] == record["seq"]), {})
            same = all(mine.get("kind" if k == "type" else k) == v for k, v in record.items())
            self._must(f"record {record['seq']} sent", record["seq"] <= self.acked or same)
        elif name == "result":
            self._result(json.loads(payload))

    def _result(self, result: dict[str, Any]) -> None:
        if not result["ok"] or result["about"] not in ("command", "refund"):
            return
        kept = [r for r in self._records() if r["kind"] != "refund_requested"]
        if result["about"] == "command":
            names = {r["command"] for r in kept if r["kind"] == "command"}
        else:
            names = {r.get("refund") for r in kept}
        if result.get("code") != "part":
            self._must("result sent", result.get("id") in names)

    def acknowledged(self, payload: bytes) -> None:
        """An acknowledgement of the back office is on its way."""
        self.acked = max(self.acked, json.loads(payload)["seq"])

    # --- the flash -------------------------------------------------------------------------------

    def erases(self, sector: bytes) -> None:
        """A sector, as it is, is about to be erased."""
        if sector[16:20] == b"FcLg":
            numbers = [
                seq
                for version, seq, payload in frames_of(sector)
                if version != 1 or payload[:1] < bytes([FIRST_NOTE])
            ]  # a note has the number of the record before it, which stands in another sector
            newest = max(numbers, default=0)
            self._must(f"record {newest} erased", newest <= self.acked, "unacknowledged")

    def programs(self, data: bytes) -> None:
        """Bytes are about to be written: notes say what was acknowledged."""
        acked = noted(data)
        if acked is not None:
            self._must(f"record {acked} noted", acked <= self.acked, "as acknowledged: it is not")


def _apdus(deframer: Deframer, data: bytes) -> Iterator[tuple[int, bytes, int]]:
    for item in deframer.feed(data):
        if item.sign is Sign.FRAME:
            try:
                command, start, body, _ = split_loosely(item.apdu)
            except CodecError:
                continue
            yield command, body, start


def _fields(body: bytes, start: int) -> fields.Fields:
    """Bitmaps of a command or a status; none where they make no sense."""
    try:
        return fields.parse(body, start)
    except CodecError:
        return fields.Fields()
