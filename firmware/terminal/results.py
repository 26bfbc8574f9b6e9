"""What a ZVT result code means to a driver and to the operator: data and one look-up (PA00P015,
"Error messages").

`classify(code)` gives the text key (firmware/screen has the words) and a class:
OK          approved;
RETRY       the driver may try again, with this or another card;
LATER       the network or the terminal's moment: the same card may do in a while;
REFUSED     this operation is refused, repeating it changes nothing;
OUT         out of service: the terminal needs its own maintenance first.
The codes 01 to 63 (hex) are the network operator's; one not listed is a decline by the card's
bank.
"""

OK = 0
RETRY = 1
LATER = 2
REFUSED = 3
OUT = 4

_CODES = (
    "\n0approved,00"
    "\n1try_another_card,05,43,67,68,6E,71,72,73,76,78,79,7A,7B,7C,7E,C5,D2,EA"
    "\n1card_unreadable,64,65,66,DD,DE"
    "\n1pin_needed,13,33,3D,41,EC,FC"
    "\n1cancelled,6C"
    "\n1remove_card,DC"
    "\n2terminal_busy,9C"
    "\n2no_network,7D,9B,A0,A1,A3,F1,FA"
    "\n2terminal_error,FF,9A"
    "\n3amount_refused,B7,B8,C3,C8,C9"
    "\n3already_reversed,B4"
    "\n3not_possible,B5,77,A5,83,6F,C6,CB,CD,A4"
    "\n4out_of_service,51,C2,E4,F0,6A,B1,B2,6B,74,75,85,89,BF,C0,C1,C4,CC,E0,E2,E3,E7,E8"
    ",E9,EB,ED,F5,F6,FB,FD,FE,DF"
)

# 04FF: a status the driver should see, as text key (PA00P015, "Intermediate status information")
_STATUS = (
    "\ninsert_card,0A,4A,2A"
    "\nplease_wait,04,05,06,0E,0F,17,2B,57,C8,C9,CA,D2,D3,D4"
    "\nremove_card,0B,41,42,44,45,46,4B"
    "\nenter_pin,00,01,02,15,55,E0,E1,E2,E3"
    "\ncard_unreadable,0C,0D,4C,4D"
    "\ntry_another_card,03,07,08,09,10,13,14,16,18,19,43,47,48,49,50,53,54,56,58,59"
    "\napproved,1B,1C,5B,5C"
    "\ndeclined,1D,5D"
    "\nout_of_service,12,1A,52"
)


def classify(code: int) -> "tuple[str, int]":
    """Text key and class of a result code; a network operator's unknown code is "declined",
    another "terminal_error".
    """
    row = _row(_CODES, code)
    if row:
        return row[1:], int(row[0])
    return ("declined", RETRY) if 0 < code < 0x64 else ("terminal_error", REFUSED)


def status_key(status: int) -> str:
    """Text key of an intermediate status, "" when it has none (the terminal's own text says it
    then).
    """
    return _row(_STATUS, status)


def _row(table: str, code: int) -> str:
    """What stands before the codes of the row that has this one."""
    at = table.find(f",{code:02X}")
    if at < 0 or code > 0xFF:
        return ""
    start = table.rfind("\n", 0, at) + 1
    return table[start : table.find(",", start)]


# status codes of the enquiry and of refused commands that ask for an action of ours
NEEDS_INIT = 0x51
NEEDS_DIAGNOSIS = 0xC2
NOT_REGISTERED = 0x6B
BUSY = 0x9C
NO_CARD_OR_CANCELLED = 0x6C
PENDING_LIST = 0xB8
