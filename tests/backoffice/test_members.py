"""Members at the back office: accounts, cards, tariffs; what is kept of a card."""

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from hostsim.backoffice import audit
from hostsim.backoffice.members import MemberError, Members
from hostsim.backoffice.models import open_database

CASES = Path(__file__).parents[1] / "cases" / "tariffs"
UID = "04A1B2C3D4E5F6"
NOW = 1767225600000


@pytest.fixture
def office(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'db'}")
    yield Members(engine, lambda: NOW), engine
    engine.dispose()


def refused(work, *args, **kwargs):
    with pytest.raises(MemberError) as caught:
        work(*args, by="anna", **kwargs)
    return caught.value.field


def test_a_card_is_known_by_its_salted_hash_and_its_uid_is_nowhere(office):
    members, engine = office
    members.add("ACME-7", by="anna", name="Acme fleet")
    found = members.add_card("ACME-7", "04:a1:b2:c3:d4:e5:f6", by="anna")
    with engine.connect() as connection:
        salt = connection.scalar(text("SELECT salt FROM member_list"))
        dump = [
            str(row)
            for table in ("members", "member_cards", "member_list", "audit")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
    assert found == hashlib.sha256(bytes.fromhex(salt) + bytes.fromhex(UID)).hexdigest()[:16]
    assert not any(UID.lower() in line.lower() for line in dump)
    assert any("...e5f6" in line for line in dump)


def test_every_change_of_what_chargers_get_is_a_new_version_and_in_the_audit_log(office):
    members, engine = office
    members.add("A", by="anna")
    seen = [members.version]
    for change in (
        lambda: members.add_card("A", UID, by="anna"),
        lambda: members.revoke(UID, by="bert"),
        lambda: members.add_card("A", UID, by="anna", expires_at=NOW + 1),
        lambda: members.change("A", by="anna", active=False),
        lambda: members.put_tariff("FLEET", "{}", "EUR", by="anna"),
        lambda: members.change("A", by="anna", tariff="FLEET"),
    ):
        change()
        seen.append(members.version)
    assert seen == [0, 1, 2, 3, 4, 5, 6]
    assert [e["action"] for e in audit.entries(engine)][:3] == [
        "member changed", "member tariff", "member changed",
    ]  # fmt: skip


def test_states_of_cards(office):
    members, _ = office
    members.add("A", by="anna")
    members.add_card("A", UID, by="anna")
    members.add_card("A", "0badcafe", by="anna", expires_at=NOW)
    members.add_card("A", "00112233445566778899", by="anna", expires_at=NOW + 1, label="van")
    members.revoke(UID, by="anna")
    cards = members.listed()[0]["cards"]
    assert [(c["state"], c["label"]) for c in cards] == [
        ("revoked", "...e5f6"), ("expired", "...cafe"), ("valid", "van"),
    ]  # fmt: skip
    members.add_card("A", UID, by="anna")
    assert members.listed()[0]["cards"][0]["state"] == "valid"


def test_what_cannot_be_is_refused_by_name(office):
    members, _ = office
    members.add("A", by="anna")
    members.add("B", by="anna")
    members.add_card("A", UID, by="anna")
    assert refused(members.add, "A") == "account"
    assert refused(members.add, "a b") == "account"
    assert refused(members.add, "C" * 33) == "account"
    assert refused(members.add, "C", name="x" * 81) == "name"
    assert refused(members.add, "C", tariff="FLEET") == "tariff"
    assert refused(members.add_card, "C", UID) == "account"
    assert refused(members.add_card, "B", UID) == "uid"
    for uid in ("", "04a1", "zz11ff00", "04a1b2c3d4e5", "04a1b2c3d4e5f60708090a"):
        assert refused(members.add_card, "A", uid) == "uid", uid
    assert refused(members.revoke, "0badcafe") == "uid"
    assert refused(members.put_tariff, "F", "x" * 9000, "EUR") == "tariff"
    assert members.version == 1


def test_members_at_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from hostsim.__main__ import app
    from hostsim.commission import FLEET_TARIFF

    def run(*words, code=0):
        done = CliRunner().invoke(app, ["members", *words, "--db", str(tmp_path / "db")])
        assert done.exit_code == code, done.output
        return done.output

    open_database(f"sqlite:///{tmp_path / 'db'}").dispose()
    assert "0.39" in run("tariff", "FLEET", str(FLEET_TARIFF))
    case = json.loads((CASES / "12a-min.json").read_text())["tariff"]
    flat = {"type": "FLAT", "price": "1", "step_size": None}
    case["elements"][0]["price_components"].append(flat)
    (tmp_path / "texts.json").write_text(json.dumps(case))  # decimals and steps as texts
    assert "0.275 €/kWh" in run("tariff", "TEXTS", str(tmp_path / "texts.json"))
    run("add", "ACME-7", "--name", "Acme", "--tariff", "FLEET")
    run("card", "ACME-7", UID, "--expires", "2020-01-31", "--label", "van")
    run("card", "ACME-7", "0badcafe")
    run("revoke", "0badcafe")
    assert "van              expired" in run("list")
    found = json.loads(run("list", "--json"))
    assert [c["state"] for c in found[0]["cards"]] == ["expired", "revoked"]
    assert found[0]["cards"][0]["expires_at"] == 1580515200000
    run("stop", "ACME-7")
    assert "stopped" in run("list")
    for words in (("add", "ACME-7"), ("card", "NOBODY", UID), ("revoke", "11223344"),
                  ("card", "ACME-7", UID, "--expires", "31.1.2020"),
                  ("tariff", "X", str(tmp_path / "none"))):  # fmt: skip
        run(*words, code=2)
