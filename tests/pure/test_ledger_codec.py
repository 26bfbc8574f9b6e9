# Records as bytes: literal vectors, what is refused, versions before and after this one, noise.
from board.host_flash import FileFlash
from firmware.errors import LedgerError, RecordError
from firmware.ledger import codec
from firmware.ledger.ledger import Ledger
from tests.ledger.ledger_rows import ROWS
from tests.pure.test_ledger_ring import clock, ledger_on, records

BOOT = bytes.fromhex("0101c0aeb1d5aa3303302e3105706f77657200")


def put(kind, fields, at=0):
    buf = memoryview(bytearray(1008))
    return bytes(buf[: codec.encode(buf, codec.find_row(1, kind), at, fields)])


def refused(kind, fields, word):
    try:
        put(kind, fields)
    except RecordError as e:
        assert word in str(e), e
        return
    raise AssertionError(word)


def test_vector_boot():
    assert put("boot", {"firmware": "0.1", "reason": "power", "safe": 0}, 1763800012608) == BOOT, (
        put("boot", {"firmware": "0.1", "reason": "power", "safe": 0}, 1763800012608).hex()
    )
    record = codec.decode(7, memoryview(BOOT))
    assert (record.kind, record.version, record.at, record.seq) == ("boot", 1, 1763800012608, 7)
    assert record.fields == {"firmware": "0.1", "reason": "power", "safe": 0}
    assert record.to_json(5) == (
        '{"epoch":5,"seq":7,"type":"boot","version":1,"at":1763800012608,'
        '"firmware":"0.1","reason":"power","safe":0}'
    )


def test_vector_numbers():
    fields = {
        "sess": 300,
        "register_wh": 0,
        "elapsed_ms": (1 << 64) - 1,
        "state": [0, -1, 1, -64, 64, (1 << 63) - 1, -(1 << 63)],
    }
    raw = put("checkpoint", fields)
    assert raw.hex() == (
        "060100ac0200ffffffffffffffffff01070001027f8001feffffffffffffffff01ffffffffffffffffff01"
    )
    assert codec.decode(1, memoryview(raw)).fields == fields


def test_every_kind_comes_back_as_it_went():
    for _, name, version, words in ROWS:
        fields = {}
        for word in words.split():
            field, _, kind = word.partition(":")
            fields[field] = {
                "": 4000000000,
                "i": -4000000000,
                "s": "Zoë ✓",
                "l": [1, -2, 3000000000],
            }[kind]
        record = codec.decode(1, memoryview(put(name, fields, 1)))
        assert (record.kind, record.version, record.fields, record.rest) == (
            name,
            version,
            fields,
            b"",
        )


def test_what_does_not_fit_the_schema_names_its_field():
    good = {"code": "x", "sess": 0, "detail": ""}
    for field, value in (
        ("sess", -1),
        ("sess", 1 << 64),
        ("sess", "1"),
        ("sess", None),
        ("sess", 1.5),
        ("code", 7),
        ("code", None),
        ("detail", "é" * 128),
    ):
        bad = dict(good)
        bad[field] = value
        refused("alarm", bad, "alarm." + field)
    refused("alarm", {"code": "x", "sess": 0}, "alarm.detail: missing")
    refused("alarm", {"code": "x", "sess": 0, "detail": "", "more": 1}, "alarm")
    refused(
        "checkpoint",
        {"sess": 1, "register_wh": 1, "elapsed_ms": 1, "state": [1 << 63]},
        "checkpoint.state",
    )
    refused(
        "checkpoint",
        {"sess": 1, "register_wh": 1, "elapsed_ms": 1, "state": [0] * 256},
        "checkpoint.state",
    )
    refused(
        "checkpoint",
        {"sess": 1, "register_wh": 1, "elapsed_ms": 1, "state": [1 << 62] * 255},
        "checkpoint.state",
    )
    refused(
        "checkpoint",
        {"sess": 1, "register_wh": 1, "elapsed_ms": 1, "state": 5},
        "checkpoint.state",
    )
    try:
        codec.find_row(1, "nonsense")
    except RecordError:
        return
    raise AssertionError


def test_record_of_a_later_version_gives_what_is_known_and_keeps_the_rest():
    raw = bytearray(put("declined", {"sess": 1, "code": 2, "text": "no"}))
    raw[1] = 2
    record = codec.decode(9, memoryview(bytes(raw) + b"\x2a\x01z"))
    assert record.kind == "declined" and record.version == 2 and record.rest == b"\x2a\x01z"
    assert record.to_json(1).endswith(',"text":"no","payload":"2a017a"}')


def test_record_of_an_unknown_kind_is_kept_whole():
    record = codec.decode(9, memoryview(b"\x63\x01\x05abc"))
    assert (record.kind, record.version, record.fields, record.rest) == (
        "unknown",
        1,
        {},
        b"\x63\x01\x05abc",
    )
    assert (
        record.to_json(3)
        == '{"epoch":3,"seq":9,"type":"unknown","version":1,"at":0,"payload":"630105616263"}'
    )


def test_record_of_an_earlier_version_has_empty_values_for_new_fields():
    kinds: tuple = codec.KINDS
    codec.KINDS = kinds[:19] + ("alarm 2 code:s sess detail:s level:i places:l",) + kinds[20:]
    try:
        record = codec.decode(1, memoryview(b"\x14\x01\x00\x01x\x00\x00"))
        assert record.fields == {"code": "x", "sess": 0, "detail": "", "level": 0, "places": []}
        try:
            codec.decode(1, memoryview(b"\x14\x02\x00\x01x\x00\x00"))
            raise AssertionError
        except RecordError:
            pass
    finally:
        codec.KINDS = kinds


def test_unknown_records_on_flash_are_published_and_acknowledged_like_others():
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    ledger.append("boot", firmware="", reason="", safe=0)
    frame = memoryview(bytearray(1024))
    frame[12:15] = b"\x63\x02\x07"
    ledger.ring.write(ledger.ring.frame(frame, 3, 2))
    ledger.next_seq = 3
    ledger.append("alarm", code="x", sess=0, detail="")
    ledger = ledger_on(flash)
    assert [r.kind for r in records(ledger)] == ["boot", "unknown", "alarm"]
    assert ledger.lost == 0 and ledger.acknowledge(ledger.epoch, 3)


def noise(seed):
    while True:
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        yield (seed >> 12) & 0xFF


def test_noise_as_payload_gives_a_record_or_its_error():
    source = noise(7)
    buf = bytearray(60)
    for turn in range(2000):
        length = next(source) % 61
        for i in range(length):
            buf[i] = next(source)
        if length and turn % 3:
            buf[0] = buf[0] % 24
            if length > 1:
                buf[1] &= 3
        try:
            record = codec.decode(turn, memoryview(buf)[:length])
            record.to_json(1)
        except RecordError:
            pass


def test_noise_in_flash_is_survived():
    source = noise(8)
    flash = FileFlash(sectors=12)
    ledger = ledger_on(flash)
    for i in range(400):
        ledger.append("security", code="x", detail="detail of %d" % i)
    image = flash.image()
    for _ in range(60):
        spoilt = bytearray(image)
        for _ in range(1 + next(source) % 6):
            at = ((next(source) << 8) | next(source)) % 30000
            for i in range(at, at + 1 + next(source) % 20):
                spoilt[i] = next(source)
        flash.load(spoilt)
        try:
            ledger = Ledger(flash, clock)
            ledger.mount()
            records(ledger)
            ledger.append("security", code="y", detail="")
            assert ledger.recent("security", 1)[0].fields["code"] == "y"
        except LedgerError:
            pass
