# mypy: ignore-errors

# The work behind hostsim/bench_flash.py. Runs on MicroPython: prints one JSON object with what the
# ledger and a file on LittleFS do to the same flash with the same records. Arguments: sessions,
# checkpoints of a session. Or what fits: `capacity`, sectors, checkpoints of a session.
import gc
import json
import sys
import time

import vfs

SECTORS = 64
SIZE = 4096


class Nor:
    """Flash in memory that counts; reads and programs are copies, to be fast."""

    def __init__(self, sectors=SECTORS):
        self.image = bytearray(b"\xff" * (sectors * SIZE))
        self.view = memoryview(self.image)
        self.wear = [0] * sectors
        self.programmed = 0
        self.blank = b"\xff" * SIZE

    def readblocks(self, n, buf, off=0):
        at = n * SIZE + off
        buf[:] = self.view[at : at + len(buf)]

    def writeblocks(self, n, buf, off=0):
        at = n * SIZE + off
        self.view[at : at + len(buf)] = buf
        self.programmed += len(buf)

    def ioctl(self, op, n):
        if op == 4:
            return len(self.wear)
        if op == 5:
            return SIZE
        if op == 6:
            self.wear[n] += 1
            self.view[n * SIZE : (n + 1) * SIZE] = self.blank
        return 0


def steps(number, checkpoints):
    """The records of one session, as the runner writes them."""
    yield (
        "hold_asked",
        {
            "sess": number,
            "hold_minor": 6000,
            "currency": "EUR",
            "tariff": "T-2026-1",
            "tariff_crc": 3405691582,
            "method": "card",
            "connector": 1,
            "reference": "S%d" % number,
            "uid_hash": "a1b2c3d4e5f60718",
            "remote": "",
        },
    )
    yield (
        "authorised",
        {
            "sess": number,
            "amount_minor": 6000,
            "receipt": number % 10000,
            "trace": number,
            "terminal_id": "52500041",
            "vu": "455600001234",
            "auth_code": "123456",
            "pan": "************1234",
            "card": "Visa credit",
        },
    )
    yield "energising", {"sess": number, "register_wh": 123456789, "serial": "SDM-0042"}
    for i in range(checkpoints):
        yield (
            "checkpoint",
            {
                "sess": number,
                "register_wh": 123456789 + 90 * i,
                "elapsed_ms": 30000 * i,
                "state": [30000 * i, 90000 * i, 4900, 12, 0, 3000000 + i, 0, 0, 16000, 11000],
            },
        )
    yield (
        "period",
        {
            "sess": number,
            "start_ms": 0,
            "end_ms": 900000,
            "energy_mwh": 2340000,
            "charging_ms": 900000,
            "parking_ms": 0,
            "min_ma": 6000,
            "max_ma": 16000,
            "min_w": 4100,
            "max_w": 11040,
        },
    )
    yield (
        "power_off",
        {"sess": number, "register_wh": 123459789, "elapsed_ms": 900000, "reason": "unplug"},
    )
    yield (
        "priced",
        {
            "sess": number,
            "receipt_no": number,
            "start_at": NOW,
            "end_at": NOW + 900000,
            "start_wh": 123456789,
            "end_wh": 123459789,
            "billed_wh": 3000,
            "elapsed_ms": 900000,
            "total_minor": 147,
            "net_minor": 124,
            "vat_minor": 23,
            "currency": "EUR",
            "lines": [0, 3000, 4900, 1900, 147],
            "reason": "unplug",
            "vat": [],
        },
    )
    yield (
        "captured",
        {
            "sess": number,
            "captured_minor": 147,
            "released_minor": 5853,
            "receipt": number % 10000,
            "trace": number + 1,
            "how": "direct",
        },
    )


NOW = 1763800000000


def now():
    return NOW


def with_ledger(sessions, checkpoints):
    from firmware.ledger.ledger import Ledger

    nor = Nor()
    gc.collect()
    before = gc.mem_alloc()
    ledger = Ledger(nor, now)
    ledger.mount()
    gc.collect()
    out = {"heap": gc.mem_alloc() - before, "records": 0}
    spent = worst = 0
    for number in range(1, sessions + 1):
        for kind, fields in steps(number, checkpoints):
            gc.collect()
            begin = time.ticks_us()
            ledger.append(kind, **fields)
            took = time.ticks_diff(time.ticks_us(), begin)
            spent += took
            worst = max(worst, took)
        ledger.acknowledge(ledger.epoch, ledger.next_seq - 1)
        for _ in range(9):
            ledger.idle()
    gc.collect()
    out["heap_used"] = gc.mem_alloc() - before
    out["records"] = ledger.next_seq - 1
    out["append_us"] = spent // out["records"]
    out["append_worst_us"] = worst
    out["erases"] = sum(nor.wear)
    out["wear_spread"] = max(nor.wear) - min(nor.wear)
    out["bytes"] = nor.programmed
    ledger = None
    gc.collect()
    out["mount_us"] = min(mount(Ledger(nor, now)) for _ in range(5))
    begin = time.ticks_us()
    ledger = Ledger(nor, now)
    ledger.mount()
    at = ledger.ring.first_seq(ledger.ring.tail) - 1
    kept = 0
    record = ledger.read_after(at + kept)
    while record:
        kept += 1
        record = ledger.read_after(at + kept)
    out["full_replay_us"] = time.ticks_diff(time.ticks_us(), begin)
    out["kept_records"] = kept
    return out


def capacity(sectors, checkpoints):
    """Sessions until a new one is refused, nothing acknowledged; how long it takes to come back to
    that, and to read it."""
    from firmware.ledger.ledger import Ledger

    nor = Nor(sectors)
    ledger = Ledger(nor, now)
    ledger.mount()
    sessions = 0
    while ledger.room_for_session():
        sessions += 1
        for kind, fields in steps(sessions, checkpoints):
            ledger.append(kind, **fields)
    records = ledger.next_seq - 1
    out = {"sectors": sectors, "sessions": sessions, "records_a_session": records // sessions}
    out["left_out"] = ledger.left_out
    out["mount_us"] = min(mount(Ledger(nor, now)) for _ in range(3))
    ledger = Ledger(nor, now)
    ledger.mount()
    gc.collect()
    begin = time.ticks_us()
    ledger.read_after(0)
    out["first_read_us"] = time.ticks_diff(time.ticks_us(), begin)
    begin = time.ticks_us()
    for seq in range(1, 501):
        ledger.read_after(seq)
    out["read_us"] = time.ticks_diff(time.ticks_us(), begin) // 500
    return out


def mount(ledger):
    gc.collect()
    begin = time.ticks_us()
    ledger.mount()
    return time.ticks_diff(time.ticks_us(), begin)


def with_littlefs(sessions, checkpoints):
    """The same payloads appended to one file, flushed each; the file is begun again when it has
    filled half the flash."""
    from firmware.ledger.codec import encode, find_row

    nor = Nor()
    vfs.VfsLfs2.mkfs(nor)
    vfs.mount(nor, "/lfs")
    begun, programmed = sum(nor.wear), nor.programmed
    buf = memoryview(bytearray(1024))
    log = open("/lfs/ledger", "ab")
    size = records = spent = worst = 0
    for number in range(1, sessions + 1):
        for kind, fields in steps(number, checkpoints):
            payload = buf[: encode(buf, find_row(1, kind), NOW, fields) + 16]
            gc.collect()
            begin = time.ticks_us()
            log.write(payload)
            log.flush()
            took = time.ticks_diff(time.ticks_us(), begin)
            spent += took
            worst = max(worst, took)
            records += 1
            size += len(payload)
            if size > SECTORS * SIZE // 2:
                log.close()
                log = open("/lfs/ledger", "wb")
                size = 0
    log.close()
    vfs.umount("/lfs")
    return {
        "records": records,
        "append_us": spent // records,
        "append_worst_us": worst,
        "erases": sum(nor.wear) - begun,
        "wear_spread": max(nor.wear) - min(nor.wear),
        "bytes": nor.programmed - programmed,
    }


def main():
    if sys.argv[1] == "capacity":
        sys.stdout.write(json.dumps(capacity(int(sys.argv[2]), int(sys.argv[3]))) + "\n")
        return
    sessions, checkpoints = int(sys.argv[1]), int(sys.argv[2])
    out = {"sessions": sessions, "sectors": SECTORS, "sector_size": SIZE}
    out["ledger"] = with_ledger(sessions, checkpoints)
    gc.collect()
    out["littlefs"] = with_littlefs(sessions, checkpoints)
    sys.stdout.write(json.dumps(out) + "\n")


main()
