"""The gateway's webhooks, as Stripe sends them: signed when sent, repeated until they are taken.

localstripe sends two kinds of its own, once; those of captures, cancellations, extensions and
refunds are made here from what it answered. Signature: Stripe API reference, "Webhooks: verify
signatures manually" (t, v1: HMAC-SHA-256 over "t.payload").
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import queue
import secrets
import threading
import time
from typing import Any

import httpx

from hostsim.gateway.faults import HookFaults

_TRIES = 5
_WAIT_S = 0.5


def signature(payload: bytes, secret: str, at: int) -> str:
    """The header Stripe-Signature."""
    mac = hmac.new(secret.encode(), b"%d." % at + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


class Hooks:
    """Delivers to `url` ("" for nowhere) in a thread of its own; `delivered` and `refused` count
    answers."""

    def __init__(self, secret: str) -> None:
        """`secret`: whsec_..."""
        self.url = ""
        self.faults = HookFaults()
        self.delivered = 0
        self.refused = 0
        self._secret = secret
        self._held: list[dict[str, Any]] = []
        self._due: queue.Queue[tuple[float, int, dict[str, Any]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """What is not delivered is lost: whoever waits for it has to look it up."""
        self._due.put(None)
        self._thread.join(5)

    def happened(self, kind: str, thing: dict[str, Any]) -> None:
        """An event of our own."""
        now = int(time.time())
        self.send(
            {
                "id": "evt_" + secrets.token_hex(7),
                "object": "event",
                "type": kind,
                "created": now,
                "livemode": False,
                "data": {"object": thing},
            }
        )

    def send(self, event: dict[str, Any]) -> None:
        """An event, as the faults of now say."""
        f = self.faults
        if f.never or not self.url:
            return
        if f.backwards:
            self._held.append(event)
            return
        for _ in range(f.copies):
            self._due.put((time.monotonic() + f.late_s, 1, event))

    def release(self) -> None:
        """What was held back goes out, the newest first."""
        held, self._held = self._held, []
        self.faults.backwards = False
        for event in reversed(held):
            self.send(event)

    def _run(self) -> None:
        waiting: list[tuple[float, int, dict[str, Any]]] = []
        while True:
            with contextlib.suppress(queue.Empty):
                entry = self._due.get(timeout=0.05)
                if entry is None:
                    return
                waiting.append(entry)
            now = time.monotonic()
            for entry in [one for one in waiting if one[0] <= now]:
                waiting.remove(entry)
                _, attempt, event = entry
                if not self._deliver(event) and attempt < _TRIES:
                    waiting.append((now + _WAIT_S * 2**attempt, attempt + 1, event))

    def _deliver(self, event: dict[str, Any]) -> bool:
        payload = json.dumps(event, sort_keys=True).encode()
        header = signature(payload, self._secret, int(time.time()))
        try:
            answer = httpx.post(
                self.url,
                content=payload,
                headers={"Stripe-Signature": header, "Content-Type": "application/json"},
                timeout=5,
            )
        except httpx.HTTPError:
            return False
        if answer.is_success:
            self.delivered += 1
        else:
            self.refused += 1
        return answer.is_success
