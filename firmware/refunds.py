"""Refunds, from the order to the credit note. Entered between sessions when there is one to work
on, and left again; firmware/ledger/refunds.py has the rules and what flash says.

Promise: the money goes back once. The decision (`refund_asked`) is in flash before the terminal
is asked; an answer that was lost is asked for before anything else is tried: a reversal names its
receipt, so the terminal says "already reversed" (B4) instead of doing it twice, and no other way
is taken until it has spoken. What was asked before a power cut is taken up in the same way.
"""

import asyncio

from micropython import const

from firmware.errors import LedgerFull
from firmware.ledger.books import ACQUIRER
from firmware.ledger.refunds import REVERSAL, Sale, first_way, next_way, refusal, vat_lines
from firmware.refund_order import REPEATED, answer
from firmware.terminal import results

_ALREADY = const(0xB4)
_TRIES = const(5)  # of a way that the terminal refuses for the moment
_RETRY_MS = const(10000)
_RETRY_MAX_MS = const(300000)
_DAY_MS = const(86400000)


async def work(app) -> int:
    """One turn over all that is open; milliseconds until the next one is worth it, 0: never."""
    wait = 0
    confirmed = app.remote.confirmed
    while confirmed:
        await _confirm(app, *confirmed[0])
        confirmed.pop(0)
    for refund in list(app.ledger.books.asked):
        if app.machine.busy:
            return _RETRY_MS
        seq, f = app.ledger.books.asked[refund]
        try:
            again = await _one(app, seq, f)
        except LedgerFull:
            again = _RETRY_MAX_MS
        if again and (not wait or again < wait):
            wait = again
    for _, f in app.ledger.books.asked.values():
        if "way" not in f:  # ordered meanwhile
            return 1
    return wait


async def _look(app, sale: Sale) -> None:
    tz = app.prices.tz
    now_s = app.clock.epoch_ms() // 1000
    day_began = (now_s - tz.local(now_s)[1]) * 1000
    for _ in sale.look(app.ledger, day_began):
        await asyncio.sleep_ms(0)


async def _one(app, seq: int, f: dict) -> int:
    """Brings one refund on; 0 when nothing is left to do here."""
    sale = Sale(f["refund"], seq, f.get("receipt_no", 0), f.get("sess", 0))
    await _look(app, sale)
    if "way" not in f:
        f = _decide(app, f, sale)
        if not f:
            return 0
    if f["way"] == REVERSAL:
        return await _reverse(app, f, sale)
    return _hand_over(app, f)


def _decide(app, f: dict, sale: Sale):
    """The charger's own rules; the fields of the refund that may go on, None when it may not."""
    books = app.ledger.books
    refund = f["refund"]
    if sale.first:  # asked before, longer ago than the books remember: the first result stands
        _failed(app, f, 0, "", REPEATED)
        return None
    text, amount = refusal(sale, books, f, app.cfg.refund)
    if text:
        _failed(app, f, 0, text, "refused")
        return None
    app.append("refund_asked", refund=refund, sess=sale.sess, amount_minor=amount,
               way=first_way(sale, books, amount, f["card"]), reason=f["reason"],
               command=f["command"])  # fmt: skip
    f = books.asked[refund][1]
    f["tries"] = 0
    return f


async def _reverse(app, f: dict, sale: Sale) -> int:
    """0630. `tries` and `unsure` are not in flash: without them the power went meanwhile."""
    unsure = f["unsure"] = f.get("unsure", "tries" not in f)
    tries = f["tries"] = f.get("tries", 0) + 1
    if not sale.captured:  # its receipt is not in flash any more
        return _unsure(app, f)
    outcome = await app.terminal.reverse(sale.captured["receipt"])
    if outcome.certain and outcome.ok or outcome.code == _ALREADY:
        done(app, f, sale, outcome)
        return 0
    if not outcome.certain:
        f["unsure"] = True
    elif outcome.code > 0 and results.classify(outcome.code)[1] == results.REFUSED:
        return _unsure(app, f) if unsure else _another_way(app, f)
    elif tries > _TRIES and not unsure:
        return _another_way(app, f)
    return min(_RETRY_MS << min(tries - 1, 6), _RETRY_MAX_MS)


def _another_way(app, f: dict) -> int:
    way = next_way(f["way"], f.get("card", 0))
    if way == ACQUIRER:
        return _hand_over(app, f)
    app.append("refund_sent", refund=f["refund"], sess=f["sess"], amount_minor=f["amount_minor"],
               way=way, receipt=0, trace=0)  # fmt: skip
    return 1


def _unsure(app, f: dict) -> int:
    """The terminal cannot say any more whether it did it: the acquirer can, by the references."""
    app.append("alarm", code="refund_unsure", sess=f["sess"], detail=f["refund"])
    return _hand_over(app, f)


def _hand_over(app, f: dict) -> int:
    """To the back office, which asks the acquirer by the references it has of the sale."""
    app.append("refund_sent", refund=f["refund"], sess=f["sess"], amount_minor=f["amount_minor"],
               way=ACQUIRER, receipt=0, trace=0)  # fmt: skip
    tell(app, f["refund"], True)
    return 0


def done(app, f: dict, sale: Sale, outcome) -> None:
    """The money is on its way back: the credit note's number and VAT lines, in one record."""
    books = app.ledger.books
    amount = f["amount_minor"]
    lines = [-1, amount, 0, amount]
    if sale.priced:
        entry = books.settled(sale.sess)
        before = entry[2] if entry else 0
        if f["way"] == ACQUIRER:
            before -= amount  # counted when it was handed over
        lines = vat_lines(sale.priced["lines"], sale.priced["total_minor"], max(before, 0), amount)
    vat = sum(lines[2::4])
    app.append("refunded", refund=f["refund"], sess=f["sess"], amount_minor=amount, way=f["way"],
               receipt=outcome.receipt, trace=outcome.trace, credit_no=books.next_credit,
               receipt_no=sale.receipt_no, net_minor=amount - vat, vat_minor=vat,
               lines=lines)  # fmt: skip
    tell(app, f["refund"], True)


def _failed(app, f: dict, code: int, text: str, state: str) -> None:
    app.append("refund_failed", refund=f["refund"], sess=f.get("sess", 0), code=code, text=text,
               amount_minor=f["amount_minor"], way=f.get("way", ""), state=state)  # fmt: skip
    tell(app, f["refund"], False)


def tell(app, refund: str, ok: bool) -> None:
    """The result about a refund; its records say the same."""
    app.sync.publish_result(dict(answer(app, refund), about="refund", id=refund, ok=ok))


async def _confirm(app, refund: str, ok: bool, f: dict) -> None:
    """The acquirer's answer to what was handed over."""
    sale = Sale(refund, 0, 0, f["sess"])
    await _look(app, sale)
    if ok:
        from firmware.terminal.base import Outcome

        done(app, f, sale, Outcome(True))
    else:
        _failed(app, f, 0, "acquirer_refused", "failed")
