"""What the books refuse, and how they say so."""

from __future__ import annotations


class Impossible(ValueError):
    """A record that contradicts those before it; str() says how."""


def must(condition: bool, otherwise: str) -> None:
    """Raises Impossible unless it is so."""
    if not condition:
        raise Impossible(otherwise)
