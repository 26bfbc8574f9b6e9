"""Targets: what the back office gives a charger to keep: configuration, tariff, time zone."""

import json

from mutate_mpy import tree_mutated  # type: ignore[import-not-found]
from target_mpy import ROOT, Target, foreign_digits, texts  # type: ignore[import-not-found]

from firmware.errors import ConfigError, FieldError, TariffError


class _Text(Target):
    """A JSON text."""

    words: "tuple" = (
        b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u0041", b"\\", b"null", b"true", b"1e5",
        b"-1", b"\xff", b"\xe2\x82", b"\x00",
    )  # fmt: skip

    def made(self, dice, corpus):
        return tree_mutated(dice, dice.choice(corpus)) if dice.below(2) else None


class Config(_Text):
    """The configuration, as it is stored and as it comes over MQTT."""

    declared = (ConfigError,)
    about = ("firmware.config",)

    def __init__(self):
        from firmware import config

        self._parse = config.parse
        self.words += tuple(['"%s":' % path.split(".")[-1] for path, *_ in config.FIELDS])
        self.words = tuple([w.encode() if isinstance(w, str) else w for w in self.words])

    def seeds(self):
        yield b"[]"
        yield b'{"charger":"CP1","salt":"0123456789","mqtt":{"host":"h"}}'
        for more in (b'"min_hold_minor":900,"hold_minor":800',
                     b'"extend":{"step_minor":500,"max_minor":900},"hold_minor":800',
                     b'"terminal":{"password":"12345a"}',
                     b'"mqtt":{"host":"h","command_key":"0g"}',
                     b'"mqtt":{"host":"h","command_key":"' + b"0" * 31 + b'"}'):  # fmt: skip
            yield b'{"charger":"CP1","salt":"0123456789","mqtt":{"host":"h"},' + more + b"}"
        yield json.dumps({
            "charger": "CP1", "connector": 2, "evse_id": "DE*1", "currency": "EUR",
            "hold_minor": 5000, "min_hold_minor": 100, "languages": ["de", "en"],
            "max_current_ma": 16000, "salt": "0123456789abcdef", "time_zone": "CET-1CEST",
            "meter": {"model": "SDM630", "unit": 3, "baud": 9600, "parity": "E"},
            "terminal": {"profile": "cvend", "password": "000000", "baud": 115200},
            "mqtt": {"host": "h", "port": 8883, "command_key": "00ff"},
            "time_server": {"host": "t", "port": 123}, "supplier": {"name": "S", "vat_id": "DE1"},
        }).encode()  # fmt: skip

    def run(self, data):
        self._parse(bytes(data))


_ELEMENTS = (
    b'"elements":[{"price_components":[{"type":"ENERGY","price":0.5,"vat":19,"step_size":1},'
    b'{"type":"TIME","price":1,"vat":7,"step_size":60}]}],"last_updated":"2024-01-01T00:00:00Z"'
)
_RULES = (  # what fields say together
    b'"start_date_time":"2030-01-01T00:00:00Z","end_date_time":"2030-01-01T00:00:00Z"',
    b'"min_price":{"excl_vat":5,"incl_vat":6},"max_price":{"excl_vat":4,"incl_vat":5}',
    b'"tax_included":"N/A"', b'"x_caps":{"ENERGY+TIME":20}', b'"start_date_time":"2030-13-01"',
    b'"x_parking_sleep":{"start_time":"22:00"}',
    b'"x_parking_sleep":{"start_time":"22:00","end_time":"22:00"}',
    b'"min_price":{"excl_vat":5,"before_taxes":5}', b'"min_price":{}', b'"tariff_alt_text":{}',
)  # fmt: skip
_COMPONENTS = (
    b'{"type":"ENERGY","price":1,"vat":100.0001,"step_size":1}',
    b",".join([b'{"type":"FLAT","price":1}'] * 70),
    b'{"type":"ENERGY","price":1,"step_size":1}],"restrictions":{"reservation":"RESERVATION"},"x":[',
)


class Tariff(_Text):
    """A tariff, and the words a driver reads of one that was taken."""

    declared = (TariffError,)
    about = ("firmware.pricing.reading", "firmware.pricing.fields", "firmware.pricing.decimals",
             "firmware.pricing.jsontext", "firmware.pricing.tariff")  # fmt: skip
    words = _Text.words + (
        b'"type":"ENERGY"', b'"type":"TIME"', b'"type":"FLAT"', b'"type":"PARKING_TIME"',
        b'"price":', b'"step_size":', b'"vat":19', b'"restrictions":{', b'"start_time":"09:00"',
        b'"end_time":"18:00"', b'"day_of_week":["MONDAY"]', b'"min_kwh":', b'"max_power":',
        b'"min_duration":', b'"start_date":"2025-01-01"', b'"min_price":{"excl_vat":1}',
        b'"max_price":{"before_taxes":5}', b'"tax_included":"NO"', b'"elements":[',
        b'"price_components":[', b'"currency":"EUR"', b'"reservation":"RESERVATION"',
    )  # fmt: skip

    def __init__(self):
        from firmware import pricing
        from firmware.pricing import decimals, fields, jsontext, reading, tariff, words

        pricing.leave = lambda *names: None  # a million imports would measure imports
        self._from_json = tariff.Tariff.from_json
        self._lines = words.tariff_lines
        assert reading and fields and decimals and jsontext

    def seeds(self):
        for text in texts("/tests/cases/tariffs"):
            yield json.dumps(json.loads(text)["tariff"]).encode()
        yield (
            b'{"id":"R","currency":"EUR","type":"AD_HOC_PAYMENT","min_price":{"excl_vat":1.5,'
            b'"incl_vat":1.8},"max_price":{"before_taxes":50},"tax_included":"YES","elements":['
            b'{"price_components":[{"type":"ENERGY","price":0.5,"vat":19,"step_size":10}],'
            b'"restrictions":{"start_time":"09:00","end_time":"18:00","start_date":"2025-01-01",'
            b'"end_date":"2030-01-01","min_kwh":1,"max_kwh":20,"min_current":6,"max_current":32,'
            b'"min_power":1,"max_power":22,"min_duration":60,"max_duration":3600,'
            b'"day_of_week":["MONDAY","SUNDAY"]}},{"price_components":[{"type":"PARKING_TIME",'
            b'"price":2,"step_size":60},{"type":"FLAT","price":1,"vat":0}]}],'
            b'"start_date_time":"2024-01-01T00:00:00Z","end_date_time":"2040-01-01T00:00:00Z",'
            b'"last_updated":"2024-01-01T00:00:00Z","tariff_alt_text":[{"language":"de",'
            b'"text":"x"}]}'
        )
        yield (
            b'{"id":"X","currency":"EUR","elements":[{"price_components":[{"type":"TIME",'
            b'"price":3,"vat":19,"step_size":60},{"type":"ENERGY","price":0.4,"vat":19,'
            b'"step_size":1}]}],"x_free_kwh":1.5,"x_free_minutes":5,"x_grace_minutes":10,'
            b'"x_caps":{"ENERGY":20,"TIME+PARKING_TIME":12.5},'
            b'"x_parking_sleep":{"start_time":"22:00","end_time":"07:00"}}'
        )
        with open(ROOT + "/hostsim/data/tariff.json", "rb") as f:
            yield f.read()
        for more in _RULES:
            yield b'{"id":"T","currency":"EUR",' + more + b"," + _ELEMENTS + b"}"
        for one in _COMPONENTS:
            yield b'{"id":"T","currency":"EUR","elements":[{"price_components":[' + one + b"]}]}"

    def run(self, data):
        if foreign_digits(data):
            return
        tariff = self._from_json(bytes(data))
        for line in self._lines(tariff, "de", 22000):
            assert isinstance(line, str)


class Zone(_Text):
    """The time zone of the configuration."""

    declared = (FieldError,)
    about = ("firmware.pricing.zonetext", "firmware.pricing.calendar")
    words = (b",M3.5.0", b"/3", b"<+03>", b"-3", b"J60", b"EST5EDT", b"24:59:59", b"/-26",
             b"M13.9.9")  # fmt: skip

    def __init__(self):
        from firmware.pricing import calendar, zonetext

        self._zone = calendar.TimeZone
        assert zonetext

    def seeds(self):
        return (b"CET-1CEST,M3.5.0,M10.5.0/3", b"UTC0", b"<+0330>-3:30<+0430>,J79/24,J263/24",
                b"EST5EDT", b"NZST-12NZDT,M9.5.0,M4.1.0/3", b"A1B,0/0,365/25")  # fmt: skip

    def run(self, data):
        try:
            text = bytes(data).decode()
        except UnicodeError:
            return
        if foreign_digits(data):
            return
        zone = self._zone(text)
        for second in (0, 1750000000, 4102444799):
            zone.local(second)
