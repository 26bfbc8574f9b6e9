"""Sessions that must not go on, for no hold of theirs is left: begun after it went back, with
another charger's payment, a second time with one payment; and those whose driver pressed Stop
before the charger had answered. The charger gets the signed `stop` for the session's id, until the
session is over. What is to be stopped is in the database with the record that says so (pays.py).
"""

from __future__ import annotations

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Charger, Command, Session, writing
from hostsim.backoffice.phone import pays
from hostsim.backoffice.phone.office import Send
from hostsim.backoffice.tables import Todo

_OVER = ("captured", "cancelled", "declined")
_VALID_S = 300
LOST = ("unanswered", "expired", "replayed", "full")
"""What became of a command that nobody may have obeyed: it is said once more. Full: the charger's
flash had no room, and nothing was done."""


def tend(engine: Engine, send: Send) -> None:
    """Stops what has to be stopped, where the charger can be reached."""
    with Db(engine) as db:
        query = select(Todo.id, Session).join(Session, Session.id == Todo.ref)
        query = query.where(Todo.kind == pays.STOP)
        over, due = [], []
        for note, session in db.execute(query).unique():
            charger = db.get(Charger, session.charger)
            if session.state in _OVER or not session.remote:
                over.append(note)
            elif charger is not None and charger.online:
                due.append((session.charger, session.remote))
    for charger_name, remote in due:
        if last_stop(engine, charger_name, remote) in ("", *LOST):
            stop(engine, send, charger_name, remote)
    if over:
        with writing(engine) as db:
            db.execute(delete(Todo).where(Todo.id.in_(over)))


def stop(engine: Engine, send: Send, charger: str, remote: str) -> None:
    """Unless one is on its way, or was obeyed."""
    if last_stop(engine, charger, remote) not in ("sent", "ok"):
        send(charger, "stop", expires_in_s=_VALID_S, session=remote)


def last_stop(engine: Engine, charger: str, remote: str) -> str:
    """What became of the newest `stop` of a session: sent, ok, refused, ...; "" of none."""
    query = select(Command.state).where(
        Command.charger == charger, Command.name == "stop", Command.message.contains(remote)
    )
    with Db(engine) as db:
        return db.scalars(query.order_by(Command.counter.desc())).first() or ""
