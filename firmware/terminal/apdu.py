"""Reads ZVT application data, pure (PA00P015, "Data blocks", "Summary of utilised BMPs").

`parse` masks card data in the buffer it is given (masking.py): what it returns and what is left
in the buffer may be shown. What is not understood is refused with its offset, never skipped by
guess.
"""

from micropython import const

from firmware.errors import FrameError
from firmware.terminal import masking
from firmware.terminal.walker import Walker, fail

# commands and answers by class and instruction
_STATUS = const(0x04FF)
_ENQUIRY = const(0x0501)
_REGISTER = const(0x0600)
_COMPLETION = const(0x060F)
_ABORTED = const(0x061E)
_REVERSE = const(0x0630)
_REFUND = const(0x0631)
_END_OF_DAY = const(0x0650)
_INITIALISE = const(0x0693)
_READ_CARD = const(0x06C0)
_PRINT_LINE = const(0x06D1)

_TOTALS = const(53)  # first and last receipt, (count, amount) of seven card families
NONE_PENDING = 0xFFFF  # receipt number FFFF: no reservation is open
_BCD = {
    0x04: "amount_minor",
    0x0B: "trace",
    0x0C: "time",
    0x0D: "date",
    0x49: "currency",
    0xAA: "day",
}
_PLAIN = {0x19: "status", 0x27: "code"}
# what else is short enough to be shown, except these (expiry, check value, password)
_SHORT = const(4)
_NEVER_SHOWN = b"\x0e\x3a\x3d"
_PASSWORD_FIRST = (
    _REGISTER,
    _REVERSE,
    _REFUND,
    _END_OF_DAY,
    _INITIALISE,
    _ENQUIRY,
)


class Apdu:
    """What was read; the values here mean "was not there"."""

    command = 0
    code = -1  # 27, or the code of 061E; 0 is success
    ext_code = -1  # TLV 1F16, explains code FF
    amount_minor = -1  # 04
    currency = 0
    receipt = 0  # 87; NONE_PENDING for FFFF
    receipts: "tuple[int, ...]" = ()  # all of 87 and TLV 08
    trace = 0  # 0B, or TLV 1F2B
    time = -1  # HHMMSS as a decimal number
    date = -1  # MMDD
    day = -1  # YYMMDD
    status = -1  # 19: status byte, payment type or card kind
    condition = -1  # 060F after 0501: terminal status code; 04FF: the status
    minutes = -1  # 04FF: how long to wait
    terminal_id = ""
    vu = ""
    auth_code = ""
    pan = ""  # masked
    card = ""
    uid_hash = ""  # of the card that answered, masking.card_hash
    has_uid = False
    aid = b""  # of the payment application that answered, a scheme's own first bytes at most
    receipt_type = 0  # print block: 1 merchant, 2 customer, 3 administration
    totals = b""  # 60
    lines: "tuple[str, ...]" = ()  # texts: print lines, display texts
    broken = ""  # why nothing else was read


def parse(data: "bytearray | memoryview", salt: bytes = b"") -> Apdu:
    """Reads a whole APDU and masks card data in `data`; FrameError tells reason and offset."""
    view = memoryview(data)
    reader = _Reader(view, salt)
    try:
        reader.read()
    except FrameError:
        masking.wipe(view[3:])  # what was not understood is not shown either
        raise
    return reader.apdu


class _Reader(Walker):
    def __init__(self, view: "memoryview", salt: bytes) -> None:
        super().__init__(view)
        self.apdu = Apdu()
        self.salt = salt
        self.uid = b""

    def read(self) -> None:
        a = self.apdu
        view = self.view
        size = len(view)
        p = 5 if size > 2 and view[2] == 0xFF else 3
        if size < p:
            raise FrameError("APDU too short")
        length = view[2] if p == 3 else view[3] | view[4] << 8
        if p + length != size:
            raise FrameError(f"APDU length {length} at 2, {size - p} came")
        a.command = view[0] << 8 | view[1]
        if view[0] >= 0x80:
            masking.wipe(view[p:])
        elif a.command == _PRINT_LINE:
            if length:
                a.lines = (masking.take_text(view[p + 1 :]),)
        else:
            self.fields(self.bare(a.command, p, size), size)
            if len(a.lines) > 1:
                text = "\n".join(a.lines)
                shown = masking.scrub_lines(text)
                if shown is not text:
                    a.lines = tuple(shown.split("\n"))
                    masking.wipe(view[p:])
            identity = a.pan.encode() or self.uid
            if identity:
                a.uid_hash = masking.card_hash(self.salt, identity)
            if a.code == 0xFF and a.ext_code > 0:
                a.code = 0xFF00 + a.ext_code

    def bare(self, command: int, p: int, end: int) -> int:
        """Takes the bytes that stand before the BMPs; gives where those begin."""
        view = self.view
        a = self.apdu
        if p == end:
            return p
        if command in _PASSWORD_FIRST:
            masking.wipe(view[p : p + 3], 0)
            return min(end, p + (6 if command == _REGISTER else 3))
        if command == _ABORTED:
            a.code = view[p]
            # a wrong currency is followed by the right one, without its BMP
            return (
                p + 3
                if a.code == 0x6F and p + 3 <= end and view[p + 1] not in b"\x06\x49"
                else p + 1
            )
        if command == _STATUS:
            return self.intermediate(p, end)
        if command == _COMPLETION:
            return self.completion(p, end)
        return p + 1 if command == _READ_CARD else p

    def intermediate(self, p: int, end: int) -> int:
        view = self.view
        self.apdu.condition = view[p]
        p += 1
        if p == end or (view[p] == 6 and p + 1 < end and view[p + 1] == end - p - 2):
            return p
        self.apdu.minutes = (view[p] >> 4) * 10 + (view[p] & 15)
        return p + 1

    def completion(self, p: int, end: int) -> int:
        """After a status enquiry: software version as LLLVAR without BMP, then the terminal's
        status code.
        """
        view = self.view
        if end - p > 3 and view[p] & view[p + 1] & view[p + 2] & 0xF0 == 0xF0:
            size, p = self.digits(p, 3, end)
            p += size
        elif end - p > 1:
            return p
        if p >= end:
            fail("status code missing", p)
        self.apdu.condition = view[p]
        return p + 1

    def fields(self, p: int, end: int) -> None:
        while p < end:
            tag = self.view[p]
            size, p = self.extent(tag, p + 1, end)
            if tag == 0x06:
                self.tlv(p, p + size, 0)
            else:
                self.field(tag, p, p + size)
            p += size

    def field(self, tag: int, p: int, q: int) -> None:
        a = self.apdu
        view = self.view[p:q]
        if tag in _BCD:
            value = self.number(p, q)
            if tag != 0x0B or value:
                setattr(a, _BCD[tag], value)
        elif tag in _PLAIN:
            setattr(a, _PLAIN[tag], view[0])
        elif tag == 0x87:
            self.receipt(p)
        elif tag == 0x22 or tag == 0x23:
            a.pan = masking.take_pan(view, tag == 0x23) or a.pan
        else:
            self.text_field(tag, view)

    def text_field(self, tag: int, view: "memoryview") -> None:
        a = self.apdu
        if tag == 0x29:
            a.terminal_id = bytes(view).hex()
        elif tag == 0x2A:
            a.vu = masking.take_token(view)
        elif tag == 0x3B:
            a.auth_code = masking.take_token(view)
        elif tag == 0x8B:
            a.card = masking.take_name(view)
        elif tag == 0x60:
            if len(view) == _TOTALS:
                a.totals = bytes(view)
            else:
                masking.wipe(view)
        elif len(view) > _SHORT:
            masking.wipe(view)
        elif tag in _NEVER_SHOWN:
            masking.wipe(view, 0)

    def receipt(self, p: int) -> None:
        a = self.apdu
        if self.view[p] == 0xFF and self.view[p + 1] == 0xFF:
            number = NONE_PENDING
        else:
            number = self.number(p, p + 2)
            if number not in a.receipts:
                a.receipts += (number,)
        a.receipt = number

    def tag(self, tag: int, p: int, q: int) -> None:
        a = self.apdu
        view = self.view[p:q]
        if tag == 0x07:
            a.lines += (masking.take_text(view),)
        elif tag == 0x4C:
            self.uid = bytes(view).lstrip(b"\x00")
            a.has_uid = True
            masking.wipe(view, 0xEE)
        elif q - p > _SHORT:
            if tag == 0x43:  # registered application providers begin so (ISO/IEC 7816-5)
                a.aid = a.aid or (bytes(view[:7]) if view[:3] == b"\xa0\0\0" else b"\0")
            masking.wipe(view)
        elif tag == 0x08 and q - p == 2:
            self.receipt(p)
        elif tag == 0x1F2B:
            a.trace = self.number(p, q) or a.trace
        elif tag == 0x1F16:
            a.ext_code = int.from_bytes(view, "big")
        elif tag == 0x1F07 and q > p:
            a.receipt_type = view[0]
