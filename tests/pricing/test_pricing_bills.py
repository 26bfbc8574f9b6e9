"""Bills recomputed for the judges: every figure that is wrong is named, and no other."""

from typing import Any

import pytest

from hostsim.powercut.plan import TARIFF
from hostsim.pricing import bills

BILL: dict[str, Any] = {
    "kind": "priced", "sess": 1, "start_at": 1000, "end_at": 121000, "start_wh": 1234560,
    "end_wh": 1234860, "billed_wh": 300, "elapsed_ms": 120000, "total_minor": 42, "net_minor": 35,
    "vat_minor": 7, "lines": [1, 103740, 48000, 190000, 14, 0, 300000, 5900, 190000, 18,
                              2, 60000, 60000, 190000, 10],
}  # fmt: skip


def test_a_right_bill_has_no_faults() -> None:
    assert bills.faults(BILL, TARIFF, 6000) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"lines": [], "total_minor": 0, "net_minor": 0, "vat_minor": 0},
            "0 mWh are on the lines",
        ),
        ({"total_minor": 43}, "the total is 43, by the tariff it is 42"),
        ({"lines": BILL["lines"][:10]}, "by the tariff it is 32"),
        ({"net_minor": 36, "vat_minor": 6}, "by the tariff they are 35 and 7"),
        ({"lines": [*BILL["lines"][:12], 59000, *BILL["lines"][13:]]}, "no component"),
        ({"lines": [*BILL["lines"][:11], 59000, *BILL["lines"][12:]]}, "no whole step"),
        ({"lines": [*BILL["lines"][:9], 36, *BILL["lines"][10:]]}, "must cost 17.700"),
        ({"billed_wh": 299}, "300000 mWh are on the lines"),
        ({"elapsed_ms": 100000, "end_at": 101000}, "it took 100000 ms"),
        ({"end_at": 121001}, "it ended at 121001"),
    ],
)
def test_every_figure_that_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    assert said in "; ".join(bills.faults({**BILL, **change}, TARIFF, 6000))


def test_a_tariff_that_cannot_be_recomputed_is_refused() -> None:
    with pytest.raises(ValueError, match="none that can be recomputed"):
        bills.components({**TARIFF, "x_caps": {"ENERGY": 1}})


def test_the_time_that_was_in_flash_before_a_start() -> None:
    session: list[dict[str, Any]] = [
        {"kind": "energising", "sess": 1},
        {"kind": "checkpoint", "sess": 1, "elapsed_ms": 20000},
    ]
    end = [{"kind": "power_off", "sess": 1, "elapsed_ms": 20000}, {"kind": "priced", "sess": 1}]
    assert bills.known_ms(session + end, 1) == -1
    assert bills.known_ms([*session, {"kind": "boot"}, *end], 1) == 20000
