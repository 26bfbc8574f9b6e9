"""The technician's documents say what is: drawings are the data's, the fault table has every text
a charger out of service can show, verbs are make's.
"""

import ast
import re
from pathlib import Path

import pytest

from board import plan
from firmware.screen.texts_en import TEXT
from hostsim.setup import ROOT
from hostsim.technician import drawing

GUIDE = (ROOT / "docs" / "technician.md").read_text()
STATES = (
    "free plugged reading authorising wait_plug starting charging paused finished settling "
    "receipt declined recovering refunding safe_mode day_end doctor doctor_bad"
)
FIGURES = "energy power time price rate until left hold paid released refund receipt_no card"
DRIVERS = (
    "why_tap why_button why_vehicle why_unplug why_remote why_fault why_power_cut why_declined "
    "try_another_card pin_needed cancelled card_unreadable no_card amount_refused "
    "already_reversed insert_card remove_card please_wait enter_pin approved hold_reached "
    "plug_timeout other_card refund_paid refund_card card_not_accepted hold_too_small "
    "nothing_charged scheme_not_accepted account limit"
)
"""Nothing a technician could mend: how far a session is, figures, what a driver or his bank did. A
new text belongs here or into the guide's table."""


def words() -> dict[str, str]:
    return dict(line.split("=", 1) for line in "".join(TEXT).split("\n") if line)


def told() -> str:
    """The first column of the fault table."""
    table = GUIDE.partition("## What the screen says")[2]
    return "\n".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))


def test_fault_table_has_every_text_that_is_not_only_the_drivers() -> None:
    harmless = {*STATES.split(), *FIGURES.split(), *DRIVERS.split()}
    assert harmless <= set(words()), "a text that is gone"
    faults = {
        key: text
        for key, text in words().items()
        if key not in harmless and not key.startswith("do_")
    }
    assert {"no_tariff", "why_starts", "contactor_welded", "out_of_service"} <= set(faults)
    assert [text for text in faults.values() if text not in told()] == []


_WHY = ("why_blocked", "_no_reader")


def reasons() -> set[str]:
    """Every reason for which the firmware sells nothing, from its own code."""
    found: set[str] = set()
    for path in (ROOT / "firmware").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in _WHY:
                for end in ast.walk(node):
                    if isinstance(end, ast.Return) and end.value:
                        found |= _texts(end.value)
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Attribute) and t.attr in ("broken", "blocked")
                for t in node.targets
            ):
                found |= _texts(node.value)
    return found - {""}


def _texts(node: ast.AST) -> set[str]:
    return {
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def test_every_reason_to_sell_nothing_has_words_and_a_row() -> None:
    found = reasons()
    assert {"emergency", "ledger_full", "recovery_failed", "booting"} <= found
    assert [reason for reason in found if words().get(reason, "?") not in told()] == []


def test_remedies_name_verbs_there_are() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    used = set(re.findall(r"`make ([a-z-]+)", GUIDE))
    assert {"flash", "provision", "ledger", "logs", "shell", "doctor", "build"} <= used
    assert used <= targets


@pytest.mark.parametrize("path", drawing.pages(), ids=lambda path: path.name)
def test_board_page_is_what_its_data_gives(path: Path) -> None:
    assert path.read_text() == drawing.pages()[path], "python -m hostsim.technician.drawing"


@pytest.mark.parametrize("name", plan.names())
def test_every_pin_of_the_data_is_drawn_and_in_the_table(name: str) -> None:
    data = plan.load(name)
    picture = (drawing.FOLDER / f"{name}.svg").read_text()
    page = (drawing.FOLDER / f"{name}.md").read_text()
    for pin, use, _ in plan.uses(data):
        assert f">GPIO{pin}<" in picture, use
        assert f"\n| {pin} | " in page, use


def test_every_board_is_in_the_list() -> None:
    listed = (ROOT / "docs" / "boards" / "README.md").read_text()
    assert [name for name in plan.names() if f"]({name}.md)" not in listed] == []
