"""What flash says about a sale that is to be given back, and what may be done with it. Entered
for one refund and left again.

A sale is a session that was captured. `scan` reads the ring a sector at a time, so that the
charger goes on meanwhile. The ladder picks the cheapest way that works: a reversal while the
terminal's day is open and the whole sale goes back, else the acquirer, who knows the sale by its
references; to the card at the terminal only where that was asked for and is permitted. (What is
not captured yet is cancelled or released by the settlement, and never refunded.) What was paid
elsewhere goes back there.
"""

from micropython import const

from firmware.ledger.books import ABOVE, ACQUIRER, ELSEWHERE, OUTSIDE

_REVERSAL = "reversal"
_CARD = "card"

# kinds of schema.py
_HOLD_ASKED = const(2)
_AUTHORISED = const(3)
_PRICED = const(9)
_CAPTURED = const(10)
_ASKED = const(15)
_REFUNDED = const(16)
_FAILED = const(17)
_END_OF_DAY = const(22)
_SENT = const(24)


def begin(refund: str, before: int, receipt_no: int, sess: int) -> dict:
    """An empty sale for `scan`: of the session `sess`, or (0) of the receipt. `before`: number of
    the refund's first record.

    Keys it will have: sess (0: there is none with this number), receipt_no, lines, vat and
    total (priced), receipt and how (captured), pan (authorised), uid_hash (hold_asked); absent
    when not in flash any more. asked_today: refunds asked since the day began, this charger's.
    seq: newest end of day (its record's number); closed: it was after the capture. first: an
    earlier refund had this id. refunded: what has its credit note; vat_minor: the VAT in that.
    """
    return {"refund": refund, "before": before, "receipt_no": receipt_no, "sess": sess,
            "asked_today": 0, "seq": 0, "closed": False, "first": False,
            "refunded": 0, "vat_minor": 0}  # fmt: skip


def scan(ledger, sale: dict, since: int):
    """Generator: fills in the sale, one sector a step."""
    failed: "list[str]" = []
    for found in ledger.scan((_PRICED, _ASKED, _REFUNDED, _FAILED, _END_OF_DAY, _SENT)):
        for record in reversed(found):
            _take(sale, record, since, failed)
        yield
    if not sale["sess"]:
        return
    for found in ledger.scan((_HOLD_ASKED, _AUTHORISED, _CAPTURED)):
        for record in found:
            if record.fields["sess"] == sale["sess"]:
                _take_own(sale, record)
        if "uid_hash" in sale:
            break
        yield
    for _ in recall(ledger, sale["sess"]):
        yield


def recall(ledger, sess: int):
    """Generator: looks for an old session's figures in flash, one sector a step, and puts them
    into the books, so that it can be refunded."""
    refunded = 0
    for found in ledger.scan((_CAPTURED, _REFUNDED, _FAILED, _SENT)):
        if ledger.books.settled(sess):
            return
        for record in found:
            f = record.fields
            if f["sess"] == sess and record.kind != "captured":
                refunded += _given_back(record.kind, f)
        for record in found:
            f = record.fields
            if f["sess"] == sess and record.kind == "captured":
                ledger.books.remember(sess, f["captured_minor"], refunded)
        yield


def _given_back(kind: str, f: dict) -> int:
    """What a record adds to a session's refunds: with the acquirer counts as given back."""
    amount = 0
    if f["way"] in OUTSIDE:
        if kind == "refund_sent":
            amount = f["amount_minor"]
        elif kind == "refund_failed":
            amount = -f["amount_minor"]
    elif kind == "refunded":
        amount = f["amount_minor"]
    return amount

def _take_own(sale: dict, record) -> None:
    """One of the session's own records."""
    f = record.fields
    if record.kind == "captured":
        sale["receipt"] = f["receipt"]
        sale["how"] = f["how"]
        sale["closed"] = record.seq < sale["seq"]
    else:
        key = "pan" if record.kind == "authorised" else "uid_hash"
        sale[key] = f[key]


def _take(sale: dict, record, since: int, failed: list) -> None:
    """One record, newest first."""
    f = record.fields
    key = "sess" if sale["sess"] else "receipt_no"
    if record.kind == "priced":
        if "lines" not in sale and f[key] == sale[key]:
            sale["sess"] = f["sess"]
            sale["receipt_no"] = f["receipt_no"]
            sale["lines"] = f["lines"]
            sale["vat"] = f["vat"] or _of_one_rate(f)
            sale["total"] = f["total_minor"]
    elif record.kind == "end_of_day":
        if f["result"] != "failed":
            sale["seq"] = max(sale["seq"], record.seq)
    elif record.kind == "refund_asked":
        if record.at >= since and f["refund"] not in failed:
            sale["asked_today"] += f["amount_minor"]
    else:
        if record.kind == "refund_failed":
            failed.append(f["refund"])
        elif record.kind == "refunded" and f[key] == sale[key]:
            sale["refunded"] += _of_bill(f)
            sale["vat_minor"] += f["vat_minor"]  # none in what was above the bill
        if f["refund"] == sale["refund"] and record.seq < sale["before"]:
            sale["first"] = True


def _of_one_rate(f: dict) -> list:
    """`vat` of a bill that has one rate, which does not repeat its own net and VAT there."""
    if len(set(f["lines"][3::5])) != 1:
        return []
    return [f["lines"][3], f["net_minor"], f["vat_minor"], f["total_minor"]]


def _of_bill(f: dict) -> int:
    """What a refund that is done gave back of the bill: what was taken above it is nothing of it.
    """
    return 0 if f["refund"].startswith(ABOVE) else f["amount_minor"]


def refuse(sale: dict, books, asked: dict, caps: tuple) -> tuple:
    """(text, amount): why the charger will not give this back, "" when it will, and how much that
    is. `caps`: day_minor and at_terminal of the configuration.
    """
    left = books.refundable(sale["sess"])
    amount = asked["amount_minor"] or left
    text = ""
    if "receipt" not in sale or "lines" not in sale:
        text = "receipt_unknown"
    elif not 0 < amount <= left:
        text = "above_captured"
    elif sale["asked_today"] + amount > caps[0]:
        text = "day_limit_reached"
    elif asked["card"] and not caps[1]:
        text = "not_permitted"
    return text, amount


def find(sale: dict, books, amount: int, card: int) -> str:
    """The cheapest way for this amount."""
    if sale["how"] in ELSEWHERE:
        return "account" if sale["how"] == "account" else "gateway"
    captured = books.settled(sale["sess"])
    whole = amount == captured[1] and not captured[2]
    # a capture whose answer was lost left only the hold's receipt, which a reversal may not name:
    # "already reversed" (B4) would then be said of the hold
    told = sale["receipt"] and sale["how"] != "pending_query"
    if whole and told and not sale["closed"]:
        return _REVERSAL
    return _CARD if card else ACQUIRER
