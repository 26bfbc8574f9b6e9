"""The desk's chargers and tariffs: as they are, asked, rolled out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hostsim.backoffice import fleet_view, tariffs
from hostsim.backoffice.operator import Operator
from hostsim.backoffice.service import BackOffice
from hostsim.world import DEFAULT_TARIFF
from tests.backoffice import desk
from tests.backoffice.desk import (
    NOW_MS,
    Visitor,
    command_of,
    fill,
    needs_micropython,
    paid,
    say,
    text_of,
)
from tests.backoffice.records import EPOCH, Ledger
from tests.backoffice.test_backoffice_web import with_periods


@pytest.fixture
def office(tmp_path: Path) -> Iterator[BackOffice]:
    found = desk.office(tmp_path, Operator(approve_above_minor=50))
    yield found
    found.close()


# -- chargers


def test_the_fleet_shows_each_charger_as_it_is(office: BackOffice) -> None:
    fill(office, paid())
    say(office, "status", online=True, state="charging", version="1.2.3", tariff="T1",
        epoch=EPOCH, next_seq=9, acked_seq=6)  # fmt: skip
    say(office, "session", session=2, state="charging", power_w=11_000, energy_wh=5500,
        price_minor=325, currency="EUR")  # fmt: skip
    say(office, "log", at=NOW_MS, level="warning", text="<the meter> was silent")
    say(office, "status", charger="CP2", online=False, reason="lost")
    viewer = Visitor(office).log_in("viewer")
    page = text_of(viewer.get("/fleet").text)
    for wanted in ("CP1", "charging", "11.0 kW", "5.500 kWh", "3.25 €", "1.2.3", "offline"):
        assert wanted in page, wanted
    assert "CP1" not in text_of(viewer.get("/fleet?only=offline").text)
    one = viewer.get("/fleet/CP1").text
    assert "&lt;the meter&gt; was silent" in one and "records not here yet" in one
    assert viewer.get("/fleet/CP9").status_code == 404
    say(office, "status", online=True, state="free", epoch=EPOCH, next_seq=9, acked_seq=6)
    free = text_of(viewer.get("/fleet").text)
    assert "free" in free and "11.0 kW" not in free and "0 charging, 0.0 kW" in free


def test_old_log_lines_go(office: BackOffice) -> None:
    for number in range(450):
        say(office, "log", at=NOW_MS, level="info", text=f"line {number}")
    found = fleet_view.one(office.engine, "CP1")
    assert found and found["log"][0]["text"] == "line 449"
    with office.engine.connect() as connection:
        assert (
            300
            <= int(str(connection.execute(text("SELECT count(*) FROM log_lines")).scalar()))
            < 360
        )


def test_a_doctors_report_is_asked_for_and_shown(office: BackOffice) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    support.submit("/fleet/CP1", "/fleet/CP1/report")
    identity = command_of(office, "report")["id"]
    say(office, "result", about="command", id=identity, ok=True, detail="done",
        data={"meter": "ok", "restarts": {"sync": 2}})  # fmt: skip
    page = text_of(support.get("/fleet/CP1").text)
    assert "Doctor's reports" in page and "meter ok" in page
    viewer = Visitor(office).log_in("viewer")
    viewer.submit("/", "/fleet/CP1/restart")
    assert viewer.status == 403


def test_the_doctors_findings_are_read_at_the_desk(office: BackOffice) -> None:
    fill(office, ledger := paid())
    support = Visitor(office).log_in("support")
    assert "The doctor was asked for" in support.submit("/fleet/CP1", "/fleet/CP1/doctor")
    answer = {"about": "command", "id": command_of(office, "doctor")["id"], "ok": True}
    power = {"name": "power", "ok": True, "reason": "5.02 V", "todo": ""}
    meter = {"name": "meter", "ok": False, "reason": "no answer <b>", "todo": "A and B"}
    clock = {"name": "clock", "ok": True, "reason": "network", "todo": ""}
    say(office, "result", **answer, code="part", data={"checks": [power, meter]})
    assert "doctor: arriving" in text_of(support.get("/fleet/CP1").text)
    ledger.put("command", command=answer["id"], counter=1, name="doctor", result="ok", detail="")
    fill(office, ledger)  # the ledger's word is here before the last part
    say(office, "result", **answer, data={"checks": [clock]})
    html = support.get("/fleet/CP1").text
    page = text_of(html)
    assert "doctor: ok, 1 to do" in page and "no answer <b>" not in html
    assert "meter: bad no answer <b> To do: A and B power: good 5.02 V clock: good" in page
    viewer = Visitor(office).log_in("viewer")
    viewer.submit("/", "/fleet/CP1/doctor")
    assert viewer.status == 403


@pytest.mark.parametrize("checks", ["x", 5, [5, "x", None], {"a": 1}, [{"ok": 1, "name": [1]}]])
def test_findings_of_no_shape_end_nothing(office: BackOffice, checks: Any) -> None:
    fill(office, paid())
    support = Visitor(office).log_in("support")
    support.submit("/fleet/CP1", "/fleet/CP1/doctor")
    identity = command_of(office, "doctor")["id"]
    good = {"name": "power", "ok": True, "reason": "", "todo": ""}
    for code, said in (("part", [good]), ("part", checks), ("", [good]), ("", checks)):
        say(office, "result", about="command", id=identity, ok=True, code=code,
            data={"checks": said})  # fmt: skip
    assert support.get("/fleet/CP1").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["/sessions/{n}", "/sessions?before={n}", "/payments?before={n}", "/tariffs/{n}",
     "/r/CP1/{n}/1", "/r/CP1/1/{n}", "/sessions/{n}/refund", "/invoices?before={n}",
     "/audit?before={n}"],
)  # fmt: skip
def test_a_number_no_database_holds_is_refused(office: BackOffice, address: str) -> None:
    admin = Visitor(office).log_in("admin")
    assert admin.get(address.format(n=2**63)).status_code == 422
    assert admin.get(address.format(n=2**63 - 1)).status_code in (200, 404)


# -- tariffs


@needs_micropython
def test_a_what_if_of_a_session_without_periods_says_that_it_cannot_be_told(
    office: BackOffice,
) -> None:
    ledger = Ledger()
    ledger.session(1)
    fill(office, ledger)
    found = tariffs.what_if(office, DEFAULT_TARIFF.read_text())
    assert "charging periods are not known" in found["rows"][0]["error"]
    assert found["was_minor"] == found["would_minor"] == 0


@needs_micropython
def test_a_tariff_is_read_tried_kept_rolled_out_and_answered(office: BackOffice) -> None:
    fill(office, with_periods())
    admin = Visitor(office).log_in("admin")
    written = DEFAULT_TARIFF.read_text()
    shown = text_of(admin.submit("/tariffs/new", "/tariffs/new", text=written, do="words"))
    assert "0.59 €/kWh" in shown and "0,59 €/kWh" in shown
    tried = text_of(admin.submit("/tariffs/new", "/tariffs/new", text=written, do="try"))
    assert "1.19 €" in tried and "it would have been" in tried and "CP1-1" in tried
    admin.submit("/tariffs/new", "/tariffs/new", text=written, do="keep", note="spring")
    admin.submit("/tariffs/1", "/tariffs/1/roll-out", charger=["CP1", "CP9"])
    assert tariffs.in_force(office.engine)["CP1"]["state"] == "sent"
    assert tariffs.retained(office.engine, "CP1") == written.strip()
    version = tariffs.version(office.engine, 1)
    assert version
    ledger = with_periods()
    ledger.put("tariff", tariff="ADHOC-1", tariff_crc=version["crc"], result="accepted", detail="")
    fill(office, ledger)
    page = text_of(admin.get("/tariffs").text)
    assert "1 accepted" in page and "spring" in page
    again = ledger.put("tariff", tariff="X", tariff_crc=1, result="refused", detail="")
    office.ingest.take([("CP1", json.dumps(ledger.records[again - 1]).encode())])
    assert tariffs.in_force(office.engine)["CP1"]["state"] == "accepted"


@needs_micropython
@pytest.mark.parametrize(
    ("tariff", "says"),
    [
        ("nonsense", "must be JSON"),
        ('{"id": "X", "currency": "EUR", "elements": []}', "elements"),
        (DEFAULT_TARIFF.read_text().replace('"price": 0.59', '"price": -1'), "price"),
        ("x" * 20_000, "at most"),
    ],
)
def test_a_tariff_the_charger_would_refuse_is_not_kept(
    office: BackOffice, tariff: str, says: str
) -> None:
    admin = Visitor(office).log_in("admin")
    shown = admin.submit("/tariffs/new", "/tariffs/new", text=tariff, do="keep")
    assert admin.status == 422 and "The charger would refuse it" in shown and says in shown
    assert tariffs.versions(office.engine) == []
