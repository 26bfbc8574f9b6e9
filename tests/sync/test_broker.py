"""The broker: mutual TLS or nothing, every identity in its own place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from hostsim import broker as broker_module
from hostsim.broker import Broker, BrokerError
from hostsim.pki import BACK_OFFICE, Identity, Pki, PkiError

OUT = ("status", "session", "records", "result", "log")
IN = ("ack", "tariff", "config", "command")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def broker(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    found = Broker(tmp_path_factory.mktemp("broker"), pki)
    found.start()
    yield found
    found.stop()


def context_of(pki: Pki, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki.ca))
    if identity is not None:
        context.load_cert_chain(identity.cert, identity.key)
    return context


def client(broker: Broker, pki: Pki, identity: Identity, name: str = "") -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.office_port if identity.name == BACK_OFFICE else broker.port,
        tls_context=context_of(pki, identity),
        identifier=name or None,
        timeout=5,
    )


def connects(broker: Broker, pki: Pki, identity: Identity | None, port: int = 0) -> bool:
    """Whether a CONNECT gets its CONNACK; with TLS 1.3 a refused certificate shows only at the
    first read."""
    try:
        with socket.create_connection((broker.host, port or broker.port), 5) as raw:
            with context_of(pki, identity).wrap_socket(raw, server_hostname=broker.host) as tls:
                tls.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03tst")
                return tls.recv(4) == b"\x20\x02\x00\x00"
    except (ssl.SSLError, ConnectionError):
        return False


def test_only_certificates_of_our_authority_connect(
    broker: Broker, pki: Pki, tmp_path: Path
) -> None:
    assert connects(broker, pki, pki.charger("CP1"))
    assert not connects(broker, pki, None)
    other = Pki(tmp_path / "other")
    assert not connects(broker, pki, other.charger("CP1"))
    assert not connects(broker, pki, other.back_office, broker.office_port)


def test_the_back_offices_port_takes_no_chargers_certificate(broker: Broker, pki: Pki) -> None:
    assert connects(broker, pki, pki.back_office, broker.office_port)
    assert not connects(broker, pki, pki.charger("CP1"), broker.office_port)
    assert not connects(broker, pki, None, broker.office_port)
    assert not connects(broker, pki, pki.back_office)


def test_a_connection_without_tls_gets_nothing(broker: Broker) -> None:
    with socket.create_connection((broker.host, broker.port), 5) as raw:
        raw.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03CP1")
        raw.settimeout(5)
        try:
            answer = raw.recv(4)
        except ConnectionError:
            answer = b""
        assert not answer.startswith(b"\x20")


async def heard(
    broker: Broker, pki: Pki, sender: Identity, topic: str, receiver: Identity, pattern: str
) -> bool:
    """Whether a message from one identity reaches another; a second one on an allowed topic tells
    that it had time."""
    async with contextlib.AsyncExitStack() as stack:
        ear = await stack.enter_async_context(client(broker, pki, receiver))
        mouth = ear
        if sender != receiver:  # a charger has one connection
            mouth = await stack.enter_async_context(client(broker, pki, sender))
        await ear.subscribe(pattern, qos=1)
        await mouth.publish(topic, b"{}", qos=1)
        try:
            async with asyncio.timeout(0.25):
                async for message in ear.messages:
                    if str(message.topic) == topic:
                        return True
        except TimeoutError:
            pass
        return False


@pytest.mark.parametrize("name", OUT)
def test_a_charger_writes_its_own_outgoing_topics_only(
    broker: Broker, pki: Pki, name: str
) -> None:
    own, other, office = pki.charger("CP1"), pki.charger("CP2"), pki.back_office
    assert asyncio.run(
        heard(broker, pki, own, f"forecourt/v1/CP1/{name}", office, "forecourt/v1/+/+")
    )
    assert not asyncio.run(
        heard(broker, pki, other, f"forecourt/v1/CP1/{name}", office, "forecourt/v1/+/+")
    )
    assert not asyncio.run(
        heard(broker, pki, own, f"forecourt/v1/CP1/{name}", other, "forecourt/v1/+/+")
    )


@pytest.mark.parametrize("name", IN)
def test_a_charger_reads_its_own_incoming_topics_only(broker: Broker, pki: Pki, name: str) -> None:
    own, other, office = pki.charger("CP1"), pki.charger("CP2"), pki.back_office
    topic = f"forecourt/v1/CP1/{name}"
    assert asyncio.run(heard(broker, pki, office, topic, own, topic))
    assert not asyncio.run(heard(broker, pki, office, topic, other, "#"))
    assert not asyncio.run(heard(broker, pki, own, topic, own, topic))
    assert not asyncio.run(heard(broker, pki, other, topic, own, topic))


def test_nobody_is_another_by_his_client_id(broker: Broker, pki: Pki) -> None:
    async def attempt() -> bool:
        async with (
            client(broker, pki, pki.back_office) as ear,
            client(broker, pki, pki.charger("CP2"), "CP1") as mouth,
        ):
            await ear.subscribe("forecourt/v1/+/records", qos=1)
            await mouth.publish("forecourt/v1/CP1/records", b"{}", qos=1)
            await mouth.publish("forecourt/v1/CP2/records", b"{}", qos=1)
            async with asyncio.timeout(5):
                async for message in ear.messages:
                    return str(message.topic) == "forecourt/v1/CP2/records"
            return False

    assert asyncio.run(attempt())


def test_no_charger_ends_another_connection_by_its_client_id(broker: Broker, pki: Pki) -> None:
    async def attempt() -> None:
        office = client(broker, pki, pki.back_office, "office-1")
        own = client(broker, pki, pki.charger("CP1"), "CP1")
        async with office, own, client(broker, pki, pki.back_office, "office-2"):
            await own.subscribe("forecourt/v1/CP1/ack", qos=1)
            for name in ("CP1", "office-1", "office-2"):
                async with client(broker, pki, pki.charger("CP2"), name) as other:
                    await other.publish("forecourt/v1/CP2/log", b"{}", qos=1)
            await office.publish("forecourt/v1/CP1/ack", b"{}", qos=1)
            async with asyncio.timeout(5):
                assert str((await anext(aiter(own.messages))).topic) == "forecourt/v1/CP1/ack"

    asyncio.run(attempt())


def shared(broker: Broker, pki: Pki, group: str, thiefs: str, count: int = 60) -> int:
    """How many of a charger's records the back office gets by `group`, while another charger's
    certificate is in the group `thiefs`."""

    async def attempt() -> int:
        pattern = "forecourt/v1/+/records"
        office, thief = client(broker, pki, pki.back_office), client(broker, pki, pki.charger("X"))
        async with office, thief, client(broker, pki, pki.charger("CP1")) as own:
            await office.subscribe(f"$share/{group}/{pattern}", qos=1)
            await thief.subscribe(f"$share/{thiefs}/{pattern}", qos=1)
            for number in range(count):
                await own.publish("forecourt/v1/CP1/records", b"%d" % number, qos=1)
            got = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    async for _ in office.messages:
                        got += 1
            return got

    return asyncio.run(attempt())


def test_a_group_that_shares_messages_is_safe_by_its_name_alone(broker: Broker, pki: Pki) -> None:
    assert shared(broker, pki, "known", "known") < 60  # the broker asks no list at SUBSCRIBE
    for guess in ("backoffice", pki.group[:-1], pki.group.upper()):
        assert shared(broker, pki, pki.group, guess) == 60


def test_the_groups_name_is_the_installations_own_and_stays(pki: Pki, tmp_path: Path) -> None:
    assert Pki(pki.folder).group == pki.group
    assert len({pki.group, Pki(tmp_path).group}) == 2
    assert len(pki.group) == 32 and pki.group.isalnum()


def test_it_restarts_on_the_same_port_and_pauses(pki: Pki, tmp_path: Path) -> None:
    broker = Broker(tmp_path, pki)
    try:
        broker.start()
        ports, pid = (broker.port, broker.office_port), broker.pid
        broker.restart()
        assert (broker.port, broker.office_port) == ports and broker.pid != pid
        assert connects(broker, pki, pki.charger("CP1"))
        broker.pause()
        with socket.create_connection((broker.host, broker.port), 2) as raw:
            with pytest.raises(TimeoutError):
                context_of(pki, pki.back_office).wrap_socket(raw, server_hostname="127.0.0.1")
        broker.resume()
        assert connects(broker, pki, pki.charger("CP1"))
        broker.pause()
    finally:
        broker.stop()
    assert not broker.running


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time; from hostsim.pki import Pki; from hostsim.broker import Broker\n"
        f"b = Broker({str(tmp_path / 'broker')!r}, Pki({str(tmp_path / 'pki')!r})); b.start()\n"
        "print(b.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 5
    while _alive(pid):
        assert time.monotonic() < end, "the broker outlived its parent"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_the_program_it_says_what_to_do(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "MOSQUITTO", tmp_path / "nothing")
    monkeypatch.setattr(broker_module.shutil, "which", lambda *_args, **_kw: None)
    with pytest.raises(BrokerError, match="make setup"):
        Broker(tmp_path, pki).start()


def test_a_port_in_use_is_said(pki: Pki, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BrokerError, match=r"(?s)ended at once.*in use"):
            Broker(tmp_path, pki, taken.getsockname()[1]).start()


def test_certificates_are_used_again_and_keys_are_private(tmp_path: Path) -> None:
    first = Pki(tmp_path)
    identity = first.charger("CP1")
    cert, key = identity.cert.read_bytes(), identity.command_key
    again = Pki(tmp_path).charger("CP1")
    assert again.cert.read_bytes() == cert and again.command_key == key and len(key) == 64
    identity.install(tmp_path / "files")
    for path in tmp_path.rglob("*key*"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    again.cert.write_text("broken")
    assert Pki(tmp_path).charger("CP1").cert.read_bytes() != cert


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", "backoffice", "broker", "CP 1", "x" * 33, "+", "#", "-x"]
)
def test_a_name_that_could_reach_elsewhere_is_refused(pki: Pki, name: str) -> None:
    with pytest.raises(PkiError, match="charger name"):
        pki.charger(name)


def test_an_authority_whose_key_is_elsewhere_is_never_replaced(tmp_path: Path) -> None:
    made = Pki(tmp_path)
    kept = made.back_office.cert.read_bytes()
    for name in ("ca", "office-ca"):
        (tmp_path / f"{name}-key.pem").unlink()
    before = [path.read_bytes() for path in (made.ca, made.office_ca)]
    there = Pki(tmp_path)
    assert there.back_office.cert.read_bytes() == kept
    with pytest.raises(PkiError, match="the key of CN=Forecourt simulator CA is not here"):
        there.charger("CP9")
    there.back_office.cert.unlink()
    with pytest.raises(PkiError, match="office CA is not here"):
        there.back_office  # noqa: B018 - the property issues what is missing
    assert [path.read_bytes() for path in (made.ca, made.office_ca)] == before
