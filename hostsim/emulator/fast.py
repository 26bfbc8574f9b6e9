"""Runs a Pico's instructions in C as far as they touch only registers and memory (thumb.c), and
everything else in rp2040py: peripherals, exceptions, sleep, time. The same program gives the same
results at the same emulated nanosecond, some twenty times sooner.

Without a C compiler, or with FORECOURT_PLAIN=1, rp2040py does it all.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hostsim.setup import stamps

_SOURCE = Path(__file__).with_name("thumb.c")
_CYCLE_NS = 8  # 125 MHz, as rp2040py has it
_POINTERS = 4
_N, _Z, _C, _V, _MASKED, _QUIET, _UPDATED = range(7)
_WORDS = 13
_DIVISOR = 8
_BATCH_S = 0.005
_OURS = {0x00, 0x5C, *range(0x60, 0x7C, 4), *range(0x100, 0x180, 4)}
_NO_ALARM_NS = 1_000_000


def library(store: Path) -> ctypes.CDLL | None:
    """thumb.c compiled, kept in `store` by its hash; None where it is not to be had."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if os.environ.get("FORECOURT_PLAIN") == "1":
        return None
    target = store / f"thumb-{stamps.fingerprint(_SOURCE.read_text())[:16]}.so"
    if not target.exists():
        if compiler is None:
            sys.stderr.write("no C compiler: the emulated board runs in rp2040py alone, slowly\n")
            return None
        store.mkdir(parents=True, exist_ok=True)
        new = target.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(new), str(_SOURCE)]
        subprocess.run(command, check=True, timeout=120)
        new.replace(target)
    found = ctypes.CDLL(str(target))
    found.run.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    found.run.restype = ctypes.c_int64
    found.sio_read.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    found.sio_read.restype = ctypes.c_uint32
    found.sio_write.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
    found.sio_write.restype = None
    return found


class Fast:
    """Drives one simulator."""

    def __init__(self, found: ctypes.CDLL, simulator: Any) -> None:
        self._simulator = simulator
        self._mcu = simulator.rp2040
        self._core = self._mcu.core
        self._run = found.run
        self._read, self._write = found.sio_read, found.sio_write
        parts = (self._core.registers, self._mcu.sram, self._mcu.flash, self._mcu.bootrom)
        self._kept = [ctypes.c_char.from_buffer(part) for part in parts]
        memory = bytearray(8 * _POINTERS + 4 * _WORDS)
        self._kept_cpu = ctypes.c_char.from_buffer(memory)
        self._cpu = ctypes.addressof(self._kept_cpu)
        places = memoryview(memory)[: 8 * _POINTERS].cast("Q")
        for number, part in enumerate(self._kept):
            places[number] = ctypes.addressof(part)
        self._words = memoryview(memory)[8 * _POINTERS :].cast("I")
        self._take_sio()

    def _take_sio(self) -> None:
        """The divider and the spin locks are kept in C, whoever executes the instruction."""
        sio, words = self._mcu.sio, self._words
        read, write, reset = sio.read_uint32, sio.write_uint32, sio.reset

        def fresh() -> None:
            for number in range(_UPDATED + 1, _WORDS):
                words[number] = 0
            words[_DIVISOR] = 1

        def reads(offset: int) -> Any:
            return self._read(self._cpu, offset) if offset in _OURS else read(offset)

        def writes(offset: int, value: int) -> None:
            if offset in _OURS:
                self._write(self._cpu, offset, value & 0xFFFFFFFF)
            else:
                write(offset, value)

        def resets() -> None:
            reset()
            fresh()

        sio.read_uint32, sio.write_uint32, sio.reset = reads, writes, resets
        fresh()

    def batch(self, end_ns: float) -> None:
        """What `Simulator._execute_batch` does, to `end_ns` of the board's time at most."""
        simulator, core, clock = self._simulator, self._core, self._simulator.clock
        until = time.monotonic() + _BATCH_S
        rounds = 0
        while not simulator.stopped and clock.nanos < end_ns:
            rounds += 1
            if rounds & 63 == 0 and time.monotonic() > until:
                return
            if core.waiting:
                clock.tick(clock.nanos_to_next_alarm)
            elif core.interrupts_updated or self._many(core, clock, end_ns):
                clock.tick(core.execute_instruction() * _CYCLE_NS)

    def _many(self, core: Any, clock: Any, end_ns: float) -> bool:
        """Runs in C to the next alarm, or to an instruction that is rp2040py's: then True."""
        words = self._words
        words[_N], words[_Z], words[_C], words[_V] = core.n, core.z, core.c, core.v
        words[_MASKED] = core.pm
        words[_QUIET] = not (
            core.pending_interrupts & core.enabled_interrupts
            or core.pending_svcall
            or core.pending_pend_sv
            or core.pending_systick
            or core.pending_nmi
        )
        left = clock.nanos_to_next_alarm if clock.has_scheduled_alarm else _NO_ALARM_NS
        left = min(left, end_ns - clock.nanos)
        budget = int(-(-left // _CYCLE_NS))
        used = self._run(self._cpu, budget)
        core.n, core.z, core.c, core.v, core.pm = words[:5]
        if words[_UPDATED]:
            core.interrupts_updated = True
        if used:
            clock.tick(used * _CYCLE_NS)
        return used < budget and not words[_UPDATED]
