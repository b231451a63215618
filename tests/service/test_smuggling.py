"""Requests that two programs may understand differently, through nginx and HAProxy as they are
shipped: whatever they let pass, the next clients on their lasting connections to the service get
the answers to what they asked, and not one to what was hidden in another's request."""

from __future__ import annotations

import ssl
from typing import Dict, Iterator, List, Tuple

import http2
import pytest
from certificates import make_certificates
from dynoscaled import wait_for
from fronts import FRONTS, Front
from service import PATIENCE, Service
from test_http_framing import GET, POST, REFUSED
from wire import statuses

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = GET + b"Connection: close\r\n\r\n"
LENGTH = str(len(HIDDEN)).encode()
CHUNKED = b"0\r\n\r\n"

# Beside those that the service refuses from anybody: what proxies were known to read otherwise.
DISPUTED = {
    "an unknown encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "a tab before it": POST + b"Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n" + CHUNKED,
    "a vertical tab before it": POST + b"Content-Length: 5\r\nTransfer-Encoding:\x0bchunked\r\n\r\n" + CHUNKED,
    "a blank before its colon": POST + b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "it folded": POST + b"Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKED,
    "two of it": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKED,
    "identity and it": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n" + CHUNKED,
    "a quoted one": POST + b'Content-Length: 5\r\nTransfer-Encoding: "chunked"\r\n\r\n' + CHUNKED,
    "an underscore in it": POST + b"Transfer_Encoding: chunked\r\n\r\n" + CHUNKED,
    "an underscore in the length": POST + b"Content_Length: " + LENGTH + b"\r\n\r\n",
    "its name behind a CR": POST + b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "its name behind a LF": POST + b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "its name behind a NUL": POST + b"X: a\0\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length with noughts": POST + b"Content-Length: 0005\r\n\r\nhello",
    "two lengths in one": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "a length of a GET": GET + b"Content-Length: " + LENGTH + b"\r\n\r\n",
    "a chunk beyond 64 bits": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n" + CHUNKED,
    "an extension with a LF": POST + b"Transfer-Encoding: chunked\r\n\r\n5;x=\ny\r\nhello\r\n" + CHUNKED,
    "a bare CR behind a size": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\rhello\r\n" + CHUNKED,
    "no CRLF behind a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello" + CHUNKED,
    "a trailer that is a length": POST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: " + LENGTH + b"\r\n\r\n",
    "an expectation": POST + b"Expect: 100-continue\r\nContent-Length: " + LENGTH + b"\r\n\r\n",
    "an upgrade": GET + b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    "a host in the target": b"GET http://b/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /healthz#\r\nHost: a\r\n\r\n",
    "a connection that names the length": POST + b"Connection: Content-Length\r\nContent-Length: " + LENGTH + b"\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/1.2": b"POST / HTTP/1.2\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
}

# They are not as long as they say: a proxy waits for the rest.
ENDLESS = ["a huge body", "a huge chunk"]

HEAD: List[http2.Field] = [
    (b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/nowhere"), (b":authority", b"a"),
]  # fmt: skip


def head(**changed: bytes) -> List[http2.Field]:
    return [(name, changed.get(name[1:].decode(), value)) for name, value in HEAD]


# HTTP/2 has lengths of its own; what it says beside them must not reach HTTP/1.
OF_HTTP_2: Dict[str, Tuple[List[http2.Field], bytes]] = {
    "a length that is too short": ([*HEAD, (b"content-length", b"0")], HIDDEN),
    "a length that is too long": ([*HEAD, (b"content-length", b"400")], b"x"),
    "two lengths": ([*HEAD, (b"content-length", b"0"), (b"content-length", LENGTH)], HIDDEN),
    "an encoding": ([*HEAD, (b"transfer-encoding", b"chunked")], CHUNKED + HIDDEN),
    "an encoding in a value": ([*HEAD, (b"x", b"a\r\nTransfer-Encoding: chunked")], CHUNKED + HIDDEN),
    "an encoding in a name": ([*HEAD, (b"x: a\r\ntransfer-encoding", b"chunked")], CHUNKED + HIDDEN),
    "an end of the head in a value": ([*HEAD, (b"x", b"a\r\n\r\n" + HIDDEN)], b""),
    "a request in the path": (head(path=b"/ HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden"), b""),
    "a request in the method": (head(method=b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\nGET"), b""),
    "a request in the authority": (head(authority=b"a\r\n\r\n" + HIDDEN), b""),
    "a connection header": ([*HEAD, (b"connection", b"content-length")], b"x"),
    "a name in capitals": ([*HEAD, (b"Content-Length", b"0")], HIDDEN),
    "a NUL in a value": ([*HEAD, (b"x", b"a\0b")], HIDDEN),
}


@pytest.fixture(scope="module", params=FRONTS)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("smuggling")
    arguments = ["--trusted-proxy", "127.0.0.1", "--public-url", "https://127.0.0.1"]
    with Service(folder, *arguments).start() as service:
        with request.param(folder, service.port, make_certificates(folder)).start() as proxy:
            wait_for(lambda: proxy.request("GET", "/healthz").status == 200, "the proxy finds the service")
            yield proxy


def ask(front: Front, data: bytes) -> bytes:
    """All that is answered over HTTP/1.1 until the proxy closes."""
    wire = http2.open_wire(front.port, front.trust, "http/1.1", PATIENCE)
    received = b""
    try:
        wire.sendall(data)
        while more := wire.recv(65536):
            received += more
    except (ConnectionError, ssl.SSLError):
        pass
    wire.close()
    return received


def expect_own_answers(front: Front, what: str) -> None:
    for _ in range(2):
        victim = ask(front, LAST)
        assert statuses(victim) == [200] and victim.endswith(b"ok\n"), (what, victim)


def test_a_request_is_never_begun_in_another_ones_body(front: Front) -> None:
    refused = {name: one for name, (_, one) in REFUSED.items() if name not in ENDLESS}
    for what, request in {**refused, **DISPUTED}.items():
        ask(front, request + HIDDEN + LAST)
        expect_own_answers(front, what)


def test_nothing_is_smuggled_through_http_2(front: Front) -> None:
    for what, (fields, body) in OF_HTTP_2.items():
        wire = http2.open_wire(front.port, front.trust, "h2", PATIENCE)
        http2.answer(wire, http2.request(1, fields, body))
        wire.close()
        expect_own_answers(front, what)


def test_a_plain_request_passes_over_http_2(front: Front) -> None:
    """So that the test above is not one of a client that nobody understands."""
    wire = http2.open_wire(front.port, front.trust, "h2", PATIENCE)
    received = http2.answer(wire, http2.request(1, head(method=b"GET", path=b"/healthz")))
    wire.close()
    assert b"ok\n" in received
