"""A tariff that comes while the charger's files are full is refused with the reason, asked for
again and taken when there is room; the one in force stays. tests/pricing/tariff_full_mpy.py does
the work.
"""

import json

import pytest

from tests import mpy

_FULL = [[False, "cannot be stored: 28"]]  # ENOSPC
_TAKEN = [[True, "tariff B is in force from the next session on"]]


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
def test_a_tariff_that_finds_no_room_is_said_and_comes_again(which: str) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    done = mpy.run_mpy(which, "tests/pricing/tariff_full_mpy.py", heap="4M")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    assert seen["full"] == ["", _FULL, False, "A"]
    assert (seen["too_soon"], seen["later"]) == ([], ["tariff"])
    assert seen["still_full"] == ["", _FULL], "the same message is new again"
    assert seen["room"] == ["", [], True], "put aside"
    said, in_force, files = seen["full_again"]  # full when it is taken in
    assert (said, in_force) == (_FULL, "A")
    assert "tariff.json" in files and "tariff.new" not in files and "tariff.in" not in files
    assert seen["asked"] == ["tariff"]
    assert seen["taken"] == [_TAKEN, "B", [["tariff", "accepted", ""]]]
    assert seen["after_a_start"] == "B"
