"""The receipt by e-mail: asked for only where there is a mail server, sent once, the address
forgotten; a mail server in trouble costs the session nothing.
"""

from __future__ import annotations

import email
import socketserver
import threading
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice import operator
from tests.backoffice.desk import needs_micropython
from tests.gateway.pay import TILL, House

pytestmark = [pytest.mark.timeout(120), needs_micropython]


class Post(socketserver.ThreadingTCPServer):
    """As much of RFC 5321 as a client needs to hand over a message. `refuse`: not now."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Counter)
        self.got: list[Message] = []
        self.refuse = False


class Counter(socketserver.StreamRequestHandler):
    """One client."""

    server: Post

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline():
            word = line.split(b" ")[0].strip().upper()
            if word == b"DATA":
                self.say("354 go on")
                self._take()
            elif word == b"MAIL" and self.server.refuse:
                self.say("451 not now")
            else:
                self.say("221 bye" if word == b"QUIT" else "250 well")

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        self.server.got.append(email.message_from_bytes(b"".join(lines)))
        self.say("250 taken")

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@pytest.fixture
def post() -> Iterator[Post]:
    found = Post()
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def house(tmp_path: Path, post: Post) -> Iterator[House]:
    found = House(
        tmp_path, TILL, mail_server=f"127.0.0.1:{post.server_address[1]}",
        mail_from="desk@operator.example", public_url="https://pay.example",
    )  # fmt: skip
    yield found
    found.close()


def sold(house: House, **more: str) -> None:
    house.pay(method="coin", **more)
    house.turn()
    house.station.obey()
    house.station.charge(500)
    house.turn()


def test_who_asks_for_it_gets_the_invoice_once_and_the_address_is_forgotten(
    house: House, post: Post, tmp_path: Path
) -> None:
    assert 'type="email"' in house.browser.get(house.address()).text
    sold(house, email="driver@home.example", lang="de")
    house.pass_s(200, 50)
    assert len(post.got) == 1
    message = post.got[0]
    assert message["To"] == "driver@home.example" and message["From"] == "desk@operator.example"
    assert message["Subject"] == "Ihr Beleg CP1-I000001"
    parts = list(message.walk())
    link = b"https://pay.example/r/CP1/1/500?flash=71&lang=de"
    assert link in bytes(parts[1].get_payload(decode=True))
    assert bytes(parts[2].get_payload(decode=True)).startswith(b"%PDF-")
    assert house.now().email == ""


def test_no_address_no_mail_and_a_bad_one_is_said(house: House, post: Post) -> None:
    answer = house.pay(method="coin", email="not an address")
    assert answer.status_code == 422 and "not an e-mail address" in answer.text
    sold(house)
    assert post.got == [] and house.now().state == "captured"


@pytest.mark.parametrize("trouble", ["refused", "away"])
def test_a_mail_server_in_trouble_is_tried_again_and_then_left(
    house: House, post: Post, trouble: str, monkeypatch: Any
) -> None:
    post.refuse = True
    if trouble == "away":
        post.shutdown()
        post.server_close()
    sold(house, email="driver@home.example")
    house.pass_s(150, 50)
    assert house.now().state == "captured" and house.now().email != ""
    house.ms += 90_000_000
    house.turn()
    assert house.now().email == "" and post.got == []


def test_a_driver_who_was_given_the_hold_back_gets_no_mail(house: House, post: Post) -> None:
    house.pay(method="coin", email="driver@home.example")
    house.turn()
    house.station.obey()
    house.station.give_up()
    house.turn()
    assert house.now().state == "cancelled" and house.now().email == "" and post.got == []


def test_the_mail_servers_address_must_be_one() -> None:
    for fields in ({"mail_server": "mail"}, {"mail_server": "mail:25", "mail_from": "nobody"}):
        with pytest.raises(operator.OperatorError, match="mail_"):
            operator.of(fields)
