"""docs/mqtt against firmware/ledger/schema.py, and the helper that all end-to-end tests use."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostsim.backoffice import contract
from tests.ledger.ledger_rows import ROWS
from tests.mqtt_schemas import validate

DOCS = Path(__file__).resolve().parents[2] / "docs" / "mqtt"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))
SYNCED = [row for row in ROWS if row[0] < 128]
HEAD = {"epoch", "seq", "type", "version", "at"}
HIDING = [row for row in SYNCED if HEAD & {field.partition(":")[0] for field in row[3].split()}]
PLAIN = [row for row in SYNCED if row not in HIDING]


def record(kind: str = "captured", **changes: Any) -> dict[str, Any]:
    """A right record of that kind."""
    schema = json.loads((DOCS / "schemas" / "records" / f"{kind}.json").read_text())
    values = {"integer": 1, "string": "x", "array": [1]}
    found = {
        name: values.get(rule.get("type", ""), rule.get("const"))
        for name, rule in schema["properties"].items()
    }
    return found | changes


def test_the_record_schemas_are_those_of_the_ledger() -> None:
    files = GENERATE["files"]()
    assert {path.name for path in (DOCS / "schemas" / "records").glob("*.json")} == {
        path.name for path in files
    }
    for path, text in files.items():
        assert path.read_text() == text, f"{path.name}: run python docs/mqtt/generate.py"


def test_no_field_has_the_name_of_one_that_every_record_has() -> None:
    assert HIDING == []


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row[1])
def test_fields_types_and_version_are_the_rows(row: tuple[int, str, int, str]) -> None:
    _, kind, version, fields = row
    schema = json.loads((DOCS / "schemas" / "records" / f"{kind}.json").read_text())
    names = [field.partition(":")[0] for field in fields.split()]
    assert list(schema["properties"])[5:] == names and schema["required"][5:] == names
    assert schema["properties"]["version"]["maximum"] == version
    jsonschema.Draft202012Validator.check_schema(schema)
    validate("forecourt/v1/CP1/records", json.dumps(record(kind)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seq": 0}, "seq"),
        ({"epoch": 0}, "epoch"),
        ({"sess": -1}, "sess"),
        ({"sess": "1"}, "sess"),
        ({"sess": True}, "sess"),
        ({"sess": 2**63}, "sess"),
        ({"how": "x" * 256}, "how"),
        ({"extra": 1}, "extra"),
        ({"at": 1.5}, "at"),
        ({"version": 0}, "version"),
        ({"type": "No Such"}, "type"),
    ],
)
def test_a_wrong_record_is_refused_with_its_field(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(contract.ContractError, match=says):
        contract.check_record(record(**changes))


def test_a_missing_field_is_refused() -> None:
    for name in record():
        if name == "type":
            continue  # the next test
        wrong = record()
        del wrong[name]
        with pytest.raises(contract.ContractError):
            contract.check_record(wrong)


def test_later_versions_and_unknown_kinds_are_taken_and_said() -> None:
    assert contract.check_record(record()) == ""
    assert contract.check_record(record(version=2, new_field="y")) == "later"
    assert (
        contract.check_record({"epoch": 1, "seq": 1, "type": "brand_new", "version": 1, "at": 0})
        == "unknown"
    )
    unknown = {"epoch": 1, "seq": 1, "type": "unknown", "version": 3, "at": 0, "payload": "00ff"}
    assert contract.check_record(unknown) == "unknown"


scalars = st.one_of(
    st.integers(-(2**70), 2**70),
    st.text("ab\u20ac", max_size=5),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.lists(st.integers(-5, 5), max_size=3),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([row[1] for row in PLAIN]),
    st.dictionaries(st.integers(0, 14), scalars, max_size=2),
)
def test_the_quick_yes_never_takes_what_the_schema_refuses(
    kind: str, changes: dict[int, Any]
) -> None:
    message = record(kind)
    names = list(message)
    for index, value in changes.items():
        message[names[index % len(names)]] = value
    schema = json.loads((DOCS / "schemas" / "records" / f"{kind}.json").read_text())
    if contract._plainly_right(contract._fields_of(kind), message):
        jsonschema.Draft202012Validator(schema).validate(message)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60) | st.text('{}[]":,0159e.-ntx', max_size=60).map(str.encode))
def test_whatever_comes_only_a_contract_error_comes_out(payload: bytes) -> None:
    try:
        contract.check_record(contract.parse(payload))
    except contract.ContractError:
        pass


def test_topics_are_taken_apart() -> None:
    assert contract.split_topic("forecourt/v1/CP1/records") == ("CP1", "records")
    for wrong in (
        "",
        "forecourt/v2/CP1/records",
        "forecourt/v1/CP1",
        "forecourt/v1/CP1/nothing",
        "forecourt/v1/a/b/log",
    ):
        with pytest.raises(contract.ContractError):
            contract.split_topic(wrong)


def test_asyncapi_names_every_topic_and_schema() -> None:
    api = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
    assert api["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in api["channels"].values()}
    assert addresses == {
        f"forecourt/v1/{{charger}}/{name}" for name in contract.OUTGOING + contract.INCOMING
    }
    for operation in api["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in api["channels"]
    text = (DOCS / "asyncapi.yaml").read_text()
    named = set(re.findall(r"\./schemas/([\w/]+\.json)", text))
    here = {str(path.relative_to(DOCS / "schemas")) for path in (DOCS / "schemas").rglob("*.json")}
    assert named == here, named ^ here
