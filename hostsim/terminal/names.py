"""Words for the numbers of ZVT.

Sources: PA00P015 chapters on commands, intermediate status and error messages (as in
facts/zvt.md); the words are ours.
"""

from __future__ import annotations

COMMANDS: dict[int, str] = {
    0x0401: "set clock",
    0x040C: "request for data",
    0x040F: "status information",
    0x04FF: "intermediate status",
    0x0501: "status enquiry",
    0x0600: "registration",
    0x0601: "payment",
    0x0602: "log off",
    0x060F: "completion",
    0x0610: "turnover totals",
    0x0618: "reset",
    0x061A: "print system configuration",
    0x061B: "set terminal id",
    0x061E: "abort by terminal",
    0x0620: "repeat receipt",
    0x0622: "reservation",
    0x0623: "partial reversal",
    0x0624: "book total",
    0x0625: "cancel reservation",
    0x0630: "reversal",
    0x0631: "refund",
    0x0650: "end of day",
    0x0670: "diagnosis",
    0x0693: "initialisation",
    0x06B0: "abort",
    0x06C0: "read card",
    0x06D1: "print line",
    0x06D3: "print block",
    0x06E0: "display text",
    0x0830: "select language",
    0x0FA1: "terminal functions",
    0x8000: "acknowledge",
}

RESULTS: dict[int, str] = {
    0x00: "approved",
    0x04: "card blocked",
    0x05: "declined",
    0x13: "PIN needed",
    0x33: "PIN needed",
    0x3D: "PIN needed",
    0x41: "PIN needed",
    0x51: "initialisation required",
    0x64: "card not readable",
    0x65: "no card data",
    0x66: "processing error",
    0x6A: "turnover memory full",
    0x6B: "not registered",
    0x6C: "cancelled or timeout",
    0x6F: "wrong currency",
    0x71: "credit not sufficient",
    0x77: "end of day not possible",
    0x78: "card expired",
    0x79: "card not valid yet",
    0x7A: "card unknown",
    0x7D: "no communication",
    0x83: "function not possible",
    0x9A: "protocol error",
    0x9B: "dial-up failed",
    0x9C: "please wait",
    0xA0: "host not ready",
    0xA1: "host does not answer",
    0xA3: "no connection",
    0xA5: "not allowed by PCI rules",
    0xB1: "memory full",
    0xB2: "journal full",
    0xB4: "already reversed",
    0xB5: "reversal not possible",
    0xB7: "amount too high or wrong",
    0xB8: "pre-authorisation error",
    0xC2: "diagnosis required",
    0xC3: "amount above the maximum",
    0xC5: "payment method not supported",
    0xC6: "currency not applicable",
    0xC8: "amount too small",
    0xE4: "activation required",
    0xEC: "PIN not possible here",
    0xF0: "open batch",
    0xFC: "device missing or defective",
    0xFF: "system error",
}

STATUS_TEXTS: dict[int, str] = {
    0x04: "Connecting to the bank",
    0x05: "Reversing the payment",
    0x0A: "Please present card",
    0x0B: "Please remove card",
    0x0C: "Card not readable",
    0x0D: "Processing error",
    0x0E: "Please wait",
    0x0F: "Closing the day",
    0x17: "Please wait",
    0x1B: "Approved",
    0x1D: "Declined",
    0xC9: "Diagnosis",
    0xCA: "Initialisation",
}


def command_name(command: int) -> str:
    """A name for class and instruction, also for refusals 84 xx."""
    if command >> 8 == 0x84:
        return f"refusal: {result_text(command & 0xFF)}"
    return COMMANDS.get(command, "unknown command")


def result_text(code: int) -> str:
    """A result code in words."""
    return RESULTS.get(code, f"refused with code {code:02X}")
