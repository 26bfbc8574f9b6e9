"""What a charger answers to `start` when it does not, as words for the driver."""

from __future__ import annotations

from typing import Any

from hostsim.backoffice.models import Command


def state_of(command: Command | None, now_ms: int) -> str:
    """Where a command stands, "" of none. What has expired is unanswered, also while nobody closes
    it for there is no connection to the broker."""
    if command is None:
        return ""
    over = command.state == "sent" and command.expires_at <= now_ms
    return "unanswered" if over else command.state


def said(result: dict[str, Any]) -> str:
    """The reason in a charger's answer, or in its record when that came first, after its field."""
    if "field" in result:
        return f"{result['field']}: {result.get('reason', '')} (given {result.get('given', '')})"
    return str(result.get("reason") or result.get("detail") or "")


def why_not(reason: str) -> str:
    """A charger's refusal of `start` (`field: what is allowed`) as a word for the driver."""
    if "out of service" in reason:
        return "out_of_service"
    if reason.startswith("state"):
        return "someone_else"
    if reason.startswith("tariff_crc"):
        return "price_moved"
    return "not_started"
