"""The five invariants of the design, judged from what every party kept: flash, terminal, meter,
back office. Nothing the firmware says of itself counts, but the records it called written.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hostsim import books
from hostsim.backoffice import views
from hostsim.backoffice.invoices.verify import verify
from hostsim.powercut import bills
from hostsim.powercut.plan import CHARGER
from hostsim.powercut.world import VirtualWorld
from hostsim.terminal.books import Kind, State

FIGURES = ("holds_left_open", "unpaid_wh", "lost_records", "duplicate_effects")
_HOLDS = ("authorised", "extended", "extend_done")
_ONCE = ("hold_asked", "energising", "power_off", "priced", "captured", "cancelled", "refunded",
         "refund_requested", "refund_asked", "command")  # fmt: skip


class Verdict:
    """`failures`: a sentence each; `books`: the figures of the three, by name; the figures of the
    campaign's report.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.books: dict[str, dict[str, int]] = {}
        self.holds_left_open = self.unpaid_wh = self.lost_records = self.duplicate_effects = 0

    def figures(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in FIGURES}


def judge(world: VirtualWorld, start_wh: int) -> Verdict:
    """`start_wh`: the meter's register before."""
    v = Verdict()
    flash = world.records()
    office = views.records(world.engine, CHARGER)
    _hold(v, world, flash)
    _money(v, world, flash)
    _energy(v, world, flash, start_wh)
    _delivery(v, world, flash, office)
    v.failures += world.order.broken
    if world.plan.day:
        _day(v, world, flash)
    if world.state == "out_of_service":
        v.failures.append(f"out of service: {world.view.get('message')}")
    return v


def _hold(v: Verdict, world: VirtualWorld, flash: list[dict[str, Any]]) -> None:
    """captured + released = authorised; no hold stays open."""
    records = world.terminal.books.records
    open_holds = [r.receipt for r in records if r.state in (State.PENDING, State.UNCONFIRMED)]
    v.holds_left_open = len(open_holds)
    if open_holds:
        v.failures.append(f"holds left open: {open_holds}")
    valid = [r for r in records if r.state is not State.AUTO_REVERSED]
    per_reference = Counter(r.reference for r in valid if r.kind is Kind.RESERVATION)
    for reference, times in per_reference.items():
        if times > 1:
            v.duplicate_effects += times - 1
            v.failures.append(f"{times} holds for {reference}")
    _sessions_end(v, flash)


def _sessions_end(v: Verdict, flash: list[dict[str, Any]]) -> None:
    ends = {"captured", "cancelled", "declined"}
    asked = {r["sess"] for r in flash if r["kind"] == "hold_asked"}
    ended = {r["sess"] for r in flash if r["kind"] in ends}
    if asked - ended:
        v.failures.append(f"sessions left open in flash: {sorted(asked - ended)}")


def _money(v: Verdict, world: VirtualWorld, flash: list[dict[str, Any]]) -> None:
    """Three books to the cent; captured = priced <= hold; refunds <= captured, each once."""
    sessions = views.sessions(world.engine, CHARGER)[::-1]
    compared = books.compare(
        books.from_records("charger", _at_the_terminal(flash)),
        books.from_terminal(world.terminal.books.summary()),
        books.from_sessions(
            "back office", [s | {"refunds": _at_the_terminal(s["refunds"])} for s in sessions]
        ),
    )
    v.failures += verify(world.engine).faults
    reversed_here = sum(r.returned_minor for r in world.terminal.books.records)
    elsewhere = [r for r in flash if r["kind"] == "refunded" and r["way"] == "acquirer"]
    if reversed_here and elsewhere:
        v.duplicate_effects += 1
        v.failures.append(f"given back at the terminal and by the acquirer: {elsewhere}")
    v.failures += compared["differences"]
    v.books = {
        party: {name: compared[party][name] for name in books.FIGURES}
        for party in ("charger", "terminal", "backoffice")
    }
    refunds = [r for s in sessions for r in s["refunds"] if r["state"] == "done"]
    given_back = [r for r in flash if r["kind"] == "refunded"]
    for party, found in (("charger", given_back), ("backoffice", refunds)):
        v.books[party]["acquirer_minor"] = sum(
            r["amount_minor"] for r in found if r["way"] == "acquirer"
        )
    if v.books["charger"]["acquirer_minor"] != v.books["backoffice"]["acquirer_minor"]:
        v.failures.append(f"given back by the acquirer: {v.books}")
    _given_back(v, flash)
    priced = {r["sess"]: r["total_minor"] for r in flash if r["kind"] == "priced"}
    captured = {r["sess"]: r["captured_minor"] for r in flash if r["kind"] == "captured"}
    held = {r["sess"]: r["amount_minor"] for r in flash if r["kind"] in _HOLDS}
    for sess, total in priced.items():
        if captured.get(sess, 0) != total:
            v.failures.append(f"session {sess}: priced {total}, captured {captured.get(sess)}")
        if total > held.get(sess, 0):
            v.failures.append(f"session {sess}: priced {total} of a hold of {held.get(sess)}")


def _given_back(v: Verdict, flash: list[dict[str, Any]]) -> None:
    """Refunds of a session, whoever gave them back, are at most what it paid."""
    captured = {r["sess"]: r["captured_minor"] for r in flash if r["kind"] == "captured"}
    refunded: Counter[int] = Counter()
    for r in flash:
        if r["kind"] == "refunded":
            refunded[r["sess"]] += r["amount_minor"]
    for sess, minor in refunded.items():
        if minor > captured.get(sess, 0):
            v.failures.append(f"session {sess}: {minor} given back of {captured.get(sess, 0)}")


def _day(v: Verdict, world: VirtualWorld, flash: list[dict[str, Any]]) -> None:
    """Every total of the terminal is in flash, beside the same sum of the ledger's."""
    days = [r for r in flash if r["kind"] == "end_of_day"]
    told = [b["total_minor"] for b in world.terminal.books.batches if b["total_minor"]]
    kept = [r["terminal_minor"] for r in days if r["terminal_minor"]]
    if any(r["result"] in ("differs", "unseen") for r in days) or set(told) - set(kept):
        v.failures.append(f"the terminal's days are {told}, the charger's {days}")


def _at_the_terminal(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what the acquirer gave back: no terminal's book has that."""
    return [r for r in records if r.get("way") != "acquirer"]


def _energy(v: Verdict, world: VirtualWorld, flash: list[dict[str, Any]], start_wh: int) -> None:
    """Billed Wh = difference of the meter's own register; each bill as computed here."""
    counted = world.meter.register_wh - start_wh
    billed = sum(r["billed_wh"] for r in flash if r["kind"] == "priced")
    if counted != billed:
        v.failures.append(f"the meter counted {counted} Wh, billed are {billed} Wh")
    wrong, unpaid_wh = bills.judge(flash, world.timeline.supplies)
    v.unpaid_wh = max(counted - billed, unpaid_wh)
    v.failures += wrong


def _delivery(
    v: Verdict,
    world: VirtualWorld,
    flash: list[dict[str, Any]],
    office: list[dict[str, Any]],
) -> None:
    """Every record once in the back office, with the same figures."""
    there = {r["seq"]: r for r in office}
    v.duplicate_effects += len(office) - len(there)
    for seq, kind, fields in world.written:
        record = there.get(seq)
        if record is None or record["type"] != kind or _differ(record, fields):
            v.lost_records += 1
            v.failures.append(f"record {seq} {kind} was written, the back office has {record}")
    mine = [(r["seq"], r["kind"]) for r in flash]
    theirs = [(r["seq"], r["type"]) for r in office]
    if mine != theirs or [seq for seq, _ in mine] != list(
        range(world.first_seq, world.first_seq + len(mine))
    ):
        v.failures.append(f"flash has {mine}, the back office {theirs}")
    for record in flash:
        other = there.get(record["seq"], {})
        fields = {k: value for k, value in record.items() if k not in ("kind", "version")}
        if _differ(other, fields):
            v.failures.append(f"record {record['seq']} differs: {record} {other}")
    done = Counter((r["type"], r.get("sess"), r.get("refund"), r.get("command")) for r in office)
    for (kind, sess, refund, command), times in done.items():
        if times > 1 and kind in _ONCE:
            v.duplicate_effects += times - 1
            of = f"session {sess}" if refund is None else f"refund {refund}"
            of = of if command is None else f"command {command}"
            v.failures.append(f"{of}: {kind} {times} times")
    for problem in views.problems(world.engine, CHARGER):
        if problem["code"] not in ("alarm", "security"):
            v.failures.append(f"back office: {problem['code']}: {problem['detail']}")


def _differ(record: dict[str, Any], fields: dict[str, Any]) -> bool:
    return any(record.get(name) != value for name, value in fields.items())
