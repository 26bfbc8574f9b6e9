"""The commands that move no money: registration, status, read card, end of day, diagnosis and
the like.

Sources: PA00P015 2.1, 2.15 to 2.21, 2.55; the answers of the feig profile follow captures
published with EVerest/zvt.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hostsim.terminal import answers, codec, printing
from hostsim.terminal import fields as f
from hostsim.terminal.books import Kind, Record, State
from hostsim.terminal.cards import CARDS
from hostsim.terminal.codec import CodecError
from hostsim.terminal.dialogue import Dialogue, NotAcceptedError, RefusalError
from hostsim.terminal.money import pending_list
from hostsim.terminal.plain import registration_length
from hostsim.terminal.registration import Registration, registration

_SOFTWARE_WANTED = 0x03


async def register(d: Dialogue) -> None:
    """0600: password, config byte, currency, then bitmaps in any order."""
    d.check_password(d.body[:3])
    if len(d.body) < 4:
        raise RefusalError(0x9A)
    # The currency is two bytes without a tag, and optional.
    plain = registration_length(d.body)
    currency = d.sim.profile.currency
    if plain == 6:
        try:
            currency = f.from_bcd(d.body[4:6])
        except CodecError as exc:
            raise RefusalError(0x9A) from exc
    fields = d.parse(plain)
    d.sim.register(registration(d.body[3], currency, fields))
    await d.complete(terminal_fields(d))


def terminal_fields(d: Dialogue) -> bytes:
    """Status byte, terminal id and currency, as a completion carries them."""
    status = bytes((d.sim.status_byte(),))
    return (
        f.bmp(0x19, status)
        + f.bmp(0x29, d.sim.terminal_id)
        + f.bmp(0x49, d.sim.registration.currency)
    )


async def log_off(d: Dialogue) -> None:
    """0602: forget the registration; 80 00 00 was all."""
    d.sim.register(Registration())


async def status_enquiry(d: Dialogue) -> None:
    """0501: completion with the status code, before it the software version where asked for."""
    skip = 0 if not d.body or d.body[0] in (_SOFTWARE_WANTED, 0x06) else 3
    fields = d.parse(skip)
    version = b""
    if d.sim.profile.version_always or fields.raw(_SOFTWARE_WANTED) is not None:
        text = d.sim.profile.software.encode("ascii")
        version = bytes(0xF0 | int(digit) for digit in f"{len(text):03d}") + text
    tlvs = b""
    if d.sim.profile.version_always:
        tlvs = f.container(f.tlv(0x1F44, f.to_bcd(d.sim.terminal_id, 4)), _device(d))
    await d.complete(version + bytes((d.sim.service_code(),)) + tlvs)


def _device(d: Dialogue) -> bytes:
    return f.tlv(
        0xE4,
        f.tlv(0x1F40, d.sim.profile.device.encode("ascii"))
        + f.tlv(0x1F41, d.sim.profile.software.encode("ascii"))
        + f.tlv(0x1F42, f.to_bcd(18632442, 4))
        + f.tlv(0x1F43, b"\x00"),
    )


async def read_card(d: Dialogue) -> None:
    """06C0: timeout in seconds, then bitmaps; 040F ends it, there is no completion."""
    timeout = d.body[0] if d.body else 0
    d.parse(1 if d.body else 0)
    card = await d.card(float(timeout or d.sim.card_timeout_s), once=True)
    if not card.readable:
        raise RefusalError(0x64)
    await d.finish(
        answers.card_read(card, tlv=d.tlv_wanted, unmasked=d.sim.faults.active("unmasked"))
    )


async def diagnosis(d: Dialogue) -> None:
    """0670: a word with the host; the clock may be set."""
    d.parse()
    await _host_call(d, 0xC9)
    if d.sim.profile.sets_clock:
        await d.mention(codec.join(0x0401, d.sim.clock_fields()))
    await _print_admin(d, ["Diagnosis", "finished"])
    await d.complete()


async def initialise(d: Dialogue) -> None:
    """0693: password; ends an out-of-service state."""
    d.parse_with_password(optional=True)
    await _host_call(d, 0xCA)
    await _print_admin(d, ["Initialisation", "finished"])
    await d.complete()


async def _host_call(d: Dialogue, status: int) -> None:
    await d.status(status)
    await asyncio.sleep(d.sim.bank_delay(None))
    if d.sim.faults.active("acquirer-down"):
        raise RefusalError(0x7D)
    d.sim.faults.set("out-of-service", None)


async def _print_admin(d: Dialogue, lines: list[str]) -> None:
    try:
        await d.print([*lines, f"Terminal {d.sim.terminal_id:08d}"], printing.ADMIN, admin=True)
    except NotAcceptedError as exc:
        d.sim.tell("line", {"what": "receipt not taken", "reason": str(exc)})


async def end_of_day(d: Dialogue) -> None:
    """0650: totals of the batch; refused while holds are open."""
    d.parse_with_password()
    if d.sim.books.pending():
        raise RefusalError(0xB8, pending_list(d))
    await d.status(0x0F)
    await asyncio.sleep(d.sim.bank_delay(None))
    if d.sim.faults.active("acquirer-down"):
        raise RefusalError(0x7D)
    records = [r for r in d.sim.books.records if not r.batch and r.state is not State.UNCONFIRMED]
    batch = _batch(d, records)
    total = max(0, batch["total_minor"])
    body = f.bmp(0x27, b"\x00") + f.bmp(0x04, total) + f.bmp(0x49, d.sim.registration.currency)
    body += f.bmp(0x0B, d.sim.books.next_trace()) + answers.time_fields(d.sim.local_time())
    body += f.bmp(0x29, d.sim.terminal_id)
    body += answers.totals(batch["first_receipt"], batch["last_receipt"], batch["schemes"])
    try:
        await d.insist(codec.join(0x040F, body))
        await d.print(_totals_lines(d, batch), printing.ADMIN, admin=True)
    except NotAcceptedError as exc:
        raise RefusalError(0x77) from exc
    for record in records:
        record.batch = batch["number"]
    d.sim.books.batches.append(batch)
    d.sim.books.save()
    d.sim.tell("book", {"what": "end of day", **batch})
    await d.complete()


def _batch(d: Dialogue, records: list[Record]) -> dict[str, Any]:
    schemes: dict[str, tuple[int, int]] = {}
    for record in records:
        amount = _turnover(record)
        if record.state in (State.CAPTURED, State.PAID, State.REFUNDED):
            scheme = CARDS[record.card].scheme if record.card in CARDS else "others"
            count, total = schemes.get(scheme, (0, 0))
            schemes[scheme] = (count + 1, total + amount)
    receipts = [number for record in records for number in record.receipts]
    return {
        "number": len(d.sim.books.batches) + 1,
        "at_ms": d.sim.clock.now_ms(),
        "first_receipt": receipts[0] if receipts else 0,
        "last_receipt": receipts[-1] if receipts else 0,
        "count": sum(count for count, _ in schemes.values()),
        "total_minor": sum(amount for _, amount in schemes.values()),
        "schemes": schemes,
    }


def _turnover(record: Record) -> int:
    if record.kind is Kind.REFUND:
        return -record.returned_minor
    return record.captured_minor - record.returned_minor


def _totals_lines(d: Dialogue, batch: dict[str, Any]) -> list[str]:
    currency = d.sim.registration.currency
    lines = ["** End of day **", f"Batch {batch['number']}", f"Terminal {d.sim.terminal_id:08d}"]
    for scheme, (count, amount) in batch["schemes"].items():
        lines.append(f"{scheme} {count} x {printing.money(amount, currency)}")
    return [*lines, f"Total {printing.money(batch['total_minor'], currency)}"]


async def reset(d: Dialogue) -> None:
    """0618: completion, then as after power-on."""
    await d.complete()
    d.sim.register(Registration())


async def print_configuration(d: Dialogue) -> None:
    """061A: what the terminal is, on the ECR's printer."""
    await _print_admin(d, [d.sim.profile.device, d.sim.profile.software])
    await d.complete()


async def set_terminal_id(d: Dialogue) -> None:
    """061B: only while the turnover memory is empty."""
    d.parse_with_password()
    if any(not record.batch for record in d.sim.books.records):
        raise RefusalError(0xF0)
    number = d.number(0x29)
    if number is not None:
        d.sim.terminal_id = number
    await d.complete()


async def select_language(d: Dialogue) -> None:
    """0830: taken and not used."""
    await d.complete()


async def functions(d: Dialogue) -> None:
    """0FA1 0001 (Feig): device id, software, terminal id and temperature as plain text."""
    if d.body[-2:] != b"\x00\x01":
        raise RefusalError(0x83)
    text = f"17FD1E3C{d.sim.profile.software:<17.17}{d.sim.terminal_id:08d}24.4"
    await d.complete(text.encode("ascii"))
