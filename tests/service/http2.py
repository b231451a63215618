"""HTTP/2 by hand, so that a request can be what no library would send."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import List, Tuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4

Field = Tuple[bytes, bytes]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value: bytes) -> bytes:
    """A string of HPACK without Huffman's code."""
    more = len(value) - 127
    length = bytes([len(value)]) if more < 0 else bytes([127])
    while more >= 128:
        length += bytes([more % 128 + 128])
        more //= 128
    return length + (bytes([more]) if len(value) >= 127 else b"") + value


def fields(wanted: List[Field]) -> bytes:
    return b"".join(b"\0" + text(name) + text(value) for name, value in wanted)


def request(stream: int, wanted: List[Field], body: bytes = b"") -> bytes:
    flags = END_HEADERS | (0 if body else END_STREAM)
    head = frame(HEADERS, flags, stream, fields(wanted))
    return head + (frame(DATA, END_STREAM, stream, body) if body else b"")


def open_wire(port: int, trust: ssl.SSLContext, protocol: str, timeout: float) -> ssl.SSLSocket:
    """TLS with "h2" or "http/1.1" agreed upon."""
    trust.set_alpn_protocols([protocol])
    plain = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    wire = trust.wrap_socket(plain, server_hostname="127.0.0.1")
    assert wire.selected_alpn_protocol() == protocol
    return wire


def answer(wire: ssl.SSLSocket, request: bytes) -> bytes:
    """What is answered to the first request of a connection: its frames' payloads until the stream or
    the connection ends."""
    received, answered = b"", b""
    try:
        wire.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + request)
        while True:
            while len(received) < 9 or len(received) < 9 + int.from_bytes(received[:3], "big"):
                more = wire.recv(65536)
                if not more:
                    return answered
                received += more
            length, kind, flags = int.from_bytes(received[:3], "big"), received[3], received[4]
            stream = int.from_bytes(received[5:9], "big")
            answered += received[9 : 9 + length] if stream else b""
            received = received[9 + length :]
            ended = stream and kind in (DATA, HEADERS) and flags & END_STREAM
            if ended or kind in (RST_STREAM, GOAWAY):
                return answered
    except (ConnectionError, ssl.SSLError):
        return answered
