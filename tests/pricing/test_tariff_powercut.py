"""A power cut at every change of the flash while a tariff is stored, on the file system of boards.

tests/pricing/tariff_cut_mpy.py does the work on LittleFS under both MicroPython builds.
"""

import json

import pytest

from tests import mpy


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
def test_a_cut_leaves_the_old_tariff_or_the_new_one_whole(which: str) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    done = mpy.run_mpy(which, "tests/pricing/tariff_cut_mpy.py", heap="4M", timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["end"] == ["B", "A"]
    for name, before in (("first", ""), ("next", "A")):
        after = {"first": "A", "next": "B"}[name]
        seen = set()
        for at, half, said, now, old in found[name]:
            where = (name, at, half, said, now, old)
            assert now in (before, after), where
            assert said is not True or now == after, where
            assert old == ("A" if name == "next" and now == "B" else ""), where
            seen.add(now)
        assert seen == {before, after} and len(found[name]) > 10
