"""Passwords: one's own, given ones, and how many are tried."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from html import unescape
from typing import Any

import httpx
import pytest

from hostsim.backoffice import operator as operators
from hostsim.backoffice.accounts import logins, passwords
from hostsim.backoffice.models import writing
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Person
from tests.backoffice import desk
from tests.backoffice.desk import PASSWORD, Visitor

NEW = "another battery 7"


def test_everybody_changes_their_own_password_and_other_log_ins_end(office: BackOffice) -> None:
    here, there = Visitor(office).log_in("viewer", "ann"), Visitor(office).log_in("viewer", "ann")
    for fields, says in (
        ({"old": "not this one", "new": NEW, "again": NEW}, "This is not your password"),
        ({"old": PASSWORD, "new": NEW, "again": NEW + "x"}, "This is not the same"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "must have 10 to 200"),
        ({"old": PASSWORD, "new": PASSWORD, "again": PASSWORD}, "must be another one"),
    ):
        shown = here.submit("/password", "/password", **fields)
        assert here.status == 422 and says in shown and "aria-invalid" in shown, says
    shown = here.submit("/password", "/password", old=PASSWORD, new=NEW, again=NEW)
    assert here.status == 200 and "Your password is changed" in shown
    assert here.get("/", follow_redirects=False).status_code == 200
    assert there.get("/", follow_redirects=False).status_code == 303, "logged out there"
    anew = Visitor(office)
    assert anew.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 403
    assert "Log out" in anew.post("/login", data={"name": "ann", "password": NEW}).text
    log = Visitor(office).log_in("admin").get("/audit").text
    assert "own password changed" in log and NEW not in log


def test_one_who_sits_at_an_open_desk_cannot_guess_the_password(office: BackOffice) -> None:
    visitor = Visitor(office).log_in("viewer", "ann")
    for _ in range(10):
        visitor.submit("/password", "/password", old="a wrong guess", new=NEW, again=NEW)
    shown = visitor.submit("/password", "/password", old=PASSWORD, new=NEW, again=NEW)
    assert visitor.status == 422 and "Too many tries" in shown


def test_a_password_that_an_admin_gave_is_changed_at_the_next_log_in(office: BackOffice) -> None:
    admin = Visitor(office).log_in("admin")
    given = "given by the admin 1"
    admin.submit("/people", "/people", name="bob", role="support", password=given)
    for _ in range(2):
        bob = Visitor(office)
        shown = bob.post("/login", data={"name": "bob", "password": given})
        assert shown.url.path == "/password" and "Somebody else gave you" in shown.text
        assert bob.get("/payments", follow_redirects=False).headers["location"] == "/password"
        token = re.search(r'name="csrf" value="([^"]+)"', shown.text)
        assert token
        answer = bob.post("/problems/1/close", data={"csrf": token[1]}, follow_redirects=False)
        assert answer.status_code == 303 and answer.headers["location"] == "/password"
        bob.submit("/password", "/password", old=given, new=NEW, again=NEW)
        assert bob.get("/payments", follow_redirects=False).status_code == 200
        admin.submit("/people", "/people/bob", role="support", active="yes", password=given)


def test_many_tries_at_once_are_no_more_than_one_after_the_other(
    office: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing = [0, 0, 0]  # now, at most, in all
    lock = threading.Lock()

    def slow(*_args: object, **_kwargs: object) -> bytes:
        with lock:
            hashing[0] += 1
            hashing[1], hashing[2] = max(hashing[:2]), hashing[2] + 1
        time.sleep(0.05)
        with lock:
            hashing[0] -= 1
        return bytes(32)

    monkeypatch.setattr(passwords.hashlib, "scrypt", slow)
    desk.somebody(office, "ann", "viewer")

    async def tries() -> list[int]:
        transport = httpx.ASGITransport(Visitor(office).app, client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            fields = {"name": "ann", "password": "wrong password"}
            answers = await asyncio.gather(
                *(client.post("/login", data=fields) for _ in range(40))
            )
        return [answer.status_code for answer in answers]

    found = asyncio.run(tries())
    assert hashing[2] <= 10 and hashing[1] <= 2, hashing
    assert set(found) == {403, 429, 503} and found.count(403) == hashing[2]


def test_a_name_that_nobody_has_costs_the_same_work(
    office: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = []
    real = passwords.hashlib.scrypt

    def counted(*args: Any, **kwargs: Any) -> bytes:
        work.append((kwargs["n"], kwargs["r"], kwargs["p"]))
        return real(*args, **(kwargs | {"n": 16}))

    monkeypatch.setattr(passwords.hashlib, "scrypt", counted)
    with writing(office.engine) as db:
        stored = f"scrypt${2**15}$8$3$" + desk.stored().split("$", 4)[4]
        db.add(Person(name="ann", role="viewer", password=stored, active=True, created_at=1))
    for name in ("ann", "nobody", "nobody"):
        Visitor(office).post("/login", data={"name": name, "password": "wrong password"})
    assert len(work) == 3 and len(set(work)) == 1


def test_a_page_that_renews_itself_keeps_no_log_in(
    office: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000_000]
    monkeypatch.setattr(logins, "now_ms", lambda: now[0])
    visitor = Visitor(office).log_in("viewer")
    page = visitor.get("/fleet?only=offline").text
    found = re.search(r'http-equiv="refresh" content="10; url=([^"]+)"', page)
    assert found and "only=offline" in found[1]
    for _ in range(29):
        now[0] += 60_000
        assert visitor.get(unescape(found[1]), follow_redirects=False).status_code == 200
    now[0] += 120_000
    assert visitor.get(unescape(found[1]), follow_redirects=False).status_code == 303


def test_whoever_works_stays_in_also_where_a_minute_is_idle(
    office: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000_000]
    monkeypatch.setattr(logins, "now_ms", lambda: now[0])
    desk.somebody(office, "ann", "viewer")
    found = logins.Logins(office.engine, operators.Operator(session_idle_min=1))
    token = found.begin("ann", PASSWORD)
    assert token
    for _ in range(20):
        now[0] += 20_000
        assert found.find(token)
    now[0] += 61_000
    assert found.find(token) is None
