"""One supervisor with a task that never comes back: what it said and did, as JSON."""

import asyncio
import json
import sys
import time

from firmware.supervisor import Supervisor

critical = sys.argv[1] == "critical"
beats = {}
said = []
starts = []


class Watchdog:
    fed = 0

    def feed(self):
        self.fed += 1


class Reset(Exception):
    """What a board's reset is here."""


def report(level, text):
    said.append(text)


def fatal(code, detail):
    said.append(code + "|" + detail)
    raise Reset


async def alive():
    while True:
        beats["alive"] = time.ticks_ms()
        await asyncio.sleep_ms(20)


async def waits():
    beats["waits"] = None  # nothing to do: no age
    await asyncio.Event().wait()


async def hangs():
    starts.append(dog.fed)
    await asyncio.Event().wait()


async def until_restarted(supervisor):
    task = asyncio.create_task(supervisor.run())
    while len(starts) < 2 and not task.done():
        await asyncio.sleep_ms(20)
    try:
        if task.done():
            await task
    except Reset:
        said.append("reset")


dog = Watchdog()
s = Supervisor(dog, report, fatal, beats, None)
s.add("alive", alive, 600, True)
s.add("waits", waits, 600, True)
s.add("money", hangs, 600, critical)
asyncio.run(until_restarted(s))
print(json.dumps({"said": said, "starts": len(starts), "fed": dog.fed, "restarts": s.restarts}))
