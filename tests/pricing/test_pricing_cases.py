"""The cases of cases/tariffs, priced by the command: the firmware's engine under MicroPython
32-bit.
"""

import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from hostsim.pricing import cli

CASES = sorted((Path(__file__).parents[1] / "cases" / "tariffs").glob("*.json"))


def numbers(value: Any) -> Any:
    """The case's decimals as bare JSON numbers, as OCPI writes them."""
    text = json.dumps(value)
    for key in (
        "price",
        "vat",
        "volume",
        "step_size",
        "excl_vat",
        "incl_vat",
        "max_duration",
        "max_current",
    ):
        text = json.dumps(_bare(json.loads(text), key))
    return value if text is None else json.loads(text)


def _bare(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_bare(item, key) for item in value]
    if isinstance(value, dict):
        return {
            name: (float(item) if name == key and isinstance(item, str) else _bare(item, key))
            for name, item in value.items()
        }
    return value


def priced(folder: Path, tariff: Any, cdr: Any, zone: str) -> dict[str, Any]:
    """What the command prints, decimals exact."""
    (folder / "tariff.json").write_text(json.dumps(tariff))
    (folder / "cdr.json").write_text(json.dumps(cdr))
    result = cli.run(folder / "tariff.json", folder / "cdr.json", zone, explain=True)
    found: dict[str, Any] = json.loads(
        cli.text_of(cli.shown(result, True), None), parse_float=Decimal
    )
    return found


@pytest.mark.parametrize("style", ["texts", "numbers"])
@pytest.mark.parametrize("file", CASES, ids=lambda path: path.stem)
def test_case_is_priced_as_expected(file: Path, style: str, tmp_path: Path) -> None:
    case = json.loads(file.read_text())
    tariff, cdr = case["tariff"], case["cdr"]
    if style == "numbers":
        tariff, cdr = numbers(tariff), numbers(cdr)
    found = priced(tmp_path, tariff, cdr, case["time_zone"])
    step = Decimal(1).scaleb(-case["compare_decimals"])
    for total, sides in case["expect"].items():
        for side, value in sides.items():
            got = Decimal(found[total][side]).quantize(step, ROUND_HALF_UP)
            assert got == Decimal(value).quantize(step, ROUND_HALF_UP), (total, side, found[total])
    assert sum(Decimal(line["gross"]) for line in found["lines"]) == Decimal(
        found["total"]["gross"]
    )
    assert found["explain"]


def test_there_are_22_cases() -> None:
    assert len(CASES) == 22
