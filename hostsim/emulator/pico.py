"""A Raspberry Pi Pico in rp2040py: flash with torn operations, USB console, UARTs, pins, watchdog.

Three faults of rp2040py 0.3.6 are worked round here: its USB host answers every OUT at once, so
that the firmware never sleeps (answered only when there is data); the UART's TX interrupt is
raised again on every clear; and a keep-alive of 1 ms stands in for the host's start-of-frame. It
uses private attributes of a young package, which is pinned by version and hash.

Time is the board's own: `nanos` counts what the emulated chip has lived, however long that took.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rp2040py.boards import BOARDS, resolve_firmware
from rp2040py.device import MicroPythonDevice
from rp2040py.memory_map import FLASH_START_ADDRESS

from hostsim.emulator import fast

STORAGE = 0xA0000
"""Where MicroPython's storage begins in flash; it reaches to the end."""
FLASH_END = 0x200000
_PROGRAM = 0x02
_ERASES = (0x20, 0xD8)
_TICK_NS = 1_000_000
_LEAST_NS = 10_000
_LOOK_NS = 5_000_000


class Pico:
    """`storage`: what was in flash (352 sectors of 4096 bytes, those of a ROMFS partition before
    them), None for a new board. `cut`: the so many-th program or erase from power-on is torn and
    the board is dead from then on. `rom_bytes`: of the image's ROMFS partition.
    """

    def __init__(
        self, uf2: Path, storage: bytes | None = None, cut: int = 0, rom_bytes: int = 0
    ) -> None:
        self.device = MicroPythonDevice(
            board=resolve_firmware(BOARDS["pico"], "micropython", str(uf2))
        )
        self.mcu: Any = self.device.mcu
        self._simulator: Any = self.device.simulator
        self._kept = slice(STORAGE - rom_bytes, FLASH_END)
        if storage is not None:
            self.mcu.flash[FLASH_END - len(storage) : FLASH_END] = storage
        self.console = bytearray()  # what the board printed
        self.to_console = bytearray()  # what is typed
        self.on_uart: list[Callable[[int], None] | None] = [None, None]
        self.to_uart = (bytearray(), bytearray())
        self.dead = False
        self.flash_ops = 0
        self.cut = cut
        self.tears: Callable[[int], bool] | None = None  # asked with the address of each operation
        self.resets = 0
        self._pio = self.mcu.pio
        self.mcu.pio = []  # nothing of ours uses PIO; asking both at every instruction costs 10 %
        found = fast.library(uf2.parent)
        self._fast = fast.Fast(found, self._simulator) if found is not None else None
        self._tame_usb()
        self._tame_uarts()
        self._watch_flash()
        self._watch_resets()
        self.connected = False
        self.device.cdc.on_device_connected = self._on_connected
        self.mcu.core.pc = FLASH_START_ADDRESS
        self._simulator.stopped = False
        self._alarm = self._simulator.clock.create_alarm(self._tick)
        self._alarm.schedule(_TICK_NS)

    def _on_connected(self) -> None:
        self.connected = True

    def _tame_usb(self) -> None:
        cdc, usb = self.device.cdc, self.mcu.usb_ctrl
        answer = usb.on_endpoint_read
        self._asked = False

        def read(endpoint: int, size: int) -> None:
            if endpoint == cdc._out_endpoint:
                self._asked = True
            else:
                answer(endpoint, size)

        usb.on_endpoint_read = read
        cdc.on_serial_data = self.console.extend

    def _tame_uarts(self) -> None:
        for number, uart in enumerate(self.mcu.uart):

            def check(uart: Any = uart) -> None:
                pending = bool(uart._interrupt_status & uart._interrupt_mask)
                uart.rp2040.set_interrupt(uart.irq, pending)

            def on_byte(value: int, number: int = number) -> None:
                hear = self.on_uart[number]
                if hear is not None:
                    hear(value)

            uart.check_interrupts = check
            uart.on_byte = on_byte

    def _watch_flash(self) -> None:
        parts = [*vars(self.mcu).values(), *self.mcu.peripherals.values()]
        ssi = next(part for part in parts if type(part).__name__ == "RPSSI")
        apply = ssi._apply_command

        def watched() -> None:
            sent = ssi._tx_buffer
            if sent and sent[0] in (_PROGRAM, *_ERASES) and ssi._write_enabled:
                self.flash_ops += 1
                at = int.from_bytes(bytes(sent[1:4]), "big")
                torn = self.tears is not None and self.tears(at)
                if torn or (self.cut and self.flash_ops == self.cut):
                    self._tear(bytes(sent))
                    return
            if not self.dead:
                apply()

        ssi._apply_command = watched

    def _tear(self, sent: bytes) -> None:
        at = int.from_bytes(sent[1:4], "big")
        if sent[0] == _PROGRAM:
            page = sent[4:]
            used = [i for i, value in enumerate(page) if value != 0xFF]  # the others clear no bit
            for i in used[: (len(used) + 1) // 2]:
                self.mcu.flash[at + i] &= page[i]
        else:
            self.mcu.flash[at : at + 2048] = b"\xff" * 2048
        self.power_off()

    def _watch_resets(self) -> None:
        watchdog = next(
            part for part in self.mcu.peripherals.values() if type(part).__name__ == "RPWatchdog"
        )
        trigger = watchdog.on_watchdog_trigger

        def counted() -> None:
            self.resets += 1
            self.mcu.pio = self._pio  # a reset wants them
            trigger()
            self.mcu.pio = []

        watchdog.on_watchdog_trigger = counted

    def _tick(self) -> None:
        self._type()
        self._feed()
        self._alarm.schedule(_TICK_NS)

    def _type(self) -> None:
        if self._asked and self.to_console:
            self._asked = False
            data = bytes(self.to_console[:64])
            del self.to_console[:64]
            self.mcu.usb_ctrl.endpoint_read_done(self.device.cdc._out_endpoint, data)

    def _feed(self) -> None:
        """At a tick only, never where a batch happens to end: how fast the emulation is must not
        decide when a byte arrives.
        """
        for number, waiting in enumerate(self.to_uart):
            fifo = self.mcu.uart[number].rx_fifo
            while waiting and not fifo.full:
                self.mcu.uart[number].feed_byte(waiting.pop(0))

    @property
    def nanos(self) -> int:
        """The board's own time since power-on."""
        return int(self._simulator.clock.nanos)

    def step(self, end_ns: float = 0) -> None:
        """Runs some instructions (some milliseconds of the emulation's time), or sleeps to the
        next alarm (at most a millisecond); where it can, not beyond `end_ns` of the board's time.
        """
        if self.dead:
            return
        if self._fast is not None:
            self._fast.batch(max(end_ns, self.nanos + _LEAST_NS) if end_ns else float("inf"))
        else:
            self._simulator._execute_batch()
        self._type()

    def stop_batch(self) -> None:
        """Ends the batch that is running."""
        self._simulator.stopped = True

    def go_on(self) -> None:
        self._simulator.stopped = False

    def power_off(self) -> None:
        """A power cut: nothing runs from here on. A new Pico goes on with `storage()`."""
        self.dead = True
        self._simulator.stopped = True

    def storage(self) -> bytes:
        """What is in flash, for the next power-on."""
        return bytes(self.mcu.flash[self._kept])

    def pin(self, number: int) -> bool:
        """What the board drives."""
        return bool(self.mcu.gpio[number].output_value and self.mcu.gpio[number].output_enable)

    def drive(self, number: int, level: bool) -> None:
        """What the world puts on an input."""
        self.mcu.gpio[number].set_input_value(level)

    def analogue(self, channel: int, reading: int) -> None:
        """ADC channel 0 to 3 (GPIO 26 to 29), 0 to 4095."""
        self.mcu.adc.channel_values[channel] = reading

    # --- for tests and tools that drive the board without a loop ---

    def run(self, until: Callable[[], bool], limit_s: float = 20.0) -> bool:
        """Runs until `until()`; False after `limit_s` of the board's own time."""
        end = self.nanos + int(limit_s * 1e9)
        while not self.dead and self.nanos < end:
            self.step(self.nanos + _LOOK_NS)
            if until():
                return True
        return False

    def boot(self) -> bool:
        """Runs until USB is up."""
        return self.run(lambda: self.connected)

    def exec(self, source: str, limit_s: float = 30.0) -> tuple[str, str] | None:
        """Runs `source` in the raw REPL as mpremote does; what it printed and its traceback; None
        when the board does not answer.
        """
        self.console.clear()
        self.to_console += b"\r\x03\x03\r\x01"
        prompt = b"raw REPL; CTRL-B to exit\r\n>"
        if not self.run(lambda: self.console.endswith(prompt), limit_s):
            return None
        self.console.clear()
        self.to_console += source.encode() + b"\x04"
        if not self.run(lambda: self.console.count(b"\x04") >= 2, limit_s):
            return None
        out, error = bytes(self.console[2:]).split(b"\x04")[:2]
        return out.decode(), error.decode()
