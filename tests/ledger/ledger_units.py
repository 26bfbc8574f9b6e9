# What a charger writes, one after the other: sessions that end in every way, refunds, commands. On
# CPython and both MicroPython builds.
from tests.pure.test_ledger_ring import session


def hold(ledger):
    number = ledger.books.next_session
    ledger.append(
        "hold_asked", sess=number, hold_minor=5000, currency="EUR", tariff="T1",
        tariff_crc=4000000000, method="card", connector=1, reference=f"S{number}",
        uid_hash="ab12", remote="",
    )  # fmt: skip


def approved(ledger):
    number = ledger.books.next_session
    hold(ledger)
    ledger.append(
        "authorised", sess=number, amount_minor=5000, receipt=number, trace=17,
        terminal_id="52500041", vu="100", auth_code="123456", pan="************1234", card="Visa",
    )  # fmt: skip


def refused(ledger):
    number = ledger.books.next_session
    hold(ledger)
    ledger.append("declined", sess=number, code=5, text="declined")


def cancelled(ledger):
    number = ledger.books.next_session
    approved(ledger)
    ledger.append("cancelled", sess=number, released_minor=5000, receipt=17, reason="timeout")


def waited(ledger):
    """Energised, and nothing flowed: 8 records."""
    number = ledger.books.next_session
    approved(ledger)
    ledger.append("energising", sess=number, register_wh=1000 * number, serial="SDM-1")
    for at in (0, 30000):
        ledger.append("checkpoint", sess=number, register_wh=1000 * number, elapsed_ms=at,
                      state=[1, -2, 300000, 4000000000, 5])  # fmt: skip
    ledger.append("power_off", sess=number, register_wh=1000 * number, elapsed_ms=60000,
                  reason="unplug")  # fmt: skip
    ledger.append(
        "priced", sess=number, receipt_no=ledger.books.next_receipt, start_at=1763800012608,
        end_at=1763800072608, start_wh=1000 * number, end_wh=1000 * number, billed_wh=0,
        elapsed_ms=60000, total_minor=0, net_minor=0, vat_minor=0, currency="EUR", lines=[],
        reason="unplug", vat=[],
    )  # fmt: skip
    ledger.append("cancelled", sess=number, released_minor=5000, receipt=17, reason="free")


def extended(ledger):
    number = ledger.books.next_session
    approved(ledger)
    ledger.append("energising", sess=number, register_wh=1000 * number, serial="SDM-1")
    ledger.append("extend_asked", sess=number, add_minor=1000)
    ledger.append("extended", sess=number, amount_minor=6000, receipt=number, trace=18)
    ledger.append("extend_done", sess=number, amount_minor=6000, how="kept", code=0, text="")
    ledger.append("power_off", sess=number, register_wh=1000 * number, elapsed_ms=60000,
                  reason="unplug")  # fmt: skip
    ledger.append("settle_failed", sess=number, attempt=1, code=0x6C, text="aborted")
    ledger.append("cancelled", sess=number, released_minor=6000, receipt=17, reason="timeout")


def given_back(ledger, way="reversal"):
    """A refund of a session that was captured before, as it is ordered and done."""
    number = ledger.next_seq
    refund = f"R-2026-11-29-{number}"
    sess = ledger.books._settled[number % len(ledger.books._settled)][0]
    ledger.append("refund_requested", refund=refund, receipt_no=sess, amount_minor=1,
                  reason="goodwill", operator="anna", command=f"c-{number}", card=0)  # fmt: skip
    ledger.append("command", command=f"c-{number}", counter=number, name="refund", result="ok",
                  detail="requested")  # fmt: skip
    ledger.append("refund_asked", refund=refund, sess=sess, amount_minor=1, way=way,
                  reason="goodwill", command=f"c-{number}")  # fmt: skip
    ledger.append("refund_sent", refund=refund, sess=sess, amount_minor=1, way=way,
                  receipt=17, trace=18)  # fmt: skip
    ledger.append(
        "refunded", refund=refund, sess=sess, amount_minor=1, way=way, receipt=17, trace=18,
        credit_no=ledger.books.next_credit, receipt_no=sess, net_minor=1, vat_minor=0,
        lines=[190000, 1, 0, 1],
    )  # fmt: skip


def by_acquirer(ledger):
    given_back(ledger, "acquirer")


def notice(ledger):
    ledger.append("security", code="abcdefgh", detail="")


def command(ledger):
    number = ledger.next_seq
    ledger.append("command", command=f"c-{number}", counter=number, name="report", result="ok",
                  detail="done")  # fmt: skip


def long(ledger):
    number = ledger.books.next_session
    session(ledger, number, checkpoints=24)


def short(ledger):
    number = ledger.books.next_session
    session(ledger, number, checkpoints=5)


def shortest(ledger):
    number = ledger.books.next_session
    session(ledger, number, checkpoints=0)


def charging(ledger):
    """One more checkpoint of a session that is open."""
    if not ledger.books.open:
        approved(ledger)
        ledger.append("energising", sess=ledger.books.open.sess, register_wh=0, serial="SDM-1")
    ledger.append(
        "checkpoint", sess=ledger.books.open.sess, register_wh=ledger.next_seq,
        elapsed_ms=30000 * ledger.next_seq, state=[1, -2, 300000, 4000000000, 5],
    )  # fmt: skip


def above_price(ledger):
    """The terminal took more than the price: the difference is asked for by that record."""
    number = ledger.books.next_session
    approved(ledger)
    bill(ledger, number, 1000)
    ledger.append("captured", sess=number, captured_minor=1500, released_minor=3500, receipt=17,
                  trace=18, how="pending_query")  # fmt: skip
    refund = f"above_price-{ledger.epoch}-{number}"
    ledger.append("refund_asked", refund=refund, sess=number, amount_minor=500, way="reversal",
                  reason="above_price", command="")  # fmt: skip
    ledger.append("refund_failed", refund=refund, sess=number, code=1, text="no", amount_minor=500,
                  way="reversal", state="failed")  # fmt: skip


def handed_over(ledger):
    number = ledger.books.next_session
    approved(ledger)
    ledger.append("extend_asked", sess=number, add_minor=1000)
    ledger.append("declined", sess=number, code=5, text="declined")
    for at in range(3):
        ledger.append(
            "period", sess=number, start_ms=at, end_ms=at + 1, energy_mwh=7, charging_ms=1,
            parking_ms=0, min_ma=-1, max_ma=1, min_w=-1, max_w=1,
        )  # fmt: skip
    bill(ledger, number, 1000)
    ledger.append("captured", sess=number, captured_minor=1000, released_minor=4000, receipt=0,
                  trace=0, how="gateway")  # fmt: skip


def bill(ledger, number, total):
    ledger.append(
        "priced", sess=number, receipt_no=ledger.books.next_receipt, start_at=1763800012608,
        end_at=1763800072608, start_wh=0, end_wh=900, billed_wh=900, elapsed_ms=60000,
        total_minor=total, net_minor=total, vat_minor=0, currency="EUR",
        lines=[1, 900, 4900, 1900, total], reason="unplug", vat=[],
    )  # fmt: skip


def many_ordered(ledger):
    """Refunds that are asked for together and done one after the other: one is refused, one the
    acquirer will not do."""
    orders = []
    for _ in range(4):
        refund = f"M-{ledger.next_seq}"
        orders.append(refund)
        ledger.append("refund_requested", refund=refund, receipt_no=1, amount_minor=1,
                      reason="goodwill", operator="anna", command=refund, card=0)  # fmt: skip
    sess = ledger.books._settled[-1][0]
    for n, refund in enumerate(orders):
        way = ("reversal", "acquirer", "acquirer", "")[n]
        if n < 3:
            ledger.append("refund_asked", refund=refund, sess=sess, amount_minor=1, way=way,
                          reason="goodwill", command=refund)  # fmt: skip
            ledger.append("refund_sent", refund=refund, sess=sess, amount_minor=1, way=way,
                          receipt=17, trace=18)  # fmt: skip
        if n < 2:
            ledger.append(
                "refunded", refund=refund, sess=sess, amount_minor=1, way=way, receipt=17,
                trace=18, credit_no=ledger.books.next_credit, receipt_no=sess, net_minor=1,
                vat_minor=0, lines=[190000, 1, 0, 1],
            )  # fmt: skip
        else:
            ledger.append("refund_failed", refund=refund, sess=sess if way else 0, code=0,
                          text="no", amount_minor=1, way=way,
                          state="refused" if not way else "failed")  # fmt: skip


def day(ledger):
    ledger.append("end_of_day", count=1, terminal_minor=1, ledger_minor=1, result="equal")


FULL_OF = {
    "sessions of 30 records": long,
    "sessions of 11 records": short,
    "sessions of 6 records": shortest,
    "sessions of 8 records that cost nothing": waited,
    "holds that were given back": cancelled,
    "cards that were refused": refused,
    "sessions that were extended": extended,
    "refunds at the terminal": given_back,
    "refunds by the acquirer": by_acquirer,
    "commands": command,
    "an open session's checkpoints": charging,
    "short records": notice,
}
