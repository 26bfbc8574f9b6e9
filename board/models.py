"""The printed circuit boards of board/*.py as their makers sell them. Data for board/plan.py and
for docs/boards, not on a charger.

A row: `chip`, MicroPython's `image`, its `micropython` version and what it says it runs on
(`machine`), `storage` (rp2: sectors of MicroPython's own), `flash` (esp32: bytes), `keep`: pins
the board itself uses, with what for, `header`: the pins led out, in the order they are drawn,
`code_bytes`: the most .mpy bytes `make build` lets pass (two versions of it and the charger's own
fit in the files: tests/board/test_board_room.py), `lan`: how its LAN8720 is wired.

Sources: Raspberry Pi Pico datasheet (pinout, 2.1), WIZnet W5500-EVB-Pico and W5500-EVB-Pico2
(GPIO16 to 21 go to the W5500), Wireless-Tag WT32-ETH01 V1.4, Espressif ESP32-S3-DevKitC-1 V1.1,
MicroPython ports/rp2/boards and ports/esp32.
"""

_PICO_KEEP = {
    23: "the regulator's mode",
    24: "sensing USB power",
    25: "the board's own lamp",
    29: "measuring the supply",
}
_W5500_KEEP = dict.fromkeys(range(16, 22), "the W5500") | {
    24: "sensing USB power",
    25: "the board's own lamp",
    29: "measuring the supply",
}
_PICO_HEADER = (*range(23), 26, 27, 28)
_EVB_HEADER = (*range(16), 22, 26, 27, 28)

MODELS: "dict[str, dict]" = {
    "pico": {
        "title": "Raspberry Pi Pico",
        "chip": "rp2040",
        "image": "RPI_PICO",
        "micropython": "1.25",
        "machine": "Raspberry Pi Pico with RP2040",
        "storage": 352,
        "keep": _PICO_KEEP,
        "header": _PICO_HEADER,
        "code_bytes": 220000,
    },
    "w5500_evb_pico": {
        "title": "WIZnet W5500-EVB-Pico",
        "chip": "rp2040",
        "image": "W5500_EVB_PICO",
        "micropython": "1.25",
        "machine": "W5500-EVB-Pico with RP2040",
        "storage": 352,
        "keep": _W5500_KEEP,
        "header": _EVB_HEADER,
        "code_bytes": 220000,
    },
    "w5500_evb_pico2": {
        "title": "WIZnet W5500-EVB-Pico2",
        "chip": "rp2350",
        "image": "W5500_EVB_PICO2",
        "micropython": "1.26",
        "machine": "W5500-EVB-Pico2 with RP2350",
        "storage": 256,
        "keep": _W5500_KEEP,
        "header": _EVB_HEADER,
        "code_bytes": 199000,
    },
    "esp32s3_w5500": {
        "title": "ESP32-S3-DevKitC-1 with a W5500 module",
        "chip": "esp32s3",
        "image": "ESP32_GENERIC_S3",
        "micropython": "1.25",
        "machine": "Generic ESP32S3 module with ESP32S3",
        "flash": 0x800000,
        "keep": {38: "the board's own lamp", 48: "the board's own lamp (V1.0)"},
        "header": (*range(4, 19), 1, 2, 42, 41, 40, 39, 47, 21),
        "code_bytes": 220000,
    },
    "wt32_eth01": {
        "title": "Wireless-Tag WT32-ETH01",
        "chip": "esp32",
        "image": "ESP32_GENERIC",
        "micropython": "1.25",
        "machine": "Generic ESP32 module with ESP32",
        "flash": 0x400000,
        "keep": dict.fromkeys((0, 18, 19, 21, 22, 23, 25, 26, 27), "the LAN8720")
        | {16: "the LAN8720's clock"},
        "lan": {"mdc": 23, "mdio": 18, "power": 16, "phy": 1, "clock": 0},
        "header": (39, 36, 15, 14, 12, 35, 4, 2, 32, 33, 5, 17),
        "code_bytes": 220000,
    },
}
