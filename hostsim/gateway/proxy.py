"""In front of localstripe: what it lacks of Stripe, and what can go wrong on the way.

Added here, and not localstripe's (1.15.10): idempotency keys; `amount_received`; no capture or
refund beyond what is there, none of a cancelled payment; `created` in lists; incremental
authorisation; the confirmation page of a bank (3-D Secure) with `return_url`; webhooks of
captures, cancellations and refunds; refunds that stay pending or fail. All else is localstripe's
answer, and every payment and refund is in its store.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx

from hostsim.gateway import bank, faults, stripelike
from hostsim.gateway.faults import Fault, Faults
from hostsim.gateway.hooks import Hooks
from hostsim.gateway.peer import Peer

SECRET = "sk_test_forecourt_peer"
PUBLISHABLE = "pk_test_forecourt_peer"
WEBHOOK = "whsec_forecourt_peer_0123456789"
_UPSTREAM_S = 20


class Proxy:
    """`directory`: the world's; localstripe keeps its payments there. `faults` and `hooks` are
    for whoever makes trouble."""

    def __init__(self, directory: Path) -> None:
        """Nothing runs yet."""
        self.peer = Peer(directory)
        self.faults = Faults()
        self.hooks = Hooks(WEBHOOK)
        self._keys = stripelike.Keys(directory / "keys.json")
        self._money = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._serve, name="gateway proxy", daemon=True)
        self.like = stripelike.StripeLike(self.ask, self.hooks, self.url)

    @property
    def url(self) -> str:
        """What the SDK talks to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environ(self) -> dict[str, str]:
        """The keys as the back office finds them in its environment."""
        return {
            "FORECOURT_STRIPE_SECRET": SECRET,
            "FORECOURT_STRIPE_PUBLISHABLE": PUBLISHABLE,
            "FORECOURT_STRIPE_WEBHOOK": WEBHOOK,
        }

    def start(self) -> None:
        """Raises PeerError."""
        self.peer.start()
        self.hooks.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends all three."""
        if self._thread.is_alive():
            self._server.shutdown()
            self.hooks.stop()
        self._server.server_close()
        self.peer.stop()

    def stuck(
        self, path: str, fields: dict[str, str], key: str, status: int
    ) -> tuple[int, dict[str, Any]]:
        """An answer 500, or the bank's no (402), that is kept for the key."""
        with self._money:
            known = self._keys.known(key, path, fields)
            if known is None:
                known = 500, stripelike.error("api_error", "something went wrong on our side")
                if status == 402:
                    said = stripelike.error("card_error", "the bank says no", "card_declined")
                    known = 402, said
                self._keys.keep(key, path, fields, known)
            return known

    def forget_keys(self) -> None:
        """As Stripe does with idempotency keys after a day."""
        self._keys.forget()

    def _serve(self) -> None:
        self._server.serve_forever(0.1)

    def ask(
        self, method: str, path: str, fields: dict[str, Any] | None = None, as_json: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """localstripe's own answer."""
        given: dict[str, Any] = {}
        if method == "POST":
            given = {"json": fields or {}} if as_json else {"data": fields or {}}
        elif fields:
            given = {"params": fields}
        answer = httpx.request(
            method,
            self.peer.url + path,
            headers={"Authorization": f"Bearer {SECRET}"},
            timeout=_UPSTREAM_S,
            **given,
        )
        return answer.status_code, answer.json()

    def answer(
        self, method: str, path: str, fields: dict[str, str], key: str
    ) -> tuple[int, dict[str, Any]]:
        """A request of the SDK's; once for each idempotency key."""
        if method != "POST":
            return self.like.read(path, fields)
        with self._money:  # one after the other: what is left is asked for and used in one go
            known = self._keys.known(key, path, fields)
            if known is None:
                known = self.like.act(path, dict(fields))
                self._keys.keep(key, path, fields, known)
            return known


class _Handler(BaseHTTPRequestHandler):
    """One connection of the SDK's, or of a browser at the bank's page."""

    proxy: Proxy  # of the class that _handler makes
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests have keys in their headers."""

    def do_GET(self) -> None:  # noqa: N802 - BaseHTTPRequestHandler's name
        """Reading."""
        self._serve("GET")

    def do_POST(self) -> None:  # noqa: N802
        """Doing."""
        self._serve("POST")

    def _serve(self, method: str) -> None:
        where = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        fields = dict(parse_qsl(body if method == "POST" else where.query))
        if where.path.startswith(bank.PATH):
            self._bank(method, where.path, where.query, fields)
            return
        if not self.headers.get("Authorization", "").endswith(SECRET):
            self._say(401, stripelike.error("authentication_error", "no such key"))
            return
        fault = self.proxy.faults.next(stripelike.operation(method, where.path))
        if fault and self._befallen(fault):
            return
        key = self.headers.get("Idempotency-Key", "")
        if fault and fault.kind == faults.STUCK:
            status, found = self.proxy.stuck(where.path, fields, key, fault.status)
        else:
            status, found = self.proxy.answer(method, where.path, fields, key)
        if fault and fault.kind == faults.LOST:
            self._hang_up()
            return
        self._say(status, found)

    def _befallen(self, fault: Fault) -> bool:
        """Whether this request goes no further."""
        if fault.kind == faults.SLOW:
            time.sleep(fault.seconds)
        elif fault.kind == faults.DOWN:
            self._hang_up()
            return True
        elif fault.kind == faults.ERROR:
            kind = "rate_limit_error" if fault.status == 429 else "api_error"
            self._say(fault.status, stripelike.error(kind, "the gateway has a bad day"))
            return True
        return False

    def _bank(self, method: str, path: str, query: str, fields: dict[str, str]) -> None:
        back = parse_qs(query).get("back", [""])[0]
        if method == "GET":
            self._page(bank.page(path, query))
            return
        intent = path.removeprefix(bank.PATH)
        self.proxy.like.authenticate(intent, fields.get("answer") == "yes")
        mark = "&" if "?" in back else "?"
        self.send_response(303)
        self.send_header("Location", back + mark + urlencode({"payment_intent": intent}))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _say(self, status: int, found: dict[str, Any]) -> None:
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Request-Id", "req_forecourt")
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    return type("_Handler", (_Handler,), {"proxy": proxy})
