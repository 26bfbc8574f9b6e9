"""Targets: what a meter and a terminal say."""

import binascii
import json

from numbers_mpy import ber, with_number, without_number  # type: ignore[import-not-found]
from target_mpy import Target, texts  # type: ignore[import-not-found]

from firmware.errors import FrameError, MeterError, ModbusError


class _Time:
    """Ticks that pass only when the fuzz says so: no input waits in real time."""

    now = 0

    def ticks_ms(self):
        return self.now

    def ticks_us(self):
        return self.now * 1000

    def ticks_diff(self, a, b):
        return a - b

    def uptime_ms(self):
        return self.now


class _Uart:
    """Gives the bytes of the answer that is due after each request."""

    def __init__(self):
        self.answers = []
        self.due = self.asked = self.heard = b""

    def write(self, data):
        self.asked = bytes(data)
        self.heard = b""
        self.due = _answered(self.asked, self.answers.pop(0)) if self.answers else b""

    def readinto(self, view):
        n = min(len(view), len(self.due))
        view[:n] = self.due[:n]
        self.heard += self.due[:n]
        self.due = self.due[n:]
        return n or None


def _answered(request, said):
    """Some answers get the right beginning and check sum: first byte even. Of 1, 9, 17...: one
    bit is wrong then.
    """
    if not said or (said[0] & 1 and said[0] & 7 != 1):
        return said[1:]
    count = request[5]
    body = bytearray(request[:2]) + bytes((2 * count,))
    body += (said[1:] + bytes(2 * count))[: 2 * count]
    body += _crc(body)
    if said[0] & 1:
        bit = said[0] >> 3 if len(said) < 2 else said[1]
        body[3 + bit % (len(body) - 3)] ^= 1 << (bit & 7)
    return bytes(body)


def _crc(data):
    """CRC-16/MODBUS as it is defined, low byte first (MODBUS over Serial Line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRCS[(crc ^ byte) & 255]
    return bytes((crc & 255, crc >> 8))


def _crcs():
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        yield crc


_CRCS = tuple(_crcs())


def _right(uart, data):
    """What was taken for an answer is one to the last request, whole and undamaged; `data`: the
    registers as the meter has them.
    """
    frame = uart.heard
    if frame[:8] == uart.asked:  # a line that hears itself
        frame = frame[8:]
    size = 2 * uart.asked[5]
    assert frame[:3] == uart.asked[:2] + bytes((size,)), "an answer to something else"
    assert len(frame) == size + 5 and frame[-2:] == _crc(frame[:-2]), "a damaged answer was taken"
    assert bytes(data[:size]) == frame[3:-2], "not what the meter said"


class Modbus(Target):
    """Answers to every meter model through bus, codec, register types and plausibility. The first
    byte chooses the model; then pieces, each with its length in front, one per request.
    """

    declared = (ModbusError, MeterError)
    words = (
        b"\xff\xff", b"\x7f\xff", b"\x80\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
        b"\x80\x00\x00\x00", b"\x7f\xc0\x00\x00", b"\x7f\x80\x00\x00", b"\x4f\x00\x00\x00",
        bytes(8),
    )  # fmt: skip
    about = (
        "firmware.meter.bus", "firmware.meter.modbus", "firmware.meter.meter",
        "firmware.meter.registers", "firmware.meter.rare", "firmware.meter.plausible",
    )  # fmt: skip

    def __init__(self):
        from firmware.meter import bus, meter, profiles, rare
        from firmware.serialio import Serial

        self._time = _Time()
        bus.time = self._time
        self._bus = bus
        self._meter = meter
        self._serial = Serial
        self._profiles = [profiles.load(name) for name in profiles.names()]
        assert rare

    def seeds(self):
        for n in range(len(self._profiles)):
            yield bytes([n]) + b"\x09\x00\x43\x66\x00\x00\x00\x00\x00\x01" * 12
            yield bytes([n]) + b"\x00" * 40
            yield bytes([n]) + (b"\x0d\x00" + b"\x00\x01\x86\xa0" * 3) * 8
            yield bytes([n]) + b"\x06\x01\x01\x83\x02\xc0\xf1" * 8
            yield bytes([n]) + b"\x02\x09\x05\x01\x01" * 12

    def run(self, data):
        profile = self._profiles[(data[0] if data else 0) % len(self._profiles)]
        uart = _Uart()
        at = 1
        while at < len(data) and len(uart.answers) < 64:
            end = at + 1 + data[at] % 64
            uart.answers.append(bytes(data[at + 1 : end]))
            at = end
        bus = self._bus.ModbusBus(self._serial(uart), attempts=2)
        meter = self._meter.Meter(bus, profile, 1, self._time)
        refusal = None
        for turn in range(2):
            try:
                self._poll(meter, uart, turn == 1)
                reading = meter.reading
                assert type(reading.energy_wh) is int and type(reading.power_w) is int
            except (ModbusError, MeterError) as e:
                refusal = e
        if refusal:
            raise refusal

    def _poll(self, meter, uart, identify):
        meter.begin(identify)
        bus = meter.bus
        for _ in range(4000):
            taken = bus.answers
            try:
                wait = meter.step()
            finally:
                if bus.answers != taken:
                    _right(uart, bus.data)
            if wait < 0:
                return
            self._time.now += max(wait, 1) if uart.due else 400
        raise RuntimeError("the poll does not end")


class Zvt(Target):
    """Frames and APDUs. First byte even: an APDU; odd: bytes of the serial line."""

    declared = (FrameError,)
    about = (
        "firmware.terminal.apdu", "firmware.terminal.framing", "firmware.terminal.walker",
        "firmware.terminal.masking", "firmware.terminal.results",
    )  # fmt: skip
    words = (
        b"\x10\x02", b"\x10\x03", b"\x10\x10", b"\x06", b"\x15", b"\x04\x0f", b"\x06\x0f",
        b"\x06\x1e", b"\x04\xff", b"\x06\xd1", b"\x06\xd3", b"\x06\xc0", b"\x80\x00", b"\x84",
        b"\x27\x00", b"\x04\x00\x00\x00\x00\x60\x00", b"\x49\x09\x78", b"\x87\x02\x31",
        b"\x0b\x00\x09\x75", b"\x22\xf0\xf8", b"\x24\xf0\xf0\xf5", b"\x3c\xf0\xf0\xf2\x41\x42",
        b"\x06\x05\x60\x03\x43\x01\xa0", b"\x06\x81\x80", b"\x06\x82\x01\x00", b"\x1f\x2b\x02",
        b"\x1f\x16\x01\x05", b"\x4c\x04", b"\x08\x02\xff\xff", b"\x60\xf0\xf5\xf3",
        b"4111111111111111", b"\x41\x11" + b"\x11" * 6, b"5555555555554444=2512101",
        b"411111111111111",
        b"4111", b"4111 1111 1111 1111", b"4111\x0011111111\x001111",
        b"\x8b\xf1\xf1Mastercard", b"\x25\x05\x07\x03abc", b"\x19\x60", b"\x2a", b"\xba",
    )  # fmt: skip

    def __init__(self):
        from firmware.terminal import apdu, framing, results

        self._apdu = apdu
        self._framing = framing
        self._results = results
        self._receiver = framing.Receiver(1024)

    def seeds(self):
        for text in texts("/tests/cases/zvt"):
            for case in json.loads(text):
                if "hex" not in case:
                    continue
                apdu = binascii.unhexlify(case["hex"])
                yield b"\x00" + apdu
                yield b"\x01" + self._framed(apdu)
        for apdu in (b"\x06\x0f\x00", b"\x04\x0f\x02\x27\x00", b"\x84\x9c\x00", b"\x80\x00\x00",
                     b"\x06\x1e\x01\x6c", b"\x04\xff\x03\x0a\x00\x01"):  # fmt: skip
            yield b"\x00" + apdu
            yield b"\x01" + self._framed(apdu)

    def made(self, dice, corpus):
        """Containers in containers, to the limit and beyond it; long ones. Card numbers with
        whatever between their digits.
        """
        if dice.below(20) == 0:
            return bytearray(b"\x00" + with_number(dice))
        if dice.below(40):
            return None
        body = dice.choice((b"\x1f\x2b\x02ab", b"\x41\x02\x11\x22", b"", b"\x43\x01\xa0", b"\x25"))
        if not dice.below(4):
            body += b"\x07" + ber(dice, b"x" * dice.choice((126, 127, 128, 255, 256, 900)))
        for _ in range(dice.below(9)):
            tag = dice.choice((b"\x60", b"\x25", b"\xe4", b"\x7f\x10", b"\x3f\x81\x02"))
            body = tag + ber(dice, body)
        body = b"\x06" + ber(dice, body)
        head = dice.choice((b"\x04\x0f", b"\x06\xd1", b"\x06\xd3", b"\x06\x1e", b"\x04\xff"))
        size = len(body)
        length = bytes((size,)) if size < 255 else bytes((255, size & 255, size >> 8))
        apdu = head + length + body
        return bytearray(b"\x00" + apdu if dice.below(3) else b"\x01" + self._framed(apdu))

    def _framed(self, apdu):
        out = bytearray(2 * len(apdu) + 6)
        return bytes(out[: self._framing.encode(apdu, out)])

    def mended(self, data, dice):
        """A right length byte, or a frame around an APDU."""
        if len(data) > 3 and not data[0] & 1 and dice.below(2):
            size = len(data) - 4
            if size < 255:
                data[3] = size
            elif len(data) > 6:
                data[3:6] = bytes((255, (len(data) - 6) & 255, (len(data) - 6) >> 8))
            if dice.below(4) == 0:
                return bytearray(b"\x01" + self._framed(bytes(data[1:900])))
        return data

    def run(self, data):
        if not data or not data[0] & 1:
            return self._read(bytearray(data[1:]))
        receiver = self._receiver
        receiver.reset()
        refusal = None
        for byte in data[1:]:
            try:
                n = receiver.feed(byte)
                if n > 0:
                    self._read(memoryview(receiver.data)[:n])
            except FrameError as e:
                refusal = e
        if refusal:
            raise refusal

    def _read(self, data):
        if len(data) < 2:
            raise FrameError("the link gives no APDU of less")
        totals = b""
        try:
            found = self._apdu.parse(data, b"salt")
            totals = found.totals
        except FrameError as e:
            without_number((str(e),))
            raise
        finally:  # the trace shows it
            left = _text(bytes(data))
            left = left.replace(totals, b"") if totals else left
            without_number((left.replace(b"\0", b""),), False)
        key = self._results.classify(found.code)[0]
        said = [found.card, found.pan, found.auth_code, found.terminal_id, found.vu, key,
                self._results.status_key(found.condition), found.uid_hash]  # fmt: skip
        json.dumps(said)
        assert not [line for line in found.lines if not isinstance(line, str)]
        said[-1] = ""  # 16 hex digits, by chance figures
        without_number(said + ["\n".join(found.lines), " ".join(found.lines)])


def _text(apdu):
    """Of a printed line (06D1) what stands behind length and attribute: by their values these may
    be figures.
    """
    if apdu[:2] != b"\x06\xd1":
        return apdu
    return apdu[6 if apdu[2:3] == b"\xff" else 4 :]
