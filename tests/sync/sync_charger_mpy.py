# A charger that is nothing but firmware.sync over the real ledger, for MicroPython:
#   micropython32 tests/sync/sync_charger_mpy.py SETTINGS.json
# Reads orders from stdin, one JSON array a line: ["append", n], ["status", {}], ["session", {}],
# ["log", text], ["network", bool], ["close"]. Prints what happens, one JSON object a line.
import asyncio
import gc
import json
import sys
import time

from firmware.clock import NETWORK, WallClock
from firmware.errors import CommandError, TariffError
from firmware.ledger.ledger import Ledger
from firmware.sync.sync import Sync

SECTOR = 4096


class RamFlash:
    """NOR in a bytearray: bits only clear."""

    def __init__(self, sectors):
        self.data = bytearray(b"\xff" * (SECTOR * sectors))
        self.sectors = sectors

    def readblocks(self, n, buf, off=0):
        pieces.touched += 1
        at = n * SECTOR + off
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, n, buf, off=0):
        pieces.touched += 1
        at = n * SECTOR + off
        for i in range(len(buf)):
            self.data[at + i] &= buf[i]

    def ioctl(self, op, n):
        if op == 4:
            return self.sectors
        if op == 5:
            return SECTOR
        if op == 6:
            self.data[n * SECTOR : (n + 1) * SECTOR] = b"\xff" * SECTOR
        return 0


class Uptime:
    def uptime_ms(self):
        return time.ticks_ms()


class Network:
    up = True

    def ready(self):
        return self.up


def say(**fields):
    print(json.dumps(fields))


class Handlers:
    counter = 0

    def on_tariff(self, raw):
        tariff = json.loads(raw)
        if "elements" not in tariff:
            raise TariffError("elements", "must be given")
        say(ev="tariff", id=tariff["id"])
        return {"id": tariff["id"], "detail": "taken"}

    def on_config(self, raw):
        say(ev="config", size=len(raw))
        return {"detail": "stored"}

    def command_counter(self):
        return self.counter

    def on_command(self, command):
        if command["name"] == "forbidden":
            raise CommandError("name", "must be one of report", command["name"])
        self.counter = command["counter"]
        say(ev="command", command=command)
        ledger.append(
            "command",
            command=command["id"],
            counter=command["counter"],
            name=command["name"],
            result="ok",
            detail="",
        )
        return {"detail": "done", "data": command["args"]}

    def on_time(self, epoch_ms):
        say(ev="time", epoch_ms=epoch_ms, answer=clock.set(epoch_ms, NETWORK))

    def on_security(self, code, detail):
        say(ev="security", code=code, detail=detail)


class Orders:
    """What stdin asks for. A session a record group, so that the back office's books have
    something to add up."""

    def __init__(self):
        self.sess = 0

    def append(self, n):
        for _ in range(n):
            self.one_session()

    def one_session(self):
        self.sess += 1
        s = self.sess
        put = ledger.append
        start = 1000 * s
        put(
            "hold_asked",
            sess=s,
            hold_minor=6000,
            currency="EUR",
            tariff="T1",
            tariff_crc=1,
            method="bank",
            connector=1,
            reference="r%d" % s,
            uid_hash="",
            remote="",
        )
        put(
            "authorised",
            sess=s,
            amount_minor=6000,
            receipt=s,
            trace=s,
            terminal_id="T",
            vu="V",
            auth_code="123",
            pan="############1234",
            card="Visa",
        )
        put("energising", sess=s, register_wh=start, serial="M1")
        put("power_off", sess=s, register_wh=start + 1000, elapsed_ms=60000, reason="unplugged")
        put(
            "period",
            sess=s,
            start_ms=0,
            end_ms=60000,
            energy_mwh=1000000,
            charging_ms=60000,
            parking_ms=0,
            min_ma=100,
            max_ma=16000,
            min_w=-1,
            max_w=11000,
        )
        put(
            "priced",
            sess=s,
            receipt_no=s,
            start_at=clock.epoch_ms(),
            end_at=clock.epoch_ms() + 60000,
            start_wh=start,
            end_wh=start + 1000,
            billed_wh=1000,
            elapsed_ms=60000,
            total_minor=119,
            net_minor=100,
            vat_minor=19,
            currency="EUR",
            lines=[0, 1000000, 10000, 190000, 119],
            reason="unplugged",
            vat=[],
        )
        put(
            "captured",
            sess=s,
            captured_minor=119,
            released_minor=5881,
            receipt=s,
            trace=s,
            how="release",
        )

    def status(self, fields):
        sync.publish_status(fields)

    def session(self, fields):
        sync.publish_session(fields)

    def log(self, text):
        sync.log("info", text)

    def clock(self, epoch_ms):
        clock.set(epoch_ms, NETWORK)

    def network(self, up):
        network.up = up

    def count(self):
        pieces.begin()

    def close(self):
        sync.close()

    def tell(self):
        gc.collect()
        say(
            ev="tell",
            online=sync.online,
            reason=sync.link.reason,
            sent=sync.records_sent,
            acked=sync.records_acked,
            acked_seq=ledger.acked_seq,
            next_seq=ledger.next_seq,
            heap=gc.mem_alloc(),
            pieces=pieces.all,
            in_a_row=pieces.in_a_row,
            touched=pieces.most,
            connections=sync.link.connections,
            log_dropped=sync.log_dropped,
            ppm=clock.drift_ppm,
        )


class Pieces:
    """What the link does without letting the loop turn, counted since `begin`: `all` of it, `most`
    accesses to flash in a piece, and how many came `in_a_row` before a task had its turn that
    always wants one.
    """

    def __init__(self):
        self.touched = self.all = self.most = self.row = self.in_a_row = 0
        self._task = None

    def begin(self):
        self.all = self.most = self.row = self.in_a_row = 0
        self._task = self._task or asyncio.create_task(self._turn())

    async def _turn(self):
        while True:
            self.row = 0
            await asyncio.sleep_ms(0)

    def do(self, what, *args):
        before = self.touched
        answer = what(*args)
        self.all += 1
        self.row += 1
        self.in_a_row = max(self.in_a_row, self.row)
        self.most = max(self.most, self.touched - before)
        return answer


class Watched(Sync):
    def feed(self, link):
        return pieces.do(super().feed, link)

    def on_message(self, topic, payload):
        return pieces.do(super().on_message, topic, payload)


async def orders():
    reader = asyncio.StreamReader(sys.stdin.buffer)
    target = Orders()
    while True:
        line = await reader.readline()
        if not line:
            sync.close()
            return
        order = json.loads(line)
        getattr(target, order[0])(*order[1:])
        say(ev="done", order=order[0], next_seq=ledger.next_seq)


async def main():
    asyncio.create_task(orders())
    was = [None]

    async def watch():
        while True:
            if was[0] is not sync.online:
                was[0] = sync.online
                say(ev="online" if sync.online else "offline", reason=sync.link.reason)
            await asyncio.sleep_ms(5)

    asyncio.create_task(watch())
    await sync.run()
    say(ev="ended", reason=sync.link.reason)


with open(sys.argv[1]) as file:
    settings = json.load(file)
pieces = Pieces()
clock = WallClock(Uptime())
if settings.get("epoch_ms"):
    clock.set(settings["epoch_ms"], NETWORK)
ledger = Ledger(RamFlash(settings["sectors"]), clock.epoch_ms)
ledger.mount()
network = Network()
sync = Watched(settings, ledger, clock, network, Handlers())
say(ev="start", epoch=ledger.epoch)
asyncio.run(main())
