"""What the ledger's records say: one line a kind, data only. Field order is that in flash and on
the wire.

One text, for it takes no memory where the code lies in ROMFS; a line: number, name@version, fields
(codec.py reads it). A field is `name` or `name:type`; types: u unsigned integer (when none is
given), i signed integer, s text (at most 255 bytes of UTF-8), l list of signed integers (at most
255). Units are in the names; `at` (epoch ms, 0 = clock unknown) is in every
record and not listed. Rules for change: fields are only ever added at the end, with a higher
version; a reader takes what it knows (issue 3, point 9). Numbers from 128 are the charger's own
notes and are not synced.

Which record means what after a power cut: docs/architecture.md, "After a power cut".
"""

KINDS = (
    b"\n"
    b"1 boot@1 firmware:s reason:s safe\n"
    # a hold is about to be asked of the terminal (method "card"), or was authorised elsewhere or
    # on account (then `reference` is its own there); opens session `sess`. `remote`: the back
    # office's id of a session that it started
    b"2 hold_asked@2 sess hold_minor currency:s tariff:s tariff_crc method:s connector"
    b" reference:s uid_hash:s remote:s\n"
    # the terminal's approval, in flash before it is acknowledged (the commit point)
    b"3 authorised@1 sess amount_minor receipt trace terminal_id:s vu:s auth_code:s"
    b" pan:s card:s\n"
    b"4 declined@1 sess code text:s\n"
    # the contactor is about to close; register and serial number of the meter
    b"5 energising@1 sess register_wh serial:s\n"
    b"6 checkpoint@1 sess register_wh elapsed_ms state:l\n"
    # a closed OCPI charging period; times are ms since the session's start
    b"7 period@1 sess start_ms end_ms energy_mwh charging_ms parking_ms min_ma:i"
    b" max_ma:i min_w:i max_w:i\n"
    b"8 power_off@1 sess register_wh elapsed_ms reason:s\n"
    # the bill; lines are groups of 5 integers: component, quantity, price_e4, vat_e4, gross_minor
    # (pricing/receipt.py); vat: with several rates, 4 integers each: vat_e4, then net, VAT, gross
    b"9 priced@2 sess receipt_no start_at end_at start_wh end_wh billed_wh elapsed_ms"
    b" total_minor net_minor vat_minor currency:s lines:l reason:s vat:l\n"
    # how: by the terminal "direct" or "pending_query"; "gateway", "app", "account": handed over,
    # the back office takes exactly this
    b"10 captured@1 sess captured_minor released_minor receipt trace how:s\n"
    # the whole hold was given back; closes a session that cost nothing
    b"11 cancelled@1 sess released_minor receipt reason:s\n"
    b"12 settle_failed@1 sess attempt code text:s\n"
    b"13 extend_asked@1 sess add_minor\n"
    b"14 extended@1 sess amount_minor receipt trace\n"
    b"15 refund_asked@1 refund:s sess amount_minor way:s reason:s command:s\n"
    # done; lines are groups of 4 integers, one a VAT rate: vat_e4, then net, VAT and gross minor
    b"16 refunded@2 refund:s sess amount_minor way:s receipt trace credit_no receipt_no"
    b" net_minor vat_minor lines:l\n"
    # refused by the charger's rules, or failed at the terminal or the acquirer: `state` says which
    b"17 refund_failed@2 refund:s sess code text:s amount_minor way:s state:s\n"
    b"18 tariff@1 tariff:s tariff_crc result:s detail:s\n"
    b"19 command@1 command:s counter name:s result:s detail:s\n"
    b"20 alarm@1 code:s sess detail:s\n"
    b"21 security@1 code:s detail:s\n"
    b"22 end_of_day@1 count terminal_minor ledger_minor result:s\n"
    # asked for by somebody with the right to, not looked at yet; amount 0: all that is left
    b"23 refund_requested@1 refund:s receipt_no amount_minor reason:s operator:s"
    b" command:s card\n"
    # on its way: handed to the acquirer, or the terminal's approval before it is acknowledged
    b"24 refund_sent@1 refund:s sess amount_minor way:s receipt trace\n"
    # the end of the newest end_of_day was seen: the terminal's day is closed
    b"25 day_closed@1 count\n"
    # what the terminal holds for certain after an extension was asked: kept, refused, taken_back,
    # or found at the capture. An `extended` without it is in doubt
    b"28 extend_done@1 sess amount_minor how:s code text:s\n"
    # the terminal's day is about to be closed, and what the ledger has of it
    b"29 day_asked@1 count ledger_minor\n"
    # own notes, never synced
    b"128 acked@1 acked\n"
    # at every sector's start: the books as they stood; `needed` is the first record that something
    # open needs
    b"129 books@1 acked needed open_sess next_session next_receipt next_credit"
    b" last_counter eod_count eod_captured eod_refunded settled:l refunds:l\n"
)
