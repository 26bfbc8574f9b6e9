"""Whether the firmware would take a tariff, asked of the firmware's own reader under MicroPython.

So that `--tariff` with a bad file ends at once with the field's name, before a world is built.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from hostsim.pricing.cli import PriceError, interpreter
from hostsim.setup import BUILD, ROOT

_SCRIPT = """
import json, sys
from firmware.errors import TariffError
from firmware.pricing.tariff import Tariff
try:
    with open(sys.argv[1], "rb") as f:
        t = Tariff.from_json(f.read())
except TariffError as e:
    print(json.dumps({"error": str(e)}))
else:
    print(json.dumps({"currency": t.currency, "start_ms": t.start_ms, "end_ms": t.end_ms}))
"""
_LIMIT_S = 30


def refusal(path: Path) -> str:
    """Why the charger would not sell by the tariff in this file now; "" when it would.

    Raises PriceError when there is no MicroPython to ask.
    """
    python, _ = interpreter()
    done = subprocess.run(
        [str(python), "-X", "heapsize=8m", "-c", _SCRIPT, str(path)],
        capture_output=True,
        text=True,
        env={"MICROPYPATH": f"{ROOT}:.frozen"},
        cwd=BUILD,
        timeout=_LIMIT_S,
        check=False,
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode or not lines:
        raise PriceError(f"MicroPython cannot read the tariff: {lines[-1] if lines else ''}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found.get("error", "") or _not_now(found)


def _not_now(found: dict[str, Any]) -> str:
    now_ms = time.time_ns() // 1_000_000
    if 0 <= found["end_ms"] <= now_ms:
        return f"end_date_time: it was valid only until {_utc(found['end_ms'])}"
    if found["start_ms"] > now_ms:
        return f"start_date_time: it is not valid before {_utc(found['start_ms'])}"
    return ""


def _utc(epoch_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_ms / 1000))
