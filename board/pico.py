"""Raspberry Pi Pico (RP2040, no network): the emulated board of CI, and a charger whose books a
technician reads out. Wiring: docs/boards/pico.md; what each entry means: board/plan.py.
"""

DATA = {
    "name": "pico",
    # role: (UART, TX, RX, RS-485 direction pin or None)
    "uarts": {"meter": (0, 0, 1, 2), "terminal": (1, 4, 5, None)},
    # (GPIO, level when active); the feedback's contact: level while it is closed, nc or no
    "contactor": (15, 1),
    "feedback": (14, 0, "no"),
    "stop": (13, 0),
    "emergency": (12, 0),
    "jumper": (22, 0),
    # lowest ADC reading of 65535 for the states A, B, C, D: 12, 9, 6 and 3 V at 3.0 V full scale
    "pilot": {"pwm": 16, "adc": 26, "levels": (52100, 37200, 22300, 7400)},
    "lights": (18, 19, 20),
    # GPIO and mV at full scale: VSYS behind a divider of three (Pico datasheet, 4.4)
    "supply": (29, 9900),
    "screen": None,
    "network": None,
    # MicroPython's storage of 352 sectors: 0 and 1 the first stage (board/rp2_boot.py), then files
    "files": (2, 286),
    "ledger": (288, 64),
    "watchdog_ms": 8300,
}


def Board():  # noqa: N802 - what main.py asks every board module for
    import sys

    from board.mcu import Board, NoNetwork
    from board.rp2_flash import Rp2Flash

    for name in ("socket", "usocket", "tls"):  # an image without a network has none of these
        sys.modules.setdefault(name, NoNetwork)
    first, count = DATA["ledger"]
    return Board(DATA, Rp2Flash(first * 4096, count), NoNetwork())
