"""One supervisor with a task that dies whenever it starts: how long the watchdog was not fed, as
JSON. Arguments: critical or ordinary; how long to watch, s.
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
    longest = 0

    def feed(self):
        now = time.ticks_ms()
        self.longest = max(self.longest, time.ticks_diff(now, self.last))
        self.last = now


def nothing(*_args):
    pass


async def dies():
    starts.append(0)
    await asyncio.sleep_ms(300)
    raise TypeError("unsupported type")


async def watched(supervisor):
    task = asyncio.create_task(supervisor.run())
    await asyncio.sleep(int(sys.argv[2]))
    task.cancel()


dog = Watchdog()
s = Supervisor(dog, nothing, nothing, {}, None)
s.add("sync", dies, 60000, critical)
asyncio.run(watched(s))
dog.feed()
print(json.dumps({"longest_ms": dog.longest, "starts": len(starts)}))
