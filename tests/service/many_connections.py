"""CONNECTIONS=20000 connections to one service at once, from four processes and as many addresses. Run by
`make test-connections`, since it opens as many files as there may be."""

from __future__ import annotations

import os
import resource
import selectors
import socket
import subprocess
import sys
import time
from typing import List, Tuple

from conftest import Started
from reports import add_app, csv, headers
from service import Service

CONNECTIONS = int(os.environ.get("CONNECTIONS", "20000"))
SENDERS = 4
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
# What the service keeps for its own files: see raise_files in service/src/serve/serve.c.
RESERVED = 200


def connect(source: str, port: int) -> socket.socket:
    one = socket.socket()
    one.bind((source, 0))
    one.connect(("127.0.0.1", port))
    return one


def answers(held: List[socket.socket]) -> Tuple[List[socket.socket], int]:
    """Those that were answered, and how many the service closed instead."""
    served = []
    with selectors.DefaultSelector() as selector:
        for one in held:
            selector.register(one, selectors.EVENT_READ, one)
        while selector.get_map():
            for key, _ in selector.select():
                selector.unregister(key.fileobj)
                try:
                    received = key.data.recv(4096)
                except ConnectionResetError:
                    received = b""
                if received.endswith(b"ok\n"):
                    served.append(key.data)
    return served, len(held) - len(served)


def sender(source: str, port: int, count: int) -> None:
    """One process of many: tells how many were served, then asks again on all of them when told to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for _ in range(count):
        one = connect(source, port)
        try:
            one.sendall(GET)
        except OSError:
            pass  # closed already
        held.append(one)
    while True:
        held, closed = answers(held)
        print(len(held), closed, flush=True)
        if not sys.stdin.readline():
            return
        for one in held:
            one.sendall(GET)


class Senders:
    def __init__(self, port: int, count: int) -> None:
        each = [count // SENDERS + (i < count % SENDERS) for i in range(SENDERS)]
        self.all = [
            subprocess.Popen(
                [sys.executable, __file__, f"127.0.0.{10 + i}", str(port), str(number)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for i, number in enumerate(each)
        ]  # fmt: skip

    def told(self) -> Tuple[int, int]:
        """How many were served, and how many closed, by all of them."""
        lines = [one.stdout.readline().split() for one in self.all if one.stdout]
        return sum(int(line[0]) for line in lines), sum(int(line[1]) for line in lines)

    def again(self) -> None:
        for one in self.all:
            assert one.stdin
            one.stdin.write("\n")
            one.stdin.flush()

    def end(self) -> None:
        for one in self.all:
            assert one.stdin
            one.stdin.close()
            assert one.wait() == 0


def resident(service: Service) -> float:
    return service.metric("resident_bytes")


def test_all_that_the_system_has_files_for_are_served_and_the_rest_closed(serve: Started) -> None:
    limits = ("--connections", str(CONNECTIONS + 100), "--connections-a-peer", str(CONNECTIONS))
    # The first ones wait until the last ones have come, which nobody here may call too slow.
    service = serve(*limits, "--idle-ms", "3600000", "--head-ms", "3600000")
    path = add_app(service)
    before, open_before = resident(service), service.metric("http_connections")
    senders = Senders(service.port, CONNECTIONS)
    served, closed = senders.told()
    assert served + closed == CONNECTIONS
    possible = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - RESERVED
    assert served >= min(CONNECTIONS, possible), (served, closed)
    assert service.metric("http_connections") == open_before + served
    during = resident(service)
    print(f"\n{served} served, {closed} closed; {(during - before) / served:.0f} bytes of memory each")

    # The command line is let in, and all of them are still served.
    assert service.local_get("/healthz").status == 200
    if closed == 0:
        row = csv([(int(time.time()), 1, "web", "")])
        assert service.request("POST", path, row, headers("1" * 32)).status == 200
    senders.again()
    assert senders.told() == (served, 0)
    senders.end()
    service.wait_until(lambda: service.metric("http_connections") <= open_before, "forget them", 600)
    assert service.get("/healthz").status == 200


def test_with_the_usual_limits_others_are_served_all_the_same(serve: Started) -> None:
    """2,000 of one address, 10,000 of all."""
    service = serve("--idle-ms", "3600000", "--head-ms", "3600000")
    senders = Senders(service.port, CONNECTIONS)
    served, closed = senders.told()
    assert served + closed == CONNECTIONS
    assert served == min(CONNECTIONS, SENDERS * 2000)
    assert service.metric("http_refused_connections_total") == closed
    assert service.get("/healthz").status == 200
    senders.end()


if __name__ == "__main__":
    sender(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
