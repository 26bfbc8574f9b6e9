"""What one session is: numbers and text only, so that recovery can fill it from records.

`method`: "card" (a hold at the terminal), "rfid" (a member, on account), or how its amount was
authorised elsewhere: "gateway", "app", "account". `remote`: the back office's own id of a session
it started, else "".
"""


from micropython import const

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.tariff import Tariff


class Session:
    unsure_minor = 0  # of an extension that the terminal may have taken back: in doubt
    more_at = 0  # uptime_ms from which more may be asked for; -1: not any more
    more_wait_ms = 0
    owed_at = 0  # epoch ms at which what is to be paid was known, 0 unknown

    def __init__(self, number: int, hold_minor: int, method: str, reference: str):
        self.number = number
        self.hold_minor = hold_minor
        self.method = method
        self.reference = reference
        self.tariff: "Tariff" = None  # the one it is priced by, and its CRC
        self.crc = 0
        self.remote = ""
        self.uid_hash = ""
        self.pan = ""
        self.card = ""
        self.auth_code = ""
        self.authorised_minor = 0
        self.receipt = 0
        self.start_at = 0  # epoch ms at power-on, 0 unknown
        self.reason = ""
        self.receipt_no = 0
        self.total_minor = 0
        self.captured_minor = 0
        self.released_minor = 0
        self.billed_wh = 0
        self.elapsed_ms = 0

    def same_card(self, card) -> bool:
        """Whether `card` (terminal.base.CardResult) is the one that pays this session: by its
        number, of which the terminal may hide more at one time than at another, else by its UID.
        """
        pan = card.pan
        if not (pan and self.pan):
            return bool(card.uid_hash) and self.uid_hash == card.uid_hash
        if len(pan) != len(self.pan) or pan[-4:] != self.pan[-4:] or "*" in pan[-4:]:
            return False
        for i in range(len(pan)):
            if pan[i] != self.pan[i] and "*" not in pan[i] + self.pan[i]:
                return False
        return True
