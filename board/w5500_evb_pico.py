"""WIZnet W5500-EVB-Pico (RP2040 with Ethernet). Wiring: docs/boards/w5500_evb_pico.md; what each
entry means: board/plan.py.
"""

DATA = {
    "name": "w5500_evb_pico",
    "uarts": {"meter": (0, 0, 1, 2), "terminal": (1, 4, 5, None)},
    "contactor": (15, 1),
    "feedback": (14, 0, "nc"),
    "stop": (13, 0),
    "emergency": (12, 0),
    "jumper": (22, 0),
    "pilot": {"pwm": 11, "adc": 26, "levels": (52100, 37200, 22300, 7400)},
    "lights": (8, 9, 10),
    "screen": ("ssd1306", 1, 6, 7, 0x3C),
    # the image knows where its W5500 is
    "network": {"wiznet": True},
    "files": (2, 286),
    "ledger": (288, 64),
    "watchdog_ms": 8300,
}


def Board():  # noqa: N802 - what main.py asks every board module for
    from board.mcu import Board
    from board.net import Network
    from board.rp2_flash import Rp2Flash

    first, count = DATA["ledger"]
    return Board(DATA, Rp2Flash(first * 4096, count), Network(DATA["network"]))
