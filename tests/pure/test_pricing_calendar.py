# Pure: runs on CPython and on both MicroPython builds.
from firmware.errors import FieldError
from firmware.pricing.calendar import (
    TimeZone,
    date_of,
    days_of,
    instant_text,
    weekday,
)
from firmware.pricing.fields import parse_date, parse_instant, parse_time

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
SPRING = 1743296400  # 2025-03-30T01:00:00Z
AUTUMN = 1761440400  # 2025-10-26T01:00:00Z


def test_dates_and_days_are_inverse():
    for days in range(-200000, 200000, 97):
        assert days_of(*date_of(days)) == days
    assert date_of(0) == (1970, 1, 1) and date_of(11016) == (2000, 2, 29) and weekday(0) == 3


def test_berlin_changes_its_clock():
    zone = TimeZone(BERLIN)
    assert [zone.offset(at) for at in (SPRING - 1, SPRING, AUTUMN - 1, AUTUMN)] == [
        3600,
        7200,
        7200,
        3600,
    ]
    assert zone.until(SPRING - 1) == SPRING and zone.until(SPRING) == AUTUMN
    assert zone.local(SPRING) == (20177, 3 * 3600)


def test_rules_of_all_forms():
    dublin = TimeZone("IST-1GMT0,M10.5.0,M3.5.0/1")  # daylight saving is negative
    assert [dublin.offset(at) for at in (SPRING - 1, SPRING, AUTUMN - 1, AUTUMN)] == [
        0,
        3600,
        3600,
        0,
    ]
    assert TimeZone("UTC0").offset(SPRING) == 0 and TimeZone("<+0545>-5:45").offset(0) == 20700
    assert TimeZone("EST5EDT").offset(1741503600) == -14400  # POSIX default rules, 2025-03-09
    assert TimeZone("EST5EDT").offset(1741503599) == -18000
    nuuk = TimeZone("<-02>2<-01>,M3.5.0/-1,M10.5.0/0")
    assert [nuuk.offset(at) for at in (SPRING - 1, SPRING, AUTUMN - 1, AUTUMN)] == [
        -7200,
        -3600,
        -3600,
        -7200,
    ]
    howe = TimeZone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
    assert [howe.offset(at) for at in (1743865199, 1743865200)] == [39600, 37800]
    assert TimeZone("XXX3EDT4,0/0,J365/23").offset(SPRING) == -14400  # always daylight saving
    julian = TimeZone("AAA0BBB,J60,J300")  # J60 is 1 March in every year
    leap = days_of(2028, 3, 1) * 86400 + 7200
    assert [julian.offset(at) for at in (leap - 1, leap)] == [0, 3600]
    zero = TimeZone("AAA0BBB,60,300")  # 60 is 1 March in leap years, 2 March in others
    assert [zero.offset(at) for at in (leap - 1, leap)] == [0, 3600]


def test_malformed_zones_are_refused():
    for text in (
        "",
        "CET",
        "Europe/Berlin",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "C-1",
        "CET-25",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J5",
        "CET-1 ",
        "<CET-1",
        "CET-1CEST,M3.5.0,M10.5.0x",
    ):
        try:
            TimeZone(text)
        except FieldError as error:
            assert error.field == "tz"
        else:
            raise AssertionError("not refused: " + text)


def test_times_are_read_strictly():
    assert parse_time("13:30", "f") == 810 and parse_date("2028-02-29", "f") == days_of(
        2028, 2, 29
    )
    assert parse_instant("2019-01-14T09:30:00Z", "f") == 1547458200000
    assert parse_instant("2019-01-14T09:30:00.25", "f") == 1547458200250
    for function, text in (
        (parse_time, "24:00"),
        (parse_time, "9:30"),
        (parse_time, "09:60"),
        (parse_date, "2025-02-29"),
        (parse_date, "2025-13-01"),
        (parse_date, "25-01-01"),
        (parse_instant, "2019-01-14"),
        (parse_instant, "2019-01-14T09:30:00+01:00"),
        (parse_instant, "2019-01-14T09:30:00.Z"),
    ):
        try:
            function(text, "f")
        except FieldError as error:
            assert error.given == text
        else:
            raise AssertionError("not refused: " + text)


def test_instants_are_written_as_ocpi_does():
    assert instant_text(1547458200000) == "2019-01-14T09:30:00Z"
    assert instant_text(1547458200042) == "2019-01-14T09:30:00.042Z"
