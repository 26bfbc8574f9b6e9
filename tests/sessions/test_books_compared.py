"""The three books beside each other: what agrees, what does not, and whose totals say it."""

from hostsim import books


def record(kind, sess=1, **fields):
    return {"kind": kind, "sess": sess, **fields}


def ledger(receipt=7, captured=600, released=1900, ended=True):
    """A session with a hold of 25.00 as the charger and the back office keep it."""
    records = [
        record("hold_asked", method="card"),
        record("authorised", receipt=receipt, amount_minor=2500),
    ]
    if ended and captured:
        records.append(record("captured", captured_minor=captured, released_minor=released))
    elif ended:
        records.append(record("cancelled", released_minor=released))
    return records


def receipt(number=7, state="released", captured=600, returned=0):
    return {
        "receipt": number, "kind": "reservation", "state": state, "reference": f"S{number}",
        "authorised_minor": 2500, "captured_minor": captured, "returned_minor": returned,
        "released_minor": 2500 - captured, "acquirer_refunds": {},
    }  # fmt: skip


def compared(charger, terminal, back=None):
    return books.compare(
        books.from_records("charger", charger),
        books.from_terminal({"receipts": terminal}),
        books.from_records("back office", charger if back is None else back),
    )


def money(found, party):
    return [found[party][name] for name in books.FIGURES] + [found[party]["payments"]]


def test_the_same_session_in_three_books_has_one_set_of_totals():
    found = compared(ledger(), [receipt()])
    assert found["agree"], found["differences"]
    for party in ("charger", "terminal", "backoffice"):
        assert money(found, party) == [2500, 600, 1900, 0, 1]


def test_a_hold_that_the_terminal_took_back_by_itself_counts_in_no_total():
    voided = receipt(state="auto_reversed", captured=0)
    found = compared(ledger(captured=0, released=2500), [voided])
    assert found["agree"], found["differences"]
    for party in ("charger", "terminal", "backoffice"):
        assert money(found, party) == [0, 0, 0, 0, 0]


def test_a_hold_that_the_terminal_took_back_and_the_charger_sold_from_is_a_difference():
    found = compared(ledger(), [receipt(state="auto_reversed", captured=0)])
    assert found["differences"] == [
        "receipt 7 is in the charger's book and not in the terminal's",
        "receipt 7 is in the back office's book and not in the terminal's",
    ]
    assert money(found, "charger") == [2500, 600, 1900, 0, 1]
    assert money(found, "terminal") == [0, 0, 0, 0, 0]


def test_a_difference_names_receipt_figure_and_both_parties():
    found = compared(ledger(), [receipt(captured=599)])
    assert (
        "receipt 7: captured_minor is 599 for the terminal, 600 for the charger"
        in (found["differences"])
    )
    late = compared(ledger(), [receipt()], back=ledger(ended=False))
    assert "receipt 7: the hold is closed for the terminal only" in late["differences"]
