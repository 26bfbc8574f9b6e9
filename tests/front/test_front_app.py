"""The front's HTTP and WebSocket side on a real uvicorn, in front of a fake world."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import websockets
from fastapi import APIRouter, FastAPI

from hostsim.front.acts import ACTS, check
from hostsim.front.app import PortInUse, create_app, serve
from tests.front.test_front_world import FakeWorld

EXAMPLES = {str: "visa", bool: True, int: 10}


@contextlib.asynccontextmanager
async def served(world: FakeWorld, **kwargs: Any) -> AsyncIterator[int]:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(create_app(world, **kwargs), port=0, on_ready=ready.set_result)
    )
    try:
        port = await asyncio.wait_for(ready, 5)
        yield port
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)


def play(test: Callable[[int, FakeWorld], Awaitable[None]], **kwargs: Any) -> FakeWorld:
    async def run() -> FakeWorld:
        world = FakeWorld()
        async with served(world, **kwargs) as port:
            await test(port, world)
        return world

    return asyncio.run(run())


async def get(port: int, path: str, **kwargs: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{port}{path}", **kwargs)


async def post(port: int, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}/api/act"
        return await client.post(url, content=body, headers=headers)


async def result(ws: websockets.ClientConnection) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(ws.recv(), 5))
        if message["t"] == "result":
            return message


def test_the_page_and_all_it_needs_come_from_here() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        page = await get(port, "/")
        assert page.status_code == 200 and "FC-0001" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "http://" not in page.text and "https://" not in page.text
        for name in (
            "base.css",
            "charger.css",
            "engineers.css",
            "main.js",
            "driver.js",
            "icon.svg",
        ):
            answer = await get(port, f"/static/{name}")
            assert answer.status_code == 200, name
            assert "url(http" not in answer.text and 'from "http' not in answer.text, name

    play(test)


def test_the_snapshot_is_the_worlds() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        assert (await get(port, "/api/snapshot")).json() == world.snapshot()

    play(test)


def test_a_qr_code_is_drawn_and_an_oversized_text_refused() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        good = await get(port, "/api/qr.svg", params={"text": "https://pay.example/r/1"})
        assert good.headers["content-type"].startswith("image/svg+xml") and "<svg" in good.text
        for text in ("", "x" * 513):
            assert (await get(port, "/api/qr.svg", params={"text": text})).status_code == 422

    play(test)


def test_every_act_reaches_the_world_with_its_arguments() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as ws:
            for number, (name, kinds) in enumerate(ACTS.items()):
                world.refuse[name] = "told to"
                args = {key: EXAMPLES[kind] for key, kind in kinds.items()}
                await ws.send(json.dumps({"id": number, "act": name, "args": args}))
                answer = await result(ws)
                assert answer == {"t": "result", "id": number, "ok": False, "error": "told to"}
                assert world.acts[-1] == (name, args)

    play(test)


def test_arguments_reach_the_world_in_their_own_order() -> None:
    assert list(check({"act": "meter_fault", "args": {"on": True, "name": "silent"}})[1]) == [
        "name",
        "on",
    ]


def test_a_page_gets_the_snapshot_first_then_what_happens() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as ws:
            first = json.loads(await ws.recv())
            assert first == {"t": "snapshot", **world.snapshot()}
            await ws.send(json.dumps({"id": "a", "act": "plug"}))
            seen = [json.loads(await asyncio.wait_for(ws.recv(), 5)) for _ in range(3)]
            kinds = sorted(message["t"] for message in seen)
            assert kinds == ["event", "result", "state"]
            assert next(m for m in seen if m["t"] == "result")["ok"] is True
            assert next(m for m in seen if m["t"] == "state")["vehicle"]["plugged"] is True

    play(test)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"tap"',
        "1" * 5000,
        "[" * 20000,
        '{"act": "explode"}',
        '{"act": ["tap"], "args": {}}',
        '{"act": "tap"}',
        '{"act": "tap", "args": []}',
        '{"act": "tap", "args": {"card": 1}}',
        '{"act": "tap", "args": {"card": ""}}',
        '{"act": "tap", "args": {"card": "' + "x" * 41 + '"}}',
        '{"act": "tap", "args": {"card": "visa", "more": 1}}',
        '{"act": "speed", "args": {"n": 0}}',
        '{"act": "speed", "args": {"n": 61}}',
        '{"act": "speed", "args": {"n": 1.5}}',
        '{"act": "speed", "args": {"n": true}}',
        '{"act": "speed", "args": {"n": NaN}}',
        '{"act": "emergency", "args": {"on": 1}}',
        '{"id": {}, "act": "__init__", "args": {}}',
    ],
)
def test_a_bad_message_is_answered_and_changes_nothing(text: str) -> None:
    async def test(port: int, world: FakeWorld) -> None:
        before = world.snapshot()
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as ws:
            await ws.send(text)
            answer = await result(ws)
            assert answer["ok"] is False and answer["error"]
            await ws.send(text.encode())
            assert (await result(ws))["ok"] is False
            await ws.send('{"id": 7, "act": "stop", "args": {}}')
            assert await result(ws) == {"t": "result", "id": 7, "ok": True}
        assert (await post(port, text.encode())).status_code == 422
        assert world.snapshot() == before and world.acts == [("stop", {})]

    play(test)


def test_acts_work_over_http_too() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        good = await post(port, b'{"act": "plug", "args": {}}')
        assert good.status_code == 200 and good.json()["ok"] is True
        bad = await post(port, b'{"act": "tap", "args": {"card": "visa"}}')
        assert bad.status_code == 200 and world.state == "charging"

    play(test)


def test_a_foreign_host_name_is_refused() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[::1"):
            assert (await get(port, "/", headers={"host": host})).status_code == 403, host
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
            assert (await get(port, "/", headers={"host": host})).status_code == 200, host

    play(test)


def test_a_page_from_elsewhere_can_neither_act_nor_listen() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        here = f"http://127.0.0.1:{port}"
        for origin in (
            "http://evil.example",
            "null",
            f"http://127.0.0.1:{port + 1}",
            f"http://localhost:{port}",
        ):
            assert (await post(port, b'{"act": "plug"}', origin=origin)).status_code == 403, origin
            with pytest.raises(websockets.InvalidStatus):
                async with websockets.connect(
                    f"ws://127.0.0.1:{port}/ws", origin=websockets.Origin(origin)
                ):
                    pass
        assert (await post(port, b'{"act": "plug"}', origin=here)).status_code == 200
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/ws", origin=websockets.Origin(here)
        ) as ws:
            assert json.loads(await ws.recv())["t"] == "snapshot"

    play(test)


def test_a_page_that_leaves_is_forgotten() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as ws:
            await ws.recv()
            assert len(world.queues) == 1
        for _ in range(100):
            world.tick(100)
            if not world.queues:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("still subscribed")

    play(test)


def test_two_pages_see_the_same() -> None:
    async def test(port: int, world: FakeWorld) -> None:
        url = f"ws://127.0.0.1:{port}/ws"
        async with websockets.connect(url) as one, websockets.connect(url) as two:
            for ws in (one, two):
                await ws.recv()
            await one.send('{"id": 1, "act": "plug", "args": {}}')
            for _ in range(2):
                state = json.loads(await asyncio.wait_for(two.recv(), 5))
            assert state["vehicle"]["plugged"] is True

    play(test)


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(PortInUse) as caught:
                await serve(create_app(FakeWorld()), port=port)
            assert f"Port {port}" in str(caught.value) and "--port" in str(caught.value)

    asyncio.run(run())


def test_stopping_closes_open_pages_and_frees_the_port() -> None:
    async def run() -> None:
        world = FakeWorld()
        async with served(world) as port:
            ws = await websockets.connect(f"ws://127.0.0.1:{port}/ws")
            await ws.recv()
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(ws.recv(), 5)
        assert world.queues == []
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))

    asyncio.run(run())


def test_a_back_office_is_mounted_and_linked() -> None:
    office = FastAPI()

    @office.get("/")
    async def page() -> dict[str, str]:
        return {"who": "office"}

    async def test(port: int, world: FakeWorld) -> None:
        assert (await get(port, "/backoffice/")).json() == {"who": "office"}
        assert 'href="/backoffice"' in (await get(port, "/")).text

    play(test, extra=[office])


def test_a_router_is_included_and_nothing_is_linked_without_one() -> None:
    router = APIRouter(prefix="/backoffice")

    @router.get("")
    async def page() -> dict[str, str]:
        return {"who": "router"}

    async def with_router(port: int, world: FakeWorld) -> None:
        assert (await get(port, "/backoffice")).json() == {"who": "router"}

    async def without(port: int, world: FakeWorld) -> None:
        assert "/backoffice" not in (await get(port, "/")).text

    play(with_router, extra=[router])
    play(without)
