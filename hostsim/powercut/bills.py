"""Each bill of the campaign beside what really happened: energy and time from the simulated meter,
contactor and vehicle, the price from the tariff. Nothing of the firmware's arithmetic is used.
"""

from __future__ import annotations

from typing import Any

from hostsim.powercut.plan import CHECKPOINT_S, TARIFF
from hostsim.powercut.timeline import Supply
from hostsim.pricing import bills

_LOOK_MS = 21_000  # two readings of the meter, at 60 times real time
_SURE_MS = 1_000  # of the clocks on both sides
_HOLDS = ("authorised", "extended", "extend_done")


def judge(flash: list[dict[str, Any]], supplies: list[Supply]) -> tuple[list[str], int]:
    """Sentences about what is wrong, and the Wh that flowed and are on no bill's lines."""
    wrong: list[str] = []
    priced = {r["sess"]: r for r in flash if r["kind"] == "priced"}
    sessions = _supplied(flash, priced, len(supplies))
    if len(sessions) != len(supplies):
        wrong.append(f"power was on {len(supplies)} times, for the sessions {sessions}")
    held = {r["sess"]: r["amount_minor"] for r in flash if r["kind"] in _HOLDS}
    unpaid = sum(supply.off_wh - supply.on_wh for supply in supplies)
    for sess, supply in zip(sessions, supplies, strict=False):
        bill = priced.get(sess)
        if bill is None:
            wrong.append(f"session {sess}: power was on, there is no bill")
            continue
        at_hold = bill["total_minor"] >= held.get(sess, 0)
        unpaid -= bill["billed_wh"] if at_hold else bills.quantity(bill, "ENERGY") // 1000
        texts = bills.faults(bill, TARIFF, held.get(sess, 0))
        texts += _energy(bill, supply) + _time(bill, supply, bills.known_ms(flash, sess))
        wrong += [f"session {sess}: {text}" for text in texts]
    return wrong, max(unpaid, 0)


def _supplied(
    flash: list[dict[str, Any]], priced: dict[int, dict[str, Any]], times: int
) -> list[int]:
    """The sessions for which power was on. A cut between `energising` and the contactor leaves one
    that never had it: it has a bill of nothing."""
    sessions = [r["sess"] for r in flash if r["kind"] == "energising"]
    for sess in list(sessions):
        bill = priced.get(sess)
        if len(sessions) > times and bill and not bill["billed_wh"] and not bill["total_minor"]:
            sessions.remove(sess)
    return sessions


def _energy(bill: dict[str, Any], supply: Supply) -> list[str]:
    told, real = (bill["start_wh"], bill["end_wh"]), (supply.on_wh, supply.off_wh)
    return [] if told == real else [f"billed from {told}, the meter went from {real} Wh"]


def _time(bill: dict[str, Any], supply: Supply, limit: int) -> list[str]:
    """A session whose power failed ends at its last record; another one lasts as long as the power
    was on, and to the driver's going where standing costs something.
    """
    wrong = []
    elapsed = bill["elapsed_ms"]
    timed, parked = (bills.quantity(bill, name) for name in ("TIME", "PARKING_TIME"))
    standing = parked if limit < 0 else 0
    most = supply.powered_ms if limit >= 0 or supply.gone_ms < 0 else supply.gone_ms - supply.on_ms
    least = supply.seen_ms - (CHECKPOINT_S * 1000 if limit >= 0 else 0) - _LOOK_MS
    if 0 <= limit != elapsed:
        wrong.append(f"{elapsed} ms billed, the last record before the cut has {limit} ms")
    if not least <= elapsed <= max(most, supply.powered_ms) + _SURE_MS:
        wrong.append(f"{elapsed} ms billed, it was on for {supply.powered_ms} ms")
    if timed > supply.asked_ms + _LOOK_MS:
        wrong.append(f"{timed} ms of charging billed, it asked for {supply.asked_ms} ms")
    if timed + standing < min(supply.asked_ms, elapsed) - _LOOK_MS:
        wrong.append(f"{timed} ms of charging billed of {supply.asked_ms} ms")
    if bill["start_at"] and abs(bill["start_at"] - supply.on_ms) > _SURE_MS:
        wrong.append(f"it is said to begin at {bill['start_at']}, that was {supply.on_ms}")
    return wrong
