"""Each code that the back office can show, and each alarm of the firmware, says what to do; the
pages show it, with the ways to the charger and the session."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from hostsim.backoffice import todo
from hostsim.backoffice.phone import pays
from hostsim.backoffice.service import BackOffice
from tests.backoffice.desk import Visitor, fill
from tests.backoffice.records import Ledger

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"report": 2, "_report": 2, "_show": 2, "alarm": 2, "_alarm_at": 2, "_alarm": 1,
          "_query": 1, "Problem": -1}  # fmt: skip
"""Functions that make a problem -> the place of its code; -1: by name only."""

FORMED = {
    f"gateway_{pays.CAPTURING}", f"gateway_{pays.CANCELLING}",  # cashier: what fails
    "unknown_record", "later_record",  # contract.check_record
    "alarm", "security",  # a record's type
}  # fmt: skip


Trees = dict[str, ast.Module]


def trees(folder: str) -> Trees:
    """By their modules' paths."""
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text())
            for path in sorted((ROOT / folder).rglob("*.py"))}  # fmt: skip


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """Names that are given texts in a module: the texts."""
    return {
        node.targets[0].id: texts(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def texts(node: ast.AST) -> list[str]:
    return [one.value for one in ast.walk(node)
            if isinstance(one, ast.Constant) and isinstance(one.value, str)]  # fmt: skip


def codes(tree: ast.Module, places: dict[str, int]) -> Iterator[ast.expr]:
    """What stands where a call has its code, or is given to the name `code`, or to an alarm's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in places:
                if 0 <= places[name] < len(node.args):
                    yield node.args[places[name]]
                yield from (key.value for key in node.keywords if key.arg == "code")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            if getattr(node.targets[0].elts[0], "id", "") == "code" and isinstance(
                node.value, ast.Tuple
            ):
                yield node.value.elts[0]
        elif isinstance(node, ast.Dict):
            fields = {getattr(key, "value", ""): value
                      for key, value in zip(node.keys, node.values, strict=True)}  # fmt: skip
            if {"code", "detail"} <= fields.keys() and "about" not in fields:
                yield fields["code"]


def home(found: Trees, tree: ast.Module, name: str) -> ast.Module:
    """The module whose constant it is: this one, or the one it is imported from."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return found[f"{node.module}".replace(".", "/") + ".py"]
    return tree


def told(found: Trees, places: dict[str, int]) -> set[str]:
    """The codes themselves."""
    result: set[str] = set()
    for path, tree in found.items():
        for value in codes(tree, places):
            if isinstance(value, ast.Constant | ast.IfExp):
                result.update(text for text in texts(value) if text)
            elif isinstance(value, ast.Name) and value.id.isupper():
                result.update(constants(home(found, tree, value.id))[value.id])
            elif isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
                other = path.rpartition("/")[0] + f"/{value.value.id}.py"
                if other in found:
                    result.update(constants(found[other])[value.attr])
    return result


def test_every_code_the_back_office_raises_says_what_to_do() -> None:
    office = told(trees("hostsim/backoffice"), PLACES)
    assert {"conflict", "clock", "gateway_twice", "gateway_books", "odd_record"} <= office
    assert office | FORMED == set(todo.CODES)


def test_every_alarm_of_the_firmware_says_what_to_do() -> None:
    firmware = trees("firmware")
    named = {name: said for tree in firmware.values() for name, said in constants(tree).items()}
    raised = told(firmware, {"append": -1, "_alarm": 0})
    for name in ("NOT_CLOSING", "WELDED", "FREED", "LEAKING", "FOREIGN_HOLD"):
        raised.update(named[name])
    raised |= {f"end_of_day_{result}" for result in named["_DIFFERENT"]}
    assert len(raised) > 20 and raised == set(todo.ALARMS)
    codes_of = constants(firmware["firmware/sync/commands.py"])["_CODES"]
    # its fields, then their codes
    commands = [*codes_of[len(codes_of) // 2 :], "malformed"]
    for code in set(commands) - {"not_yet"}:
        assert todo.of("security", f"command_{code}: x") != todo.CODES["security"], code


def test_a_sentence_is_one_an_operator_can_read() -> None:
    for text in [*todo.CODES.values(), *todo.ALARMS.values()]:
        assert 20 < len(text) <= 260 and text.endswith((".", ").")), text


def test_the_pages_say_what_to_do_and_lead_there(office: BackOffice) -> None:
    ledger = Ledger().session(1)
    ledger.put("alarm", code="capture_unproven", sess=1, detail="3")
    fill(office, ledger)
    copy = ledger.records[3] | {"register_wh": 7777}
    clone = Ledger()
    clone.records.append(copy)
    fill(office, clone)
    visitor = Visitor(office).log_in("support")
    for page in ("/", "/problems", "/fleet/CP1"):
        text = visitor.get(page).text
        assert todo.ALARMS["capture_unproven"] in text and todo.CODES["conflict"] in text, page
        assert text.count('/sessions/1">Its session</a>') == 2, page
        assert ">goes on</span>" in text, page
    assert 'href="/fleet/CP1">CP1</a>' in visitor.get("/problems").text
    identity = next(p["id"] for p in office.problems() if p["code"] == "conflict")
    assert "it goes on" in visitor.submit("/", f"/problems/{identity}/close")
