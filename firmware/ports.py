"""What a board gives the firmware. A board module builds one object with these attributes; nothing
here is imported to run, it is the contract in one place (design.md, "Rooms"). Boards implement it,
`board/host.py` over ptys and a socket.

Two times exist and must not be mixed:
- `time.ticks_ms()`: the machine's own, real time. Protocol timers (Modbus, ZVT, MQTT) use it,
  everywhere.
- `Clock.uptime_ms()`: the charger's time since power-on. Sessions, prices and plausibility use it.
  On a board both run alike; in the simulator charger time may run up to 60 times faster while the
  serial lines stay real.
"""


class Uart:
    """A `machine.UART`: non-blocking stream with `any()`, `readinto(buf)`, `write(buf)`; pollable
    by asyncio.
    """


class Lines:
    """The digital lines of the EVSE, polled about every 20 ms; reads never block and never
    allocate.

    `pilot()` is the IEC 61851-1 control pilot state as one letter: A no vehicle, B vehicle not
    asking for power, C or D vehicle asks for power, E or F fault. `stop_pressed()` is latched by
    the board and cleared by reading.
    """

    def pilot(self) -> str: ...

    def feedback(self) -> bool:
        """True while the contactor is closed, by its feedback contact, of whatever kind."""

    def stop_pressed(self) -> bool: ...

    def emergency(self) -> bool: ...

    def contactor(self, closed: bool) -> None: ...

    def offer(self, milliamps: int) -> None:
        """Control pilot duty cycle for this current; 0: no current offered (steady state)."""


class Flash:
    """The ledger's raw region: MicroPython's extended block-device interface
    (facts/micropython.md, "Flash").

    `readblocks(n, buf, off)`, `writeblocks(n, buf, off)` (programs; bits only clear, erases
    nothing) and `ioctl(op, n)` with 4 = number of sectors, 5 = sector size in bytes, 6 = erase
    sector n. Any length at any offset within a sector.
    """


class Clock:
    def uptime_ms(self) -> int:
        """Charger time since power-on, ms; never steps back."""

    def real_ms(self, ms: int) -> int:
        """How long that much charger time lasts on the machine: the same on a board."""


class Network:
    """`ready()`: the link is up. Sockets are MicroPython's own (asyncio.open_connection)."""

    def ready(self) -> bool: ...


class ScreenPort:
    """What the driver reads. `columns` x `rows` characters; `qr` is text a board draws as a QR
    code, "" for none; `light` is one of off, green, blue, white, yellow, red (blinking is the
    board's business: prefix "blink-").
    """

    columns = 40
    rows = 8

    def show(self, lines: "tuple[str, ...]", qr: str, light: str) -> None: ...


class Watchdog:
    def feed(self) -> None: ...

    def came_up(self) -> None:
        """Every task has lived for a minute: this version stays (board/start.py)."""

    def stuck(self) -> None:
        """Nothing can be sold with this configuration, or tasks keep dying: a version on trial
        gives way. No session is open."""


class Board:
    """`name`, `uart(role, baudrate, bits, parity, stop)` for the roles meter, terminal, rfid (None
    when not fitted), `lines`, `flash`, `clock`, `network`, `screen`, `watchdog`, `files` (the
    directory of config.json, tariff.json and certificates), `reset()` restarts the charger,
    `again()` does so out of safe mode, `let_go()`: a jumper that bridges the stop button is open,
    `power()` gives the supply in mV (-1: not measured) and why
    the charger started, `has_network` whether one is fitted, `trace(kind, fields)` shows an
    engineer what happens (may do nothing), `tasks()` gives (name, coroutine maker) pairs of the
    board's own work.
    """
