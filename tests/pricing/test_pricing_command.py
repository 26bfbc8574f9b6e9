"""The price command: what it prints, explains and refuses."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hostsim.pricing import cli, zones

TARIFF: dict[str, Any] = {
    "id": "T1",
    "currency": "EUR",
    "elements": [
        {
            "price_components": [{"type": "ENERGY", "price": 0.2, "vat": 19, "step_size": 500}],
            "restrictions": {"end_time": "17:00"},
        },
        {"price_components": [{"type": "ENERGY", "price": 0.3, "vat": 19, "step_size": 500}]},
        {"price_components": [{"type": "PARKING_TIME", "price": 6, "vat": 19, "step_size": 60}]},
    ],
}
CDR: dict[str, Any] = {
    "start_date_time": "2025-07-01T14:00:00Z",
    "end_date_time": "2025-07-01T16:10:00Z",
    "currency": "EUR",
    "charging_periods": [
        {
            "start_date_time": "2025-07-01T14:00:00Z",
            "dimensions": [{"type": "ENERGY", "volume": 4.2}, {"type": "TIME", "volume": 2}],
        },
        {
            "start_date_time": "2025-07-01T16:00:00Z",
            "dimensions": [{"type": "PARKING_TIME", "volume": 0.1667}],
        },
    ],
}


def price(folder: Path, tariff: Any, cdr: Any, *options: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    app = typer.Typer()
    app.callback()(lambda: None)
    cli.register(app)
    (folder / "tariff.json").write_text(tariff if isinstance(tariff, str) else json.dumps(tariff))
    (folder / "cdr.json").write_text(cdr if isinstance(cdr, str) else json.dumps(cdr))
    done = CliRunner().invoke(
        app, ["price", str(folder / "tariff.json"), str(folder / "cdr.json"), *options]
    )
    return done.exit_code, done.stdout, done.stderr


def changed(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """A copy with the value at a dotted path replaced."""
    copy: dict[str, Any] = json.loads(json.dumps(value))
    at: Any = copy
    *way, last = path.split(".")
    for key in way:
        at = at[int(key) if key.isdigit() else key]
    at[int(last) if last.isdigit() else last] = new
    return copy


def test_an_undivided_period_is_divided_at_local_time(tmp_path: Path) -> None:
    code, out, _ = price(tmp_path, TARIFF, CDR, "--tz", "Europe/Berlin")
    assert code == 0
    found = json.loads(out)
    # 17:00 in Berlin is 15:00Z: 2.1 kWh before, 2.1 after, 0.3 by the step; ten minutes parked
    assert '"excl_vat": 2.1400' in out
    assert found["total_energy_cost"]["excl_vat"] == pytest.approx(1.14)
    assert found["total_parking_cost"] == {
        "excl_vat": pytest.approx(1.0),
        "incl_vat": pytest.approx(1.19),
    }
    assert [line["kind"] for line in found["lines"]] == ["ENERGY", "ENERGY", "PARKING_TIME"]
    assert found["total"]["gross"] == pytest.approx(2.55) and "explain" not in found


def test_explain_says_which_element_when_and_why(tmp_path: Path) -> None:
    code, out, _ = price(tmp_path, TARIFF, CDR, "--tz", "Europe/Berlin", "--explain", "--json")
    assert code == 0 and out.count("\n") == 1
    lines = json.loads(out)["explain"]
    assert lines[0] == (
        "2025-07-01 16:00:00 to 2025-07-01 17:00:00: 2.1 kWh by "
        "elements[0]: Energy: 0.238 €/kWh (00:00–17:00; per started 0.5 kWh)"
    )
    assert any("elements[1]" in line and "1 before it did not" in line for line in lines)
    assert any(line.startswith("step_size: 0.3 kWh more") for line in lines)


@pytest.mark.parametrize(
    ("path", "new", "says"),
    [
        (
            "elements.0.price_components.0.price",
            -1,
            "elements[0].price_components[0].price: must not be negative (given -1)",
        ),
        (
            "elements.0.price_components.0.price",
            0.12345,
            "has more than the 4 decimals that are carried (given 0.12345)",
        ),
        ("x_surprise", 1, "x_surprise: unknown field"),
        (
            "elements.0.restrictions.surprise",
            1,
            "elements[0].restrictions.surprise: unknown field",
        ),
        ("currency", "CHF", "currency: must be the tariff's CHF (given EUR)"),
    ],
)
def test_a_refused_tariff_names_the_field(tmp_path: Path, path: str, new: Any, says: str) -> None:
    code, out, err = price(tmp_path, changed(TARIFF, path, new), CDR)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "new", "says"),
    [
        (
            "charging_periods.0.dimensions.0.volume",
            -1,
            "charging_periods[0].dimensions[0].volume: must not be negative",
        ),
        (
            "charging_periods.0.dimensions.0.type",
            "WARP",
            "charging_periods[0].dimensions[0].type: must be one of",
        ),
        (
            "charging_periods.1.start_date_time",
            "2025-07-01T13:00:00Z",
            "charging_periods[1].start_date_time: must be in order",
        ),
        (
            "charging_periods.1.start_date_time",
            "soon",
            "charging_periods[1].start_date_time: must be a UTC time",
        ),
        (
            "charging_periods.1.start_date_time",
            None,
            "charging_periods[1].start_date_time: must be a UTC time",
        ),
        ("end_date_time", "2025-07-01T13:00:00Z", "end_date_time: must not be before"),
        ("charging_periods.0.dimensions", 7, "charging_periods[0].dimensions: must be a list"),
    ],
)
def test_a_refused_record_names_the_field(tmp_path: Path, path: str, new: Any, says: str) -> None:
    code, out, err = price(tmp_path, TARIFF, changed(CDR, path, new))
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


def test_a_refusal_names_the_file_it_is_about(tmp_path: Path) -> None:
    for tariff, cdr, name in (
        (changed(TARIFF, "currency", "euro"), CDR, "tariff.json"),
        ("{", CDR, "tariff.json"),
        (TARIFF, changed(CDR, "end_date_time", "soon"), "cdr.json"),
        (TARIFF, "[", "cdr.json"),
    ):
        err = price(tmp_path, tariff, cdr)[2]
        assert err.startswith(f"{tmp_path / name}: ") and err.count(str(tmp_path)) == 1, err


def record(end: str, *dimensions: tuple[str, Any], **totals: Any) -> dict[str, Any]:
    """A record of one period from 14:00Z."""
    start = "2025-07-01T14:00:00Z"
    period = {
        "start_date_time": start,
        "dimensions": [{"type": name, "volume": volume} for name, volume in dimensions],
    }
    ends = {"start_date_time": start, "end_date_time": f"2025-07-01T{end}Z"}
    return {**ends, "currency": "EUR", "charging_periods": [period], **totals}


@pytest.mark.parametrize(
    ("cdr", "notes"),
    [
        (
            record("15:00:00", ("ENERGY_IMPORT", 10), total_energy=10),
            ["total_energy says 10 kWh, ENERGY of its periods adds up to 0 kWh",
             "charging_periods[0]: ENERGY_IMPORT says 10 kWh, ENERGY, which is priced, is not "
             "given"],
        ),
        (
            record("15:00:00", ("ENERGY", 10), total_energy=12),
            ["total_energy says 12 kWh, ENERGY of its periods adds up to 10 kWh"],
        ),
        (
            record("15:00:00", ("TIME", 2)),
            ["charging_periods[0]: TIME 2 h, the period lasts 1 h"],
        ),
        (
            record("14:00:00", ("TIME", 1)),
            ["charging_periods[0]: TIME 1 h, the period lasts 0 h"],
        ),
        (
            record("15:00:00", ("TIME", 0.75), ("PARKING_TIME", "0.50"), total_time=2.5,
                   total_parking_time=1),
            ["total_parking_time says 1 h, PARKING_TIME of its periods adds up to 0.5 h",
             "total_time says 2.5 h, from its start to its end are 1 h",
             "charging_periods[0]: TIME 0.75 and PARKING_TIME 0.5 h, the period lasts 1 h"],
        ),
        (
            record("15:20:00", ("ENERGY", 10.1234), ("TIME", 1.3333), total_energy="10.123",
                   total_time=1.33, total_parking_time=0),
            [],
        ),
    ],
)  # fmt: skip
def test_a_record_that_contradicts_itself_is_priced_with_a_note(
    tmp_path: Path, cdr: dict[str, Any], notes: list[str]
) -> None:
    code, out, err = price(tmp_path, TARIFF, cdr)
    assert code == 0, err
    assert json.loads(out)["notes"] == notes


def test_files_may_be_pipes(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(json.dumps(TARIFF))
    (tmp_path / "c").write_text(json.dumps(CDR))
    command = f"{sys.executable} -m hostsim price <(cat {tmp_path}/t) <(cat {tmp_path}/c)"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tariff_id"] == "T1"


def test_other_refusals(tmp_path: Path) -> None:
    assert price(tmp_path, "{", CDR)[0] == 2
    assert "json:" in price(tmp_path, TARIFF, "[]")[2]
    assert (
        "unknown time zone (given Mars/Olympus)"
        in price(tmp_path, TARIFF, CDR, "--tz", "Mars/Olympus")[2]
    )
    assert (
        "tz: must be a POSIX TZ string" in price(tmp_path, TARIFF, CDR, "--tz", "CET-1CEST,M3")[2]
    )
    code, _, err = price(tmp_path, TARIFF, changed(CDR, "start_date_time", "x"))
    assert code == 2 and "start_date_time" in err
    with pytest.raises(cli.PriceError, match="no such file"):
        cli.run(tmp_path / "none.json", tmp_path / "none.json", "UTC", explain=False)


def test_a_tariff_out_of_date_is_priced_with_a_note(tmp_path: Path) -> None:
    old = {**TARIFF, "end_date_time": "2020-01-01T00:00:00Z"}
    assert json.loads(price(tmp_path, old, CDR)[1])["notes"] == [
        "the tariff was not valid at the start of the session"
    ]


def test_volumes_that_are_not_the_periods_length_count_as_given(tmp_path: Path) -> None:
    found = json.loads(
        price(tmp_path, TARIFF, changed(CDR, "charging_periods.1.dimensions.0.volume", 0.5))[1]
    )
    assert found["total_parking_cost"]["excl_vat"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Berlin",
        "Europe/London",
        "Europe/Dublin",
        "Asia/Gaza",
        "America/Caracas",
        "Africa/Casablanca",
        "UTC",
    ],
)
def test_a_zone_as_posix_gives_what_its_own_table_gives(name: str) -> None:
    from zoneinfo import ZoneInfo

    from firmware.pricing.calendar import TimeZone

    for year in (1996, 2007, 2016, 2019, 2024, 2025, 2027):
        for day in range(0, 360, 5):
            start = datetime(year, 1, 1, 3, 17, tzinfo=UTC) + timedelta(days=day)
            zone = TimeZone(zones.posix(name, start, start + timedelta(hours=40)))
            for hour in range(0, 41, 4):
                at = start + timedelta(hours=hour)
                want = at.astimezone(ZoneInfo(name)).utcoffset()
                assert (
                    want is not None and zone.offset(int(at.timestamp())) == want.total_seconds()
                ), (name, at)
