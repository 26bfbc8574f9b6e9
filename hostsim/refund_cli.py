"""`python -m hostsim refund`: an operator's refund, given to the back office of a world that runs.

The order goes into the back office's database; the one that runs signs the command and sends it
within seconds (Refunds.tend), so that no key leaves it. It is the desk's own way: the same limit,
above which somebody else approves at the desk, and the same audit log.
"""

from __future__ import annotations

import getpass
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hostsim.backoffice.rules import REASONS
from hostsim.commands import fail
from hostsim.defaults import CHARGER_ID
from hostsim.setup import BUILD

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hostsim.backoffice.operator import Operator
    from hostsim.backoffice.refunds import Refunds

_LOOK_S = 0.5
_NAME = 32
_ENDS = ("done", "refused", "failed")
_OPTIONS = {"what": "amount", "refund": "id"}  # fields of the desk's


@dataclass
class _Counter:
    """refund_desk.Office"""

    engine: Engine
    operator: Operator
    refunds: Refunds

    def now_ms(self) -> int:
        return _now_ms()


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("refund")(refund)


def refund(
    receipt: Annotated[int, typer.Option(help="Number on the driver's receipt.", min=1)],
    by: Annotated[
        str | None,
        typer.Option(
            "--by", "--operator", help="Who orders it, for the books. None: this system's user."
        ),
    ] = None,
    amount: Annotated[
        int, typer.Option(help="Minor units; 0: all that is left.", min=0, max=999_999_999)
    ] = 0,
    session: Annotated[
        int, typer.Option(help="The session's number at the desk, where two have the receipt.")
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
    config: Annotated[
        Path | None, typer.Option(help="The operator as TOML: whose limits count.")
    ] = None,
    wait: Annotated[int, typer.Option(help="Seconds to wait for its end.", min=0, max=3600)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Orders a refund and says what became of it. Above the operator's limit (--config,
    approve_above_minor) it waits for somebody else's approval at the desk.

    Exit code 0: done, or with the acquirer; 1: refused, failed, waiting for approval or still open
    after --wait; 2: a wrong option.
    """
    database = directory / "backoffice.db"
    if not database.exists():
        raise fail(f"--dir {directory}: no backoffice.db here; `run` makes one", 2)
    from sqlalchemy.exc import SQLAlchemyError

    from hostsim.backoffice.cli import read_operator
    from hostsim.backoffice.models import open_database
    from hostsim.backoffice.refund_desk import DeskError
    from hostsim.backoffice.refunds import Refunds

    engine = open_database(f"sqlite:///{database.absolute()}")
    counter = _Counter(engine, read_operator(config), Refunds(engine, None, _now_ms))
    try:
        sale = (charger, receipt, session)
        ordered, waits = _ask(counter, sale, _name(by), amount, reason, card, identity)
        found = _followed(counter.refunds, ordered, 0 if waits else wait)
    except DeskError as e:
        raise fail(f"--{_OPTIONS.get(e.field, e.field)}: {e.why}", 2) from e
    except SQLAlchemyError as e:
        raise fail(f"--dir {directory}: {e}") from e
    finally:
        engine.dispose()
    typer.echo(json.dumps(found) if as_json else _words(found))
    if found["state"] not in ("done", "sent"):
        raise typer.Exit(1)


def _ask(
    counter: _Counter, sale: tuple[str, int, int], by: str, amount: int, reason: str, card: bool,
    identity: str,
) -> tuple[str, bool]:  # fmt: skip
    """At the desk, as one of its people. Raises DeskError."""
    from hostsim.backoffice.accounts.logins import Caller
    from hostsim.backoffice.refund_desk import DeskError, RefundDesk
    from hostsim.backoffice.refund_rules import RefundError

    if reason not in REASONS:
        raise DeskError("reason", f"must be one of {', '.join(REASONS)}")
    if not 0 < len(by) <= _NAME:
        raise DeskError("operator", f"must have 1 to {_NAME} characters")
    try:
        session = counter.refunds.session_of(*sale)
    except RefundError as e:
        raise DeskError(e.field, e.why) from e
    what = "part" if amount else "all"
    return RefundDesk(counter).ask(
        Caller(by, "support", ""), session, what, amount or None, [], reason, card, identity
    )


def _name(by: str | None) -> str:
    """Who was named, else this system's user."""
    try:
        return getpass.getuser() if by is None else by
    except (KeyError, OSError) as e:
        raise fail("--by: this system has no name for its user", 2) from e


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
    if found["state"] == "requested":
        text += ": it waits for somebody else's approval at the desk"
    if found["way"]:
        text += f" ({found['way']})"
    if found["credit_no"]:
        text += f", {found['amount_minor']} minor units"
        text += f", credit note {found['charger']}-C{found['credit_no']}"
    return text + (f": {found['text']}" if found["text"] else "")
