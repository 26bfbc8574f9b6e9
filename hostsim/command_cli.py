"""`python -m hostsim command`: what an operator may tell a charger, from the command line.

The command is signed with the charger's key beside the database and put there; the back office
that runs sends it within seconds, and again until it is answered or has expired.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hostsim.backoffice.rules import ELSEWHERE
from hostsim.commands import fail
from hostsim.defaults import CHARGER_ID
from hostsim.setup import BUILD

if TYPE_CHECKING:
    from sqlalchemy import Engine

_LOOK_S = 0.5
_ALONE = 6  # looks at the ledger's word without the message it belongs to
_EXPIRES_S = 300

_Charger = Annotated[str, typer.Option(help="The charger's name.")]
_Directory = Annotated[
    Path, typer.Option("--dir", help="Directory of a world, as `run --dir` keeps it.")
]
_Wait = Annotated[int, typer.Option(help="Seconds to wait for the answer.", min=0, max=3600)]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")]
_Session = Annotated[
    str, typer.Option(help="Id of the session, at most 32 characters; default: a new one.")
]
_RUN = BUILD / "run"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    commands = typer.Typer(
        help="Signed commands to a charger. Exit code 0: done; 1: refused or no answer.",
        no_args_is_help=True,
    )
    for what in (start, stop, extend, report, restart, doctor):
        commands.command(what.__name__)(what)
    app.add_typer(commands, name="command")
    app.command()(doctor)


def start(
    amount: Annotated[
        int, typer.Option(help="Minor units, authorised elsewhere.", min=1, max=100_000_000)
    ],
    method: Annotated[str, typer.Option(help="One of " + ", ".join(ELSEWHERE) + ".")] = "app",
    reference: Annotated[
        str, typer.Option(help="What it was authorised as; at most 48 characters.")
    ] = "command line",
    session: _Session = "",
    connector: Annotated[int, typer.Option(help="Of the charger.", min=1, max=99)] = 1,
    charger: _Charger = CHARGER_ID,
    directory: _Directory = _RUN,
    wait: _Wait = 30,
    as_json: _Json = False,
) -> None:
    """Starts a session whose amount was authorised elsewhere; without card or terminal."""
    if method not in ELSEWHERE:
        raise fail(f"--method {method}: there are {', '.join(ELSEWHERE)}", 2)
    args = {
        "session": session or uuid.uuid4().hex,
        "method": method,
        "amount_minor": amount,
        "connector": connector,
        "reference": reference,
    }
    _send(directory, charger, "start", args, wait, as_json)


def stop(
    session: Annotated[
        str, typer.Option(help="Id of the session; default: whichever runs.")
    ] = "",
    charger: _Charger = CHARGER_ID,
    directory: _Directory = _RUN,
    wait: _Wait = 30,
    as_json: _Json = False,
) -> None:
    """Stops the session that runs; with --session only the one that was started under that id."""
    _send(directory, charger, "stop", {"session": session} if session else {}, wait, as_json)


def extend(
    session: Annotated[str, typer.Option(help="Id of the session that runs.")],
    amount: Annotated[
        int, typer.Option(help="Minor units held for it in all.", min=1, max=100_000_000)
    ],
    charger: _Charger = CHARGER_ID,
    directory: _Directory = _RUN,
    wait: _Wait = 30,
    as_json: _Json = False,
) -> None:
    """More was authorised elsewhere for the session that runs: it may go on so far."""
    args = {"session": session, "amount_minor": amount}
    _send(directory, charger, "extend", args, wait, as_json)


def report(
    charger: _Charger = CHARGER_ID,
    directory: _Directory = _RUN,
    wait: _Wait = 30,
    as_json: _Json = False,
) -> None:
    """Asks how the charger is."""
    _send(directory, charger, "report", {}, wait, as_json)


def restart(
    charger: _Charger = CHARGER_ID,
    directory: _Directory = _RUN,
    wait: _Wait = 30,
    as_json: _Json = False,
) -> None:
    """Restarts the charger, between sessions."""
    _send(directory, charger, "restart", {}, wait, as_json)


def doctor(
    charger: _Charger = CHARGER_ID,
    directory: _Directory = _RUN,
    wait: _Wait = 60,
    as_json: _Json = False,
) -> None:
    """Examines a charger: a row for each part, good or bad, why, and what to do."""
    answer = _send(directory, charger, "doctor", {}, wait, as_json)
    if not all(check["ok"] for check in (answer.get("data") or {}).get("checks", [])):
        raise typer.Exit(1)


def _send(
    directory: Path, charger: str, name: str, args: dict[str, Any], wait: int, as_json: bool
) -> dict[str, Any]:
    database = directory / "backoffice.db"
    if not database.exists():
        raise fail(f"--dir {directory}: no backoffice.db here; `run` makes one", 2)
    from sqlalchemy.exc import SQLAlchemyError

    from hostsim.backoffice import signing
    from hostsim.backoffice.models import open_database
    from hostsim.pki import Pki, PkiError

    try:
        engine = open_database(f"sqlite:///{database.absolute()}")
        key = Pki(directory / "pki").charger(charger).command_key
        now_ms = _now_ms(engine, charger)
        expires_at = now_ms + _EXPIRES_S * 1000
        identity, _ = signing.issue(
            engine, key, charger, name, args, expires_at, now_ms, sent=False
        )
        answer = _answer(engine, identity, wait, name == "doctor")
    except PkiError as e:
        raise fail(f"--charger {charger}: {e}", 2) from e
    except SQLAlchemyError as e:
        raise fail(f"--dir {directory}: {e}") from e
    typer.echo(json.dumps(answer) if as_json else _words(name, answer))
    if not answer.get("ok"):
        raise typer.Exit(1)
    return answer


def _now_ms(engine: Engine, charger: str) -> int:
    """The machine's time, or the world's when that has run ahead."""
    from sqlalchemy.orm import Session as Db

    from hostsim.backoffice.models import Charger

    with Db(engine) as db:
        row = db.get(Charger, charger)
        return max(time.time_ns() // 1_000_000, row.seen_at if row is not None else 0)


def _answer(engine: Engine, identity: str, wait: int, with_data: bool) -> dict[str, Any]:
    """The charger's result message; empty when none came in time. The ledger's word on the
    command may be there before it, and is all there will be where the charger restarted before
    its answer: it counts when no message follows soon, but for one that is good `with_data`.
    """
    from sqlalchemy import select
    from sqlalchemy.orm import Session as Db

    from hostsim.backoffice.models import Command

    end = time.monotonic() + wait
    alone = 0
    query = select(Command).where(Command.id == identity)
    while True:
        with Db(engine) as db:
            command = db.scalars(query).one()
            state, result = command.state, dict(command.result or {})
        late = time.monotonic() >= end
        if state != "sent" and result:
            needs_data = with_data and state == "ok"
            whole = "ok" in result and result.get("code") not in ("part", "replayed")
            if whole and ("data" in result or not needs_data):
                return result
            alone += 1
            if (late or alone > _ALONE) and not needs_data:
                return {**result, "ok": state == "ok"}
        if late:
            return {}
        time.sleep(_LOOK_S)


def _row(check: dict[str, Any]) -> str:
    todo = f"\n{'':20}to do: {check['todo']}" if check["todo"] else ""
    return f"{'good' if check['ok'] else 'BAD ':5} {check['name']:<13} {check['reason']}{todo}"


def _words(name: str, answer: dict[str, Any]) -> str:
    if not answer:
        return f"{name}: no answer yet; it is sent again until it expires"
    if answer.get("ok"):
        data = answer.get("data") or {}
        if "checks" in data:
            return "\n".join(map(_row, data["checks"]))
        return f"{name}: " + (
            ", ".join(f"{key} {value}" for key, value in data.items()) or answer.get("detail", "")
        )
    given = f" (given {answer['given']})" if answer.get("given") else ""
    why = f"{answer.get('field', '')}: {answer['reason']}" if "reason" in answer else (
        answer.get("detail", "")
    )
    return f"{name} refused: {why}{given}"
