"""After a power cut: the ledger's open session becomes the machine's again. Pure; the table is in
docs/architecture.md.

What the last record says decides: nothing delivered (the hold goes back), energy delivered (the
register decides the bill, the last checkpoint the time), or priced already (only the capture is
open). A record that flash lost is not what was never written: what the others prove is billed and
no more (`_missing`, `_proven`), the hold is settled in any case, and the operator hears of it.
"""

from micropython import const

from firmware.errors import ForecourtError
from firmware.session.core import RECOVERING
from firmware.session.data import Session
from firmware.session.decisions import RECORD
from firmware.session.delivery import Delivery
from firmware.session.running import RunningBill
from firmware.session.settlement import FOREIGN_HOLD

_WITH_RECEIPT = (3, 10, 11, 16, 24)  # kinds of ledger/schema.py that name one
_ALARMS = const(20)  # how many are looked through for a hold that is not ours
_MWH = const(4)  # place of the energy in a checkpoint's state (pricing/checkpoint.py)


def begin(machine, opened, prices, now_ms: int) -> list:
    """Decisions for the open session `opened` (ledger.books.OpenSession), [] when there is none.

    Raises ForecourtError when the tariff the driver accepted is gone: then nothing is guessed and
    the charger stays out of service with the session open.
    """
    if opened is None:
        return []
    missing = _missing(opened)
    s = session_of(opened)
    tariff = None
    if opened.energising and not opened.priced:
        tariff = _tariff(opened, s, prices)
    machine.session = s
    s.tariff = tariff
    if missing:
        what = "lost: " + missing
        if not (opened.priced or tariff):
            what += "; given back"
        elif "energising" in missing and not opened.priced:
            what += "; billed from %d Wh" % opened.energising["register_wh"]
        alarm = {"sess": s.number, "code": "session_damaged", "detail": what}
        machine.out.append((RECORD, "alarm", alarm))
    if opened.priced:  # the bill is in flash; whether it was captured, the terminal knows
        machine.enter(RECOVERING, now_ms, s.reason)
        machine.settlement.capture(s, True)
        return machine.take()
    machine.enter(RECOVERING, now_ms, "power_cut")
    if tariff is None:  # nothing was delivered: what the terminal holds is given back
        s.reason = "power_cut"
        machine.settlement.cancel(s, "power_cut", True)
        return machine.take()
    s.reason = opened.power_off["reason"] if opened.power_off else ""
    s.reason = s.reason or "power_cut"
    # energy flowed: billed as soon as the meter speaks; time ended at the last checkpoint
    bill = _bill(opened, s, tariff, prices.tz)
    d = machine.delivery = Delivery(machine.out, s, bill, now_ms - bill.elapsed_ms - 1, 0)
    d.off_ms = bill.elapsed_ms
    if opened.power_off:  # the register after it is known already: billed at the next tick
        d.final = True
    return machine.take()


def _missing(opened) -> str:
    """The records of the session that others stand for, by name: flash lost them. Where it is the
    one of the contactor's closing, what is known of that is put in its place.
    """
    powered = opened.checkpoint or opened.power_off or opened.periods or opened.priced
    gone = []
    if opened.hold is None:
        gone.append("hold_asked")
    if opened.authorised is None and (powered or opened.energising):
        gone.append("authorised")
    if powered and not opened.energising:
        gone.append("energising")
        opened.energising = _proven(opened)
    return ", ".join(gone)


def _proven(opened) -> "dict | None":
    """The register at the contactor's closing: a checkpoint's less what its state has counted.
    Without one only what closed periods have is billed, up to the register after power went off.
    None: not even that is known.
    """
    point = opened.checkpoint
    if point and len(point["state"]) > _MWH:
        start_wh = point["register_wh"] - point["state"][_MWH] // 1000
    elif opened.power_off:
        start_wh = opened.power_off["register_wh"] - opened.periods_mwh // 1000
    else:
        return None
    return {"sess": opened.sess, "register_wh": max(start_wh, 0), "serial": ""}


def _tariff(opened, s, prices):
    """The tariff that the driver accepted. Without the session's first record it is the one in
    force, for none is taken in while a session is open; but not where it may be a member's own,
    who pays no hold at the terminal, nor where nothing says what was approved: None, nothing is
    billed.
    """
    if opened.hold is None:
        return prices.tariff if s.method == "card" and s.authorised_minor else None
    tariff = prices.for_crc(opened.hold["tariff_crc"])
    if tariff is None:
        raise ForecourtError("session %d: its tariff is not stored any more" % s.number)
    return tariff


def damage(ledger) -> str:
    """What the mount found wrong with the records it read, for the operator; "" if nothing."""
    books = ledger.books
    if not (ledger.lost or books.faults):
        return ""
    return ("%d lost, %d do not fit: %s" % (ledger.lost, books.faults, books.fault))[:100]


def foreign_holds(ledger, opened) -> tuple:
    """Receipts the terminal held before the session `opened` asked for its own hold, as the
    newest alarm before it says: not ours.
    """
    if opened is None or opened.authorised:
        return ()
    for record in ledger.recent("alarm", _ALARMS):
        if record.seq < opened.seq and record.fields["code"] == FOREIGN_HOLD:
            return tuple([int(r) for r in record.fields["detail"].split()])
    return ()


def last_receipt(ledger) -> int:
    """The terminal's number of the newest transaction whose end was seen, 0 where that is not
    known: with another number than its own newest the terminal takes that one back (TLV 1F1F).
    """
    books = ledger.books
    if books.open or books.asked:
        return 0
    gone = None
    for found in ledger.scan(_WITH_RECEIPT):
        for record in reversed(found):
            f = record.fields
            if gone:  # its own receipt, or the hold's, where a query found that gone
                if record.kind == "authorised" and f["sess"] == gone["sess"]:
                    return 0 if f["receipt"] == gone["receipt"] else gone["receipt"]
            elif f["receipt"] and record.kind == "cancelled":
                gone = f
            elif f["receipt"]:
                return 0 if f.get("how") == "pending_query" else f["receipt"]
    return 0


def session_of(opened) -> Session:
    """What the records say about a session that was not settled."""
    hold = opened.hold
    known = opened.amount_minor - opened.extend_minor
    if hold is None:  # its first record is gone; what the others say is enough for a settlement
        elsewhere = opened.authorised and not opened.authorised["receipt"]
        s = Session(opened.sess, known, "account" if elsewhere else "card", "")
    else:
        s = Session(opened.sess, hold["hold_minor"], hold["method"], hold["reference"])
        s.uid_hash = hold["uid_hash"]
        s.remote = hold["remote"]
    s.start_at = opened.energised_at
    powered = opened.energising or opened.priced
    if powered and not known:  # so what was asked was approved, by a record that is lost
        known = s.hold_minor or (opened.priced["total_minor"] if opened.priced else 0)
    if opened.authorised or powered:
        s.authorised_minor = known
        s.unsure_minor = max(opened.amount_minor - known, 0)
    if opened.authorised:
        s.receipt = opened.authorised["receipt"]
        s.pan = opened.authorised["pan"]
        s.card = opened.authorised["card"]
        s.auth_code = opened.authorised["auth_code"]
    priced = opened.priced
    if priced:
        s.receipt_no = priced["receipt_no"]
        s.total_minor = priced["total_minor"]
        s.billed_wh = priced["billed_wh"]
        s.elapsed_ms = priced["elapsed_ms"]
        s.reason = priced["reason"]
    s.owed_at = opened.owed_at
    return s


def _bill(opened, session, tariff, tz) -> RunningBill:
    """The bill as of the last checkpoint; without one, as of the contactor's closing."""
    start_wh = opened.energising["register_wh"]
    bill = RunningBill(tariff, tz, session.authorised_minor, start_wh, session.start_at, 0,
                opened.checkpoint["state"] if opened.checkpoint else None)  # fmt: skip
    if opened.checkpoint:
        bill.register_wh = opened.checkpoint["register_wh"]
        bill.elapsed_ms = opened.checkpoint["elapsed_ms"]
    off = opened.power_off
    if off and off["elapsed_ms"] >= bill.elapsed_ms and off["register_wh"] >= bill.register_wh:
        bill.reading(off["elapsed_ms"], off["register_wh"], True, -1, -1)
    return bill
