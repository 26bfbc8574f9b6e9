"""The comparison by itself: once a day in a thread of its own, an alarm for each difference."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from hostsim.backoffice.fourth import compare
from hostsim.backoffice.fourth.found import Comparison
from hostsim.backoffice.gateways.base import Gateway, GatewayError
from hostsim.backoffice.models import Problem, writing
from hostsim.backoffice.operator import Operator

_log = logging.getLogger(__name__)

CODE = "gateway_books"
_FIRST_S = 3600.0
_EVERY_S = 86_400.0
_NAMED = 50  # alarms of one comparison


class Watch:
    """`tend` is a chore of the cashier's, which does not wait for it."""

    def __init__(
        self, engine: Engine, operator: Operator, gateway: Gateway, now_ms: Callable[[], int]
    ) -> None:
        """The first comparison is an hour after the start."""
        self._engine = engine
        self._operator = operator
        self._gateway = gateway
        self._now_ms = now_ms
        self._next = time.monotonic() + _FIRST_S

    def tend(self) -> None:
        """Begins one when it is time."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            threading.Thread(target=self._run, name="fourth-book", daemon=True).start()

    def _run(self) -> None:
        try:
            self.work(compare.DAYS)
        except (GatewayError, SQLAlchemyError) as exc:
            _log.warning("fourth book: %s", exc)
            self._next = time.monotonic() + _FIRST_S

    def work(self, days: int) -> Comparison:
        """Compares; what differs is an alarm until somebody closes it. Raises GatewayError."""
        since = compare.since_days(days, self._now_ms())
        found = compare.compare(self._engine, self._operator, self._gateway, since, self._now_ms())
        with writing(self._engine) as db:
            for difference in found.differences[:_NAMED]:
                detail = str(difference)[:500]
                known = select(Problem.id).where(
                    Problem.code == CODE, Problem.detail == detail, Problem.open
                )
                if db.scalars(known).first() is None:
                    db.add(
                        Problem(
                            charger="", code=CODE, detail=detail, at=self._now_ms(),
                            payload=f"payment {difference.reference}",
                        )
                    )  # fmt: skip
        return found
