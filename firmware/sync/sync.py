"""Sync: everything between the charger and the back office.

What may be lost: only telemetry. Of `status` and `session` the newest counts, `log` keeps its last lines and counts
the others; records are the ledger's and stay there until they are acknowledged; a result that does not fit any more
is counted, and the command's record in the ledger says the same.

`handlers` (none may block): on_tariff(bytes) and on_config(bytes) -> answer dict; on_command(command dict) -> answer
dict, which records the command's counter with its effect; command_counter() -> the last one recorded;
on_time(epoch_ms); on_security(code, detail), at most once a minute. An answer has ok, id, code, detail, data, as far as they apply. They
raise ForecourtError for what they refuse.
"""

import asyncio
import binascii
import time

from firmware.errors import CommandError, FieldError, ForecourtError
from firmware.sync import commands, messages
from firmware.sync.link import Link
from firmware.sync.outbox import Outbox
from firmware.sync.timesync import TimeSync
from micropython import const

_LOG_LINES = const(16)
_LOG_TEXT = const(200)
_RESULTS = const(8)
_RECORD_ROOM = const(8)  # QoS 1 packets kept free of records, for results
_SECURITY_MS = const(60000)


class Sync:
    """`config`: charger_id, command_key (hex), mqtt (link.py, wire.py), time (timesync.py); `clock`: the WallClock."""

    def __init__(self, config: dict, ledger, clock, network, handlers) -> None:
        self._id = config["charger_id"]
        self._key = binascii.unhexlify(config["command_key"])
        self._ledger = ledger
        self._clock = clock
        self._handlers = handlers
        self._topics = {name: messages.topic(self._id, name)
                        for name in ("status", "session", "records", "result", "log")}
        self._prefix = len(messages.topic(self._id, ""))
        will = (self._topics["status"], messages.dump(messages.STATUS, {"online": False, "reason": "lost"}))
        inbound = tuple(messages.topic(self._id, name) for name in ("ack", "tariff", "config", "command"))
        self._link = Link(config["mqtt"], self._id, will, inbound, network, self)
        self._outbox = Outbox(ledger)
        self._time = TimeSync(config["time"], clock, network, handlers.on_time, self.log)
        self._status = {}
        self._session = None
        self._status_due = False
        self._session_due = False
        self._results = []
        self._result_pid = 0
        self._log = []
        self._log_gap = 0
        self._taken = {}  # name of a retained message: check sum of what was handled
        self._counter = 0
        self._answered = None  # the last command's id and result
        self._security_at = None
        self.log_dropped = 0
        self.results_dropped = 0

    # -- for app

    async def run(self) -> None:
        """The task: time and link, until close()."""
        clock = asyncio.create_task(self._time.run())
        try:
            await self._link.run()
        finally:
            clock.cancel()

    def close(self) -> None:
        """Says offline, sends what is waiting, ends run(). What takes longer than a few seconds may be cancelled."""
        self.publish_status(dict(self._status, online=False, reason="closed"))
        self._link.close()

    @property
    def online(self) -> bool:
        return self._link.up

    @property
    def reason(self) -> str:
        """Why the last connection ended or did not come about."""
        return self._link.reason

    @property
    def connections(self) -> int:
        return self._link.connections

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
        self._status = status
        self._status_due = True
        self._link.wake()

    def publish_session(self, session: dict) -> None:
        """The running session's figures, retained."""
        self._session = session
        self._session_due = True
        self._link.wake()

    def publish_result(self, result: dict) -> None:
        """What became of a command (or tariff, config), at QoS 1."""
        if len(self._results) >= _RESULTS:
            self.results_dropped += 1
            self._results.pop(1)  # the first may be on its way
        self._results.append(dict(result, at=self._clock.epoch_ms()))
        self._link.wake()

    def log(self, level: str, text: str) -> None:
        """One line for the engineer; `level` is debug, info, warning or error."""
        if len(self._log) >= _LOG_LINES:
            self._log.pop(0)
            self._log_gap += 1
            self.log_dropped += 1
        self._log.append((self._clock.epoch_ms(), level, text[:_LOG_TEXT]))
        self._link.wake()

    # -- for the link

    def on_up(self) -> None:
        self._outbox.rewind()
        self._result_pid = 0
        self._status_due = True
        self._session_due = self._session is not None

    def on_down(self, reason: str) -> None:
        self.log("warning", f"link lost: {reason}")

    def on_puback(self, pid: int) -> None:
        if pid == self._result_pid:
            self._result_pid = 0
            self._results.pop(0)

    def feed(self, link) -> bool:
        """Publishes the most urgent waiting message; False when there is none."""
        if self._status_due:
            self._status_due = False
            link.publish(self._topics["status"], self._status_payload(), True)
        elif self._results and not self._result_pid and link.room:
            payload = messages.dump(messages.RESULT, self._results[0])
            self._result_pid = link.publish(self._topics["result"], payload, False, 1)
        elif self._session_due:
            self._session_due = False
            payload = messages.dump(messages.SESSION, dict(self._session, at=self._clock.epoch_ms()))
            link.publish(self._topics["session"], payload, True)
        else:
            return self._feed_record(link) or self._feed_log(link)
        return True

    def _feed_record(self, link) -> bool:
        payload = self._outbox.next() if link.room > _RECORD_ROOM else None
        if payload is None:
            return False
        link.publish(self._topics["records"], payload.encode(), False, 1)
        return True

    def _feed_log(self, link) -> bool:
        if not self._log:
            return False
        at, level, text = self._log.pop(0)
        fields = {"at": at, "level": level, "text": text}
        if self._log_gap:
            fields["dropped"] = self._log_gap
            self._log_gap = 0
        link.publish(self._topics["log"], messages.dump(messages.LOG, fields))
        return True

    def _status_payload(self) -> bytes:
        ledger = self._ledger
        status = {"online": True, "at": self._clock.epoch_ms(), "epoch": ledger.epoch, "next_seq": ledger.next_seq,
                  "acked_seq": ledger.acked_seq, "clock": self._clock.source}
        status.update(self._status)
        return messages.dump(messages.STATUS, status)

    # -- incoming

    def on_message(self, topic: bytes, payload) -> None:
        """One message from the back office; whatever it holds, nothing is raised but programming errors."""
        name = topic[self._prefix :].decode()
        try:
            if name == "ack":
                self._outbox.on_ack(messages.parse(payload))
            elif name == "command":
                self._verified(payload)
            elif self._is_new(name, payload):
                handler = self._handlers.on_tariff if name == "tariff" else self._handlers.on_config
                self._answer(name, handler(payload))
        except ForecourtError as error:
            self._refuse(name, error)

    def _is_new(self, name: str, payload) -> bool:
        """A retained message comes again with every connection; it is handled once. Empty: it was taken back."""
        if payload is None:
            raise FieldError("", "message too large for this charger")
        check = binascii.crc32(payload)
        if not payload or self._taken.get(name) == check:
            return False
        self._taken[name] = check
        return True

    def _verified(self, payload) -> None:
        """A command is used up when its signature and time were good, whether it could be done or not."""
        last = max(self._counter, self._handlers.command_counter())
        try:
            command = commands.verify(payload, self._id, self._key, last, self._clock.epoch_ms())
        except CommandError as error:
            self._rejected(payload, error)
            return
        self._counter = command["counter"]
        try:
            self._answer("command", dict(self._handlers.on_command(command), id=command["id"]))
        except ForecourtError as error:
            self._refuse("command", error, command["id"], "refused")
        self._answered = self._results[-1]

    def _rejected(self, payload, error) -> None:
        """Not a command for us, now. The last one once more is no attack: its result was lost on the way."""
        identity = _identity(payload)
        code = commands.code_of(error)
        if code == "replayed" and self._answered and self._answered["id"] == identity:
            self.publish_result(self._answered)
            return
        self._refuse("command", error, identity, code)
        now = time.ticks_ms()
        if self._security_at is None or time.ticks_diff(now, self._security_at) > _SECURITY_MS:
            self._security_at = now
            self._handlers.on_security("command_" + code, str(error)[:120])

    def _answer(self, about: str, answer: dict) -> None:
        result = {"about": about, "ok": True}
        result.update(answer)
        self.publish_result(result)

    def _refuse(self, about: str, error, identity: str = "", code: str = "refused") -> None:
        self.log("warning", f"{about} {code}: {error}")
        result = {"about": about, "ok": False, "code": code, "reason": str(error)}
        if identity:
            result["id"] = identity
        if isinstance(error, FieldError):
            result["field"] = error.field
            result["reason"] = error.reason
            if error.given is not None:
                result["given"] = str(error.given)[:60]
        if about != "ack":
            self.publish_result(result)


def _identity(payload) -> str:
    """The id a refused command claims to have, so that its sender can tell which it was; "" when there is none."""
    try:
        return messages.text(messages.parse(payload), "id")
    except FieldError:
        return ""
