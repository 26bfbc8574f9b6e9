"""What a live session was charged is what `price` makes of the CDR it published, line by line."""

import json
import subprocess
import sys
from typing import Any

import pytest

from hostsim.backoffice import cdr, views
from hostsim.setup import ROOT
from tests.worlds import agree, charging, run, settled, until_state

pytestmark = pytest.mark.timeout(180)

TARIFF = {
    "id": "LIVE-1",
    "currency": "EUR",
    "elements": [
        {"price_components": [{"type": "FLAT", "price": 0.35, "vat": 19, "step_size": 1}]},
        {
            "price_components": [{"type": "ENERGY", "price": 0.2975, "vat": 19, "step_size": 100}],
            "restrictions": {"max_kwh": 0.5},
        },
        {
            "price_components": [
                {"type": "ENERGY", "price": 0.4111, "vat": 19, "step_size": 100},
                {"type": "TIME", "price": 1.2, "vat": 7, "step_size": 60},
            ]
        },
        {
            "price_components": [
                {"type": "PARKING_TIME", "price": 6.1, "vat": 19, "step_size": 60}
            ],
            "restrictions": {"min_duration": 240},
        },
    ],
}


def priced_again(tmp_path, tariff: dict, record_json: str) -> dict:
    (tmp_path / "tariff.json").write_text(json.dumps(tariff))
    (tmp_path / "cdr.json").write_text(record_json)
    found = subprocess.run(
        [sys.executable, "-m", "hostsim", "price", "tariff.json", "cdr.json"]
        + ["--tz", "Europe/Berlin"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_the_published_cdr_priced_again_gives_the_same_bill(tmp_path):
    bill: dict[str, Any] = {}

    async def scenario(world):
        await charging(world)
        await until_state(world, "paused", timeout_s=60)
        await world.until(lambda: world.view["session"]["elapsed_ms"] > 420_000, 60, "standing")
        await world.act("unplug")
        last = await settled(world)
        agree(world)
        office = world.back_office
        (identity,) = [s["id"] for s in views.sessions(office.engine, "FC-0001", 10)]
        session = views.session(office.engine, identity)
        assert session is not None
        bill["cdr"] = cdr.to_json(cdr.compose(session))
        bill["priced"] = last["priced"]
        bill["said"] = [
            json.loads(m["payload"]) for m in world.mqtt if m["topic"].endswith("/session")
        ]

    run(scenario, tariff=json.dumps(TARIFF), wanted_wh=1200)
    rates = {
        (m["price_per_kwh"], m["price_per_hour"], m["change_at_wh"])
        for m in bill["said"]
        if m["state"] == "charging" and "price_per_kwh" in m
    }
    # 0.2975 and 19 % until 0.5 kWh, then 0.4111; an hour 1.20 and 7 %
    assert rates == {(3540, 12840, 500), (4892, 12840, -1)}
    assert any(m.get("hold_left_wh", 0) > 100_000 for m in bill["said"])
    again = priced_again(tmp_path, TARIFF, bill["cdr"])
    flat = bill["priced"]["lines"]
    live = [flat[i + 4] for i in range(0, len(flat), 5)]
    assert [round(line["gross"] * 100) for line in again["lines"]] == live
    assert round(again["total"]["gross"] * 100) == bill["priced"]["total_minor"] == sum(live)
    assert {line["kind"] for line in again["lines"]} == {"FLAT", "ENERGY", "TIME", "PARKING_TIME"}
