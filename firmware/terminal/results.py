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

_ROWS = (
    ("approved", OK, b"\x00"),
    (
        "try_another_card",
        RETRY,
        b"\x05\x43\x67\x68\x6e\x71\x72\x73\x76\x78\x79\x7a\x7b\x7c\x7e\xc5\xd2\xea",
    ),
    ("card_unreadable", RETRY, b"\x64\x65\x66\xdd\xde"),
    ("pin_needed", RETRY, b"\x13\x33\x3d\x41\xec\xfc"),
    ("cancelled", RETRY, b"\x6c"),
    ("remove_card", RETRY, b"\xdc"),
    ("terminal_busy", LATER, b"\x9c"),
    ("no_network", LATER, b"\x7d\x9b\xa0\xa1\xa3\xf1\xfa"),
    ("terminal_error", LATER, b"\xff\x9a"),
    ("amount_refused", REFUSED, b"\xb7\xb8\xc3\xc8\xc9"),
    ("already_reversed", REFUSED, b"\xb4"),
    ("not_possible", REFUSED, b"\xb5\x77\xa5\x83\x6f\xc6\xcb\xcd\xa4"),
    (
        "out_of_service",
        OUT,
        b"\x51\xc2\xe4\xf0\x6a\xb1\xb2\x6b\x74\x75\x85\x89\xbf\xc0\xc1\xc4\xcc\xe0\xe2\xe3"
        b"\xe7\xe8\xe9\xeb\xed\xf5\xf6\xfb\xfd\xfe\xdf",
    ),
)

# 04FF: a status the driver should see, as text key (PA00P015, "Intermediate status information")
_STATUS = (
    ("insert_card", b"\x0a\x4a\x2a"),
    (
        "please_wait",
        b"\x04\x05\x06\x0e\x0f\x17\x2b\x57\xc8\xc9\xca\xd2\xd3\xd4",
    ),
    ("remove_card", b"\x0b\x41\x42\x44\x45\x46\x4b"),
    ("enter_pin", b"\x00\x01\x02\x15\x55\xe0\xe1\xe2\xe3"),
    ("card_unreadable", b"\x0c\x0d\x4c\x4d"),
    (
        "try_another_card",
        b"\x03\x07\x08\x09\x10\x13\x14\x16\x18\x19\x43\x47\x48\x49\x50\x53\x54\x56\x58\x59",
    ),
    ("approved", b"\x1b\x1c\x5b\x5c"),
    ("declined", b"\x1d\x5d"),
    ("out_of_service", b"\x12\x1a\x52"),
)


def classify(code: int) -> "tuple[str, int]":
    """Text key and class of a result code; a network operator's unknown code is "declined",
    another "terminal_error".
    """
    for key, kind, codes in _ROWS:
        if code in codes:
            return key, kind
    return ("declined", RETRY) if 0 < code < 0x64 else ("terminal_error", REFUSED)


def status_key(status: int) -> str:
    """Text key of an intermediate status, "" when it has none (the terminal's own text says it
    then).
    """
    for key, codes in _STATUS:
        if status in codes:
            return key
    return ""


# status codes of the enquiry and of refused commands that ask for an action of ours
NEEDS_INIT = 0x51
NEEDS_DIAGNOSIS = 0xC2
NOT_REGISTERED = 0x6B
BUSY = 0x9C
NO_CARD_OR_CANCELLED = 0x6C
PENDING_LIST = 0xB8
