"""Stands in for MicroPython's `machine` module on the unix port, for what micropython-modbus asks
of it: a UART whose id is a tty's path (None: a UART nobody is at) and pins without a wire.
"""

import time

from board import host_uart

_BUFFER = 256


class UART:
    def __init__(self, path, baudrate=9600, bits=8, parity=None, stop=1, tx=None, rx=None):
        self._tty = host_uart.UART(path, baudrate, bits, parity, stop) if path else None
        self._wire_us = 10000000 // baudrate
        self._buffer = bytearray(_BUFFER)

    def any(self):
        return self._tty.any()

    def read(self):
        """What has come, None when nothing has."""
        n = self._tty.readinto(self._buffer)
        return bytes(self._buffer[:n]) if n else None

    def write(self, data):
        """As a UART's: gone to the buffer; `flush` waits for the wire."""
        self._left = len(data)
        return self._tty.write(data) if self._tty else len(data)

    def flush(self):
        if self._tty:
            time.sleep_us(self._left * self._wire_us)


class Pin:
    OUT = 1
