"""What the ledger's records say: one line a kind, data only. Field order is that in flash and on
the wire.

A row: name, version, fields, in one text, for that takes least memory. Its number is its place,
from 1 on; the last two are the charger's own notes, from 128 on, and not synced (codec.py).
A field is `name` or `name:type`; types: u unsigned integer (when none is given), i signed integer,
s text (at most 255 bytes of UTF-8), l list of signed integers (at most 255). Units are in the
names; `at` (epoch ms, 0 = clock unknown) is in every record and not listed. Rules for change:
fields are only ever added at the end, with a higher version; a reader takes what it knows (issue
3, point 9).

Which record means what after a power cut: docs/architecture.md, "After a power cut".
"""

KINDS: "tuple" = (
    "boot 1 firmware:s reason:s safe",
    # a hold is about to be asked of the terminal (method "card"), or was authorised elsewhere or
    # on account (then `reference` is its own there); opens session `sess`. `remote`: the back
    # office's id of a session that it started
    "hold_asked 2 sess hold_minor currency:s tariff:s tariff_crc method:s connector"
    " reference:s uid_hash:s remote:s",
    # the terminal's approval, in flash before it is acknowledged (the commit point)
    "authorised 1 sess amount_minor receipt trace terminal_id:s vu:s auth_code:s pan:s"
    " card:s",
    "declined 1 sess code text:s",
    # the contactor is about to close; register and serial number of the meter
    "energising 1 sess register_wh serial:s",
    "checkpoint 1 sess register_wh elapsed_ms state:l",
    # a closed OCPI charging period; times are ms since the session's start
    "period 1 sess start_ms end_ms energy_mwh charging_ms parking_ms min_ma:i max_ma:i"
    " min_w:i max_w:i",
    "power_off 1 sess register_wh elapsed_ms reason:s",
    # the bill; lines are groups of 5 integers: component, quantity, price_e4, vat_e4, gross_minor
    # (pricing/receipt.py); vat: with several rates, 4 integers each: vat_e4, then net, VAT, gross
    "priced 2 sess receipt_no start_at end_at start_wh end_wh billed_wh elapsed_ms"
    " total_minor net_minor vat_minor currency:s lines:l reason:s vat:l",
    # how: by the terminal "direct" or "pending_query"; "gateway", "app", "account": handed over,
    # the back office takes exactly this
    "captured 1 sess captured_minor released_minor receipt trace how:s",
    # the whole hold was given back; closes a session that cost nothing
    "cancelled 1 sess released_minor receipt reason:s",
    "settle_failed 1 sess attempt code text:s",
    "extend_asked 1 sess add_minor",
    "extended 1 sess amount_minor receipt trace",
    "refund_asked 1 refund:s sess amount_minor way:s reason:s command:s",
    # done; lines are groups of 4 integers, one a VAT rate: vat_e4, then net, VAT and gross minor
    "refunded 2 refund:s sess amount_minor way:s receipt trace credit_no receipt_no"
    " net_minor vat_minor lines:l",
    # refused by the charger's rules, or failed at the terminal or the acquirer: `state` says which
    "refund_failed 2 refund:s sess code text:s amount_minor way:s state:s",
    "tariff 1 tariff:s tariff_crc result:s detail:s",
    "command 1 command:s counter name:s result:s detail:s",
    "alarm 1 code:s sess detail:s",
    "security 1 code:s detail:s",
    "end_of_day 1 count terminal_minor ledger_minor result:s",
    # asked for by somebody with the right to, not looked at yet; amount 0: all that is left
    "refund_requested 1 refund:s receipt_no amount_minor reason:s operator:s command:s"
    " card",
    # on its way: handed to the acquirer, or the terminal's approval before it is acknowledged
    "refund_sent 1 refund:s sess amount_minor way:s receipt trace",
    # the end of the newest end_of_day was seen: the terminal's day is closed
    "day_closed 1 count",
    "",  # 26 and 27 were never in use
    "",
    # what the terminal holds for certain after an extension was asked: kept, refused, taken_back,
    # or found at the capture. An `extended` without it is in doubt
    "extend_done 1 sess amount_minor how:s code text:s",
    # the terminal's day is about to be closed, and what the ledger has of it
    "day_asked 1 count ledger_minor",
    # own notes, never synced
    "acked 1 acked",
    # at every sector's start: the books as they stood; `needed` is the first record that something
    # open needs
    "books 1 acked needed open_sess next_session next_receipt next_credit last_counter"
    " eod_count eod_captured eod_refunded settled:l refunds:l",
)
