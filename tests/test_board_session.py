"""A session on the emulated Pico with the whole firmware as it is flashed: Modbus meter on UART0,
ZVT terminal on UART1, the ledger on rp2.Flash, and the power cut in the middle of its pages.
"""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from hostsim.emulator import storage
from hostsim.emulator.suite import note
from tests.board_bench import DATA, campaign

pytestmark = [pytest.mark.board, pytest.mark.timeout(840)]

AFTER = ("hold_asked", "energising", "priced")
"""The power goes while the record that follows one of these is programmed."""


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each branch, by the record after which the power went ("": it stayed)."""
    image = Path(tmp_path_factory.mktemp("board")) / "storage.img"
    image.write_bytes(storage.make(DATA, {"a": storage.tree()}))
    found = {branch["cut_after"]: branch for branch in campaign(image, *AFTER)}
    note("campaign", {name: branch.get("cpu_s") for name, branch in found.items()})
    return found


def agrees(branch: dict[str, Any]) -> bool:
    assert not branch.get("stuck"), branch
    assert branch["agree"], branch["differences"]
    assert branch["open"] == [], "a hold is open at the terminal"
    assert branch["contactor"] is False
    return True


def test_board_sells_a_session_to_the_capture(branches: dict[str, dict[str, Any]]) -> None:
    whole = branches[""]
    assert agrees(whole)
    kinds = whole["kinds"]
    assert kinds[0] == "boot"
    assert [k for k in kinds if k in ("hold_asked", "authorised", "energising", "power_off")] == [
        "hold_asked", "authorised", "energising", "power_off",
    ]  # fmt: skip
    assert kinds[-1] == "captured"
    assert 0 < whole["captured_minor"] < whole["authorised_minor"] == 6000
    assert 0 < whole["ready_ms"] < 8000, "from power-on to the first card"
    note("ready_ms", whole["ready_ms"])


@pytest.mark.parametrize("after", AFTER)
def test_power_cut_inside_a_page_of_the_ledger_is_recovered_from(
    after: str, branches: dict[str, dict[str, Any]]
) -> None:
    branch = branches[after]
    assert agrees(branch), json.dumps(branch)
    kinds = branch["kinds"]
    assert kinds.count("boot") == 2
    if "energising" not in kinds:
        assert after == "hold_asked"
        assert branch["captured_minor"] == 0, "nothing was delivered"
        assert "captured" not in kinds
    else:
        assert branch["captured_minor"] > 0
        assert kinds.count("priced") == 1
        assert kinds.count("captured") == 1
