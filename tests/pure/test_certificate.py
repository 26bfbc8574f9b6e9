"""The dates in a certificate: RFC 5280, 4.1.2.5."""

import binascii

from firmware.doctor.certificate import validity
from firmware.errors import ConfigError

# made with another library (cryptography): 2026-01-02 03:04:05 to 2027-12-31 23:59:58
YEARS = b"""-----BEGIN CERTIFICATE-----
MIIBETCBuKADAgECAgISNDAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdGQy0wMDAx
MB4XDTI2MDEwMjAzMDQwNVoXDTI3MTIzMTIzNTk1OFowEjEQMA4GA1UEAwwHRkMt
MDAwMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGMf3KYYBc7/hPL1WwEdzSFh
fD7C4PmHpVSpn1llJaXTorP0Qf/xC+77g48QO0jbhn6zqquneITDzAmlnSUxtuMw
CgYIKoZIzj0EAwIDSAAwRQIgRMc58f9j76Lhjq2CopZDXj2r6RM40RfFq4YP0xFJ
hEYCIQCv9FPXAYlASIPZHVAEh6Unv2aEME+DUYH2Vqrf3UI6aQ==
-----END CERTIFICATE-----
"""
# 1999-12-31 00:00:00 (UTCTime) to 2051-02-03 04:05:06 (GeneralizedTime)
CENTURIES = b"""-----BEGIN CERTIFICATE-----
MIIBEzCBuqADAgECAgISNDAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdGQy0wMDAx
MCAXDTk5MTIzMTAwMDAwMFoYDzIwNTEwMjAzMDQwNTA2WjASMRAwDgYDVQQDDAdG
Qy0wMDAxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYx/cphgFzv+E8vVbAR3N
IWF8PsLg+YelVKmfWWUlpdOis/RB//EL7vuDjxA7SNuGfrOqq6d4hMPMCaWdJTG2
4zAKBggqhkjOPQQDAgNIADBFAiA8jYQkOnr2LfrAkQY0IdT8qHXSDSe3jnk98XEe
pzAEtgIhALp/UgUdVGu7UiiRXSRykg+agkHTv8WUR38Ur/M0Sonj
-----END CERTIFICATE-----
"""


def test_dates_are_those_of_the_certificate():
    assert validity(YEARS) == (1767323045, 1830297598)
    assert validity(CENTURIES) == (946598400, 2559009906)


def test_file_may_hold_the_plain_bytes():
    der = binascii.a2b_base64(b"".join(YEARS.split(b"\n")[1:-2]))
    assert validity(der) == validity(YEARS)


def test_text_before_it_is_passed_over():
    assert validity(b"# the charger's\n" + YEARS + CENTURIES) == validity(YEARS)


def test_what_is_no_certificate_is_refused():
    lines = YEARS.split(b"\n")
    cut = b"\n".join(lines[:3] + lines[-3:])
    for pem in (b"", b"no", lines[0], YEARS[:200], cut, YEARS.replace(b"MII", b"AII", 1)):
        try:
            validity(pem)
        except ConfigError:
            continue
        raise AssertionError("not refused: %r" % pem[:40])
