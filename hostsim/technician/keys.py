"""A charger's key, certificate request and certificate. The key is made here, sent to the charger
and forgotten: no copy of it stays with the technician, and none is printed.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hostsim.technician.link import TechnicianError

_SOON = datetime.timedelta(days=30)


def new_key() -> bytes:
    """An EC P-256 key as MicroPython's TLS reads it: DER, RFC 5915."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def read_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises TechnicianError when it is no such key."""
    try:
        key = serialization.load_der_private_key(der, None)
    except (ValueError, TypeError) as error:
        raise TechnicianError(
            "charger.key on the charger is damaged", "Give ARGS=--new-key."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TechnicianError(
            "charger.key on the charger is not for an elliptic curve", "Give ARGS=--new-key."
        )
    return key


def request(der: bytes, charger: str) -> bytes:
    """The certificate request for a charger's name, as PEM, signed with its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, charger)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = made.sign(read_key(der), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def read_certificate(path: Path) -> x509.Certificate:
    """PEM or DER. Raises TechnicianError."""
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except OSError as error:
        raise TechnicianError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise TechnicianError(f"{path} is no certificate") from error


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def check(certificate: x509.Certificate, ca: x509.Certificate, key: bytes, charger: str) -> str:
    """Until when it is valid, in words. Raises TechnicianError when the charger could not use it:
    another key or name, another authority, not valid now.
    """
    if certificate.public_key() != read_key(key).public_key():
        raise TechnicianError(
            "the certificate is for another key than this charger's",
            "Have it issued for the request in build/provision, or give ARGS=--new-key.",
        )
    names = [str(n.value) for n in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [charger]:
        raise TechnicianError(f"the certificate is for {names}, not for {charger}")
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise TechnicianError("the certificate is not issued by this CA") from error
    return valid_until(certificate)


def valid_until(certificate: x509.Certificate) -> str:
    """In words. Raises TechnicianError when it is not valid now."""
    now = datetime.datetime.now(datetime.UTC)
    until = certificate.not_valid_after_utc
    if not certificate.not_valid_before_utc <= now < until:
        raise TechnicianError(
            f"the certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{until:%Y-%m-%d}, not now"
        )
    return f"{until:%Y-%m-%d}" + (" (SOON)" if until - now < _SOON else "")
