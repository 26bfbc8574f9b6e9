"""One supervisor with a task that dies whenever it starts: how long the watchdog was not fed, as
JSON, in ms and in turns of a task that sleeps 50 ms a turn, which a busy machine does not make
more. Arguments: critical or ordinary; how long to watch, s.
"""

import asyncio
import json
import sys
import time

from firmware.supervisor import Supervisor

critical = sys.argv[1] == "critical"
starts = []


class Watchdog:
    last = time.ticks_ms()
    turns = longest = longest_turns = 0

    def feed(self):
        now = time.ticks_ms()
        self.longest = max(self.longest, time.ticks_diff(now, self.last))
        self.longest_turns = max(self.longest_turns, self.turns)
        self.last = now
        self.turns = 0


def nothing(*_args):
    pass


async def dies():
    starts.append(0)
    await asyncio.sleep_ms(300)
    raise TypeError("unsupported type")


async def turns():
    while True:
        await asyncio.sleep_ms(50)
        dog.turns += 1


async def watched(supervisor):
    tasks = [asyncio.create_task(supervisor.run()), asyncio.create_task(turns())]
    await asyncio.sleep(int(sys.argv[2]))
    for task in tasks:
        task.cancel()


dog = Watchdog()
s = Supervisor(dog, nothing, nothing, {}, None)
s.add("sync", dies, 60000, critical)
asyncio.run(watched(s))
dog.feed()
found = {"longest_ms": dog.longest, "longest_turns": dog.longest_turns, "starts": len(starts)}
print(json.dumps(found))
