"""The RFID reader's driver on real MicroPython against the simulated PN532, over a pty."""

import asyncio
import json
import os
from contextlib import suppress

import pytest

from hostsim.rfid import RFID_CARDS, RfidReader
from hostsim.setup import LIB
from tests import mpy

pytestmark = pytest.mark.timeout(120)

SCRIPT = """
import asyncio, json, sys, time
sys.path.insert(0, {root!r})
from board.host_uart import UART
from firmware.serialio import Serial
from firmware.terminal.reader import Reader

stop = []
want = [True]
uids = []

async def hear():
    reader = asyncio.StreamReader(sys.stdin)
    while True:
        word = (await reader.readline()).strip()
        if word == b"off":
            want[0] = False
        elif word == b"on":
            want[0] = True
        else:
            return

async def main():
    r = Reader(Serial(UART({path!r}, 115200, 8, None, 1)), lambda: want[0], uids.append)
    task = asyncio.create_task(r.run())
    ear = asyncio.create_task(hear())
    states = []
    said = 0
    while not ear.done():
        if not states or states[-1] != r.state:
            states.append(r.state)
            print("STATE " + r.state)
        while said < len(uids):
            print("UID " + uids[said].hex())
            said += 1
        await asyncio.sleep_ms(10)
    print("OUT" + json.dumps({{"states": states, "version": r.version}}))

asyncio.run(main())
"""


class Talk:
    """The driver's process, and what it says line by line."""

    def __init__(self, process):
        self.process = process
        self.lines = []

    async def until(self, line, times=1, seconds=20):
        async with asyncio.timeout(seconds):
            while self.lines.count(line) < times:
                raw = await self.process.stdout.readline()
                assert raw, self.lines
                self.lines.append(raw.decode().strip())

    async def still(self, seconds):
        with suppress(TimeoutError):
            await self.until("never", seconds=seconds)

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")


def play(scene, *faults):
    async def whole():
        reader = RfidReader()
        reader.faults.update(faults)
        serving = asyncio.create_task(reader.serve())
        which = "micropython32" if mpy.has_32_bit() else "micropython"
        process = await asyncio.create_subprocess_exec(
            str(mpy.interpreter(which)), "-X", "heapsize=192k", "-c",
            SCRIPT.format(root=str(mpy.ROOT), path=reader.path),
            cwd=mpy.ROOT, env={**os.environ, "MICROPYPATH": f"{mpy.ROOT}:{LIB}:.frozen"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        talk = Talk(process)
        try:
            await scene(reader, talk)
            talk.say("end")
            await talk.process.stdin.drain()
            while not talk.lines or not talk.lines[-1].startswith("OUT"):
                raw = await asyncio.wait_for(talk.process.stdout.readline(), 10)
                assert raw, talk.lines
                talk.lines.append(raw.decode().strip())
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            serving.cancel()
            reader.close()
        return json.loads(talk.lines[-1][3:]), [x for x in talk.lines if x.startswith("UID")]

    return asyncio.run(whole())


def card(name):
    return RFID_CARDS[name], "UID " + RFID_CARDS[name].uid


def test_a_tap_is_told_once_as_long_as_the_card_is_there_and_again_afterwards():
    async def scene(reader, talk):
        await talk.until("STATE ready")
        for name in ("fleet-card", "member-card", "long-card"):
            held, line = card(name)
            reader.present(held)
            await talk.until(line)
            await talk.still(1)
            reader.remove()
            await talk.still(0.8)
        held, line = card("member-card")
        reader.present(held)
        await talk.until(line, 2)

    out, uids = play(scene)
    assert out == {"states": ["off", "ready"], "version": "1.6"}
    assert len(uids) == 4, "one tap is one tap"


def test_with_nobody_wanting_a_card_the_field_is_off_and_nothing_is_read():
    async def scene(reader, talk):
        await talk.until("STATE ready")
        talk.say("off")
        await asyncio.sleep(0.6)
        assert not reader.field
        del reader.commands[:]
        held, line = card("member-card")
        reader.present(held)
        await talk.still(1)
        assert 0x4A not in reader.commands and not reader.field
        talk.say("on")
        await talk.until(line)
        assert reader.field

    _, uids = play(scene)
    assert len(uids) == 1


@pytest.mark.parametrize("fault", ["noise", "broken", "silent", "deaf"])
def test_it_comes_back_by_itself_after_noise_and_silence(fault):
    async def scene(reader, talk):
        await talk.until("STATE ready")
        reader.faults.add(fault)
        held, line = card("fleet-card")
        reader.present(held)
        if fault == "noise":
            await talk.until(line)  # read through it
        else:
            await talk.until("STATE off", 2)
            assert line not in talk.lines
            reader.faults.clear()
            reader.present(held)
            await talk.until(line)

    play(scene)


def test_unplugged_and_plugged_in_again_it_is_woken_and_reads():
    async def scene(reader, talk):
        await talk.until("STATE ready")
        reader.line.connected = False
        await talk.until("STATE off", 2)
        reader.set_power(False)
        reader.set_power(True)
        reader.line.connected = True
        held, line = card("member-card")
        await talk.until("STATE ready", 2)
        reader.present(held)
        await talk.until(line)

    play(scene)


def test_a_charger_that_restarts_ends_what_the_reader_was_in():
    async def scene(reader, talk):
        await talk.until("STATE ready")

    reader = RfidReader()

    async def forgotten():
        """The command of before: it waits for a card without an end."""
        serving = asyncio.create_task(reader.serve())
        reader._awake = reader._ready = True
        reader._hear(bytes.fromhex("0000ff04fcd44a0100e100"))
        await asyncio.sleep(0.1)
        assert reader._job is not None and not reader._job.done()
        reader._hear(bytes.fromhex("5555000000" + "0000ff00ff00"))
        assert reader._job is None
        serving.cancel()
        reader.close()

    asyncio.run(forgotten())
    play(scene)
