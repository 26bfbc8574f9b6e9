"""The drivers that need MicroPython's own modules, on MicroPython, with pins and buses that note
what was asked of them.
"""

import json

import pytest

from board import plan
from tests import mpy

_OLED = """
import sys, json
sys.path.append('')
from board.ssd1306 import Ssd1306, plain

class Bus:
    def __init__(self): self.sent = []; self.away = False
    def writeto(self, address, data):
        if self.away: raise OSError(5)
        self.sent.append(bytes(data).hex())
    def writevto(self, address, parts):
        self.sent.append(b''.join([bytes(p) for p in parts]).hex())

class Light:
    def show(self, light): self.shown = light

bus, light = Bus(), Light()
"""

_NETS = """
import sys, json
class Mod: pass
asked = []
class Pin:
    IN = 0
    def __init__(self, n, *a, **k): self.n = n
    def __repr__(self): return 'pin %d' % self.n
class SPI:
    def __init__(self, n, **k): asked.append(['spi', n, sorted([(a, v.n) for a, v in k.items()])])
class Nic:
    address = '0.0.0.0'
    up = False
    def __init__(self, *a, **k):
        asked.append([self.name, sorted([(a, repr(v)) for a, v in k.items() if a != 'spi'])])
    def active(self, on): asked.append([self.name, 'active', on])
    def ipconfig(self, **k): asked.append([self.name, 'dhcp', k['dhcp4']])
    def isconnected(self): return self.up
    def ifconfig(self): return (self.address,)
    def connect(self, ssid, password): asked.append(['join', ssid, password])
class WIZNET5K(Nic): name = 'wiznet'
class LAN(Nic): name = 'lan'
class WLAN(Nic):
    name = 'wlan'
    def __init__(self, which): pass
machine, network = Mod(), Mod()
machine.Pin, machine.SPI = Pin, SPI
network.WIZNET5K, network.LAN, network.WLAN, network.STA_IF = WIZNET5K, LAN, WLAN, 0
network.PHY_W5500, network.PHY_LAN8720 = 'w5500', 'lan8720'
sys.modules['machine'], sys.modules['network'] = machine, network
from board.net import Network
"""


def _run(script: str, tail: str) -> object:
    boards = {name: plan.load(name)["network"] for name in plan.names()}
    data = f"boards = {boards!r}\ndef data(name): return boards[name]\n"
    result = mpy.run_mpy("micropython", script + data + tail + "\n")
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_oled_gets_its_start_and_a_page_of_words_byte_by_byte() -> None:
    sent = _run(
        _OLED,
        """
oled = Ssd1306(bus, 0x3c, light)
oled.show(("A",), "", "green")
print(json.dumps(bus.sent))""",
    )
    assert isinstance(sent, list)
    assert sent[0] == "00aed580a83fd300408d14a1c8da1281cfd9f1db40a4a6af"
    assert sent[1] == "00b00010"
    assert sent[2].startswith("40" + "007c7e0b0b7e7c00" + "00" * 100), sent[2][:20]
    assert [head for head in sent[1::2]] == [f"00b{page}0010" for page in range(8)]
    assert all(len(part) == 2 * 129 for part in sent[2::2])


def test_oled_shows_letters_the_font_lacks_and_the_code_in_turn() -> None:
    got = _run(
        _OLED,
        """
oled = Ssd1306(bus, 0x3c, light, 2)
oled.show(("\\u00e4",), "https://pay.example/r/1", "blue")
word = bus.sent[2]
bus.sent.clear()
for _ in range(7): oled.turn()
quiet = len(bus.sent)
oled.turn()
code = list(bus.sent)
bus.sent.clear()
for _ in range(8): oled.turn()
flat = plain("\\u00e4\\u20ac\\u00e7z")
print(json.dumps([word, quiet, code, bus.sent[1] == word, flat, light.shown]))""",
    )
    assert isinstance(got, list)
    word, quiet, code, back, plain, light = got
    columns = bytes.fromhex(word)[1:9]
    assert columns[2] & 1 and columns[5] & 1, "the two dots of an umlaut"
    assert quiet == 0
    assert code[0] == "00b00210", "an SH1106's first column is 2"
    top = bytes.fromhex(code[1])[1:65]
    assert top[0] == 0xFF, "the edge of the code is lit"
    assert 0 in {column >> 7 for column in top}, "dark modules are not"
    assert (back, plain, light) == (True, "a cz", "blue")


def test_oled_that_is_not_there_does_not_stop_the_charger() -> None:
    assert _run(
        _OLED,
        """
bus.away = True
oled = Ssd1306(bus, 0x3c, light)
first = oled.there
oled.show(("A",), "", "red")
bus.away = False
oled.show(("B",), "", "red")
print(json.dumps([first, oled.there, light.shown]))""",
    ) == [False, True, "red"]


@pytest.mark.parametrize(
    ("board", "asked"),
    [
        ("w5500_evb_pico", [["wiznet", []], ["wiznet", "active", True], ["wiznet", "dhcp", True]]),
        (
            "esp32s3_w5500",
            [
                ["spi", 1, [["miso", 13], ["mosi", 11], ["sck", 12]]],
                [
                    "lan",
                    [["cs", "pin 10"], ["int", "pin 14"], ["phy_addr", "0"],
                     ["phy_type", "'w5500'"], ["reset", "pin 21"]],
                ],
                ["lan", "active", True],
                ["lan", "dhcp", True],
            ],
        ),
        (
            "wt32_eth01",
            [
                [
                    "lan",
                    [["mdc", "pin 23"], ["mdio", "pin 18"], ["phy_addr", "1"],
                     ["phy_type", "'lan8720'"], ["power", "pin 16"], ["ref_clk", "pin 0"],
                     ["ref_clk_mode", "0"]],
                ],
                ["lan", "active", True],
                ["lan", "dhcp", True],
            ],
        ),
    ],
)  # fmt: skip
def test_cable_is_started_as_the_board_has_it(board: str, asked: list[object]) -> None:
    tail = f"n = Network(data({board!r}))\nprint(json.dumps(asked))"
    assert _run(_NETS, tail) == asked


def test_network_is_ready_with_an_address_only() -> None:
    assert _run(
        _NETS,
        """
n = Network(data('wt32_eth01'))
seen = [n.ready()]
LAN.up = True
seen.append(n.ready())
LAN.address = '192.0.2.7'
seen.append(n.ready())
print(json.dumps(seen))""",
    ) == [False, False, True]


def test_radio_joins_only_without_a_cable_and_again_after_a_minute() -> None:
    assert _run(
        _NETS,
        """
LAN.up, LAN.address = True, '192.0.2.7'
n = Network(data('esp32s3_w5500'), ('yard', 'secret'))
n.look()
asked.clear()
LAN.up = False
for _ in range(21): n.look()
print(json.dumps(asked))""",
    ) == [
        ["wlan", "active", False], ["wlan", "active", True], ["join", "yard", "secret"],
        ["wlan", "active", False], ["wlan", "active", True], ["join", "yard", "secret"],
    ]  # fmt: skip


def test_board_without_its_chip_is_left_to_the_radio() -> None:
    assert _run(
        _NETS,
        """
def away(*a, **k): raise OSError('esp_eth_driver_install failed')
network.LAN = away
n = Network(data('esp32s3_w5500'), ('yard', 'secret'))
n.look()
WLAN.up, WLAN.address = True, '192.0.2.9'
print(json.dumps([asked[-1], n.ready()]))""",
    ) == [["join", "yard", "secret"], True]


_LINES = """
import sys, json
class Pin:
    IN, OUT, PULL_UP, PULL_DOWN, IRQ_RISING, IRQ_FALLING = 0, 1, 2, 3, 4, 5
    level = {}
    pulled = {}
    def __init__(self, n, mode=0, pull=None, value=None):
        self.n = n
        if pull is not None: Pin.pulled[n] = pull
    def irq(self, *a): pass
    def value(self): return Pin.level.get(self.n, 1 if Pin.pulled[self.n] == Pin.PULL_UP else 0)
class Other:
    def __init__(self, *a, **k): pass
class Mod: pass
machine = Mod()
machine.Pin, machine.ADC, machine.PWM = Pin, Other, Other
sys.modules['machine'] = machine
from board.lines import Lines
out = []
for kind, level in (('no', 0), ('nc', 0), ('no', 1), ('nc', 1)):
    data = dict(DATA, feedback=(14, level, kind))
    Pin.level = {}
    lines = Lines(data)
    row = [lines.feedback()]  # its wire is off
    for closed in (False, True):
        there = closed == (kind == 'no')  # whether the contact is closed
        Pin.level = {14: level} if there else {}
        row.append(lines.feedback())
    out.append(row)
print(json.dumps(out))
"""


def test_feedback_of_either_kind_follows_the_contactor() -> None:
    script = f"DATA = {plan.load('pico')!r}\n{_LINES}"
    done = mpy.run_mpy("micropython", script, heap="4M")
    assert done.returncode == 0, done.stdout + done.stderr
    no, nc, no_high, nc_high = json.loads(done.stdout)
    assert no == no_high == [False, False, True]
    assert nc == nc_high == [True, False, True], "a broken wire of a mirror contact is a fault"
