"""The terminal's driver on real MicroPython against a scripted peer.

The peer sits in the same process behind an in-memory UART and plays one flow to the byte: lost
acknowledgements, repeated frames, collisions, damage, silence, results that cannot be read.
"""

import json
import textwrap
from typing import Any

from tests import mpy

SCRIPT = """
import asyncio, io, json, sys, time
from firmware.errors import *
from firmware.serialio import Serial
from firmware.terminal import framing, profiles
from firmware.terminal.link import CAPACITY, SerialLink
from firmware.terminal.zvt import ZvtTerminal

class Wire(io.IOBase):
    def __init__(self):
        self.rx = bytearray()
        self.tx = bytearray()
        self.closed = False

    def readinto(self, buf):
        if not self.rx:
            return 0 if self.closed else None
        n = min(len(buf), len(self.rx))
        buf[:n] = self.rx[:n]
        self.rx = self.rx[n:]
        return n

    def write(self, data):
        self.tx.extend(data)
        return len(data)

    def ioctl(self, request, arg):
        if request == 3:
            return arg & (4 | (1 if self.rx or self.closed else 0))
        return -22

class Peer:
    def __init__(self, wire):
        self.wire = wire

    async def byte(self, seconds=20):
        for _ in range(seconds * 1000):
            if self.wire.tx:
                b = self.wire.tx[0]
                self.wire.tx = self.wire.tx[1:]
                return b
            await asyncio.sleep_ms(1)
        raise RuntimeError("the driver sent nothing")

    async def frame(self, seconds=20):
        receiver = framing.Receiver(300)
        while True:
            n = receiver.feed(await self.byte(seconds))
            if n > 0:
                return bytes(receiver.data[:n])

    def put(self, apdu):
        out = bytearray(2 * len(apdu) + 6)
        n = framing.encode(apdu, out)
        self.wire.rx.extend(out[:n])

    def raw(self, data):
        self.wire.rx.extend(data)

    async def control(self):
        return await self.byte()

    async def take(self, start):
        got = await self.frame()
        assert got.hex().startswith(start), got.hex()
        self.raw(b"\\x06")
        return got

    async def say(self, text):
        self.put(bytes.fromhex(text))
        assert await self.control() == 6, text
        await self.take("80")

    async def answer(self, text="800000"):
        self.put(bytes.fromhex(text))
        assert await self.control() == 6, text

    async def come_up(self):
        await self.take("0600")
        await self.answer()
        await self.say("060f0a19102952523535490978")
        await self.take("0501")
        await self.answer()
        await self.say("060f0100")

class Clock:
    def uptime_ms(self):
        return 1234

RESULT = "040f1f2700040000000050004909788702310b00097529525235350c1200000d0405"
out = {"commits": 0}

def commit(a):
    out["commits"] += 1

async def until(condition, seconds=20):
    began = time.ticks_ms()
    while not condition():
        if time.ticks_diff(time.ticks_ms(), began) > seconds * 1000:
            raise RuntimeError("waited too long")
        await asyncio.sleep_ms(5)

def view(o):
    keys = ("ok", "certain", "code", "text", "receipt", "trace", "amount_minor", "at_ms")
    return {k: getattr(o, k) for k in keys if hasattr(o, k)}

async def ready():
    wire = Wire()
    peer = Peer(wire)
    t = ZvtTerminal(Serial(wire), profiles.load("generic"), 978, "123456", b"salt", Clock())
    task = asyncio.create_task(t.run())
    await peer.come_up()
    await until(lambda: t.ready)
    return wire, peer, t

async def main():
BODY
    print("OUT" + json.dumps(out))

asyncio.run(main())
"""


def play(body: str, timeout: float = 60) -> dict[str, Any]:
    """Run `body` on MicroPython; give its `out`."""
    script = SCRIPT.replace("BODY", textwrap.indent(textwrap.dedent(body), "    "))
    which = "micropython32" if mpy.has_32_bit() else "micropython"
    result = mpy.run_mpy(which, script, heap="512k", timeout=timeout)
    rows = [row for row in result.stdout.splitlines() if row.startswith("OUT")]
    assert rows, result.stdout + result.stderr
    said: dict[str, Any] = json.loads(rows[0][3:])
    return said


AUTHORISE = """
wire, peer, t = await ready()
ask = asyncio.create_task(t.authorise(5000, "FC01", commit))
await peer.take("0622")
await peer.answer()
"""
