"""What set-up says while it works, and how it runs other programs.

Every step is one line. On a terminal its clock runs; elsewhere the line is repeated every few
seconds, so that a log shows life as well. The output of the programs goes to build/log/<step>.log
and is shown only when they fail.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from hostsim.setup import BUILD, ROOT

_REPEAT_S = 5.0
_LIVE_S = 0.25
_TAIL_LINES = 15


class SetupError(Exception):
    """Set-up cannot go on: `str()` is what happened, `advice` the lines that say what to do about
    it.
    """

    def __init__(self, what: str, *advice: str) -> None:
        super().__init__(what)
        self.advice = advice


class Step:
    """One line of progress: `with Step("Python packages") as step: ... step.note = "12 of 80"`.

    Several may run at once, each in its thread. `result` is what the finished line says.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.note = ""
        self.result = "done"
        self._start = 0.0

    def __enter__(self) -> "Step":
        self._start = time.monotonic()
        _live.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        word = self.result if error is None else "FAILED"
        took = self.seconds()
        _live.remove(self, f"{word} ({took:.1f} s)" if took >= 0.5 else word)

    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._start


class _Live:
    """The lines on the screen: one that lives on a terminal, repeated ones in a log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._tty = sys.stdout.isatty()
        self._thread: threading.Thread | None = None

    def add(self, step: Step) -> None:
        with self._lock:
            self._steps.append(step)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, daemon=True)
                self._thread.start()

    def remove(self, step: Step, text: str) -> None:
        with self._lock:
            self._steps.remove(step)
            self._write(f"  {step.what:<42.42} {text}\n")

    def say(self, text: str) -> None:
        with self._lock:
            self._write(text + "\n")

    def _loop(self) -> None:
        while True:
            time.sleep(_LIVE_S if self._tty else _REPEAT_S)
            with self._lock:
                steps = [step for step in self._steps if step.seconds() > _LIVE_S]
                if self._tty and steps:
                    texts = (f"{step.what} {step.seconds():.0f} s {step.note}" for step in steps)
                    width = shutil.get_terminal_size().columns - 1
                    self._write("  " + " | ".join(text.strip() for text in texts)[: width - 2])
                elif not self._tty:
                    for step in steps:
                        self._write(f"  {step.what:<42.42} {step.seconds():3.0f} s {step.note}\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(f"\r\033[K{text}" if self._tty else text)
        sys.stdout.flush()


_live = _Live()
_stopped = threading.Event()
_processes: set["subprocess.Popen[str]"] = set()


def stop() -> None:
    """End the programs that `run` started, and start no other."""
    _stopped.set()
    for process in list(_processes):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def together(*jobs: Callable[[], None]) -> None:
    """Do `jobs` at the same time; raises the first one's error after all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            errors = [error for future in futures if (error := future.exception())]
        except KeyboardInterrupt:
            stop()
            raise
    if errors:
        raise errors[0]


def say(text: str) -> None:
    """Print one line of set-up's own."""
    _live.say(text)


def run(
    command: Sequence[str | Path],
    log: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run a program to its end; its output goes to build/log/`log`.log and is returned.

    Raises SetupError, with the output's last lines, when the program is missing or fails.
    """
    path = BUILD / "log" / f"{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    if _stopped.is_set():
        raise SetupError("stopped")
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
    except OSError as error:
        raise SetupError(f"cannot start {command[0]}: {error.strerror}") from error
    assert process.stdout is not None
    _processes.add(process)
    with process, path.open("w") as file:
        for line in process.stdout:
            file.write(line)
            lines.append(line)
            if on_line is not None:
                on_line(line)
    _processes.discard(process)
    if process.returncode != 0:
        tail = [line.rstrip() for line in lines if line.strip()][-_TAIL_LINES:]
        what = f"{Path(command[0]).name} failed (exit {process.returncode})"
        raise SetupError(
            f"{what}; all it said is in {path.relative_to(ROOT)}, the end of it:", *tail
        )
    return "".join(lines)
