"""A soak: chargers of one site, each with its own terminal, meter, vehicle and hostile network,
sharing broker, back office and time; drivers visit one after the other at every charger.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostsim.backoffice.phone import pays
from hostsim.site import Site
from hostsim.soak.job import Job
from hostsim.soak.judge import FlashBook, judge
from hostsim.soak.visit import LOOK_S, Plan, Visit, VisitError
from hostsim.world import Options, World, WorldError

MJ_PER_WH = 3_600_000
_READY_S = 90
_SYNC_S = 180
_GATHER_EVERY = 8  # visits: sooner than the smallest ring comes round
_REFUNDED = 0.3  # chance after a visit that the operator gives one back
_REFUND_S = 180
_FINAL = ("done", "refused", "failed", "sent")  # sent: the acquirer has it, no money moved here
_QUIET_S = 6.0  # the supervisor collects and measures every 5 s
_QUIET_EVERY = 6
# A ring that comes round often, that of the reference boards, one that holds 1,000 sessions.
_FLASH_KIB = (256, 2048, 128)
_HOLDS = (6000, 300, 1000)


@dataclass
class Post:
    """One charger and what was seen of it."""

    world: World
    visits: int
    start_mj: int = 0
    flash: FlashBook = field(default_factory=FlashBook)
    struck: Counter[str] = field(default_factory=Counter)
    done: int = 0
    failure: str = ""
    refunds: dict[int, str] = field(default_factory=dict)  # by receipt number
    heap: list[tuple[int, int]] = field(default_factory=list)  # (start of the process, bytes)
    peak: int = 0


class Soak:
    """`directory`: where everything is kept; `progress(done, faults)` after every visit."""

    def __init__(self, job: Job, directory: Path, progress: Callable[[int, int], None]) -> None:
        self.job = job
        self._directory = directory
        self._progress = progress
        self._posts: list[Post] = []

    async def play(self) -> dict[str, Any]:
        """The whole of it; what `soak --json` prints. Raises WorldError, BrokerError, ChargerError
        when the site cannot be started.
        """
        began = time.monotonic()
        async with contextlib.AsyncExitStack() as undo:
            by_phone = "qr" in self.job.methods
            site = Site(self._directory, speed=self.job.speed, gateway=by_phone)
            undo.push_async_callback(site.stop)
            await site.start()
            for number in range(self.job.chargers):
                post = self._post(site, number)
                undo.push_async_callback(post.world.stop)
                await post.world.start()
                self._posts.append(post)
            for post in self._posts:
                await post.world.until_ready(_READY_S)
            await asyncio.gather(*(self._serve(post) for post in self._posts))
            await asyncio.gather(*(self._finish(post) for post in self._posts))
            return self._result(round(time.monotonic() - began, 1))

    def _post(self, site: Site, number: int) -> Post:
        job = self.job
        name = f"FC-{number + 1:04}"
        options = Options(
            self._directory / name,
            charger=name,
            speed=job.speed,
            seed=job.seed + number,
            hold_minor=_HOLDS[number % len(_HOLDS)],
            flash_kib=_FLASH_KIB[number % len(_FLASH_KIB)],
            proxied=True,
            bank_s=0.2,
            config={
                "plug_timeout_s": 300,
                "message_show_s": 60,
                "refund": {"day_minor": 10_000_000},
            },
        )
        world = World(options, site=site)
        visits = len(range(number, job.sessions, job.chargers))
        return Post(world, visits, world.meter.device.counted_mj)

    # --- visits ----------------------------------------------------------------------------------

    async def _serve(self, post: Post) -> None:
        """Every visit of one charger; the first that does not end is the last."""
        job = self.job
        lives = 0
        for number in range(1, post.visits + 1):
            dice = random.Random(f"{job.seed}/{post.world.charger_id}/{number}")
            visit = Visit(post.world, self._plan(number, dice), dice)
            try:
                await visit.play()
            except (VisitError, WorldError) as e:
                post.failure = str(e)
                return
            finally:
                post.struck.update(visit.struck)
                post.done += 1
                post.flash.tariffs[visit.tariff["id"]] = visit.tariff
            self._progress(self._done(), self._faults())
            if dice.random() < _REFUNDED:
                await asyncio.to_thread(_order_refund, post, dice)
            if number % _GATHER_EVERY == 0:
                await asyncio.to_thread(post.flash.gather, post.world)
            starts = post.world.charger.starts if post.world.charger else 0
            if starts != lives or number % _QUIET_EVERY == 0:
                lives = starts
                await _look_at_heap(post)

    def _plan(self, number: int, dice: random.Random) -> Plan:
        return Plan.draw(number, dice, self.job.blows(), self.job.methods)

    def _done(self) -> int:
        return sum(post.done for post in self._posts)

    def _faults(self) -> int:
        return sum(post.struck.total() for post in self._posts)

    async def _finish(self, post: Post) -> None:
        """Everything acknowledged, the flash read for the last time."""
        if not post.failure:
            await _look_at_heap(post)
            try:
                await _refunds_over(post)
                await _payments_over(post)
            except WorldError as e:
                post.failure = f"{post.world.charger_id}: {e}"
            try:
                await post.world.until(
                    post.world.synced, _SYNC_S, "the back office to acknowledge everything"
                )
            except WorldError as e:
                post.failure = f"{post.world.charger_id}: {e}"
        await asyncio.to_thread(post.flash.gather, post.world)

    # --- the end ---------------------------------------------------------------------------------

    def _result(self, took_s: float) -> dict[str, Any]:
        found = [judge(post.world, post.flash) for post in self._posts]
        failures = [post.failure for post in self._posts if post.failure]
        struck: Counter[str] = Counter()
        for post, one in zip(self._posts, found, strict=True):
            struck += post.struck
            counted_wh = (post.world.meter.device.counted_mj - post.start_mj) // MJ_PER_WH
            one["metered_wh"] = counted_wh
            one["resets"] = post.world.charger.resets if post.world.charger else 0
            failures += one.pop("failures")
            if one["resets"]:
                failures.append(f"{one['charger']}: {one['resets']} unexpected resets")
            if abs(counted_wh - one["billed_wh"]) > 2 * one["bills"] + 1:
                failures.append(
                    f"{one['charger']}: {one['billed_wh']} Wh billed, {counted_wh} Wh metered"
                )
        sums = {
            name: sum(one[name] for one in found)
            for name in ("captured_minor", "refunded_minor", "backoffice_minor",
                         "terminal_minor", "gateway_minor", "lost", "duplicated")
        }  # fmt: skip
        return {
            "sessions": self._done(),
            "faults": struck.total(),
            "books_agree": all(one["agree"] for one in found) and not failures,
            **sums,
            "heap_growth_bytes": max((_growth(post) for post in self._posts), default=0),
            "refunds": sum(len(post.refunds) for post in self._posts),
            "peak_heap_bytes": max((post.peak for post in self._posts), default=0),
            "seed": self.job.seed,
            "took_s": took_s,
            "faults_by_name": dict(sorted(struck.items())),
            "chargers": found,
            "failures": failures,
            "replay": self.job.replay() if failures else "",
        }


def _order_refund(post: Post, dice: random.Random) -> None:
    """A whole bill that was paid is to go back, by a signed command; whichever is left."""
    office = post.world.back_office
    assert office
    paid = [
        s["receipt_no"]
        for s in office.sessions(post.world.charger_id)
        if s["captured_minor"] and s["receipt_no"] not in post.refunds
    ]
    if not paid:
        return
    receipt_no = dice.choice(paid)
    refund = post.refunds[receipt_no] = office.refunds.request(
        post.world.charger_id,
        receipt=receipt_no,
        amount_minor=0,
        reason="goodwill",
        operator="soak",
        refund=f"{post.world.charger_id}-R{len(post.refunds) + 1}",
    )
    office.refunds.approve(refund, operator="soak")


async def _refunds_over(post: Post) -> None:
    """Every refund has its end in the charger's books. Raises WorldError."""
    office = post.world.back_office
    assert office

    def states() -> list[str]:
        office.refunds.tend()
        found = [office.refunds.follow(refund) for refund in post.refunds.values()]
        return ["waits" if r["state"] == "sent" and r["way"] == "gateway" else r["state"]
                for r in found]  # fmt: skip

    end = time.monotonic() + _REFUND_S
    while not all(state in _FINAL for state in await asyncio.to_thread(states)):
        if time.monotonic() > end:
            raise WorldError(f"refunds without an end: {await asyncio.to_thread(states)}")
        await asyncio.sleep(1)


async def _payments_over(post: Post) -> None:
    """Every payment by phone has its end at the gateway. Raises WorldError."""
    office = post.world.back_office
    assert office
    end = time.monotonic() + _REFUND_S
    while still := await asyncio.to_thread(pays.still_open, office.engine, post.world.charger_id):
        if time.monotonic() > end:
            raise WorldError(f"payments without an end: {still}")
        office.phone.cashier.wake() if office.phone else None
        await asyncio.sleep(1)


async def _look_at_heap(post: Post) -> None:
    """The lowest the idle heap gets while the supervisor collects: what is alive."""
    world = post.world
    least = 0
    end = time.monotonic() + _QUIET_S
    starts = world.charger.starts if world.charger else 0
    while time.monotonic() < end:
        heap = world.view.get("heap")
        if heap and world.state == "free":
            least = min(least or heap["used"], heap["used"])
            post.peak = max(post.peak, heap["peak"])
        await asyncio.sleep(LOOK_S)
    if least and world.charger and world.charger.starts == starts:
        post.heap.append((starts, least))


def _growth(post: Post) -> int:
    """From the first look after a start to the last before the next, the worst of all lives."""
    lives: dict[int, list[int]] = {}
    for life, used in post.heap:
        lives.setdefault(life, []).append(used)
    return max((seen[-1] - seen[0] for seen in lives.values() if len(seen) > 1), default=0)
