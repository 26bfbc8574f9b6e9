"""Driving a back office with many chargers: a rate of sessions for a time, then a comparison of
what every charger wrote with what is in the books."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session as Db

from hostsim.backoffice.models import Payment, Problem, Record, Session
from hostsim.backoffice.tables import Invoice
from hostsim.fleet.charger import FleetCharger
from hostsim.fleet.records import VirtualLedger
from hostsim.pki import Pki

_CONNECT_AT_ONCE = 25
_DRAIN_S = 120


@dataclass
class Result:
    """`exactly_once`: the books hold every session once and nothing else; latencies are from the
    publication of a session's last record to its acknowledgement."""

    chargers: int
    asked_rate: float
    seconds: float = 0.0
    sessions: int = 0
    records: int = 0
    repeated: int = 0
    sustained_rate: float = 0.0
    drained_s: float = 0.0
    latency_ms: dict[str, int] = field(default_factory=dict)
    memory_mb: float = 0.0
    exactly_once: bool = False
    differences: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def drive(
    engine: Engine, pki: Pki, broker: tuple[str, int], count: int, rate: float, seconds: float,
    seed: int, pids: list[int], tell: Callable[[str], None],
) -> Result:  # fmt: skip
    """Sends, waits until all is acknowledged, compares."""
    latencies: list[float] = []
    identities = await asyncio.to_thread(
        lambda: [pki.charger(f"FL-{number:05}") for number in range(count)]
    )
    chargers = [
        FleetCharger(
            VirtualLedger(identity.name, seed, epoch=_epoch(identity.name, seed)), identity,
            *broker, _now_ms, latencies.append,
        )
        for identity in identities
    ]  # fmt: skip
    tasks: list[asyncio.Task[None]] = []
    try:
        for at in range(0, count, _CONNECT_AT_ONCE):
            part = chargers[at : at + _CONNECT_AT_ONCE]
            tasks += [asyncio.create_task(charger.run()) for charger in part]
            await asyncio.wait_for(asyncio.gather(*(c.ready.wait() for c in part)), 120)
        tell(f"{count} chargers are connected")
        result = Result(count, rate)
        await _sell(chargers, rate, seconds, seed, result)
        await _drain(chargers, result, tell)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    _judge(engine, chargers, result)
    ordered = sorted(latencies)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        if ordered:
            at = min(int(len(ordered) * share), len(ordered) - 1)
            result.latency_ms[name] = round(ordered[at] * 1000)
    result.memory_mb = round(sum(map(memory_mb, pids)), 1)
    return result


def _epoch(name: str, seed: int) -> int:
    """Another run is another flash."""
    return random.Random(f"{name} {seed} {time.time_ns()}").randrange(1, 2**31)


async def _sell(
    chargers: list[FleetCharger], rate: float, seconds: float, seed: int, result: Result
) -> None:
    """Sessions end at that rate, at random chargers."""
    dice = random.Random(seed)
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        while result.sessions < rate * elapsed:
            dice.choice(chargers).add_session()
            result.sessions += 1
        await asyncio.sleep(0.01)
    result.seconds = round(time.monotonic() - began, 2)


async def _drain(
    chargers: list[FleetCharger], result: Result, tell: Callable[[str], None]
) -> None:
    began = time.monotonic()
    while (left := sum(charger.waiting for charger in chargers)) and (
        time.monotonic() - began < _DRAIN_S
    ):
        tell(f"{left} records to go")
        await asyncio.sleep(0.05)
    result.drained_s = round(time.monotonic() - began, 2)
    result.records = sum(charger.ledger.seq for charger in chargers)
    result.repeated = sum(charger.repeated for charger in chargers)
    result.sustained_rate = round(result.sessions / (result.seconds + result.drained_s), 1)


def _judge(engine: Engine, chargers: list[FleetCharger], result: Result) -> None:
    """Counted per charger and flash in the database, against what the charger wrote."""
    epochs = {charger.ledger.epoch: charger.ledger for charger in chargers}
    with Db(engine) as db:
        records = _by_epoch(db, select(Record.epoch, func.count()), Record, epochs)
        sessions = _by_epoch(db, select(Session.epoch, func.count()), Session, epochs)
        paid = dict(
            (epoch, (int(count), int(total)))
            for epoch, count, total in db.execute(
                select(Session.epoch, func.count(), func.sum(Payment.captured_minor))
                .join(Payment)
                .where(Session.epoch.in_(epochs), Payment.state == "captured")
                .group_by(Session.epoch)
            )
        )
        invoices = dict(
            (epoch, int(count))
            for epoch, count in db.execute(
                select(Session.epoch, func.count())
                .join(Invoice, Invoice.session_id == Session.id)
                .where(Session.epoch.in_(epochs))
                .group_by(Session.epoch)
            )
        )
        problems = select(Problem.code).where(Problem.epoch.in_(epochs)).distinct()
        found = [f"problem: {code}" for code in db.scalars(problems) if code != "new_epoch"]
    for epoch, ledger in epochs.items():
        wanted = (ledger.seq, ledger.sess, ledger.receipt_no, ledger.day_minor, ledger.receipt_no)
        have = (
            records.get(epoch, 0), sessions.get(epoch, 0), *paid.get(epoch, (0, 0)),
            invoices.get(epoch, 0),
        )  # fmt: skip
        if wanted != have:
            found.append(f"{ledger.name}: wrote {wanted}, the books have {have}")
    result.differences = found[:20]
    result.exactly_once = not found


def _by_epoch(db: Db, query: Any, table: Any, epochs: dict[int, VirtualLedger]) -> dict[int, int]:
    rows = db.execute(query.where(table.epoch.in_(epochs)).group_by(table.epoch))
    return {epoch: int(count) for epoch, count in rows}


def memory_mb(pid: int) -> float:
    """Resident memory of a process, without what it shares."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    private = [int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")]
    return sum(private) / 1024


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
