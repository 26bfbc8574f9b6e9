"""A new members' list from the back office, page by page, whole or not at all. Entered for one
page and left again.

Promises: the list in force stays until the new one is whole, its digest right and its head signed
with the command key (docs/mqtt/README.md, "Members"); then one rename puts it in force. No page is
kept in memory. A list older than the one in force is refused. A power cut or another list begins
anew. Between sessions only: a session has the memory.

Own tariffs are files named by their CRC, so that a session that is open, and one that is
recovered, has the very bytes its driver accepted.
"""

import binascii
import hashlib
import os
import struct

from micropython import const

from firmware.cards.members import HEAD, MAGIC, ROW
from firmware.errors import CommandError
from firmware.paper import leave
from firmware.sync import messages
from firmware.sync.commands import check_mac

_NEW = "/members.new"
_MOST_PAGES = const(100000)
_RESTART_MS = const(5000)


class Coming:
    """A list that is being received."""

    def __init__(self, version: int, pages: int, count: int, salt: bytes, digest: str):
        self.version = version
        self.pages = pages
        self.count = count
        self.salt = salt
        self.digest = digest
        self.next = 1
        self.rows = 0
        self.last = b""
        self.tariffs: "list[str]" = []
        self.hash = hashlib.sha256()


def page(app, message: dict, key: bytes) -> "dict | None":
    """One page (a message on `members`); the answer: which comes next. None: not the one that is
    waited for, left unanswered. Raises FieldError, OSError; the list that was coming is given up.
    """
    rfid = app.rfid
    version, number = messages.natural(message, "version"), messages.natural(message, "page")
    if app.machine.busy or app.ledger.books.open:  # whose tariff may be one of these files
        return {"ok": False, "code": "not_yet", "reason": "a session is open",
                "data": {"version": version}}  # fmt: skip
    coming = rfid.coming
    if number == 0:
        if version <= rfid.list_version:
            return _answer(rfid.list_version, 0, "is in force")
        if coming is None or coming.version != version:
            rfid.coming = coming = _begin(app, message, version, key)
            if coming.pages == 1:  # nobody is a member
                rfid.coming = None
                _finish(app, coming)
        return _answer(version, coming.next, "begins")
    if coming is None or coming.version != version or coming.next != number:
        return None
    rfid.coming = None  # unless this page is good
    _take(app, coming, message)
    coming.next += 1
    if coming.next < coming.pages:
        rfid.coming = coming
        return _answer(version, coming.next, "page %d of %d" % (number, coming.pages))
    _finish(app, coming)
    if rfid.list_version != version:  # its tariffs are read by the next start
        return {"ok": False, "code": "not_yet", "reason": "restarting to read tariffs",
                "data": {"version": version}}  # fmt: skip
    return _answer(version, coming.pages, "members list %d: %d cards" % (version, coming.count))


def _answer(version: int, following: int, detail: str) -> dict:
    return {"detail": detail, "data": {"version": version, "next": following}}


def _begin(app, message: dict, version: int, key: bytes) -> Coming:
    count, pages = messages.natural(message, "count"), messages.natural(message, "pages")
    salt, digest = messages.text(message, "salt"), messages.text(message, "sha256")
    wanted = "\n".join(("forecourt-members-1", app.cfg.charger, str(version), str(pages),
                        str(count), salt, digest)).encode()  # fmt: skip
    check_mac(message.get("mac"), key, wanted)
    try:
        raw = binascii.unhexlify(salt)
    except ValueError:
        raw = b""
    if not 0 < pages <= _MOST_PAGES or len(raw) != 16 or len(digest) != 64:
        raise CommandError("pages", "must be a list's", pages)
    if version >> 32 or count >> 32:
        raise CommandError("version", "must have at most 32 bits", version)
    coming = Coming(version, pages, count, raw, digest)
    raw = MAGIC + struct.pack("<II", version, count) + coming.salt
    with open(app.board.files + _NEW, "wb") as f:
        f.write(raw + struct.pack("<I", binascii.crc32(raw)))
    return coming


def _take(app, coming: Coming, message: dict) -> None:
    if "tariff" in message:
        _tariff(app, coming, message["tariff"])
        return
    rows = message.get("rows")
    if not isinstance(rows, str):
        raise CommandError("rows", "must be text", rows)
    try:
        raw = binascii.a2b_base64(rows)
    except ValueError:
        raise CommandError("rows", "must be base64")
    if not raw or len(raw) % ROW:
        raise CommandError("rows", "must be whole rows", len(raw))
    for at in range(0, len(raw), ROW):
        if raw[at : at + 8] <= coming.last:
            raise CommandError("rows", "must be sorted")
        coming.last = raw[at : at + 8]
    coming.rows += len(raw) // ROW
    coming.hash.update(raw)
    with open(app.board.files + _NEW, "ab") as f:
        f.write(raw)


def _tariff(app, coming: Coming, text) -> None:
    if not isinstance(text, str):
        raise CommandError("tariff", "must be text")
    raw = text.encode()
    coming.hash.update(raw)
    name = "member-%08x" % binascii.crc32(raw)
    coming.tariffs.append(name)
    name += ".json"
    if name not in os.listdir(app.board.files):
        with open(app.board.files + "/member.new", "wb") as f:
            f.write(raw)
        os.rename(app.board.files + "/member.new", app.board.files + "/" + name)


def _finish(app, coming: Coming) -> None:
    files = app.board.files
    if coming.rows != coming.count:
        raise CommandError("count", "must be the number of rows", coming.count)
    if binascii.hexlify(coming.hash.digest()).decode() != coming.digest:
        raise CommandError("sha256", "does not fit")
    if os.stat(files + _NEW)[6] != HEAD + ROW * coming.count:
        raise CommandError("rows", "were not all written")
    os.rename(files + _NEW, files + "/members.bin")
    app.rfid.salt = coming.salt
    for name in os.listdir(files):
        if name[:7] == "member-" and name[:15] not in coming.tariffs:
            os.remove(files + "/" + name)
    app.log("info", "members list %d: %d cards" % (coming.version, coming.count))
    if _prepare(app):
        app.rfid.list_version = coming.version


def _prepare(app) -> bool:
    """Own tariffs are made ready; where memory is too short for that the charger restarts, as soon
    as this page is answered, and does it first: then it says that it has the list.
    """
    from firmware.cards.member_tariff import prepare

    try:
        wrong = prepare(app.board.files, app.prices.currency)
        if wrong:
            app.log("error", wrong)
        return True
    except MemoryError:
        if not app.remote.restart_ms:  # a list that comes again does not put it off
            app.remote.restart_ms = app.board.clock.uptime_ms() + _RESTART_MS
        app.log("warning", "restarting to read members' tariffs: memory is short")
        return False
    finally:
        leave("firmware.cards.member_tariff")
