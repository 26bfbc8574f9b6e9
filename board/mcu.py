"""The board as the firmware sees it (firmware/ports.py), made from a board module's data.

A board module (board/pico.py, ...) is a dict DATA and the few functions its chip needs; what all
microcontrollers with MicroPython's `machine` module share is here. board/plan.py says what DATA
may hold and refuses a board that clashes with itself.
"""

import os
import time

from machine import I2C, UART, WDT, Pin, reset

from board.lines import Lines
from board.rs485 import Rs485

_RXBUF = 600
_TXBUF = 1100  # a ZVT frame of the longest APDU we send, every byte doubled


class Clock:
    """Charger time is the machine's; ticks wrap after 12 days, this does not."""

    def __init__(self):
        self._last = time.ticks_ms()
        self._ms = 0

    def uptime_ms(self) -> int:
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def real_ms(self, ms: int) -> int:
        return ms


class NoNetwork:
    """A board without one: records stay in the ledger until a technician reads them out."""

    def ready(self) -> bool:
        return False


class NoScreen:
    columns = 40
    rows = 8

    def __init__(self, light):
        self._light = light

    def show(self, lines, qr: str, light: str) -> None:
        self._light.show(light)

    def turn(self) -> None:
        """Nothing turns."""


class Light:
    """Up to three lamps (red, green, blue); colours are mixed, blinking is the task's business."""

    _MIX = {"off": 0, "red": 1, "green": 2, "yellow": 3, "blue": 4, "white": 7}

    def __init__(self, pins):
        self._pins = [None if n is None else Pin(n, Pin.OUT, value=0) for n in pins]
        self._mix = 0
        self._blink = False
        self._on = True

    def show(self, light: str) -> None:
        self._blink = light.startswith("blink-")
        self._mix = self._MIX.get(light[6:] if self._blink else light, 0)
        self._on = True
        self._set()

    def _set(self) -> None:
        for bit, pin in enumerate(self._pins):
            if pin is not None:
                pin.value(self._on and self._mix >> bit & 1)

    def turn(self) -> None:
        """Every half second."""
        if self._blink:
            self._on = not self._on
            self._set()


class Watchdog:
    """Started by the first feed: from then on a charger that hangs comes back by itself."""

    def __init__(self, timeout_ms: int):
        self._timeout_ms = timeout_ms
        self._wdt: WDT = None

    def feed(self) -> None:
        if self._wdt is None:
            self._wdt = WDT(timeout=self._timeout_ms)
        self._wdt.feed()

    def came_up(self) -> None:
        """This version stays: what board/start.py counted is over, and its words were told."""
        for name in ("/trial", "/starts", "/back", "/why"):
            _remove(name)

    def stuck(self) -> None:
        """A version on trial that cannot work with this charger's configuration."""
        if "trial" in os.listdir("/"):
            reset()


def _remove(name: str) -> None:
    try:
        os.remove(name)
    except OSError:
        pass  # it is not there


def again() -> None:
    """Out of safe mode: one more start is tried."""
    import start  # type: ignore[import-not-found] # board/start.py, in the root

    start.again()
    reset()


class Board:
    """`data`: a board module's DATA; `flash`: the ledger's region; `network`: ports.Network."""

    files = ""

    def __init__(self, data, flash, network):
        self.name = data["name"]
        self._uarts = data["uarts"]
        self.lines = Lines(data)
        self.flash = flash
        self.network = network
        self.clock = Clock()
        self.watchdog = Watchdog(data["watchdog_ms"])
        self.has_network = data["network"] is not None
        self._supply = data.get("supply")  # (ADC pin, mV at full scale)
        self._light = Light(data["lights"])
        self.screen = self._screen(data)
        self.reset = reset
        self.again = again
        self._bridged = data["jumper"] == data["stop"]

    def power(self):
        """(supply in mV or -1, why the charger started, and why not the version that was to)."""
        from machine import ADC, PWRON_RESET, reset_cause

        cause = "power_on" if reset_cause() == PWRON_RESET else "restart"
        try:
            with open("/back") as f:
                cause += "; " + f.read()
        except (OSError, ValueError):
            pass  # it starts
        if self._supply is None:
            return -1, cause
        pin, full_mv = self._supply
        return ADC(Pin(pin)).read_u16() * full_mv // 65535, cause

    def let_go(self) -> bool:
        """The jumper bridges the stop button, and is open now: who set it has ended the service,
        or it was a driver who pressed Stop as the power came.
        """
        return self._bridged and not self.lines.stop_held()

    def _screen(self, data):
        if not data["screen"]:
            return NoScreen(self._light)
        kind, number, sda, scl, address = data["screen"]
        i2c = I2C(number, sda=Pin(sda), scl=Pin(scl), freq=100000 if kind == "hd44780" else 400000)
        if kind == "hd44780":
            from board.hd44780 import Hd44780

            return Hd44780(i2c, address, self._light, time.sleep_ms)
        from board.ssd1306 import Ssd1306

        return Ssd1306(i2c, address, self._light)

    def uart(self, role: str, baudrate: int, bits: int = 8, parity=None, stop: int = 1):
        """The UART of a role, None where the board has none."""
        wires = self._uarts.get(role)
        if wires is None:
            return None
        number, tx, rx, direction = wires
        uart = UART(number, baudrate=baudrate, bits=bits, parity=parity, stop=stop, tx=Pin(tx),
                    rx=Pin(rx), rxbuf=_RXBUF, txbuf=_TXBUF, timeout=0)  # fmt: skip
        return uart if direction is None else Rs485(uart, Pin(direction, Pin.OUT, value=0))

    def tasks(self):
        """The board's own: lamps, a screen that turns, the network."""
        keep = getattr(self.network, "keep", None)
        return (("light", self._blink),) + ((("network", keep),) if keep else ())

    async def _blink(self):
        import asyncio

        while True:
            self._light.turn()
            self.screen.turn()
            await asyncio.sleep_ms(500)

    def trace(self, kind: str, fields) -> None:
        """Nobody looks."""
