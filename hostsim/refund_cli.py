"""`python -m hostsim refund`: an operator's refund, given to the back office of a world that runs.

The order goes into the back office's database; the one that runs signs the command and sends it
within seconds (Refunds.tend), so that no key leaves it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hostsim.backoffice.rules import REASONS
from hostsim.commands import fail
from hostsim.defaults import CHARGER_ID
from hostsim.setup import BUILD

if TYPE_CHECKING:
    from hostsim.backoffice.refunds import Refunds

_LOOK_S = 0.5
_ENDS = ("done", "refused", "failed")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("refund")(refund)


def refund(
    receipt: Annotated[int, typer.Option(help="Number on the driver's receipt.", min=1)],
    operator: Annotated[str, typer.Option(help="Who orders it; stands in the books.")],
    amount: Annotated[
        int, typer.Option(help="Minor units; 0: all that is left.", min=0, max=999_999)
    ] = 0,
    reason: Annotated[str, typer.Option(help="One of " + ", ".join(REASONS) + ".")] = "goodwill",
    card: Annotated[
        bool, typer.Option("--card", help="Pay to the card at the terminal, if permitted.")
    ] = False,
    charger: Annotated[str, typer.Option(help="The charger's name.")] = CHARGER_ID,
    identity: Annotated[
        str, typer.Option("--id", help="Id of the order; the same one again changes nothing.")
    ] = "",
    directory: Annotated[
        Path, typer.Option("--dir", help="Directory of a world, as `run --dir` keeps it.")
    ] = BUILD / "run",
    wait: Annotated[int, typer.Option(help="Seconds to wait for its end.", min=0, max=3600)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Orders and approves a refund; says what became of it.

    Exit code 0: done, or with the acquirer; 1: refused, failed or still open after --wait; 2: a
    wrong option.
    """
    database = directory / "backoffice.db"
    if not database.exists():
        raise fail(f"--dir {directory}: no backoffice.db here; `run` makes one", 2)
    from sqlalchemy.exc import SQLAlchemyError

    from hostsim.backoffice.models import open_database
    from hostsim.backoffice.refunds import RefundError, Refunds

    refunds = Refunds(open_database(f"sqlite:///{database.absolute()}"), None, _now_ms)
    try:
        ordered = refunds.request(
            charger,
            receipt=receipt,
            amount_minor=amount,
            reason=reason,
            operator=operator,
            card=card,
            refund=identity or None,
        )
        if refunds.follow(ordered)["state"] == "requested":
            refunds.approve(ordered, operator)
        found = _followed(refunds, ordered, wait)
    except RefundError as e:
        raise fail(f"--{e}", 2) from e
    except SQLAlchemyError as e:
        raise fail(f"--dir {directory}: {e}") from e
    typer.echo(json.dumps(found) if as_json else _words(found))
    if found["state"] not in ("done", "sent"):
        raise typer.Exit(1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _followed(refunds: Refunds, identity: str, wait: int) -> dict[str, Any]:
    end = time.monotonic() + wait
    found = refunds.follow(identity)
    while found["state"] not in _ENDS and time.monotonic() < end:
        time.sleep(_LOOK_S)
        found = refunds.follow(identity)
    return found


def _words(found: dict[str, Any]) -> str:
    text = f"refund {found['refund']}: {found['state']}"
    if found["way"]:
        text += f" ({found['way']})"
    if found["credit_no"]:
        text += f", {found['amount_minor']} minor units"
        text += f", credit note {found['charger']}-C{found['credit_no']}"
    return text + (f": {found['text']}" if found["text"] else "")
