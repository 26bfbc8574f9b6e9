"""A refund to the card at the terminal (0631), for which the driver presents the card that paid.
Entered for one refund and left again.

The terminal knows no earlier sale here, so that everything is held by this side: the permission
(refund.at_terminal), the amount, and the card: its masked number must be the sale's, when it is
read and again in the terminal's answer, which is not acknowledged otherwise, so that the terminal
takes it back. The approval is in flash (`refund_sent`, with the terminal's receipt) before it is
acknowledged; without that record nothing was paid. With it and no end seen, the refund's receipt
is reversed until the terminal says that it is gone, and the acquirer has it then: never twice.
Where flash lost a record behind the order, the terminal cannot tell, so the acquirer is asked.
A terminal that is away, or refuses for the moment only, is tried again; nothing is written for
that. In vain for more than half an hour, the acquirer has it.
"""

import asyncio
import time

from micropython import const

from firmware.errors import TerminalError
from firmware.refunds.work import done, failed, offer, pause, unsure, view
from firmware.session.data import Session
from firmware.terminal import results

_READS = const(6)  # of 25 s at most
_TRIES = const(12)  # of a terminal that is away, some 40 minutes
_SHORT_MS = const(60000)  # reads without a card that ended sooner: it was not waited for one
_ALREADY = const(0xB4)
_SAY_MS = const(3000)
_NEVER_MS = const(300000)
_OTHER = "another card"


async def refund(app, f: dict, sale: dict) -> int:
    """Brings one refund on; milliseconds until it is worth another turn."""
    if f.get("receipt") or f.get("unsure"):
        return await _take_back(app, f)
    began = time.ticks_ms()
    try:
        card = None
        text = "" if sale.get("pan") else "card_unreadable"
        for _ in range(_READS):
            if text or (card and _same(sale, card)):
                break
            if app.terminal.ready:
                _show(app, f, "refund_card")
                card = await app.terminal.read_card(25)
            if not app.terminal.ready:
                return _later(app, f)
        if card is None and not text and time.ticks_diff(time.ticks_ms(), began) < _SHORT_MS:
            return _later(app, f)
        if not text and not (card and _same(sale, card)):
            text = "no_card"
        if text:
            return await _give_up(app, f, 0, text)
        _show(app, f, "please_wait")
        return await _refund(app, f, sale)
    except TerminalError as e:  # the approval was not ours to take, and was not acknowledged
        app.log("warning", "refund: %s" % e)
        return await _give_up(app, f, 0, "other_card" if str(e) == _OTHER else "terminal_error")


def _same(sale: dict, card) -> bool:
    """Whether this is the card that paid: a CardResult, or the terminal's answer."""
    s = Session(0, 0, "", "")
    s.pan = sale["pan"]
    s.uid_hash = sale.get("uid_hash", "")
    return s.same_card(card)


async def _give_up(app, f: dict, code: int, text: str) -> int:
    failed(app, f, code, text, "failed")
    await _say(app, f, text)
    return _NEVER_MS


def _later(app, f: dict) -> int:
    """Nothing was asked, or it was refused for the moment: again, and then the acquirer."""
    if f.get("attempt", 0) >= _TRIES:
        return offer(app, f)
    return pause(f)


async def _say(app, f: dict, text: str) -> None:
    """The last word to the driver stands for a moment."""
    _show(app, f, text)
    await asyncio.sleep_ms(_SAY_MS)


def _show(app, f: dict, text: str) -> None:
    view(app, {"message": text, "refund_minor": f["amount_minor"]})


async def _refund(app, f: dict, sale: dict) -> int:
    number = f["refund"]

    def commit(apdu) -> None:
        if not _same(sale, apdu):
            raise TerminalError(_OTHER)
        if not apdu.receipt:  # could not be taken back, nor be told from "not asked yet"
            raise TerminalError("no receipt number")
        app.append("refund_sent", refund=number, sess=f["sess"], amount_minor=f["amount_minor"],
                   way="card", receipt=apdu.receipt, trace=apdu.trace)  # fmt: skip

    outcome = await app.terminal.refund(f["amount_minor"], "R" + str(f["sess"]), commit)
    f = app.ledger.books.asked[number][1]  # with what commit wrote
    if outcome.ok and outcome.certain:
        done(app, f, sale, outcome)
        await _say(app, f, "refund_paid")
        return _NEVER_MS
    if f.get("receipt"):  # its end was not seen, or the terminal took it back
        return await _take_back(app, f)
    code = outcome.code
    moment = results.classify(code)[1] in (results.LATER, results.OUT)
    if outcome.certain and (moment if code > 0 else outcome.text == "terminal_off"):
        return _later(app, f)
    return await _give_up(app, f, max(outcome.code, 0), outcome.text)


async def _take_back(app, f: dict) -> int:
    """An approval that may stand or not: reversed, so that it stands not."""
    if not f.get("receipt"):  # flash lost a record behind it: it may be paid (Books.skip)
        return unsure(app, f)
    outcome = await app.terminal.reverse(f["receipt"])
    if outcome.certain and outcome.ok or outcome.code == _ALREADY:
        return offer(app, f)
    refused = outcome.code > 0 and results.classify(outcome.code)[1] == results.REFUSED
    if outcome.certain and refused:
        return unsure(app, f)
    return pause(f)
