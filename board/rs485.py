"""A UART behind an RS-485 transceiver whose driver is switched by a pin.

Promises: the driver is on from the first byte written until the last one has left the UART, and
what comes back meanwhile (an echo) is not read. It goes off when `sent` is asked for the first
time after that; firmware/meter/bus.py asks as soon as the request's time on the line is over,
because a slave may answer after 3.5 characters of silence, 3.6 ms at 9600 baud (MODBUS over
Serial Line V1.02, 2.5.1.1). At 38400 baud and more use a transceiver that switches by itself, and
no pin.
"""

import io


class Rs485(io.IOBase):
    """`direction`: output pin, high while this side talks (DE and /RE tied together)."""

    def __init__(self, uart, direction):
        self._uart = uart
        self._direction = direction
        self._talking = False
        self.any = uart.any

    def write(self, data):
        self._direction.value(1)
        self._talking = True
        return self._uart.write(data)

    def sent(self) -> bool:
        """Whether everything written has left; from then on this side listens."""
        if self._talking:
            if not self._uart.txdone():
                return False
            self._direction.value(0)
            self._talking = False
        return True

    def readinto(self, buf):
        if not self.sent():
            return None
        return self._uart.readinto(buf)

    def ioctl(self, request, arg):
        return self._uart.ioctl(request, arg)
