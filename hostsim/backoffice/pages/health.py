"""How the back office is, for whoever watches it by machine: no log-in, no figures of anybody."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from hostsim.backoffice.pages.shell import Desk

routes = APIRouter()


@routes.get("/health")
def health(shell: Desk) -> JSONResponse:
    """200 when everything works, else 503: `broker` (connected), `database` (answers), `payments`
    ("" or why payments by phone are not worked on; null without a gateway), `workers` (what works
    in the background and does not as it should -> why); `payments_falls` and `faults`, of the
    program, since the start."""
    office = shell.office
    database = _answers(office.engine)
    keeper = office.phone.cashier.keeper if office.phone is not None else None
    why = keeper.why_not() if keeper is not None else None
    troubles = office.troubles()
    found = {
        "broker": office.connected,
        "database": database,
        "payments": why,
        "workers": troubles,
        "payments_falls": keeper.falls if keeper is not None else 0,
        "faults": office.faults,
    }
    well = office.connected and database and not why and not troubles
    return JSONResponse(found, 200 if well else 503)


def _answers(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM chargers LIMIT 1"))
    except SQLAlchemyError:
        return False
    return True
