"""Only pages of this server on this machine may talk to it.

A page from elsewhere could reach a loopback server through the browser: by a name that is made to
resolve to 127.0.0.1 (DNS rebinding; it shows in the Host header) or by a plain cross-site request
(it shows in the Origin header, which a WebSocket always carries and which CORS does not protect).
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_REASON = "This page is served to this machine only: open it as http://127.0.0.1:<port>/"


class LoopbackOnly:
    """ASGI middleware: 403 for a foreign Host, and for a foreign Origin where the request could
    change something.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not _allowed(scope):
            if scope["type"] == "http":
                await PlainTextResponse(_REASON, 403)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": "not this machine"})
            return
        await self._app(scope, receive, send)


def _allowed(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if _name(host) not in _LOOPBACK:
        return False
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
        return True
    origin = headers.get("origin")
    return origin is None or origin == f"http://{host}"


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
