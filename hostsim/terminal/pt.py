"""The simulated payment terminal: what it is, what it remembers, and its ways in and out.

Volatile: registration, the card at the reader, a command that runs. Persistent: the books. What
it does on a command is in admin.py and money.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hostsim.clock import WorldClock
from hostsim.line import BytePort
from hostsim.terminal import admin, money
from hostsim.terminal import fields as f
from hostsim.terminal.answers import Outcome
from hostsim.terminal.books import Books, Kind, Record, State
from hostsim.terminal.cards import Card, card_named
from hostsim.terminal.decode import decode, masked_hex
from hostsim.terminal.faults import Faults
from hostsim.terminal.profiles import Profile, profile_named
from hostsim.terminal.reader import Reader
from hostsim.terminal.registration import Registration
from hostsim.terminal.session import Handler, Session
from hostsim.terminal.tcp import DEFAULT_PORT, TcpDoor
from hostsim.terminal.transport import BareLink, FramedLink, Link, Timers

EventHook = Callable[[str, dict[str, Any]], None]

_MONEY: dict[int, Handler] = {
    0x0601: money.pay,
    0x0622: money.reserve,
    0x0623: money.partial_reversal,
    0x0624: money.book_total,
    0x0625: money.cancel,
    0x0630: money.reverse,
    0x0631: money.refund,
    0x0650: admin.end_of_day,
}
HANDLERS: dict[int, Handler] = {
    **_MONEY,
    0x0501: admin.status_enquiry,
    0x0600: admin.register,
    0x0602: admin.log_off,
    0x0618: admin.reset,
    0x061A: admin.print_configuration,
    0x061B: admin.set_terminal_id,
    0x0670: admin.diagnosis,
    0x0693: admin.initialise,
    0x06C0: admin.read_card,
    0x0830: admin.select_language,
    0x0FA1: admin.functions,
}


class TerminalSim:
    """A card terminal. One ECR at a time; a new connection takes over."""

    def __init__(
        self,
        clock: WorldClock,
        *,
        profile: str | Profile = "generic",
        books: Books | None = None,
        on_event: EventHook | None = None,
        auto_tap: str | None = None,
        password: int | None = None,
        timers: Timers | None = None,
        card_timeout_s: float = 60.0,
        bank_s: float = 0.8,
        slow_s: float = 20.0,
    ) -> None:
        """A terminal with power on. Waits are real seconds; only dates come from `clock`."""
        self.clock = clock
        self.profile = profile_named(profile) if isinstance(profile, str) else profile
        self.books = books if books is not None else Books()
        self.password = self.profile.password if password is None else password
        self.timers = timers or Timers()
        self.card_timeout_s = card_timeout_s
        self.terminal_id = self.profile.terminal_id
        self.faults = Faults()
        self.reader = Reader(card_named(auto_tap) if auto_tap else None)
        self.registration = Registration()
        self.powered = True
        self.display = ""
        self._bank_s = bank_s
        self._slow_s = slow_s
        self._on_event = on_event
        self._session: Session | None = None
        self._port: BytePort | None = None
        self._framed = False
        self.books.void_unconfirmed("power was lost before the ECR acknowledged", clock.now_ms())
        self.show_idle()

    @property
    def auto_tap(self) -> str | None:
        """The card that is presented whenever one is awaited."""
        return None if self.reader.auto_tap is None else self.reader.auto_tap.name

    @auto_tap.setter
    def auto_tap(self, name: str | None) -> None:
        self.reader.auto_tap = card_named(name) if name else None

    async def serve(self, port: BytePort, framed: bool) -> None:
        """Be the terminal at the end of this line, until cancelled or (TCP) the line closes."""
        link: Link = (FramedLink if framed else BareLink)(
            port, self.timers, self.faults, self.tell
        )
        link.off = not self.powered
        session = Session(self, link, HANDLERS)
        self._session, self._port, self._framed = session, port, framed
        try:
            await session.run()
        finally:
            if self._session is session:
                self._session = self._port = None

    async def serve_tcp(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> TcpDoor:
        """Listen; without power, connections are hung up at once. Raises OSError when the port is
        taken.
        """
        door = TcpDoor(self)
        await door.open(host, port)
        return door

    def present_card(self, name: str) -> str:
        """Hold a card to the reader; gives what the person sees on the display. Raises
        ValueError.
        """
        card = card_named(name)
        if not self.powered:
            return "(the display is dark)"
        self.tell("card", {"what": "presented", "card": name})
        self.reader.present(card)
        if self.reader.awaiting and not self.reader.blind:
            self.show("Please wait")
        return self.display

    def remove_card(self) -> None:
        """Take the card away."""
        self.reader.remove()

    def set_fault(self, name: str, param: float | str | bool | None = True) -> None:
        """Switch a fault of faults.FAULTS on or off; raises ValueError."""
        self.faults.set(name, param)
        self.tell("fault", {"name": name, "param": param})
        self.reader.blind = self.faults.active("wait-card")
        if name == "reversed-reservation" and self.faults.active(name):
            self._drop_reservation(int(self.faults.number(name)))
            self.faults.set(name, None)

    def power_off(self) -> None:
        """Cut the power: registration and the running command are lost, an unacknowledged payment
        is void.
        """
        self.powered = False
        self.registration = Registration()
        self.reader.remove()
        self.display = ""
        self.tell("power", {"on": False})
        if self._session is not None:
            self._session.link.off = True
            self._session.cut()
        if self._port is not None and not self._framed:
            self._port.close()
        self.books.void_unconfirmed(
            "power was lost before the ECR acknowledged", self.clock.now_ms()
        )

    def power_on(self) -> None:
        """Start again: not registered, books as they were."""
        self.powered = True
        if self._session is not None:
            self._session.link.off = False
            self._session.link.forget()
        self.tell("power", {"on": True})
        self.show_idle()

    # What the commands use

    def knows(self, command: int) -> bool:
        """Whether this make of terminal has the command."""
        if command == 0x0FA1:
            return self.profile.functions
        return command not in _MONEY or command in self.profile.money

    def register(self, registration: Registration) -> None:
        """Take over what an ECR said at registration."""
        self.registration = registration

    def service_code(self) -> int:
        """The status code of a status enquiry: 00 or why it is out of service."""
        return self.faults.code("out-of-service", once=False) or 0

    def status_byte(self) -> int:
        """Status byte of the completion: vending mode, and bit 0 or 1 when initialisation or
        diagnosis is due.
        """
        due = {0x51: 0x01, 0xC2: 0x02}.get(self.service_code(), 0)
        return self.profile.status_byte | due

    def bank_delay(self, card: Card | None) -> float:
        """Seconds until the bank answers."""
        slow = self._slow_s if card is not None and card.slow else self._bank_s
        return slow + self.faults.number("slow-result")

    def local_time(self) -> datetime:
        """The terminal's clock."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, ZoneInfo(self.profile.timezone))

    def clock_fields(self) -> bytes:
        """The data of 0401: date YYMMDD and time."""
        now = self.local_time()
        return f.bmp(0xAA, int(now.strftime("%y%m%d"))) + f.bmp(0x0C, int(now.strftime("%H%M%S")))

    def outcome(self, result: int, **known: Any) -> Outcome:
        """An outcome with all that is always the same."""
        return Outcome(
            result=result,
            when=self.local_time(),
            terminal_id=self.terminal_id,
            vu_number=self.profile.vu_number,
            currency=self.registration.currency,
            turnover=self.books.next_turnover()
            if self.profile.turnover_number and not result
            else None,
            unmasked=self.faults.active("unmasked"),
            long_trace=self.faults.active("long-trace"),
            **known,
        )

    def error_tlvs(self) -> tuple[bytes, ...]:
        """TLV 1F16 and 1F17 that explain result FF."""
        return (f.tlv(0x1F16, b"\x01\x17"), f.tlv(0x1F17, b"Host error 117"))

    def new_record(
        self, kind: Kind, card: Card, amount_minor: int, currency: int, reference: str
    ) -> Record:
        """Write an authorised, not yet acknowledged transaction into the books."""
        receipt, trace = self.books.next_receipt(), self.books.next_trace()
        return self.books.add(
            Record(
                seq=len(self.books.records) + 1,
                kind=kind,
                state=State.UNCONFIRMED,
                receipt=receipt,
                trace=trace,
                authorised_minor=amount_minor,
                currency=currency,
                card=card.name,
                pan=card.shown,
                scheme=card.scheme_name,
                expiry=card.expiry,
                uid=card.uid,
                authorisation=f"{(trace * 7919 + 750071) % 1000000:06d}",
                created_ms=self.clock.now_ms(),
                reference=reference,
            )
        )

    def show(self, text: str) -> None:
        """Put a text on the display."""
        if text and text != self.display:
            self.display = text
            self.tell("display", {"text": text})

    def show_idle(self) -> None:
        """The display between two commands."""
        self.show("Welcome" if self.powered else "")

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Let the engineer's view know."""
        if self._on_event is not None:
            self._on_event(kind, data)

    def tell_apdu(self, direction: str, apdu: bytes) -> None:
        """Let the engineer's view see an APDU, card data masked."""
        if self._on_event is not None:
            self.tell("apdu", {"dir": direction, "hex": masked_hex(apdu), **decode(apdu)})

    def _drop_reservation(self, receipt: int) -> None:
        for record in reversed(self.books.pending()):
            if receipt in (0, record.receipt):
                self.books.void(record, "dropped by the acquirer", self.clock.now_ms())
                return
