"""firmware.sync on 32-bit MicroPython against a real mosquitto with mutual TLS and the real back office."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import mpy, sync_rig
from tests.sync_rig import Rig, until

pytestmark = pytest.mark.skipif(not mpy.has_32_bit(), reason=mpy.NO_32_BIT)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with sync_rig.rig(tmp_path) as found:
        yield found


def records_of(rig: Rig, charger: str = "CP1") -> list[int]:
    return [record["seq"] for record in rig.office.records(charger)]


def test_records_are_stored_once_and_freed_by_the_back_office(rig: Rig) -> None:
    charger = rig.charger()
    charger.expect("online")
    charger.order("append", 5)
    until(charger.synced)
    figures = charger.tell()
    assert figures["acked"] == 35
    assert records_of(rig) == list(range(1, 36))
    books = rig.office.books("CP1")
    assert (books["captured_minor"], books["released_minor"], books["billed_wh"]) == (5 * 119, 5 * 5881, 5000)
    assert books["authorised_minor"] == 5 * 6000
    assert rig.office.problems() == []
    assert figures["stall"] < 60
