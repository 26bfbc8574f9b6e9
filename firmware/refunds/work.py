"""Refunds, from the order to the credit note. Entered between sessions when there is one to work
on, and left again; firmware/ledger/refunds.py has the rules and what flash says.

Promise: the money goes back once. The decision (`refund_asked`) is in flash before the terminal
is asked; an answer that was lost is asked for before anything else is tried: a reversal names its
receipt, so the terminal says "already reversed" (B4) instead of doing it twice, and no other way
is taken until it has spoken. What was asked before a power cut is taken up in the same way.
"""

import asyncio
import time

from micropython import const

from firmware.errors import LedgerFull
from firmware.ledger.books import ABOVE, ACQUIRER, OUTSIDE
from firmware.paper import leave
from firmware.terminal import results

_ALREADY = const(0xB4)
_TRIES = const(5)  # of a way that the terminal refuses for the moment
_RETRY_MS = const(10000)
_RETRY_MAX_MS = const(300000)
_REPEATED = "asked_before"  # orders/refund.py has the same word


async def work(app) -> int:
    """One turn over all that is open; milliseconds until the next one is worth it."""
    view(app, {"message": "please_wait"})
    try:
        return await _all(app)
    finally:
        app.remote.shown = None


def view(app, shown: dict) -> None:
    """On the screen while this lasts; in the charger's own language, so that no other one's words
    come into memory meanwhile.
    """
    shown["state"] = "refunding"
    app.remote.shown = shown
    app.view.refresh()


async def _all(app) -> int:
    wait = _RETRY_MAX_MS
    settled = app.remote.settled
    while settled:
        await _confirm(app, *settled[0])
        settled.pop(0)
    books = app.ledger.books
    for refund in list(books.asked):
        if app.machine.busy:
            return _RETRY_MS
        seq, f = books.asked[refund]
        try:
            wait = min(wait, await _one(app, seq, f))
        except LedgerFull:
            pass
    for _, f in books.asked.values():
        if "way" not in f:  # ordered meanwhile
            return 1
    return wait


async def _look(app, sale: dict, f: dict) -> dict:
    """What flash says of the sale; an order that was not looked at is decided."""
    from firmware.ledger import refunds

    tz = app.prices.tz
    now = app.clock.epoch_ms() // 1000
    since = (now - tz.local(now)[1]) * 1000
    try:
        for _ in refunds.scan(app.ledger, sale, since):
            app.beats["jobs"] = time.ticks_ms()
            await asyncio.sleep_ms(0)
        if "way" not in f:
            f = _decide(app, f, sale, refunds)
        app.supervisor.measure_heap()
    finally:
        leave("firmware.ledger.refunds")
    return f


async def _one(app, seq: int, f: dict) -> int:
    """Brings one refund on; milliseconds until it is worth another turn."""
    from firmware.ledger.refunds import begin

    sale = begin(f["refund"], seq, f.get("receipt_no", 0), f.get("sess", 0))
    f = await _look(app, sale, f)
    if f["way"] == "reversal":
        return await _reverse(app, f, sale)
    if f["way"] == "card":
        from firmware.refunds.card import refund

        try:
            return await refund(app, f, sale)
        finally:
            leave("firmware.refunds.card")
    if f["way"] in OUTSIDE:
        offer(app, f, f["way"])
    return _RETRY_MAX_MS


def _decide(app, f: dict, sale: dict, rules) -> dict:
    """The charger's own rules; the fields of the refund that may go on, way "" when it may not."""
    books = app.ledger.books
    refund = f["refund"]
    text, amount = rules.refuse(sale, books, f, app.cfg.refund)
    if sale["first"]:  # asked before, longer ago than the books remember: the first result stands
        text = _REPEATED
    if text:
        f["way"] = ""
        failed(app, f, 0, text, _REPEATED if sale["first"] else "refused")
        return f
    app.append("refund_asked", refund=refund, sess=sale["sess"], amount_minor=amount,
               way=rules.find(sale, books, amount, f["card"]), reason=f["reason"],
               command=f["command"])  # fmt: skip
    f = books.asked[refund][1]
    f["attempt"] = 0
    return f


async def _reverse(app, f: dict, sale: dict) -> int:
    """0630. `attempt` and `unsure` are not in flash: without them the power went meanwhile."""
    before = f.get("unsure", "attempt" not in f)
    wait = pause(f)
    f["unsure"] = True
    if "receipt" not in sale:  # not in flash any more
        return unsure(app, f)
    outcome = await app.terminal.reverse(sale["receipt"])
    app.supervisor.measure_heap()
    if outcome.certain and outcome.ok or (outcome.code == _ALREADY and before):
        done(app, f, sale, outcome)
        return _RETRY_MAX_MS
    if outcome.certain:
        f["unsure"] = before
        if outcome.code == _ALREADY:  # by somebody else, then: not ours to book, nor to pay again
            app.append("alarm", code="reversed_before", sess=f["sess"], detail=f["refund"])
            failed(app, f, outcome.code, outcome.text, "failed")
            return _RETRY_MAX_MS
        if outcome.code > 0 and results.classify(outcome.code)[1] == results.REFUSED:
            return unsure(app, f) if before else _another_way(app, f)
        if f["attempt"] > _TRIES and not before:
            return _another_way(app, f)
    return wait


def pause(f: dict) -> int:
    """One try more: milliseconds to the next one."""
    f["attempt"] = f.get("attempt", 0) + 1
    return min(_RETRY_MS << min(f["attempt"] - 1, 6), _RETRY_MAX_MS)


def _another_way(app, f: dict) -> int:
    """A reversal was refused for good."""
    if not f.get("card"):
        return offer(app, f)
    f["attempt"] = 0
    app.append("refund_sent", refund=f["refund"], sess=f["sess"], amount_minor=f["amount_minor"],
               way="card", receipt=0, trace=0)  # fmt: skip
    return 1


def unsure(app, f: dict) -> int:
    """The terminal cannot say any more whether it did it: the acquirer can, by the references. Not
    before the back office is told of the doubt: the alarm may find no room.
    """
    if not app.append("alarm", code="refund_unsure", sess=f["sess"], detail=f["refund"]):
        return _RETRY_MAX_MS
    return offer(app, f)


def offer(app, f: dict, way: str = ACQUIRER) -> int:
    """To the back office, which asks the acquirer (or whoever took the money) by the references
    it has of the sale.
    """
    app.append("refund_sent", refund=f["refund"], sess=f["sess"], amount_minor=f["amount_minor"],
               way=way, receipt=0, trace=0)  # fmt: skip
    _tell(app, f, "sent", {"way": way})
    return _RETRY_MAX_MS


def done(app, f: dict, sale: dict, outcome) -> None:
    """The money is on its way back: the credit note's number and VAT lines, in one record.
    `outcome`: the terminal's, None for the acquirer's.
    """
    from firmware.ledger import credit

    books = app.ledger.books
    amount = f["amount_minor"]
    lines = [-1, amount, 0, amount]
    if "lines" in sale:
        above = f["refund"].startswith(ABOVE)
        before = sale["total"] if above else sale["refunded"]
        lines = credit.lines(sale, before, amount)
    leave("firmware.ledger.credit")
    vat = sum(lines[2::4])
    number = books.next_credit
    app.append("refunded", refund=f["refund"], sess=f["sess"], amount_minor=amount, way=f["way"],
               receipt=outcome.receipt if outcome else 0, trace=outcome.trace if outcome else 0,
               credit_no=number, receipt_no=sale["receipt_no"], net_minor=amount - vat,
               vat_minor=vat, lines=lines)  # fmt: skip
    _tell(app, f, "done", {"way": f["way"], "credit_no": number})


def failed(app, f: dict, code: int, text: str, state: str) -> None:
    app.append("refund_failed", refund=f["refund"], sess=f.get("sess", 0), code=code, text=text,
               amount_minor=f["amount_minor"], way=f["way"], state=state)  # fmt: skip
    if state != _REPEATED:  # answered with the first result already
        _tell(app, f, state, {"code": code, "text": text})


def _tell(app, f: dict, state: str, data: dict) -> None:
    """The result about a refund; its records say the same."""
    data.update({"refund": f["refund"], "state": state, "amount_minor": f["amount_minor"]})
    app.sync.publish_result({"about": "refund", "id": f["refund"], "detail": state, "data": data,
                             "ok": state in ("sent", "done")})  # fmt: skip


async def _confirm(app, refund: str, ok: bool, f: dict) -> None:
    """The acquirer's answer to what was handed over (`f`: its refund_sent)."""
    from firmware.ledger.refunds import begin

    sale = begin(refund, 0, 0, f["sess"])
    await _look(app, sale, f)
    if ok:
        done(app, f, sale, None)
    else:
        failed(app, f, 0, "acquirer_refused", "failed")
