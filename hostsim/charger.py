"""The charger's microcontroller: the firmware as a real MicroPython process, the same .mpy files
that go on a board.

`power_on` starts it, `power_off` is a power cut: SIGKILL
between any two instructions. A process that ends by itself was reset by its watchdog or by the
firmware and is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostsim.setup import BUILD, TOOLS_BIN

_PR_SET_PDEATHSIG = 1
_ROM_START = Path(__file__).with_name("rom_start.py")
# Short paths, as on a board: the interpreter keeps the path of every module in the heap for ever.
_RAM_START = (
    f"import sys, vfs; vfs.mount(vfs.VfsPosix({str(BUILD / 'mpy')!r}), '/ram');"
    " sys.path[:] = ['/ram', '.frozen']; import main"
)
_RESTART_S = 0.5


class ChargerError(RuntimeError):
    """The firmware cannot be run here; str() says what to do."""


@dataclass(frozen=True)
class Machine:
    """An interpreter with a heap limit: what the microcontroller is."""

    interpreter: Path
    heap_kb: int
    rom: bool
    bits: int
    beside: str = ""  # a MicroPython module that is loaded before the firmware, to look at it

    @classmethod
    def choose(cls, rom: bool = False, bits: int = 32) -> Machine:
        """192 KB with the code in RAM, 96 KB from ROMFS; without a 32-bit build the 64-bit one
        with twice the heap.
        """
        heap_kb = 96 if rom else 192
        path = TOOLS_BIN / ("micropython32" if bits == 32 else "micropython")
        if bits == 32 and not path.exists():
            path, bits = TOOLS_BIN / "micropython", 64
        if not path.exists():
            raise ChargerError(f"{path} is missing: run `make setup`")
        return cls(path, heap_kb * (2 if bits == 64 else 1), rom, bits)

    def command(self) -> list[str]:
        beside = [self.beside] if self.beside else []
        if self.rom:
            start = [str(_ROM_START), str(BUILD / "rom.img"), *beside]
        else:
            first = "".join(f"exec(open({path!r}).read(), {{}}); " for path in beside)
            start = ["-c", _RAM_START.replace("import main", first + "import main")]
        return [str(self.interpreter), "-X", f"heapsize={self.heap_kb}k", *start]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Charger:
    """One firmware process. `env`: FORECOURT_* as board/host.py wants them; `log(text)` gets what
    it prints.
    """

    def __init__(self, machine: Machine, env: dict[str, str], log: Callable[[str], None]) -> None:
        self.machine = machine
        self._env = env
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.starts = 0
        self.resets = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def powered(self) -> bool:
        return self._keeper is not None and not self._keeper.done()

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def power_on(self) -> None:
        if not self.powered:
            self._keeper = asyncio.create_task(self._keep())

    async def power_off(self) -> None:
        """A power cut."""
        if self._keeper:
            self._keeper.cancel()
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._keeper = None

    async def _keep(self) -> None:
        while True:
            await self._run()
            self.resets += 1
            self._log("the charger was reset")
            await asyncio.sleep(_RESTART_S)

    async def _run(self) -> None:
        env: dict[str, Any] = {
            "PATH": os.environ.get("PATH", ""),
            "MICROPYPATH": ".frozen",
            **self._env,
        }
        self.starts += 1
        self._process = await asyncio.create_subprocess_exec(
            *self.machine.command(),
            env=env,
            # not the repository: MicroPython would take the .py files lying there
            cwd=self._env["FORECOURT_DIR"],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        assert self._process.stdout
        async for line in self._process.stdout:
            self._log(line.decode(errors="replace").rstrip())
        await self._process.wait()
