"""Pay by phone at protocol level: the code, the page, the hold's way through a session; each
ends with the books.
"""

from __future__ import annotations

import re

import pytest

from hostsim.backoffice import payments, views
from hostsim.backoffice.phone import code
from hostsim.gateway.proxy import Proxy
from hostsim.phone import CONFIRM, DECLINED, GOOD
from tests.backoffice.desk import needs_micropython
from tests.gateway.pay import CHARGER, CRC, House

FORM = {"method": GOOD, "tariff": str(CRC)}

pytestmark = [pytest.mark.timeout(120), needs_micropython]


@pytest.fixture
def house(at_stripe: House) -> House:
    return at_stripe


# --- the way -------------------------------------------------------------------------------------


def test_the_page_shows_the_tariff_in_the_legal_order_then_the_hold(house: House) -> None:
    text = house.browser.get(house.address(), params={"lang": "de"}).text
    shown = [text.find(part) for part in ("€/kWh", "€/Min", "60,00 €", "Reservieren und starten")]
    assert -1 not in shown and shown == sorted(shown)
    assert "<script" not in text and 'lang="de"' in text and CHARGER in text
    assert 'type="email"' not in text  # no mail server: no address is asked for


def test_from_the_code_to_the_receipt(house: House) -> None:
    assert 'data-state="held"' in house.pay().text
    house.turn()
    house.station.obey()
    house.turn()
    pay = house.now()
    assert pay.state == "started"
    assert house.station.starts == [
        {"session": pay.id, "method": "gateway", "amount_minor": 6000, "connector": 1,
         "reference": pay.reference, "tariff_crc": CRC}
    ]  # fmt: skip
    assert "Now plug in the cable" in house.shown()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.hand_over()
    house.station.figures(1234, 73)
    assert "1.234 kWh" in house.shown() and "0.73 €" in house.shown()
    house.station.finish(119)
    house.turn()
    text = house.shown()
    assert "Paid. Thank you!" in text and "1.19 €" in text and "58.81 €" in text
    assert "CP1-I000001" in text  # the invoice is on the same page
    pdf = re.search(r'href="(/r/[^"]+\.pdf)', text)
    assert pdf and house.browser.get(pdf[1]).content.startswith(b"%PDF")
    assert house.differences() == [] and not house.problems()
    found = views.session(house.office.engine, pay.session_id)
    assert found is not None
    steps = [step["what"] for step in payments.life(house.office.engine, found)]
    assert "Held at the gateway" in steps and "Captured at the gateway" in steps


def test_stopping_on_the_page_stops_the_session_that_was_paid_here(house: House) -> None:
    house.started()
    house.station.state = "charging"
    house.station.energising(1, 1000)
    house.station.hand_over()
    house.browser.post(house.page + "/stop")
    house.browser.post(house.page + "/stop")  # a second press asks nothing new
    house.station.obey()
    house.turn()
    stops = [c for c in house.office.commands() if c["name"] == "stop"]
    assert len(stops) == 1 and stops[0]["state"] == "ok"
    assert house.now().state == "captured" and house.now().captured_minor == 60
    assert house.differences() == []


def test_cancelling_before_the_start_gives_the_hold_back_at_once(house: House) -> None:
    house.station.away()
    house.station.online = True  # it was there when the code was scanned
    house.station.status()
    house.pay()
    house.browser.post(house.page + "/stop")
    house.turn()
    assert house.now().state == "cancelled" and "No money was taken" in house.shown()
    house.station.obey()
    assert house.station.records == [] and house.differences() == []


def test_a_session_of_which_nothing_is_owed_takes_nothing(house: House) -> None:
    house.started()
    house.station.give_up()
    house.turn()
    assert house.now().state == "cancelled" and house.now().released_minor == 6000
    assert "No vehicle was plugged in" in house.shown() and "No money was taken" in house.shown()
    assert house.differences() == []


def test_a_declined_card_may_be_followed_by_another_on_the_same_page(house: House) -> None:
    text = house.pay(method=DECLINED).text
    assert "The bank said no" in text and "No money was taken" in text
    house.turn()
    assert house.station.starts == []
    house.browser.post(house.page + "/again", data={"method": GOOD})
    house.turn()
    house.station.obey()
    house.station.charge(200)
    house.turn()
    assert house.now().state == "captured" and house.now().attempt == 2
    assert house.differences() == []


def test_a_bank_that_asks_is_asked_and_the_session_starts_after_its_yes(
    house: House, proxy: Proxy
) -> None:
    text = house.pay(method=CONFIRM).text
    bank = re.search(r'href="(http[^"]+/_bank/[^"]+)"', text)
    assert bank, text
    house.turn()
    assert house.station.starts == []  # nothing is held, nothing starts
    proxy.like.authenticate(house.now().reference, True)
    house.browser.get("/pay/back")  # where the bank sends the driver
    house.turn()
    house.station.obey()
    assert house.now().state in ("starting", "started") and len(house.station.starts) == 1
    house.station.charge(150)
    house.turn()
    assert house.now().state == "captured" and house.differences() == []


def test_a_bank_that_never_answers_lets_go_of_the_payment(house: House) -> None:
    house.pay(method=CONFIRM)
    house.pass_s(1000, 60)
    assert house.now().state == "cancelled" and house.now().why == "given_up"
    assert house.differences() == []


# --- codes ---------------------------------------------------------------------------------------


def test_a_code_works_once(house: House) -> None:
    address = house.address()
    first = house.browser.get(address).text
    other = house.browser.get(address).text  # somebody else scans it at the same time
    tokens = [re.search(r'name="token" value="([^"]+)"', t) for t in (first, other)]
    assert tokens[0] and tokens[1]
    for token in (tokens[0], tokens[0]):  # the button is pressed twice
        answer = house.browser.post(address, data=FORM | {"token": token[1]})
        assert 'data-state="held"' in answer.text
    late = house.browser.post(address, data=FORM | {"token": tokens[1][1]})
    assert late.status_code == 409 and "used already" in late.text
    assert "No money was taken" in late.text
    mine = [p for p in house.phone.gateway.listed(0) if p.order == house.now().id]
    assert len(mine) == 1


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda h: h.address(valid_s=-1), 410, "too old"),
        (lambda h: h.address().replace("/CP1/", "/CP2/"), 404, "not from this charger"),
        (lambda h: h.address(connector=2).replace("/2/", "/1/"), 404, "not from this charger"),
        (lambda h: h.address()[:-1] + "x", 404, "not from this charger"),
        (lambda h: h.address(valid_s=90_000), 404, "not from this charger"),
    ],
    ids=["expired", "another charger's", "another connector's", "forged", "too long valid"],
)
def test_a_bad_code_is_refused_in_clear_words(
    house: House, change: object, status: int, words: str
) -> None:
    assert callable(change)
    address = change(house)
    house.office.send_tariff("CP2", "{}")  # CP2 is a charger of ours as well
    for answer in (
        house.browser.get(address),
        house.browser.post(address, data=FORM | {"token": "A" * 43}),
    ):
        assert answer.status_code == status and words in answer.text
        assert "No money was taken" in answer.text


def test_guessing_codes_is_slowed_down(house: House) -> None:
    bad = house.address()[:-1] + "x"
    answers = {house.browser.get(bad).status_code for _ in range(31)}
    assert answers == {404, 429}
    assert house.browser.get(house.address()).status_code == 429


def test_forms_from_elsewhere_and_made_up_ones_are_refused(house: House) -> None:
    address = house.address()
    elsewhere = {"Origin": "http://evil.example"}
    fields = FORM | {"token": "A" * 43}
    assert house.browser.post(address, data=fields, headers=elsewhere).status_code == 403
    assert house.browser.post(address, data=fields | {"token": "x"}).status_code == 403
    assert house.browser.post(address, data=fields | {"method": "pm_other"}).status_code == 422
    house.started()
    stop = house.browser.post(house.page + "/stop", headers=elsewhere)
    assert stop.status_code == 403
    assert house.browser.get("/pay/p/" + "B" * 43).status_code == 404


def test_nothing_is_sold_where_the_price_or_the_charger_is_not_there(house: House) -> None:
    for change, words in (
        ({"state": "charging"}, "Somebody else"),
        ({"state": "out_of_service", "reason": "meter_lost"}, "out of service"),
        ({"tariff": "OTHER"}, "price of this charger is not known"),
        ({"online": False}, "cannot be reached"),
    ):
        house.station.status(**change)
        answer = house.browser.get(house.address())
        assert words in answer.text and 'name="token"' not in answer.text
    house.station.status(state="out_of_service", reason="terminal_off")  # not needed for this
    assert 'name="token"' in house.browser.get(house.address()).text


def test_the_code_of_the_firmware_and_of_the_back_office_are_the_same_bytes() -> None:
    from firmware.sync.commands import hmac_sha256

    key = bytes(range(32))
    text = b"forecourt-pay-1\nFC-0001\n1\n1795949874"
    assert hmac_sha256(key, text).hex()[:20] == code.mac_of(key, "FC-0001", 1, 1795949874)


# --- somebody else, nobody there -----------------------------------------------------------------


def test_paid_while_somebody_else_tapped_the_hold_goes_back(house: House) -> None:
    house.pay()
    house.station.begin("card", "S1", 6000)  # at that very moment
    house.turn()
    house.pass_s(5)
    pay = house.now()
    assert (pay.state, pay.why) == ("cancelled", "someone_else")
    text = house.shown()
    assert "Somebody else has started" in text and "No money was taken" in text
    assert house.phone.gateway.look_up(pay.reference).state == "cancelled"
