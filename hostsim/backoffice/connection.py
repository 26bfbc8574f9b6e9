"""The back office's connection to the broker, in a thread and loop of its own.

A database commit must not delay a simulated serial line, so nothing here runs in the caller's
loop. `begin`, `end` and `send` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import aiomqtt
from sqlalchemy.exc import SQLAlchemyError

from hostsim.backoffice import contract
from hostsim.backoffice.desk import RESEND_S, Desk, Message
from hostsim.backoffice.fall import Fall, Falls
from hostsim.pki import Pki

_BATCH = 256
_RETRY_S = 0.5
_ANSWER_S = 3  # of the broker, for anything
_HANGS_S = 300.0  # a batch or a round of chores takes seconds
AT_ONCE = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
"""Small packets leave without waiting: an acknowledgement behind another would be held back until
the broker's kernel confirms the first, 40 ms later (RFC 1122, 4.2.3.2 and 4.2.3.4)."""
_log = logging.getLogger(__name__)


class BrokerAddress(Protocol):
    """Where the broker listens for the back office: a Broker, or anything with these two."""

    @property
    def host(self) -> str:
        """Name or address."""
        ...

    @property
    def office_port(self) -> int:
        """TCP port, where one client may have several connections."""
        ...


class Connection:
    """Serves `desk` between `begin` and `end`; comes back whenever the broker went away.

    `heard(direction, topic, payload)` gets every message, in this connection's thread.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        pki: Pki,
        heard: Callable[[str, str, bytes], None],
        group: str = "",
        leads: bool = True,
    ) -> None:
        """`group`: several connections of that name share the messages (MQTT 5.0, 4.8.2 "Shared
        Subscriptions"); the one that `leads` greets and reminds chargers."""
        self._filter = f"$share/{group}/" if group else ""
        self._leads = leads
        self._broker = broker
        self._pki = pki
        self._heard = heard
        self._desk: Desk | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._outbound: asyncio.Queue[Message] = asyncio.Queue()
        self._ready = threading.Event()
        self.connected = threading.Event()
        self.faults = 0  # of the program, each of which ended the connection
        self._falls = Falls()
        self._away = ""  # why there is no connection
        self._busy: dict[str, float] = {}  # what is worked on: since when
        self._without: set[str] = set()  # what the database failed, and it has not worked since

    @property
    def running(self) -> bool:
        """Whether it was begun and not ended."""
        return self._thread is not None

    def troubles(self) -> dict[str, str]:
        """What does not work as it should just now -> why; none before `begin`."""
        if self._thread is None:
            return {}
        if not self._thread.is_alive():
            return {"connection": "stopped"}
        found = self._falls.said()
        if not self.connected.is_set() and self._away:
            found["broker"] = self._away
        for what, since in self._busy.copy().items():
            silent = time.monotonic() - since
            if silent > _HANGS_S:
                found[what] = f"silent for {silent:.0f} s"
        return found

    def begin(self, desk: Desk) -> None:
        """Start the thread; connects in the background."""
        if self._thread is None:
            self._desk = desk
            self._ready.clear()
            self._thread = threading.Thread(target=self._run, name="back office", daemon=True)
            self._thread.start()
            self._ready.wait(10)

    def end(self) -> None:
        """Stop; what was received but not committed was not acknowledged either."""
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                    self._loop.call_soon_threadsafe(self._stopping.set)
            thread.join(10)
        self.connected.clear()

    def send(self, topic: str, payload: bytes, retain: bool) -> None:
        """Queue a message; it is lost when there is no connection."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # ended meanwhile
                loop.call_soon_threadsafe(self._outbound.put_nowait, (topic, payload, retain))

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        self._outbound = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        stopping = asyncio.create_task(self._stopping.wait())
        serving = asyncio.create_task(self._serve_for_ever())
        try:
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop = None
            self.connected.clear()
            stopping.cancel()
            serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    async def _serve_for_ever(self) -> None:
        said = ""  # once, not at every try
        while True:
            fall = Fall(aiomqtt.MqttError, SQLAlchemyError)
            try:
                with fall:
                    await self._serve()
            except aiomqtt.MqttError as exc:
                level = logging.INFO if str(exc) == said else logging.WARNING
                said = self._away = str(exc)
                _log.log(level, "back office: broker: %s", said)
            except SQLAlchemyError as exc:  # what was not acknowledged comes again
                _log.warning("back office: database: %s", exc)
                self._falls.note("database", exc)
            finally:
                self.connected.clear()
            if fall.error is not None:
                self.faults += 1
                self._falls.note("connection", fall.error)
                _log.error("back office: fell, begins again", exc_info=fall.error)
            await asyncio.sleep(_RETRY_S)

    async def _serve(self) -> None:
        assert self._desk is not None
        async with aiomqtt.Client(
            self._broker.host,
            self._broker.office_port,
            identifier=f"backoffice-{uuid.uuid4().hex[:8]}",
            tls_context=_tls_context(self._pki),
            keepalive=15,
            timeout=_ANSWER_S,
            max_queued_outgoing_messages=0,
            socket_options=AT_ONCE,
        ) as client:
            for name in contract.OUTGOING:
                await client.subscribe(self._filter + contract.topic("+", name), qos=1)
            works = [self._receive, self._send_queued]
            if self._leads:
                with self._working("greetings"):
                    greetings = await asyncio.to_thread(self._desk.greetings)
                await self._publish(client, greetings)
                works.append(self._remind)
            self.connected.set()
            tasks = [asyncio.create_task(work(client, self._desk)) for work in works]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome

    async def _receive(self, client: aiomqtt.Client, desk: Desk) -> None:
        queue: asyncio.Queue[Message] = asyncio.Queue()
        waiting: set[Message] = set()
        reader = asyncio.create_task(self._pump(client, queue, waiting))
        try:
            while True:
                batch = [await _next(queue, reader)]
                while len(batch) < _BATCH and not queue.empty():
                    batch.append(queue.get_nowait())
                waiting.difference_update(batch)
                # In a thread, so that more arrive meanwhile: they are the next batch.
                with self._working("records"):
                    await asyncio.to_thread(desk.handle, batch)
        finally:
            reader.cancel()

    async def _pump(
        self, client: aiomqtt.Client, queue: asyncio.Queue[Message], waiting: set[Message]
    ) -> None:
        """Into the queue. A record that is in it already, for its charger repeats what is long
        without an answer, is not worked on twice: what waits is answered for both."""
        async for message in client.messages:
            payload = message.payload
            data = bytes(payload) if isinstance(payload, bytes | bytearray) else b""
            self._heard("out", str(message.topic), data)
            found = (str(message.topic), data, bool(message.retain))
            if found[0].endswith("/records"):
                if found in waiting:
                    continue
                waiting.add(found)
            queue.put_nowait(found)

    async def _send_queued(self, client: aiomqtt.Client, _desk: Desk) -> None:
        while True:
            await self._publish(client, [await self._outbound.get()])

    async def _remind(self, client: aiomqtt.Client, desk: Desk) -> None:
        while True:
            await self._round(client, desk)
            await asyncio.sleep(RESEND_S)

    async def _round(self, client: aiomqtt.Client, desk: Desk) -> None:
        with self._working("chores"):
            messages = await asyncio.to_thread(desk.reminders)
        for message in messages:
            if not desk.is_over(message):
                await self._publish(client, [message])

    @contextlib.contextmanager
    def _working(self, what: str) -> Iterator[None]:
        self._busy[what] = time.monotonic()
        try:
            yield
            self._without.discard(what)
            if not self._without:
                self._falls.over("database")
        except SQLAlchemyError:
            self._without.add(what)
            raise
        finally:
            self._busy.pop(what, None)

    async def _publish(self, client: aiomqtt.Client, messages: list[Message]) -> None:
        for topic, payload, retain in messages:
            self._heard("in", topic, payload)
            await client.publish(topic, payload, qos=1, retain=retain)


async def _next(queue: asyncio.Queue[Message], reader: asyncio.Task[None]) -> Message:
    """The next message, or the error that ended the reading."""
    getting = asyncio.create_task(queue.get())
    try:
        await asyncio.wait({getting, reader}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
    finally:
        if not getting.done():
            getting.cancel()
    reader.result()
    raise aiomqtt.MqttError("no more messages")


def _tls_context(pki: Pki) -> ssl.SSLContext:
    own = pki.back_office
    context = ssl.create_default_context(cafile=str(pki.ca))
    context.load_cert_chain(own.cert, own.key)
    return context
