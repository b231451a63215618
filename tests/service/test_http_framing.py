"""What is not HTTP/1 to the letter is refused and the connection ends: through raw sockets, and
with a real nginx in front."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Iterator

import pytest
from conftest import Started
from processes import Nginx, find_nginx
from service import Service
from wire import Wire, ask, statuses

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /nowhere HTTP/1.1\r\nHost: a\r\n"
SECOND = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

REFUSED = {
    "two lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "one length twice": (400, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    "a list of lengths": (400, POST + b"Content-Length: 5, 5\r\n\r\nhello"),
    "a signed length": (400, POST + b"Content-Length: +5\r\n\r\nhello"),
    "length and chunks": (
        400,
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "two encodings": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunks in 1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a bare LF in the head": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    "a bare LF at its end": (400, GET + b"\n"),
    "a bare CR": (400, GET + b"X: a\rb\r\n\r\n"),
    "a bare LF in a chunk": (400, POST + b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n"),
    "a bad size": (400, POST + b"Transfer-Encoding: chunked\r\n\r\n1g\r\nx\r\n0\r\n\r\n"),
    "a long size": (400, POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 300),
    "folding": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "a NUL": (400, GET + b"X: a\0b\r\n\r\n"),
    "no name": (400, GET + b": b\r\n\r\n"),
    "a blank before the colon": (400, GET + b"Content-Length : 0\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, GET + b"Host: b\r\n\r\n"),
    "a host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a whole URL": (400, b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "another version": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "no version": (400, b"GET /\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n"),
    "a huge head": (431, GET + b"X: " + b"x" * 20000 + b"\r\n\r\n"),
    "a huge target": (431, b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n"),
    "many headers": (431, GET + b"x:\r\n" * 200 + b"\r\n"),
    "a huge body": (413, POST + b"Content-Length: 524289\r\n\r\n"),
    "a huge chunk": (413, POST + b"Transfer-Encoding: chunked\r\n\r\n80001\r\n"),
    "another expectation": (417, POST + b"Expect: wonders\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")).start() as service:
        yield service


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_a_sentence_and_nothing_behind_it_is_read(
    shared: Service, what: str
) -> None:
    status, request = REFUSED[what]
    answer = ask(shared.port, request + SECOND)
    assert statuses(answer) == [status]
    assert b'"detail":"' in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer


@pytest.mark.parametrize("what", REFUSED)
def test_the_verdict_is_the_same_byte_by_byte(shared: Service, what: str) -> None:
    status, request = REFUSED[what]
    wire = Wire(shared.port)
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(min(len(request), 300)):
        wire.send(request[at : at + 1])
    answer = wire.send(request[300:]).end()
    assert statuses(answer) == [status]


def test_pipelined_requests_are_answered_in_order(shared: Service) -> None:
    requests = GET + b"\r\n" + POST + b"Content-Length: 3\r\n\r\nabc" + GET + b"\r\n" + SECOND
    answers = ask(shared.port, requests)
    assert statuses(answers) == [200, 404, 200, 200]


def test_a_thousand_pipelined_requests_are_all_answered(shared: Service) -> None:
    answers = ask(shared.port, (GET + b"\r\n") * 999 + SECOND)
    assert statuses(answers) == [200] * 1000


def test_chunks_are_read(shared: Service) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nA: b\r\n\r\n"
    assert statuses(ask(shared.port, POST + chunks + SECOND)) == [404, 200]


def test_http_1_0_ends_the_connection_unless_asked(shared: Service) -> None:
    assert statuses(ask(shared.port, b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]
    wire = Wire(shared.port).send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive" in wire.until(b"ok\n")
    assert statuses(wire.send(SECOND).end()) == [200, 200]


@pytest.mark.skipif(not find_nginx(), reason="nginx is not installed")
def test_it_works_behind_nginx_over_lasting_connections_and_others(
    shared: Service, tmp_path: Path
) -> None:
    for keepalive in (0, 4):
        with Nginx(tmp_path, shared.port, keepalive=keepalive, name=f"nginx{keepalive}") as front:
            front.start()
            wire = Wire(front.port)
            for number in range(20):
                wire.send(GET + b"\r\n")
                while wire.received.count(b"ok\n") <= number:
                    wire.received += wire.socket.recv(65536)
            wire.close()
            large = POST + b"Content-Length: 524288\r\nConnection: close\r\n\r\n" + b"x" * 524288
            assert statuses(ask(front.port, large)) == [404]


def test_a_trusted_proxy_does_not_count_as_a_peer(serve: Started) -> None:
    service = serve("--connections-a-peer", "2", "--trusted-proxy", "127.0.0.1")
    wires = [Wire(service.port).send(GET + b"\r\n") for _ in range(5)]
    for wire in wires:
        wire.until(b"ok\n")
        wire.close()
