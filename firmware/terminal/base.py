"""What a session sees of any payment terminal: results and the contract. ZVT fulfils it in
zvt.py.

`text` is a driver's text key (firmware/screen has the words), `code` the terminal's own result
code for the operator, -1 where it said none. Amounts are minor units of the terminal's currency.
"""

from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.terminal.zvt_day import DayTotals


class CardResult:
    """A tap without payment. `kind`: "bank", "rfid", "unreadable"; `pan` masked or ""; `uid_hash`
    "" or 16 hex digits, the same for the same card. `text` says why a bank or RFID card is not
    taken, "" when it is; `session`: what a member's card begins (session.data.Session).
    """

    session: object = None
    aid = b""  # first bytes of the application chosen on a bank card

    def __init__(
        self,
        kind: str,
        pan: str = "",
        uid_hash: str = "",
        card: str = "",
        code: int = 0,
        text: str = "",
    ) -> None:
        self.kind = kind
        self.pan = pan
        self.uid_hash = uid_hash
        self.card = card
        self.code = code
        self.text = text


class Outcome:
    """What became of a money command.

    `ok`: done, `amount_minor` is what was moved. Not ok and `certain`: it was not done, `code`
    and `text` say why. `certain` False: the terminal was lost on the way. Then `ok` is what it
    said last; without that nobody here knows: ask pending() before anything is repeated.
    """

    receipt = 0
    trace = 0
    amount_minor = 0
    proven = False  # amount_minor is what was booked: the terminal is known to tell that

    def __init__(self, ok: bool, certain: bool = True, code: int = 0, text: str = "") -> None:
        self.ok = ok
        self.certain = certain
        self.code = code
        self.text = text


class Authorisation(Outcome):
    """A hold. With `ok`, `certain` False means: approved and committed, but the terminal was lost
    before it completed. `receipt` and `trace` name it later; `pan` is masked; `uid_hash` as in
    CardResult; `at_ms` is Clock.uptime_ms() of the answer.
    """

    terminal_id = ""
    vu = ""
    auth_code = ""
    pan = ""
    card = ""
    uid_hash = ""
    aid = b""
    at_ms = 0


class PaymentTerminal:
    """The contract. `on_text(key_or_text)` and `on_time(year|None, month, day, hour, minute,
    second)` are attributes the owner may set; they are called from the terminal's task and must
    return at once. Money commands wait for each other and end a waiting read_card; none raises for
    a refusal or a lost answer, see Outcome; authorise and extend raise when `commit` did.
    """

    if TYPE_CHECKING:

        @property
        def ready(self) -> bool: ...  # registered, no fault: a card can be taken (also while busy)

        @property
        def state(self) -> str: ...  # "off", "registering", "ready", "busy", "fault"

        host_code: int  # of its last word with its host: 0 well, -1 none since power-on

        async def diagnose(self) -> None: ...

        on_text: "Callable[[str], None]"
        on_time: "Callable[[int | None, int, int, int, int, int], None]"

        async def run(self) -> None: ...

        async def read_card(self, timeout_s: int) -> "CardResult | None": ...

        def abort(self) -> None: ...

        async def authorise(self, hold_minor: int, reference: str, commit) -> Authorisation: ...

        async def extend(self, a: Authorisation, add_minor: int, commit) -> Authorisation: ...

        async def capture(
            self,
            receipt: int,
            authorised_minor: int,
            used_minor: int,
            reference: str = "",
            commit=None,
        ) -> Outcome: ...

        async def cancel(self, receipt: int) -> Outcome: ...

        async def reverse(self, receipt: int) -> Outcome: ...

        async def refund(
            self, amount_minor: int, reference: str = "", commit=None
        ) -> Outcome: ...

        async def pending(self) -> "tuple[int, ...]": ...

        async def end_of_day(self, commit=None) -> "DayTotals": ...
