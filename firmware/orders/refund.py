"""The back office's words on a refund: the order for one, and the acquirer's answer to one.
Entered for one command and left again.

An order is in flash when it is answered, and works once: an id that is known is answered with what
became of it. What the rules and the terminal say to it comes later, as records and as a result
about the refund (refunds.py).
"""

import asyncio

from firmware.errors import CommandError
from firmware.ledger.books import ABOVE, OUTSIDE
from firmware.sync.messages import natural, text

_REPEATED = "asked_before"  # state of a refund_failed: an order for what was done long ago
_KINDS = (15, 16, 17, 23, 24)  # of schema.py: those with a refund's id
_REASONS = "goodwill fault not_delivered price duplicate fraud other".split(" ")


async def check(app, asked: dict) -> dict:
    """Command `refund`: refund (its id, which begins not as the charger's own), receipt (the
    number on the driver's receipt), may: epoch (the flash that receipt is in: another one counts
    anew),
    amount_minor (0: all that is left; at most 1 million), reason (one of _REASONS), operator,
    card (true: paid to the card at the terminal). Gives the answer; FieldError names the field
    that was refused.
    """
    args = asked["args"]
    refund, operator = text(args, "refund"), text(args, "operator")
    receipt_no, amount = natural(args, "receipt"), natural(args, "amount_minor")
    card = args.get("card", False)
    if args.get("reason") not in _REASONS:
        raise CommandError("reason", "must be one of " + ", ".join(_REASONS), args.get("reason"))
    if card is not True and card is not False:
        raise CommandError("card", "must be true or false", card)
    if args.get("epoch", app.ledger.epoch) != app.ledger.epoch:
        raise CommandError("epoch", "must be of this flash", args["epoch"])
    if not 0 < receipt_no < 1 << 32:
        raise CommandError("receipt", "must be the number on a receipt", receipt_no)
    if amount > 100000000:
        raise CommandError("amount_minor", "must be at most 100000000", amount)
    if not app.ledger.books.refund_state(refund):
        if refund.startswith(ABOVE):  # what those give back is nothing of the bill
            raise CommandError("refund", "must not begin with " + ABOVE, refund)
        app.append("refund_requested", refund=refund, receipt_no=receipt_no, amount_minor=amount,
                   reason=args["reason"], operator=operator, command=asked["id"],
                   card=int(card))  # fmt: skip
        app.remote.refund_at = 0
        # not looked for: what flash may have from long ago is found in its turn (refunds.py)
        return _said(refund, "requested", {"amount_minor": amount})
    known = await find(app.ledger, refund)
    return _said(refund, state(known), known.fields) if known else _said(refund, "requested", {})


async def close(app, asked: dict) -> dict:
    """Command `refund_done`: refund, ok (false: the acquirer refused), code, operator. The credit
    note's number is drawn here, once; repeated, the answer is the same.
    """
    args = asked["args"]
    refund = text(args, "refund")
    if args.get("ok") is not True and args.get("ok") is not False:
        raise CommandError("ok", "must be true or false", args.get("ok"))
    known = await find(app.ledger, refund)
    if known is None or known.fields.get("way") not in OUTSIDE:
        raise CommandError("refund", "must be one that is with the acquirer", refund)
    settled = app.remote.settled  # told again before it is written, as after a lost answer
    if known.kind == "refund_sent" and refund not in [told[0] for told in settled]:
        settled.append((refund, args["ok"], known.fields))
        app.remote.refund_at = 0
    return _said(refund, state(known), known.fields)


def _said(refund: str, what: str, fields: dict) -> dict:
    """What became of a refund, as a result message says it."""
    data = {"refund": refund, "state": what}
    for name in ("amount_minor", "way", "credit_no", "code", "text"):
        if name in fields:
            data[name] = fields[name]
    return {"detail": what, "data": data}


def state(record) -> str:
    """requested, approved, sent, done, refused or failed."""
    if record.kind == "refund_failed":
        return record.fields["state"] or "failed"
    return {"refund_requested": "requested", "refund_asked": "approved", "refund_sent": "sent",
            "refunded": "done"}[record.kind]  # fmt: skip


async def find(ledger, refund: str):
    """The last record on a refund, None when flash has none. An order that came again, and what
    was said to that, count only where there is nothing before it. Others work meanwhile: what was
    written about it since then says more.
    """
    began = 0
    while began != ledger.next_seq:
        since, began = began, ledger.next_seq
        if not since or _written(ledger, refund, since):
            last = await _newest(ledger, refund)
    return last


def _written(ledger, refund: str, since: int) -> bool:
    """Whether a record on the refund was written since: a sector is looked at, hardly more."""
    for found in ledger.scan(_KINDS, since, refund):
        if any([r.seq >= since and r.fields["refund"] == refund for r in found]):
            return True
    return False


async def _newest(ledger, refund: str):
    last = None
    again = False
    for found in ledger.scan(_KINDS, 0, refund):
        for record in reversed(found):
            f = record.fields
            if f["refund"] == refund:
                if f.get("state") == _REPEATED:
                    again = True
                elif again and record.kind == "refund_requested":
                    again = False
                else:
                    return record
                last = last or record
        await asyncio.sleep(0)
    return last
