"""ESP32-S3-DevKitC-1 with a W5500 module: Ethernet, and Wi-Fi where wifi.txt is there. Wiring:
docs/boards/esp32s3_w5500.md; what each entry means: board/plan.py.
"""

DATA = {
    "name": "esp32s3_w5500",
    "uarts": {"meter": (1, 17, 18, 8), "terminal": (2, 15, 16, None)},
    "contactor": (4, 1),
    "feedback": (5, 0, "nc"),
    "stop": (6, 0),
    "emergency": (7, 0),
    "jumper": (47, 0),
    # 12 V are 2.4 V at the input, where the converter is still straight; 3.1 V full scale
    "pilot": {"pwm": 42, "adc": 1, "levels": (44400, 31700, 19000, 6300)},
    "lights": (39, 40, 41),
    "screen": ("ssd1306", 0, 2, 9, 0x3C),
    "network": {
        "spi": (1, 12, 11, 13),  # number, SCK, MOSI, MISO
        "cs": 10,
        "int": 14,
        "reset": 21,
        "wifi": True,
    },
    # (offset, length) in the chip's flash
    "partitions": {"vfs": (0x200000, 0x400000), "ledger": (0x600000, 0x200000)},
    "watchdog_ms": 8300,
}


def Board():  # noqa: N802 - what main.py asks every board module for
    from esp32 import Partition

    from board.mcu import Board
    from board.net import Network

    return Board(DATA, Partition("ledger"), Network(DATA["network"]))
