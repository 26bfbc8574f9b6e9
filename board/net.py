"""The network of a microcontroller: a W5500 or LAN8720 by cable, and Wi-Fi where the charger has
`wifi.txt` (name and password of the network, a line each).

Nothing here waits: `ready` asks, `keep` (a task of the board) looks every few seconds and starts
again what has been without an address for a minute. A cable goes before the radio: the chip's own
routing uses the interface that came up first, so the radio is only started while there is no
cable.
"""

import asyncio
import os

import network as nets
from machine import SPI, Pin
from micropython import const

_LOOK_MS = const(3000)
_PATIENCE = const(20)  # looks without an address


def cable(data):
    """The wired interface of a board's `network`, started; None where the image has no driver."""
    if data.get("wiznet"):
        nic = nets.WIZNET5K()
    elif "spi" in data:
        if not hasattr(nets, "PHY_W5500"):
            return None
        number, sck, mosi, miso = data["spi"]
        spi = SPI(number, sck=Pin(sck), mosi=Pin(mosi), miso=Pin(miso))
        nic = nets.LAN(spi=spi, phy_type=nets.PHY_W5500, phy_addr=0, cs=Pin(data["cs"]),
                       int=Pin(data["int"]), reset=Pin(data["reset"]))  # fmt: skip
    elif "mdc" in data:
        nic = nets.LAN(mdc=Pin(data["mdc"]), mdio=Pin(data["mdio"]), power=Pin(data["power"]),
                       phy_type=nets.PHY_LAN8720, phy_addr=data["phy"],
                       ref_clk_mode=Pin.IN, ref_clk=Pin(data["clock"]))  # fmt: skip
    else:
        return None
    nic.active(True)
    return nic


def wifi_of(name: str = "wifi.txt"):
    """(network's name, password) of the file; None when there is none or it has no name."""
    try:
        os.stat(name)
    except OSError:
        return None
    with open(name) as f:
        ssid, password = f.readline().strip(), f.readline().strip()
    return (ssid, password) if ssid else None


class Network:
    """`firmware.ports.Network`. `data`: a board's `network`."""

    def __init__(self, data, known=None):
        self._known = known if known is not None else (wifi_of() if data.get("wifi") else None)
        self._cable = self._started(data)
        self._radio = None
        self._without = 0

    @staticmethod
    def _started(data):
        try:
            nic = cable(data)
            if nic is not None and hasattr(nic, "ipconfig"):
                nic.ipconfig(dhcp4=True)
            return nic
        except (OSError, ValueError):
            return None  # not fitted, or it does not answer: Wi-Fi, or none

    def ready(self) -> bool:
        return _has_address(self._cable) or _has_address(self._radio)

    def look(self) -> None:
        """Every few seconds."""
        if self.ready():
            self._without = 0
            return
        self._without += 1
        if self._known and (self._radio is None or self._without % _PATIENCE == 0):
            self._join()

    def _join(self) -> None:
        try:
            if self._radio is None:
                self._radio = nets.WLAN(nets.STA_IF)
            self._radio.active(False)
            self._radio.active(True)
            self._radio.connect(*self._known)
        except OSError:
            pass  # at the next look

    async def keep(self) -> None:
        while True:
            self.look()
            await asyncio.sleep_ms(_LOOK_MS)


def _has_address(nic) -> bool:
    if nic is None or not nic.isconnected():
        return False
    return nic.ifconfig()[0] != "0.0.0.0"
