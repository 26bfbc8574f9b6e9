"""The MQTT codec over umqtt.simple, with literal packets of MQTT 3.1.1."""

from firmware.errors import LinkError
from tests.pure.sync_support import refused

from firmware.sync import codec as mqtt  # isort: skip

GOT: list = []


def new():
    GOT.clear()
    return mqtt.Codec(b"CP1", 30, lambda topic, payload: GOT.append((topic, payload)))


def put(codec, data, most=10000):
    """Feeds bytes as a stream would, `most` at a time; the types of the packets that became
    whole."""
    kinds = []
    at = 0
    while at < len(data):
        room = codec.room()
        n = min(len(room), most, len(data) - at)
        assert n > 0
        room[:n] = data[at : at + n]
        at += n
        kind = codec.took(n)
        if kind:
            kinds.append(kind)
    return kinds


def publish(topic, payload, pid=0):
    body = bytes((len(topic) >> 8, len(topic) & 255)) + topic
    if pid:
        body += bytes((pid >> 8, pid & 255))
    body += payload
    size = len(body)
    head = [0x32 if pid else 0x30]
    while True:
        head.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return bytes(head) + body


def test_connect_has_a_clean_session_keepalive_and_a_retained_will_at_qos_1():
    codec = new()
    codec.connect(b"t/status", b"{}")
    wanted = b"\x10\x1d\x00\x04MQTT\x04\x2e\x00\x1e\x00\x03CP1\x00\x08t/status\x00\x02{}"
    assert bytes(codec.take()) == wanted, codec.take()
    assert bytes(codec.take()) == b""


def test_publish_at_qos_0_and_1():
    codec = new()
    codec.publish(b"t", b"hi", True, 0)
    codec.publish(b"t", b"hi", False, 0x1234)
    assert bytes(codec.take()) == b"\x31\x05\x00\x01thi" + b"\x32\x07\x00\x01t\x12\x34hi"


def test_a_packet_id_may_be_the_highest_and_the_lowest():
    codec = new()
    for pid in (1, 65534):
        codec.publish(b"t", b"", False, pid)
        assert bytes(codec.take()) == b"\x32\x05\x00\x01t" + bytes((pid >> 8, pid & 255))


def test_a_long_payload_has_a_length_of_several_bytes():
    codec = new()
    codec.publish(b"t", b"x" * 20000, False, 0)
    packet = bytes(codec.take())
    assert packet[:7] == b"\x30\xa3\x9c\x01\x00\x01t" and len(packet) == 4 + 20003


def test_subscribe_asks_for_qos_1_and_ping_and_disconnect_are_two_bytes():
    codec = new()
    codec.subscribe(b"a/b", 7)
    assert bytes(codec.take()) == b"\x82\x08\x00\x07\x00\x03a/b\x01"
    codec.ping()
    codec.disconnect()
    assert bytes(codec.take()) == b"\xc0\x00\xe0\x00"
    refused(LinkError, codec.subscribe, b"x" * 121, 7)


def test_answers_give_their_type_code_and_id():
    codec = new()
    assert put(codec, b"\x20\x02\x00\x05") == [mqtt.CONNACK] and codec.code == 5
    assert put(codec, b"\x90\x03\x01\x02\x80") == [mqtt.SUBACK] and (codec.pid, codec.code) == (
        0x102,
        0x80,
    )
    assert put(codec, b"\x40\x02\xff\xfe") == [mqtt.PUBACK] and codec.pid == 65534
    assert put(codec, b"\xd0\x00") == [mqtt.PINGRESP]


def test_messages_come_whole_however_the_bytes_arrive():
    stream = (
        publish(b"a", b"one") + b"\xd0\x00" + publish(b"b", b"", 5) + publish(b"c", b"z" * 600, 6)
    )
    for most in (1, 2, 3, 7, 10000):
        codec = new()
        kinds = put(codec, stream, most)
        assert kinds == [0x30, 0xD0, 0x30, 0x30], kinds
        assert GOT == [(b"a", b"one"), (b"b", b""), (b"c", b"z" * 600)]
        assert bytes(codec.take()) == b"\x40\x02\x00\x05\x40\x02\x00\x06"


def test_messages_around_the_size_of_the_buffer():
    for size in (505, 506, 507, 508, 509, 12281):
        codec = new()
        put(codec, publish(b"t", b"x" * size))
        assert GOT == [(b"t", b"x" * size)]


def test_a_message_too_large_is_drained_reported_and_acknowledged():
    for most in (1000, 10000):
        codec = new()
        kinds = put(codec, publish(b"f/config", b"x" * 20000, 9) + publish(b"t", b"next"), most)
        assert kinds == [0x30, 0x30]
        assert GOT == [(b"f/config", None), (b"t", b"next")]
        assert bytes(codec.take()) == b"\x40\x02\x00\x09"


def test_what_no_broker_may_send_is_refused():
    for packet in (
        b"\x20\x03\x00\x00\x00",  # CONNACK of three bytes
        b"\x40\x01\x00",
        b"\x42\x02\x00\x01",  # flags
        b"\x90\x02\x00\x01",
        b"\xd0\x01\x00",
        b"\x30\x00",  # PUBLISH without a topic
        b"\x30\x03\x00\x09t",  # topic longer than the packet
        b"\x32\x03\x00\x01t",  # QoS 1 without packet id
        b"\x34\x05\x00\x01t\x00\x01",  # QoS 2
        b"\x36\x05\x00\x01t\x00\x01",
        b"\x10\x02\x00\x00",  # a client's packet
        b"\x82\x02\x00\x00",
        b"\x00\x00",
        b"\xff\x00",
        b"\x30\xff\xff\xff\xff\x01",  # length of five bytes
    ):
        codec = new()
        refused(LinkError, put, codec, packet)
        assert not GOT


def test_a_drained_message_with_an_endless_topic_is_refused():
    codec = new()
    refused(LinkError, put, codec, b"\x32\xa0\x9c\x01\xff\xff" + b"t" * 20000)


def test_a_payload_there_is_no_memory_for_is_handed_on_as_none_and_the_next_is_read():
    codec = new()
    pipe = codec._pipe
    read = pipe.read

    def short(n):
        if n > 8000:
            raise MemoryError("memory allocation failed")
        return read(n)

    pipe.read = short
    packet = publish(b"t/command", b"x" * 9000, 0x1234)
    assert put(codec, packet + publish(b"t", b"hi")) == [mqtt.PUBLISH, mqtt.PUBLISH]
    assert GOT == [(b"t/command", None), (b"t", b"hi")]
    assert bytes(codec.take()) == b"\x40\x02\x12\x34"


def test_a_lack_of_memory_of_who_gets_the_message_stays_his():
    def busy(topic, payload):
        GOT.append((topic, payload))
        raise MemoryError("memory allocation failed")

    GOT.clear()
    codec = mqtt.Codec(b"CP1", 30, busy)
    try:
        put(codec, publish(b"t", b"hi"))
    except MemoryError:
        GOT.append("raised")
    assert GOT == [(b"t", b"hi"), "raised"]
