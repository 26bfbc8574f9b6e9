"""Random tariff and session pairs: firmware.pricing on MicroPython against the Fraction model."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from hostsim.pricing import zones
from tests.mpy import run_mpy
from tests.pricing import pricing_model, pricing_random

KINDS = {1: "charging", 0: "parked"}
PLACES = {"JPY": 0, "KWD": 3}


def line_of(seed: int) -> str:
    """A pair as the driver reads it."""
    tariff, zone, start, readings, rising, limit = pricing_random.pair(seed)
    end = start + timedelta(milliseconds=readings[-1][0])
    epoch_ms = round(start.timestamp() * 1000)
    return json.dumps(
        [
            json.dumps(tariff),
            zones.posix(zone, start, end),
            epoch_ms,
            readings,
            limit,
            seed,
            rising,
        ]
    )


def expected(seed: int) -> tuple[pricing_model.Outcome, int]:
    """What the model says, and the minor-unit places of the currency."""
    tariff, zone, start, readings, _, _ = pricing_random.pair(seed)
    model = pricing_model.Model(tariff, zone)
    outcome = model.price(start, [(t, e, KINDS[kind], w, ma) for t, e, kind, w, ma in readings])
    return outcome, PLACES.get(tariff["currency"], 2)


def differences(seed: int, got: dict[str, Any]) -> list[str]:
    """In what the firmware differs from the model."""
    want, places = expected(seed)
    found = list(got["problems"])
    exact = None if got["exact"] is None else Fraction(int(got["exact"][0]), int(got["exact"][1]))
    if exact != want.excl:
        found.append(f"excl {got['excl']} instead of {want.excl and float(want.excl)}")
    incl = Fraction(int(got["exact_incl"][0]), int(got["exact_incl"][1]))
    if incl != want.incl:
        found.append(f"incl {got['incl']} instead of {float(want.incl)}")
    parts = [
        pricing_model.four(want.parts[kind][0])
        for kind in ("ENERGY", "TIME", "PARKING_TIME", "FLAT")
    ]
    if parts != got["parts"]:
        found.append(f"parts {got['parts']} instead of {parts}")
    tariff = pricing_random.pair(seed)[0]
    if "min_price" not in tariff and "max_price" not in tariff:
        minor = pricing_model.receipt_minor(want, places)
        if minor != got["gross"]:
            found.append(f"receipt {got['gross']} instead of {minor}")
    return found


def run(which: str, seeds: range, folder: Path, heap: str = "8M") -> list[str]:
    """Price the pairs on one build; gives what is wrong, by seed."""
    file = folder / f"pairs-{which}-{seeds.start}.txt"
    file.write_text("\n".join(line_of(seed) for seed in seeds) + "\n")
    done: subprocess.CompletedProcess[str] = run_mpy(
        which, "tests/pricing/pricing_driver.py", file, heap=heap, timeout=1800
    )
    lines = done.stdout.splitlines()
    wrong = []
    for seed, line in zip(seeds, lines, strict=False):
        wrong += [f"seed {seed}: {text}" for text in differences(seed, json.loads(line))]
    if len(lines) != len(seeds):
        wrong.append(f"seed {seeds.start + len(lines)}: driver stopped: {done.stderr[-1500:]}")
    file.unlink()
    return wrong


def campaign(which: str, pairs: int, folder: Path, chunk: int = 500) -> list[str]:
    """Price many pairs, in parallel."""
    chunks = [range(at, min(at + chunk, pairs)) for at in range(0, pairs, chunk)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [
            text
            for found in pool.map(lambda seeds: run(which, seeds, folder), chunks)
            for text in found
        ]
