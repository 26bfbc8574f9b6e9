"""What a comparison finds: differences, each with its reference, and totals of both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hostsim.backoffice import figures

MISSING_THERE = "missing_there"
MISSING_HERE = "missing_here"
DIFFERS = "differs"
TWICE = "twice"

SESSION, BILL, CARD, REFUND, CREDIT = "session", "bill", "card", "refund", "credit"
"""What is paid: a session by phone, a monthly invoice, a card payment at a terminal whose acquirer
the gateway is; what is given back: of a session or card, of a monthly credit."""

_SIDES = ("here", "there")
_FIGURES = ("payments", "captured_minor", "refunds", "refunded_minor")


@dataclass(frozen=True)
class Difference:
    """`reference`: the gateway's name, or ours when it has none; `ours`: the order's, bill's or
    refund's own id."""

    what: str
    kind: str
    reference: str
    ours: str
    detail: str

    def __str__(self) -> str:
        """One line for a person."""
        name = " ".join(part for part in (self.reference, self.ours) if part)
        return f"{self.kind} {name}: {self.what.replace('_', ' ')}: {self.detail}"


@dataclass(frozen=True)
class Foreign:
    """Something in the same gateway account that is not ours: named, never counted."""

    reference: str
    what: str
    amount_minor: int
    currency: str


@dataclass
class Comparison:
    """`since`: epoch s; `under_way`: payments and refunds that are not at an end, which are judged
    when they are."""

    since: int
    differences: list[Difference] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    under_way: int = 0
    totals: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)

    @property
    def agree(self) -> bool:
        """To the cent."""
        return not self.differences

    def count(self, currency: str, side: str, name: str, amount_minor: int) -> None:
        """One capture (payments, captured_minor) or refund of a side."""
        sides = self.totals.setdefault(
            currency, {one: dict.fromkeys(_FIGURES, 0) for one in _SIDES}
        )
        pair = _FIGURES[:2] if name == "payments" else _FIGURES[2:]
        sides[side][pair[0]] += 1
        sides[side][pair[1]] += amount_minor

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "since": self.since,
            "agree": self.agree,
            "totals": self.totals,
            "under_way": self.under_way,
            "differences": [dataclasses.asdict(one) for one in self.differences],
            "foreign": [dataclasses.asdict(one) for one in self.foreign],
        }

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        for currency, sides in self.totals.items():
            for side, name in (("there", "gateway"), ("here", "back office")):
                sums = sides[side]
                taken = figures.money(sums["captured_minor"], currency)
                back = figures.money(sums["refunded_minor"], currency)
                yield (
                    f"{name}: {sums['payments']} payments, captured {taken};"
                    f" {sums['refunds']} refunds, given back {back}"
                )
        yield f"{self.under_way} under way, {len(self.foreign)} not ours"
        for one in self.foreign:
            amount = figures.money(one.amount_minor, one.currency)
            yield f"not ours: {one.reference} {one.what} {amount}"
        for difference in self.differences:
            yield str(difference)
        yield "they agree to the cent" if self.agree else f"{len(self.differences)} differences"
