"""A real mosquitto for the simulator: mutual TLS on loopback, identities from certificates, ACL
per identity.

Chargers have one port, where the client id is the certificate's name too, so that none can end
another's connection (MQTT 3.1.1, 3.1.4); the back office has another for its several connections,
where its own authority's certificate is accepted and no other.

The broker keeps nothing on disk on purpose: a restart loses retained messages and sessions, and
everything else here must live with that. It dies with the process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from hostsim.pki import BACK_OFFICE, Pki
from hostsim.setup import MOSQUITTO

HOST = "127.0.0.1"
_READY_S = 10.0
_STOP_S = 3.0
_PR_SET_PDEATHSIG = 1

_ACL = f"""\
# A certificate's common name is the user name (%u). A charger writes its own outgoing topics and
# reads its own incoming ones; nobody but the back office reaches another subtree. Topics:
# docs/mqtt/asyncapi.yaml.
user {BACK_OFFICE}
topic read forecourt/v1/+/status
topic read forecourt/v1/+/session
topic read forecourt/v1/+/records
topic read forecourt/v1/+/result
topic read forecourt/v1/+/log
topic write forecourt/v1/+/ack
topic write forecourt/v1/+/tariff
topic write forecourt/v1/+/config
topic write forecourt/v1/+/command
topic write forecourt/v1/+/members

pattern write forecourt/v1/%u/status
pattern write forecourt/v1/%u/session
pattern write forecourt/v1/%u/records
pattern write forecourt/v1/%u/result
pattern write forecourt/v1/%u/log
pattern read forecourt/v1/%u/ack
pattern read forecourt/v1/%u/tariff
pattern read forecourt/v1/%u/config
pattern read forecourt/v1/%u/command
pattern read forecourt/v1/%u/members
"""


class BrokerError(RuntimeError):
    """The broker is not there or does not start; the message says what to do."""


class Broker:
    """mosquitto in `folder` (config, ACL, log). `start()` returns when it accepts connections;
    `port`, the chargers', and `office_port` are then known.

    The ports stay the same over restarts.
    """

    def __init__(self, folder: Path | str, pki: Pki, port: int = 0) -> None:
        """`port` 0: a free one is chosen, as for the back office always."""
        self.folder = Path(folder)
        self.pki = pki
        self.host = HOST
        self.port = port
        self.office_port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """The process is there (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id; raises BrokerError when it does not run."""
        if self._process is None:
            raise BrokerError("the broker is not running")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it accepts connections. Raises BrokerError."""
        if self.running:
            return
        program = _program()
        self.folder.mkdir(parents=True, exist_ok=True)
        found = free_ports(2)
        self.port = self.port or found[0]
        self.office_port = self.office_port or found[1]
        config = self._write_config()
        self._process = self._spawn([program, "-c", str(config)])
        self._wait_ready()

    def stop(self) -> None:
        """Stop it, also when it is paused."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start on the same port; retained messages are gone."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers (a half-open network)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        """What it wrote so far."""
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """From a thread that lives as long as the process: the kernel's "parent died" means the
        thread that forked."""
        started: queue.Queue[subprocess.Popen[bytes] | OSError] = queue.Queue()

        def keep() -> None:
            try:
                with (self.folder / "broker.log").open("ab") as log:
                    process = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        preexec_fn=_die_with_parent,
                        start_new_session=True,  # Ctrl-C is for the parent, which stops in order
                    )
            except OSError as exc:
                started.put(exc)
                return
            started.put(process)
            process.wait()

        threading.Thread(target=keep, name="broker", daemon=True).start()
        outcome = started.get()
        if isinstance(outcome, OSError):
            raise BrokerError(f"{command[0]} cannot be started: {outcome.strerror}") from outcome
        return outcome

    def _write_config(self) -> Path:
        acl = self.folder / "acl"
        acl.write_text(_ACL)
        acl.chmod(0o600)
        config = self.folder / "mosquitto.conf"
        lines = [
            *self._listener(self.port, self.pki.ca),
            "use_username_as_clientid true",
            *self._listener(self.office_port, self.pki.office_ca),
            "allow_anonymous false",
            f"acl_file {acl}",
            "persistence false",
            "set_tcp_nodelay true",
            # Not 0 for no limit: then mosquitto 2.0 ends a connection whose message it denies.
            "max_queued_messages 100000",
            "max_inflight_messages 100",
            "max_packet_size 65536",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it changes to an account that cannot read these files
        config.write_text("\n".join(lines) + "\n")
        return config

    def _listener(self, port: int, ca: Path) -> list[str]:
        """Mutual TLS with clients of that authority; these settings are the listener's alone."""
        identity = self.pki.broker
        return [
            f"listener {port} {HOST}",
            f"cafile {ca}",
            f"certfile {identity.cert}",
            f"keyfile {identity.key}",
            "require_certificate true",
            "use_identity_as_username true",
        ]

    def _wait_ready(self) -> None:
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        own = self.pki.back_office
        context.load_cert_chain(own.cert, own.key)
        end = time.monotonic() + _READY_S
        while time.monotonic() < end:
            if not self.running:
                raise BrokerError(f"mosquitto ended at once:\n{_tail(self.log())}")
            try:
                with socket.create_connection((HOST, self.office_port), 1) as raw:
                    with context.wrap_socket(raw, server_hostname=HOST):
                        return
            except (ConnectionError, TimeoutError, ssl.SSLError):
                time.sleep(0.02)
        self.stop()
        raise BrokerError(
            f"mosquitto does not accept connections on port {self.office_port}:\n"
            f"{_tail(self.log())}"
        )


def _program() -> str:
    if MOSQUITTO.exists():
        return str(MOSQUITTO)
    found = shutil.which("mosquitto") or shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        raise BrokerError(
            "mosquitto is not there: run `make setup`, or install the package mosquitto"
        )
    return found


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses now."""
    with contextlib.ExitStack() as probes:
        found: list[int] = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind((HOST, 0))
            found.append(probe.getsockname()[1])
        return found


_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child, before exec: the kernel kills it when its parent ends, however that ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-8:])
