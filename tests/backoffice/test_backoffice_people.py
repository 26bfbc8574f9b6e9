"""Who gets in and what they may: passwords, roles, log-ins that end, forms only our pages send."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hostsim.backoffice import operator as operators
from hostsim.backoffice.accounts import logins, passwords
from hostsim.backoffice.accounts.limits import Limiter
from hostsim.backoffice.models import writing
from hostsim.backoffice.pages.shell import COOKIE
from hostsim.backoffice.service import BackOffice
from hostsim.backoffice.tables import Person
from tests.backoffice import desk
from tests.backoffice.desk import PASSWORD, Visitor, fill
from tests.backoffice.test_backoffice_ingest import Ledger

PRIVATE = ("/", "/sessions", "/sessions/1", "/sessions/1/cdr.json", "/invoices", "/people",
           "/invoices/check", "/audit")  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path)
    yield found
    found.close()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for somebody who does not exist costs no quarter of a second."""
    monkeypatch.setattr(passwords, "_N", 16)


@pytest.mark.parametrize("path", PRIVATE)
def test_nothing_is_shown_without_a_log_in(office: BackOffice, path: str) -> None:
    answer = Visitor(office).get(path, follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login?to=")


def test_after_the_log_in_one_is_where_one_wanted_to_be(office: BackOffice) -> None:
    visitor = Visitor(office)
    desk.somebody(office, "ann", "viewer")
    asked = visitor.get("/invoices?number=CP1")
    to = re.search(r'name="to" value="([^"]*)"', asked.text)
    assert to
    fields = {"name": "ann", "password": PASSWORD, "to": to[1]}
    assert str(visitor.post("/login", data=fields).url).endswith("/invoices?number=CP1")


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_the_log_in_leads_nowhere_else(office: BackOffice, to: str) -> None:
    desk.somebody(office, "ann", "viewer")
    fields = {"name": "ann", "password": PASSWORD, "to": to}
    answer = Visitor(office).post("/login", data=fields, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_the_cookie_is_for_the_browser_only_and_the_database_has_not_got_it(
    office: BackOffice,
) -> None:
    visitor = Visitor(office)
    desk.somebody(office, "ann", "viewer")
    answer = visitor.post(
        "/login", data={"name": "ann", "password": PASSWORD}, follow_redirects=False
    )
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    token = visitor.cookies[COOKIE]
    with office.engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM logins")).all())
        password = str(connection.execute(text("SELECT password FROM people")).scalar())
    assert token not in stored
    assert password.startswith("scrypt$") and PASSWORD not in password
    assert passwords.hashed(PASSWORD).startswith("scrypt$32768$8$3$"), "what a person really gets"
    assert passwords.nobody().startswith("scrypt$32768$8$3$"), "and nobody costs as much"


@pytest.mark.usefixtures("cheap")
def test_wrong_passwords_are_refused_and_then_slowed_down(office: BackOffice) -> None:
    desk.somebody(office, "ann", "viewer")
    visitor = Visitor(office)
    for name in ("ann", "nobody") * 5:
        answer = visitor.post("/login", data={"name": name, "password": "wrong password"})
        assert answer.status_code == 403 and "Name or password is wrong" in answer.text
    answer = visitor.post("/login", data={"name": "ann", "password": PASSWORD})
    assert answer.status_code == 429 and "Too many tries" in answer.text


def test_failures_are_forgotten_after_their_time() -> None:
    now = [0.0]
    limit = Limiter(2, 60, lambda: now[0])
    limit.failed("a")
    limit.failed("a", "b")
    assert not limit.allowed("a", "b") and limit.allowed("b")
    now[0] = 61
    assert limit.allowed("a")


def test_each_role_may_what_it_may(office: BackOffice) -> None:
    wanted = {
        "viewer": {"/": 200, "/bills": 403, "/members": 403, "/audit": 403, "/people": 403},
        "support": {"/": 200, "/bills": 403, "/members": 403, "/people": 403},
        "finance": {
            "/": 200,
            "/bills": 200,
            "/members": 200,
            "/invoices/check": 200,
            "/audit": 200,
            "/people": 403,
        },
        "admin": {"/": 200, "/bills": 200, "/invoices/check": 200, "/audit": 200, "/people": 200},
    }
    for role, pages in wanted.items():
        visitor = Visitor(office).log_in(role)
        assert {path: visitor.get(path).status_code for path in pages} == pages


def test_a_log_in_ends_when_it_is_idle_old_or_ended(
    office: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.somebody(office, "ann", "viewer")
    now = [1_000_000_000]
    monkeypatch.setattr(logins, "now_ms", lambda: now[0])
    found = logins.Logins(office.engine, office.operator)
    minute = 60_000
    token = found.begin("ann", PASSWORD)
    assert token and found.find(token)
    for _ in range(23):
        now[0] += 29 * minute
        assert found.find(token), "used again and again"
    now[0] += 60 * minute
    assert found.find(token) is None, "twelve hours are over"
    idle = found.begin("ann", PASSWORD)
    assert idle
    now[0] += 31 * minute
    assert found.find(idle) is None
    ended = found.begin("ann", PASSWORD)
    assert ended
    found.end(ended)
    assert found.find(ended) is None and found.find("x") is None


def test_a_form_without_the_log_ins_token_or_from_elsewhere_is_refused(
    office: BackOffice,
) -> None:
    ledger = Ledger()
    ledger.put("alarm", code="contactor_welded", sess=0, detail="")
    fill(office, ledger)
    visitor = Visitor(office).log_in("support")
    identity = office.problems()[0]["id"]
    assert visitor.post(f"/problems/{identity}/close").status_code == 403
    assert visitor.post(f"/problems/{identity}/close", data={"csrf": "x"}).status_code == 403
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/").text)
    assert token
    answer = visitor.post(
        f"/problems/{identity}/close",
        data={"csrf": token[1]},
        headers={"Origin": "http://evil.example"},
    )
    assert answer.status_code == 403 and office.problems()
    assert "Closed" in visitor.submit("/", f"/problems/{identity}/close")
    assert not office.problems()


def test_a_viewer_cannot_close_a_problem(office: BackOffice) -> None:
    ledger = Ledger()
    ledger.put("alarm", code="contactor_welded", sess=0, detail="")
    fill(office, ledger)
    visitor = Visitor(office).log_in("viewer")
    visitor.submit("/", f"/problems/{office.problems()[0]['id']}/close")
    assert visitor.status == 403 and office.problems()


def test_an_admin_adds_changes_and_shuts_out_people(office: BackOffice) -> None:
    admin = Visitor(office).log_in("admin")
    shown = admin.submit("/people", "/people", name="Bob", role="support", password="0123456789x")
    assert "bob may log in now" in shown
    bob = Visitor(office)
    bob.post("/login", data={"name": "bob", "password": "0123456789x"})
    assert bob.get("/").status_code == 200 and "0123456789x" not in bob.get("/").text
    admin.submit("/people", "/people/bob", role="support", password="")
    assert bob.get("/", follow_redirects=False).status_code == 303, "shut out at once"
    answer = bob.post("/login", data={"name": "bob", "password": "0123456789x"})
    assert answer.status_code == 403
    log = admin.get("/audit").text
    assert "person added" in log and "person changed" in log and "0123456789x" not in log


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "B b"}, "must be 2 to 32"),
        ({"name": "admin"}, "is there already"),
        ({"role": "god"}, "must be one of viewer"),
        ({"password": "short"}, "must have 10 to 200"),
        ({"password": "aaaaaaaaaaaa"}, "at least 5 different"),
    ],
)
def test_a_bad_field_is_named(office: BackOffice, fields: dict[str, str], says: str) -> None:
    admin = Visitor(office).log_in("admin")
    given = {"name": "bob", "role": "viewer", "password": "0123456789x"} | fields
    shown = admin.submit("/people", "/people", **given)
    assert admin.status == 422 and says in shown and "aria-invalid" in shown


def test_the_last_admin_stays(office: BackOffice) -> None:
    admin = Visitor(office).log_in("admin")
    shown = admin.submit("/people", "/people/admin", role="viewer", active="yes", password="")
    assert admin.status == 422 and "the last admin stays admin" in shown
    assert admin.get("/people").status_code == 200


def test_no_secret_is_logged(office: BackOffice, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    visitor = Visitor(office).log_in("admin")
    visitor.post("/login", data={"name": "admin", "password": "a wrong password"})
    said = caplog.text + str([record.__dict__ for record in caplog.records])
    for secret in (PASSWORD, "a wrong password", visitor.cookies[COOKIE]):
        assert secret not in said


def test_passwords_of_another_cost_still_match() -> None:
    assert passwords.matches(
        "password",
        "scrypt$1024$8$16$TmFDbA==$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI=",
    ), "RFC 7914, section 12, second vector (its first 32 bytes)"
    assert not passwords.matches("x", "nonsense")
    assert passwords.generated() != passwords.generated()


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("name = ''", "name: must not be empty"),
        ("nam = 'x'", "nam: is not a field"),
        ("time_zone = 'Nowhere/City'", "time_zone: must be an IANA name"),
        ("refund_days = -1", "refund_days: must be a whole number"),
        ("approve_above_minor = 1.5", "approve_above_minor: must be a whole number"),
        ("public_url = 'example.org/'", "public_url: must be http"),
        ("country = 'Deutschland'", "country: must be two"),
        ("name = ", "must be TOML"),
    ],
)
def test_a_bad_operators_file_names_the_field(tmp_path: Path, toml: str, says: str) -> None:
    path = tmp_path / "operator.toml"
    path.write_text(toml)
    with pytest.raises(operators.OperatorError, match=re.escape(says)):
        operators.read(path)


def test_an_operators_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "operator.toml"
    path.write_text("name = 'Stadtwerke'\nrefund_days = 30\npublic_url = 'https://a.example/x'\n")
    found = operators.read(path)
    assert (found.name, found.refund_days, found.party) == ("Stadtwerke", 30, "FCT")


# -- passwords: one's own, given ones, and how many are tried


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


# -- what an address or a form cannot have


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
