"""The commands that move money: payment, reservation and its extension, capture, cancel,
reversal, refund.

Sources: PA00P015 2.2 and 2.8 to 2.14, as in facts/zvt.md ("Where money is decided"). The rule
behind all of them: a change is valid only after the ECR acknowledged its result and every print
command; otherwise it is undone here, without being asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hostsim.terminal import answers
from hostsim.terminal.books import Kind, Record, State
from hostsim.terminal.cards import Card
from hostsim.terminal.dialogue import Dialogue, RefusalError
from hostsim.terminal.fields import from_bcd
from hostsim.terminal.settle import Settlement, settle

_EXTENSION = b"\x03"
_PENDING_QUERY = b"\xff\xff"


async def pay(d: Dialogue) -> None:
    """0601 authorisation."""
    d.parse()
    await _card_transaction(d, Kind.PAYMENT)


async def reserve(d: Dialogue) -> None:
    """0622 reservation; with TLV 1F06 03 or a trace number: extension of an open one."""
    d.parse()
    if d.fields.tlv(0x1F06) == _EXTENSION or _trace(d):
        await _extend(d)
    else:
        await _card_transaction(d, Kind.RESERVATION)


async def refund(d: Dialogue) -> None:
    """0631 refund: no reference, the card is presented again."""
    d.parse_with_password(optional=True)
    await _card_transaction(d, Kind.REFUND)


async def partial_reversal(d: Dialogue) -> None:
    """0623: BMP 04 is the amount to release (default 0: capture all); 87 FFFF asks for open
    holds.
    """
    d.parse()
    if d.fields.raw(0x87) in (None, _PENDING_QUERY):
        raise RefusalError(0xB8, pending_list(d))
    if not d.sim.profile.releases:
        raise RefusalError(0x83)
    record = _open_hold(d)
    released = d.number(0x04) or 0
    if released > record.authorised_minor:
        raise RefusalError(0xB7)
    await _capture(d, record, record.authorised_minor - released)


async def book_total(d: Dialogue) -> None:
    """0624: BMP 04 is the amount used."""
    d.parse()
    record = _open_hold(d)
    used = _amount(d)
    if used > record.authorised_minor:
        raise RefusalError(0xB7)
    await _capture(d, record, used)


async def cancel(d: Dialogue) -> None:
    """0625: the whole hold is released, nothing was delivered."""
    d.parse()
    record = _open_hold(d)
    await _authorise_without_card(d)

    def apply() -> None:
        record.state = State.CANCELLED
        record.released_minor = record.authorised_minor

    await settle(d, Settlement(record, "Cancellation", 0, apply))


async def reverse(d: Dialogue) -> None:
    """0630: a payment or capture by receipt, in full, before end of day; without a receipt the
    last one.
    """
    d.parse_with_password(optional=True)
    record = _sold(d)
    amount = d.number(0x04)
    if amount is not None and amount != _sum(record):
        raise RefusalError(0xB7)
    await _authorise_without_card(d)
    money = _sum(record)

    def apply() -> None:
        record.state = State.REVERSED
        if record.kind is Kind.REFUND:
            record.returned_minor = 0
        else:
            record.returned_minor = money

    await settle(d, Settlement(record, "Reversal", money, apply))


def pending_list(d: Dialogue) -> bytes:
    """What follows B8: the open holds."""
    return answers.pending([record.receipt for record in d.sim.books.pending()], tlv=d.tlv_wanted)


def _sum(record: Record) -> int:
    return record.authorised_minor if record.kind is Kind.REFUND else record.captured_minor


def _open_hold(d: Dialogue) -> Record:
    """The hold named by BMP 87; raises RefusalError 9A, B4, B5 as the record stands."""
    receipt = d.number(0x87)
    if receipt is None:
        raise RefusalError(0x9A)
    record = d.sim.books.newest(receipt)
    if record is None or record.kind is not Kind.RESERVATION:
        raise RefusalError(0xB5)
    if record.state is not State.PENDING:
        raise RefusalError(0xB4)
    _check_currency(d)
    return record


def _sold(d: Dialogue) -> Record:
    receipt = d.number(0x87)
    record = d.sim.books.records[-1] if receipt is None and d.sim.books.records else None
    if receipt is not None:
        record = d.sim.books.newest(receipt)
    if record is None or record.batch or record.state is State.PENDING:
        raise RefusalError(0xB5)
    if record.state not in (State.PAID, State.CAPTURED, State.REFUNDED):
        raise RefusalError(0xB4)
    return record


def _amount(d: Dialogue) -> int:
    amount = d.number(0x04)
    if amount is None:
        raise RefusalError(0x9A)
    return amount


def _check_currency(d: Dialogue) -> int:
    currency = d.number(0x49)
    expected = d.sim.registration.currency
    if currency is not None and currency != expected:
        raise RefusalError(0x6F, bytes.fromhex(f"{expected:04d}"))
    return expected


def _check_service(d: Dialogue) -> None:
    code = d.sim.faults.code("out-of-service", once=False)
    if code is not None:
        raise RefusalError(code)


async def _card_transaction(d: Dialogue, kind: Kind) -> None:
    amount = _amount(d)
    currency = _check_currency(d)
    _check_service(d)
    if amount == 0:
        raise RefusalError(0xC8)
    if amount > d.sim.profile.max_hold_minor:
        raise RefusalError(0xC3)
    mirror(d)
    card = await _card(d)
    result, approved = await _ask_bank(d, card, amount, kind)
    if result:
        await _declined(d, card, result, amount)
        raise RefusalError(result)
    record = d.sim.new_record(kind, card, approved, currency, _reference(d))
    title = {Kind.RESERVATION: "Reservation", Kind.PAYMENT: "Payment", Kind.REFUND: "Refund"}[kind]

    def apply() -> None:
        _make_valid(record)

    await settle(d, Settlement(record, title, approved, apply, fresh=True))


def _make_valid(record: Record) -> None:
    match record.kind:
        case Kind.RESERVATION:
            record.state = State.PENDING
        case Kind.PAYMENT:
            record.state = State.PAID
            record.captured_minor = record.authorised_minor
        case Kind.REFUND:
            record.state = State.REFUNDED
            record.returned_minor = record.authorised_minor


async def _card(d: Dialogue) -> Card:
    card = await d.card(_timeout(d))
    if not card.readable:
        await d.status(0x0C)
        d.sim.reader.remove()
        raise RefusalError(card.result)
    return card


def _timeout(d: Dialogue) -> float:
    """Seconds to wait for a card: BMP 01 where the ECR gives it, else the terminal's own."""
    given = d.fields.raw(0x01)
    return float(given[0]) if given and given[0] else d.sim.card_timeout_s


async def _ask_bank(d: Dialogue, card: Card, amount: int, kind: Kind) -> tuple[int, int]:
    """Result code and approved amount."""
    await d.status(0x17)
    await asyncio.sleep(d.sim.bank_delay(card))
    forced = d.sim.faults.code("decline-next", once=True)
    if forced is not None:
        return forced, 0
    if d.sim.faults.active("acquirer-down"):
        return 0xA0, 0
    if card.result:
        return card.result, 0
    if card.approves_percent == 100 or kind is Kind.REFUND:
        return 0, amount
    wanted = d.fields.tlv(0x1F70)
    if wanted is None or not any(wanted):
        return 0x05, 0
    return 0, max(1, amount * card.approves_percent // 100)


async def _authorise_without_card(d: Dialogue) -> None:
    _check_service(d)
    await d.status(0x17)
    await asyncio.sleep(d.sim.bank_delay(None))
    if d.sim.faults.active("acquirer-down"):
        raise RefusalError(0xA0)


async def _declined(d: Dialogue, card: Card, result: int, amount: int) -> None:
    """Tell a refusal of the bank by 040F, before 061E ends it."""
    await d.status(0x1D)
    d.sim.reader.remove()
    outcome = d.sim.outcome(result, amount_minor=amount, card=card, trace=d.sim.books.next_trace())
    if d.tlv_wanted and result == 0xFF:
        outcome = replace(outcome, tlvs=d.sim.error_tlvs())
    await d.mention(answers.status_information(outcome))


def _trace(d: Dialogue) -> int:
    """BMP 0B; 000000 there, or none, where TLV 1F2B has a long one. 0: no trace number."""
    return d.number(0x0B) or from_bcd(d.fields.tlv(0x1F2B) or b"\x00")


async def _extend(d: Dialogue) -> None:
    amount = _amount(d)
    _check_currency(d)
    trace, receipt = _trace(d), d.number(0x87)
    record = d.sim.books.by_trace(trace) if trace else None
    if record is None and receipt:
        record = d.sim.books.newest(receipt)
    if record is None or record.kind is not Kind.RESERVATION:
        raise RefusalError(0xB8, pending_list(d))
    named = (d.fields.raw(0x3B) or b"").rstrip(b"\x00 ").decode("ascii", "replace")
    if record.state is not State.PENDING or (named and named != record.authorisation):
        raise RefusalError(0xB8, pending_list(d))
    if amount == 0 or record.authorised_minor + amount > d.sim.profile.max_hold_minor:
        raise RefusalError(0xC3 if amount else 0xC8)
    await _authorise_without_card(d)
    card = answers.card_of(record.card)
    forced = d.sim.faults.code("decline-next", once=True)
    if forced or (card is not None and not card.extends):
        raise RefusalError(forced or 0x05)

    def apply() -> None:
        record.authorised_minor += amount

    await settle(d, Settlement(record, "Extension", amount, apply, extension=True))


async def _capture(d: Dialogue, record: Record, captured: int) -> None:
    await _authorise_without_card(d)
    if d.sim.faults.take("take-all"):
        captured = record.authorised_minor
    told = record.authorised_minor if d.sim.faults.active("tell-hold") else captured

    def apply() -> None:
        record.state = State.CAPTURED
        record.captured_minor = captured
        record.released_minor = record.authorised_minor - captured

    await settle(d, Settlement(record, "Payment", told, apply))


def _reference(d: Dialogue) -> str:
    parts = (d.fields.tlv(0xE9, tag) or d.fields.tlv(tag) or b"" for tag in (0x1F62, 0x1F63))
    return "".join(part.decode("ascii", "replace") for part in parts)


def mirror(d: Dialogue) -> None:
    """TLV 1F1F: the ECR's last receipt. If that of the terminal's last hold or payment came
    later, the ECR lost it: undo it. The one that is named may be a capture's, of an older hold.
    """
    value = d.fields.tlv(0x1F1F)
    last = d.sim.books.last_with_card()
    if value is None or last is None or last.batch:
        return
    text = value.hex()
    if not d.sim.books.newer(last.receipt, int(text) if text.isdecimal() else 0):
        return
    if last.state is State.PENDING or last.state is State.PAID:
        d.sim.books.void(last, "lost by the ECR (1F1F)", d.sim.clock.now_ms())
        d.sim.tell("book", {"what": "reversed by mirror", "receipt": last.receipt})
