"""When a certificate ends: the validity of an X.509 certificate in a DER or PEM file (RFC 5280,
4.1.2.5; RFC 7468). Nothing is verified here, TLS does that; entered by the doctor and left again.
"""

import binascii

from firmware.errors import ConfigError
from firmware.pricing.calendar import days_of

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def validity(data: bytes) -> "tuple[int, int]":
    """(not before, not after) of the (in PEM: first) certificate in the file, epoch seconds.
    Raises ConfigError for what is none.
    """
    try:
        if data[:1] != b"\x30":
            begin = data.find(_BEGIN)
            end = data.find(_END)
            if begin < 0 or end < begin:
                raise ValueError("neither DER nor PEM")
            data = binascii.a2b_base64(data[begin + len(_BEGIN) : end])
        return _validity(data)
    except (ValueError, IndexError):
        raise ConfigError("certificate", "cannot be read")


def _validity(der: bytes) -> "tuple[int, int]":
    at = _sequence(der, 0)  # Certificate
    at = _sequence(der, at)  # TBSCertificate
    if der[at] == 0xA0:  # version
        at = _behind(der, at)
    for _ in range(3):  # serial number, signature, issuer
        at = _behind(der, at)
    at = _sequence(der, at)  # Validity
    return _time(der, at), _time(der, _behind(der, at))


def _inside(der: bytes, at: int) -> "tuple[int, int]":
    """Where the contents of the element at `at` begin and end."""
    length = der[at + 1]
    at += 2
    if length & 0x80:
        n = length & 0x7F
        length = int.from_bytes(der[at : at + n], "big")
        at += n
    if at + length > len(der):
        raise ValueError("cut off")
    return at, at + length


def _sequence(der: bytes, at: int) -> int:
    if der[at] != 0x30:
        raise ValueError("no sequence")
    return _inside(der, at)[0]


def _behind(der: bytes, at: int) -> int:
    return _inside(der, at)[1]


def _time(der: bytes, at: int) -> int:
    """UTCTime YYMMDDHHMMSSZ (until 2049) or GeneralizedTime YYYYMMDDHHMMSSZ, as epoch seconds."""
    kind = der[at]
    begin, end = _inside(der, at)
    text = der[begin:end].decode()
    if kind == 0x17:
        text = ("19" if text[0] >= "5" else "20") + text
    elif kind != 0x18:
        raise ValueError("no time")
    n = [int(text[i : i + 2]) for i in range(4, 14, 2)]
    return days_of(int(text[:4]), n[0], n[1]) * 86400 + n[2] * 3600 + n[3] * 60 + n[4]
