"""What docs/reliability.md says fits into a region is what fits."""

import re

from hostsim.bench_flash import capacity
from hostsim.setup import ROOT


def test_the_documented_number_of_sessions_is_what_the_ring_takes() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    for kib, found in capacity((96, 256))["regions"].items():
        assert [one["records_a_session"] for one in found] == [30, 12]
        assert [one["left_out"] for one in found] == [0, 0]
        row = re.search(rf"^\| {kib} KiB \| ([0-9,]+) \| ([0-9,]+) \|", text, re.MULTILINE)
        assert row, kib
        assert [int(cell.replace(",", "")) for cell in row.groups()] == [
            one["sessions"] for one in found
        ]
