"""The back office as a service: takes records from the broker, acknowledges after its commit, sends what is asked for.

Runs in a thread of its own with its own loop, so that a database commit never delays a simulated serial line; every
public method may be called from any thread, and none but start and stop waits. Starting again loses nothing: chargers
keep what was not acknowledged, tariffs, configs and unanswered commands are in the database or sent again by whoever
asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import aiomqtt
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Db

from hostsim.backoffice import contract, signing, views
from hostsim.backoffice.ingest import Ack, Ingest, known_charger
from hostsim.backoffice.models import Charger, Command, Problem, Stream, open_database, writing
from hostsim.pki import Pki

_BATCH = 256
_RETRY_S = 0.5
_RESEND_S = 5.0
_AGAIN_S = 1.0
_LOG_LINES = 500
_log = logging.getLogger(__name__)


class BrokerAddress(Protocol):
    """Where the broker is: a Broker, or anything with these two."""

    host: str
    port: int


class BackOffice:
    """`db_url`: SQLAlchemy's; `broker`: host and port; `pki`: its own certificate and the chargers' command keys.

    `now_ms` is the clock commands expire by: the simulated world's, or the machine's when not given.
    """

    def __init__(
        self,
        db_url: str,
        broker: BrokerAddress,
        pki: Pki,
        now_ms: Callable[[], int] | None = None,
        on_event: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> None:
        """Opens the database; `start` connects. `on_event("mqtt", {direction, topic, payload})` gets every message, in
        the loop that called start; direction "out" is from a charger."""
        self.url = db_url
        self.engine: Engine = open_database(db_url)
        self.logs: deque[dict[str, Any]] = deque(maxlen=_LOG_LINES)
        self.acks_sent = 0
        self._broker = broker
        self._pki = pki
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self.ingest = Ingest(self.engine, self._now_ms)
        self._on_event = on_event
        self._owner: asyncio.AbstractEventLoop | None = None
        self._retained: dict[str, bytes] = {}
        self._last_again: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._outbound: asyncio.Queue[tuple[str, bytes, bool]] | None = None
        self._connected = threading.Event()
        self._ready = threading.Event()

    # -- life

    async def start(self) -> None:
        """Begin; connects in the background and again whenever the broker went away."""
        self._owner = asyncio.get_running_loop()
        await asyncio.to_thread(self.begin)

    async def stop(self) -> None:
        """End; what was received but not committed was not acknowledged either."""
        await asyncio.to_thread(self.end)

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    def begin(self) -> None:
        """`start` for callers without a loop."""
        if self._thread is None:
            self._ready.clear()
            self._thread = threading.Thread(target=self._run, name="back office", daemon=True)
            self._thread.start()
            self._ready.wait(10)

    def end(self) -> None:
        """`stop` for callers without a loop."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            thread.join(10)
        self._connected.clear()

    def close(self) -> None:
        """End, and close the database."""
        self.end()
        self.engine.dispose()

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._thread is not None

    @property
    def connected(self) -> bool:
        """Whether the broker has it now."""
        return self._connected.is_set()

    def wait_connected(self, timeout: float = 10) -> bool:
        """Wait until the broker has it; False when the time is over."""
        return self._connected.wait(timeout)

    # -- what operators send

    def send_tariff(self, charger: str, tariff_json: str | bytes) -> None:
        """Publish an OCPI tariff to one charger, retained."""
        self._retain(charger, "tariff", tariff_json)

    def send_config(self, charger: str, config_json: str | bytes) -> None:
        """Publish a configuration to one charger, retained."""
        self._retain(charger, "config", config_json)

    def send_command(self, charger: str, name: str, *, expires_in_s: float = 300, **args: Any) -> str:
        """Sign and send a command; answers its id. It is sent again until it is answered or has expired."""
        identity = str(uuid.uuid4())
        now = self._now_ms()
        expires_at = now + int(expires_in_s * 1000)
        key = self.command_key(charger).hex()
        with writing(self.engine) as db:
            row = known_charger(db, charger)
            row.command_counter += 1
            counter = row.command_counter
            message = signing.sign(key, identity, charger, counter, expires_at, name, args)
            db.add(
                Command(
                    id=identity, charger=charger, counter=counter, name=name, message=message,
                    expires_at=expires_at, sent_at=now, state="sent", result={},
                )
            )  # fmt: skip
        self._publish(contract.topic(charger, "command"), message.encode())
        return identity

    def command_key(self, charger: str) -> bytes:
        """The key its commands are signed with; goes into the charger's config."""
        return bytes.fromhex(self._pki.charger(charger).command_key)

    def accept_gap(self, charger: str, reason: str) -> None:
        """An operator's word that what is missing will not come (another back office has it): go on behind the gap."""
        with writing(self.engine) as db:
            row = known_charger(db, charger)
            stream = db.get(Stream, (charger, row.epoch))
            acked = int(row.status.get("acked_seq", 0))
            if stream is None or acked <= stream.committed_seq:
                return
            detail = f"records {stream.committed_seq + 1} to {acked} given up: {reason}"
            self.ingest.report(db, charger, "gap_accepted", detail, stream.epoch, acked)
            stream.committed_seq = acked
        self._publish_ack(Ack(charger, row.epoch, acked, True))

    def close_problem(self, identity: int) -> None:
        """An operator has seen to it."""
        with writing(self.engine) as db:
            problem = db.get(Problem, identity)
            if problem is not None:
                problem.open = False

    # -- what it knows

    def sessions(self, charger: str | None = None) -> list[dict[str, Any]]:
        """Every session, newest first (views.session_dict)."""
        return views.sessions(self.engine, charger)

    def books(self, charger: str) -> dict[str, Any]:
        """authorised_minor, captured_minor, released_minor, refunded_minor, billed_wh, open, sessions."""
        return views.books(self.engine, charger)

    def problems(self, charger: str | None = None) -> list[dict[str, Any]]:
        """What nobody has closed yet, newest first."""
        return views.problems(self.engine, charger)

    def records(self, charger: str) -> list[dict[str, Any]]:
        """Every record in the books, in order: epoch, seq, type, version, at and the fields."""
        return views.records(self.engine, charger)

    def commands(self, charger: str | None = None) -> list[dict[str, Any]]:
        """Commands and what became of them, newest first."""
        return views.commands(self.engine, charger)

    def chargers(self) -> list[dict[str, Any]]:
        """Every charger heard of."""
        return views.chargers(self.engine)

    # -- the thread

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._outbound = asyncio.Queue()
        self._ready.set()
        stopping = asyncio.create_task(self._stopping.wait())
        serving = asyncio.create_task(self._serve_for_ever())
        await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        stopping.cancel()
        self._loop = None

    async def _serve_for_ever(self) -> None:
        while True:
            try:
                await self._serve()
            except aiomqtt.MqttError as exc:
                _log.info("back office: %s", exc)
            except SQLAlchemyError as exc:  # what was not committed was not acknowledged: it comes again
                _log.warning("back office: database: %s", exc)
            finally:
                self._connected.clear()
            await asyncio.sleep(_RETRY_S)

    async def _serve(self) -> None:
        async with aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            identifier=f"backoffice-{uuid.uuid4().hex[:8]}",
            tls_context=_tls_context(self._pki),
            keepalive=15,
            timeout=3,
            max_queued_outgoing_messages=0,
        ) as client:
            for name in contract.OUTGOING:
                await client.subscribe(contract.topic("+", name), qos=1)
            await self._greet(client)
            self._connected.set()
            tasks = [asyncio.create_task(work(client)) for work in (self._receive, self._send, self._remind)]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome

    async def _greet(self, client: aiomqtt.Client) -> None:
        """After a connection: positions of all, what is retained (the broker may have lost it), open commands."""
        with Db(self.engine) as db:
            query = select(Stream).join(Charger, (Charger.name == Stream.charger) & (Charger.epoch == Stream.epoch))
            acks = [Ack(s.charger, s.epoch, s.committed_seq, True) for s in db.scalars(query)]
        for ack in acks:
            await client.publish(*_ack_message(ack), qos=1)
        for where, payload in self._retained.items():
            await client.publish(where, payload, qos=1, retain=True)

    async def _receive(self, client: aiomqtt.Client) -> None:
        queue: asyncio.Queue[aiomqtt.Message] = asyncio.Queue()
        reader = asyncio.create_task(_pump(client, queue))
        try:
            while True:
                first = await _next(queue, reader)
                batch = [first]
                while len(batch) < _BATCH and not queue.empty():
                    batch.append(queue.get_nowait())
                await asyncio.to_thread(self._handle, batch)  # more arrive meanwhile: the next batch
        finally:
            reader.cancel()

    def _handle(self, batch: list[aiomqtt.Message]) -> None:
        records: list[tuple[str, bytes]] = []
        for message in batch:
            payload = bytes(message.payload) if isinstance(message.payload, bytes | bytearray) else b""
            charger, name = contract.split_topic(str(message.topic))
            self._event("out", str(message.topic), payload)
            if name == "records":
                records.append((charger, payload))
            elif payload:
                self._take(charger, name, payload, bool(message.retain))
        if records:
            for ack in self.ingest.take(records):
                self._publish_ack(self._calmed(ack))

    def _calmed(self, ack: Ack) -> Ack:
        """A gap asks for a repetition at most once a second."""
        if not ack.again:
            return ack
        now = time.monotonic()
        if now - self._last_again.get(ack.charger, -_AGAIN_S) < _AGAIN_S:
            return Ack(ack.charger, ack.epoch, ack.seq)
        self._last_again[ack.charger] = now
        return ack

    def _take(self, charger: str, name: str, payload: bytes, retained: bool) -> None:
        """Status, session, result, log: telemetry, and the answers to commands."""
        with writing(self.engine) as db:
            try:
                message = contract.parse(payload)
                contract.check(name, message)
            except contract.ContractError as exc:
                self.ingest.report(db, charger, "malformed", f"{name}: {exc}", payload=payload)
                return
            row = known_charger(db, charger)
            row.seen_at = self._now_ms()
            if name == "status":
                self._took_status(row, message, retained)
            elif name == "session":
                row.figures = message
            elif name == "result":
                _took_result(db, charger, message)
            else:
                self.logs.append({"charger": charger, **message})

    def _took_status(self, row: Charger, message: dict[str, Any], retained: bool) -> None:
        """A charger that does not know how far its records are here is told. A retained status is older than this
        connection, and so may be records that nobody heard: it is asked for them again."""
        row.online = message["online"]
        row.status = message if message["online"] else {**row.status, **message}
        epoch = message.get("epoch", 0)
        if message["online"] and epoch:
            position = self.ingest.position(row.name, epoch)
            if retained or message.get("acked_seq", 0) < position:
                self._publish_ack(Ack(row.name, epoch, position, retained))

    async def _send(self, client: aiomqtt.Client) -> None:
        assert self._outbound is not None
        while True:
            where, payload, retain = await self._outbound.get()
            self._event("in", where, payload)
            await client.publish(where, payload, qos=1, retain=retain)

    async def _remind(self, client: aiomqtt.Client) -> None:
        """Commands without an answer go to chargers that are there, until they expire."""
        while True:
            for charger, message in self._unanswered():
                await client.publish(contract.topic(charger, "command"), message, qos=1)
            await asyncio.sleep(_RESEND_S)

    def _unanswered(self) -> list[tuple[str, str]]:
        now = self._now_ms()
        with writing(self.engine) as db:
            query = (
                select(Command, Charger.online)
                .join(Charger, Charger.name == Command.charger)
                .where(Command.state == "sent")
                .order_by(Command.counter)
            )
            found = []
            for command, online in db.execute(query).all():
                if command.expires_at <= now:
                    command.state = "unanswered"
                elif online and now - command.sent_at >= _RESEND_S * 1000:
                    found.append((command.charger, command.message))
            return found

    def _event(self, direction: str, where: str, payload: bytes) -> None:
        if self._on_event is not None and self._owner is not None:
            data = {"direction": direction, "topic": where, "payload": payload.decode(errors="replace")}
            with contextlib.suppress(RuntimeError):  # its loop has ended
                self._owner.call_soon_threadsafe(self._on_event, "mqtt", data)

    # -- out

    def _retain(self, charger: str, name: str, payload: str | bytes) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        self._retained[contract.topic(charger, name)] = data
        self._publish(contract.topic(charger, name), data, True)

    def _publish_ack(self, ack: Ack) -> None:
        self.acks_sent += 1
        self._publish(*_ack_message(ack))

    def _publish(self, where: str, payload: bytes, retain: bool = False) -> None:
        """Thread-safe; what cannot be sent now is not kept, because everything here is sent again when it matters."""
        loop, queue = self._loop, self._outbound
        if loop is not None and queue is not None:
            with contextlib.suppress(RuntimeError):  # stopped meanwhile
                loop.call_soon_threadsafe(queue.put_nowait, (where, payload, retain))


def _took_result(db: Db, charger: str, message: dict[str, Any]) -> None:
    command = db.get(Command, message.get("id", ""))
    if message["about"] != "command" or command is None or command.charger != charger:
        return
    if command.state in ("sent", "unanswered") or message["ok"]:
        command.state = "ok" if message["ok"] else message.get("code", "refused")
        command.result = message


async def _pump(client: aiomqtt.Client, queue: asyncio.Queue[aiomqtt.Message]) -> None:
    async for message in client.messages:
        queue.put_nowait(message)


async def _next(queue: asyncio.Queue[aiomqtt.Message], reader: asyncio.Task[None]) -> aiomqtt.Message:
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


def _ack_message(ack: Ack) -> tuple[str, bytes]:
    again = ',"again":true' if ack.again else ""
    return contract.topic(ack.charger, "ack"), f'{{"epoch":{ack.epoch},"seq":{ack.seq}{again}}}'.encode()


def _tls_context(pki: Pki) -> ssl.SSLContext:
    own = pki.back_office
    context = ssl.create_default_context(cafile=str(pki.ca))
    context.load_cert_chain(own.cert, own.key)
    return context


def sqlite_url(path: Path | str) -> str:
    """SQLAlchemy's URL of a SQLite file; its directory is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{Path(path).absolute()}"
