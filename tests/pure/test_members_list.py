"""The members' list on the charger: taken in page by page, looked through by halving, kept against
power cuts. On CPython and both MicroPython builds.
"""

import binascii
import hashlib
import os
import struct

from firmware.cards import member_list, members
from firmware.errors import FieldError, RecordError
from firmware.sync.commands import hmac_sha256
from firmware.terminal.base import CardResult

KEY = b"0123456789abcdef"
SALT = "00112233445566778899aabbccddeeff"
TARIFF = (
    '{"id":"FLEET","currency":"EUR","elements":[{"price_components":'
    '[{"type":"ENERGY","price":0.40,"step_size":1}]}]}'
)
NIGHT = TARIFF.replace(
    '"elements":[{', '"elements":[{"restrictions":{"start_time":"20:00","end_time":"06:00"},'
)


class Thing:
    """A part of an App: attributes only."""

    log: object
    said: "list[str]"
    rfid: "Thing"

    def __init__(self, **attributes):
        for name in attributes:
            setattr(self, name, attributes[name])


class Books:
    open = None
    next_session = 7


def charger(files):
    """An App as far as the list needs one."""
    from firmware.prices import Prices

    app = Thing(
        board=Thing(files=files), machine=Thing(busy=False), ledger=Thing(books=Books()),
        cfg=Thing(charger="CP1", cards_member_minor=20000), said=[],
        clock=Thing(known=True, epoch_ms=lambda: 1767225600000),
        prices=Prices(files, "UTC0", "EUR"), remote=Thing(restart_ms=0),
    )  # fmt: skip
    app.log = lambda level, text: app.said.append(text)
    app.rfid = Thing(list_version=0, salt=b"", coming=None)
    return app


class Folder:
    """A directory of its own, removed with what is in it."""

    def __init__(self):
        n = 0
        while True:
            self.name = "build/members-%d" % n
            try:
                os.mkdir(self.name)
                return
            except OSError:
                n += 1

    def __enter__(self):
        return self.name

    def __exit__(self, *why):
        for name in os.listdir(self.name):
            os.remove(self.name + "/" + name)
        os.rmdir(self.name)


def key_of(uid):
    return hashlib.sha256(binascii.unhexlify(SALT) + uid).digest()[:8]


def row(uid, expires=0, account="ACME-7", tariff=""):
    crc = binascii.crc32(tariff.encode()) if tariff else 0
    name = account.encode()
    return key_of(uid) + struct.pack("<II", expires, crc) + name + bytes(32 - len(name))


def pages(version, rows, tariffs=(), device="CP1", key=KEY, each=2, salt=SALT):
    """The messages of a list."""
    rows = sorted(rows)
    bodies = [{"tariff": text} for text in tariffs]
    for at in range(0, len(rows), each):
        part = b"".join(rows[at : at + each])
        bodies.append({"rows": binascii.b2a_base64(part).decode().strip()})
    digest = hashlib.sha256("".join(tariffs).encode() + b"".join(rows)).digest().hex()
    head = {"version": version, "page": 0, "pages": len(bodies) + 1, "count": len(rows),
            "salt": salt, "sha256": digest}  # fmt: skip
    signed = "\n".join(("forecourt-members-1", device, str(version), str(head["pages"]),
                        str(len(rows)), salt, digest))  # fmt: skip
    head["mac"] = hmac_sha256(key, signed.encode()).hex()
    out = [head]
    for number, body in enumerate(bodies):
        body["version"] = version
        body["page"] = number + 1
        out.append(body)
    return out


def send(app, messages):
    answer = None
    for message in messages:
        answer = member_list.page(app, message, KEY)
    return answer


def refused(app, messages):
    try:
        send(app, messages)
    except FieldError as e:
        return e.field
    raise AssertionError("not refused")


def tap(app, uid):
    card = CardResult("rfid", "", key_of(uid).hex())
    members.look(app, card)
    return card


def uids(n):
    return [bytes((4, i & 255, i >> 8, 3, 2, 1, 0)) for i in range(n)]


def test_every_member_is_found_and_nobody_else():
    for n in (0, 1, 2, 3, 17):
        with Folder() as files:
            app = charger(files)
            answer = send(app, pages(3, [row(uid, account="A%d" % i)
                                         for i, uid in enumerate(uids(n))]))  # fmt: skip
            assert members.head(files) == (3, n, binascii.unhexlify(SALT))
            assert app.rfid.list_version == 3 and app.rfid.salt == binascii.unhexlify(SALT)
            assert answer["data"]["version"] == 3
            for i, uid in enumerate(uids(n)):
                s = tap(app, uid).session
                assert (s.reference, s.method, s.hold_minor) == ("A%d" % i, "rfid", 20000)
                assert (s.number, s.tariff) == (7, None)
            for uid in uids(n + 9)[n:]:
                card = tap(app, uid)
                assert card.session is None and card.text == "card_unknown"


def test_revoked_expired_and_unknown_times_are_told_apart():
    with Folder() as files:
        app = charger(files)
        a, b, c, d = uids(4)
        now = 1767225600
        send(app, pages(1, [row(a, 1), row(b, now), row(c, now + 1), row(d)]))
        for uid, text in ((a, "card_revoked"), (b, "card_expired"), (c, ""), (d, "")):
            assert tap(app, uid).text == text
        app.clock.known = False
        late = "clock_unknown"
        for uid, text in ((a, "card_revoked"), (b, late), (c, late), (d, "")):
            assert tap(app, uid).text == text


def test_a_member_is_priced_by_his_own_tariff_or_not_at_all():
    with Folder() as files:
        app = charger(files)
        a, b, c = uids(3)
        rows = [row(a, tariff=TARIFF), row(b, tariff=NIGHT), row(c, tariff="gone")]
        send(app, pages(1, rows, (TARIFF, NIGHT)))
        s = tap(app, a).session
        assert s.tariff.id == "FLEET" and s.crc == binascii.crc32(TARIFF.encode())
        assert tap(app, b).session.tariff.time_dependent
        assert tap(app, c).text == "tariff_missing"
        app.clock.known = False
        assert tap(app, b).text == "clock_unknown" and tap(app, a).text == ""
        # a later list without them takes the files away; the price of an open session stays
        app.ledger.books.open = object()
        late = pages(2, [row(a)])
        assert send(app, late)["code"] == "not_yet"
        assert app.prices.for_crc(s.crc).id == "FLEET", "for a session that is recovered"
        app.ledger.books.open = None
        send(app, late)
        assert [name for name in os.listdir(files) if name[:7] == "member-"] == []
        assert tap(app, a).session.tariff is None


def test_what_is_forged_old_or_broken_leaves_the_list_in_force():
    with Folder() as files:
        app = charger(files)
        a, b = uids(2)
        send(app, pages(5, [row(a)]))
        good = pages(6, [row(a), row(b)])
        assert refused(app, pages(6, [row(b)], key=b"another key, too")) == "mac"
        assert refused(app, pages(6, [row(b)], device="CP2")) == "mac"
        assert send(app, pages(5, [row(b)])[:1])["detail"] == "is in force"
        assert send(app, pages(4, [row(b)])[:1])["data"]["version"] == 5
        for field, change in (
            ("rows", {"rows": "????"}),
            ("rows", {"rows": binascii.b2a_base64(row(a)[:47]).decode()}),
            ("rows", {"rows": binascii.b2a_base64(row(a) + row(a)).decode()}),
            ("rows", {"rows": None}),
            (
                "sha256",
                {
                    "rows": binascii.b2a_base64(
                        b"".join(sorted([row(a), row(b, account="MINE")]))
                    ).decode()
                },
            ),  # fmt: skip
            ("count", {"rows": binascii.b2a_base64(row(b)).decode()}),
        ):
            bad = [good[0], dict(good[1])]
            bad[1].update(change)
            assert refused(app, bad) == field, change
            assert app.rfid.coming is None
            assert members.head(files)[:2] == (5, 1) and tap(app, b).text == "card_unknown"
        send(app, good)
        assert tap(app, b).session


def test_a_signed_head_that_no_list_can_have_is_refused_by_name():
    for field, version, salt in (
        ("version", 1 << 32, SALT), ("pages", 6, "x" * 32), ("pages", 6, "\u00e9" * 32),
        ("pages", 6, SALT[:30]), ("pages", 6, SALT + "00"),
    ):  # fmt: skip
        with Folder() as files:
            app = charger(files)
            a, b = uids(2)
            send(app, pages(5, [row(a)]))
            assert refused(app, pages(version, [row(b)], salt=salt)) == field, salt
            assert members.head(files)[:2] == (5, 1)


def test_pages_come_twice_late_and_out_of_order():
    with Folder() as files:
        app = charger(files)
        list7 = pages(7, [row(uid) for uid in uids(7)])
        assert len(list7) == 5
        assert send(app, list7[:1])["data"] == {"version": 7, "next": 1}
        assert send(app, list7[2:3]) is None
        assert send(app, list7[1:3])["data"]["next"] == 3
        assert send(app, list7[2:3]) is None
        assert send(app, list7[:1])["data"]["next"] == 3, "goes on where it was"
        assert send(app, list7[3:])["data"] == {"version": 7, "next": 5}
        assert send(app, list7[4:]) is None
        app.machine.busy = True
        assert send(app, pages(8, [])[:1])["code"] == "not_yet"


def test_a_cut_at_every_page_leaves_the_old_list_whole_and_the_new_one_begins_anew():
    new = pages(9, [row(uid, account="NEW", tariff=TARIFF) for uid in uids(5)], (TARIFF,))
    for cut in range(len(new)):
        with Folder() as files:
            send(charger(files), pages(8, [row(uids(1)[0], account="OLD")]))
            send(charger(files), new[:cut])
            app = charger(files)  # starts again
            version, count, app.rfid.salt = members.head(files)
            app.rfid.list_version = version
            assert (version, count) == (8, 1)
            assert tap(app, uids(1)[0]).session.reference == "OLD"
            assert send(app, new[cut : cut + 1] if cut else ()) is None
            send(app, new)
            assert tap(app, uids(5)[4]).session.reference == "NEW"


def test_a_file_that_is_not_whole_is_no_list():
    with Folder() as files:
        app = charger(files)
        send(app, pages(1, [row(uid) for uid in uids(3)]))
        with open(files + "/members.bin", "rb") as f:
            whole = f.read()
        for raw in (b"", whole[:20], whole[:-1], whole + b"x", b"X" + whole[1:],
                    whole[:5] + b"\xff" + whole[6:]):  # fmt: skip
            with open(files + "/members.bin", "wb") as f:
                f.write(raw)
            assert members.head(files) == (0, 0, b"")
            assert tap(app, uids(1)[0]).text == "card_unknown"
        with open(files + "/members.bin", "wb") as f:
            f.write(whole[: members.HEAD + 10])
        try:
            members.find(files, 3, key_of(uids(1)[0]))
        except RecordError:
            return
        raise AssertionError("a row that is cut was read")


def test_a_tariff_made_ready_prices_as_the_one_that_was_read():
    from firmware.cards import member_tariff
    from firmware.pricing.tariff import Tariff

    full = (
        '{"id":"M","currency":"EUR","tax_included":"YES","min_price":{"before_taxes":1,"after_taxes":2},'
        '"start_date_time":"2026-01-01T00:00:00Z","elements":[{"price_components":'
        '[{"type":"ENERGY","price":0.3999,"vat":19.0,"step_size":1},{"type":"FLAT","price":1,'
        '"step_size":1}],"restrictions":{"start_time":"20:00","end_time":"06:00","max_kwh":20.5,'
        '"max_duration":3600,"day_of_week":["MONDAY"]}},{"price_components":'
        '[{"type":"PARKING_TIME","price":6,"step_size":60}]}]}'
    )
    for text in (TARIFF, NIGHT, full):
        with Folder() as files:
            crc = binascii.crc32(text.encode())
            with open("%s/member-%08x.json" % (files, crc), "w") as f:
                f.write(text)
            assert member_tariff.load(files, crc) is None
            assert member_tariff.prepare(files, "EUR") == ""
            wanted = Tariff.from_json(text)
            got = member_tariff.load(files, crc)
            for name in wanted.__dict__:
                if name not in ("country_code", "party_id", "tariff_alt_url", "last_updated",
                                "tariff_alt_text"):  # fmt: skip
                    assert getattr(got, name) == getattr(wanted, name), name
            name = "%s/member-%08x.own" % (files, crc)
            with open(name) as f:
                whole = f.read()
            with open(name, "w") as f:
                f.write(whole[:-3])
            assert member_tariff.load(files, crc) is None, "cut"
            assert member_tariff.prepare(files, "EUR") == ""
            assert member_tariff.load(files, crc).id == wanted.id


def test_a_tariff_that_cannot_be_used_is_said_and_the_others_are_made_ready():
    from firmware.cards import member_tariff

    with Folder() as files:
        for text in (TARIFF, TARIFF.replace("EUR", "CHF"), '{"id":"X"}'):
            with open("%s/member-%08x.json" % (files, binascii.crc32(text.encode())), "w") as f:
                f.write(text)
        wrong = member_tariff.prepare(files, "EUR")
        assert wrong
        ready = [name for name in os.listdir(files) if name[-4:] == ".own"]
        assert ready == ["member-%08x.own" % binascii.crc32(TARIFF.encode())]
