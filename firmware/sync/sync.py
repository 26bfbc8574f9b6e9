"""Sync: everything between the charger and the back office.

What may be lost: only telemetry. Of `status` and `session` the newest counts, `log` keeps its last
lines and counts the others; records are the ledger's and stay there until they are acknowledged; a
result that does not fit any more is counted, and the command's record in the ledger says the same.

`handlers` (none may block): on_tariff(bytes) and on_config(bytes) -> answer dict;
on_command(command dict) -> answer dict, which records the command's counter with its effect, or a
coroutine that gives it, where that takes long (the link reads no further until then);
command_counter() -> the last one recorded; on_time(epoch_ms); on_security(code, detail) -> 0 when
there was no room for it, each code once a minute at most; on_members(message dict, command key) ->
answer dict or None, where RFID cards are configured. An answer has ok, id, code, detail, data, as
far as they apply. They raise ForecourtError for what they refuse, OSError for what they cannot
store: that is said, and what is retained is asked for again an hour later (and with every
connection).
"""

import asyncio
import binascii
import time

from micropython import const

from firmware.errors import FieldError, FlashError, ForecourtError, LedgerFull
from firmware.sync import commands, messages
from firmware.sync.link import Link
from firmware.sync.outbox import Outbox
from firmware.sync.timesync import TimeSync

_LOG_LINES = const(8)
_LOG_TEXT = const(160)
_RESULTS = const(8)
_RECORD_ROOM = const(8)  # QoS 1 packets kept free of records, for results
_SECURITY_MS = const(60000)
_AGAIN_MS = const(3600000)


class Sync:
    """`config`: charger_id, command_key (hex), mqtt (link.py, wire.py), time (timesync.py);
    `clock`: the WallClock.

    `link` has up, reason (why the last connection ended) and connections for whoever looks.
    """

    def __init__(self, config: dict, ledger, clock, network, handlers) -> None:
        self._id = config["charger_id"]
        self._key = binascii.unhexlify(config["command_key"])
        self._ledger = ledger
        self._clock = clock
        self._handlers = handlers
        prefix = (messages.PREFIX + self._id + "/").encode()
        self._name_at = len(prefix)
        will = messages.dump({"online": False, "reason": "lost"})
        self._names: "tuple[bytes, ...]" = (b"ack", b"tariff", b"config", b"command")
        if config.get("members"):
            self._names += (b"members",)
        self.link = Link(config["mqtt"], prefix, will, self._names, network, self)
        self.wake = self.link.wake  # the ledger has a new record
        self._outbox = Outbox(ledger)
        self._time = TimeSync(config["time"], clock, network, handlers.on_time, self.log)
        self._shown: dict = {b"status": {}}  # retained, by topic
        self._due: set = set()  # of them, what is to be sent
        self._results: list = []
        self._result_pid = 0
        self._log: list = []
        self._taken: dict = {}  # name of a retained message: check sum of what was handled
        self._missed: "list[str]" = []  # of them, what could not be stored
        self._missed_ms = 0
        self._counter = 0
        self.work: "object" = None  # what is left to do of a command that takes long
        self._answered: dict = None  # the last command's id and result
        self._security_at = 0  # when the minute began in which these codes were noted
        self._noted = ""
        self._held = 0  # security events since the last one noted
        self._oldest = self._acked = 0  # oldest_seq and acked_seq as they were said last
        self.log_dropped = 0
        self.results_dropped = 0

    # -- for app

    async def run(self) -> None:
        """The task: time and link, until close()."""
        clock = asyncio.create_task(self._time.run())
        try:
            await self.link.run()
        finally:
            clock.cancel()

    def mac(self, text: str) -> str:
        """HMAC-SHA-256 of one's own words with the key of commands, in hex."""
        return binascii.hexlify(commands.hmac_sha256(self._key, text.encode())).decode()

    def close(self) -> None:
        """Says offline, sends what is waiting, ends run(). What takes longer than a few seconds
        may be cancelled."""
        self.publish_status({"online": False, "reason": "closed"})
        self.link.close()

    @property
    def online(self) -> bool:
        return self.link.up

    @property
    def records_sent(self) -> int:
        """Published since power-on, repetitions included."""
        return self._outbox.sent

    @property
    def records_acked(self) -> int:
        """Acknowledged by the back office since power-on."""
        return self._outbox.acked

    def publish_status(self, status: dict) -> None:
        """The charger's state, retained. Online, time, epoch and record numbers are added here."""
        self._show(b"status", status)

    def publish_session(self, session: dict) -> None:
        """The running session's figures, retained."""
        self._show(b"session", session)

    def _show(self, name: bytes, fields: dict) -> None:
        self._shown[name] = fields
        self._due.add(name)
        self.wake()

    def publish_result(self, result: dict) -> None:
        """What became of a command (or tariff, config), at QoS 1."""
        if len(self._results) >= _RESULTS:
            self.results_dropped += 1
            self._results.pop(1)  # the first may be on its way
        self._results.append(dict(result, at=self._clock.epoch_ms()))
        self.wake()

    def again(self, name: str) -> None:
        """What is retained could not be stored: it is new when it comes again, and asked for."""
        if self._taken.pop(name, None) is not None and name not in self._missed:
            self._missed.append(name)
            self._missed_ms = time.ticks_ms()

    def log(self, level: str, text: str) -> None:
        """One line for the engineer; `level` is debug, info, warning or error."""
        if len(self._log) >= _LOG_LINES:
            self._log.pop(0)
            self.log_dropped += 1
        self._log.append({"at": self._clock.epoch_ms(), "level": level, "text": text[:_LOG_TEXT]})
        self.wake()

    # -- for the link

    def on_up(self) -> None:
        self._outbox.rewind()
        self._result_pid = 0
        self._due.update(self._shown)

    def on_down(self, reason: str) -> None:
        self.log("warning", f"link lost: {reason}")

    def on_puback(self, pid: int) -> None:
        if pid == self._result_pid:
            self._result_pid = 0
            self._results.pop(0)

    def feed(self, link) -> bool:
        """Publishes the most urgent waiting message; False when there is none."""
        if self._due:
            name = self._due.pop()
            link.publish(name, messages.dump(self._retained(name)), True)
        elif self._results and not self._result_pid and link.room:
            self._result_pid = link.publish(b"result", messages.dump(self._results[0]), False, 1)
        elif self._missed and time.ticks_diff(time.ticks_ms(), self._missed_ms) > _AGAIN_MS:
            link.ask(self._missed.pop().encode())
        else:
            return self._feed_record(link) or self._feed_log(link)
        return True

    def _retained(self, name: bytes) -> dict:
        ledger = self._ledger
        fields = {"at": self._clock.epoch_ms()}
        if name == b"status":
            self._oldest = self._find_oldest()
            self._acked = ledger.acked_seq
            fields.update(
                {
                    "online": True,
                    "epoch": ledger.epoch,
                    "next_seq": ledger.next_seq,
                    "acked_seq": self._acked,
                    "oldest_seq": self._oldest,
                    "clock": self._clock.source,
                }
            )
        fields.update(self._shown[name])
        return fields

    def _find_oldest(self) -> int:
        """The first record in flash; that it is 1 is said of a flash that cannot be read: nothing
        is then given up for lost."""
        try:
            return self._ledger.oldest_seq
        except FlashError:
            return 1

    def _feed_record(self, link) -> bool:
        payload = self._outbox.next() if link.room > _RECORD_ROOM else None
        if payload is None:
            return False
        link.publish(b"records", payload.encode(), False, 1)
        return True

    def _feed_log(self, link) -> bool:
        if not self._log:
            return False
        line = self._log.pop(0)
        if self.log_dropped:
            line["dropped"] = self.log_dropped
        link.publish(b"log", messages.dump(line))
        return True

    # -- incoming

    def on_message(self, topic: bytes, payload) -> None:
        """One message from the back office; whatever it holds, nothing is raised but programming
        errors."""
        if topic[self._name_at :] not in self._names:
            return  # no broker sends what was not subscribed to
        name = topic[self._name_at :].decode()
        try:
            if name == "ack":
                self._ack(messages.parse(payload))
            elif name == "command":
                self._command(payload)
            elif name == "members":
                answer = self._handlers.on_members(messages.parse(payload), self._key)
                if answer is not None:
                    self._answer(name, answer)
            elif self._is_new(name, payload):
                handler = (
                    self._handlers.on_tariff if name == "tariff" else self._handlers.on_config
                )
                answer = handler(payload)
                if answer is not None:  # None: answered later
                    self._answer(name, answer)
        except ForecourtError as error:
            self.refuse(name, error)
        except (OSError, MemoryError) as error:
            self.again(name)
            self.refuse(name, ForecourtError("cannot be stored: %s" % error))

    def _ack(self, message: dict) -> None:
        outbox = self._outbox
        outbox.on_ack(message)
        # proof for the back office that these records are ours; or what was said of them is old
        if (
            outbox.told
            or self._oldest != self._find_oldest()
            or message.get("again")
            and self._acked != self._ledger.acked_seq
        ):
            outbox.told = False
            self._due.add(b"status")

    def _is_new(self, name: str, payload) -> bool:
        """A retained message comes again with every connection; it is handled once. Empty: it was
        taken back."""
        if payload is None:
            messages.parse(payload)  # raises
        check = binascii.crc32(payload)
        if not payload or self._taken.get(name) == check:
            return False
        self._taken[name] = check
        return True

    def _command(self, payload) -> None:
        """A command is used up when its signature and time were good, whether it could be done or
        not. Nobody sends a retained one: what the broker kept is ignored, and said once."""
        last = max(self._counter, self._handlers.command_counter())
        message: dict = {}
        try:
            if self.link.codec and self.link.codec.retain:
                if not payload or not self._is_new("retain", payload):
                    return
                raise FieldError("", "must not be retained")
            message = messages.parse(payload)
            command = commands.verify(message, self._id, self._key, last, self._clock.epoch_ms())
        except FieldError as error:
            self._rejected(message.get("id"), message.get("mac"), error)
            return
        try:
            answer = self._handlers.on_command(command)
            if not isinstance(answer, dict):
                self.work = self._later(command, answer)
                return
            self._answer("command", dict(answer, id=command["id"]))
        except LedgerFull as error:
            self.refuse("command", error, command["id"], "full")
            return
        except ForecourtError as error:
            self.refuse("command", error, command["id"])
        self._used(command)

    async def _later(self, command: dict, answer) -> None:
        """Done by the link's reader, which a lost connection does not end before."""
        try:
            self._answer("command", dict(await answer, id=command["id"]))
        except LedgerFull as error:
            self.refuse("command", error, command["id"], "full")
            return
        except ForecourtError as error:
            self.refuse("command", error, command["id"])
        finally:
            self.work = None
        self._used(command)

    def _used(self, command: dict) -> None:
        # not before: what died on the way (memory) works when it is sent again
        self._counter = command["counter"]
        self._answered = self._results[-1]
        self._taken["command"] = command["mac"]

    def _rejected(self, identity, mac, error: FieldError) -> None:
        """Not a command for us, now. The last one once more is no attack: its result was lost on
        the way."""
        code = commands.code_of(error)
        if code == "replayed" and self._answered and self._taken.get("command") == mac:
            self.publish_result(self._answered)
            return
        self.refuse("command", error, identity, code)
        if code != "not_yet":
            self._note(code, str(error))

    def _note(self, code: str, detail: str) -> None:
        """A security event, each code once a minute, so that many of one do not hide another; how
        many were held back stands in the next. Ticks go round: an old minute may lie ahead."""
        now = time.ticks_ms()
        if not 0 <= time.ticks_diff(now, self._security_at) <= _SECURITY_MS:
            self._security_at = now
            self._noted = ""
        if code in self._noted:
            self._held += 1
            return
        if self._held:
            detail = "%d held back before; %s" % (self._held, detail)
        if self._handlers.on_security("command_" + code, detail) != 0:
            self._noted += code
            self._held = 0

    def _answer(self, about: str, answer: dict) -> None:
        result = {"about": about, "ok": True}
        result.update(answer)
        self.publish_result(result)

    def refuse(self, about: str, error, identity=None, code: str = "refused") -> None:
        self.log("warning", f"{about} {code}: {error}")
        if about == "ack":
            return
        result = {"about": about, "ok": False, "code": code, "reason": str(error)}
        if isinstance(identity, str):
            result["id"] = identity[:64]
        if isinstance(error, FieldError):
            result["field"] = error.field
            result["reason"] = error.reason
            result["given"] = str(error.given)
        self.publish_result(result)
