"""The back office as a service: takes records from the broker, acknowledges after its commit,
sends what operators ask for.

Every method may be called from any thread; none but start and stop waits for anything but the
database. Starting again loses nothing: chargers keep what was not acknowledged; tariffs, configs
and unanswered commands are in the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine

from hostsim.backoffice import audit, gaps, signing, views
from hostsim.backoffice.bills.desk import Bills
from hostsim.backoffice.connection import BrokerAddress, Connection
from hostsim.backoffice.desk import Desk
from hostsim.backoffice.gateways.base import Gateway
from hostsim.backoffice.ingest import Ingest
from hostsim.backoffice.invoices import issue
from hostsim.backoffice.member_sync import MemberSync
from hostsim.backoffice.members import Members
from hostsim.backoffice.models import Problem, open_database, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.phone.desk import PayDesk
from hostsim.backoffice.problems import lasting
from hostsim.backoffice.refunds import Refunds
from hostsim.backoffice.reports import roll
from hostsim.pki import Pki

EventHandler = Callable[[str, dict[str, Any]], None]


class Helper(Protocol):
    """Another process at the same work (workers.py)."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def why_not(self) -> str:
        """Why it does not work; "" when it does."""
        ...


class BackOffice:
    """`db_url`: SQLAlchemy's; `broker`: host and port; `pki`: its own certificate and the
    chargers' command keys.

    `now_ms` is the clock commands expire by: the simulated world's, or the machine's when not
    given. `on_event("mqtt", {direction, topic, payload})` gets every message, in the loop that
    called start; direction "out" is from a charger.
    """

    def __init__(
        self,
        db_url: str,
        broker: BrokerAddress,
        pki: Pki,
        now_ms: Callable[[], int] | None = None,
        on_event: EventHandler | None = None,
        operator: Operator | None = None,
        group: str = "",
        leads: bool = True,
        gateway: Gateway | None = None,
    ) -> None:
        """Opens the database; `start` connects. `group`: processes of that name on one database
        share the chargers' messages; one of them `leads`, and works with the payment gateway."""
        self.operator = operator or Operator()
        self.url = db_url
        self.engine: Engine = open_database(db_url)
        issue.catch_up(self.engine, self.operator, (now_ms or _machine_ms)())
        self._pki = pki
        self._now_ms = now_ms or _machine_ms
        self._on_event = on_event
        self._owner: asyncio.AbstractEventLoop | None = None
        self._connection = Connection(broker, pki, self._heard, group, leads)
        self.ingest = Ingest(self.engine, self._now_ms, self.operator)
        self.refunds = Refunds(
            self.engine, self.send_command, self._now_ms, self.operator.acquires,
            self.ingest.follower.refund_done,
        )  # fmt: skip
        self._desk = Desk(self.engine, self.ingest, self._now_ms, self._connection.send)
        self._desk.patient = bool(group)
        self._desk.chores.append(self.refunds.tend)
        self.bills = Bills(self.engine, self.operator, self._now_ms)
        self._desk.chores.append(self.bills.tend)
        self.phone = PayDesk(self, gateway) if gateway is not None and leads else None
        self.members = Members(self.engine, self._now_ms)
        sync = MemberSync(
            self.engine, self.command_key, self._connection.send, self.ingest.report
        )
        self._desk.chores.append(sync.tend)
        self._desk.hearers.append(sync.heard)
        self._desk.chores.append(self._add_up)
        self.helpers: list[Helper] = []

    # -- life

    async def start(self) -> None:
        """Begin; connects in the background and again whenever the broker went away."""
        self._owner = asyncio.get_running_loop()
        await asyncio.to_thread(self.begin)

    async def stop(self) -> None:
        """End; what was received but not committed was not acknowledged either."""
        await asyncio.to_thread(self.end)

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    def begin(self) -> None:
        """`start` for callers without a loop."""
        self._connection.begin(self._desk)
        if self.phone is not None:
            self.phone.cashier.begin()

    def end(self) -> None:
        """`stop` for callers without a loop."""
        if self.phone is not None:
            self.phone.cashier.end()
        self._connection.end()

    def close(self) -> None:
        """End, and close the database."""
        self.end()
        self.engine.dispose()

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._connection.running

    @property
    def faults(self) -> int:
        """Faults of this program since the start, each in the log; those at payments apart."""
        return self._connection.faults + self._desk.faults

    def troubles(self) -> dict[str, str]:
        """What works in the background and does not as it should, just now -> why: kind and place
        of a fault, not what it was about. Empty when all is well."""
        found = self._connection.troubles() | self._desk.falls.said()
        if self.phone is not None:
            found |= self.phone.cashier.keeper.troubles()
        for helper in self.helpers:
            why = helper.why_not()
            if why:
                found[helper.name] = why
        return found

    @property
    def connected(self) -> bool:
        """Whether the broker has it now."""
        return self._connection.connected.is_set()

    def wait_connected(self, timeout: float = 10) -> bool:
        """Wait until the broker has it; False when the time is over."""
        return self._connection.connected.wait(timeout)

    def now_ms(self) -> int:
        """The clock of its business: the simulated world's, or the machine's."""
        return self._now_ms()

    # -- what operators send

    def command_key(self, charger: str) -> bytes:
        """The key its commands are signed with; goes into the charger's config."""
        return bytes.fromhex(self._pki.charger(charger).command_key)

    def send_tariff(self, charger: str, tariff_json: str | bytes) -> None:
        """Publish an OCPI tariff to one charger, retained."""
        self._desk.retain(charger, "tariff", _text(tariff_json))

    def send_config(self, charger: str, config_json: str | bytes) -> None:
        """Publish a configuration to one charger, retained."""
        self._desk.retain(charger, "config", _text(config_json))

    def send_command(
        self, charger: str, name: str, *, expires_in_s: float = 300, **args: Any
    ) -> str:
        """Sign and send a command, when its turn comes (in_line.py); answers its id. It is sent
        again until it is answered or has expired."""
        now = self._now_ms()
        expires_at = now + int(expires_in_s * 1000)
        key = self.command_key(charger).hex()
        identity, _ = signing.issue(self.engine, key, charger, name, args, expires_at, now)
        self._desk.send_next([charger], identity)
        return identity

    def give_up(self, charger: str, through: int, by: str, note: str) -> None:
        """An operator's word that the records a charger was told are here, and that neither the
        database nor its flash has, will not come (gaps.py). Raises GapError."""
        now = self._now_ms()
        ack = gaps.give_up(self.engine, self.ingest, charger, through, by, note, now)
        self._desk.acknowledge(ack)

    def note(self, by: str, action: str, subject: str, detail: str = "") -> None:
        """A line in the audit log."""
        with writing(self.engine) as db:
            audit.note(db, self._now_ms(), by, action, subject, detail)

    def close_problem(self, identity: int, by: str = "") -> bool:
        """An operator has seen to it; whether it goes on all the same and will be shown again."""
        with writing(self.engine) as db:
            problem = db.get(Problem, identity)
            lasts = problem is not None and bool(lasting(db, [problem]))
            if problem is not None and problem.open:
                problem.open = False
                what = f"{problem.charger}: {problem.code}"
                audit.note(db, self._now_ms(), by, "problem closed", what, problem.detail)
            return lasts

    # -- what it knows

    @property
    def logs(self) -> deque[dict[str, Any]]:
        """The chargers' newest log lines."""
        return self._desk.logs

    def sessions(self, charger: str | None = None) -> list[dict[str, Any]]:
        """Every session, newest first (views.session_dict)."""
        return views.sessions(self.engine, charger)

    def books(self, charger: str) -> dict[str, Any]:
        """authorised_minor, captured_minor, released_minor, refunded_minor, billed_wh, open,
        sessions."""
        return views.books(self.engine, charger)

    def records(self, charger: str) -> list[dict[str, Any]]:
        """Every record in the books, in order: epoch, seq, type, version, at and the fields."""
        return views.records(self.engine, charger)

    def problems(self, charger: str | None = None) -> list[dict[str, Any]]:
        """What nobody has closed yet, newest first."""
        return views.problems(self.engine, charger)

    def commands(self, charger: str | None = None) -> list[dict[str, Any]]:
        """Commands and what became of them, newest first."""
        return views.commands(self.engine, charger)

    def chargers(self) -> list[dict[str, Any]]:
        """Every charger heard of."""
        return views.chargers(self.engine)

    def _add_up(self) -> None:
        roll.catch_up(self.engine, self.operator.zone, 4)

    # -- from the connection's thread

    def _heard(self, direction: str, topic: str, payload: bytes) -> None:
        if self._on_event is not None and self._owner is not None:
            shown = payload.decode(errors="replace")
            data = {"direction": direction, "topic": topic, "payload": shown}
            with contextlib.suppress(RuntimeError):  # its loop has ended
                self._owner.call_soon_threadsafe(self._on_event, "mqtt", data)


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


def _text(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode()


def sqlite_url(path: Path | str) -> str:
    """SQLAlchemy's URL of a SQLite file; its directory is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{Path(path).absolute()}"
