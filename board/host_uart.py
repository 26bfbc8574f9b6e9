"""A `machine.UART` for MicroPython's unix port: the host simulator's serial lines, whose "id" is
the path of a tty.

Promises: never blocks (O_NONBLOCK), answers None when nothing is there, and sleeps in poll(2)
under asyncio because `ioctl` gives the descriptor (request 10, MP_STREAM_GET_FILENO of
py/stream.h). A pty has no baud rate of its own: the peer paces the bytes. A peer that closed
gives b"", so the caller can tell a hang-up from silence."""

import io
import termios

import ffi
from micropython import const

_libc = ffi.open("libc.so.6")
_fcntl = _libc.func("i", "fcntl", "iii")
_ioctl = _libc.func("i", "ioctl", "iip")
_FIONREAD = const(0x541B)
_F_GETFL = const(3)
_F_SETFL = const(4)
_O_NONBLOCK = const(0o4000)
_PARENB = const(0x100)
_PARODD = const(0x200)
_CSTOPB = const(0x40)
_CSIZE = const(0x30)
_CREAD_CLOCAL = const(0x880)
_BAUD = {
    1200: 9,
    2400: 11,
    4800: 12,
    9600: 13,
    19200: 14,
    38400: 15,
    57600: 0o10001,
    115200: 0o10002,
}


class UART(io.IOBase):
    """`UART(path, baudrate, bits, parity, stop)` as `machine.UART(id, ...)`: parity None, 0 even,
    1 odd.

    Raises OSError when the path cannot be opened, KeyError for a baud rate termios does not know.
    """

    def __init__(self, path, baudrate=9600, bits=8, parity=None, stop=1):
        self._file = open(path, "r+b", buffering=0)
        self._fd = self._file.fileno()
        self._count = bytearray(4)
        self.init(baudrate, bits, parity, stop)
        _fcntl(self._fd, _F_SETFL, _fcntl(self._fd, _F_GETFL, 0) | _O_NONBLOCK)

    def init(self, baudrate=9600, bits=8, parity=None, stop=1):
        """Set the line anew; what was received stays."""
        termios.setraw(self._fd)
        attrs = termios.tcgetattr(self._fd)
        flags = attrs[2] & ~(_CSTOPB | _PARENB | _PARODD | _CSIZE)
        flags |= _CREAD_CLOCAL | (0x30 if bits == 8 else 0x20)
        if stop == 2:
            flags |= _CSTOPB
        if parity is not None:
            flags |= _PARENB | (_PARODD if parity else 0)
        attrs[2] = flags
        attrs[4] = attrs[5] = _BAUD[baudrate]
        try:
            termios.tcsetattr(self._fd, termios.TCSANOW, attrs)
        except OSError:
            if parity is None:
                raise
            attrs[2] = flags & ~(_PARENB | _PARODD)  # a pty has no parity, and libc says so
            termios.tcsetattr(self._fd, termios.TCSANOW, attrs)

    def any(self):
        """Bytes that can be read now."""
        _ioctl(self._fd, _FIONREAD, self._count)
        return int.from_bytes(self._count, "little")

    def readinto(self, buf, n=-1):
        """Bytes read into buf; None when nothing is there."""
        if n >= 0:
            buf = memoryview(buf)[:n]
        return self._file.readinto(buf)

    def write(self, data):
        """Bytes taken; None when the line's buffer is full."""
        return self._file.write(data)

    def ioctl(self, request, arg):
        if request == 10:
            return self._fd
        if request == 4:
            self._file.close()
            return 0
        return -22

    def close(self):
        self._file.close()

    deinit = close
