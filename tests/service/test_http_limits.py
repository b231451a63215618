"""Deadlines, caps, memory, the drain: what slow, many and leaving clients can do to the service."""

from __future__ import annotations

import gzip
import json
import os
import resource
import selectors
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import List

import pytest
from conftest import Started
from service import Service
from wire import Wire, ask, statuses

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE = 60.0


def test_slow_clients_are_gone_by_their_absolute_deadline(serve: Started) -> None:
    """A byte now and then keeps nobody here: neither in the head nor in the body."""
    service = serve("--head-ms", "300", "--body-ms", "600")
    heads = [Wire(service.port).send(b"GET / HTTP/1.1\r\nX: ") for _ in range(10)]
    body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    bodies = [Wire(service.port).send(body) for _ in range(10)]
    left = heads + bodies
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for wire in left:
            selector.register(wire.socket, selectors.EVENT_READ, wire)
        while selector.get_map():
            assert time.monotonic() < deadline, f"{len(selector.get_map())} are still here"
            for key, _ in selector.select(0.05):
                selector.unregister(key.fileobj)
                assert statuses(key.data.end()) == [408]
            for key in list(selector.get_map().values()):
                key.data.send(b"x")
    assert service.metric("http_timed_out_total") == 20
    assert service.get("/healthz").status == 200


def test_a_client_that_says_nothing_is_closed(serve: Started) -> None:
    service = serve("--head-ms", "100", "--idle-ms", "100")
    assert Wire(service.port).end() == b""
    assert statuses(Wire(service.port).send(GET).end()) == [200]


def raise_own_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def test_a_thousand_connections_at_once_are_all_served(service: Service) -> None:
    raise_own_files(4096)
    wires: List[Wire] = [Wire(service.port) for _ in range(1000)]
    for wire in wires:
        wire.send(GET)
    for wire in wires:
        wire.until(b"ok\n")
    assert service.metric("http_connections") == 1001
    for wire in wires:
        wire.send(GET)
    for wire in wires:
        while wire.received.count(b"ok\n") < 2:
            wire.received += wire.socket.recv(4096)
        wire.close()


def test_connections_beyond_the_limits_are_closed_at_once(serve: Started) -> None:
    service = serve("--connections-a-peer", "3")
    wires = [Wire(service.port).send(GET) for _ in range(3)]
    for wire in wires:
        wire.until(b"ok\n")
    assert Wire(service.port).end() == b""
    # Another peer is served all the same; and the command line, which comes by the socket file.
    other = socket.socket()
    other.bind(("127.0.0.2", 0))
    other.settimeout(PATIENCE)
    other.connect(("127.0.0.1", service.port))
    other.sendall(GET)
    assert other.recv(65536).startswith(b"HTTP/1.1 200")
    other.close()
    local = Wire(0, str(service.data / "control.sock")).send(GET)
    local.until(b"ok\n")
    local.close()
    for wire in wires:
        wire.close()


def test_the_command_line_gets_in_however_many_others_there_are(serve: Started) -> None:
    service = serve("--connections", "3")
    wires = [Wire(service.port).send(GET) for _ in range(3)]
    for wire in wires:
        wire.until(b"ok\n")
    assert Wire(service.port).end() == b""
    local = Wire(0, str(service.data / "control.sock")).send(GET)
    local.until(b"ok\n")
    for wire in [local, *wires]:
        wire.close()


def test_the_public_address_is_not_every_address(serve: Started) -> None:
    service = serve(listen="0.0.0.0:0")
    assert service.first_link.startswith(f"http://{socket.gethostname()}:{service.port}/")  # type: ignore[union-attr]


def is_well(service: Service) -> bool:
    try:
        return service.get("/healthz").status == 200
    except OSError:
        return False


def test_it_outlives_the_end_of_its_descriptors(tmp_path: Path) -> None:
    """With as many files as it has itself and a few more; it serves again when some are closed."""
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n 64\nexec "{Service(tmp_path).program}" "$@"\n')
    limited.chmod(0o755)
    with Service(tmp_path, program=limited, name="limited").start() as service:
        assert "connections only" in service.log
        wires = [Wire(service.port) for _ in range(100)]
        for wire in wires:
            wire.close()
        service.wait_until(lambda: is_well(service), "serve again", PATIENCE)


def test_gzip_is_undone_and_bombs_are_refused(service: Service) -> None:
    path = "/api/v1/report/no-such-token"
    packed = {"Content-Encoding": "gzip", "Content-Type": "text/csv"}
    good = service.request("POST", path, gzip.compress(b"1700000000,1,web,\r\n"), packed)
    assert good.status in (200, 401)
    bomb = gzip.compress(b"0" * (600 << 10))
    assert service.request("POST", path, bomb, packed).status == 413
    bomb = gzip.compress(b"0" * (300 << 20))
    assert len(bomb) < 512 << 10
    assert service.request("POST", path, bomb, packed).status == 413
    assert service.request("POST", path, b"no gzip", packed).status == 400
    assert service.metric("resident_bytes") < 100 << 20


def test_many_bodies_that_never_end_neither_fill_the_memory_nor_keep_pages_waiting(serve: Started) -> None:
    service = serve("--held-mb", "4")
    head = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 524288\r\n\r\n"
    wires = [Wire(service.port).send(head + b"x" * 500000) for _ in range(40)]
    refused = 0
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            selector.register(wire.socket, selectors.EVENT_READ, wire)
        while refused < 30:
            ready = selector.select(PATIENCE)
            assert ready, f"only {refused} were refused"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert statuses(key.data.end()) == [503]
                refused += 1
    head = head.replace(b"524288", b"8000")
    wires += [Wire(service.port).send(head + b"x" * 7000) for _ in range(600)]  # what else there is room for
    for path in ("/healthz", "/", "/signin") * 10:
        assert service.get(path).status == 200
    row = b"%d,1,web,\r\n" % time.time()
    assert service.request("POST", "/api/v1/report/no-such-token", row).status == 401
    for wire in wires:
        wire.close()


def end_of(service: Service) -> int:
    deadline = time.monotonic() + PATIENCE
    while service.running:
        assert time.monotonic() < deadline, service.log
        time.sleep(0.01)
    return service._process.returncode  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_was_begun_is_answered(service: Service, number: int) -> None:
    idle = Wire(service.port).send(GET)
    idle.until(b"ok\n")
    begun = Wire(service.port).send(
        b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    )
    begun.until(b"100 Continue\r\n\r\n")
    service.send_signal(number)
    assert statuses(idle.end()) == [200]
    service.send_signal(number)  # a second one changes nothing
    begun.send(b"abcd")
    assert statuses(begun.end()) == [100, 404]
    assert end_of(service) == 0
    assert not (service.data / "control.sock").exists()


def test_a_drain_does_not_wait_for_ever(serve: Started) -> None:
    service = serve("--drain-s", "1")
    begun = Wire(service.port).send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
    wire = Wire(service.port).send(GET)
    wire.until(b"ok\n")  # so the other one has been read too
    service.send_signal(signal.SIGTERM)
    assert end_of(service) == 0
    begun.close()
    assert "cut off" in service.log


def test_a_hangup_does_no_harm(service: Service) -> None:
    service.send_signal(signal.SIGHUP)
    service.wait_until(lambda: "SIGHUP" in service.log, "log the signal", PATIENCE)
    assert service.get("/healthz").status == 200


def test_two_services_never_use_one_folder(serve: Started, tmp_path: Path) -> None:
    first = serve()
    command = [first.program, "serve", "--data", str(first.data), "--listen", "127.0.0.1:0"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert second.returncode == 1
    assert f"another service (process {first.pid}) uses the data in" in second.stderr
    assert first.get("/healthz").status == 200
    # One that was killed leaves no lock, and no socket that would be in the way.
    first.kill()
    third = Service(tmp_path, name="third")
    with third.start():
        assert third.get("/healthz").status == 200


def test_its_files_are_its_users_alone(service: Service) -> None:
    assert stat.S_IMODE(os.stat(service.data).st_mode) == 0o700
    for path in service.data.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_it_says_where_it_listens_and_where_to_begin(service: Service) -> None:
    assert f"Listening on http://127.0.0.1:{service.port}\n" in service.log
    assert service.first_link and service.first_link.startswith(service.url)


def test_it_is_well_and_ready(service: Service) -> None:
    assert service.get("/healthz").text == "ok\n"
    deadline = time.monotonic() + PATIENCE
    while (answer := service.get("/readyz")).status != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    checks = json.loads(answer.text)
    assert checks == {"ready": True, "store": "ok", "control": "ok", "service": "ok"}


def test_metrics_are_prometheus_text(serve: Started) -> None:
    service = serve("--public-metrics")
    answer = service.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in answer.text.splitlines():
        words = line.split()
        assert words[:2] in (["#", "HELP"], ["#", "TYPE"]) or float(words[-1]) >= 0
    before = service.metric("http_requests_total")
    service.get("/healthz")
    assert service.metric("http_requests_total") == before + 2


def test_every_answer_has_the_security_headers(service: Service) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere", "/api/v1/nowhere"):
        headers = service.get(path).headers
        policy = headers["content-security-policy"].split("; ")
        for one in ("default-src", "object-src", "base-uri", "form-action", "frame-ancestors"):
            assert f"{one} 'none'" in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["cache-control"] == "no-store", path
        assert "strict-transport-security" not in headers
        assert "server" not in headers


def test_https_is_insisted_on_where_it_is_the_public_address(serve: Started) -> None:
    service = serve("--public-url", "https://dynoscale.example/")
    headers = service.get("/healthz").headers
    assert headers["strict-transport-security"].startswith("max-age=")
    assert service.first_link.startswith("https://dynoscale.example/")  # type: ignore[union-attr]
    assert "includeSubDomains" not in headers["strict-transport-security"]
    service.stop()
    below = serve("--public-url", "https://dynoscale.example/", "--hsts-subdomains", name="below")
    assert below.get("/healthz").headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


def test_head_has_the_length_and_no_body(service: Service) -> None:
    answer = ask(service.port, b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"\r\nContent-Length: 3\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_proxy_may_come_by_a_socket_file_and_is_not_the_command_line(serve: Started) -> None:
    folder = Path("/tmp") / f"dynoscaled-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        service = serve("--listen", f"unix:{folder}/proxy.sock")
        wire = Wire(0, str(folder / "proxy.sock"))
        wire.send(b"GET /api/v1/apps HTTP/1.0\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
        assert statuses(wire.end())[0] in (401, 403, 404)
        service.stop()
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()


SENTENCES = {
    ("--lissen", "x"): 'serve does not know "--lissen" (it knows --listen)',
    ("listen",): 'serve does not know "listen"',
    ("--listen",): "--listen needs a value",
    ("--listen", "8080"): '--listen is "8080"',
    ("--tick-s", "0"): "--tick-s is \"0\", but it must be a number from 1 to 60",
    ("--tick-s=ten",): "must be a number from 1 to 60",
    ("--connections", "99999999999999999999"): "must be a number from 1 to",
    ("--public-url", "example.com"): "must be like https://dynoscale.example",
    ("--public-url", "https://a/b"): "must be like https://dynoscale.example",
    ("--trusted-proxy", "proxy"): "neither an address nor a network",
    ("--log-level", "loud"): "must be debug, info, warn or error",
    ("--reuse-port=maybe",): "must be on or off",
    ("--data", ""): "it is empty",
}


@pytest.mark.parametrize("arguments", SENTENCES)
def test_a_wrong_argument_is_a_sentence(tmp_path: Path, arguments: List[str]) -> None:
    program = Service(tmp_path).program
    done = subprocess.run([program, "serve", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("dynoscaled: ")
    assert SENTENCES[arguments] in done.stderr  # type: ignore[index]
    assert done.stdout == ""


def test_a_wrong_variable_is_a_sentence_that_names_it(tmp_path: Path) -> None:
    command = [Service(tmp_path).program, "serve", "--show-settings"]
    environment = dict(os.environ, DYNOSCALED_TICK_S="x")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 2
    assert 'DYNOSCALED_TICK_S is "x"' in done.stderr


def test_settings_are_shown_with_where_they_are_from(tmp_path: Path) -> None:
    command = [Service(tmp_path).program, "serve", "--data=/d", "--show-settings"]
    environment = dict(os.environ, DYNOSCALED_LISTEN="127.0.0.1:1 [::1]:2")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0
    assert "data = /d  (command line)\n" in done.stdout
    assert "listen = 127.0.0.1:1 [::1]:2  (environment)\n" in done.stdout
    assert "tick-s = 10  (usual)\n" in done.stdout


def test_an_address_that_is_taken_is_a_sentence(service: Service, tmp_path: Path) -> None:
    command = [service.program, "serve", "--data", str(tmp_path / "other")]
    command += ["--listen", f"127.0.0.1:{service.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


def test_help_and_version(tmp_path: Path) -> None:
    program = Service(tmp_path).program
    for arguments, word in (
        (["--version"], "dynoscaled "),
        (["--help"], "serve [--data DIR]"),
        (["serve", "--help"], "--public-url URL"),
    ):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0
        assert word in done.stdout
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "usage: dynoscaled" in done.stderr
