"""Runs under MicroPython: one Modbus RTU master at work, this firmware's or micropython-modbus'.

Arguments: what (import, codec, trips, polls), whose (ours, peer), and for the last two tty, baud,
seconds, model. One JSON object on standard output. `peer` needs umodbus and the `machine` shim
(bench/machine_mpy.py) on the path.
"""

import asyncio
import gc
import json
import sys
import time

ADDRESS = 0x34  # an SDM630's power and energy in one request
WORDS = 22
ROUNDS = 300


def cpu_us():
    with open("/proc/self/schedstat") as f:
        return int(f.read().split()[0]) // 1000


def measured(work):
    """Microseconds and bytes a call, without collections in between."""
    work()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    began = time.ticks_us()
    for _ in range(ROUNDS):
        work()
    took = time.ticks_diff(time.ticks_us(), began)
    used = gc.mem_alloc() - before
    gc.enable()
    return {"us": round(took / ROUNDS, 1), "bytes": used // ROUNDS}


def imported(whose):
    gc.collect()
    before = gc.mem_alloc()
    began = time.ticks_us()
    if whose == "ours":
        import firmware.meter.bus  # noqa: F401
    else:
        __import__("umodbus.serial")
    took = time.ticks_diff(time.ticks_us(), began)
    gc.collect()
    return {"us": took, "bytes": gc.mem_alloc() - before}


def answer():
    """A right answer to the request above: 4600 W and 1234.567 kWh as float32."""
    from firmware.meter.modbus import crc16

    frame = bytearray(5 + 2 * WORDS)
    frame[0:3] = bytes((1, 4, 2 * WORDS))
    frame[3:7] = b"\x45\x8f\xc0\x00"
    frame[43:47] = b"\x44\x9a\x52\x25"
    crc = crc16(frame, len(frame) - 2)
    frame[-2] = crc & 0xFF
    frame[-1] = crc >> 8
    return frame


def codec(whose):
    frame = answer()
    if whose == "ours":
        from firmware.meter.modbus import build_read, check_reply
        from firmware.meter.registers import FLOAT32, decode

        request = bytearray(8)
        data = memoryview(frame)[3:]

        def encode():
            build_read(request, 1, 4, ADDRESS, WORDS)

        def take():
            check_reply(frame, len(frame), 1, 4, WORDS)
            decode(data, 0, FLOAT32, False, 0)
            decode(data, 40, FLOAT32, False, 3)
    else:
        functions = __import__("umodbus.functions", None, None, ("*",))
        serial = peers_serial()(baudrate=100000000, pins=(0, 0), uart_id=None)

        def encode():
            serial._send(functions.read_input_registers(ADDRESS, WORDS), 1)

        def take():
            functions.to_short(serial._validate_resp_hdr(frame, 1, 4, True), False)

    return {"encode": measured(encode), "decode": measured(take)}


def peers_serial():
    """Fetched for the bench only: no type checker has seen it."""
    return __import__("umodbus.serial", None, None, ("*",)).Serial


def rate(count, began, cpu):
    took = time.ticks_diff(time.ticks_us(), began)
    return {
        "per_s": round(count * 1000000 / took, 2), "cpu_us": (cpu_us() - cpu) // max(count, 1)
    }  # fmt: skip


def trips_of_peer(path, baud, seconds):
    serial = peers_serial()(uart_id=path, baudrate=baud, pins=(0, 0))
    count = -1  # the first one warms up
    lost = 0
    cpu = began = 0
    while count < 0 or time.ticks_diff(time.ticks_us(), began) < seconds * 1000000:
        if count < 0:
            cpu = cpu_us()
            began = time.ticks_us()
        try:
            serial.read_input_registers(1, ADDRESS, WORDS, False)
            count += 1
        except OSError:  # it asks once and gives up
            lost += 1
            if lost > 100:
                raise
    found = rate(count, began, cpu)
    found["lost"] = lost
    return found


async def trips(path, baud, seconds):
    bus = eager_bus(path, baud)
    await bus.request(1, 4, ADDRESS, WORDS)
    count = 0
    cpu = cpu_us()
    began = time.ticks_us()
    while time.ticks_diff(time.ticks_us(), began) < seconds * 1000000:
        bus.take(None)
        bus.ask(1, 4, ADDRESS, WORDS)
        wait = bus.step()
        while wait >= 0:
            await asyncio.sleep_ms(wait)
            wait = bus.step()
        bus.give(None)
        count += 1
    return rate(count, began, cpu)


def eager_bus(path, baud):
    from board.host_uart import UART
    from firmware.meter.bus import ModbusBus
    from firmware.serialio import Serial

    bus = ModbusBus(Serial(UART(path, baudrate=baud)), baud)
    bus.eager = True
    return bus


class Clock:
    def uptime_ms(self):
        return time.ticks_ms()


async def polls(path, baud, seconds, model):
    from firmware.meter.meter import Meter

    bus = eager_bus(path, baud)
    meter = Meter(bus, model, 1, Clock())
    count = 0
    began = time.ticks_us()
    while time.ticks_diff(time.ticks_us(), began) < seconds * 1000000 or count < 2:
        if count == 1:  # the first one loads what is rare
            cpu = cpu_us()
            began = time.ticks_us()
        meter.begin()
        wait = meter.step()
        while wait >= 0:
            await asyncio.sleep_ms(wait)
            wait = meter.step()
        count += 1
    found = rate(count - 1, began, cpu)
    found["requests"] = [[g[0], g[1], g[2]] for g in meter._requests]
    return found


def main(what, whose, path="", baud="9600", seconds="2", model="SDM630"):
    if what == "import":
        return imported(whose)
    if what == "codec":
        return codec(whose)
    if what == "polls":
        return asyncio.run(polls(path, int(baud), int(seconds), model))
    if whose == "peer":
        return trips_of_peer(path, int(baud), int(seconds))
    return asyncio.run(trips(path, int(baud), int(seconds)))


sys.stdout.write(json.dumps(main(*sys.argv[1:])))
