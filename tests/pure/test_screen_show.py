"""What the driver reads, state by state, on a large and a small display. Runs on CPython and
MicroPython.
"""

from firmware.screen import figures
from firmware.screen.layout import compose, pair, wrap
from firmware.screen.screen import Screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.ports import ScreenPort
else:
    ScreenPort = object  # ports.py is a contract: nothing is imported from it to run

PRICE = ("Energy 0.49 EUR/kWh", "Occupancy 0.10 EUR/min from minute 241", "Start 0.35 EUR")
RECEIPT = {
    "state": "receipt",
    "energy_wh": 12345,
    "price_minor": 605,
    "captured_minor": 605,
    "released_minor": 4395,
    "currency": "EUR",
    "elapsed_ms": 2052000,
    "receipt_no": 231,
    "card": "Visa ****1234",
    "receipt_url": "https://pay.example/r/231",
    "online": True,
    "clock": "14:32",
}


class Port(ScreenPort):
    def __init__(self, columns=40, rows=8):
        self.columns = columns
        self.rows = rows
        self.shown = []

    def show(self, lines, qr, light):
        assert len(lines) == self.rows, lines
        assert all(len(line) <= self.columns for line in lines), lines
        self.shown.append((lines, qr, light))


class Ticks:
    now = 0

    def __call__(self):
        return self.now & 0x3FFFFFFF


def make(columns=40, rows=8, languages=("en",)):
    port, ticks = Port(columns, rows), Ticks()
    return Screen(port, languages, ticks), port, ticks


def pages(screen, port, ticks, view, seconds=40):
    """Every line that was seen while `view` stayed."""
    seen: list[str] = []
    for _ in range(seconds):
        screen.show(view)
        ticks.now += 1000
        seen.extend(line for line in port.shown[-1][0] if line not in seen)
    return seen


def test_the_price_is_read_before_the_tap_in_the_order_given():
    screen, port, _ = make()
    screen.show(
        {
            "state": "free",
            "price_lines": PRICE,
            "hold_minor": 5000,
            "currency": "EUR",
            "clock": "14:32",
        }
    )
    lines, qr, light = port.shown[0]
    assert lines[0] == "Ready                              14:32"
    assert tuple(lines[2:5]) == PRICE
    assert lines[5] == "Reserved                         50.00 €"
    assert lines[7] == "Plug in or tap your card"
    assert (qr, light) == ("", "green")


def test_the_running_figures_are_in_the_drivers_language():
    screen, port, _ = make(languages=("en", "de"))
    view = {
        "state": "charging",
        "energy_wh": 1234567,
        "power_w": 10960,
        "price_minor": 123450,
        "currency": "EUR",
        "hold_minor": 5000,
        "elapsed_ms": 3723999,
        "language": "de",
        "clock": "14:32",
        "online": True,
    }
    screen.show(view)
    assert port.shown[0][0] == (
        "Lädt                               14:32",
        "",
        "Energie                    1.234,567 kWh",
        "Preis                         1.234,50 €",
        "Zeit                             1:02:03",
        "Leistung                         11,0 kW",
        "Reserviert                       50,00 €",
        "Stopp: gleiche Karte oder Stopptaste",
    )


AHEAD = {
    "state": "charging",
    "energy_wh": 12345,
    "power_w": 11000,
    "price_minor": 605,
    "currency": "EUR",
    "hold_minor": 5000,
    "elapsed_ms": 3723999,
    "price_per_kwh": 4900,
    "price_per_hour": 60000,
    "change_clock": "22:00",
    "change_at_wh": -1,
    "hold_left_wh": 88000,
    "hold_left_ms": 28800000,
    "clock": "14:32",
}


def test_the_rate_its_next_change_and_what_is_left_of_the_hold():
    screen, port, _ = make()
    screen.show(AHEAD)
    # 88 kWh alone, 8 h alone, at 11 kW both together: half of each
    assert port.shown[0][0] == (
        "Charging                           14:32",
        "Energy                        12.345 kWh",
        "Price                             6.05 €",
        "Rate until 22:00 0.49 €/kWh + 0.10 €/min",
        "Time                             1:02:03",
        "Power                            11.0 kW",
        "Reserved (44.0 kWh left)         50.00 €",
        "Stop: tap the same card or press Stop",
    )


def shown(language="en", columns=40, **changes):
    screen, port, _ = make(columns, 8, (language,))
    view = dict(AHEAD)
    view.update(changes)
    screen.show(view)
    return [line for line in port.shown[-1][0] if "€" in line]


def test_the_rate_as_it_is_given():
    assert "Tarif bis 10,5 kWh          0,2975 €/kWh" in shown(
        "de", price_per_kwh=2975, price_per_hour=0, change_clock="", change_at_wh=10500
    )
    assert "Rate                          1.0001 €/h" in shown(
        price_per_kwh=0, price_per_hour=10001, change_clock=""
    )
    assert "Rate                          0.00 €/kWh" in shown(
        price_per_kwh=0, price_per_hour=0, change_clock=""
    )
    assert "Rate until 22:00              0.10 €/min" in shown(price_per_kwh=0)


def test_what_is_left_is_energy_or_time():
    assert "Réservé (reste 88,0 kWh)         50,00 €" in shown("fr", hold_left_ms=-1)
    assert "Reserviert (noch 8:00:00)        50,00 €" in shown("de", hold_left_wh=-1)
    assert "Reserved (8:00:00 left)          50.00 €" in shown(power_w=0)
    assert "Reserved                         50.00 €" in shown(hold_left_wh=-1, hold_left_ms=-1)


def test_a_narrow_display_shows_the_figures_alone():
    assert shown(columns=20, price_per_hour=0) == [
        "Price         6.05 €",
        "Rate      0.49 €/kWh",
        "Reserved     50.00 €",
    ]


def test_the_receipt_says_energy_price_paid_released_and_gives_a_code():
    screen, port, _ = make()
    screen.show(RECEIPT)
    lines, qr, light = port.shown[0]
    assert lines == (
        "Thank you                          14:32",
        "Energy                        12.345 kWh",
        "Price                             6.05 €",
        "Paid                              6.05 €",
        "Released                         43.95 €",
        "Time                             0:34:12",
        "Receipt 231                Visa ****1234",
        "Scan the code for your receipt",
    )
    assert qr == "https://pay.example/r/231"
    assert light == "green"


def test_no_code_outside_the_receipt():
    screen, port, _ = make()
    view = dict(RECEIPT)
    view["state"] = "free"
    screen.show(view)
    assert port.shown[0][1] == ""


def test_what_is_not_known_yet_has_no_line_on_the_receipt():
    screen, port, _ = make()
    view = dict(RECEIPT)
    view.update({"captured_minor": None, "released_minor": None})
    screen.show(view)
    lines = port.shown[0][0]
    assert not [line for line in lines if line.startswith("Paid") or line.startswith("Released")]


def test_a_hold_of_which_nothing_was_used_says_why_and_what_goes_back():
    screen, port, _ = make()
    screen.show(
        {
            "state": "receipt",
            "message": "plug_timeout",
            "stop_reason": "plug_timeout",
            "released_minor": 5000,
            "currency": "EUR",
            "energy_wh": 0,
            "price_minor": 0,
            "clock": "14:32",
        }
    )
    lines, qr, _ = port.shown[0]
    assert lines[0] == "Nothing was charged                14:32"
    assert lines[2] == "No vehicle was plugged in"
    assert lines[3] == "Released                         50.00 €"
    assert lines[7] == "Have a good journey" and qr == ""
    assert not [line for line in lines if line.startswith("Energy")]


def test_why_it_ended_is_said():
    screen, port, _ = make()
    screen.show(
        {
            "state": "finished",
            "stop_reason": "hold_reached",
            "price_minor": 5000,
            "currency": "EUR",
        }
    )
    assert "The reserved amount is used up" in port.shown[0][0]
    assert port.shown[0][0][-1] == "Please unplug the cable"


def test_a_decline_gives_its_reason_and_that_nothing_was_taken():
    screen, port, _ = make()
    screen.show({"state": "declined", "message": "pin_needed"})
    lines, _, light = port.shown[0]
    assert "This card needs a PIN: use another card" in lines
    assert lines[-1] == "No money was taken"
    assert light == "yellow"


def test_the_banks_no_is_no_title_said_twice():
    screen, port, _ = make()
    screen.show({"state": "declined", "message": "declined"})
    assert port.shown[0][0][2] == "Your bank said no: try another card"


def test_a_message_stands_above_what_to_do():
    screen, port, _ = make()
    screen.show({"state": "authorising", "message": "PIN eingeben", "hold_minor": 5000})
    assert port.shown[0][0][-2:] == ("PIN eingeben", "Please wait")
    screen.show({"state": "charging", "message": "other_card", "hold_minor": 5000})
    assert port.shown[1][0][-2] == "Another card started this session"
    assert port.shown[1][0][-1] == "Stop: tap the same card or press Stop"


def test_a_message_on_a_small_display_takes_turns_with_what_to_do():
    screen, port, ticks = make(20, 4)
    seen = pages(screen, port, ticks, {"state": "charging", "message": "other_card"})
    for line in (
        "Another card started",
        "this session",
        "Stop: tap the same",
        "card or press Stop",
    ):
        assert line in seen, (line, seen)


def test_offline_is_said_beside_the_clock():
    screen, port, _ = make()
    screen.show({"state": "free", "online": False, "clock": "14:32"})
    assert port.shown[0][0][0] == "Ready                     offline  14:32"


def test_the_port_is_called_on_change_only():
    screen, port, ticks = make()
    for _ in range(5):
        screen.show({"state": "charging", "energy_wh": 10, "elapsed_ms": 0})
        ticks.now += 250
    assert len(port.shown) == 1
    screen.show({"state": "charging", "energy_wh": 11, "elapsed_ms": 0})
    assert len(port.shown) == 2


def test_languages_take_turns_while_nobody_has_begun():
    screen, port, ticks = make(languages=("de", "en", "fr"))

    def lines(language):
        return ("0,49 EUR/kWh" if language == "de" else "0.49 EUR/kWh",)

    seen: list[tuple] = []
    for _ in range(16):
        screen.show({"state": "free", "price_lines": lines})
        title = port.shown[-1][0][0], port.shown[-1][0][2]
        if not seen or seen[-1] != title:
            seen.append(title)
        ticks.now += 1000
    german = ("Bereit", "0,49 EUR/kWh")
    assert seen == [german, ("Ready", "0.49 EUR/kWh"), ("Disponible", "0.49 EUR/kWh"), german]


def test_a_chosen_language_stays_and_an_unknown_one_is_the_chargers_own():
    screen, port, ticks = make(languages=("de", "en"))
    for _ in range(12):
        screen.show({"state": "free", "language": "en"})
        ticks.now += 1000
    assert len(port.shown) == 1 and port.shown[0][0][0] == "Ready"
    screen.show({"state": "charging", "language": "it"})
    assert port.shown[-1][0][0] == "Lädt"


def test_a_small_display_loses_nothing_it_turns_pages():
    screen, port, ticks = make(20, 4, ("en",))
    seen = pages(
        screen,
        port,
        ticks,
        {"state": "free", "price_lines": PRICE, "hold_minor": 5000, "currency": "EUR"},
    )
    text = " ".join(seen)
    for part in (
        "0.49 EUR/kWh",
        "EUR/min from minute",
        "Start 0.35 EUR",
        "50.00 €",
        "Plug in or tap your",
    ):
        assert part in text, (part, seen)


def test_a_small_display_in_three_languages_shows_each_whole():
    screen, port, ticks = make(20, 4, ("en", "de", "fr"))
    view = {"state": "free", "price_lines": PRICE, "hold_minor": 5000, "currency": "EUR"}
    seen = pages(screen, port, ticks, view, seconds=120)
    for part in ("Ready", "Bereit", "Disponible", "Reserviert   50,00 €", "Réservé      50,00 €"):
        assert part in seen, (part, seen)


def test_a_small_display_keeps_energy_and_price_first():
    screen, port, _ = make(20, 4, ("de",))
    screen.show(
        {
            "state": "charging",
            "energy_wh": 12345,
            "price_minor": 605,
            "currency": "EUR",
            "clock": "14:32",
        }
    )
    assert port.shown[0][0][:3] == (
        "Lädt           14:32",
        "Energie   12,345 kWh",
        "Preis         6,05 €",
    )


def test_every_state_shows_on_both_displays_in_every_language():
    view = dict(RECEIPT)
    view["price_lines"] = PRICE
    view["message"] = "no_network"
    for columns, rows in ((40, 8), (20, 4), (16, 2)):
        for code in ("en", "de", "fr"):
            for state in "booting free plugged charging receipt safe_mode recovering".split():
                screen, port, _ = make(columns, rows, (code,))
                view["state"] = state
                screen.show(view)
                assert len(port.shown) == 1


def test_pages_survive_the_wrap_of_the_tick_counter():
    screen, port, ticks = make(20, 4)
    ticks.now = 0x3FFFFFFF - 1500
    seen = pages(
        screen,
        port,
        ticks,
        {
            "state": "receipt",
            "price_minor": 605,
            "captured_minor": 605,
            "released_minor": 4395,
            "currency": "EUR",
            "receipt_no": 231,
        },
    )
    assert "Released     43.95 €" in seen and "Receipt          231" in seen


def test_figures_by_language_without_float():
    assert figures.number(123450, 2, "en") == "1,234.50"
    assert figures.number(123450, 2, "de") == "1.234,50"
    assert figures.number(123450, 2, "fr") == "1 234,50"
    assert figures.number(5, 2, "en") == "0.05"
    assert figures.number(-5, 2, "en") == "-0.05"
    assert figures.number(1000000, 0, "de") == "1.000.000"
    assert figures.amount(1200, "JPY", "en") == "1,200 ¥"
    assert figures.power(49, "en") == "0.0 kW" and figures.power(50, "en") == "0.1 kW"
    assert figures.span(0) == "0:00:00" and figures.span(90061000) == "25:01:01"


def test_wrap_breaks_at_spaces_and_cuts_only_what_must_be_cut():
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("a abcdefghij k", 4) == ["a", "abcd", "efgh", "ij k"]
    assert wrap("", 4) == [] and wrap("   ", 4) == []


def test_pair_keeps_the_figure_whole():
    assert pair("Reserviert", "1.050,00 EUR", 20) == "Reservi 1.050,00 EUR"
    assert pair("x", "123456", 4) == "1234"


def test_compose_fills_exactly_the_rows():
    assert compose("h", ["b"], ["f"], 4, 10, 0) == ("h", "", "b", "f")
    assert compose("h", ["a", "b"], ["f"], 4, 10, 0) == ("h", "a", "b", "f")
    assert compose("h", ["a", "b", "c"], ["f"], 4, 10, 1) == ("h", "c", "", "f")
    assert compose("h", [], [], 2, 10, 0) == ("h", "")


def test_energy_is_shown_as_exactly_as_the_meter_counts_and_no_more():
    from firmware.screen import figures

    assert figures.energy(12345, "en") == "12.345 kWh"
    assert figures.energy(12340, "en", 10) == "12.34 kWh ±0.01"
    assert figures.energy(12300, "de", 100) == "12,3 kWh ±0,1"
    assert figures.energy(12344, "en", 2) == "12.344 kWh ±0.002"
    assert figures.energy(12344, "en", 16) == "12.34 kWh ±0.02"
    assert figures.energy(12000, "en", 1000) == "12 kWh ±1"
