"""What a session sees of any payment terminal: results and the contract. ZVT fulfils it in
zvt.py.

`text` is a driver's text key (firmware/screen has the words), `code` the terminal's own result
code for the operator, -1 where the terminal said none. Amounts are minor units of the terminal's
currency.
"""

# the driver's text keys that are made here and not by a result code
NO_CARD = "no_card"
TERMINAL_OFF = "terminal_off"  # no answer, or none any more
TERMINAL_ERROR = "terminal_error"


class CardResult:
    """A tap without payment. `kind`: "bank", "rfid", "unreadable"; `pan` masked or ""; `uid_hash`
    "" or 16 hex digits.
    """

    def __init__(self, kind: str, pan: str = "", uid_hash: str = "", card: str = "", code: int = 0,
                 text: str = "") -> None:  # fmt: skip
        self.kind = kind
        self.pan = pan
        self.uid_hash = uid_hash
        self.card = card
        self.code = code
        self.text = text


class Outcome:
    """What became of a money command.

    `ok`: done, `amount_minor` is what was moved. Not ok and `certain`: it was not done, `code` and
    `text` say why. `certain` False: the answer was lost, nobody here knows; ask pending() before
    anything is repeated.
    """

    def __init__(
        self, ok: bool, certain: bool = True, code: int = 0, text: str = "", amount_minor: int = 0
    ) -> None:
        self.ok = ok
        self.certain = certain
        self.code = code
        self.text = text
        self.receipt = 0
        self.trace = 0
        self.amount_minor = amount_minor


class Authorisation(Outcome):
    """A hold. With `ok`, `certain` False means: approved and committed, but the terminal was lost
    before it completed.

    `receipt` and `trace` name it later; `at_ms` is Clock.uptime_ms() of the answer; `uid_hash` as
    in CardResult.
    """

    def __init__(
        self, ok: bool, certain: bool = True, code: int = 0, text: str = "", amount_minor: int = 0
    ) -> None:
        super().__init__(ok, certain, code, text, amount_minor)
        self.terminal_id = ""
        self.vu = ""
        self.auth_code = ""
        self.pan = ""
        self.card = ""
        self.uid_hash = ""
        self.at_ms = 0


class DayTotals(Outcome):
    """End of day: `count` transactions that come to `amount_minor`, receipts `first` to `last`."""

    def __init__(
        self, ok: bool, certain: bool = True, code: int = 0, text: str = "", amount_minor: int = 0
    ) -> None:
        super().__init__(ok, certain, code, text, amount_minor)
        self.count = 0
        self.first = 0
        self.last = 0


class PaymentTerminal:
    """The contract. `on_text(key_or_text)` and `on_time(year|None, month, day, hour, minute,
    second)` may be set by the owner; both are called from the terminal's task and must return at
    once.

    Money commands wait for each other and end a waiting read_card; none raises for a refusal, see
    Outcome.
    """

    ready: bool = False  # registered, no fault: a card can be taken (also while busy)
    state: str = "off"  # "off", "registering", "ready", "busy", "fault"

    def on_text(self, text: str) -> None: ...

    def on_time(
        self, year: "int | None", month: int, day: int, hour: int, minute: int, second: int
    ) -> None: ...

    async def run(self) -> None: ...

    async def read_card(self, timeout_s: int) -> "CardResult | None": ...

    def abort(self) -> None: ...

    async def authorise(self, hold_minor: int, reference: str, commit) -> Authorisation: ...

    async def extend(self, a: Authorisation, add_minor: int, commit) -> Authorisation: ...

    async def capture(self, receipt: int, authorised_minor: int, used_minor: int) -> Outcome: ...

    async def cancel(self, receipt: int) -> Outcome: ...

    async def reverse(self, receipt: int) -> Outcome: ...

    async def refund(self, amount_minor: int, reference: str = "") -> Outcome: ...

    async def pending(self) -> "tuple[int, ...]": ...

    async def end_of_day(self) -> DayTotals: ...
