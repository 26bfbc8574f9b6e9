"""Target: the pages of a members' list, as they come from the back office."""

import binascii
import hashlib
import json
import os

from mutate_mpy import tree_mutated  # type: ignore[import-not-found]
from target_mpy import Target, lone_surrogate  # type: ignore[import-not-found]

from firmware.errors import FieldError

_KEY = b"0123456789abcdef0123456789abcdef"
_SALT = "00112233445566778899aabbccddeeff"
_TARIFF = (
    '{"id":"M","currency":"EUR","country_code":"DE","party_id":"ABC","elements":[{'
    '"price_components":[{"type":"ENERGY","price":0.5,"step_size":1}]}],'
    '"last_updated":"2025-01-01T00:00:00Z"}'
)


class _Part:
    pass


class _App:
    """What a page sees of the charger."""

    def __init__(self, files):
        self.rfid = _Part()
        self.rfid.coming = None
        self.rfid.list_version = 3
        self.rfid.salt = b""
        self.rfid.restart_ms = 0
        self.machine = _Part()
        self.machine.busy = False
        self.ledger = _Part()
        self.ledger.books = _Part()
        self.ledger.books.open = None
        self.cfg = _Part()
        self.cfg.charger = "CP1"
        self.prices = _Part()
        self.prices.currency = "EUR"
        self.board = _Part()
        self.board.files = files
        self.board.clock = self
        self.lines: "list[str]" = []

    def uptime_ms(self):
        return 5

    def log(self, level, text):
        assert level in ("info", "warning", "error")
        self.lines.append(str(text))


def _rows(count, at):
    return b"".join(
        [
            bytes((at + n,)) * 8 + b"\0" * 4 + b"\0" * 4 + b"account" + b"\0" * 25
            for n in range(count)
        ]
    )


class Members(Target):
    """The pages of one list, one JSON object a line. Of the head's digest and mac those that say
    "sign" are made right.
    """

    declared = (FieldError,)
    about = ("firmware.cards.member_list",)
    words = (
        b'"version":4', b'"page":0', b'"page":1', b'"pages":3', b'"pages":1', b'"count":2',
        b'"rows":""', b'"tariff":"{}"', b'"mac":"sign"', b'"sha256":"sign"', b"null", b"\n", b"{",
        b"}", b"AAAA", b"=", b"9223372036854775808", b"-1",
    )  # fmt: skip

    def __init__(self):
        from firmware.cards import member_list
        from firmware.sync import commands, messages

        self._page = member_list.page
        self._commands = commands
        self._messages = messages
        self._files = "/tmp/forecourt-fuzz-" + binascii.hexlify(os.urandom(6)).decode()
        os.mkdir(self._files)

    def seeds(self):
        rows = [binascii.b2a_base64(_rows(2, at)).decode().strip() for at in (1, 5)]
        yield self._list([{"rows": rows[0]}, {"rows": rows[1]}], 4)
        yield self._list([{"tariff": _TARIFF}, {"rows": rows[0]}], 2)
        yield self._list([], 0)
        yield self._list([{"rows": rows[0]}], 2).replace(
            b'"sha256": "sign"', b'"sha256": "%s"' % (b"0" * 64)
        )
        yield self._list([{"rows": rows[1]}, {"rows": rows[0]}], 4)
        yield self._list([{"rows": rows[0]}], 3)

    def _list(self, parts, count):
        head = {"version": 4, "page": 0, "pages": len(parts) + 1, "count": count, "salt": _SALT,
                "sha256": "sign", "mac": "sign"}  # fmt: skip
        pages = [head] + [dict(part, version=4, page=n + 1) for n, part in enumerate(parts)]
        return b"\n".join([json.dumps(page).encode() for page in pages])

    def made(self, dice, corpus):
        """One page of a list changed as a tree."""
        lines = bytes(dice.choice(corpus)).split(b"\n")
        at = dice.below(len(lines))
        if not lines[at]:
            return None
        tree = tree_mutated(dice, lines[at])
        if tree is None:
            return None
        lines[at] = bytes(tree)
        return bytearray(b"\n".join(lines))

    def run(self, data):
        if lone_surrogate(data):
            return
        app = _App(self._files)
        pages = [line for line in bytes(data).split(b"\n") if line][:8]
        digest = self._digest(pages)
        refused = None
        try:
            for line in pages:
                try:
                    self._signed_page(app, line, digest)
                except FieldError as e:  # this page is refused, the next one comes
                    refused = e
        finally:
            for name in os.listdir(self._files):
                os.remove(self._files + "/" + name)
        if refused:
            raise refused

    def _signed_page(self, app, line, digest):
        message = self._messages.parse(line)
        if message.get("sha256") == "sign":
            message["sha256"] = digest
        if message.get("mac") == "sign":
            message["mac"] = self._mac(message)
        answer = self._page(app, message, _KEY)
        assert answer is None or isinstance(answer["data"]["version"], int)

    def _mac(self, message):
        names = ("version", "pages", "count", "salt", "sha256")
        try:
            parts = [str(message.get(name)) for name in names]
        except RuntimeError:  # so deep that nobody could have signed it
            return ""
        text = "\n".join(["forecourt-members-1", "CP1"] + parts).encode()
        return binascii.hexlify(self._commands.hmac_sha256(_KEY, text)).decode()

    def _digest(self, pages):
        """That of the rows and tariffs, as far as they can be read."""
        found = hashlib.sha256()
        for line in pages:
            try:
                page = json.loads(line)
                if "tariff" in page:
                    found.update(page["tariff"].encode())
                elif "rows" in page:
                    found.update(binascii.a2b_base64(page["rows"]))
            except (ValueError, TypeError, AttributeError, RuntimeError):
                continue
        return binascii.hexlify(found.digest()).decode()
