"""What the campaign's session is like, and the files its charger finds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHARGER = "FC-0001"
COMMAND_KEY = "5a" * 32
_START_MS = 1_763_800_000_000  # a Saturday morning
_EVENING_MS = 1_763_848_200_000  # 22:50 in Berlin
_DAY_HOUR = 23
_STEP_MINOR = 10
_DEFAULT = Path(__file__).parents[1] / "data" / "tariff.json"
CHECKPOINT_S = 20


def _tariff() -> dict[str, Any]:
    """The one that chargers have by default, with a price for the time of charging beside it."""
    tariff: dict[str, Any] = json.loads(_DEFAULT.read_text())
    first = tariff["elements"][0]["price_components"]
    first.append({"type": "TIME", "price": 4.80, "vat": 19.0, "step_size": 1})
    return tariff


TARIFF = _tariff()


@dataclass
class Plan:
    """How the session is: clock speed, what the vehicle wants, where files are. `extend`: the hold
    is too small and is extended once; `day`: the terminal's day ends soon after; `keeps`: the
    terminal keeps a reservation that nobody acknowledged.
    """

    directory: Path
    speed: int = 60
    wanted_wh: int = 300
    hold_minor: int = 6000
    seed: int = 1
    extend: bool = False
    day: bool = False
    keeps: bool = False

    @property
    def start_ms(self) -> int:
        """Epoch ms at which everything begins."""
        return _EVENING_MS if self.day else _START_MS

    @property
    def day_ms(self) -> int:
        """Epoch ms of the terminal's end of day."""
        return _EVENING_MS + 600_000


def write_files(plan: Plan) -> None:
    """What the charger finds beside its flash."""
    config = {
        "charger": CHARGER,
        "currency": TARIFF["currency"],
        "hold_minor": plan.hold_minor,
        "salt": "powercut campaign",
        "checkpoint_s": CHECKPOINT_S,
        "receipt_show_s": 30,
        "mqtt": {"host": "broker", "port": 1002, "command_key": COMMAND_KEY},
        "time_server": {"host": "time", "port": 1003},
    }
    if plan.extend:
        most = plan.hold_minor + _STEP_MINOR
        config["extend"] = {"step_minor": _STEP_MINOR, "max_minor": most}
        config["min_hold_minor"] = 1
    if plan.day:
        config["end_of_day_hour"] = _DAY_HOUR
    (plan.directory / "config.json").write_text(json.dumps(config))
    (plan.directory / "tariff.json").write_text(json.dumps(TARIFF))
    for name in ("ca.crt", "charger.crt", "charger.key"):
        (plan.directory / name).write_text("not used")
