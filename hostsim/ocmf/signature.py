"""Public keys in the forms meters give them, and whether a record's signature is theirs.

Source: OCMF, "Signature methods" (table 22) and "Signed Data" (table 8); SEC 1 for points; RFC
5480 for SubjectPublicKeyInfo. The key comes from the meter or a register, never with the record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from hostsim.ocmf import secp192k1
from hostsim.ocmf.record import OcmfError, Record, refuse

_K192 = "secp192k1"
_CURVES: dict[str, ec.EllipticCurve] = {
    "secp192r1": ec.SECP192R1(),
    "secp256k1": ec.SECP256K1(),
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
    "brainpoolP384r1": ec.BrainpoolP384R1(),
    "brainpoolP512r1": ec.BrainpoolP512R1(),
}
# the specification leaves the P of the brainpool curves out, meters do not
ALGORITHMS = {
    f"ECDSA-{name}-SHA256": curve
    for curve in (*_CURVES, _K192)
    for name in {curve, curve.replace("poolP", "pool")}
}
# SubjectPublicKeyInfo of an uncompressed point on secp192k1, up to the point
_K192_SPKI = bytes.fromhex("3046301006072a8648ce3d020106052b8104001f033200")


@dataclass(frozen=True)
class Key:
    """A public key: its curve's name where the key says it, and the bytes to make it from."""

    point: bytes
    curve: str | None = None  # None: a raw point, on the curve the record names


def key(given: bytes) -> Key:
    """A key from DER, PEM, or hexadecimal or base64 text of a DER SubjectPublicKeyInfo or of a
    point (04 x y, 02 or 03 and x, or x y alone). Raises OcmfError."""
    if b"-----BEGIN" in given:
        return _spki(given, pem=True)
    raw = given if given[:1] == b"\x30" and not given.isascii() else _untext(given)
    if raw.startswith(_K192_SPKI):
        return Key(raw[len(_K192_SPKI) :], _K192)
    whole = raw[1:2] == bytes([(len(raw) - 2) % 256]) or raw[1:2] == b"\x81"
    return _spki(raw, pem=False) if raw[:1] == b"\x30" and whole else Key(raw)


def _untext(given: bytes) -> bytes:
    try:
        text = "".join(given.decode("ascii").replace(":", " ").split()).removeprefix("0x")
    except UnicodeDecodeError as exc:
        raise OcmfError("key: must be hexadecimal or base64") from exc
    raw = _bytes(text, "hex") or _bytes(text, "base64")
    if not raw:
        refuse("key", "must be hexadecimal or base64", text)
    return raw


def _bytes(text: str, encoding: str) -> bytes:
    """Decoded, b"" when it is none."""
    try:
        if encoding == "hex":
            return binascii.unhexlify(text)
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _spki(data: bytes, *, pem: bool) -> Key:
    try:
        found = (load_pem_public_key if pem else load_der_public_key)(data)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise OcmfError(f"key: is no public key that can be read ({exc})") from exc
    if isinstance(found, ec.EllipticCurvePublicKey):
        numbers = found.public_numbers()
        size = (found.curve.key_size + 7) // 8
        for name, curve in _CURVES.items():
            if curve.name == found.curve.name:
                point = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
                return Key(b"\x04" + point, name)
    refuse("key", "must be a key on one of " + ", ".join((*_CURVES, _K192)))


def trouble(record: Record, public: Key) -> str:
    """Why the signature is not this key's over exactly the signed bytes; "" when it is. Raises
    OcmfError for a record or a key that cannot be understood."""
    curve = ALGORITHMS.get(record.signature["SA"])
    if curve is None:
        refuse("SA", "must be one of " + ", ".join(sorted(ALGORITHMS)), record.signature["SA"])
    data = _bytes("".join(record.signature["SD"].split()), record.signature["SE"])
    if not data:
        refuse("SD", f"must be {record.signature['SE']}", record.signature["SD"])
    if public.curve not in (None, curve):
        return f"the key is of {public.curve}, the record's SA says {curve}"
    try:
        r, s = decode_dss_signature(data)
    except ValueError:
        return "SD is no DER signature"
    good = _good(curve, public.point, data, (r, s), record.signed)
    return "" if good else "the signature is not this key's over this payload"


def _good(curve: str, point: bytes, der: bytes, rs: tuple[int, int], signed: bytes) -> bool:
    size = secp192k1.SIZE if curve == _K192 else (_CURVES[curve].key_size + 7) // 8
    point = b"\x04" + point if len(point) == 2 * size else point
    try:
        if curve == _K192:
            found = secp192k1.point(point)
            return secp192k1.verify(found, *rs, hashlib.sha256(signed).digest())
        known = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise OcmfError(f"key: is no point of {curve} ({exc})") from exc
    try:
        known.verify(der, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
