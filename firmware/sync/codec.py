"""MQTT 3.1.1 packets by umqtt.simple 1.3.4, used as a pure codec: it never sees a socket.

Goals: umqtt writes into a buffer (one write per packet) and reads only from whole packets whose
lengths were checked first, so that none of its blocking loops and unchecked reads can be reached.
Limits: no QoS 2; an incoming packet of more than 12 KiB is drained and reported without its
payload; topics of at most 120 bytes. Sources: MQTT 3.1.1 (OASIS, 2014-10-29), sections 2.2 and 3;
umqtt's faults: shared/facts/micropython.md.
"""

import umqtt.simple as simple
from micropython import const

from firmware.errors import LinkError

CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)

MAX_PACKET = 12288
_SMALL = const(512)
_KEPT = const(256)  # of a drained packet: enough for its topic and packet id
_MAX_TOPIC = const(120)  # umqtt writes a SUBSCRIBE's length as one byte


class _Pipe:
    """What umqtt takes for its socket (and, during connect, for the module `socket`)."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.source = b""
        self.at = 0

    def load(self, source) -> None:
        """What the next reads give."""
        self.source = source
        self.at = 0

    def read(self, n: int) -> bytes:
        data = bytes(self.source[self.at : self.at + n])
        self.at += n
        return data

    def write(self, data, n: int = -1) -> None:
        self.out.extend(data if n < 0 else data[:n])

    def socket(self) -> "_Pipe":
        return self

    def getaddrinfo(self, _host, _port):
        return ((None,),)

    def setblocking(self, _flag) -> None:
        pass

    connect = setblocking


class Codec:
    """One connection's packets. `on_message(topic, payload)` gets bytes; payload None: too large,
    or there was no memory for it."""

    def __init__(self, client_id: bytes, keepalive_s: int, on_message) -> None:
        self._pipe = _Pipe()
        self._client = simple.MQTTClient(client_id, "", keepalive=keepalive_s)
        self._client.sock = self._pipe
        self._client.set_callback(on_message)
        self._on_message = on_message
        self._small = memoryview(bytearray(_SMALL))
        self.code = 0  # return code of the last CONNACK or SUBACK
        self.pid = 0  # packet id of the last PUBACK or SUBACK
        self.retain = 0  # whether the PUBLISH that is handled was retained
        self._next()

    # -- out

    def take(self) -> bytearray:
        """The packets encoded since the last call (acknowledgements of incoming ones among
        them)."""
        data = self._pipe.out
        self._pipe.out = bytearray()
        return data

    def connect(self, will_topic: bytes, will: bytes) -> None:
        """CONNECT with a clean session and a retained last will at QoS 1."""
        self._client.set_last_will(will_topic, will, True, 1)
        kept = simple.socket
        simple.socket = self._pipe  # type: ignore[assignment]
        try:
            self._pipe.load(b"\x20\x02\x00\x00")
            self._client.connect()
        finally:
            simple.socket = kept
        self._client.sock = self._pipe

    def publish(self, topic: bytes, payload: bytes, retain: bool, pid: int) -> None:
        """PUBLISH; `pid` 0: QoS 0, else QoS 1 with this packet id."""
        if pid:
            self._expect(b"\x40\x02", pid, b"")
        self._client.publish(topic, payload, retain, 1 if pid else 0)

    def subscribe(self, topic: bytes, pid: int) -> None:
        """SUBSCRIBE at QoS 1."""
        if len(topic) > _MAX_TOPIC:
            raise LinkError("topic too long")
        self._expect(b"\x90\x03", pid, b"\x01")
        self._client.subscribe(topic, 1)

    def ping(self) -> None:
        self._client.ping()

    def disconnect(self) -> None:
        self._pipe.write(b"\xe0\0")  # umqtt would close the socket, too

    def _expect(self, head: bytes, pid: int, tail: bytes) -> None:
        """umqtt counts packet ids itself and waits for the answer: it gets one at once. The real
        one comes later."""
        self._client.pid = pid - 1
        self._pipe.load(head + bytes((pid >> 8, pid & 255)) + tail)

    # -- in

    def _next(self) -> None:
        self._buf = self._small
        self._have = 0
        self._body = 0  # where it begins; 0: the length is not known yet
        self._end = 0
        self._drain = False

    def room(self):
        """The memoryview the next received bytes go to: never more than the packet still lacks."""
        have = self._have
        if not self._body:
            return self._buf[have : max(2, have + 1)]
        if not self._drain:
            return self._buf[have : self._end]
        if have >= _KEPT:
            return self._buf[_KEPT : min(_SMALL, _KEPT + self._end - have)]
        return self._buf[have:_KEPT]

    def took(self, n: int) -> int:
        """`n` bytes were put into room(); answers the packet's type when it is whole and handled,
        else 0.

        Raises LinkError for what no broker may send.
        """
        self._have += n
        if not self._body and not self._header():
            return 0
        if self._have < self._end:
            return 0
        op = self._buf[0]
        self._whole(op)
        self._next()
        return op & 0xF0

    def _header(self) -> bool:
        have = self._have
        head = self._buf
        if have < 2 or head[have - 1] & 0x80:
            if have == 5:
                raise LinkError("malformed packet")
            return False
        size = 0
        for i in range(have - 1, 0, -1):
            size = size << 7 | head[i] & 0x7F
        _check(head[0], size)
        self._body = have
        self._end = end = have + size
        if end > _SMALL:
            self._drain = True
            if end <= MAX_PACKET:
                try:
                    self._buf = memoryview(bytearray(end))
                    self._buf[:have] = head[:have]
                    self._drain = False
                except MemoryError:
                    pass  # drained
        return True

    def _whole(self, op: int) -> None:
        body = self._buf[self._body :]
        first = body[0] << 8 | body[1] if self._end > 2 else 0
        if op & 0xF0 == PUBLISH:
            end = 2 + first + (op & 2)
            if end > (_KEPT - 5 if self._drain else self._end - self._body):
                raise LinkError("malformed packet")
            self.retain = op & 1
            if not self._drain:
                self._pipe.load(self._buf)
                try:
                    self._client.check_msg()
                    return
                except MemoryError:
                    if self._pipe.at == self._end:
                        raise  # not of its copy: the message was handed on
            # acknowledged, or it would come again
            self._on_message(bytes(body[2 : 2 + first]), None)
            if op & 2:
                self._pipe.write(b"\x40\x02")
                self._pipe.write(body[end - 2 : end])
            return
        elif op != PINGRESP:
            self.pid = first
            self.code = body[2 if op == SUBACK else 1]
            return
        self._pipe.load(self._buf)
        self._client.check_msg()


def _check(op: int, size: int) -> None:
    if op & 0xF0 == PUBLISH:
        ok = size >= 3 and op & 6 in (0, 2)
    elif op == SUBACK:
        ok = size == 3
    elif op in (CONNACK, PUBACK):
        ok = size == 2
    else:
        ok = op == PINGRESP and size == 0
    if not ok:
        raise LinkError("malformed packet")
