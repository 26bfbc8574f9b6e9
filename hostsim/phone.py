"""A driver's phone, without a browser: scans the code on a charger's screen, pays on the page
behind it, looks at the page until it is a receipt.
"""

from __future__ import annotations

import asyncio
import re
import time

import httpx

from hostsim.errors import WorldError

GOOD, DECLINED, CONFIRM = (
    "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired",
)  # fmt: skip
ENDED = ("captured", "cancelled", "declined", "lost")
_EVERY_S = 0.15


class Phone:
    """One driver. `page`: the payment's own address once there is one; `text`: the page it
    shows."""

    def __init__(self, address: str = "") -> None:
        """Nothing is open. `address`: its own (one of 127.0.0.0/8), for pages that count holds by
        it."""
        own = httpx.AsyncHTTPTransport(local_address=address) if address else None
        self._client = httpx.AsyncClient(follow_redirects=True, timeout=30, transport=own)
        self.page = ""
        self.text = ""
        self.status = 0

    async def close(self) -> None:
        """Puts it away."""
        await self._client.aclose()

    async def open(self, address: str, language: str = "en") -> None:
        """Goes there."""
        await self._show(await self._client.get(address, params={"lang": language}))

    async def pay(self, address: str, method: str = GOOD, language: str = "en") -> str:
        """Scans and pays; the payment's state, or "refused" when there is none (`said` has the
        words' key)."""
        await self.open(address, language)
        token = re.search(r'name="token" value="([^"]+)"', self.text)
        if token is None:
            return "refused"
        tariff = re.search(r'name="tariff" value="(\d+)"', self.text)
        fields = {"token": token[1], "method": method, "lang": language}
        fields["tariff"] = tariff[1] if tariff else ""
        await self._show(await self._client.post(address, data=fields))
        if self.said:
            return "refused"
        self.page = address.partition("/pay/")[0] + "/pay/p/" + token[1]
        return self.state

    @property
    def said(self) -> str:
        """Why nothing can be bought: the words' key."""
        found = re.search(r'data-key="(\w+)"', self.text)
        return found[1] if found and 'role="alert"' in self.text else ""

    @property
    def state(self) -> str:
        """The payment's, as the page has it."""
        found = re.search(r'data-state="(\w+)"', self.text)
        return found[1] if found else ""

    async def look(self) -> str:
        """The page of now."""
        await self._show(await self._client.get(self.page))
        return self.state

    async def until(self, *states: str, timeout_s: float = 60) -> str:
        """Looks until the payment is there. Raises WorldError."""
        end = time.monotonic() + timeout_s
        while await self.look() not in states:
            if time.monotonic() > end:
                raise WorldError(
                    f"the phone waited {timeout_s:.0f} s for {' or '.join(states)}; it shows"
                    f" {self.state}"
                )
            await asyncio.sleep(_EVERY_S)
        return self.state

    async def stop(self) -> None:
        """The button on the page."""
        await self._show(await self._client.post(self.page + "/stop"))

    async def again(self, method: str) -> str:
        """Another card."""
        await self._show(await self._client.post(self.page + "/again", data={"method": method}))
        return self.state

    async def _show(self, answer: httpx.Response) -> None:
        self.status, self.text = answer.status_code, answer.text
