"""What a problem means and what is to be done about it: one sentence or two for each code that the
back office shows under "Needs a look", and for each alarm and notice a charger writes.
"""

from __future__ import annotations

from hostsim.backoffice.rules import HOLD_LOST

CODES = {
    "malformed": "A message of this charger keeps to no contract and was left out; if it is a"
    " record, nothing after it comes. Compare its firmware's version with this back office's; if"
    " they fit, suspect its certificate is in other hands.",
    "gap": "Records are missing here; what comes later waits. It closes by itself when they come."
    " If the database was put back to a backup, its page says what is lost, and finance gives"
    " that up there.",
    "gap_accepted": "Somebody gave up records that were missing. Compare the charger's days with"
    " its terminal's journal; nothing else is to be done.",
    "conflict": "Two devices use this identity, or its flash was copied or put back: nothing more"
    " is taken. End the second device, then have a technician see to the ledger (flash_copied in"
    " his manual).",
    "new_epoch": "Its ledger began anew: the board or its flash was replaced. If nobody did that,"
    " send a technician; settle sessions left open by the terminal's journal.",
    "old_epoch": "A ledger that had been replaced sends again: an old board is back in use, or two"
    " devices have one identity. Find out which is right, and end the other.",
    "clock": "Its clock is wrong, and bills by date or hour with it. Check its time server and its"
    " terminal's date; it closes when the time is right.",
    "lost_record": "The charger's flash could not give this record back any more. Compare that"
    " day with the terminal's journal; if it happens again, replace the board.",
    "unknown_record": "The charger's firmware is newer than this back office, which keeps the"
    " record but cannot read it. Update the back office.",
    "later_record": "The charger's firmware is newer than this back office, which reads what it"
    " knows of the record. Update the back office.",
    "impossible": "The record contradicts those before it and is not in the books. Compare with"
    " the terminal's journal, and ask who keeps the charger.",
    "odd_record": "It is in the books, but no charger of ours writes it so: look at the session's"
    " bill before it is paid out or disputed, and ask who keeps the charger.",
    "unbooked": "Its flash lost a record of this session, which the books do not have, or not its"
    " end. Where money was taken, find it in the terminal's journal (or with who took it) and"
    " write the invoice by hand, or give it back there: no refund can be ordered here.",
    "epoch_twice": "Two chargers have one flash image: one's ledger was copied to the other. Their"
    " books are kept apart here; have a technician erase the ledger of the newer one.",
    "refund_unknown": "The charger tells of a refund that no order here is of; often the database"
    " was put back to a backup. It has an order again: see to it under Refunds.",
    "members_refused": "The charger did not take the list of members, and goes by its old one. The"
    " text says why: correct that member or tariff, or update the firmware.",
    "alarm": "The charger raised an alarm: look at its page and its log.",
    "security": "Somebody sent the charger something it had reason to refuse. If it goes on,"
    " find out who can write at the broker, and change the charger's key.",
    "gateway_uncovered": "Something was or is delivered that no payment covers. The charger was"
    " told to stop; what is owed may have to be written off.",
    "gateway_refund": "A refund at the gateway fails or is not there. Look it up at the gateway,"
    " and answer it on the refund's page.",
    "gateway_refund_back": "The driver's bank sent a refund back. Ask the driver for another way.",
    "gateway_started": "A paid session makes no progress, or its charger is silent. If it will"
    " have no end any more, end the payment under Payments, Open payments by phone.",
    "gateway_foreign": "A charger names another charger's payment. Find out how it came to know"
    " it; until then suspect its certificate is in other hands.",
    "gateway_twice": "A second session names one payment; only the first counts and the second"
    " was told to stop. If it delivered, nobody pays it.",
    "gateway_price": "The driver was shown another tariff than the charger bills by. Wait until"
    " the tariff has arrived there; if he complains, give back the difference.",
    "gateway_cashier": "The program failed at a payment, others go on. See its log, and tell who"
    " keeps it.",
    "gateway_books": "The gateway's own list differs from the books here. Look the payment up"
    " there, and correct what is wrong by a refund or by hand.",
    "gateway_lost": "What is owed could not be taken any more. Look it up at the gateway; else it"
    " is written off.",
    "gateway_capturing": "Taking the price fails again and again; it is tried further. Look at the"
    " gateway whether the hold is still there, and whether its key is valid.",
    "gateway_cancelling": "Giving a hold back fails again and again; it is tried further. Look at"
    " the gateway whether it is there still.",
}
"""Code of a Problem -> what it means and what to do."""

_DAY = "Compare the terminal's journal with the charger's payments of that day."
ALARMS = {
    "contactor_not_closing": "The contactor did not close: a technician checks its coil and its"
    " feedback contact.",
    "contactor_welded": "The contactor stays closed: the charger sells nothing. Mains off, and"
    " replace it.",
    "contactor_freed": "The contactor opened after all; have it looked at before long.",
    "power_without_contactor": "The meter sees power though the contactor is open: a technician"
    " checks contactor and meter.",
    "emergency_stop": "Somebody pressed the emergency stop: ask on the spot, then release it.",
    "meter_lost": "The meter stopped answering, or said what cannot be, and the session was ended:"
    " a technician checks its line.",
    "meter_swapped": "Another meter than the one the session began with: the session was ended."
    " If nobody replaced it, send a technician.",
    "register_changed": "The meter's register moved between sessions. Find out whether energy was"
    " drawn past the charger or the meter was replaced.",
    "billed_without_final_reading": "Billed was up to the last good reading; compare the meter if"
    " the driver or the operator doubts it.",
    "capture_above_price": "The terminal took more than the price; the rest is given back by"
    " itself. Watch that the refund comes to its end.",
    "capture_unproven": "Captures whose answer was lost, and which the day does not prove: look"
    " them up under Payments.",
    "hold_lost": "The terminal holds nothing any more: the session is not paid. Look it up at the"
    " acquirer.",
    "hold_twice": "The terminal had two holds of one session; one is given back. Check it at the"
    " acquirer if the driver complains.",
    "hold_unseen": "A hold was asked for and its answer never came: the acquirer lets it go by"
    " itself.",
    "foreign_hold": "The terminal holds amounts that are not this charger's. Ask who else uses it;"
    " the charger leaves them alone.",
    "settlement_late": "A payment is not settled after 20 hours; holds run out. See to the"
    " terminal now.",
    "end_of_day_differs": _DAY,
    "end_of_day_unseen": "The terminal's answer to its end of day was lost. " + _DAY,
    "end_of_day_failed": "The terminal would not close its day; it is tried again. If it goes on,"
    " see the terminal's own menu.",
    "reversed_before": "A refund was made before, by hand at the terminal: enter it in your own"
    " books, it is not in these.",
    "refund_unsure": "The terminal cannot say whether it gave money back: ask the acquirer before"
    " anything is paid again.",
    "flash_copied": CODES["conflict"],
    "ledger_damaged": "The flash has records that cannot be read any more: compare that day with"
    " the terminal's journal; if it happens again, replace the board.",
    "session_damaged": "Flash lost a part of this session's records; the text says what was done."
    " Compare its amount with the terminal's journal.",
    "books_fault": "The charger's own books refused what it wanted to write: save its log and tell"
    " who keeps it.",
    "config_refused": "The charger's stored configuration cannot be used: send it anew.",
    "recovery_failed": "A session that a power cut left could not be closed: a technician saves"
    " the ledger's image (his manual).",
}
"""What an alarm's detail begins with -> what it means and what to do."""

_SECURITY = {
    "command_forged": "Somebody without the key sent a command: find out who can write at the"
    " broker.",
    "command_replayed": "A command came that was used before. Often a broker that repeats; if it"
    " goes on, somebody listens and sends again.",
    "command_expired": "A command came too late, or the charger's clock is ahead: compare them.",
    "command_foreign": "A command for another charger came here: check the broker's topics.",
    "command_malformed": "A command that cannot be read: this back office sends none, so somebody"
    " else did.",
}


def of(code: str, detail: str) -> str:
    """What to do about a problem; "" for a code that has no word here."""
    told = CODES.get(code, "")
    if code == "odd_record" and detail.endswith(f": {HOLD_LOST}"):
        return ALARMS[HOLD_LOST]
    if code in ("alarm", "security"):
        return (ALARMS | _SECURITY).get(detail.partition(":")[0], told)
    return told
