"""A back office with a payment gateway and a charger at protocol level: no broker, no firmware;
localstripe's own process behind the proxy that makes trouble. FORECOURT_TEST_DATABASE in the
environment (URL of a PostgreSQL that may be emptied): every house lives there.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session as Db

from hostsim import books as three
from hostsim.backoffice.fourth import compare
from hostsim.backoffice.fourth.found import MISSING_HERE, Comparison
from hostsim.backoffice.gateways import base
from hostsim.backoffice.gateways.base import Settings
from hostsim.backoffice.models import Command
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay, PayRefund
from hostsim.backoffice.phone import code
from hostsim.backoffice.service import BackOffice, sqlite_url
from hostsim.backoffice.web import create_app
from hostsim.gateway import book
from hostsim.gateway.proxy import Proxy
from hostsim.pki import Pki
from hostsim.world import DEFAULT_TARIFF
from tests.backoffice.desk import NOW_MS, Nowhere
from tests.backoffice.records import Ledger

CHARGER = "CP1"
TARIFF = json.loads(DEFAULT_TARIFF.read_text())["id"]
CRC = zlib.crc32(DEFAULT_TARIFF.read_bytes())
HOLD = 6000
TILL = Settings("tests.gateway.house_gateway", environ={"FORECOURT_TILL_KEY": "k" * 16})
"""The second gateway, in memory."""


class Station(Ledger):
    """A charger that says what a charger says. `online`: whether it hears and is heard; what it
    writes meanwhile comes when it is again."""

    def __init__(self, office: BackOffice, name: str = CHARGER, epoch: int = 71) -> None:
        super().__init__(epoch)
        self.office = office
        self.name = name
        self.online = True
        self.sess = 0
        self.state = "free"
        self.remote = ""
        self.given = 0  # records that were handed over
        self.done: set[str] = set()
        self.starts: list[dict[str, Any]] = []
        self.refunds: dict[str, dict[str, Any]] = {}
        self.crc = CRC  # of the tariff in force here
        self.status()

    def say(self, topic: str, **message: Any) -> None:
        payload = json.dumps({"at": self.office.now_ms()} | message).encode()
        self.office._desk.handle([(f"forecourt/v1/{self.name}/{topic}", payload, False)])

    def status(self, **more: Any) -> None:
        self.said = self.state
        self.say(
            "status",
            **{"online": self.online, "state": self.state, "connector": 1, "tariff": TARIFF}
            | more,
        )

    def away(self) -> None:
        self.online = False
        self.status(reason="lost")

    def back(self) -> None:
        self.online = True
        self.status()
        self.hand_over()

    def hand_over(self) -> None:
        if self.online:
            if self.said != self.state:
                self.status()
            new = [(self.name, json.dumps(r).encode()) for r in self.records[self.given :]]
            self.given = len(self.records)
            self.office.ingest.take(new)

    def obey(self, answer: bool = True) -> None:
        """Does what the back office has sent and it has not done; `answer` False: the result is
        lost, and so are the records for now."""
        if not self.online:
            return
        with Db(self.office.engine) as db:
            query = select(Command).where(Command.charger == self.name).order_by(Command.counter)
            sent = [(c.id, c.name, json.loads(c.message), c.expires_at) for c in db.scalars(query)]
        for identity, name, message, expires_at in sent:
            if identity in self.done or expires_at <= self.office.now_ms():
                continue
            self.done.add(identity)
            reason = getattr(self, f"_do_{name}")(json.loads(message["args"]))
            if answer:
                said: dict[str, Any] = {"about": "command", "id": identity, "ok": not reason}
                if reason:  # as firmware's sync.refuse says it
                    name, _, rest = reason.partition(": ")
                    allowed, _, given = rest.partition(" (given ")
                    said |= {"code": "refused", "field": name, "reason": allowed}
                    said |= {"given": given.rstrip(")")} if given else {}
                self.say("result", **said)
        if answer:
            self.hand_over()

    def _do_start(self, args: dict[str, Any]) -> str:
        self.starts.append(args)
        if any(r.get("remote") == args["session"] for r in self.records):
            return ""
        if self.state not in ("free", "plugged"):
            return f"state: must be free or plugged (given {self.state})"
        if args.get("tariff_crc", self.crc) != self.crc:
            return f"tariff_crc: must be the one in force (given {args['tariff_crc']})"
        self.begin(args["method"], args["reference"], args["amount_minor"], args["session"])
        return ""

    def begin(self, method: str, reference: str, amount: int, remote: str = "") -> None:
        self.sess += 1
        self.remote = remote
        self.state = "wait_plug"
        self.put(
            "hold_asked", sess=self.sess, hold_minor=amount, currency="EUR", tariff=TARIFF,
            tariff_crc=self.crc, method=method, connector=1, reference=reference, uid_hash="",
            remote=remote, version=2,
        )  # fmt: skip
        card = method == "card"
        self.put(
            "authorised", sess=self.sess, amount_minor=amount, receipt=self.sess if card else 0,
            trace=self.sess if card else 0, terminal_id="52500041" if card else "", vu="",
            auth_code="", pan="", card="",
        )  # fmt: skip
        self.how = "direct" if card else "account" if method == "rfid" else method
        self.amount = amount

    def charge(self, total: int = 119) -> None:
        """From the plug to the bill; 0: nothing was charged."""
        self.state = "charging"
        self.energising(self.sess, 1000 * self.sess)
        self.figures(500, total // 2)
        self.finish(total)

    def figures(self, energy_wh: int, price_minor: int) -> None:
        if self.online:
            self.say(
                "session", session=self.sess, state=self.state, energy_wh=energy_wh,
                price_minor=price_minor, power_w=11_000, currency="EUR",
            )  # fmt: skip

    def finish(self, total: int) -> None:
        self.state = "free"
        begin = 1000 * self.sess
        if not total:
            self.put(
                "cancelled", sess=self.sess, released_minor=self.amount, receipt=0,
                reason="vehicle",
            )  # fmt: skip
        else:
            self.put(
                "power_off", sess=self.sess, register_wh=begin + 1000, elapsed_ms=3600000,
                reason="unplug",
            )  # fmt: skip
            self.priced(self.sess, total, begin, begin + 1000, reason="unplug")
            self.put(
                "captured", sess=self.sess, captured_minor=total,
                released_minor=self.amount - total, receipt=0, trace=0, how=self.how,
            )  # fmt: skip
        self.hand_over()

    def give_up(self, reason: str = "plug_timeout") -> None:
        self.state = "free"
        self.put("cancelled", sess=self.sess, released_minor=self.amount, receipt=0, reason=reason)
        self.hand_over()

    def _do_extend(self, args: dict[str, Any]) -> str:
        if args["session"] != self.remote or self.state != "charging":
            return "session: must be the one that runs"
        if args["amount_minor"] > self.amount:
            self.amount = args["amount_minor"]
            self.put(
                "extend_done", sess=self.sess, amount_minor=self.amount, how=self.how, code=0,
                text="",
            )  # fmt: skip
        return ""

    def _do_stop(self, args: dict[str, Any]) -> str:
        if args.get("session") not in (None, self.remote) or self.state == "free":
            return "session: must be the one that runs"
        if self.state == "wait_plug":
            self.give_up("remote")
        else:
            self.finish(60)
        return ""

    def _do_refund(self, args: dict[str, Any]) -> str:
        refund, number = args["refund"], args["receipt"]
        if refund in self.refunds:
            return ""
        way = {"direct": "acquirer", "account": "account"}.get(self.how, "gateway")
        amount = args["amount_minor"] or self._captured(number)
        self.refunds[refund] = {"sess": number, "amount_minor": amount, "way": way}
        self.put(
            "refund_requested", refund=refund, receipt_no=number, amount_minor=amount,
            reason=args["reason"], operator=args["operator"], command="c", card=0,
        )  # fmt: skip
        same = {"refund": refund, "sess": number, "amount_minor": amount, "way": way}
        self.put("refund_asked", **same, reason=args["reason"], command="c")
        self.put("refund_sent", **same, receipt=0, trace=0)
        return ""

    def _captured(self, sess: int) -> int:
        mine = (r for r in self.records if r["type"] == "captured" and r["sess"] == sess)
        return int(next(mine)["captured_minor"])

    def _do_refund_done(self, args: dict[str, Any]) -> str:
        f = self.refunds[args["refund"]]
        same = {"refund": args["refund"], "sess": f["sess"], "amount_minor": f["amount_minor"]}
        if args["ok"]:
            self.put(
                "refunded", **same, way=f["way"], receipt=0, trace=0,
                credit_no=len([r for r in self.records if r["type"] == "refunded"]) + 1,
                receipt_no=f["sess"], net_minor=f["amount_minor"], vat_minor=0, lines=[],
                version=2,
            )  # fmt: skip
        else:
            self.put(
                "refund_failed", **same, way=f["way"], code=0, text="refused", state="failed",
                version=2,
            )  # fmt: skip
        return ""


def emptied(url: str) -> None:
    """A PostgreSQL database without anything in it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


class House:
    """All of it. Time stands still unless it is told to pass."""

    def __init__(
        self, directory: Path, settings: Settings, url: str = "", **operator: Any
    ) -> None:
        """`url`: of a database that is emptied first; default: a new SQLite file."""
        self.ms = NOW_MS
        url = url or os.environ.get("FORECOURT_TEST_DATABASE", "")
        if url:
            emptied(url)
        self.url = url or sqlite_url(directory / "o.db")
        self.settings = settings
        self.directory = directory
        gateway = base.opened(settings)
        chosen: dict[str, Any] = {"gateway": settings.name, **operator}
        self.office = BackOffice(
            self.url, Nowhere(), Pki(directory / "pki"),
            now_ms=lambda: self.ms, operator=Operator(**chosen), gateway=gateway,
        )  # fmt: skip
        assert self.office.phone is not None
        self.phone = self.office.phone
        self.office.send_tariff(CHARGER, DEFAULT_TARIFF.read_bytes())
        self.station = Station(self.office)
        self.browser = TestClient(create_app(self.office), base_url="http://localhost")
        self.page = ""

    def close(self) -> None:
        self.browser.close()
        self.office.close()

    # -- the driver

    def address(self, charger: str = CHARGER, connector: int = 1, valid_s: int = 900) -> str:
        expiry = self.ms // 1000 + valid_s
        mac = code.mac_of(self.office.command_key(charger), charger, connector, expiry)
        return f"/pay/{charger}/{connector}/{expiry}/{mac}"

    def pay(self, address: str = "", method: str = "", **more: str) -> Any:
        """Scans and pays, with what pays when nothing else is said; the page that comes."""
        method = method or self.phone.gateway.test_methods[0][0]
        address = address or self.address()
        form = self.browser.get(address)
        token = re.search(r'name="token" value="([^"]+)"', form.text)
        if token is None:
            return form
        self.page = f"/pay/p/{token[1]}"
        shown = re.search(r'name="tariff" value="(\d+)"', form.text)
        fields = {"token": token[1], "method": method, "tariff": shown[1] if shown else ""}
        return self.browser.post(address, data=fields | more)

    def started(self, total: int = 0) -> Pay:
        """Paid, started; charged and captured with a total."""
        self.ms += 1000
        assert self.pay().status_code == 200
        self.turn()
        self.station.obey()
        self.turn()
        if total:
            self.station.charge(total)
            self.turn()
        return self.now()

    def shown(self) -> str:
        return self.browser.get(self.page).text

    def now(self) -> Pay:
        """The newest payment."""
        with Db(self.office.engine, expire_on_commit=False) as db:
            found = db.scalars(select(Pay).order_by(Pay.created_at.desc(), Pay.id)).first()
            assert found is not None
            return found

    def kept(self) -> list[str]:
        """References of what the gateway still holds or has taken."""
        there = self.phone.gateway.listed(0)
        return [paid.reference for paid in there if paid.state in ("held", "captured")]

    # -- time and work

    def turn(self, times: int = 6) -> None:
        """The cashier's work, while the clock stands."""
        for _ in range(times):
            self.phone.cashier.turn()

    def pass_s(self, seconds: float, step_s: float = 5) -> None:
        """Time passes, and everybody works."""
        end = self.ms + int(seconds * 1000)
        while self.ms < end:
            self.ms = min(self.ms + int(step_s * 1000), end)
            self.station.obey()
            self.turn(2)
            self.office._desk.reminders()

    def until(self, what: Callable[[], bool], timeout_s: float = 10) -> None:
        """Real time passes: webhooks have a thread of their own."""
        end = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    def restart(self) -> None:
        """The back office ends without ado and begins again on its database."""
        self.office.close()
        gateway = base.opened(self.settings)
        self.office = BackOffice(
            self.url, Nowhere(), Pki(self.directory / "pki"),
            now_ms=lambda: self.ms, operator=self.office.operator, gateway=gateway,
        )  # fmt: skip
        assert self.office.phone is not None
        self.phone = self.office.phone
        self.station.office = self.office
        self.browser = TestClient(create_app(self.office), base_url="http://localhost")

    # -- refunds

    def ask_refund(self, amount: int, receipt: int = 1, refund: str = "") -> str:
        refunds = self.office.refunds
        identity = refunds.request(
            CHARGER, receipt=receipt, amount_minor=amount, reason="goodwill", operator="anna",
            refund=refund or secrets.token_hex(8),
        )  # fmt: skip
        refunds.approve(identity, "bert")
        self.station.obey()
        return identity

    def payback(self, refund: str) -> PayRefund:
        with Db(self.office.engine, expire_on_commit=False) as db:
            return db.get_one(PayRefund, refund)

    # -- books

    def problems(self) -> set[str]:
        return {p["code"] for p in self.office.problems()}

    def differences(self) -> list[str]:
        """Between the charger's records, the back office's, and the gateway's own list."""
        flash, kept = self.station.records, self.office.records(CHARGER)
        mine = three.from_records("charger", flash)
        back = three.from_records("back office", kept)
        found = three.differences([three.Book("terminal"), mine, back])
        theirs = book.entries(self.phone.gateway.listed(0), CHARGER)
        known = {p.id for p in self._pays()}
        theirs = {order: entry for order, entry in theirs.items() if order in known}
        found += book.differences(theirs, book.from_records(flash), book.from_records(kept))
        return found + [str(one) for one in self.compared().differences]

    def compared(self) -> Comparison:
        """All of the gateway's list beside all of the back office's books; without what another
        test of the same gateway paid."""
        found = compare.compare(
            self.office.engine, self.office.operator, self.phone.gateway, 0, self.ms
        )
        mine = {pay.reference for pay in self._pays()} | {pay.id for pay in self._pays()}
        found.differences = [
            one for one in found.differences
            if one.what != MISSING_HERE or {one.reference, one.ours} & mine
        ]  # fmt: skip
        return found

    def _pays(self) -> list[Pay]:
        with Db(self.office.engine, expire_on_commit=False) as db:
            return list(db.scalars(select(Pay)))


def stripe_at(proxy: Proxy) -> Settings:
    """Stripe's implementation with localstripe behind the proxy."""
    return Settings("stripe", base.TEST, proxy.url, proxy.environ)


@contextlib.contextmanager
def running_proxy() -> Iterator[Proxy]:
    """localstripe's process and the proxy, for a module's tests."""
    with (
        tempfile.TemporaryDirectory(prefix="forecourt-test-") as directory,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.05)  # the SDK's pauses between tries
        proxy = Proxy(Path(directory))
        try:
            proxy.start()
            yield proxy
        finally:
            proxy.stop()


def refund_of(house: House, refund: str) -> str:
    """Where a refund stands."""
    return str(house.office.refunds.follow(refund)["state"])


def finish(house: House) -> None:
    """The cashier's work, the command to the charger, its records."""
    house.turn(2)
    house.station.obey()
    house.turn(2)


def event_of(house: House) -> Any:
    said = json.dumps({"id": "e1", "kind": "gone", "payment": house.now().reference}).encode()
    key = hmac.new(b"k" * 16, said, hashlib.sha256).hexdigest()
    return house.browser.post("/gateway/events", content=said, headers={"x-till": key})
