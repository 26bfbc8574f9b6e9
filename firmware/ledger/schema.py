"""What the ledger's records say: one row a kind, data only. Field order here is the order in flash and on the wire.

A row: number, name, version, and fields as (name, type). Types: u unsigned integer, i signed integer, s text (at most
255 bytes of UTF-8), l list of signed integers (at most 255). Units are in the names; `at` (epoch ms, 0 = clock unknown)
is in every record and not listed. Rules for change: fields are only ever added at the end, with a higher version; a
reader takes what it knows (issue 3, point 9). Numbers from 128 are the charger's own notes and are not synced.

Which record means what after a power cut: docs/architecture.md, "After a power cut".
"""

ROWS = (
    # number, name, version, fields
    (1, "boot", 1, (("version", "s"), ("reason", "s"), ("safe", "u"))),
    # a hold is about to be asked of the terminal; opens session `sess`
    (2, "hold_asked", 1, (("sess", "u"), ("hold_minor", "u"), ("currency", "s"), ("tariff", "s"), ("tariff_crc", "u"),
                          ("method", "s"), ("connector", "u"), ("reference", "s"), ("uid_hash", "s"))),
    # the terminal's approval, in flash before it is acknowledged (the commit point)
    (3, "authorised", 1, (("sess", "u"), ("amount_minor", "u"), ("receipt", "u"), ("trace", "u"), ("terminal_id", "s"),
                          ("vu", "s"), ("auth_code", "s"), ("pan", "s"), ("card", "s"))),
    (4, "declined", 1, (("sess", "u"), ("code", "u"), ("text", "s"))),
    # the contactor is about to close; register and serial number of the meter
    (5, "energising", 1, (("sess", "u"), ("register_wh", "u"), ("serial", "s"))),
    (6, "checkpoint", 1, (("sess", "u"), ("register_wh", "u"), ("elapsed_ms", "u"), ("state", "l"))),
    # a closed OCPI charging period; times are ms since the session's start
    (7, "period", 1, (("sess", "u"), ("start_ms", "u"), ("end_ms", "u"), ("energy_mwh", "u"), ("charging_ms", "u"),
                      ("parking_ms", "u"), ("min_ma", "i"), ("max_ma", "i"), ("min_w", "i"), ("max_w", "i"))),
    # the contactor was opened and the register read after it
    (8, "power_off", 1, (("sess", "u"), ("register_wh", "u"), ("elapsed_ms", "u"), ("reason", "s"))),
    # the bill; lines are groups of 5 integers: component, quantity, price_e4, vat_e4, gross_minor (pricing/receipt.py)
    (9, "priced", 1, (("sess", "u"), ("receipt_no", "u"), ("start_at", "u"), ("end_at", "u"), ("start_wh", "u"),
                      ("end_wh", "u"), ("billed_wh", "u"), ("elapsed_ms", "u"), ("total_minor", "u"),
                      ("net_minor", "u"), ("vat_minor", "u"), ("currency", "s"), ("lines", "l"), ("reason", "s"))),
    (10, "captured", 1, (("sess", "u"), ("captured_minor", "u"), ("released_minor", "u"), ("receipt", "u"),
                         ("trace", "u"), ("how", "s"))),
    # the whole hold was given back; closes a session that cost nothing
    (11, "cancelled", 1, (("sess", "u"), ("released_minor", "u"), ("receipt", "u"), ("reason", "s"))),
    (12, "settle_failed", 1, (("sess", "u"), ("attempt", "u"), ("code", "u"), ("text", "s"))),
    (13, "extend_asked", 1, (("sess", "u"), ("add_minor", "u"))),
    (14, "extended", 1, (("sess", "u"), ("amount_minor", "u"), ("receipt", "u"), ("trace", "u"))),
    (15, "refund_asked", 1, (("refund", "s"), ("sess", "u"), ("amount_minor", "u"), ("way", "s"), ("reason", "s"),
                             ("command", "s"))),
    (16, "refunded", 1, (("refund", "s"), ("sess", "u"), ("amount_minor", "u"), ("way", "s"), ("receipt", "u"),
                         ("trace", "u"), ("credit_no", "u"))),
    (17, "refund_failed", 1, (("refund", "s"), ("sess", "u"), ("code", "u"), ("text", "s"))),
    (18, "tariff", 1, (("tariff", "s"), ("tariff_crc", "u"), ("result", "s"), ("detail", "s"))),
    (19, "command", 1, (("command", "s"), ("counter", "u"), ("name", "s"), ("result", "s"), ("detail", "s"))),
    (20, "alarm", 1, (("code", "s"), ("sess", "u"), ("detail", "s"))),
    (21, "security", 1, (("code", "s"), ("detail", "s"))),
    (22, "end_of_day", 1, (("count", "u"), ("terminal_minor", "u"), ("ledger_minor", "u"), ("result", "s"))),
    # own notes, never synced
    (128, "acked", 1, (("seq", "u"),)),
    # at every sector's start: the books as they stood; `needed` is the first record that something open needs
    (129, "books", 1, (("acked", "u"), ("needed", "u"), ("open_sess", "u"), ("next_session", "u"), ("next_receipt", "u"),
                       ("next_credit", "u"), ("counter", "u"), ("eod_count", "u"), ("eod_captured", "u"),
                       ("eod_refunded", "u"), ("settled", "l"), ("refunds", "l"))),
)
