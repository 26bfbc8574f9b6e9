"""Random tariffs and sessions on both MicroPython builds against the independent Fraction model.

Each pair is priced live, read more often, restored from its state, from its published record, and
held at a limit; see pricing_driver.py for what must agree. The long campaign is the same with
20,000 pairs.
"""

from pathlib import Path

import pytest

from tests import mpy
from tests.pricing import pricing_campaign

SAMPLE = 300
CAMPAIGN = 20_000


def check(which: str, pairs: int, folder: Path) -> None:
    if which == "micropython32" and not mpy.has_32_bit():
        pytest.skip(mpy.NO_32_BIT)
    wrong = pricing_campaign.campaign(which, pairs, folder, chunk=100 if pairs <= SAMPLE else 500)
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("which", mpy.INTERPRETERS)
def test_a_sample_of_random_sessions_agrees_with_the_model(which: str, tmp_path: Path) -> None:
    check(which, SAMPLE, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("which", mpy.INTERPRETERS)
def test_twenty_thousand_random_sessions_agree_with_the_model(which: str, tmp_path: Path) -> None:
    check(which, CAMPAIGN, tmp_path)
