"""Targets: what a meter and a terminal say."""

import binascii
import json

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
            return bytearray(b"\x00" + _with_number(dice))
        if dice.below(40):
            return None
        body = dice.choice((b"\x1f\x2b\x02ab", b"\x41\x02\x11\x22", b"", b"\x43\x01\xa0", b"\x25"))
        if not dice.below(4):
            body += b"\x07" + _ber(dice, b"x" * dice.choice((126, 127, 128, 255, 256, 900)))
        for _ in range(dice.below(9)):
            tag = dice.choice((b"\x60", b"\x25", b"\xe4", b"\x7f\x10", b"\x3f\x81\x02"))
            body = tag + _ber(dice, body)
        body = b"\x06" + _ber(dice, body)
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


# test numbers of the schemes
_NUMBERS = (
    b"4111111111111111", b"5413330089010434", b"5555555555554444", b"378282246310005",
    b"6799998900000060018", b"30569309025904", b"2223003122003222",
)  # fmt: skip
_APART = (b"", b"\0", b" ", b"  ", b"-", b".", b"/", b"\n", b"\x01", b"\x1b", b"\x80", b"\x81",
          b"\xff", b"\0\0", b" - ", b"*", b"?", b"=", b",")  # fmt: skip


def _with_number(dice):
    """An APDU whose text has a card number in it, its digits apart."""
    number = dice.choice(_NUMBERS)
    text = dice.choice((b"", b"Card ", b"PAN:", b"\0", b"12.05.  "))
    one = dice.choice(_APART)
    cuts = 1 + dice.below(6)
    for i in range(len(number)):
        if i and not dice.below(cuts):
            text += one if dice.below(3) else dice.choice(_APART)
        text += number[i : i + 1]
    text += dice.choice((b"", b" ok", b"\0\0", b"=2512", b"\xff"))
    what = dice.below(4)
    line = b"\x07" + _ber(dice, text)
    if what == 0:
        head, body = b"\x06\xd1", b"\0" + text
    elif what == 1:
        head, body = b"\x06\xd3", b"\x06" + _ber(dice, b"\x25" + _ber(dice, line))
    elif what == 2:
        head, body = b"\x04\xff", b"\x0a\0\x06" + _ber(dice, b"\x24" + _ber(dice, line))
    else:
        size = bytes((0xF0 + len(text) // 10 % 10, 0xF0 + len(text) % 10))
        head, body = b"\x04\x0f", b"\x8b" + size + text[:99]
    return head + bytes((min(len(body), 254),)) + body[:254]


def without_number(texts, luhn=True):
    """No text has a card's number in it: 13 to 19 figures in a row with the right check digit
    (`luhn`), or one of ours whatever is between its figures but letters, dates, times, sums and
    what was masked.
    """
    for text in texts:
        raw = text.encode() if isinstance(text, str) else text
        row = b""  # figures in a row
        for byte in raw + b"A":
            if 48 <= byte <= 57:
                row += bytes((byte,))
                continue
            if luhn and 13 <= len(row) <= 19 and row[0] != 48:
                assert not _luhn(row), "a card number came out"
            row = b""
        raw = _without_moments(raw) + b"A"
        spread = b""
        groups = []  # where in it each begins
        apart = True
        for i, byte in enumerate(raw):
            if 48 <= byte <= 57:
                if apart:
                    groups.append(len(spread))
                spread += bytes((byte,))
                apart = False
            elif 65 <= byte & 0xDF <= 90 or _hides(raw, i):
                _without_spread(spread, groups + [len(spread)])
                spread = b""
                groups = []
                apart = True
            elif byte and byte != 63:
                apart = True


def _without_spread(spread, groups):
    """None of ours is in it, in whole groups or inside of one."""
    for number in _NUMBERS:
        at = spread.find(number)
        while at >= 0:
            end = at + len(number)
            parted = [group for group in groups if at < group < end]
            assert parted and not (at in groups and end in groups), "a card number came out"
            at = spread.find(number, at + 1)


def _hides(raw, i):
    """A star that stands for a figure: not between two, as what sets them apart."""
    beside = raw[max(i - 1, 0) : i] + raw[i + 1 : i + 2]
    return raw[i : i + 1] == b"*" and [b for b in beside if 48 <= b <= 57] != list(beside)


def _without_moments(raw):
    """A letter for each date, time and sum."""
    out = word = b""
    for i in range(len(raw) + 1):
        piece = raw[i : i + 1]
        if piece and piece in b"0123456789,-./:?":
            word += piece
        else:
            out += (b"A" if _is_moment(word) else word) + piece
            word = b""
    return out


def _is_moment(word):
    """30.11.2026, 14:05:33, 1.234,56: three parts in ten characters; or 14:05, 12,34."""
    word = word.strip(b",-./:?")
    bare = word
    for sign in (b"-", b"/", b":", b","):
        bare = bare.replace(sign, b".")
    parts = [part for part in bare.replace(b"?", b"").split(b".") if part]
    if len(word) > 10:
        return False
    return len(parts) == 3 or (len(parts) == 2 and word[-3:-2] in (b",", b".", b":"))


def _luhn(figures):
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for i, byte in enumerate(reversed(figures)):
        digit = (byte - 48) * (1 + i % 2)
        total += digit // 10 + digit % 10
    return total % 10 == 0


def _ber(dice, value):
    """A value behind its BER length, now and then a longer form than it needs."""
    size = len(value)
    wide = 2 if size > 255 else 1 if size > 127 else 0
    if wide < 2 and not dice.below(8):
        wide += 1
    if not wide:
        return bytes((size,)) + value
    return bytes((0x80 + wide,)) + size.to_bytes(wide, "big") + value
