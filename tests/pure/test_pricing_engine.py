# Pure: runs on CPython and on both MicroPython builds.
from firmware.errors import PricingError
from firmware.pricing.calendar import TimeZone
from firmware.pricing.engine import CHARGING, PARKED, Engine
from firmware.pricing.invoice import decimal_text
from firmware.pricing.reservation import reserve
from firmware.pricing.tariff import Tariff

UTC = TimeZone("UTC0")
BERLIN = TimeZone("CET-1CEST,M3.5.0,M10.5.0/3")
MINUTE = 60000
HOUR = 3600000
KWH = 1000000
MONDAY = 1547458200000  # 2019-01-14T09:30:00Z


def component(kind, price, vat="", step=1):
    tax = f',"vat":{vat}' if vat != "" else ""
    return f'{{"type":"{kind}","price":{price}{tax},"step_size":{step}}}'


def element(components, restrictions=""):
    rule = f',"restrictions":{{{restrictions}}}' if restrictions else ""
    return '{"price_components":[' + ",".join(components) + "]" + rule + "}"


def engine(*elements, more="", tz=UTC, on_period=None, start=MONDAY, charging=True):
    text = '{"currency":"EUR",' + more + '"elements":[' + ",".join(elements) + "]}"
    made = Engine(Tariff.from_json(text), tz, on_period)
    made.start(start, charging)
    return made


def totals(made):
    excl, incl = made.bill().total()
    return decimal_text(excl), decimal_text(incl)


SIMPLE = element(
    [
        component("FLAT", 0.5, 20),
        component("ENERGY", 0.25, 10),
        component("PARKING_TIME", 2, 20, 900),
    ]
)


def test_ocpi_example_with_start_fee_and_parking():
    made = engine(SIMPLE)
    assert made.price_minor() == 60
    made.tick(HOUR, 20 * KWH, CHARGING)
    assert made.price_minor() == 610
    made.tick(HOUR + 40 * MINUTE, 20 * KWH, PARKED)
    assert totals(made) == ("7.0000", "7.9000") and made.price_minor() == 790


def test_a_reading_across_a_boundary_is_split_there():
    cheap = element([component("ENERGY", 0.2)], '"end_time":"17:00"')
    dear = element([component("ENERGY", 0.3)])
    made = engine(cheap, dear, start=MONDAY + 7 * HOUR)  # 16:30
    made.tick(HOUR, 10 * KWH, CHARGING)
    assert totals(made)[0] == "2.5000"


def test_clock_changes_are_local():
    night = element([component("TIME", 1)], '"start_time":"02:00","end_time":"03:00"')
    spring = engine(
        night, tz=BERLIN, start=1743292800000
    )  # 2025-03-30T01:00 local: no hour from 2 to 3
    spring.tick(4 * HOUR, 0, CHARGING)
    assert totals(spring)[0] == "0.0000"
    autumn = engine(
        night, tz=BERLIN, start=1761433200000
    )  # 2025-10-26T01:00 local: twice from 2 to 3
    autumn.tick(4 * HOUR, 0, CHARGING)
    assert totals(autumn)[0] == "2.0000"


def test_energy_duration_and_date_boundaries():
    first = element(
        [component("ENERGY", 0), component("TIME", 0)], '"max_kwh":1,"max_duration":1800'
    )
    made = engine(first, element([component("ENERGY", 1), component("TIME", 6)]))
    made.tick(HOUR, 2 * KWH, CHARGING)  # both end at half an hour
    assert totals(made)[0] == "4.0000"
    late = element([component("TIME", 6)], '"start_date":"2019-01-15","end_date":"2019-01-16"')
    made = engine(late)
    made.tick(48 * HOUR, 0, CHARGING)
    assert totals(made)[0] == "144.0000"


def test_load_that_is_not_measured_does_not_hold():
    made = engine(
        element([component("ENERGY", 1)], '"max_power":11'), element([component("ENERGY", 3)])
    )
    made.tick(HOUR, KWH, CHARGING)
    assert totals(made)[0] == "3.0000"
    made.tick(2 * HOUR, 2 * KWH, CHARGING, 5000)
    assert totals(made)[0] == "4.0000"
    made.tick(3 * HOUR, 3 * KWH, CHARGING, 11000)  # max is exclusive
    assert totals(made)[0] == "7.0000"


def test_step_size_of_time_gives_way_to_parking():
    made = engine(element([component("TIME", 6, "", 600), component("PARKING_TIME", 6, "", 600)]))
    made.tick(5 * MINUTE, 0, CHARGING)
    assert totals(made)[0] == "1.0000"
    made.tick(6 * MINUTE, 0, PARKED)
    assert totals(made)[0] == "1.5000"


def test_limits_hold_with_and_without_tax_on_their_own():
    made = engine(
        SIMPLE,
        more='"max_price":{"excl_vat":10,"incl_vat":11},"min_price":{"excl_vat":1,"incl_vat":1.15},',
    )
    assert totals(made) == ("1.0000", "1.1500") and made.price_minor() == 115
    made.tick(HOUR, 50 * KWH, CHARGING)
    assert totals(made) == ("10.0000", "11.0000") and made.price_minor() == 1100
    lines = made.lines()
    assert sum([line[4] for line in lines]) == 1100 and lines[-1][4] < 0


def test_a_limit_given_on_one_side_binds_the_other_by_vat():
    made = engine(element([component("ENERGY", 1, 10)]), more='"max_price":{"excl_vat":10},')
    made.tick(HOUR, 20 * KWH, CHARGING)
    assert totals(made) == ("10.0000", "11.0000") and made.price_minor() == 1100


def test_prices_that_include_tax():
    made = engine(element([component("ENERGY", 1.1, 10)]), more='"tax_included":"YES",')
    made.tick(HOUR, 10 * KWH, CHARGING)
    assert totals(made) == ("10.0000", "11.0000") and made.bill().vat_groups() == [
        (100000, 1000, 100, 1100)
    ]
    made = engine(element([component("ENERGY", 1.1)]), more='"tax_included":"YES",')
    made.tick(HOUR, 10 * KWH, CHARGING)
    assert made.bill().total()[0] is None


def test_extensions():
    tariff = element([component("ENERGY", 1), component("TIME", 6), component("PARKING_TIME", 6)])
    made = engine(
        tariff,
        more='"x_free_kwh":1,"x_free_minutes":10,"x_grace_minutes":20,"x_caps":{"PARKING_TIME":3},',
    )
    made.tick(HOUR, 3 * KWH, CHARGING)
    assert totals(made)[0] == "7.0000"  # 2 kWh, 50 minutes
    made.tick(HOUR + 30 * MINUTE, 3 * KWH, PARKED)
    assert totals(made)[0] == "8.0000"  # 10 minutes beyond the grace
    made.tick(4 * HOUR, 3 * KWH, PARKED)
    assert totals(made)[0] == "10.0000"  # capped at 3
    made = engine(
        tariff,
        more='"x_parking_sleep":{"start_time":"22:00","end_time":"06:00"},',
        start=MONDAY + 12 * HOUR,
    )
    made.tick(12 * HOUR, 0, PARKED)  # 21:30 to 09:30
    assert totals(made)[0] == "24.0000"


def test_it_knows_rate_next_change_and_what_is_left():
    cheap = element(
        [component("ENERGY", 0.2, 10), component("TIME", 1.2)], '"end_time":"17:00","max_kwh":10'
    )
    made = engine(cheap, element([component("ENERGY", 0.3, 10)]))
    made.tick(MINUTE, KWH, CHARGING)
    assert made.rate() == (2200, 12000)
    assert made.next_change() == (MONDAY + 7 * HOUR + 30 * MINUTE, 10 * KWH)
    assert made.price_minor() == 24
    energy, time = made.left(46)
    for left, bill in ((energy, made.bill(energy)), (time, made.bill(0, time))):
        assert left >= 0 and bill.gross_minor() <= 46
    assert (
        made.bill(energy + 2000).gross_minor() > 46
        and made.bill(0, time + 2000).gross_minor() > 46
    )
    assert made.left(23) == (0, 0)
    free = engine(element([component("FLAT", 1)]))
    assert free.left(50) == (-1, -1) and free.next_change() == (-1, -1)


def test_a_change_that_is_due_at_this_very_reading_is_said_and_moves_no_energy():
    periods: list = []
    for rule, ms, mwh in (("max_kwh", HOUR, KWH), ("max_duration", HOUR, 2 * KWH)):
        periods.clear()
        made = engine(
            element([component("ENERGY", 0.2)], f'"{rule}":{1 if rule == "max_kwh" else 3600}'),
            element([component("ENERGY", 0.3)]),
            on_period=lambda *period: periods.append(period),
        )
        made.tick(ms, mwh, CHARGING)
        assert made.rate() == (2000, 0)
        assert made.next_change() == (MONDAY + ms, mwh)
        assert made.rate() == (3000, 0) and made.next_change() == (-1, -1)
        made.tick(ms + HOUR, mwh + KWH, CHARGING)
        made.close()
        assert [(p[1] - p[0], p[2]) for p in periods] == [(ms, mwh), (HOUR, KWH)]
        assert totals(made)[0] == ("0.5000" if mwh == KWH else "0.7000")


def test_price_stops_at_the_last_instant_that_fits():
    periods = []
    made = engine(SIMPLE, on_period=lambda *period: periods.append(period))
    made.freeze_at(500)
    for minute in range(1, 100):
        made.tick(minute * MINUTE, minute * KWH // 3, CHARGING)
        assert made.price_minor() <= 500
    assert made.frozen and made.price_minor() == 500
    assert (
        periods[-1][1] == MONDAY + made.ms and sum([period[2] for period in periods]) == made.mwh
    )
    assert made.bill(100).gross_minor() > 500  # 0.1 Wh more does not fit


def test_a_record_prices_like_the_session():
    periods = []
    made = engine(
        SIMPLE, more='"x_grace_minutes":7,', on_period=lambda *period: periods.append(period)
    )
    made.update(MONDAY + HOUR, 7 * KWH + 1, True)
    made.finish(MONDAY + 2 * HOUR, 7 * KWH + 1, False)
    assert [period[:5] for period in periods] == [
        (MONDAY, MONDAY + HOUR, 7 * KWH + 1, HOUR, 0),
        (MONDAY + HOUR, MONDAY + HOUR + 7 * MINUTE, 0, 0, 7 * MINUTE),
        (MONDAY + HOUR + 7 * MINUTE, MONDAY + 2 * HOUR, 0, 0, 53 * MINUTE),
    ]


def test_state_goes_on_exactly():
    made = engine(SIMPLE)
    made.tick(HOUR, 7 * KWH, CHARGING)
    state = made.state()
    assert len(state) < 41 and max(state) < 1 << 31
    again = Engine.restore(made.tariff, UTC, state)
    for one in (made, again):
        one.finish(MONDAY + 2 * HOUR, 8 * KWH, False)
    assert made.state() == again.state() and made.price_minor() == again.price_minor()
    wrong: list[list[int]] = [[], [9] + state[1:], state + [99, 1], state + [1]]
    for bad in wrong:
        try:
            Engine.restore(made.tariff, UTC, bad)
        except PricingError:
            continue
        raise AssertionError("restored from " + repr(bad))


def test_going_back_is_refused_and_changes_nothing():
    made = engine(SIMPLE)
    made.tick(HOUR, KWH, CHARGING)
    for ms, mwh in ((HOUR - 1, KWH), (HOUR, KWH - 1)):
        try:
            made.tick(ms, mwh, CHARGING)
        except PricingError:
            continue
        raise AssertionError("went back")
    assert (made.ms, made.mwh) == (HOUR, KWH)


def test_reservations_price_the_reservation_only():
    booked = element([component("TIME", 5, 20, 60)], '"reservation":"RESERVATION"')
    lost = element([component("FLAT", 4, 20)], '"reservation":"RESERVATION_EXPIRES"')
    text = '{"currency":"EUR","elements":[' + ",".join([booked, lost, SIMPLE]) + "]}"
    made = Engine(Tariff.from_json(text), UTC)
    reserve(made, 15 * MINUTE, MONDAY)
    made.start(MONDAY + 15 * MINUTE)
    made.tick(HOUR, 20 * KWH, CHARGING)
    assert totals(made) == ("6.7500", "7.6000")
    made = Engine(Tariff.from_json(text), UTC)
    reserve(made, HOUR, MONDAY, True)
    assert totals(made) == ("9.0000", "10.8000")


def test_a_session_beyond_small_integers_stays_exact():
    made = engine(element([component("ENERGY", 0.5), component("TIME", 0.1)]))
    for day in range(1, 31):
        made.tick(day * 24 * HOUR, day * 100 * KWH, CHARGING)
    assert totals(made)[0] == "1572.0000"  # 3 MWh, 30 days
    huge = engine(element([component("ENERGY", 99999.9999, 99.9999)]))
    huge.tick(HOUR, 10**9 * KWH, CHARGING)
    assert totals(huge) == ("99999999900000.0000", "199999899800000.1000")
