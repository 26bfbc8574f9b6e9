"""Finds where fields begin and end in ZVT data: BMP lengths, TLV tags and BER lengths, pure
(PA00P015, "Summary of utilised BMPs", "TLV container"). What the fields say: apdu.py."""

from firmware.errors import FrameError

# how long a BMP is (PA00P015, "Summary of utilised BMPs"); LL and LLL begin with Fx digits of
# their length
_FIXED = (
    (
        1,
        b"\x01\x02\x03\x05\x19\x27\x72\x73\x74\x75\x8a\x8c\xa0\xd0\xd2\xd3\xe0\xe9\xea"
        b"\xf0\xf9\xfa\xfb\xfc\xfd",
    ),
    (2, b"\x0d\x0e\x17\x3a\x49\x87"),
    (3, b"\x0b\x0c\x37\x3d\x88\xaa"),
    (4, b"\x29\x70\x71"),
    (5, b"\xba"),
    (6, b"\x04"),
    (8, b"\x3b\xeb"),
    (15, b"\x2a"),
)
_LL = b"\x22\x23\x2d\x8b\xa7\xd1\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8"
_LLL = b"\x24\x2e\x3c\x60\x92\x9a\xaf"


def fail(reason: str, at: int) -> None:
    """Raises FrameError for what stands at this offset of the APDU."""
    raise FrameError(f"{reason} at {at}")


class Walker:
    """`view`: the whole APDU. All methods raise FrameError with the offset of what is wrong."""

    def __init__(self, view: "memoryview") -> None:
        self.view = view

    def tag(self, tag: int, p: int, q: int) -> None:
        """Called by `tlv` for each primitive element."""

    def digits(self, p: int, count: int, end: int) -> "tuple[int, int]":
        """An LL or LLL length: (size, where the value begins)."""
        size = 0
        at = p
        for _ in range(count):
            if p >= end or self.view[p] & 0xF0 != 0xF0 or self.view[p] & 15 > 9:
                fail("bad variable length", at)
            size = size * 10 + (self.view[p] & 15)
            p += 1
        if p + size > end:
            fail("field longer than the APDU", at)
        return size, p

    def extent(self, tag: int, p: int, end: int) -> "tuple[int, int]":
        """(size, where the value begins) of BMP `tag` whose number stands before `p`."""
        for size, tags in _FIXED:
            if tag in tags:
                if p + size > end:
                    fail("field longer than the APDU", p - 1)
                return size, p
        if tag in _LL:
            return self.digits(p, 2, end)
        if tag in _LLL:
            return self.digits(p, 3, end)
        if tag == 0x06:
            return self.ber(p, end)
        fail(f"unknown BMP {tag:02X}", p - 1)
        return 0, p

    def number(self, p: int, q: int) -> int:
        value = 0
        for i in range(p, q):
            byte = self.view[i]
            if byte >> 4 > 9 or byte & 15 > 9:
                fail("not a decimal number", p)
            value = value * 100 + (byte >> 4) * 10 + (byte & 15)
        return value

    def ber(self, p: int, end: int) -> "tuple[int, int]":
        """BER length of one to three bytes: (size, where the value begins)."""
        at = p
        if p < end:
            size = self.view[p]
            p += 1
            more = size - 0x80
            if more == 1 or more == 2:
                size = 0
                for i in range(p, min(p + more, end)):
                    size = size << 8 | self.view[i]
                p += more
            elif more >= 0:
                fail("bad TLV length", at)
            if p + size <= end:
                return size, p
        fail("TLV longer than its container", at)
        return 0, p

    def tlv(self, p: int, end: int, depth: int) -> None:
        view = self.view
        while p < end:
            at = p
            first = tag = view[p]
            p += 1
            while tag & (0x1F if tag == first else 0x80) == (0x1F if tag == first else 0x80):
                if p >= end or p - at > 2:
                    fail("bad TLV tag", at)
                tag = tag << 8 | view[p]
                p += 1
            size, p = self.ber(p, end)
            if not first & 0x20:
                self.tag(tag, p, p + size)
            elif depth < 5:
                self.tlv(p, p + size, depth + 1)
            else:
                fail("TLV too deep", at)
            p += size
