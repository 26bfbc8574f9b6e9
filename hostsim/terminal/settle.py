"""The commit point: a change of the books becomes valid when the ECR has acknowledged its result
and its receipt.

Source: PA00P015 2.2.6 to 2.2.9 (status information, reversal, receipt, store) as in facts/zvt.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from hostsim.terminal import answers, printing
from hostsim.terminal.books import Record
from hostsim.terminal.dialogue import Dialogue, NotAcceptedError, RefusalError

_LONG_TEXT = "This line is repeated to make the APDU long. " * 7


@dataclass(frozen=True)
class Settlement:
    """A change about to be made: `apply` makes it; `fresh` for a record that did not exist before
    this command.
    """

    record: Record
    title: str
    amount_minor: int
    apply: Callable[[], None]
    fresh: bool = False
    extension: bool = False


async def settle(d: Dialogue, change: Settlement) -> None:
    """Tell the result; keep the change only if it was acknowledged. Raises RefusalError 6C after
    undoing it.
    """
    record = change.record
    receipt, trace = _numbers(d, change)
    kept = False
    try:
        await _tell(d, change, receipt, trace)
        kept = True
    except NotAcceptedError as exc:
        d.sim.tell("book", {"what": "reversed", "receipt": record.receipt, "reason": str(exc)})
        await d.status(0x05)
        raise RefusalError(0x6C) from exc
    finally:
        _close(d, change, receipt, trace, kept=kept)
    await d.complete()


def _close(d: Dialogue, change: Settlement, receipt: int, trace: int, *, kept: bool) -> None:
    record, sim = change.record, d.sim
    sim.reader.remove()
    if not kept:
        if change.fresh:
            sim.books.void(record, "the ECR did not acknowledge", sim.clock.now_ms())
        return
    change.apply()
    if not change.fresh:
        record.traces.append(trace)
        if change.extension:
            record.extensions.append({"amount_minor": change.amount_minor, "trace": trace})
        else:
            record.receipts.append(receipt)
            record.closed_ms = sim.clock.now_ms()
    sim.books.save()
    sim.tell("book", {"what": change.title.lower(), **record.view()})


def _numbers(d: Dialogue, change: Settlement) -> tuple[int, int]:
    """Receipt and trace: a record's own, else new ones; an extension keeps the hold's receipt."""
    books = d.sim.books
    if change.fresh:
        return change.record.receipt, change.record.trace
    if change.extension:
        return change.record.receipt, books.next_trace()
    return books.next_receipt(), books.next_trace()


async def _tell(d: Dialogue, change: Settlement, receipt: int, trace: int) -> None:
    sim = d.sim
    if change.fresh:
        await d.status(0x1B)
    if sim.faults.take("drop-040f"):
        await asyncio.sleep(d.sim.timers.t3)
        raise NotAcceptedError("fault: the result was never sent")
    await d.insist(_result(d, change, receipt, trace))
    if sim.faults.take("lose-confirm"):
        await asyncio.sleep(d.sim.timers.t3)
        raise NotAcceptedError("fault: the acknowledgement was not seen")
    if change.title == "Reservation" and not sim.profile.prints_reservation:
        return
    await d.print(_receipt(d, change, receipt, trace), printing.CUSTOMER)


def _result(d: Dialogue, change: Settlement, receipt: int, trace: int) -> bytes:
    sim, record = d.sim, change.record
    outcome = sim.outcome(
        0,
        amount_minor=change.amount_minor,
        card=answers.card_of(record.card),
        trace=trace,
        receipt=receipt,
        authorisation=record.authorisation,
    )
    if not change.fresh:
        outcome = replace(
            outcome, original_trace=record.trace if d.sim.profile.turnover_number else None
        )
    if sim.faults.active("long-apdu"):
        outcome = replace(outcome, text=_LONG_TEXT)
    return answers.status_information(outcome)


def _receipt(d: Dialogue, change: Settlement, receipt: int, trace: int) -> list[str]:
    sim, record = d.sim, change.record
    width = sim.registration.width or sim.profile.chars_per_line
    facts = {
        "terminal": f"{sim.terminal_id:08d}",
        "TA number": f"{trace:06d}",
        "Receipt": f"{receipt:04d}",
    }
    if not change.fresh:
        facts["Original receipt"] = f"{record.receipt:04d}"
        facts["Authorised"] = printing.money(record.authorised_minor, record.currency)
    facts["Amount"] = printing.money(change.amount_minor, record.currency)
    return printing.receipt(change.title, record, facts, sim.local_time(), width)
