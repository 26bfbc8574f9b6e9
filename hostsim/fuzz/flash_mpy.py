"""Target: what stands in flash."""

import binascii
import json

from mutate_mpy import EDGES, leb, lebs, text_of  # type: ignore[import-not-found]
from target_mpy import Target  # type: ignore[import-not-found]

from firmware.errors import LedgerError, RecordError


class Record(Target):
    """Payloads as records, and a sector's bytes as frames. First byte even: a payload; odd: the
    frames of a sector behind a good header.
    """

    declared = (RecordError, LedgerError)
    about = ("firmware.ledger.codec", "firmware.ledger.ring")
    words = lebs() + (b"\x80" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\xff" * 12)

    def __init__(self):
        from firmware.ledger import codec, ring, schema

        self._codec = codec
        self._ring = ring
        self._rows = [codec.find_row(1, text.split(" ")[0]) for text in schema.KINDS if text]

    def seeds(self):
        buf = memoryview(bytearray(1008))
        frames = b"\x01"
        for row in self._rows:
            fields = {}
            for word in row[3].split():
                name, _, kind = word.partition(":")
                fields[name] = {"": 300, "u": 300, "i": -300, "s": "text", "l": [1, -2, 3]}[kind]
            n = self._codec.encode(buf, row, 1763800000000, fields)
            payload = bytes(buf[:n])
            yield b"\x00" + payload
            yield b"\x00" + payload[:1] + b"\x02" + payload[2:] + b"\x05"
            frames += self._frame(len(frames), payload)
            if len(frames) > 1500:
                yield frames
                frames = b"\x01"
        yield frames

    def made(self, dice, corpus):
        """A payload of edges, as long as its schema says or about that; one or many as frames."""
        if dice.below(4):
            return None
        if dice.below(4):
            return bytearray(b"\x00" + self._payload(dice))
        out = b"\x01"
        while len(out) < 3500 and dice.below(12):
            out += self._frame(len(out), self._payload(dice)[:1008])
        return bytearray(out)

    def _payload(self, dice):
        row = dice.choice(self._rows)
        out = bytes((row[0], max(row[2] + dice.below(3) - 1, 0))) + leb(dice.choice(EDGES))
        for word in row[3].split():
            out += self._field(dice, word[-1] if word[-2] == ":" else "u")
        if not dice.below(8):
            out += dice.octets(1 + dice.below(4))
        return out

    def _field(self, dice, kind):
        if kind == "s":
            raw = text_of(dice).encode() if not dice.below(3) else b"x" * dice.below(4)
            return bytes((min(len(raw), 255),)) + raw[:255]
        if kind == "l":
            n = dice.choice((0, 1, 2, 3, 40, 254, 255))
            return bytes((n,)) + b"".join([self._number(dice) for _ in range(n)])
        return self._number(dice)

    def _number(self, dice):
        return leb(dice.choice(EDGES) if not dice.below(3) else dice.below(200))

    def _frame(self, seq, payload):
        head = bytes((0xA7, 1, len(payload) & 255, len(payload) >> 8))
        body = head + seq.to_bytes(8, "little") + payload
        body += binascii.crc32(body).to_bytes(4, "little")
        return body + b"\xff" * (-len(body) % 4)

    def mended(self, data, dice):
        """Right check sums of the frames."""
        if len(data) > 1 and data[0] & 1 and dice.below(2):
            at = 1
            while at + 16 < len(data) and data[at] == 0xA7:
                end = at + 12 + (data[at + 2] | data[at + 3] << 8)
                if end + 4 > len(data):
                    break
                data[end : end + 4] = binascii.crc32(bytes(data[at:end])).to_bytes(4, "little")
                at = (end + 7 - 1) // 4 * 4 + 1
        return data

    def run(self, data):
        if data and data[0] & 1:
            return self._sector(bytes(data[1:4033]))
        view = memoryview(bytes(data[1:]))
        for plain in (True, False):
            self._same(self._codec.decode(5, view, plain), view, plain)

    def _same(self, record, view, plain):
        told = json.loads(record.to_json(7))
        assert told["seq"] == 5 and told["type"] == record.kind
        if not plain or record.kind == "unknown":
            assert record.rest == bytes(view), "bytes were lost"
        elif not record.rest:
            row = self._codec.find_row(1, record.kind)
            again = memoryview(bytearray(2 * len(view) + 64))
            try:
                n = self._codec.encode(again, row, record.at, record.fields)
            except RecordError as e:
                raise AssertionError("read, and cannot be written: %s" % e) from None
            copy = self._codec.decode(5, again[:n])
            assert copy.fields == record.fields and copy.at == record.at

    def _sector(self, frames):
        flash = _Flash(frames)
        ring = self._ring.Ring(flash, None)
        assert ring.find()
        place = self._ring.Place(ring.tail)
        steps = 0
        while ring.step(place):
            steps += 1
            assert steps < 400
            try:
                self._codec.decode(ring.seq, ring.payload, ring.plain)
            except RecordError:
                self._codec.decode(ring.seq, ring.payload, False)


def begun(epoch):
    """What stands before the frames of a first sector in use: firmware/ledger/sector.py."""
    erased = b"FcEr" + (1).to_bytes(4, "little")
    erased += binascii.crc32(erased).to_bytes(4, "little") + b"\xff" * 4
    head = b"FcLg\x01\xff\xff\xff" + epoch.to_bytes(4, "little") + (1).to_bytes(4, "little")
    head += (1).to_bytes(8, "little")
    return erased + head + binascii.crc32(head).to_bytes(4, "little") + b"\xff" * 20


class _Flash:
    """Ten sectors, the first of them in use, that can only be read."""

    def __init__(self, frames):
        self._first = begun(7) + frames

    def readblocks(self, n, buf, off=0):
        piece = self._first[off : off + len(buf)] if n == 0 else b""
        for i in range(len(buf)):
            buf[i] = 255
        buf[: len(piece)] = piece

    def writeblocks(self, n, buf, off=0):
        raise OSError(30)

    def ioctl(self, op, n):
        return 10 if op == 4 else 4096 if op == 5 else 0
