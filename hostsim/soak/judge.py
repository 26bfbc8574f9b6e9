"""What a soak ends with: the three books of a charger, and what was lost or came twice.

The charger's book is read from flash by the independent reader, gathered over the run because a
small ring writes over what was acknowledged.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hostsim import books
from hostsim.backoffice.invoices.verify import verify
from hostsim.gateway import book
from hostsim.ledgerimage import read_image
from hostsim.pricing import bills
from hostsim.world import World

# What the back office may never have had to say of an honest charger.
_GRAVE = ("impossible", "unbooked", "conflict", "malformed", "gap", "lost_record", "old_epoch",
          "new_epoch", "unknown_record", "later_record", "gateway_lost", "gateway_uncovered",
          "gateway_refund_back", "gateway_foreign", "gateway_twice", "gateway_price",
          "gateway_cashier")  # fmt: skip

_HELD = ("authorised", "extended", "extend_done")


class FlashBook:
    """All records that were ever seen in a charger's flash."""

    def __init__(self) -> None:
        self.records: dict[int, dict[str, Any]] = {}
        self.changed: list[str] = []
        self.tariffs: dict[str, dict[str, Any]] = {}  # by id: what its sessions were priced by

    def gather(self, world: World) -> None:
        """Adds what is in flash now; a record that says something else than before is named."""
        for record in read_image(world.files / "flash.bin"):
            known = self.records.setdefault(record["seq"], record)
            if known != record:
                self.changed.append(f"record {record['seq']} changed in flash")

    def in_order(self) -> list[dict[str, Any]]:
        """By number."""
        return [self.records[seq] for seq in sorted(self.records)]


def judge(world: World, flash: FlashBook) -> dict[str, Any]:
    """One charger's books and figures; `failures` is empty when everything is right."""
    assert world.back_office
    mine = flash.in_order()
    office = world.back_office.records(world.charger_id)
    terminal = world.terminal.books.summary()
    compared = books.compare(
        books.from_records("charger", mine),
        books.from_terminal(terminal),
        books.of_back_office(world.back_office.engine, world.charger_id),
    )
    if world.back_office.phone is not None:
        whole = world.back_office.engine, world.back_office.operator
        book.join(compared, world.back_office.phone.gateway, world.charger_id, mine, office, whole)
    at_gateway = compared.get("gateway", {"captured_minor": 0, "refunded_minor": 0, "open": []})
    lost = _lost(mine, office)
    twice = _twice(mine, office, terminal)
    open_holds = compared["terminal"]["open"]
    failures = [
        *compared["differences"],
        *lost,
        *twice,
        *flash.changed,
        *_bills(mine, flash.tariffs),
        *_documents(world),
        *(f"the hold of receipt {receipt} is open" for receipt in open_holds),
        *(f"the hold of payment {order} is open" for order in at_gateway["open"]),
        *_problems(world),
    ]
    billed = [r["billed_wh"] for r in mine if r["kind"] == "priced"]
    return {
        "charger": world.charger_id,
        "books": compared,
        "agree": compared["agree"] and not open_holds,
        "lost": len(lost),
        "duplicated": len(twice),
        "failures": [f"{world.charger_id}: {text}" for text in failures],
        "captured_minor": compared["charger"]["captured_minor"],
        "refunded_minor": compared["charger"]["refunded_minor"],
        "backoffice_minor": _net(compared["backoffice"]),
        "terminal_minor": _net(compared["terminal"]),
        "gateway_minor": _net(at_gateway),
        "records": len(office),
        "bills": len(billed),
        "billed_wh": sum(billed),
    }


def _net(totals: dict[str, Any]) -> int:
    net: int = totals["captured_minor"] - totals["refunded_minor"]
    return net


def _bills(mine: list[dict[str, Any]], tariffs: dict[str, dict[str, Any]]) -> list[str]:
    """Every bill whose tariff is known, recomputed from the energy and time it says; a session in
    which the charger started anew ends at its last record before that.
    """
    asked = {r["sess"]: r["tariff"] for r in mine if r["kind"] == "hold_asked"}
    held = {r["sess"]: r["amount_minor"] for r in mine if r["kind"] in _HELD}
    wrong = []
    for bill in mine:
        if bill["kind"] != "priced":
            continue
        sess = bill["sess"]
        tariff = tariffs.get(asked.get(sess, ""))
        texts = bills.faults(bill, tariff, held.get(sess, 0)) if tariff else []
        known = bills.known_ms(mine, sess)
        if 0 <= known != bill["elapsed_ms"]:
            texts.append(f"{bill['elapsed_ms']} ms billed, the last record has {known} ms")
        wrong += [f"session {sess}: {text}" for text in texts]
    return wrong


def _documents(world: World) -> list[str]:
    """One invoice a capture, one credit note a refund, each with the sums of the books."""
    assert world.back_office
    faults = verify(world.back_office.engine).faults
    return [text for text in faults if text.startswith(world.charger_id)]


def _lost(mine: list[dict[str, Any]], office: list[dict[str, Any]]) -> list[str]:
    """Records that were written and are not in the back office, each once."""
    there = {r["seq"] for r in office}
    last = max((r["seq"] for r in mine), default=0)
    found = [f"record {seq} is not in the back office" for seq in range(1, last + 1)
             if seq not in there]  # fmt: skip
    found += [f"record {r['seq']} was lost in flash" for r in office if r["type"] == "lost"]
    written = {r["seq"]: _plain(r) for r in mine}
    return found + [
        f"record {r['seq']} says something else in the back office"
        for r in office
        if r["seq"] in written and written[r["seq"]] != _plain(r)
    ]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record with one name for its kind, whoever's book it is from."""
    return {"kind" if name == "type" else name: value for name, value in record.items()}


def _twice(
    mine: list[dict[str, Any]], office: list[dict[str, Any]], terminal: dict[str, Any]
) -> list[str]:
    """What happened more than once of that which may happen once."""
    seen: Counter[str] = Counter()
    for r in office:
        seen[f"record {r['seq']} of epoch {r['epoch']} in the back office"] += 1
    for r in mine:
        if r["kind"] in ("authorised", "priced", "captured", "cancelled"):
            seen[f"{r['kind']} of session {r['sess']}"] += 1
        if r["kind"] == "priced":
            seen[f"receipt number {r['receipt_no']}"] += 1
        if r["kind"] == "refunded":
            seen[f"refund {r['refund']}"] += 1
    for payment in terminal["receipts"]:
        if payment["captured_minor"] and payment["reference"]:
            seen[f"capture of {payment['reference']} at the terminal"] += 1
    return [f"{what}: {count} times" for what, count in seen.items() if count > 1]


def _problems(world: World) -> list[str]:
    assert world.back_office
    return [
        f"the back office says {p['code']}: {p['detail']}"
        for p in world.back_office.problems(world.charger_id)
        if p["code"] in _GRAVE
    ]
