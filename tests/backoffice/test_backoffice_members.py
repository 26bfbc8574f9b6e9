"""Members at the desk: accounts, cards and terms, by whom finance lets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostsim.backoffice import audit
from hostsim.backoffice.bill_tables import BY, AccountTerms
from hostsim.backoffice.member_sync import MemberSync
from hostsim.backoffice.models import Charger, writing
from hostsim.backoffice.service import BackOffice
from tests.backoffice.desk import Visitor, text_of

UID = "04:A1:B2:C3:D4:E5:F6"


def acme(office: BackOffice) -> dict[str, Any]:
    return next(one for one in office.members.listed() if one["account"] == "ACME/7")


def test_finance_keeps_an_account_from_its_first_card_to_its_last(office: BackOffice) -> None:
    office.members.put_tariff("FLEET", "{}", "EUR", by="root")
    visitor = Visitor(office).log_in("finance", "ann")
    shown = visitor.submit("/members", "/members", account="ACME/7", name="Acme", tariff="FLEET")
    assert "ACME/7 is a member" in shown and "No card yet" in shown
    before = office.members.version
    shown = visitor.submit(
        "/members", "/members/card", account="ACME/7", uid=UID, label="van", expires="2099-12-31"
    )
    assert "A card of ACME/7 works" in shown and "valid" in text_of(shown)
    assert "until 2099-12-31" in text_of(shown)
    card = acme(office)["cards"][0]
    assert (card["label"], card["expires_at"]) == ("van", 4102444800000)
    assert office.members.version == before + 1
    shown = visitor.submit(
        "/members", "/members/change", account="ACME/7", tariff="", limit="50.00",
        pay_days="30",
    )  # fmt: skip
    assert "ACME/7 is changed" in shown and "stopped" in shown
    assert not acme(office)["active"] and acme(office)["tariff"] == ""
    terms = next(one for one in office.bills.accounts() if one["account"] == "ACME/7")
    assert (terms["limit_minor"], terms["pay_days"]) == (5000, 30)
    shown = visitor.submit(
        "/members", "/members/revoke", account="ACME/7", card=card["uid_hash"]
    )
    assert "works no more" in shown and acme(office)["cards"][0]["state"] == "revoked"
    noted = {row["action"] for row in audit.entries(office.engine, 0, "ACME/7", 50)}
    assert {"member added", "card added", "member changed", "card revoked"} <= noted
    assert UID.replace(":", "").lower() not in shown.lower()


@pytest.mark.parametrize(
    ("path", "fields", "says"),
    [
        ("/members", {"account": "a b"}, "1 to 32 of"),
        ("/members", {"account": "ACME/7"}, "is there already"),
        ("/members", {"account": "B", "tariff": "NONE"}, "no tariff of members"),
        ("/members/card", {"uid": "12"}, "4, 7 or 10 bytes"),
        ("/members/card", {"uid": UID, "expires": "31.12.2099"}, "YYYY-MM-DD"),
        ("/members/card", {"account": "C", "uid": UID}, "there is no C"),
        ("/members/revoke", {"card": "0123456789abcdef"}, "4, 7 or 10 bytes"),
        ("/members/change", {"limit": "x", "pay_days": "3"}, "limit: must be an amount"),
        ("/members/change", {"limit": "1", "pay_days": "x"}, "pay_days: must be a whole"),
        ("/members/change", {"limit": "1", "pay_days": "0"}, "1 to 90"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    office: BackOffice, path: str, fields: dict[str, str], says: str
) -> None:
    office.members.add("ACME/7", by="root")
    version = office.members.version
    visitor = Visitor(office).log_in("finance")
    shown = visitor.submit("/members", path, **({"account": "ACME/7"} | fields))
    assert says in shown and visitor.status == 422
    assert office.members.version == version and len(office.members.listed()) == 1
    assert acme(office)["active"] and not acme(office)["cards"]


def test_a_new_limit_does_not_make_what_billing_stopped_an_operators_word(
    office: BackOffice,
) -> None:
    office.members.add("ACME/7", by="root")
    with writing(office.engine) as db:
        db.add(AccountTerms(account="ACME/7", limit_minor=1, pay_days=14, blocked="limit"))
    office.members.change("ACME/7", by=BY, active=False)
    visitor = Visitor(office).log_in("finance")
    fields = {"account": "ACME/7", "tariff": "", "limit": "0", "pay_days": "14"}
    visitor.submit("/members", "/members/change", **fields)
    assert not acme(office)["active"]
    office.bills.work()
    assert acme(office)["active"], "under its new limit its cards work again"
    visitor.submit("/members", "/members/change", **fields)  # not ticked: stopped by hand
    office.bills.work()
    assert not acme(office)["active"]


def test_members_are_found_by_account_name_or_card(office: BackOffice) -> None:
    for account, name in (("ACME/7", "Acme fleet"), ("B-1", "<b>Bakery</b>")):
        office.members.add(account, by="root", name=name)
    office.members.add_card("B-1", "0badcafe", by="root", label="oven")
    visitor = Visitor(office).log_in("finance")
    for find, found, other in (("fleet", "ACME/7", "B-1"), ("OVEN", "B-1", "ACME/7")):
        page = text_of(visitor.get("/members", params={"find": find}).text)
        assert found in page and other not in page
    assert "Nobody is called so" in visitor.get("/members?find=zzz").text
    assert "<b>Bakery" not in visitor.get("/members").text


@pytest.mark.parametrize("path", ["", "/card", "/revoke", "/change"])
def test_support_changes_no_member(office: BackOffice, path: str) -> None:
    office.members.add("ACME/7", by="root")
    visitor = Visitor(office).log_in("support")
    visitor.submit("/", f"/members{path}", account="ACME/7", uid=UID, card="0" * 16)
    assert visitor.status == 403 and not acme(office)["cards"]


def test_a_list_older_than_the_chargers_goes_above_it(office: BackOffice) -> None:
    """The database was put back to an earlier state: a charger has version 8 of its list."""
    office.members.add("ACME/7", by="anna")
    sent: list[tuple[str, int]] = []

    def send(topic: str, payload: bytes, retain: bool) -> None:
        sent.append((topic.split("/")[-2], json.loads(payload)["version"]))

    sync = MemberSync(office.engine, lambda name: b"k" * 32, send, office.ingest.report)
    with writing(office.engine) as db:
        for name, had in (("CP1", 8), ("CP2", 1), ("CP3", 1 << 31)):
            db.add(Charger(name=name, online=True, status={"members": had}))
        db.add(Charger(name="CP4", online=True, status={}))  # reads no member cards
    sync.tend()
    assert office.members.version == 9
    assert sorted(sent) == [("CP1", 9), ("CP2", 9), ("CP3", 9)]
    for name in ("CP1", "CP2", "CP3"):
        done = {"about": "members", "ok": True, "data": {"version": 9, "next": 0}}
        sync.heard(name, done)
    sent.clear()
    sync._heard.clear()
    sync.tend()
    assert office.members.version == 9 and not sent
