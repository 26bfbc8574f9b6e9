"""ECDSA on secp192k1, which `cryptography` does not have: verification only, so nothing is secret.

Source: SEC 1 (2.0), 4.1.4 "Verifying Operation"; SEC 2 (1.0), 2.2.1 for the curve.
"""

from __future__ import annotations

P = 2**192 - 2**32 - 2**12 - 2**8 - 2**7 - 2**6 - 2**3 - 1
N = 0xFFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D
_G = (
    0xDB4FF10EC057E9AE26B07D0280B7F4341DA5D1B1EAE06C7D,
    0x9B2F2F6D9C5628A7844163D015BE86344082AA88D95E2F9D,
)
_B = 3  # y^2 = x^3 + 3
SIZE = 24  # bytes of a coordinate

Point = tuple[int, int] | None  # None: the point at infinity


def point(data: bytes) -> tuple[int, int]:
    """A public key from 04 x y, or 02 or 03 and x. Raises ValueError."""
    x = int.from_bytes(data[1 : 1 + SIZE], "big")
    if data[:1] == b"\x04" and len(data) == 1 + 2 * SIZE:
        y = int.from_bytes(data[1 + SIZE :], "big")
    elif data[:1] in (b"\x02", b"\x03") and len(data) == 1 + SIZE:
        y = pow(x**3 + _B, (P + 1) // 4, P)
        y = y if y & 1 == data[0] & 1 else P - y
    else:
        raise ValueError("is no point of secp192k1")
    if x >= P or y >= P or (y * y - x**3 - _B) % P:
        raise ValueError("is no point of secp192k1")
    return x, y


def verify(key: tuple[int, int], r: int, s: int, digest: bytes) -> bool:
    """Whether (r, s) is a signature of a message with this digest by this key."""
    if not (0 < r < N and 0 < s < N):
        return False
    e = int.from_bytes(digest[:SIZE], "big")  # the leftmost bits of the digest
    w = pow(s, -1, N)
    found = _add(_times(e * w % N, _G), _times(r * w % N, key))
    return found is not None and found[0] % N == r


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(k: int, base: Point) -> Point:
    found: Point = None
    while k:
        if k & 1:
            found = _add(found, base)
        base = _add(base, base)
        k >>= 1
    return found
