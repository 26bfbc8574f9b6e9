"""`python -m hostsim members`: who charges on account. The back office that runs on the same
database brings every change to its chargers within seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hostsim.backoffice.cli import Database, opened
from hostsim.setup import BUILD

_RUN = str(BUILD / "run" / "backoffice.db")
_BY = "command line"
_Account = Annotated[str, typer.Argument(help="Account, 1 to 32 of A-Z a-z 0-9 - _ . : /")]
_Uid = Annotated[str, typer.Argument(help="UID in hex, 4, 7 or 10 bytes; only its hash is kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands to hostsim's."""
    members = typer.Typer(help="Members: accounts, cards, own tariffs.", no_args_is_help=True)
    for name, work in (
        ("add", add), ("card", card), ("revoke", revoke), ("stop", stop), ("tariff", tariff),
        ("list", show),
    ):  # fmt: skip
        members.command(name)(work)
    app.add_typer(members, name="members")


def add(
    account: _Account,
    name: Annotated[str, typer.Option(help="Whose it is, for invoices.")] = "",
    email: Annotated[str, typer.Option(help="Where invoices go.")] = "",
    address: Annotated[str, typer.Option(help="For invoices.")] = "",
    vat_id: Annotated[str, typer.Option("--vat-id", help="For invoices.")] = "",
    own_tariff: Annotated[
        str, typer.Option("--tariff", help="Name of a tariff of members' own (`members tariff`).")
    ] = "",
    db: Database = _RUN,
) -> None:
    """A new account."""
    facts = {"name": name, "email": email, "address": address, "vat_id": vat_id}
    _do(db, lambda members: members.add(account, by=_BY, tariff=own_tariff, **facts))
    typer.echo(f"{account} is a member")


def card(
    account: _Account,
    uid: _Uid,
    expires: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD (UTC).")] = "",
    label: Annotated[str, typer.Option(help="What it is called here.")] = "",
    db: Database = _RUN,
) -> None:
    """A card of an account, new or valid again."""
    from hostsim.backoffice.members import last_moment

    found = _do(
        db,
        lambda members: members.add_card(
            account, uid, by=_BY, expires_at=last_moment(expires) if expires else 0, label=label
        ),
    )
    typer.echo(f"card {found} of {account}")


def revoke(
    card: Annotated[str, typer.Argument(help="UID or hash of the card.")], db: Database = _RUN
) -> None:
    """A card works no more."""
    account = _do(db, lambda members: members.revoke(card, by=_BY))
    typer.echo(f"a card of {account} is revoked")


def stop(
    account: _Account,
    again: Annotated[bool, typer.Option("--again", help="They work again instead.")] = False,
    db: Database = _RUN,
) -> None:
    """All cards of an account work no more."""
    _do(db, lambda members: members.change(account, by=_BY, active=again))
    typer.echo(f"the cards of {account} {'work again' if again else 'are stopped'}")


def tariff(
    name: Annotated[str, typer.Argument(help="Name of the tariff.")],
    file: Annotated[Path, typer.Argument(help="An OCPI tariff as JSON.")],
    db: Database = _RUN,
) -> None:
    """A tariff of members' own, new or changed; the firmware's reader has to take it."""
    from hostsim.backoffice.tariffs import TariffRefused, reading
    from hostsim.pricing.cli import PriceError

    try:
        text = file.read_text()
        read = reading(text)
    except (OSError, UnicodeDecodeError, TariffRefused, PriceError) as exc:
        raise typer.BadParameter(f"{file}: {exc}") from exc
    _do(db, lambda members: members.put_tariff(name, text, read["currency"], by=_BY))
    typer.echo(f"{name}: " + "; ".join(read["words"]["en"]))


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    db: Database = _RUN,
) -> None:
    """Accounts and their cards."""
    found: list[dict[str, Any]] = _do(db, lambda members: members.listed())
    if as_json:
        typer.echo(json.dumps(found))
        return
    for member in found:
        stopped = "" if member["active"] else "stopped"
        typer.echo(f"{member['account']:<32} {member['tariff']:<16} {stopped}".rstrip())
        for one in member["cards"]:
            typer.echo(f"  {one['uid_hash']}  {one['label']:<16} {one['state']}")


def _do(db: str, work: Callable[[Any], Any]) -> Any:
    from hostsim.backoffice.members import MemberError, Members

    with opened(db) as engine:
        try:
            return work(Members(engine, lambda: time.time_ns() // 1_000_000))
        except MemberError as exc:
            raise typer.BadParameter(str(exc)) from exc
