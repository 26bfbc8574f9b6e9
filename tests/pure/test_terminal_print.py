"""What a terminal prints: no line of a receipt loses a number to the mask by chance, whatever the
numbers on it are, and every layout a card number is printed in does.

Lines as terminals print them, with drawn numbers. The rate is measured on CPython over 100,000
lines, on MicroPython over a sample.
"""

import sys
import time

from firmware.terminal.masking import scrub_lines, take_text

LINES = (
    "Terminal-ID {tid}", "Terminal-ID : {tid}", "TID {tid} VU-Nr {n10}", "VU-Nr {n10}",
    "VU-Nr. {n9}", "TA-Nr {n6} BNr {n4}", "TA-Nr. {n6}   Beleg-Nr. {n4}", "Trace-Nr. {n6}",
    "Trace {n6}  Receipt {n4}", "Beleg {n6} {day} {hour}", "{n6} {day} {hour}",
    "{n4} {n6} {day} {second}", "{day} {hour}", "{day}          {second}", "{iso} {second}",
    "Datum:{day}  Zeit:{second}", "Datum {short} {hour} Uhr", "Date {us} {hour}",
    "{tid} {day} {hour}",
    "{day} {hour} {n6}", "{day} {hour} {n4} {n6}", "Zeit {second} Bon {n4}", "EUR {sum}",
    "Betrag EUR {sum}", "Total EUR {dot}", "Summe {n4} {sum} {sum}", "{n4}   {sum}   {sum}  {n1}",
    "{n4} {day} {sum}", "MwSt 19,00% {sum} {sum}", "Kartennr. ############{n4}",
    "Card ************{n4}", "Karten-Nr. 476173******{n4} {n1}{n1}", "gueltig bis {n2}/{n2}",
    "AID: A0000000041010", "AID A0000000031010 {n4}", "AID A000000025010801",
    "AID: D27600002545500100",
    "AID A0000001523010 {hour}", "AID: A0000000043060",
    "AID: A0000003591010028001",
    "Genehmigungs-Nr. {n6}", "AS-Proc-Code = 00 {n3} 00", "Capt.-Ref.= {n4}", "AID59: {n6}",
    "EMV-Daten: {n10}/{n4}/{n8}", "{n8}//{hex8}///", "TVR {n10} TSI E800", "AC {hex16}",
    "EMV {hex8}/{n2}{n2}/{hex8}", "Tel. 030 {n8}", "Tel. +49 30/{n7}", "{n5} Musterstadt",
    "Kassenbericht {n4} bis {n4}", "Kd-Nr {n8} Bon {n6} {day}", "Merchant {n10} Terminal {tid}",
    "Auth {n6} {iso}", "Batch {n6} {us} {second}", "Receipt {n4}/{n6} {day}", "UTC {iso} {hour}",
)  # fmt: skip


def _below(state, n):
    state[0] = (state[0] * 1103515245 + 12345) & 0x7FFFFFFF
    return (state[0] >> 8) % n


def _fields(state):
    two = ["{:02}".format(_below(state, 60)) for _ in range(3)]
    d, m = 1 + _below(state, 28), 1 + _below(state, 12)
    y, h = 2025 + _below(state, 10), _below(state, 24)
    cents = "{:02}".format(_below(state, 100))
    whole = str(_below(state, (10, 100, 1000, 1000000)[_below(state, 4)]))
    thousands = whole if len(whole) < 4 else whole[:-3] + "." + whole[-3:]
    made = {
        "n" + str(n): "".join([str(_below(state, 10)) for _ in range(n)]) for n in range(1, 11)
    }
    made["tid"] = "56"[_below(state, 2)] + made["n7"]
    made["hex16"] = "".join(["0123456789ABCDEF"[_below(state, 16)] for _ in range(16)])
    made["hex8"] = made["hex16"][4:12]
    made["day"] = "{:02}.{:02}.{}".format(d, m, y)
    made["short"] = "{:02}.{:02}.{:02}".format(d, m, y % 100)
    made["us"] = "{:02}/{:02}/{}".format(m, d, y)
    made["iso"] = "{}-{:02}-{:02}".format(y, m, d)
    made["hour"] = "{:02}:{}".format(h, two[0])
    made["second"] = "{:02}:{}:{}".format(h, two[0], two[1])
    made["sum"] = thousands + "," + cents
    made["dot"] = thousands.replace(".", ",") + "." + cents
    return made


def test_fewer_than_one_line_in_two_thousand_loses_a_number_by_chance():
    lines = 100000 if sys.implementation.name == "cpython" else 2200
    state = [2026]
    false = []
    for n in range(lines):
        if n % 11 == 0:
            fields = _fields(state)
        line = LINES[(n * 7) % len(LINES)].format(**fields)
        if take_text(memoryview(bytearray(line.encode()))) != line:
            false.append(line)
    assert len(false) < lines // 2000, (len(false), false[:20])


def test_few_receipts_lose_a_number_by_chance_over_their_lines():
    receipts = 4000 if sys.implementation.name == "cpython" else 400
    state = [7]
    false = []
    for _ in range(receipts):
        fields = _fields(state)
        text = "\n".join([LINES[_below(state, len(LINES))].format(**fields) for _ in range(9)])
        if scrub_lines(text) is not text:
            false.append(text)
    assert len(false) < receipts // 40, (len(false), false[:5])


# test numbers of the schemes, and the sizes of groups they are printed in
LAYOUTS = (
    ("4111111111111111", (16,), (4, 4, 4, 4), (8, 8), (6, 10), (6, 6, 4), (4, 12), (12, 4)),
    ("5555555555554444", (16,), (4, 4, 4, 4), (8, 8), (6, 6, 4), (2, 2, 4, 4, 4)),
    ("2223003122003222", (16,), (4, 4, 4, 4), (8, 8)),
    ("6011111111111117", (16,), (4, 4, 4, 4)),
    ("378282246310005", (15,), (4, 6, 5), (5, 5, 5)),
    ("30569309025904", (14,), (4, 6, 4), (7, 7)),
    ("4222222222222", (13,), (4, 4, 5), (4, 3, 3, 3)),
    ("6799998900000060018", (19,), (4, 4, 4, 4, 3), (6, 13), (8, 11)),
    ("3566002020360505", (16,), (4, 4, 4, 4)),
)
BESIDE = (
    "{}", "Kartennr. {}", "PAN {} EUR 12,34", "{} 30.11.2026 14:05", "30.11.2026 14:05 {}",
    "14:05:33 {}", "{} 12/28", "0042 {}", "{} 0042", "12,34 {} 12,34", "000123 {} 4242",
    "TA-Nr 000123 {}", "Card:{}", "({})", "*{}*", "2026-11-30 {} 12.34", "{}=2812101",
)  # fmt: skip


def test_every_layout_of_a_card_number_is_masked_beside_whatever():
    for layout in LAYOUTS:
        pan = layout[0]
        for sizes in layout[1:] + ((1,) * len(pan),):
            for sign in (" ", "  ", "-", ".", "/", "_", "\n", ", ", " - ", "\0", "\x01", "\x80"):
                groups = []
                at = 0
                for size in sizes:
                    groups.append(pan[at : at + size])
                    at += size
                for beside in BESIDE:
                    text = beside.format(sign.join(groups))
                    raw = bytearray([ord(char) for char in text])
                    shown = take_text(memoryview(raw))
                    figures = "".join([char for char in shown if char.isdigit()])
                    assert pan not in figures, (text, shown)
                    assert pan[6:-4] not in figures or shown.count("*") > 2, (text, shown)


def test_what_is_beside_a_card_number_stays():
    for text, shown in (
        ("4111 1111 1111 1111 30.11.2026", "4111 11** **** 1111 30.11.2026"),
        ("Beleg 0042 4111-1111-1111-1111", "Beleg 0042 4111-11**-****-1111"),
        ("14:05 378282 246310 005 12,34", "14:05 378282 *****0 005 12,34"),
    ):
        assert take_text(memoryview(bytearray(text.encode()))) == shown


def test_a_long_text_takes_no_time():
    for piece in (
        b"4",
        b"0",
        b"4 ",
        b"0 ",
        b"42 ",
        b"4.",
        b"?4",
        b"4  ",
        b"41:11 ",
        b"* ",
        b"A/B",
    ):
        size = 65536 if sys.implementation.name == "cpython" else 4096
        raw = bytearray((piece * size)[:size])
        began = time.time()
        take_text(memoryview(raw))
        assert time.time() - began < 10, piece
