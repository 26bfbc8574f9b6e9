"""No card data leaves the parser: whatever field a terminal puts it into."""

from firmware.errors import FrameError
from firmware.terminal import apdu, masking
from firmware.terminal.commands import build, tlv

PAN = "5413330089010434"
TRACK2 = PAN + "D30122010123456789"
TRACK1 = "B" + PAN + "^MUSTERMANN/ERIKA^30122010000000"
NAME = "MUSTERMANN/ERIKA"
SECRETS = (PAN, "330089010434", "41333008901", "2010123456", "MUSTERMANN", "30122010")


def _pack(digits):
    return bytes.fromhex(digits + ("F" if len(digits) % 2 else ""))


def _ll(data, digits=2):
    text = ("00" + str(len(data)))[-digits:]
    return bytes([0xF0 | int(d) for d in text]) + data


def _all_of(a):
    out = ""
    for key in dir(a):
        value = getattr(a, key)
        if isinstance(value, (str, tuple, int)):
            out += repr(value)
        elif isinstance(value, bytes):
            out += repr(value) + repr(list(value)) + (value.hex() if value else "")
    return out


def _check(made, where):
    data = bytearray(made)
    try:
        seen = _all_of(apdu.parse(data, b"salt"))
    except FrameError as e:
        seen = str(e)
    seen += bytes(data).hex() + repr(bytes(data))
    for secret in SECRETS:
        assert secret not in seen, (where, secret)
        assert secret.encode().hex() not in seen, (where, secret)


def test_pan_is_masked_first_six_last_four():
    for pan, shown in (
        (PAN, "541333******0434"),
        ("378282246310005", "378282*****0005"),
        ("6799998900000060018", "679999*********0018"),
        ("4000000000001", "400000***0001"),
        ("123456789012", "********9012"),
        ("1234", "1234"),
    ):
        data = bytearray(build(0x040F, b"\x22" + _ll(_pack(pan))))
        assert apdu.parse(data).pan == shown
        assert len(pan) < 16 or pan[6:-4] not in data.hex()


def test_masked_by_the_terminal_and_by_us_is_the_same_card():
    clear = apdu.parse(bytearray(build(0x040F, b"\x22" + _ll(_pack(PAN)))), b"salt")
    masked = apdu.parse(
        bytearray(build(0x040F, b"\x22" + _ll(_pack("541333EEEEEE0434")))), b"salt"
    )
    track = apdu.parse(bytearray(build(0x040F, b"\x23" + _ll(_pack(TRACK2)))), b"salt")
    assert clear.pan == masked.pan == track.pan
    assert clear.uid_hash == masked.uid_hash == track.uid_hash
    other = apdu.parse(bytearray(build(0x040F, b"\x22" + _ll(_pack(PAN)))), b"other")
    assert clear.uid_hash != other.uid_hash


def test_uid_is_hashed_whatever_its_padding():
    a = apdu.parse(bytearray(build(0x040F, tlv(6, tlv(0x4C, b"\x04\xa1\xb2\xc3")))), b"salt")
    padded = bytearray(build(0x040F, tlv(6, tlv(0x4C, b"\x00\x00\x04\xa1\xb2\xc3"))))
    b = apdu.parse(padded, b"salt")
    assert a.uid_hash == b.uid_hash and len(a.uid_hash) == 16
    assert "a1b2c3" not in padded.hex() and not a.aid


def test_card_data_in_every_bmp():
    for content in (_pack(PAN), _pack(TRACK2), PAN.encode(), TRACK1.encode(), NAME.encode()):
        for tag in range(256):
            for command in (0x040F, 0x060F, 0x061E, 0x0401, 0x06D3):
                first = b"\x6c" if command == 0x061E else b""
                _check(build(command, first, bytes((tag,)), _ll(content)), tag)
                _check(build(command, first, bytes((tag,)), _ll(content, 3)), tag)
                _check(build(command, first, bytes((tag,)), content), tag)
                _check(build(command, first, tlv(tag, content)), tag)


def test_card_data_in_every_tlv_tag():
    for content in (_pack(PAN), _pack(TRACK2), PAN.encode(), TRACK1.encode(), NAME.encode()):
        for tag in range(256):
            if tag & 0x1F != 0x1F:
                _check(build(0x040F, tlv(6, tlv(tag, content))), tag)
            if tag < 0x80:
                for high in (0x1F, 0x5F, 0x9F):
                    _check(build(0x040F, tlv(6, tlv(high << 8 | tag, content))), (high, tag))
                    _check(build(0x04FF, b"\x0a\x00", tlv(6, tlv(high << 8 | tag, content))), tag)


def test_card_data_in_printed_lines():
    for text in (
        PAN,
        "Card " + PAN + " ok",
        "5413 3300 8901 0434",
        "5413-3300-8901-0434",
        "PAN:" + PAN + "=30122010123456789",
        TRACK1,
        TRACK2,
        "Holder " + NAME,
        PAN + PAN,
    ):
        line = text.encode()
        _check(build(0x06D1, b"\x00", line), text)
        _check(build(0x06D3, tlv(6, tlv(0x1F07, b"\x02"), tlv(0x25, tlv(7, line)))), text)
        a = apdu.parse(bytearray(build(0x06D1, b"\x00", line)))
        flat = "".join(a.lines).replace(" ", "").replace("-", "")
        assert "330089" not in flat, text


def test_ordinary_lines_stay_as_they_are():
    for text in (
        "AID A0000000041010",
        "Terminal-Id: 52523535",
        "04.05.2023          22:55:58",
        "Betrag EUR 25,00",
        "VU-Nr. 804011926",
        "xxxxxxxxxxxx8074",
        "00008001//3F0002///",
        "30.11.2026          22:55:58",
        "2026-11-30 22:55:58",
        "0012   1.234,00   1.234,00  7",
        "Summe 4  12,00  3,00  15,00",
    ):
        assert apdu.parse(bytearray(build(0x06D1, b"\x00", text.encode()))).lines == (text,)


# test numbers of the schemes
PANS = ("4111111111111111", "5413330089010434", "378282246310005", "6799998900000060018",
        "4222222222222", "30569309025904", "2223003122003222", "6011111111111117")  # fmt: skip
APART = (b"", b"\0", b"\0\0", b" ", b"  ", b"-", b".", b"/", b",", b"\n", b"\t", b"\x01", b"\x1b",
         b"\x80", b"\xff", b"\x81", b"'", b" - ", b"\x7f\0 ", b"*", b"?", b":", b"=",
         b"_")  # fmt: skip


def _below(state, n):
    state[0] = (state[0] * 1103515245 + 12345) & 0x7FFFFFFF
    return (state[0] >> 8) % n


def _has_moment(text):
    """Whether some of it reads as a date, time or sum: three parts in ten characters, or two with
    two figures behind the last sign.
    """
    words = "".join([chr(b) if 44 <= b < 59 else " " if 32 <= b < 127 or b in b"\x81\xe1" else ""
                     for b in text]).split()  # fmt: skip
    for word in words:
        word = word.strip(",-./:")
        plain = word
        for sign in "-/:,":
            plain = plain.replace(sign, ".")
        parts = len([part for part in plain.split(".") if part])
        if len(word) < 11 and (parts == 3 or (parts == 2 and word[-3:-2] in (",", ".", ":"))):
            return True
    return False


def _spliced(state, pan):
    """The number with separators in it, in whatever text."""
    text = (b"", b"Card ", b"PAN:", b"\0", b"12.05.  ", b"\xe1")[_below(state, 6)]
    apart = APART[_below(state, len(APART))]
    group = 3 + _below(state, 9)
    for i in range(len(pan)):
        if i and (i % group == 0 if group < 8 else not _below(state, 5)):
            several = _below(state, 3)
            apart = APART[_below(state, len(APART))] if not several else apart
            text += apart
        text += pan[i].encode()
    return text + (b"", b" ok", b"\0\0", b"=2512", b"\xff")[_below(state, 5)]


def _digits(text):
    """What a reader sees who overlooks all that is no letter, digit or star."""
    return "".join([c for c in text if "0" <= c <= "9" or c.isalpha()])


def _texts_of(made):
    """All texts that leave the parser, and what is left in the buffer."""
    data = bytearray(made)
    a = apdu.parse(data, b"salt")
    left = bytes(data)
    seen = ["\n".join(a.lines), " ".join(a.lines), a.vu, a.auth_code, a.card, a.pan]
    return seen + ["".join([chr(b) if 32 <= b < 127 else " " for b in left])]


def test_no_number_comes_out_whatever_stands_between_its_digits():
    state = [26]
    tried = 0
    while tried < 400:
        pan = PANS[_below(state, len(PANS))]
        text = _spliced(state, pan)
        if _has_moment(text.replace(b"12.05.", b"")):
            continue
        tried += 1
        for made in (
            build(0x06D1, b"\x00", text),
            build(0x06D3, tlv(6, tlv(0x25, tlv(7, text)))),
            build(0x04FF, b"\x0a\x00", tlv(6, tlv(0x24, tlv(7, text)))),
            build(0x040F, b"\x8b" + _ll(text)),
        ):
            for seen in _texts_of(made):
                assert pan not in _digits(seen), (text, seen)


def test_no_number_comes_out_where_a_terminal_pads_inside_it():
    for apart in APART:
        for cut in (1, 4, 6, 8, 12, 15):
            text = b"X " + PANS[0][:cut].encode() + apart + PANS[0][cut:].encode() + b" Y"
            for seen in _texts_of(build(0x06D1, b"\x00", text)):
                assert PANS[0] not in _digits(seen), (apart, cut)


def test_what_a_number_shows_is_its_first_six_and_last_four():
    for text, shown in (
        (b"41111111\x0011111111", "411111******1111"),
        (b"4111\x80\x801111//1111\n1111 Y", "4111??11**//****?1111 Y"),
        (b"  4111  1111  1111  1111", "  4111  11**  ****  1111"),
        (b"0042 / 4111 / 1111 / 1111 / 1111", "0042 / 4111 / 11** / **** / 1111"),
    ):
        line = masking.take_text(memoryview(bytearray(text)))
        assert line == shown, line


def test_two_lines_are_no_number_together():
    for first, second in (("41111111", "11111111"), ("Card 4111 1111 11", "11 1111 ok")):
        lines = tlv(7, first.encode()) + tlv(7, second.encode())
        for made in (
            build(0x06D3, tlv(6, tlv(0x25, lines))),
            build(0x04FF, b"\x0a\x00", tlv(6, tlv(0x24, lines))),
        ):
            for seen in _texts_of(made):
                assert PANS[0] not in _digits(seen), seen
        text = masking.scrub_lines(first + "\n" + second + "\n")
        assert len(text) == len(first + second) + 2 and PANS[0] not in _digits(text)
    plain = "Betrag EUR 25,00\n30.11.2026  22:55:58\n"
    assert masking.scrub_lines(plain) is plain


def test_a_token_keeps_no_number_beside_letters():
    for text, token in (
        (b"4222222222222A1", "422222***2222A1"),
        (b"A4222222222222B", ""),
        (b"V10401192612345", "V104011****2345"),
    ):
        assert masking.take_token(memoryview(bytearray(text))) == token, text


def test_line_characters_of_the_terminal():
    assert masking.take_text(memoryview(bytearray(b"f\x81r \x94\x00  "))) == "für ö"


def test_card_names_are_schemes_only():
    for text, name in (
        (b"MasterCard\x00", "MasterCard"),
        (b"VISA", "VISA"),
        (b"girocard", "girocard"),
        (b"ERIKA MUSTERMANN", "card"),
        (b"visa erika mustermann", "visa"),
        (b"", "card"),
    ):
        assert masking.take_name(memoryview(bytearray(text))) == name


def test_tokens_are_numbers_of_contracts_not_of_cards():
    for text, token in (
        (b"750071\x00\x00", "750071"),
        (b"804011926      ", "804011926"),
        (b"104011926123456", "104011926123456"),
        (b"455600012345678", "455600*****5678"),  # a card's, cut off in the field's 15 bytes?
        (b"555555555555444", "555555*****5444"),
        (b"222300312200322", "222300*****0322"),
        (b"272100312200322", "272100312200322"),
        (b"601111111111111", "601111*****1111"),
        (b"378282246310005", ""),
        (b"ERIKA M", ""),
        (b"12=45", ""),
    ):
        view = memoryview(bytearray(text))
        assert masking.take_token(view) == token
        if "*" in token:
            assert bytes(view) == token.encode()
