"""What set-up says while it works, and how it runs other programs.

Every step is one line. On a terminal its clock runs; elsewhere the line is repeated every few
seconds, so that a log shows life as well. The output of the programs goes to build/log/<step>.log
and is shown only when they fail.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from hostsim.setup import BUILD, ROOT

_REPEAT_S = 5.0
_TAIL_LINES = 15


class SetupError(Exception):
    """Set-up cannot go on: `str()` is what happened, `advice` the lines that say what to do about
    it.
    """

    def __init__(self, what: str, *advice: str) -> None:
        super().__init__(what)
        self.advice = advice


class Step:
    """One line of progress: `with Step("Python packages") as step: ... step.note = "12 of 80"`."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.note = ""
        self.result = "done"
        self._end = threading.Event()
        self._tty = sys.stdout.isatty()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> "Step":
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        word = self.result if error is None else "FAILED"
        took = time.monotonic() - self._start
        self._line(f"{word} ({took:.1f} s)" if took >= 0.5 else word, last=True)

    def _live(self) -> None:
        if self._end.wait(0.3):
            return
        while True:
            took = time.monotonic() - self._start
            self._line(f"{took:3.0f} s {self.note}".rstrip())
            if self._end.wait(0.25 if self._tty else _REPEAT_S):
                return

    def _line(self, text: str, last: bool = False) -> None:
        line = f"  {self.what:<42.42} {text}"
        if self._tty:
            sys.stdout.write(f"\r\033[K{line[:110]}" + ("\n" if last else ""))
        else:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()


def say(text: str) -> None:
    """Print one line of set-up's own."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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
        )
    except OSError as error:
        raise SetupError(f"cannot start {command[0]}: {error.strerror}") from error
    assert process.stdout is not None
    with process, path.open("w") as file:
        try:
            for line in process.stdout:
                file.write(line)
                lines.append(line)
                if on_line is not None:
                    on_line(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        tail = [line.rstrip() for line in lines if line.strip()][-_TAIL_LINES:]
        what = f"{Path(command[0]).name} failed (exit {process.returncode})"
        raise SetupError(
            f"{what}; all it said is in {path.relative_to(ROOT)}, the end of it:", *tail
        )
    return "".join(lines)
