"""The cashier: brings every payment by phone to its next state, with the gateway and the charger.

Four threads in the leading process, so that a gateway that hangs at one thing delays no other:
what waits for a charger (never asks the gateway), what a driver waits for, what is settled, and
chores (refunds, mail, the gateway's book). What it asks of the gateway has a key made of the
payment's id and the step, so that a lost answer, a crash or a second cashier repeat a request and
not the money. What is to be done next is in the database before it is done; a state is left only
when its outcome is certain. Nothing here waits for a webhook: one only makes it look sooner.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.bills.desk import is_open
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import (
    Declined,
    Failed,
    Gateway,
    Order,
    Payment,
    Refused,
)
from hostsim.backoffice.gateways.base import GatewayError as Failure
from hostsim.backoffice.models import Charger, Session, writing
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone import falls, more, pays, refusals, running, strays
from hostsim.backoffice.phone.keeper import Keepers
from hostsim.backoffice.phone.lanes import Lane
from hostsim.backoffice.phone.office import Office

_log = logging.getLogger(__name__)

_FIRST_MS = 2_000
_LONGEST_MS = 600_000
_LOOK_MS = 5_000
_NOTED_MS = 5_000
_DAY_MS = 86_400_000
_FULL_MS = 5000

_LIST_S = 8 * 86_400  # a hold does not last longer


class Cashier:
    """`step` may be called from any thread; `begin` and `end` its own ones. `chores`: what else
    waits for a gateway or a mail server."""

    def __init__(self, office: Office, gateway: Gateway) -> None:
        """Nothing runs yet."""
        self._office = office
        self.gateway = gateway
        self._lanes = [
            Lane(states, self._due, self.step, self._fell) for states in pays.LANES
        ]
        self._lanes[0].chores.append(lambda: strays.tend(office.engine, office.send))
        self.chores = self._lanes[-1].chores
        self.keeper = Keepers([lane.keeper for lane in self._lanes])
        self._steps: dict[str, Callable[[Pay], None]] = {
            pays.HOLDING: self._hold,
            pays.ACTION: self._action,
            pays.DECLINED: self._declined,
            pays.HELD: self._start,
            pays.STARTING: self._starting,
            pays.STARTED: self._watch,
            pays.CAPTURING: self._capture,
            pays.CANCELLING: self._cancel,
        }

    # -- life

    def begin(self) -> None:
        """In threads of its own."""
        self.keeper.begin()

    def end(self) -> None:
        """After the requests that are under way."""
        self.keeper.stop()
        self.wake()
        self.keeper.end()

    def wake(self) -> None:
        """There is something to do."""
        for lane in self._lanes:
            lane.wake.set()

    def turn(self) -> None:
        """All that is due now, in the caller's thread."""
        for lane in self._lanes:
            lane.turn()

    def _due(self, lane: Lane) -> list[str]:
        return pays.due(self._office.engine, self._now(), lane.states)

    def _fell(self, lane: Lane, error: Exception) -> None:
        try:
            falls.note(self._office.engine, lane.at, error, self._now())
        except SQLAlchemyError as exc:
            _log.warning("cashier: database: %s", exc)

    def step(self, identity: str) -> None:
        """One payment's next step."""
        pay = pays.get(self._office.engine, identity)
        work = self._steps.get(pay.state) if pay is not None else None
        if pay is None or work is None:
            return
        try:
            work(pay)
        except Failure as exc:
            self._later(pay, exc)

    # -- steps

    def _hold(self, pay: Pay) -> None:
        if self._now() - pay.asked_at > self._office.operator.pay_give_up_s * 1000:
            self._move(pay, pays.CANCELLING, why="gateway_down")
            return
        order = Order(
            pay.id, pay.amount_minor, pay.currency, pay.method, pay.email,
            f"{pay.charger}/{pay.connector}" if pay.kind == "session" else pay.code, pay.back,
            more=pay.more,
        )  # fmt: skip
        try:
            found = self.gateway.hold(order, f"hold-{pay.id}-{pay.attempt}")
        except Declined as exc:
            self._move(pay, pays.DECLINED, why=exc.text_key, fault=_fault(exc))
            return
        except Refused as exc:
            # the refusal of a repetition says nothing about the first request: it is looked for
            again = pay.tries or exc.code == "idempotency"
            state = pays.CANCELLING if again else pays.DECLINED
            self._move(pay, state, why="gateway_refused", fault=_fault(exc))
            return
        if not self._seen(pay, found):
            pays.came_late(self._office.engine, pay, found.reference)

    def _seen(self, pay: Pay, found: Payment) -> bool:
        """What the gateway says of a payment that is not held yet; False: it has moved on."""
        known = {"reference": found.reference}
        if found.state == base.HELD:
            return self._held(pay, found)
        if found.state == base.CANCELLED:
            return self._move(pay, pays.CANCELLED, why="given_up", **known)
        final = found.state == base.FAILED and not self._tries_again(pay)
        if final or (pay.method and found.state == base.NEW):
            return self._move(pay, pays.DECLINED, why="declined", fault=found.code[:200], **known)
        return self._move(pay, pays.ACTION, next_at=self._now() + _LOOK_MS, **known)

    def _held(self, pay: Pay, found: Payment) -> bool:
        now = self._now()
        known: dict[str, Any] = {"reference": found.reference, "held_at": now, "looked_at": now}
        if found.authorised_minor != pay.amount_minor or found.currency != pay.currency:
            detail = f"held {found.authorised_minor} {found.currency}"
            return self._move(pay, pays.CANCELLING, why="gateway_refused", fault=detail, **known)
        if self._late(pay.asked_at):  # whoever paid is not at the charger any more
            return self._move(pay, pays.CANCELLING, why=pays.GIVEN_UP, **known)
        days = self._office.operator.hold_days
        until = found.until * 1000 or now + days * _DAY_MS
        state = pays.HELD if pay.kind == "session" else pays.CAPTURING
        return self._move(pay, state, hold_until=until, **known)

    def _action(self, pay: Pay) -> None:
        found = self.gateway.look_up(pay.reference)
        final = found.state == base.FAILED and not self._tries_again(pay)
        if final or found.state in (base.HELD, base.CANCELLED):
            self._seen(pay, found)
        elif self._late(pay.asked_at):
            self._move(pay, pays.CANCELLING, why=pays.GIVEN_UP)
        else:
            self._move(pay, pays.ACTION, next_at=self._now() + _LOOK_MS)

    def _tries_again(self, pay: Pay) -> bool:
        """In the gateway's own form the payer may try another card."""
        return not pay.method and self.gateway.form == "element"

    def _declined(self, pay: Pay) -> None:
        """Another card may be tried for a while (PayDesk.again); then it is over."""
        if not self._late(pay.created_at):
            self._move(pay, pays.DECLINED, next_at=self._now() + _LOOK_MS)
        elif pay.reference:
            self._move(pay, pays.CANCELLING)
        else:
            self._move(pay, pays.CANCELLED, settled_at=self._now())

    def _late(self, since_ms: int) -> bool:
        return self._now() - since_ms > self._office.operator.pay_confirm_s * 1000

    def _start(self, pay: Pay) -> None:
        """The charger is told; not before it is there, and not for ever."""
        self._ends_soon(pay)
        left_ms = self._start_by(pay) - self._now()
        if pay.why == pays.GIVEN_UP:
            self._move(pay, pays.CANCELLING)
            return
        if left_ms <= 0:
            self._move(pay, pays.CANCELLING, why="charger_offline")
            return
        if not self._online(pay):
            self._move(pay, pays.HELD, next_at=self._now() + 1000)
            return
        if self._move(pay, pays.STARTING, next_at=self._now() + _NOTED_MS):
            self._say_start(pay)

    def _online(self, pay: Pay) -> bool:
        with Db(self._office.engine) as db:
            charger = db.get(Charger, pay.charger)
            return charger is not None and charger.online

    def _say_start(self, pay: Pay) -> None:
        left_s = (self._start_by(pay) - self._now()) / 1000
        command = self._office.send(
            pay.charger, "start", expires_in_s=left_s, session=pay.id, method=pays.METHOD,
            amount_minor=pay.amount_minor, connector=pay.connector, reference=pay.reference[:48],
            tariff_crc=pay.tariff_crc,
        )  # fmt: skip
        with writing(self._office.engine) as db:
            row = db.get_one(Pay, pay.id)
            row.command, row.next_at = command, 0

    def _starting(self, pay: Pay) -> None:
        """The command's answer, or the charger's first record (pays.heard)."""
        with Db(self._office.engine) as db:
            command = refusals.command_of(db, pay)
            state = refusals.state_of(command, self._now())
            reason = refusals.said(command.result) if command is not None else ""
            begun = db.scalars(select(Session.id).where(Session.remote == pay.id)).first()
        now = self._now()
        again = now < self._start_by(pay) and self._may_begin(pay)
        self._ends_soon(pay)
        if begun is not None or state == "ok":
            if pay.why == pays.GIVEN_UP:  # the driver pressed Stop before this answer
                strays.stop(self._office.engine, self._office.send, pay.charger, pay.id)
            self._move(pay, pays.STARTED, session_id=begun or 0)
        elif state == "" and now < self._start_by(pay):
            self._move(pay, pays.HELD)
        elif state == "full" and again and command and now - command.sent_at < _FULL_MS:
            self._move(pay, pays.STARTING, next_at=command.sent_at + _FULL_MS)
        elif state in ("replayed", "full") and again:
            # used before a power cut, or overtaken: the charger knows the session or begins it
            if self._move(pay, pays.STARTING, next_at=now + _NOTED_MS):
                self._say_start(pay)
        elif state in ("", *refusals.UNCERTAIN):
            # nobody knows whether it started: its records get some more time, then it goes back
            patience = self._office.operator.pay_patience_s * 1000
            if now > self._start_by(pay) + patience:
                why = "out_of_service" if state == "full" else "charger_offline"
                self._move(pay, pays.CANCELLING, why=why)
            else:
                self._move(pay, pays.STARTING, next_at=now + 1000)
        elif state == "sent":
            self._move(pay, pays.STARTING, next_at=now + 300)
        else:
            self._move(pay, pays.CANCELLING, why=refusals.why_not(reason), fault=reason[:200])

    def _ends_soon(self, pay: Pay) -> None:
        if self._now() > pay.hold_until - self._office.operator.hold_alarm_h * 3_600_000:
            self._alarm(pay, "gateway_started", f"{pay.reference}: not started, it ends soon")

    def _may_begin(self, pay: Pay) -> bool:
        """Not once the driver has pressed Stop."""
        return pay.why != pays.GIVEN_UP and self._online(pay)

    def _start_by(self, pay: Pay) -> int:
        return pay.held_at + self._office.operator.pay_wait_s * 1000

    def _watch(self, pay: Pay) -> None:
        """A session is the charger's; here is seen whether it is heard in time, whether it can be
        running, and whether its hold is still there."""
        now, office = self._now(), self._office
        seen, troubles = running.of_charger(office, pay, now)
        looked, gone = running.of_hold(self.gateway, pay, now)
        if not self._move(pay, pays.STARTED, **seen, **looked):
            return
        for detail in troubles:
            self._alarm(pay, "gateway_started", detail)
        if gone:
            self._alarm(pay, "gateway_uncovered", gone)
            pays.to_be_stopped(office.engine, pay)
            strays.stop(office.engine, office.send, pay.charger, pay.id)
        self._extend(pay)
        self._move(pay, pays.STARTED, next_at=now + more.pause_ms(office.operator))

    def _extend(self, pay: Pay) -> None:
        """More is held when the price nears the hold."""
        amount = more.wanted(self._office, pay)
        if amount:
            changes = more.ask(self.gateway, pay, amount)
            if not self._move(pay, pays.STARTED, **changes):
                return
            pay.amount_minor = changes.get("amount_minor", pay.amount_minor)
        more.tell(self._office, pay)

    def _capture(self, pay: Pay) -> None:
        wanted = pay.capture_minor if pay.kind == "session" else pay.amount_minor
        if pay.kind == "bill" and not pay.tries and not is_open(self._office.engine, pay.code):
            wanted = 0  # somebody has said meanwhile that it was paid otherwise
        if not wanted:
            self._move(pay, pays.CANCELLING, why=pay.why or "nothing_owed")
            return
        try:
            key = f"capture-{pay.id}-{pay.turn}"  # a hold is captured once, whatever the key
            found = self.gateway.capture(pay.reference, wanted, key, pay.currency)
        except (Refused, Declined) as exc:
            found = self.gateway.look_up(pay.reference)
            if found.state == base.HELD:
                raise Failed(str(exc), exc.code) from exc  # kept for the key as well
        self._taken(pay, found, wanted)

    def _taken(self, pay: Pay, found: Payment, wanted: int) -> None:
        if found.state == base.CAPTURED and found.captured_minor == wanted:
            self._move(
                pay, pays.CAPTURED, captured_minor=wanted, released_minor=found.released_minor,
                amount_minor=found.authorised_minor, settled_at=self._now(), fault="",
            )  # fmt: skip
            return
        detail = f"{wanted} are owed, the gateway has {found.state} {found.captured_minor}"
        if self._move(pay, pays.LOST, captured_minor=found.captured_minor, fault=detail):
            self._alarm(pay, "gateway_lost", f"{pay.reference}: {detail}")

    def _cancel(self, pay: Pay) -> None:
        reference = pay.reference
        if not reference:
            found = self._sought(pay)
            if found is None:
                return
            reference = found.reference
        try:
            key = f"cancel-{pay.id}-{pay.attempt}-{pay.turn}"
            found = self.gateway.cancel(reference, key)
        except (Refused, Declined):
            found = self.gateway.look_up(reference)
        now = self._now()
        if found.state == base.CANCELLED:
            self._move(
                pay, pays.CANCELLED, reference=reference, settled_at=now,
                released_minor=pay.amount_minor if pay.held_at else 0,
            )  # fmt: skip
        elif found.state == base.CAPTURED:
            detail = f"{reference}: should be given back, is captured {found.captured_minor}"
            if self._move(pay, pays.LOST, captured_minor=found.captured_minor, fault=detail):
                self._alarm(pay, "gateway_lost", detail)
        else:
            raise Failed(f"cancel: the payment is {found.state}")  # kept for the key as well

    def _sought(self, pay: Pay) -> Payment | None:
        """The hold of a request whose answer never came; None when there is none, for certain."""
        found = self.gateway.find(pay.id, int(time.time()) - _LIST_S)  # the gateway's own time
        quiet_ms = self._office.operator.pay_give_up_s * 2000
        if found is not None and found.state in (base.HELD, base.ACTION, base.CAPTURED):
            return found
        if self._now() - pay.asked_at <= quiet_ms:  # a request may still be under way; what is
            # there may be the declined card before it
            self._move(pay, pays.CANCELLING, next_at=self._now() + _LOOK_MS)
            return None
        if found is None:
            self._move(pay, pays.CANCELLED, settled_at=self._now())
        return found

    # -- when it does not work

    def _later(self, pay: Pay, exc: Failure) -> None:
        """Once more, with growing pauses; an alarm when money may be lost by waiting."""
        now = self._now()
        pause = min(_FIRST_MS * 2 ** min(pay.tries, 16), _LONGEST_MS)
        kept = {"tries": pay.tries + 1, "next_at": now + pause, "fault": _fault(exc)}
        kept["turn"] = pay.turn + isinstance(exc, Failed)
        if pay.state == pays.HOLDING:
            kept["next_at"] = now + min(pause, 10_000)
        if not self._move(pay, pay.state, **kept):
            return
        if pay.state in (pays.CAPTURING, pays.CANCELLING):
            ends = pay.hold_until - self._office.operator.hold_alarm_h * 3_600_000
            if pay.tries + 1 >= self._office.operator.pay_alarm_tries or now > ends:
                self._alarm(pay, f"gateway_{pay.state}", f"{pay.reference}: {pay.state} fails")

    def _alarm(self, pay: Pay, code: str, detail: str) -> None:
        with writing(self._office.engine) as db:
            pays.alarm(db, pay, code, detail, self._now())

    def _move(self, pay: Pay, state: str, **fields: Any) -> bool:
        if state != pay.state:
            self.wake()
        return pays.move(self._office.engine, pay, state, **fields)

    def _now(self) -> int:
        return self._office.now_ms()


def _fault(exc: Failure) -> str:
    return f"{exc} ({exc.code})"[:200] if exc.code else str(exc)[:200]
