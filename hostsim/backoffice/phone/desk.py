"""Pay by phone as the pages need it: what is for sale at a charger, a payment's beginning, where
it stands, its stop; and the gateway's events. One object of a back office with a gateway.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.bills.desk import payment_code
from hostsim.backoffice.fourth.watch import Watch
from hostsim.backoffice.gateways.base import Event, Gateway, SettingsError
from hostsim.backoffice.models import Charger, Retained, Session, writing
from hostsim.backoffice.pay_tables import Pay, PayEvent, PayRefund
from hostsim.backoffice.phone import code, pays, strays
from hostsim.backoffice.phone.cashier import Cashier
from hostsim.backoffice.phone.mail import Mail
from hostsim.backoffice.phone.office import Office
from hostsim.backoffice.phone.paybacks import Paybacks

if TYPE_CHECKING:
    from hostsim.backoffice.service import BackOffice

_READY = ("free", "plugged", "declined")
_EVENTS_KEPT_MS = 30 * 86_400_000
_TARIFFS = 64
_PRICE_MS = 300_000
_STOPS = 5
_NAME = 64  # characters of PayEvent's columns


class NotForSale(Exception):
    """`key`: what the driver reads."""

    def __init__(self, key: str) -> None:
        """The word's key."""
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class Offer:
    """What a driver may buy now. `words`: language -> the tariff's lines in the legal order;
    `tariff_crc`: CRC-32 of the tariff's text, by which the charger knows it."""

    charger: str
    connector: int
    currency: str
    hold_minor: int
    words: dict[str, list[str]]
    tariff_crc: int


class PayDesk:
    """`cashier` does the work behind it."""

    def __init__(self, office: BackOffice, gateway: Gateway) -> None:
        """Nothing runs yet. Raises SettingsError."""
        if not gateway.takes(office.operator.currency):
            raise SettingsError(
                f"currency: gateway {gateway.name} does not take every amount of"
                f" {office.operator.currency}"
            )
        self.office = office
        self.gateway = gateway
        check_open(office.engine, gateway.name)
        mine = Office(office.engine, office.operator, office.now_ms, office.send_command)
        self.cashier = Cashier(mine, gateway)
        self.paybacks = Paybacks(
            office.engine, office.operator, gateway, office.refunds, office.now_ms
        )
        self.mail = Mail(office.engine, office.operator, office.now_ms)
        self.fourth = Watch(office.engine, office.operator, gateway, office.now_ms)
        self.cashier.chores += [self.paybacks.tend, self.mail.tend, self.fourth.tend]
        self._lock = threading.Lock()
        self._read: dict[int, tuple[str, dict[str, list[str]]]] = {}

    # -- the code

    def check_code(self, charger: str, connector: int, expiry: int, mac: str) -> None:
        """Raises code.BadCode: not this charger's, or too old."""
        with Db(self.office.engine) as db:
            known = db.get(Charger, charger) is not None
        key = self.office.command_key(charger) if known else secrets.token_bytes(32)
        code.check(key, charger, connector, expiry, mac, self.office.now_ms())

    def address(self, base: str, charger: str, connector: int, valid_s: int = 900) -> str:
        """An address as the charger's screen shows one, for whoever sends it another way."""
        expiry = self.office.now_ms() // 1000 + valid_s
        mac = code.mac_of(self.office.command_key(charger), charger, connector, expiry)
        return f"{base}/{charger}/{connector}/{expiry}/{mac}"

    # -- before the payment

    def offer(self, charger: str, connector: int) -> Offer:
        """What is for sale. Raises NotForSale."""
        with Db(self.office.engine) as db:
            row = db.get(Charger, charger)
            kept = db.get(Retained, (charger, "tariff"))
            if row is None or not row.online:
                raise NotForSale("charger_offline")
            if row.status.get("connector", connector) != connector:
                raise NotForSale("code_wrong")
            state = row.status.get("state", "")
            reason = row.status.get("reason", "")
            if state == "out_of_service" and reason != "terminal_off":
                raise NotForSale("out_of_service")
            if state not in (*_READY, "out_of_service"):
                raise NotForSale("someone_else")
            tariff, text = row.status.get("tariff", ""), kept.payload if kept else ""
            crc = zlib.crc32(text.encode())
            # the charger has just said that it sells by another one (not taken in yet, refused)
            query = select(Pay.id).where(
                Pay.charger == charger, Pay.why == "price_moved", Pay.tariff_crc == crc,
                Pay.created_at > self.office.now_ms() - _PRICE_MS,
            )  # fmt: skip
            if db.scalars(query).first() is not None:
                raise NotForSale("no_price")
        currency, words = self._tariff(text, tariff)
        if not self.gateway.takes(currency):
            raise NotForSale("no_currency")
        hold = self.office.operator.pay_hold_minor
        return Offer(charger, connector, currency, hold, words, crc)

    def _tariff(self, text: str, tariff: str) -> tuple[str, dict[str, list[str]]]:
        """Currency and words of the tariff the charger says it sells by: no price, no sale."""
        from hostsim.backoffice.tariffs import TariffRefused, reading
        from hostsim.pricing.cli import PriceError

        crc = zlib.crc32(text.encode())
        with self._lock:
            found = self._read.get(crc)
            if found is None and text:
                try:
                    read = reading(text)
                except (TariffRefused, PriceError) as exc:
                    raise NotForSale("no_price") from exc
                if len(self._read) >= _TARIFFS:
                    self._read.clear()
                found = self._read[crc] = (read["currency"], read["words"] | {"": [read["id"]]})
        if found is None or found[1][""] != [tariff]:
            raise NotForSale("no_price")
        return found

    def begin(
        self, offer: Offer, token: str, mac: str, method: str, language: str, email: str, back: str
    ) -> str:
        """Asks for the hold; the payment's id. The same token again gives the first one. Raises
        pays.CodeUsed."""
        fields = {
            "code": mac, "charger": offer.charger, "connector": offer.connector,
            "gateway": self.gateway.name, "amount_minor": offer.hold_minor,
            "currency": offer.currency, "method": method, "language": language, "email": email,
            "back": back, "tariff_crc": offer.tariff_crc,
            "more": bool(self.office.operator.pay_extend_minor),
        }  # fmt: skip
        identity = pays.new(self.office.engine, token, fields, self.office.now_ms())
        self.cashier.step(identity)
        self.cashier.wake()
        return identity

    def begin_bill(
        self, bill: dict[str, Any], token: str, method: str, language: str, back: str
    ) -> str:
        """A payment of a monthly invoice, captured as soon as it is held; its id, "" when another
        one is under way."""
        with Db(self.office.engine, expire_on_commit=False) as db:
            query = select(Pay).where(Pay.kind == "bill", Pay.state == pays.DECLINED)
            query = query.where(Pay.code.startswith(f"bill-{bill['number']}-"))
            left = db.scalars(query).first()
        if left is not None and pays.page_key(token) != left.page:
            self.stop(left)  # somebody closed that page
            self.cashier.step(left.id)
        with Db(self.office.engine) as db:
            name = payment_code(db, bill["number"])
        fields = {
            "code": name, "kind": "bill", "charger": bill["account"][:32],
            "gateway": self.gateway.name, "amount_minor": bill["total_minor"],
            "currency": bill["currency"], "method": method, "language": language, "back": back,
        }  # fmt: skip
        try:
            identity = pays.new(self.office.engine, token, fields, self.office.now_ms())
        except pays.CodeUsed:
            return ""
        self.cashier.step(identity)
        self.cashier.wake()
        return identity

    def again(self, pay: Pay, method: str) -> None:
        """Another card, after one that was declined, while the charger is still free."""
        late_ms = self.office.operator.pay_confirm_s * 1000
        if self.office.now_ms() - pay.created_at > late_ms:
            raise NotForSale("code_old")  # whoever scanned it may be elsewhere by now
        if pay.kind == "session":
            offer = self.offer(pay.charger, pay.connector)
            if offer.tariff_crc != pay.tariff_crc:
                raise NotForSale("price_moved")
        if pays.again(self.office.engine, pay, method, self.office.now_ms()):
            self.cashier.step(pay.id)
            self.cashier.wake()

    # -- after it

    def follow(self, token: str) -> dict[str, Any] | None:
        """Where a payment stands; None for an address of nobody. `figures`: of the running
        session; `invoice`: of which session, when there is one."""
        pay = pays.by_page(self.office.engine, token)
        if pay is None:
            return None
        found: dict[str, Any] = {"pay": pay, "figures": None, "invoice": None, "session": None}
        stop = strays.last_stop(self.office.engine, pay.charger, pay.id)
        asked = pay.state in (pays.STARTING, pays.STARTED) and pay.why == pays.GIVEN_UP
        found["stopping"] = asked and stop != "refused"
        with Db(self.office.engine) as db:
            session = db.get(Session, pay.session_id) if pay.session_id else None
            charger = db.get(Charger, pay.charger)
            if session is not None:
                found["session"] = {"state": session.state, "reason": session.stop_reason}
                paid = session.state == "captured" and pay.state != pays.LOST
                if paid and session.receipt_no:
                    found["invoice"] = session.id
                figures = charger.figures if charger is not None else {}
                if figures.get("session") == session.sess and session.state not in (
                    "captured", "cancelled", "declined",
                ):  # fmt: skip
                    found["figures"] = figures
        return found

    def stop(self, pay: Pay) -> None:
        """The driver wants an end: before the charger was told the hold goes back, afterwards the
        charger stops. While its answer to `start` is awaited the wish is kept: a `stop` that came
        before the `start` would stop nothing."""
        for _ in range(_STOPS):  # the cashier may move it on at this very moment
            if self._stopped(pay):
                return
            pay = pays.get(self.office.engine, pay.id) or pay

    def _stopped(self, pay: Pay) -> bool:
        """False when it is not any more what it was."""
        if pay.state == pays.DECLINED and not pay.reference:  # for certain: nothing is held
            return pays.move(self.office.engine, pay, pays.CANCELLED, why=pays.GIVEN_UP)
        if pay.state in (pays.HOLDING, pays.DECLINED, pays.ACTION, pays.HELD):
            moved = pays.move(self.office.engine, pay, pays.CANCELLING, why=pays.GIVEN_UP)
            self.cashier.wake()
            return moved
        if pay.state == pays.STARTING:
            return pays.move(self.office.engine, pay, pays.STARTING, why=pays.GIVEN_UP)
        if pay.state == pays.STARTED:
            if not pays.wish(self.office.engine, pay):
                return False
            strays.stop(self.office.engine, self.office.send_command, pay.charger, pay.id)
        return True

    # -- the gateway's events

    def hear(self, event: Event) -> bool:
        """Something is new at the gateway; False when that event was heard before."""
        now = self.office.now_ms()
        identity, kind, payment = map(_fitting, (event.identity, event.kind, event.payment))
        try:
            with writing(self.office.engine) as db:
                if db.get(PayEvent, identity) is not None:
                    return False
                db.execute(delete(PayEvent).where(PayEvent.at < now - _EVENTS_KEPT_MS))
                db.add(PayEvent(identity=identity, kind=kind, payment=payment, at=now))
                if payment:
                    due = Pay.reference == payment, Pay.state.in_(pays.WORK)
                    db.execute(update(Pay).where(*due).values(next_at=0, looked_at=0))
                    mine = PayRefund.payment == payment, PayRefund.state != "asked"
                    db.execute(update(PayRefund).where(*mine).values(look=True))
        except IntegrityError:  # the same one at this very moment
            return False
        self.cashier.wake()
        return True


def check_open(engine: Engine, gateway: str) -> None:
    """Raises SettingsError while payments at another gateway than this one are open."""
    with Db(engine) as db:
        query = select(Pay.gateway, func.count()).where(Pay.state.in_(pays.OPEN))
        query = query.where(Pay.gateway != gateway).group_by(Pay.gateway)
        for name, count in db.execute(query):
            raise SettingsError(
                f"gateway: {count} payments at {name} are open; they must come to their end with"
                f" gateway {name} first"
            )


def _fitting(text: str) -> str:
    """A name from outside as a column has room for it: a longer or unprintable one by its hash."""
    if len(text) <= _NAME and text.isprintable():
        return text
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


Connect = Callable[[], Gateway]
