"""The power-cut campaign of the ledger (the pure test takes a smaller sample of it, on all three
interpreters)."""

import pytest

from tests.pure import test_ledger_powercut as pure

WAYS = pytest.mark.parametrize(
    ("steps", "double"),
    [(pure.script, False), (pure.script, True), (pure.with_idle, False), (pure.with_idle, True)],
    ids=["busy", "busy-again-at-mount", "idle", "idle-again-at-mount"],
)


@WAYS
def test_every_seventh_byte(steps, double: bool) -> None:
    assert pure.campaign(steps, 7, double) > 90


@pytest.mark.long
@pytest.mark.timeout(900)
@WAYS
def test_every_byte(steps, double: bool) -> None:
    assert pure.campaign(steps, 1, double) > 650
