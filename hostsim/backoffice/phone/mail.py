"""The receipt by e-mail, for a driver who asked for it: the invoice as PDF and where it is online.

Sent by the operator's own mail server (operator.toml, mail_server HOST:PORT and mail_from; log-in
by FORECOURT_MAIL_USER and FORECOURT_MAIL_PASSWORD, then with STARTTLS). The address is forgotten
when the receipt is sent or cannot be; one that failed is tried again for a day.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.invoices import find, pdf, sheet
from hostsim.backoffice.models import Session, writing
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.pay_tables import Pay
from hostsim.backoffice.phone import pays, texts

_TIMEOUT_S = 10
_PAUSE_MS = 60_000
_DAY_MS = 86_400_000


class Mail:
    """`tend` is a chore of the cashier's; without a mail server, addresses are only forgotten."""

    def __init__(self, engine: Engine, operator: Operator, now_ms: Callable[[], int]) -> None:
        """Nothing is sent yet."""
        self._engine = engine
        self._operator = operator
        self._now_ms = now_ms

    def tend(self) -> None:
        """Receipts that are due, addresses that are to be forgotten."""
        now = self._now_ms()
        over = (pays.CAPTURED, pays.CANCELLED, pays.LOST)
        with Db(self._engine, expire_on_commit=False) as db:
            query = select(Pay).where(Pay.email != "", Pay.state.in_(over), Pay.next_at <= now)
            due = list(db.scalars(query.limit(20)))
        for pay in due:
            gone = not self._operator.mail_server or now - pay.settled_at > _DAY_MS
            if pay.state != pays.CAPTURED or gone or self._sent(pay):
                self._keep(pay, email="")
            else:
                self._keep(pay, next_at=now + _PAUSE_MS)

    def _keep(self, pay: Pay, **fields: object) -> None:
        with writing(self._engine) as db:
            row = db.get_one(Pay, pay.id)
            for name, value in fields.items():
                setattr(row, name, value)

    def _sent(self, pay: Pay) -> bool:
        with Db(self._engine) as db:
            session = db.get(Session, pay.session_id)
            if session is None or not session.receipt_no:
                return False
        documents = find.by_session(self._engine, pay.session_id)
        if not documents:
            return False
        link = f"{self._operator.public_url}/{find.link(documents)}&lang={pay.language}"
        link = link if self._operator.public_url else ""
        message = self._message(pay, documents[0]["number"], link)
        shown = sheet.sheet(documents[0]["document"], pay.language)
        data = pdf.render(shown, link, documents[0]["issued_at"])
        name = f"{documents[0]['number']}.pdf"
        message.add_attachment(data, maintype="application", subtype="pdf", filename=name)
        try:
            self._deliver(message)
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def _message(self, pay: Pay, number: str, link: str) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["Subject"] = f"{texts.word('mail_subject', pay.language)} {number}"
        message["From"] = self._operator.mail_from
        message["To"] = pay.email
        lines = [texts.word("mail_text", pay.language), link, self._operator.name]
        message.set_content("\n\n".join(line for line in lines if line) + "\n")
        return message

    def _deliver(self, message: EmailMessage) -> None:
        host, _, port = self._operator.mail_server.rpartition(":")
        user = os.environ.get("FORECOURT_MAIL_USER", "")
        with smtplib.SMTP(host, int(port), timeout=_TIMEOUT_S) as server:
            if user:
                server.starttls(context=ssl.create_default_context())
                server.login(user, os.environ.get("FORECOURT_MAIL_PASSWORD", ""))
            server.send_message(message)
