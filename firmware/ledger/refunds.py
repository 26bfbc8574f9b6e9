"""What flash says about a sale that is to be given back, and what may be done with it. Entered
for one refund and left again.

A sale is a session that was captured. `look` reads the ring a sector at a time, so that the
charger goes on meanwhile. The ladder picks the cheapest way that works: a reversal while the
terminal's day is open and the whole sale goes back, else the acquirer, who knows the sale by its
references; to the card at the terminal only where that was asked for and is permitted. (What is
not captured yet is cancelled or released by the settlement, and never refunded.)
"""

from micropython import const

from firmware.ledger.books import ACQUIRER

REVERSAL = "reversal"
CARD = "card"

# kinds of schema.py
_AUTHORISED = const(3)
_PRICED = const(9)
_CAPTURED = const(10)
_ASKED = const(15)
_REFUNDED = const(16)
_FAILED = const(17)
_END_OF_DAY = const(22)
_SENT = const(24)


class Sale:
    """`sess` 0: there is none with this number. `priced`, `captured`, `authorised`: fields of its
    records (None: not in flash any more). `day_minor`: refunds asked since the day began, this
    charger's. `closed`: the terminal's day ended after the capture. `first`: the newest word on an
    earlier refund with this id, None without one.
    """

    def __init__(self, refund: str, before: int, receipt_no: int, sess: int = 0) -> None:
        self.refund = refund
        self.before = before
        self.receipt_no = receipt_no
        self.sess = sess
        self.priced = self.captured = self.authorised = self.first = None
        self.day_minor = 0
        self.closed = False
        self._failed: "list[str]" = []
        self._closed_seq = 0

    def look(self, ledger, day_began: int):
        """Generator: fills in the sale, one sector a step."""
        kinds = (_PRICED, _ASKED, _REFUNDED, _FAILED, _END_OF_DAY, _SENT)
        for found in ledger.scan(kinds):
            for record in reversed(found):
                self._take(record, day_began)
            yield
        if not self.sess:
            return
        for found in ledger.scan((_AUTHORISED, _CAPTURED)):
            for record in found:
                f = record.fields
                if f["sess"] == self.sess and record.kind == "authorised":
                    self.authorised = f
                elif f["sess"] == self.sess:
                    self.captured = f
                    self.closed = record.seq < self._closed_seq
            if self.authorised:
                break
            yield
        for _ in ledger.recall(self.sess):
            yield

    def _take(self, record, day_began: int) -> None:
        """One record, newest first."""
        f = record.fields
        kind = record.kind
        if kind == "priced":
            key = "sess" if self.sess else "receipt_no"
            if self.priced is None and f[key] == (self.sess or self.receipt_no):
                self.priced = f
                self.sess = f["sess"]
                self.receipt_no = f["receipt_no"]
            return
        if kind == "end_of_day":
            if f["result"] != "failed":
                self._closed_seq = max(self._closed_seq, record.seq)
            return
        if kind == "refund_asked":
            if record.at >= day_began and f["refund"] not in self._failed:
                self.day_minor += f["amount_minor"]
            return
        if kind == "refund_failed":
            self._failed.append(f["refund"])
        if f["refund"] == self.refund and record.seq < self.before and self.first is None:
            self.first = record


def refusal(sale: Sale, books, asked: dict, caps: tuple) -> tuple:
    """(text, amount): why the charger will not give this back, "" when it will, and how much that
    is. `caps`: day_minor and at_terminal of the configuration.
    """
    left = books.refundable(sale.sess)
    amount = asked["amount_minor"] or left
    text = ""
    if not sale.sess or not sale.captured or not sale.priced:
        text = "receipt_unknown"
    elif not 0 < amount <= left:
        text = "above_captured"
    elif sale.day_minor + amount > caps[0]:
        text = "day_limit"
    elif asked["card"] and not caps[1]:
        text = "not_permitted"
    return text, amount


def first_way(sale: Sale, books, amount: int, card: int) -> str:
    """The cheapest way for this amount; what comes after it is `next_way`."""
    captured = books.settled(sale.sess)
    if amount == captured[1] and not captured[2] and not sale.closed:
        return REVERSAL
    return CARD if card else ACQUIRER


def next_way(way: str, card: int) -> str:
    """When a way was refused for good."""
    return CARD if way == REVERSAL and card else ACQUIRER


def vat_lines(lines, total: int, before: int, amount: int) -> list:
    """Credit lines, one a VAT rate, as four integers each: rate in 1e-4 percent (-1: none known),
    net, VAT and gross in minor units. `lines`: the bill's own (schema.py, priced) of `total`, of
    which `before` was given back already. All refunds of a bill add up to it, rate by rate.
    """
    gross: "dict[int, int]" = {}
    for at in range(0, len(lines) - 4, 5):
        rate = lines[at + 3]
        gross[rate] = gross.get(rate, 0) + lines[at + 4]
    out: "list[int]" = []
    reached = 0
    for rate in sorted(gross):
        low, reached = reached, reached + gross[rate]
        now = _share(before + amount, reached, total) - _share(before + amount, low, total)
        then = _share(before, reached, total) - _share(before, low, total)
        if now != then:
            tax = _tax(now, rate) - _tax(then, rate)
            out.extend((rate, now - then - tax, tax, now - then))
    return out


def _share(part: int, of: int, whole: int) -> int:
    """part * of / whole, half up."""
    return (2 * part * of + whole) // (2 * whole)


def _tax(gross: int, rate: int) -> int:
    """The VAT in a gross amount, the net half up (as on the bill)."""
    if rate <= 0:
        return 0
    return gross - (2 * gross * 1000000 + 1000000 + rate) // (2 * (1000000 + rate))
