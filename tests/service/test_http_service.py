"""The whole service over HTTP: reports through a drain, streams of events, a disk that is full."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from typing import List, Tuple

from conftest import Started, with_files
from dynoscaled import wait_for
from service import Service
from wire import Wire, statuses

PATIENCE = 60.0


def run(service: Service, *arguments: str) -> str:
    command = [service.program, *arguments, "--data", str(service.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def add_app(service: Service, name: str = "shop") -> str:
    """The path of its reports."""
    found = re.search(r"DYNOSCALE_URL=\S*?(/api/v1/report/\S+)", run(service, "app", "add", name))
    assert found
    return found.group(1)


def report(path: str, key: str, rows: int = 1) -> bytes:
    now = int(time.time())
    body = f"{now - 1},12,web,\r\n".encode() * rows
    head = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\nX_DYNO: web.1\r\n"
        f"HTTP_X_DYNO: web.1\r\nX_REQUEST_START: t={now}\r\nUser-Agent: dynoscale-ruby;2.0.0\r\n"
        f"Idempotency-Key: {key:0>32}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def counted(service: Service, app: str = "shop") -> int:
    """Samples that the service has of the app's requests in the last minutes."""
    now = int(time.time()) // 10 * 10
    path = f"/api/v1/apps/{app}/series?source=web&from={now - 900}&to={now + 10}&step=10"
    request = f"GET {path} HTTP/1.0\r\n\r\n".encode()
    answer = Wire(0, str(service.data / "control.sock")).send(request).end()
    assert statuses(answer) == [200], answer
    points = json.loads(answer.split(b"\r\n\r\n", 1)[1])["points"]
    return sum(point["count"] for point in points)


def keep_reporting(port: int, path: str, number: int, answered: List[int], ended: List[int]) -> None:
    """Report after report, each when the one before is answered, until the service closes."""
    wire = Wire(port)
    for count in range(100000):
        wire.received = b""
        wire.send(report(path, f"{number:x}a{count:x}"))
        try:
            wire.until(b'}}')
        except (AssertionError, OSError):
            break
        answered.append(statuses(wire.received)[0])
    wire.close()
    ended.append(number)


def test_every_report_that_is_answered_before_the_end_is_there_after_a_start(
    serve: Started,
) -> None:
    service = serve()
    path = add_app(service)
    answered: List[int] = []
    ended: List[int] = []
    threads = [
        threading.Thread(target=keep_reporting, args=(service.port, path, i, answered, ended))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    service.wait_until(lambda: len(answered) > 100, "answer 100 reports", PATIENCE)
    service.stop(signal.SIGTERM, seconds=PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ended) == 8
    assert set(answered) == {200}
    again = Service(service.log_path.parent, data=service.data, name="again")
    with again.start():
        assert counted(again) == len(answered)


def test_a_report_in_gzip_or_chunks_counts_like_any_other(service: Service) -> None:
    path = add_app(service)
    plain = report(path, "1").split(b"\r\n\r\n", 1)[1]
    headers = {
        "X_DYNO": "web.1", "HTTP_X_DYNO": "web.1", "User-Agent": "dynoscale-ruby;2.0.0",
        "X_REQUEST_START": f"t={int(time.time())}", "Content-Type": "text/csv",
    }  # fmt: skip
    packed = {**headers, "Content-Encoding": "gzip", "Idempotency-Key": "2" * 32}
    assert service.request("POST", path, gzip.compress(plain), packed).status == 200
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    wire = Wire(service.port).send(
        f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        f"Idempotency-Key: {'3' * 32}\r\n{lines}\r\n".encode()
    )
    for at in range(0, len(plain), 7):
        piece = plain[at : at + 7]
        wire.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    assert statuses(wire.send(b"0\r\n\r\n").end()) == [200]
    assert counted(service) == 2


def test_long_answers_without_secrets_are_compressed_for_who_takes_it(service: Service) -> None:
    add_app(service)
    token = run(service, "token", "add", "--scope", "admin").split()[0]
    by = {"Authorization": f"Bearer {token}"}
    now = int(time.time()) // 60 * 60
    series = f"/api/v1/apps/shop/series?source=web&from={now - 86400}&to={now}&step=60"
    plain = service.get(series, by)
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "Accept-Encoding"
    packed = service.get(series, {**by, "Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body) / 4
    refused = service.get(series, {**by, "Accept-Encoding": "gzip;q=0"})
    assert refused.body == plain.body
    short = service.get(series.replace("step=60", "step=86400"), {**by, "Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers
    wrong = service.get(series + "&mood=1", {**by, "Accept-Encoding": "gzip"})
    assert wrong.status == 400 and "mood" in wrong.text
    # What holds a secret is not: its length would tell of it where somebody else chooses a part.
    for _ in range(30):
        run(service, "token", "add", "--scope", "read")
    tokens = service.get("/api/v1/tokens", {**by, "Accept-Encoding": "gzip"})
    assert len(tokens.body) > 1400 and "content-encoding" not in tokens.headers


def event_stream(service: Service, token: str, path: str = "/api/v1/events") -> Wire:
    wire = Wire(service.port).send(
        f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    wire.until(b"\r\n\r\n")
    return wire


RULES = """
zone: UTC
processes:
  web:
    scaling: off
    rules:
      - {name: default, dynos: {min: 1, max: 3}}
"""


def tokens_of_two_apps(service: Service) -> Tuple[str, str]:
    tokens = []
    for app in ("shop", "other"):
        add_app(service, app)
        printed = run(service, "token", "add", "--app", app, "--scope", "read")
        found = re.search(r"^ds_\S+", printed, re.MULTILINE)
        assert found, printed
        tokens.append(found.group(0))
    return tokens[0], tokens[1]


def put_rules(service: Service, app: str) -> None:
    file = service.log_path.parent / "rules.yaml"
    file.write_text(RULES)
    run(service, "rules", "put", app, str(file))


def test_nobody_takes_all_the_streams_of_events(serve: Started) -> None:
    """Of 1,000 in all one caller may have 100."""
    service = serve()
    greedy, other = (run(service, "token", "add", "--scope", "read").strip() for _ in range(2))
    streams = [event_stream(service, greedy) for _ in range(100)]
    assert all(b"Content-Type: text/event-stream" in stream.received for stream in streams)
    refused = service.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {greedy}"})
    assert refused.status == 503 and "retry-after" in refused.headers
    assert b"Content-Type: text/event-stream" in event_stream(service, other).received
    streams.pop().close()  # which the service learns in its own time
    wait_for(lambda: b"text/event-stream" in event_stream(service, greedy).received, "one stream more")


def test_a_change_and_each_tick_are_streamed_to_who_may_see_the_app(serve: Started) -> None:
    service = serve("--tick-s", "1", "--stream-ms", "500")
    token, of_other = tokens_of_two_apps(service)
    stream, blind = event_stream(service, token), event_stream(service, of_other)
    assert b"Content-Type: text/event-stream" in stream.received
    put_rules(service, "shop")
    stream.until(b"event: app\n")
    deadline = time.monotonic() + PATIENCE
    while stream.received.count(b"event: app\n") < 4:  # the ticks after it
        assert time.monotonic() < deadline
        stream.received += stream.socket.recv(65536)
    event = stream.received.split(b"event: app\ndata: ", 1)[1].split(b"\n", 1)[0]
    assert b'"shop"' in event and json.loads(event)
    blind.until(b":\n\n")  # a sign of life, and nothing else
    assert b"shop" not in blind.received
    service.stop(seconds=PATIENCE)
    assert stream.end() and blind.end()


def test_each_app_of_hundreds_is_streamed_and_the_api_answers_meanwhile(serve: Started) -> None:
    """More apps than requests may wait for the API's threads."""
    service = serve("--tick-s", "1")
    token = run(service, "token", "add", "--scope", "admin").strip()
    by, missing = {"Authorization": f"Bearer {token}"}, {f"app-{number}" for number in range(300)}
    for name in missing:
        body = json.dumps({"name": name}).encode()
        added = service.request("POST", "/api/v1/apps", body, {**by, "Content-Type": "application/json"})
        assert added.status == 201, added.text
    stream, rest, deadline = event_stream(service, token), b"", time.monotonic() + PATIENCE
    while missing:
        assert time.monotonic() < deadline, f"no event of {len(missing)} apps"
        assert service.get("/api/v1/apps/app-0", by).status == 200
        *lines, rest = (rest + stream.socket.recv(65536)).split(b"\n")
        missing -= {json.loads(line[6:])["name"] for line in lines if line.startswith(b"data: ")}


@with_files
def test_what_the_api_has_not_begun_when_the_drain_ends_stays_undone(serve: Started) -> None:
    """Requests wait behind those of two threads, which wait for a writer of the file."""
    service = serve("--drain-s", "1", "--public-metrics")
    token = run(service, "token", "add", "--scope", "admin").strip()
    writer = sqlite3.connect(service.data / "dynoscaled.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    wires = []
    for number in range(20):
        body = json.dumps({"name": f"app-{number}"})
        head = f"POST /api/v1/apps HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        wires.append(Wire(service.port).send((head + kind + body).encode()))
    waiting = re.compile(r"^dynoscaled_api_waiting [1-9]\d$", re.MULTILINE)
    service.wait_until(lambda: bool(waiting.search(service.get("/metrics").text)), "have ten that wait")
    os.kill(service.pid, signal.SIGTERM)
    service.wait_until(lambda: "they are cut off" in service.log, "cut them off")
    writer.execute("ROLLBACK")
    service.stop(seconds=PATIENCE)
    added = {name for (name,) in writer.execute("SELECT name FROM app")}
    assert len(added) <= 2, added


def test_streams_are_for_who_is_signed_in(service: Service) -> None:
    assert service.get("/api/v1/events").status == 401


def limit_files(service: Service, size: int) -> None:
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@with_files
def test_a_store_that_can_not_be_written_to_is_503_and_well_again_without_a_start(
    serve: Started,
) -> None:
    """Files that may not grow stand for a disk that is full."""
    service = serve("--tick-s", "1")
    path = add_app(service)
    limit_files(service, 1)
    wire = Wire(service.port).send(report(path, "1"))
    answer = wire.until(b"}")
    assert statuses(answer) == [503] and b"Retry-After: " in answer
    service.wait_until(lambda: service.get("/readyz").status == 503, "see it", PATIENCE)
    # Why is for the log, the command line and admins: it may name files and hosts.
    assert json.loads(service.get("/readyz").text)["store"].endswith("the service's log says why")
    why = json.loads(service.local_get("/readyz").text)["store"]
    assert why != "ok" and not why.endswith("says why")
    body = json.dumps({"name": "anna", "password": "a good long password"}).encode()
    tried = service.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
    assert tried.status == 503 and why not in tried.text
    assert service.get("/healthz").status == 200
    limit_files(service, resource.RLIM_INFINITY)
    service.wait_until(lambda: service.get("/readyz").status == 200, "be ready again", PATIENCE)
    wire = Wire(service.port).send(report(path, "1"))
    assert statuses(wire.until(b"}}")) == [200]
    assert counted(service) == 1


def test_metrics_of_apps_need_a_token(serve: Started) -> None:
    service = serve("--tick-s", "1")
    token, of_other = tokens_of_two_apps(service)
    put_rules(service, "shop")
    of_all = re.findall(r"ds_\S+", run(service, "token", "add", "--scope", "read"))[0]
    assert service.get("/metrics").status == 401

    def seen(by: str) -> str:
        answer = service.get("/metrics", {"Authorization": f"Bearer {by}"})
        assert answer.status == 200
        # How many apps there are, and what they send, is nothing for one of them.
        assert ("dynoscaled_apps" in answer.text) == (by == of_all)
        return answer.text

    service.wait_until(lambda: 'app="shop"' in seen(token), "show the app", PATIENCE)
    assert 'app="shop"' in seen(of_all)
    assert 'app="shop"' not in seen(of_other)
    assert service.get("/metrics", {"Authorization": "Bearer ds_no"}).status == 401


def test_anybody_reads_the_services_own_numbers_where_that_is_set(serve: Started) -> None:
    service = serve("--tick-s", "1", "--public-metrics")
    token, _ = tokens_of_two_apps(service)
    put_rules(service, "shop")
    shown = {"Authorization": f"Bearer {token}"}
    service.wait_until(lambda: 'app="shop"' in service.get("/metrics", shown).text, "show it", PATIENCE)
    text = service.get("/metrics").text
    assert "dynoscaled_apps" in text and "shop" not in text
    assert service.get("/metrics", {"Authorization": "Bearer ds_no"}).status == 401


@with_files
def test_a_lock_that_can_not_be_written_to_is_told_and_harms_nothing(serve: Started, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    (data / "control.lock").symlink_to("/dev/full")
    service = serve("--tick-s", "1")
    add_app(service)
    service.wait_until(lambda: "control.lock can't be written to" in service.log, "tell", PATIENCE)
    service.wait_until(lambda: service.metric("decisions_total") > 0, "decide", PATIENCE)
