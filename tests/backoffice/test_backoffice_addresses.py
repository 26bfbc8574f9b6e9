"""What an address or a form cannot have."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostsim.backoffice import operator as operators
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.desk import Visitor, fill
from tests.backoffice.records import Ledger


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/r/a%00/1/1", 404),
        ("get", "/payments?find=%00", 422),
        ("get", "/audit?subject=a%00b", 422),
        ("get", "/invoices?number=%1b", 422),
        ("get", "/fleet/%00", 404),
        ("get", "/static/%00.css", 404),
        ("post", "/login", 422),
        ("post", "/find", 422),
        ("get", "/ocpi/2.2.1/cdrs?date_from=%00", 422),
    ],
)
def test_a_control_character_is_refused_before_any_database_sees_it(
    office: BackOffice, method: str, path: str, status: int
) -> None:
    visitor = Visitor(office).log_in("admin")
    fields = {"name": "a\x00", "password": "b", "number": "\x00", "amount": "1"}
    answer = visitor.request(method, path, data=fields if method == "post" else None)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert "must not have control characters" in answer.text


def test_a_form_with_a_control_character_names_the_field(office: BackOffice) -> None:
    ledger = Ledger()
    ledger.session(1)
    fill(office, ledger)
    visitor = Visitor(office).log_in("admin")
    shown = visitor.submit("/sessions/1", "/sessions/1/disputes", reference="a\x00b", amount="1")
    assert visitor.status == 422 and "reference: must not have control characters" in shown


def test_a_form_without_a_length_is_cut_off(office: BackOffice) -> None:
    def parts() -> Iterator[bytes]:
        yield from [b"name=" + b"a" * 50_000] * 10

    answer = Visitor(office).post("/login", content=parts(),
                                  headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 411


def test_a_word_in_an_address_is_shown_only_when_it_is_the_desks_own(office: BackOffice) -> None:
    visitor = Visitor(office).log_in("admin")
    assert "Call 0900" not in visitor.get("/?said=Call+0900+now").text
    assert "Call 0900" not in visitor.get("/?said=" + "0" * 20 + ".Call+0900+now").text
    visitor.submit("/people", "/people", name="bob", role="viewer", password="0123456789x")
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/people").text)
    assert token
    fields = {"csrf": token[1], "role": "viewer", "active": "yes"}
    answer = visitor.post("/people/bob", data=fields, follow_redirects=False)
    assert "has to log in anew" in visitor.get(answer.headers["location"]).text
    other = Visitor(office).log_in("admin", "eve")
    assert "has to log in anew" not in other.get(answer.headers["location"]).text


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "6.6.6.6", "testclient"),
        (1, "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (2, "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        (2, "9.9.9.9", "testclient"),
        (1, "", "testclient"),
    ],
)
def test_an_address_is_what_our_own_proxies_say(
    tmp_path: Path, proxies: int, header: str, address: str
) -> None:
    made = desk.office(tmp_path, operators.Operator(proxies=proxies))
    visitor = Visitor(made)
    for _ in range(10):
        visitor.post("/login", data={"name": secrets.token_hex(4), "password": "wrong password"},
                     headers={"X-Forwarded-For": header})  # fmt: skip
    pages: Any = visitor.app
    shell = pages.state.shell
    assert not shell.login_tries.allowed(f"from {address}")
    assert shell.login_tries.allowed("from 6.6.6.6")
    made.close()
