"""The fourth book: what the payment gateway itself lists, beside the charger's ledger and the back
office's books, session by session and to the cent.

A payment is named by the order in it, which is the session's id in the command `start` and stands
in the charger's first record of it. Holds of which no session came must be given back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from hostsim.backoffice.fourth import compare
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Gateway, GatewayError, Payment
from hostsim.backoffice.operator import Operator
from hostsim.books import FIGURES, Entry


def entries(listed: Iterable[Payment], charger: str) -> dict[str, Entry]:
    """The gateway's payments at a charger that held anything, by order."""
    found = {}
    for payment in listed:
        there = payment.about.partition("/")[0] == charger
        if not there or payment.state not in (base.HELD, base.CAPTURED):
            continue
        found[payment.order] = Entry(
            payment.authorised_minor,
            payment.captured_minor,
            payment.released_minor,
            payment.refunded_minor,
            payment.state == base.HELD,
        )
    return found


def from_records(records: list[dict[str, Any]]) -> dict[str, Entry]:
    """Sessions that were paid at a gateway, from ledger records as flash (kind) or the back
    office (type) has them, by the id they began with."""
    orders: dict[int, str] = {}
    found: dict[str, Entry] = {}
    done: set[str] = set()
    for record in records:
        kind = record.get("kind") or record.get("type")
        fields = record.get("fields", record)
        sess = fields.get("sess", 0)
        if kind == "hold_asked":
            orders.pop(sess, None)  # a number of an earlier flash
            if fields["method"] == "gateway":
                orders[sess] = fields["remote"]
        elif sess not in orders:
            continue
        elif kind == "authorised":
            found[orders[sess]] = Entry(fields["amount_minor"], open=True)
        elif kind in ("extended", "extend_done"):
            found[orders[sess]].authorised_minor = fields["amount_minor"]
        elif kind in ("captured", "cancelled"):
            entry = found[orders[sess]]
            entry.captured_minor = fields.get("captured_minor", 0)
            entry.released_minor = fields["released_minor"]
            entry.open = False
        elif kind == "refunded" and fields["refund"] not in done:
            done.add(fields["refund"])
            found[orders[sess]].refunded_minor += fields["amount_minor"]
    return found


def differences(
    gateway: dict[str, Entry], charger: dict[str, Entry], back: dict[str, Entry]
) -> list[str]:
    """Every difference, a sentence each. A session of which nothing was owed is a cancelled
    payment at the gateway, which lists no amounts of it."""
    found = []
    for name, book in (("charger", charger), ("back office", back)):
        for order in sorted(set(gateway) | set(book)):
            found.extend(_compare(order, gateway.get(order), name, book.get(order)))
    for order, e in gateway.items():
        if e.refunded_minor > e.captured_minor:
            found.append(f"payment {order}: the gateway gave back more than it took")
    return found


def _compare(order: str, theirs: Entry | None, name: str, mine: Entry | None) -> list[str]:
    if theirs is None:
        if mine is None or (not mine.open and not mine.captured_minor):
            return []
        return [f"payment {order} is in the {name}'s book and the gateway holds nothing"]
    if mine is None:
        return [f"payment {order} is at the gateway and not in the {name}'s book"]
    found = []
    mine = _with_more(theirs, mine)
    for figure in FIGURES:
        a, b = getattr(theirs, figure), getattr(mine, figure)
        if a != b:
            found.append(f"payment {order}: {figure} is {a} for the gateway, {b} for the {name}")
    if theirs.open != mine.open:
        how = "open" if theirs.open else "closed"
        found.append(f"payment {order}: the hold is {how} for the gateway only")
    return found


def _with_more(theirs: Entry, mine: Entry) -> Entry:
    """As if the charger had heard of all that was held: what it had not came free again."""
    more = theirs.authorised_minor - mine.authorised_minor
    if more <= 0:
        return mine
    released = mine.released_minor + (0 if theirs.open else more)
    return dataclasses.replace(
        mine, authorised_minor=theirs.authorised_minor, released_minor=released
    )


def join(
    result: dict[str, Any], gateway: Gateway, name: str, charger: list[Any], back: list[Any],
    office: tuple[Engine, Operator],
) -> None:  # fmt: skip
    """Adds the fourth book to the comparison of the three: session by session of the charger
    `name`, and everything else the gateway settles for the back office."""
    try:
        theirs = entries(gateway.listed(0), name)
        account = compare.compare(*office, gateway, 0)
    except GatewayError as exc:
        result["differences"] = [*result["differences"], f"the gateway shows no book: {exc}"]
        result["agree"] = False
        return
    found = differences(theirs, from_records(charger), from_records(back))
    totals: dict[str, Any] = {
        name: sum(getattr(e, name) for e in theirs.values()) for name in FIGURES
    }
    totals["payments"] = len(theirs)
    totals["open"] = sorted(order for order, e in theirs.items() if e.open)
    totals["account"] = account.as_dict()
    found += [str(one) for one in account.differences]
    result["gateway"] = totals
    result["differences"] = [*result["differences"], *found]
    result["agree"] = not result["differences"]


def of_directory(
    result: dict[str, Any], directory: Path, name: str, charger: list[Any], back: list[Any],
    office: tuple[Engine, Operator],
) -> None:  # fmt: skip
    """The same from a world's files: its gateway is started to be asked. Raises PeerError."""
    from hostsim.gateway.proxy import Proxy

    proxy = Proxy(directory)
    try:
        proxy.start()
        keys = base.Settings("stripe", base.TEST, proxy.url, proxy.environ)
        join(result, base.opened(keys), name, charger, back, office)
    finally:
        proxy.stop()
