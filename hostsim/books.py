"""The three books side by side: the charger's ledger, the terminal's own, the back office's.

They agree to the cent. The charger's book is read from its flash image by a reader of its own
(hostsim.ledgerimage), so that what is compared is what a power cut would leave. `reconcile` names
every difference, receipt by receipt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hostsim.world import World

FIGURES = ("authorised_minor", "captured_minor", "released_minor", "refunded_minor")


@dataclass
class Entry:
    """One payment, by the terminal's receipt number."""

    authorised_minor: int = 0
    captured_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    open: bool = False

    @property
    def untouched(self) -> bool:
        """Nothing was taken and nothing is held."""
        return not (self.open or self.captured_minor)

    def figures(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in FIGURES}


@dataclass
class Book:
    """A party's view of all payments."""

    name: str
    entries: dict[int, Entry] = field(default_factory=dict)
    elsewhere: dict[int, Entry] = field(default_factory=dict)
    """Sessions that no terminal authorised, by their number: online, by an app, on account."""
    voided: set[int] = field(default_factory=set)
    """Holds the terminal took back by itself: an approval that may or may not have reached the
    charger.
    """

    def totals(self, voided: Set[int] = frozenset()) -> dict[str, Any]:
        """Without the holds that the terminal took back by itself (`voided`) and of which nothing
        was taken here: the terminal's own totals have none of them.
        """
        entries = [
            e
            for receipt, e in self.entries.items()
            if receipt not in voided or not e.untouched
        ]
        totals: dict[str, Any] = {name: sum(getattr(e, name) for e in entries) for name in FIGURES}
        totals["payments"] = len(entries)
        totals["elsewhere"] = {
            name: sum(getattr(e, name) for e in self.elsewhere.values()) for name in FIGURES
        } | {"payments": len(self.elsewhere)}
        totals["open"] = sorted(receipt for receipt, e in self.entries.items() if e.open)
        return totals


def from_records(name: str, records: list[dict[str, Any]]) -> Book:
    """A book from ledger records as flash (kind) or the back office (type) has them."""
    book = Book(name)
    payments: dict[int, Entry] = {}
    remote: set[int] = set()
    refunds: dict[str, int] = {}
    for record in records:
        kind = record.get("kind") or record.get("type")
        fields = record.get("fields", record)
        sess = fields.get("sess", 0)
        if kind == "hold_asked" and fields["method"] != "card":
            remote.add(sess)
        elif kind == "authorised":
            into, key = book.entries, fields["receipt"]
            if sess in remote:
                into, key = book.elsewhere, sess
            payments[sess] = into.setdefault(key, Entry(open=True))
            payments[sess].authorised_minor = fields["amount_minor"]
        elif kind in ("extended", "extend_done") and sess in payments:
            payments[sess].authorised_minor = fields["amount_minor"]
        elif kind in ("captured", "cancelled") and sess in payments:
            entry = payments[sess]
            entry.captured_minor = fields.get("captured_minor", 0)
            entry.released_minor = fields["released_minor"]
            entry.open = False
        elif kind == "refunded" and sess in payments and fields["refund"] not in refunds:
            refunds[fields["refund"]] = fields["amount_minor"]
            payments[sess].refunded_minor += fields["amount_minor"]
    return book


def from_sessions(name: str, sessions: Iterable[dict[str, Any]]) -> Book:
    """The back office's own book: its sessions with payment and refunds as its pages, reports and
    invoices have them (views.sessions), not the records it was told.
    """
    book = Book(name)
    for row in sessions:
        if not row["authorised_minor"]:
            continue
        at_terminal = row["method"] == "card"
        into = book.entries if at_terminal else book.elsewhere
        entry = into.setdefault(row["receipt"] if at_terminal else row["sess"], Entry())
        entry.authorised_minor = row["authorised_minor"]
        entry.captured_minor = row["captured_minor"]
        entry.released_minor = row["released_minor"]
        entry.open = row["state"] not in ("captured", "cancelled", "declined")
        entry.refunded_minor += sum(
            refund["amount_minor"] for refund in row["refunds"] if refund["state"] == "done"
        )
    return book


def from_terminal(summary: dict[str, Any]) -> Book:
    """A book from hostsim.terminal's own, the acquirer's refunds with it; holds it reversed by
    itself never counted. A refund to a card (0631) names no sale: its reference R<n> is that of
    the session whose hold was S<n>.
    """
    book = Book("terminal")
    sales: dict[str, Entry] = {}
    for view in summary["receipts"]:
        if (
            view["state"] in ("unconfirmed", "auto_reversed", "auto-reversed")
            or view["kind"] == "refund"
        ):
            if view["kind"] != "refund":
                book.voided.add(view["receipt"])
            elif view["state"] == "refunded":
                sale = sales.get("S" + view["reference"][1:])
                if sale is None:  # an entry of its own, which no other book has
                    sale = book.entries[view["receipt"]] = Entry()
                sale.refunded_minor += view["returned_minor"]
            continue
        book.entries[view["receipt"]] = sales[view["reference"]] = Entry(
            view["authorised_minor"],
            view["captured_minor"],
            view["released_minor"],
            view["returned_minor"] + sum(view["acquirer_refunds"].values()),
            view["state"] == "pending",
        )
    return book


def differences(books: list[Book]) -> list[str]:
    """Every difference between the first book and the others, a sentence each; [] for none. The
    first is the terminal's, which knows nothing of what is paid elsewhere: there the others are
    compared.
    """
    found = []
    first = books[0]
    for other in books[1:]:
        for receipt in sorted(set(first.entries) | set(other.entries)):
            mine = other.entries.get(receipt)
            if receipt in first.voided and mine and mine.untouched:
                continue  # both say that nothing was taken and nothing is held
            theirs = first.entries.get(receipt)
            found.extend(_compare(f"receipt {receipt}", first.name, theirs, other.name, mine))
    for other in books[2:]:
        charger = books[1]
        for sess in sorted(set(charger.elsewhere) | set(other.elsewhere)):
            a, b = charger.elsewhere.get(sess), other.elsewhere.get(sess)
            found.extend(_compare(f"session {sess}", charger.name, a, other.name, b))
    for book in books:
        for receipt, e in book.entries.items():
            found.extend(_within(f"{book.name}, receipt {receipt}", e))
        for sess, e in book.elsewhere.items():
            found.extend(_within(f"{book.name}, session {sess}", e))
    return found


def _within(what: str, e: Entry) -> Iterator[str]:
    if not e.open and e.captured_minor + e.released_minor != e.authorised_minor:
        yield f"{what}: captured and released is not authorised"
    if e.refunded_minor > e.captured_minor:
        yield f"{what}: more refunded than captured"


def _compare(what: str, first: str, a: Entry | None, other: str, b: Entry | None) -> list[str]:
    if a is None or b is None:
        here, there = (other, first) if a is None else (first, other)
        return [f"{what} is in the {here}'s book and not in the {there}'s"]
    found = []
    for name in FIGURES:
        mine, theirs = getattr(a, name), getattr(b, name)
        if mine != theirs:
            found.append(f"{what}: {name} is {mine} for the {first}, {theirs} for the {other}")
    if a.open != b.open:
        how = "open" if a.open else "closed"
        found.append(f"{what}: the hold is {how} for the {first} only")
    return found


def of_directory(directory: Path) -> dict[str, Any]:
    """The books of a world from its files, whether it runs or not; four with a payment gateway.

    Raises OSError, ValueError, BooksError, PeerError.
    """
    from hostsim.backoffice import views
    from hostsim.backoffice.models import open_database
    from hostsim.ledgerimage import read_image
    from hostsim.terminal.books import Books
    from hostsim.world import CHARGER_ID

    flash = directory / "charger" / "flash.bin"
    database = directory / "backoffice.db"
    for path in (flash, database):
        if not path.exists():
            raise ValueError(f"no {path.name} here; `python -m hostsim run` makes one")
    engine = open_database(f"sqlite:///{database}")
    try:
        back = views.records(engine, CHARGER_ID)
        charger = read_image(flash)
        terminal = from_terminal(Books(directory / "terminal.json").summary())
        mine = from_records("charger", charger)
        found = compare(mine, terminal, of_back_office(engine, CHARGER_ID))
        if (directory / "gateway").is_dir():
            from hostsim.backoffice.operator import Operator
            from hostsim.gateway import book

            office = engine, Operator(gateway="stripe")
            book.of_directory(found, directory / "gateway", CHARGER_ID, charger, back, office)
    finally:
        engine.dispose()
    return found


def of_world(world: World) -> dict[str, Any]:
    """The books of a world that runs."""
    assert world.back_office
    flash, name = world.charger_records(), world.charger_id
    found = compare(
        from_records("charger", flash),
        from_terminal(world.terminal.books.summary()),
        of_back_office(world.back_office.engine, name),
    )
    if world.back_office.phone is not None:
        from hostsim.gateway import book

        kept = world.back_office.records(name)
        office = world.back_office.engine, world.back_office.operator
        book.join(found, world.back_office.phone.gateway, name, flash, kept, office)
    return found


def of_back_office(engine: Engine, charger: str) -> Book:
    """What the back office has in its books of one charger, over all its flashes."""
    from hostsim.backoffice import views

    return from_sessions("back office", views.sessions(engine, charger)[::-1])


def compare(charger: Book, terminal: Book, back: Book) -> dict[str, Any]:
    """The three totals, whether they agree, and every difference."""
    found = differences([terminal, charger, back])
    return {
        "charger": charger.totals(terminal.voided),
        "terminal": terminal.totals(),
        "backoffice": back.totals(terminal.voided),
        "agree": not found,
        "differences": found,
    }


def count_word(result: dict[str, Any]) -> str:
    """Three books, or four where a payment gateway took part."""
    return "four" if "gateway" in result else "three"


def show(result: dict[str, Any]) -> None:
    """The three books as a table, for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"The {count_word(result)} books (minor units)")
    table.add_column("")
    for name in ("charger", "terminal", "back office"):
        table.add_column(name, justify="right")
    for figure in (*FIGURES, "payments"):
        row = [str(result[book][figure]) for book in ("charger", "terminal", "backoffice")]
        table.add_row(figure.removesuffix("_minor"), *row)
    open_holds = [
        ", ".join(map(str, result[book]["open"])) or "-"
        for book in ("charger", "terminal", "backoffice")
    ]
    table.add_row("open holds", *open_holds)
    charger, back = (result[book]["elsewhere"] for book in ("charger", "backoffice"))
    if charger["payments"] or back["payments"]:
        for figure in ("captured_minor", "payments"):
            name = figure.removesuffix("_minor") + " elsewhere"
            table.add_row(name, str(charger[figure]), "-", str(back[figure]))
    if "gateway" in result:
        totals = result["gateway"]
        held = f", open {len(totals['open'])}" if totals["open"] else ""
        table.caption = (
            f"payment gateway: {totals['payments']} payments, captured"
            f" {totals['captured_minor']}, released {totals['released_minor']}, refunded"
            f" {totals['refunded_minor']}{held}"
        )
    console = Console()
    console.print(table)
    if result["agree"]:
        console.print("[green]✔ they agree to the cent[/]")
    for line in result["differences"]:
        console.print(f"[red]✘ {line}[/]", highlight=False)
