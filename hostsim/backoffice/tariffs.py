"""Tariffs at the desk: written, read by the firmware's own reader, put in words, tried on past
sessions, rolled out to chosen chargers, and who has which.

A version never changes; its CRC-32 (of the bytes that are sent) is what a charger calls it by.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session as Db
from sqlalchemy.orm import selectinload

from hostsim.backoffice import audit, cdr, contract, views
from hostsim.backoffice.invoices.texts import LANGUAGES
from hostsim.backoffice.models import Charger, Retained, Session, writing
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Rollout, TariffVersion
from hostsim.pricing.cli import PriceError, interpreter, run
from hostsim.setup import BUILD, ROOT

_LIMIT_S = 30
_MOST_BYTES = 16_000
_READER = """
import json, sys
from firmware.errors import TariffError
from firmware.pricing.tariff import Tariff
from firmware.pricing.words import tariff_lines
try:
    with open(sys.argv[1], "rb") as f:
        t = Tariff.from_json(f.read())
except TariffError as e:
    print(json.dumps({"error": str(e)}))
else:
    words = {code: tariff_lines(t, code) for code in ("en", "de", "fr")}
    print(json.dumps({"id": t.id, "currency": t.currency, "words": words}))
"""


class TariffRefused(ValueError):
    """The firmware would not sell by it; str() names the field and why."""


def reading(text: str) -> dict[str, Any]:
    """id, currency, and `words`: language -> lines, as the charger's screen has them. Raises
    TariffRefused; PriceError when there is no MicroPython to ask."""
    if len(text.encode()) > _MOST_BYTES:
        raise TariffRefused(f"must have at most {_MOST_BYTES} bytes")
    try:
        parsed = json.loads(text)  # decimals are the firmware's reader's to judge
    except (ValueError, RecursionError) as exc:
        raise TariffRefused(f"must be JSON ({exc})") from exc
    try:
        contract.check("tariff", parsed)
    except contract.ContractError as exc:
        raise TariffRefused(str(exc)) from exc
    python, _ = interpreter()
    with tempfile.TemporaryDirectory(prefix="forecourt-tariff-") as folder:
        path = Path(folder) / "tariff.json"
        path.write_text(text)
        done = subprocess.run(
            [str(python), "-X", "heapsize=8m", "-c", _READER, str(path)],
            capture_output=True,
            text=True,
            env={"MICROPYPATH": f"{ROOT}:.frozen"},
            cwd=BUILD,
            timeout=_LIMIT_S,
            check=False,
        )
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode or not lines:
        raise PriceError(f"MicroPython cannot read the tariff: {lines[-1] if lines else ''}")
    found: dict[str, Any] = json.loads(lines[-1])
    if "error" in found:
        raise TariffRefused(found["error"])
    found["words"] = {code: found["words"][code] for code in LANGUAGES}  # MicroPython has no order
    return found


def keep(engine: Engine, by: str, text: str, note: str, now_ms: int) -> int:
    """Stores a version; its number, or that of the same text. Raises TariffRefused, PriceError."""
    found = reading(text)
    with writing(engine) as db:
        same = select(TariffVersion.id).where(TariffVersion.payload == text)
        known = db.scalar(same)
        if known is not None:
            return known
        row = TariffVersion(
            tariff=found["id"],
            crc=zlib.crc32(text.encode()),
            currency=found["currency"],
            payload=text,
            note=note[:500],
            created_at=now_ms,
            created_by=by,
        )
        db.add(row)
        db.flush()
        audit.note(db, now_ms, by, "tariff written", f"{row.tariff} version {row.id}", note)
        return row.id


def roll_out(office: BackOffice, by: str, version: int, chargers: list[str]) -> int:
    """Sends a version to these chargers; to how many. Unknown names are left out."""
    now = office.now_ms()
    with writing(office.engine) as db:
        row = db.get_one(TariffVersion, version)
        text = row.payload
        known = list(db.scalars(select(Charger.name).where(Charger.name.in_(chargers))))
        db.execute(
            update(Rollout)
            .where(Rollout.charger.in_(known), Rollout.state.in_(("sent", "accepted")))
            .values(state="replaced")
        )
        for name in known:
            db.add(
                Rollout(version_id=version, charger=name, state="sent", sent_at=now, sent_by=by)
            )
        subject = f"{row.tariff} version {version}"
        audit.note(db, now, by, "tariff rolled out", subject, ", ".join(known))
    for name in known:
        office.send_tariff(name, text)
    return len(known)


def versions(engine: Engine) -> list[dict[str, Any]]:
    """Newest first, with how many chargers have it, were sent it, refused it."""
    with Db(engine) as db:
        rows = list(db.scalars(select(TariffVersion).order_by(TariffVersion.id.desc())))
        states: dict[int, dict[str, int]] = {}
        for version, state in db.execute(select(Rollout.version_id, Rollout.state)):
            counts = states.setdefault(version, {})
            counts[state] = counts.get(state, 0) + 1
        return [_dict(row) | {"rollouts": states.get(row.id, {})} for row in rows]


def version(engine: Engine, identity: int) -> dict[str, Any] | None:
    """One version with its roll-outs, newest first."""
    with Db(engine) as db:
        row = db.get(TariffVersion, identity)
        if row is None:
            return None
        query = select(Rollout).where(Rollout.version_id == identity).order_by(Rollout.id.desc())
        names = "charger state detail sent_at sent_by answered_at".split()
        rollouts = [{name: getattr(one, name) for name in names} for one in db.scalars(query)]
        return _dict(row) | {"rollouts": rollouts}


def in_force(engine: Engine) -> dict[str, dict[str, Any]]:
    """charger -> what it says it has (tariff), and the version the desk sent last (version,
    state)."""
    with Db(engine) as db:
        found = {
            row.name: {"tariff": row.status.get("tariff", ""), "version": 0, "state": ""}
            for row in db.scalars(select(Charger).order_by(Charger.name))
        }
        for one in db.scalars(select(Rollout).order_by(Rollout.id)):
            if one.state != "replaced":
                found[one.charger] |= {"version": one.version_id, "state": one.state}
        return found


def retained(engine: Engine, charger: str) -> str:
    """The tariff a charger was sent last, "" when this desk sent none."""
    with Db(engine) as db:
        kept = db.get(Retained, (charger, "tariff"))
        return kept.payload if kept is not None else ""


def what_if(office: BackOffice, text: str, charger: str = "", most: int = 20) -> dict[str, Any]:
    """The newest finished sessions priced again: `rows` (session, was_minor, would_minor, or
    error), `was_minor` and `would_minor` of those that could be priced, `currency`. Raises
    TariffRefused, PriceError."""
    currency = reading(text)["currency"]
    query = (
        select(Session)
        .where(Session.state == "captured", Session.currency == currency)
        .order_by(Session.id.desc())
        .limit(most)
        .options(selectinload(Session.periods), selectinload(Session.refunds))
    )
    if charger:
        query = query.where(Session.charger == charger)
    with Db(office.engine) as db:
        sessions = [views.session_with_periods(row) for row in db.scalars(query)]
    zone = office.operator.time_zone
    with tempfile.TemporaryDirectory(prefix="forecourt-whatif-") as name:
        folder = Path(name)
        tariff = folder / "tariff.json"
        tariff.write_text(text)

        def priced(session: dict[str, Any]) -> dict[str, Any]:
            path = folder / f"{session['id']}.json"
            path.write_text(cdr.to_json(cdr.compose(session)))
            row = {"session": session, "was_minor": session["total_minor"]}
            if not session["periods"]:
                return row | {"error": "Its charging periods are not known: nothing to price."}
            try:
                receipt = run(tariff, path, zone, False)["receipt"]
            except PriceError as exc:
                return row | {"error": str(exc)}
            return row | {"would_minor": receipt["gross_minor"]}

        with ThreadPoolExecutor(4) as pool:
            rows = list(pool.map(priced, sessions))
    good = [row for row in rows if "would_minor" in row]
    return {
        "rows": rows,
        "currency": currency,
        "was_minor": sum(row["was_minor"] for row in good),
        "would_minor": sum(row["would_minor"] for row in good),
    }


def _dict(row: TariffVersion) -> dict[str, Any]:
    names = "id tariff crc currency payload note created_at created_by".split()
    return {name: getattr(row, name) for name in names}
