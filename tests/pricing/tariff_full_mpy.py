# mypy: ignore-errors
# Runs on MicroPython: micropython tests/pricing/tariff_full_mpy.py. A tariff comes from the back
# office while the file system (LittleFS in memory) is full, through the real sync, remote and
# orders; prints what was seen, as JSON.
import json

import vfs

from firmware import tariffs
from firmware.errors import LinkError
from firmware.orders.remote import Remote
from firmware.prices import Prices
from firmware.sync.sync import Sync

SECTOR = 512
seen = {}


class Ram:
    data = bytearray(b"\xff" * (SECTOR * 96))

    def readblocks(self, n, buf, off=0):
        buf[:] = memoryview(self.data)[n * SECTOR + off : n * SECTOR + off + len(buf)]

    def writeblocks(self, n, buf, off=0):
        self.data[n * SECTOR + off : n * SECTOR + off + len(buf)] = buf

    def ioctl(self, op, n):
        if op == 4:
            return 96
        if op == 5:
            return SECTOR
        if op == 6:
            self.data[n * SECTOR : (n + 1) * SECTOR] = b"\xff" * SECTOR
        return 0


class Nothing:
    next_seq = 1
    acked_seq = epoch = 0
    oldest_seq = 1
    source = "none"

    def epoch_ms(self):
        return 0

    def ready(self):
        return False


class Line:
    """The link: notes what is asked for again."""

    room = 8

    def __init__(self):
        self.asked = []

    def publish(self, name, payload, retain=False, qos=0):
        return 1

    def ask(self, name):
        self.asked.append(name.decode())


class App:
    records = []

    def append(self, kind, **fields):
        self.records.append([kind, fields["result"], fields["detail"]])

    def log(self, level, text):
        pass


def raw(name):
    tariff = {"id": name, "currency": "EUR", "elements": [{"price_components": [
        {"type": "ENERGY", "price": 0.49, "vat": 19, "step_size": 1}]}],
        "tariff_alt_text": [{"language": "en", "text": name * 500}]}  # fmt: skip
    return json.dumps(tariff).encode()


def fill():
    """The file system."""
    with open("/f/filler", "wb") as f:
        try:
            while True:
                f.write(b"x" * 128)
                f.flush()
        except OSError:
            pass


def said():
    results = [[r["ok"], r.get("reason") or r.get("detail")] for r in sync._results]
    sync._results.clear()
    return results


def fed(hours):
    sync._missed_ms -= 3600000 * hours
    line.asked.clear()
    sync._result_pid = 0
    for _ in range(20):
        if not sync.feed(line):
            break
        sync._results.clear()
        sync._result_pid = 0
    return line.asked[:]


def comes(name):
    try:
        sync.on_message(b"forecourt/v1/FC-1/tariff", raw(name))
    except (OSError, LinkError) as e:
        return repr(e)
    return ""


vfs.VfsLfs2.mkfs(Ram())
fs = vfs.VfsLfs2(Ram())
vfs.mount(fs, "/f")
app, line, no = App(), Line(), Nothing()
app.prices = Prices("/f", "UTC0", "EUR")
tariffs.store(app.prices, raw("A"))
app.remote = Remote(app)
no.next = lambda: None
app.sync = sync = Sync(
    {"charger_id": "FC-1", "command_key": "00" * 32, "time": {},
     "mqtt": {"retry_min_ms": 1, "retry_max_ms": 1, "host": "h", "port": 1, "ca": "", "cert": "",
              "key": "", "server_name": "h", "keepalive_s": 60}},
    no, no, no, app.remote,
)  # fmt: skip
sync._outbox = no

fill()
seen["full"] = [comes("B"), said(), app.remote.waiting, app.prices.tariff.id]
seen["too_soon"] = fed(0)
seen["later"] = fed(2)
seen["still_full"] = [comes("B"), said()]
import os  # noqa: E402

os.remove("/f/filler")
seen["room"] = [comes("B"), said(), app.remote.waiting]
fill()
app.remote.take_in()
seen["full_again"] = [said(), app.prices.tariff.id, sorted(os.listdir("/f"))]
seen["asked"] = fed(2)
os.remove("/f/filler")
comes("B")
app.remote.take_in()
seen["taken"] = [said(), app.prices.tariff.id, app.records]
start = Prices("/f", "UTC0", "EUR")
tariffs.load(start)
seen["after_a_start"] = start.tariff.id
print(json.dumps(seen))  # noqa: T201
