"""Tariffs on a charger that is updated: what was taken once is not lost to a stricter reader."""

import binascii
import json
from pathlib import Path

import pytest

from firmware import tariffs
from firmware.errors import TariffError
from firmware.prices import Prices


def _tariff(name: str) -> bytes:
    return json.dumps(
        {
            "id": name,
            "currency": "EUR",
            "elements": [
                {
                    "price_components": [{"type": "ENERGY", "price": 9}],
                    "restrictions": {"start_date": "2026-05-01", "end_date": "2026-05-01"},
                },
                {"price_components": [{"type": "ENERGY", "price": 0.25}]},
            ],
        }
    ).encode()


def test_a_stored_one_with_a_restriction_that_never_holds_stays_in_force(tmp_path: Path) -> None:
    (tmp_path / "tariff.json").write_bytes(_tariff("NOW"))
    (tmp_path / "tariff.old").write_bytes(_tariff("OLD"))
    prices = Prices(str(tmp_path), "UTC0", "EUR")
    assert tariffs.load(prices) == ""
    assert prices.tariff is not None and prices.tariff.id == "NOW"
    before = tariffs.one_before(prices, binascii.crc32(_tariff("OLD")))
    assert before is not None and before.id == "OLD"


def test_a_new_one_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "tariff.json").write_bytes(_tariff("NOW"))
    prices = Prices(str(tmp_path), "UTC0", "EUR")
    tariffs.load(prices)
    with pytest.raises(TariffError) as refused:
        tariffs.store(prices, _tariff("NEW"))
    assert refused.value.field == "elements[0].restrictions.end_date"
    assert prices.tariff is not None and prices.tariff.id == "NOW"
    assert (tmp_path / "tariff.json").read_bytes() == _tariff("NOW")
