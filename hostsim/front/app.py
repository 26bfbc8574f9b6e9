"""The front's HTTP and WebSocket side.

GET  /               the page
GET  /api/snapshot   the world's whole state
POST /api/act        {"act": name, "args": {...}} -> {"ok": true}; 422 with {"ok": false, "error"}
GET  /api/qr.svg     ?text=... as a QR code
WS   /ws             first {"t": "snapshot", ...}, then what World.subscribe says;
                     takes {"id", "act", "args"}, answers {"t": "result", "id", "ok", "error"}
/backoffice          what `extra` brought

data-testid of the page, stable names for tests:

driver     screen (its text), qr, light (data-light), terminal-display, card-slot (data-card),
           announce, stop, emergency (aria-pressed), cable (data-at: holster, vehicle;
           data-flowing: true, false), car, battery-pct, session-state
cards      card-<name>, more-cards, remove-card
vehicle    plug, unplug, vehicle-full, vehicle-pause (aria-pressed)
figures    figure-power, figure-energy, figure-price, figure-time, figure-hold, chart
world      speed (range 1..60), speed-value, sim-time, language-<code>, switch-network,
           switch-meter, switch-terminal, switch-power (role switch, aria-checked: connected)
books      books, books-verdict (data-agree: true, false, unknown), books-differences
engineers  tab-<kind> and panel-<kind> for zvt, modbus, mqtt, lines, ledger, log, device;
           rows-<kind>, register-<name>, filter, pause, clear, meter-fault-<name>,
           terminal-fault-<name>
page       banner (the simulator is gone), toasts, toast, status-firmware, status-online,
           charger-id
"""

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import segno
from fastapi import APIRouter, FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from hostsim.front.acts import BadActError, check
from hostsim.front.guard import LoopbackOnly
from hostsim.front.server import PortInUse, PortInUseError, serve
from hostsim.front.world import World

__all__ = ["PortInUse", "PortInUseError", "World", "create_app", "serve"]

_HERE = Path(__file__).parent
_MAX_QR = 512
_KINDS = (
    ("zvt", "Terminal"),
    ("modbus", "Meter"),
    ("mqtt", "MQTT"),
    ("lines", "Lines"),
    ("ledger", "Ledger"),
    ("log", "Log"),
    ("device", "Device"),
)
_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"


def create_app(world: World, extra: Sequence[APIRouter | FastAPI] = ()) -> FastAPI:
    """The page on `world`.

    `extra`: an APIRouter is included with its own prefix, a FastAPI application is mounted at
    /backoffice (at most one; ValueError for more). With any of them the page links to /backoffice.
    """
    app = FastAPI(title="Forecourt", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(LoopbackOnly)
    app.mount("/static", _Static(directory=_HERE / "static"))
    app.include_router(_routes(world, bool(extra)))
    mounted = [part for part in extra if isinstance(part, FastAPI)]
    if len(mounted) > 1:
        raise ValueError("only one application can be mounted at /backoffice")
    for part in extra:
        if isinstance(part, APIRouter):
            app.include_router(part)
    for part in mounted:
        app.mount("/backoffice", part)
    return app


class _Static(StaticFiles):
    """Asked again each time: the page must fit the simulator that is running."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _routes(world: World, backoffice: bool) -> APIRouter:
    router = APIRouter()
    templates = Jinja2Templates(_HERE / "templates")

    @router.get("/", response_class=HTMLResponse)
    async def page(request: Request) -> Response:
        context = {
            "charger": world.snapshot().get("charger", ""),
            "backoffice": backoffice,
            "kinds": _KINDS,
        }
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        return templates.TemplateResponse(request, "index.html", context, headers=headers)

    @router.get("/api/snapshot")
    async def snapshot() -> dict[str, Any]:
        return world.snapshot()

    @router.post("/api/act")
    async def act(request: Request) -> Response:
        answer = await _answer(world, (await request.body()).decode("utf-8", "replace"))
        return JSONResponse(answer, 200 if answer["ok"] else 422)

    @router.get("/api/qr.svg")
    async def qr(text: str = Query(min_length=1, max_length=_MAX_QR)) -> Response:
        out = io.BytesIO()
        segno.make(text, error="m", micro=False).save(out, kind="svg", border=2, scale=4)
        return Response(out.getvalue(), media_type="image/svg+xml")

    @router.websocket("/ws")
    async def follow(socket: WebSocket) -> None:
        await socket.accept()
        await _Follower(world, socket).run()

    return router


async def _answer(world: World, text: str) -> dict[str, Any]:
    """Perform one request; whatever came, an answer to it."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {"t": "result", "id": None, "ok": False, "error": f"not JSON: {error}"}
    given = message.get("id") if isinstance(message, dict) else None
    answer = {"t": "result", "id": given if isinstance(given, (int, str)) else None}
    try:
        name, args = check(message)
    except BadActError as error:
        return {**answer, "ok": False, "error": str(error)}
    return {**answer, **await world.act(name, **args)}


class _Follower:
    """One page that is open."""

    def __init__(self, world: World, socket: WebSocket) -> None:
        self._world = world
        self._socket = socket
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        queue = self._world.subscribe()
        sender: asyncio.Task[None] | None = None
        try:
            await self._send({"t": "snapshot", **self._world.snapshot()})
            sender = asyncio.create_task(self._forward(queue))
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._send(await _answer(self._world, message.get("text") or ""))
        except WebSocketDisconnect:
            return
        finally:
            if sender is not None:
                sender.cancel()
            self._world.unsubscribe(queue)

    async def _forward(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        try:
            while True:
                await self._send(await queue.get())
        except WebSocketDisconnect:
            return

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._turn:
            await self._socket.send_text(json.dumps(message))
