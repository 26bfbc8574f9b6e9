"""Who gets in and what they may: roles, log-ins that end, forms only our pages send."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from sqlalchemy import text

from hostsim.backoffice import operator as operators
from hostsim.backoffice.accounts import logins, passwords
from hostsim.backoffice.accounts.limits import Limiter
from hostsim.backoffice.pages.shell import COOKIE
from hostsim.backoffice.service import BackOffice
from tests.backoffice import desk
from tests.backoffice.desk import PASSWORD, Visitor, fill
from tests.backoffice.records import Ledger

PRIVATE = ("/", "/sessions", "/sessions/1", "/sessions/1/cdr.json", "/invoices", "/people",
           "/invoices/check", "/audit")  # fmt: skip


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
