"""Sessions that were never synced survive and arrive once, while the charger charges."""

import asyncio

import pytest

from hostsim.bench import drain


@pytest.mark.parametrize(
    ("sessions", "flash_kib"),
    [
        pytest.param(40, 256, marks=pytest.mark.timeout(240)),
        pytest.param(1000, 2048, marks=[pytest.mark.long, pytest.mark.timeout(1500)]),
    ],
)
def test_a_backlog_drains_once_over_a_power_cut_while_it_charges(tmp_path, sessions, flash_kib):
    found = asyncio.run(drain.measure(tmp_path, sessions, flash_kib))
    assert found["failures"] == [] and found["lost"] == found["duplicated"] == 0
    assert found["records"] == 30 * sessions
    # the ratio itself is the bench's: here only that the meter is not forgotten meanwhile
    assert found["polls_per_s_draining"] > 0
