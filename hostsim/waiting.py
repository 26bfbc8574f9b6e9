"""Waiting for what a world does; in vain, it ends at once with the charger's last words."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostsim.errors import WorldError

if TYPE_CHECKING:
    from hostsim.backoffice.service import BackOffice
    from hostsim.charger import Charger

_MAX_DEATHS = 3
# What keeps a charger out of service for good, as its screen says it, until somebody acts.
_HOPELESS = ("no_tariff", "ledger_fault", "contactor_welded")


class Waiting:
    """What it needs of its heir, hostsim.world.World."""

    if TYPE_CHECKING:
        charger: Charger | None
        charger_id: str
        view: dict[str, Any]
        log: deque[str]
        refusal: str
        deaths: int  # starts that came to nothing, in a row
        resets_seen: int
        newest_seq: int

        @property
        def back_office(self) -> BackOffice | None: ...

        @property
        def state(self) -> str: ...

        @property
        def running(self) -> bool: ...

    def members_there(self) -> bool:
        """The charger has the members' list that is in force at the back office."""
        assert self.back_office
        wanted = self.back_office.members.version
        found = [row for row in self.back_office.chargers() if row["name"] == self.charger_id]
        return bool(found) and found[0]["status"].get("members") == wanted

    async def until(self, what: Callable[[], bool], timeout_s: float, why: str) -> None:
        """Waits until `what()`; WorldError with the reason after `timeout_s` real seconds, and at
        once when the charger cannot even start.
        """
        end = time.monotonic() + timeout_s
        while not what():
            if self.deaths >= _MAX_DEATHS:
                raise WorldError(f"the charger resets in a loop; its last words:\n{self._tail()}")
            if time.monotonic() > end:
                raise WorldError(
                    f"waited {timeout_s:.0f} s for {why}; the charger is {self.state!r}"
                    f" ({self.view.get('message', '')}),"
                    f" its terminal {self.view.get('terminal', '')!r}\n" + self._tail()
                )
            self._count_deaths()
            await asyncio.sleep(0.02)

    def _count_deaths(self) -> None:
        if self.charger and self.charger.resets > self.resets_seen:
            self.deaths += self.charger.resets - self.resets_seen
            self.resets_seen = self.charger.resets

    def _tail(self) -> str:
        office = self.back_office.problems(self.charger_id)[:3] if self.back_office else []
        refused = [f"back office: {p['code']}: {p['detail']}" for p in office]
        return "\n".join([*list(self.log)[-10:], *refused])

    async def until_ready(self, timeout_s: float = 60) -> None:
        """Waits until a driver can start; WorldError at once when that cannot come by itself."""
        await self.until(
            lambda: self._open_for_drivers() or bool(self._why_never()),
            timeout_s,
            "the charger to be ready for a driver",
        )
        if why := self._why_never():
            raise WorldError(f"the charger sells nothing: {why}")

    def _open_for_drivers(self) -> bool:
        return self.state == "free" and self.view["terminal"] in ("ready", "busy")

    def _why_never(self) -> str:
        message = self.view.get("message", "") if self.state == "out_of_service" else ""
        if message in _HOPELESS:
            return self.refusal or message.replace("_", " ")
        return self.refusal if self.running and not self.state else ""

    def synced(self) -> bool:
        """Every record of the charger is acknowledged; an older view does not say."""
        sync = self.view.get("sync", {})
        return bool(sync) and self.newest_seq < sync["next_seq"] == sync["acked_seq"] + 1
