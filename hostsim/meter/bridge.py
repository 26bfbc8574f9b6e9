"""The line between firmware and pymodbus: frames kept as a UART would, paced both ways, with
faults in between.

pymodbus serves one end of a pty of its own. A frame ends after 3.5 characters of silence, as
MODBUS over Serial Line V1.02 2.5.1.1 says; pymodbus itself would wait for the rest of a torn one.
Frames with a wrong check sum and for other units are dropped here: a real slave is silent then,
pymodbus would answer with an exception."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import random
import tty
from collections.abc import Callable

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerRTU, FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hostsim.line import BytePort, LineClosed
from hostsim.meter.device import MeterDevice

OnEvent = Callable[[str, dict[str, object]], None]
_UNUSED = 0xFFFF
_FIFO = 16


class MeterBridge:
    """Serves one or several meters on a BytePort. Faults of the line hit all that share it."""

    def __init__(
        self,
        port: BytePort,
        devices: list[MeterDevice],
        baud: int,
        bits_per_byte: int = 10,
        on_event: OnEvent | None = None,
        seed: int = 1,
        baud_of: Callable[[], int] | None = None,
    ) -> None:
        """`baud_of()` tells the master's baud rate; None: it is taken to be right."""
        self._port = port
        self._devices = {device.unit: device for device in devices}
        self._byte_s = bits_per_byte / baud if baud else 0.0
        self._baud = baud or 115200
        self._on_event = on_event
        self._baud_of = baud_of
        self._random = random.Random(seed)
        self._buffer = bytearray()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.Task[None] | None = None
        self._server: ModbusSerialServer | None = None
        self._master = self._slave = -1
        self.requests = self.answers = 0
        self.on_busy: Callable[[bool], None] = lambda busy: None
        """Told when pymodbus, on its own line and in the machine's time, has a request in hand."""

    async def start(self) -> None:
        """Bring pymodbus up and listen."""
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._server = ModbusSerialServer(
            [_sim_device(device) for device in self._devices.values()],
            framer=FramerType.RTU,
            port=os.ttyname(self._slave),
            baudrate=self._baud,
        )
        await self._server.serve_forever(background=True)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._answered)
        self._reader = loop.create_task(self._read())

    async def stop(self) -> None:
        """Take everything down; the port stays the caller's."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            asyncio.get_running_loop().remove_reader(self._master)
            await self._server.shutdown()
            self._server = None
            os.close(self._master)
            os.close(self._slave)

    def _say(self, kind: str, data: bytes, text: str = "") -> None:
        if self._on_event is not None:
            self._on_event(kind, {"hex": data.hex(" "), "text": text or describe(data)})

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(LineClosed):
            while True:
                data = await self._port.read()
                self._buffer += data
                if self._timer is not None:
                    self._timer.cancel()
                # a pty hands it over at once: its time on the wire, then the silence after
                wire_s = (len(self._buffer) + 3.5) * self._byte_s
                self._timer = loop.call_later(wire_s, self._frame)

    def _frame(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._faulty("echo"):
            self._put(data)  # heard while it was sent
        data = self._dropped(data)
        if self._baud_of is not None and self._baud_of() != self._baud:
            data = b"\x00" * (len(data) // 2)
        if len(data) < 4 or not FramerRTU.check_CRC(data[:-2], int.from_bytes(data[-2:], "big")):
            self._say("noise", data, f"{len(data)} bytes that are no frame")
            return
        if data[0] not in self._devices:
            self._say("ignored", data, f"for unit {data[0]}")
            return
        self.requests += 1
        self._say("request", data)
        if self._faulty("silence"):
            return
        refusal = _refusal(data)
        if refusal:
            self._send(refusal)
        else:
            self.on_busy(True)
            os.write(self._master, data)

    def _faulty(self, name: str) -> bool:
        return any(name in device.faults for device in self._devices.values())

    def _fault(self, name: str) -> int | None:
        for device in self._devices.values():
            if name in device.faults:
                return int(device.faults[name])
        return None

    def _answered(self) -> None:
        """pymodbus writes a whole frame at once."""
        with contextlib.suppress(BlockingIOError):
            self.on_busy(False)
            data = self._mangled(os.read(self._master, 512))
            delay_ms = self._fault("late")
            if delay_ms is None:
                self._send(data)
            else:
                asyncio.get_running_loop().call_later(delay_ms / 1000, self._send, data)

    def _send(self, data: bytes) -> None:
        self.answers += 1
        self._say("answer", data)
        self._paced(data)

    def _paced(self, data: bytes) -> None:
        """Hand bytes over as their last bit would have left a UART, in pieces of a FIFO's size."""
        loop = asyncio.get_running_loop()
        begun = max(loop.time(), self._free_at)
        self._free_at = begun + len(data) * self._byte_s
        for i in range(0, len(data), _FIFO):
            piece = data[i : i + _FIFO]
            loop.call_at(begun + (i + len(piece)) * self._byte_s, self._put, piece)

    def _put(self, piece: bytes) -> None:
        with contextlib.suppress(LineClosed):
            self._port.write(piece)

    def _mangled(self, data: bytes) -> bytes:
        if (shift := self._fault("wrong_unit")) is not None:
            body = bytes([(data[0] + shift) & 0xFF]) + data[1:-2]
            data = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
        if self._faulty("crc"):
            data = data[:-1] + bytes([data[-1] ^ 0x55])
        if (missing := self._fault("short")) is not None:
            data = data[: max(len(data) - missing, 0)]
        if (rubbish := self._fault("noise")) is not None:
            data = self._random.randbytes(rubbish) + data
        return self._dropped(data)

    def _dropped(self, data: bytes) -> bytes:
        percent = self._fault("drop")
        if percent is None or not data or self._random.random() * 100 >= percent:
            return data
        where = self._random.randrange(len(data))
        kind = self._random.randrange(3)
        if kind == 0:
            return b""
        if kind == 1:
            return data[:where] + data[where + 1 :]
        flipped = data[where] ^ (1 << self._random.randrange(8))
        return data[:where] + bytes([flipped]) + data[where + 1 :]


def _refusal(data: bytes) -> bytes:
    """The exception to what pymodbus's decoder does not survive or answers for another function:
    a function that no meter here has (1), a count beyond the protocol's 125 registers (3).
    """
    if data[1] not in (3, 4):
        code = 1
    elif len(data) == 8 and 1 <= int.from_bytes(data[4:6], "big") <= 125:
        return b""
    else:
        code = 3
    body = bytes([data[0], data[1] | 0x80, code])
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def describe(data: bytes) -> str:
    """A frame in words."""
    if len(data) == 8 and data[1] in (3, 4):
        address = int.from_bytes(data[2:4], "big")
        count = int.from_bytes(data[4:6], "big")
        return f"unit {data[0]} function {data[1]}: {count} registers from 0x{address:04X}"
    if len(data) >= 5 and data[1] & 0x80:
        return f"unit {data[0]} refuses function {data[1] & 0x7F}: exception {data[2]}"
    if len(data) >= 5:
        return f"unit {data[0]} function {data[1]}: {data[2] // 2} registers"
    return f"{len(data)} bytes"


def _sim_device(device: MeterDevice) -> SimDevice:
    addresses = device.model.addresses()
    coils = [SimData(0, values=False, datatype=DataType.BITS)]
    inputs = [SimData(0, values=False, datatype=DataType.BITS)]

    async def action(
        function_code: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if "exception" in device.faults:
            return ExcCodes(int(device.faults["exception"]))
        if count > device.model.words:
            return ExcCodes.ILLEGAL_VALUE
        if values is not None or function_code not in (3, 4):
            return ExcCodes.ILLEGAL_FUNCTION
        words = device.image()[function_code]
        for i in range(address, address + count):
            registers[i - start] = words.get(i, 0)
        return None

    return SimDevice(
        device.unit,
        simdata=(coils, inputs, _block(addresses[3]), _block(addresses[4])),
        action=action,
    )


def _block(addresses: list[int]) -> list[SimData]:
    found = addresses or [_UNUSED]
    return [SimData(address, values=0, datatype=DataType.REGISTERS) for address in found]
