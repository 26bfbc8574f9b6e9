"""Wireless-Tag WT32-ETH01 (ESP32 with Ethernet). Every pin is taken: the transceiver of the meter
finds its direction by itself, there are no lamps, and the service jumper bridges the stop button.
Wiring: docs/boards/wt32_eth01.md; what each entry means: board/plan.py.
"""

DATA = {
    "name": "wt32_eth01",
    "uarts": {"meter": (1, 17, 5, None), "terminal": (2, 2, 35, None)},
    "contactor": (4, 1),
    "feedback": (32, 0, "nc"),
    "stop": (33, 0),
    "emergency": (39, 0),
    "jumper": (33, 0),
    "pilot": {"pwm": 12, "adc": 36, "levels": (44400, 31700, 19000, 6300)},
    "lights": (None, None, None),
    "screen": ("hd44780", 0, 14, 15, 0x27),
    "network": {"mdc": 23, "mdio": 18, "power": 16, "phy": 1, "clock": 0},
    # (offset, length) in the chip's flash
    "partitions": {"vfs": (0x200000, 0x1C0000), "ledger": (0x3C0000, 0x40000)},
    "watchdog_ms": 8300,
}


def Board():  # noqa: N802 - what main.py asks every board module for
    from esp32 import Partition

    from board.mcu import Board
    from board.net import Network

    return Board(DATA, Partition("ledger"), Network(DATA["network"]))
