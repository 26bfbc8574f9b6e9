"""CDRs have what OCPI 2.2.1 makes mandatory, with what operator.toml says of the place."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

from hostsim.backoffice import cdr, credit_cdr, operator
from hostsim.backoffice.locations import DEMO
from hostsim.backoffice.operator import Operator

SITE = """
country = "DE"
party = "ABC"

[location]
id = "yard"
name = "Stadtwerke yard"
address = "Hafenweg 7"
city = "Kiel"
postal_code = "24103"
country = "DEU"
latitude = "54.323290"
longitude = "10.122770"
connector_standard = "IEC_62196_T2"
connector_format = "SOCKET"
connector_power_type = "AC_3_PHASE"

[chargers.FC-0002]
evse_id = "DE*ABC*E4711*2"
address = "Hafenweg 9"
connector_format = "CABLE"
"""
PERIOD = {
    "start_ms": 0, "energy_mwh": 1_500_000, "charging_ms": 360_000, "parking_ms": 0,
    "min_ma": -1, "max_ma": -1, "min_w": -1, "max_w": 11_000,
}  # fmt: skip
SESSION = {
    "state": "captured", "charger": "FC-0001", "epoch": 77, "sess": 5, "currency": "EUR",
    "start_at": 1_767_225_600_000, "end_at": 1_767_225_960_000, "settled_at": 1_767_225_961_500,
    "method": "bank", "reference": "", "uid_hash": "", "connector": 1, "meter_serial": "M1",
    "net_minor": 100, "total_minor": 119, "billed_wh": 1500, "elapsed_ms": 360_000,
    "receipt_no": 9, "stop_reason": "unplugged", "tariff": "T1", "lines": [],
    "periods": [PERIOD],
}  # fmt: skip


def site(text: str = SITE) -> Operator:
    return operator.of(tomllib.loads(text))


def composed(by: Operator | None, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cdr.to_json(cdr.compose(SESSION | changes, by)))
    return found


def test_a_card_sessions_cdr_is_whole() -> None:
    assert composed(site()) == {
        "country_code": "DE",
        "party_id": "ABC",
        "id": "FC-0001-77-5",
        "start_date_time": "2026-01-01T00:00:00.000Z",
        "end_date_time": "2026-01-01T00:06:00.000Z",
        "session_id": "FC-0001-77-5",
        "cdr_token": {
            "country_code": "DE",
            "party_id": "ABC",
            "uid": "FC-0001-77-5",
            "type": "AD_HOC_USER",
            "contract_id": "FC-0001-77-5",
        },
        "auth_method": "COMMAND",
        "cdr_location": {
            "id": "yard",
            "name": "Stadtwerke yard",
            "address": "Hafenweg 7",
            "city": "Kiel",
            "postal_code": "24103",
            "country": "DEU",
            "coordinates": {"latitude": "54.323290", "longitude": "10.122770"},
            "evse_uid": "FC-0001",
            "evse_id": "DE*ABC*EFC*0001",
            "connector_id": "1",
            "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET",
            "connector_power_type": "AC_3_PHASE",
        },
        "meter_id": "M1",
        "currency": "EUR",
        "charging_periods": [
            {
                "start_date_time": "2026-01-01T00:00:00.000Z",
                "dimensions": [
                    {"type": "ENERGY", "volume": 1.5},
                    {"type": "TIME", "volume": 0.1},
                    {"type": "MAX_POWER", "volume": 11},
                ],
                "tariff_id": "T1",
            }
        ],
        "total_cost": {"excl_vat": 1.0, "incl_vat": 1.19},
        "total_energy": 1.5,
        "total_time": 0.1,
        "total_parking_time": 0,
        "invoice_reference_id": "9",
        "remark": "unplugged",
        "last_updated": "2026-01-01T00:06:01.500Z",
    }


def test_a_chargers_own_fields_go_over_the_default() -> None:
    place = composed(site(), charger="FC-0002")["cdr_location"]
    assert (place["address"], place["city"], place["connector_format"]) == (
        "Hafenweg 9", "Kiel", "CABLE",
    )  # fmt: skip
    assert (place["evse_uid"], place["evse_id"]) == ("FC-0002", "DE*ABC*E4711*2")


def test_a_cdr_without_a_location_says_so_and_keeps_the_form() -> None:
    found = composed(None)
    assert found["cdr_location"] == {
        "id": "FC-0001",
        "address": "not given",
        "city": "not given",
        "country": "ZZZ",
        "coordinates": {"latitude": "0.00000", "longitude": "0.00000"},
        "evse_uid": "FC-0001",
        "evse_id": "DE*FCT*EFC*0001",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET",
        "connector_power_type": "AC_3_PHASE",
    }
    says = "cdr_location: placeholders, the operator gave none"
    assert found["remark"] == f"unplugged; {says}"
    assert composed(None, stop_reason="")["remark"] == says
    assert composed(Operator(location=DEMO))["remark"] == "unplugged"


def test_a_members_token_is_the_card_and_the_account() -> None:
    found = composed(site(), method="rfid", reference="ACME-7", uid_hash="ab" * 32)
    assert found["cdr_token"] == {
        "country_code": "DE",
        "party_id": "ABC",
        "uid": "abababababababababababababababababab",
        "type": "RFID",
        "contract_id": "ACME-7",
    }
    assert found["authorization_reference"] == "ACME-7"


def test_a_session_without_periods_has_one_of_no_energy() -> None:
    assert composed(site(), periods=[])["charging_periods"] == [
        {
            "start_date_time": "2026-01-01T00:00:00.000Z",
            "dimensions": [{"type": "ENERGY", "volume": 0}],
            "tariff_id": "T1",
        }
    ]


def test_an_id_keeps_ocpis_length_and_tells_sessions_apart() -> None:
    one, other = (composed(site(), charger="C" * 32, sess=sess)["id"] for sess in (5, 6))
    assert (len(one), len(other)) == (36, 36) and one != other
    assert composed(site(), charger="C" * 31)["id"] == "C" * 31 + "-77-5"


@pytest.mark.parametrize(
    ("was", "given", "says"),
    [
        ('city = "Kiel"\n', "", "location.city: is missing"),
        ('city = "Kiel"', 'city = ""', "location.city: must be text of 1 to 45"),
        ('"Hafenweg 7"', '"' + "x" * 46 + '"', "location.address: must be text of 1 to 45"),
        ('"DEU"', '"DE"', "location.country: must be three capital letters"),
        ('"54.323290"', "54.32329", "location.latitude: must be text as 50.770774"),
        ('"54.323290"', '"54.3"', "location.latitude: must be text as 50.770774"),
        ('"54.323290"', '"90.000001"', "location.latitude: must be -90 to 90"),
        ('"10.122770"', '"-180.00001"', "location.longitude: must be -180 to 180"),
        ('"IEC_62196_T2"', '"Type 2"', "location.connector_standard: must be one of CHADEMO"),
        ('"SOCKET"', '"PLUG"', "location.connector_format: must be one of SOCKET, CABLE"),
        ('"AC_3_PHASE"', "3", "location.connector_power_type: must be one of AC_1_PHASE"),
        ('id = "yard"', 'evse_id = "DE*ABC*E1"', "location.evse_id: is one charger's"),
        ('id = "yard"', 'street = "x"', "location.street: is not a field; there are address"),
        ("E4711*2", "4711", "chargers.FC-0002.evse_id: must be as DE*ABC*E1*2"),
        ('"Hafenweg 9"', "9", "chargers.FC-0002.address: must be text of 1 to 45"),
        ("chargers.FC-0002", 'chargers."F 2"', "chargers.F 2: is not a charger's name"),
        ("[location]", "[chargers.FC-0001]", "chargers.FC-0002.city: is missing"),
        ("[location]", "location = 1\n[x]", "location: must be a table"),
        ("[chargers.FC-0002]", "[chargers]\nFC-0002 = 1\n[x]", "chargers.FC-0002: must be a tab"),
    ],
)
def test_a_wrong_location_is_refused_by_its_fields_name(was: str, given: str, says: str) -> None:
    text = SITE.replace(was, given, 1)
    assert text != SITE
    fields = {name: value for name, value in tomllib.loads(text).items() if name != "x"}
    with pytest.raises(operator.OperatorError, match="^" + re.escape(says)):
        operator.of(fields)


def test_two_chargers_do_not_share_an_evse_id() -> None:
    with pytest.raises(operator.OperatorError, match=r"^chargers\.B\.evse_id: is that of FC-0002"):
        site(SITE + '\n[chargers.B]\nevse_id = "DEABCE47112"\n')


# -- credit CDRs


def refund(name: str, amount: int, credit_no: int, **more: Any) -> dict[str, Any]:
    return {
        "refund": name, "state": "done", "amount_minor": amount, "credit_no": credit_no,
        "lines": [190_000, amount - amount * 19 // 119, amount * 19 // 119, amount],
        "done_at": 1_767_312_000_000 + credit_no * 1000, "asked_at": 1, "reason": "goodwill",
    } | more  # fmt: skip


def chained(**changes: Any) -> list[dict[str, Any]]:
    found = credit_cdr.chain(SESSION | changes, site()).values()
    return [json.loads(cdr.to_json(one)) for one in found]


def test_a_whole_refunds_credit_cdr_is_the_cdr_below_zero() -> None:
    own, credit = chained(refunds=[refund("r1", 119, 1)])
    assert credit == own | {
        "id": "FC-0001-77-5-C",
        "credit": True,
        "credit_reference_id": "FC-0001-77-5",
        "total_cost": {"excl_vat": -1.0, "incl_vat": -1.19},
        "last_updated": "2026-01-02T00:00:01.000Z",
    }
    assert not {"credit", "credit_reference_id"} & set(own)


def test_a_part_that_is_given_back_credits_the_whole_and_leaves_a_new_cdr_of_the_rest() -> None:
    lines = [0, 1_500_000, 7933, 190_000, 119]
    late, early = refund("r2", 70, 2), refund("r1", 49, 1)
    failed = refund("r3", 5, 0, state="failed")
    own, credit, again, last = chained(lines=lines, refunds=[late, early, failed])
    assert own["total_energy_cost"]["incl_vat"] == 1.19
    assert credit["total_cost"] == {"excl_vat": -1.0, "incl_vat": -1.19}
    assert (again["id"], again["remark"]) == (
        "FC-0001-77-5-R1", "refund r1, credit note 1; goodwill; unplugged",
    )  # fmt: skip
    assert again["total_cost"] == {"excl_vat": 0.58, "incl_vat": 0.7}
    assert "total_energy_cost" not in again and "credit" not in again
    assert again["total_energy"] == own["total_energy"]
    assert (last["id"], last["credit_reference_id"]) == ("FC-0001-77-5-R1-C", "FC-0001-77-5-R1")
    assert last["total_cost"] == {"excl_vat": -0.58, "incl_vat": -0.7}


def test_a_refund_without_vat_lines_is_split_as_the_credit_note_is() -> None:
    lines = [0, 1_500_000, 7933, 190_000, 119]
    again = chained(lines=lines, refunds=[refund("r1", 49, 1, lines=[])])[2]
    assert again["total_cost"] == {"excl_vat": 0.59, "incl_vat": 0.7}


def test_credit_ids_keep_ocpis_length() -> None:
    parts = [refund(f"r{n}", 1, n) for n in range(1, 13)]
    ids = [one["id"] for one in chained(charger="C" * 32, refunds=parts)]
    assert len(set(ids)) == len(ids) == 25
    assert max(map(len, ids[::2])) <= 36 and max(map(len, ids[1::2])) <= 39
