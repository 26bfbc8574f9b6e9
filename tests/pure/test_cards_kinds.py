"""Which bank cards may pay: the scheme by AID, number or name. On CPython and both MicroPython
builds.
"""

from binascii import unhexlify

from firmware.cards.kinds import refusal, scheme
from firmware.terminal.base import CardResult


def test_the_scheme_is_told_by_aid_number_or_name():
    for pan, name, aid, wanted in (
        ("", "", "a0000000031010", "visa"),
        ("", "", "A0000000041010", "mastercard"),
        ("", "", "a0000000043060", "maestro"),
        ("", "", "a0000003591010028001", "girocard"),
        ("", "", "a000000025010801", "amex"),
        ("411111******1111", "", "", "visa"),
        ("555555******4444", "", "", "mastercard"),
        ("222300******0007", "", "", "mastercard"),
        ("378282*****0005", "", "", "amex"),
        ("672590*********0007", "", "", "girocard"),
        ("679999*********0018", "", "", "maestro"),
        ("360000****0000", "", "", "diners"),
        ("601111******1117", "", "", "discover"),
        ("353011******0000", "", "", "jcb"),
        ("620000******0005", "", "", "unionpay"),
        ("555555******4444", "girocard", "", "girocard"),
        ("**********1234", "VISA", "", "visa"),
        ("", "Maestro", "", "maestro"),
        ("", "AMEX", "", "amex"),
        ("", "card", "", ""),
        ("", "", "", ""),
        ("999999******0000", "", "d276000025", ""),
    ):
        assert scheme(pan, name, unhexlify(aid)) == wanted, (pan, name, aid)


def test_only_configured_kinds_are_taken_and_bank_means_all():
    card = CardResult("bank", "411111******1111")
    assert refusal(("visa",), card) == "" == refusal(("rfid", "bank"), card)
    assert refusal(("mastercard", "rfid"), card) == "scheme_not_accepted"
    assert refusal(("visa",), CardResult("bank", "", "", "card")) == "scheme_not_accepted"
