"""localstripe's process: started on a port of its own, ended with the world."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from hostsim.setup import LOCALSTRIPE

_START = Path(__file__).with_name("localstripe_start.py")
_UP_S = 30
_PR_SET_PDEATHSIG = 1


class PeerError(RuntimeError):
    """localstripe cannot be run here; str() says what to do."""


class Peer:
    """`directory`: where it keeps its payments, for the next start."""

    def __init__(self, directory: Path) -> None:
        """Nothing runs yet."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / "localstripe.pickle"
        self._log = directory / "localstripe.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Waits until it answers. Raises PeerError."""
        if not (LOCALSTRIPE / "localstripe").is_dir():
            raise PeerError(f"{LOCALSTRIPE} is missing: run `make setup`")
        self.port = _free_port()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_START), str(self.port), str(self._file)],
                env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(LOCALSTRIPE)},
                cwd=self._file.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        end = time.monotonic() + _UP_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise PeerError(f"localstripe did not start; its last words: {self._last()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it; what it knows is in its file."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1/charges", timeout=2).status_code == 401
        except httpx.HTTPError:
            return False

    def _last(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return " | ".join(lines[-3:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
