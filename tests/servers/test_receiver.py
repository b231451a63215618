"""The receiver keeps to the protocol and misbehaves as told."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple
from urllib.parse import urlsplit

import pytest
from certificates import Certificates, make_certificates
from receiver import Receiver, ReceiverProcess

ROOT = Path(__file__).resolve().parents[2]
HEADERS = {
    "Content-Type": "text/csv",
    "User-Agent": "dynoscale-ruby;2.0.0",
    "X_DYNO": "web.1",
    "HTTP_X_DYNO": "web.1",
    "X_REQUEST_START": "t=1700000000",
    "Idempotency-Key": "00112233445566778899aabbccddeeff",
}
BODY = '1700000000,12,web,\r\n1700000003,95,"rq:low,slow",\r\n'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(control=True) as receiver:
        yield receiver


def connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    assert address.hostname is not None
    return http.client.HTTPConnection(address.hostname, address.port, timeout=10)


def port_of(receiver: Receiver) -> Tuple[str, int]:
    address = urlsplit(receiver.url)
    return address.hostname or "", address.port or 0


def post(
    url: str, body: str = BODY, path: str = "/token", **headers: Optional[str]
) -> Tuple[int, bytes]:
    given = {name.replace("__", "-"): value for name, value in headers.items()}
    wanted: Dict[str, Optional[str]] = {**HEADERS, **given}
    sent = {name: value for name, value in wanted.items() if value is not None}
    connection = connect(url)
    try:
        connection.request("POST", path, body.encode(), sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def key(number: int) -> Dict[str, Any]:
    return {"Idempotency__Key": f"{number:032x}"}


def test_a_right_report_is_accepted_and_kept_whole(receiver: Receiver) -> None:
    assert post(receiver.url) == (200, b"")
    [report] = receiver.reports()
    assert (report["path"], report["body"], report["status"]) == ("/token", BODY, 200)
    assert report["error"] is None
    assert report["headers"]["x_dyno"] == report["headers"]["http_x_dyno"] == "web.1"
    assert [(row["timestamp"], row["metric"], row["source"]) for row in receiver.rows()] == [
        (1700000000, 12, "web"),
        (1700000003, 95, "rq:low,slow"),
    ]
    assert receiver.rows(1)[0]["user_agent"] == "dynoscale-ruby;2.0.0"


@pytest.mark.parametrize(
    "body",
    [BODY, BODY.replace("\r\n", "\n"), BODY.rstrip(), '1700000000,1,"a:""q""",\r\n'],
)
def test_both_line_ends_are_accepted(receiver: Receiver, body: str) -> None:
    assert post(receiver.url, body)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "timestamp,metric,source,metadata\r\n",
        "1700000000,12,web\r\n",
        "1700000000,12.5,web,\r\n",
        "1700000000,-1,web,\r\n",
        "1700000000123,12,web,\r\n",
        "1700000000,600001,web,\r\n",
        "1700000000,12,WEB,\r\n",
        "1700000000,12,web,x\r\n",
        '1700000000,12,"web",\r\n',
        "1700000000, 12,web,\r\n",
        "1700000000,12,web,\r\n1700000000,12,web,\n",
        "1700000000,12,web,\r\n\r\n",
        '1700000000,12,"web,\r\n',
    ],
)
def test_a_wrong_body_is_kept_with_its_error_and_refused(receiver: Receiver, body: str) -> None:
    status, text = post(receiver.url, body)
    assert status == 400
    assert receiver.reports()[0]["error"] == text.decode().strip() != ""
    assert receiver.rows() == []
    assert receiver.summary()["malformed"] == 1


@pytest.mark.parametrize("name", list(HEADERS))
@pytest.mark.parametrize("value", [None, "wrong wrong"])
def test_a_wrong_header_is_named(receiver: Receiver, name: str, value: Optional[str]) -> None:
    headers: Dict[str, Any] = {name: value}
    status, text = post(receiver.url, **headers)
    assert status == 400
    assert name.lower() in text.decode()


def test_a_lenient_receiver_takes_any_report(receiver: Receiver) -> None:
    receiver.behave("ok", lenient=True)
    assert post(receiver.url, "anything")[0] == 200
    assert receiver.summary()["malformed"] == 0


def test_a_receiver_of_checks_takes_a_report_without_rows_and_no_wrong_one(
    receiver: Receiver,
) -> None:
    assert post(receiver.url, "")[0] == 400
    receiver.behave("ok", checks=True)
    assert [post(receiver.url, "")[0], post(receiver.url, "x")[0]] == [200, 400]
    assert post(receiver.url, "", **{"X_DYNO": None})[0] == 400
    assert post(receiver.url, **key(1))[0] == 200
    assert len(receiver.rows()) == 2


def test_a_repeated_batch_counts_once(receiver: Receiver) -> None:
    receiver.behave("status", status=503, times=1)
    assert [post(receiver.url)[0] for _ in range(3)] == [503, 200, 200]
    assert len(receiver.rows()) == 2
    assert receiver.summary() == {
        "reports": 3,
        "accepted": 2,
        "rows": 2,
        "malformed": 0,
        "repeated": 1,
    }


def test_a_key_with_another_body_is_an_error(receiver: Receiver) -> None:
    assert post(receiver.url)[0] == 200
    assert post(receiver.url, "1700000000,1,web,\r\n")[0] == 400


def test_the_publish_frequency_and_headers_are_sent_as_told(receiver: Receiver) -> None:
    receiver.behave("ok", publish_frequency=7)
    assert json.loads(post(receiver.url)[1]) == {"config": {"publish_frequency": 7}}
    receiver.behave("status", status=429, headers={"Retry-After": "1"})
    connection = connect(receiver.url)
    connection.request("POST", "/token", BODY, HEADERS)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    connection.close()


def test_behaviours_follow_each_other(receiver: Receiver) -> None:
    receiver.behave(
        "status", status=500, times=2, then={"mode": "status", "status": 401, "times": 1}
    )
    assert [post(receiver.url)[0] for _ in range(4)] == [500, 500, 401, 200]


def test_random_is_the_same_for_the_same_seed(receiver: Receiver) -> None:
    runs = []
    for _ in range(2):
        receiver.behave("random", seed=3, of=[{"mode": "ok"}, {"mode": "status", "status": 503}])
        runs.append([post(receiver.url, **key(number))[0] for number in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


def test_refusing_cuts_connections_and_keeps_the_port(receiver: Receiver) -> None:
    connection = connect(receiver.url)
    connection.request("POST", "/token", BODY, HEADERS)
    assert connection.getresponse().read() == b""
    receiver.behave("refuse")
    with pytest.raises(OSError):
        post(receiver.url)
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("POST", "/token", BODY, HEADERS)
        connection.getresponse()
    connection.close()
    receiver.behave("ok")
    assert post(receiver.url)[0] == 200
    receiver.behave("refuse", seconds=0.1, then={"mode": "status", "status": 404})
    deadline = time.monotonic() + 10
    status = 0
    while status == 0 and time.monotonic() < deadline:
        try:
            status = post(receiver.url)[0]
        except OSError:
            time.sleep(0.01)
    assert status == 404


@pytest.mark.parametrize("at", ["connect", "answer", "body"])
def test_a_stalled_answer_does_not_come(receiver: Receiver, at: str) -> None:
    receiver.behave("stall", at=at, times=1)
    with socket.create_connection(port_of(receiver), timeout=0.2) as client:
        client.sendall(request())
        if at == "body":
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        with pytest.raises(socket.timeout):
            client.recv(1)
    assert post(receiver.url)[0] == 200


@pytest.mark.parametrize(
    ("mode", "at", "expected"),
    [
        ("close", "request", b""),
        ("close", "answer", b"HTTP/1.1 200"),
        ("reset", "request", None),
        ("reset", "answer", None),
    ],
)
def test_a_cut_connection(
    receiver: Receiver, mode: str, at: str, expected: Optional[bytes]
) -> None:
    receiver.behave(mode, at=at)
    with socket.create_connection(port_of(receiver), timeout=10) as client:
        head, _, body = request().partition(b"\r\n\r\n")
        # Without its body, as unread bytes would make any close a reset.
        client.sendall(head + b"\r\n\r\n" + (b"" if at == "request" else body))
        if expected is None:
            with pytest.raises(ConnectionResetError):
                while client.recv(1000):
                    pass
            return
        data = b"".join(iter(lambda: client.recv(1000), b""))
        assert data.startswith(expected)
        assert not data.endswith(b"}")


def request() -> bytes:
    lines = ["POST /token HTTP/1.1", "Host: receiver", f"Content-Length: {len(BODY)}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + BODY).encode()


def test_an_answer_drips(receiver: Receiver) -> None:
    receiver.behave("drip", seconds=0.001)
    assert post(receiver.url) == (200, b'{"config": {}}')


def test_garbage_is_no_http(receiver: Receiver) -> None:
    receiver.behave("garbage")
    with pytest.raises(http.client.BadStatusLine):
        post(receiver.url)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_answer(receiver: Receiver, chunked: bool) -> None:
    receiver.behave("huge", size=3_000_001, chunked=chunked)
    assert post(receiver.url) == (200, b" " * 3_000_001)


def test_a_gzip_bomb_is_small_until_opened(receiver: Receiver) -> None:
    receiver.behave("gzip_bomb", size=10_000_000)
    body = post(receiver.url)[1]
    assert len(body) < 20_000
    assert len(gzip.decompress(body)) >= 10_000_000


def test_deep_json_and_redirects(receiver: Receiver) -> None:
    receiver.behave("deep", depth=3)
    assert json.loads(post(receiver.url)[1])["config"]["config"]["config"] == 1
    receiver.behave("redirect", location="https://elsewhere.example/")
    connection = connect(receiver.url)
    connection.request("POST", "/token", BODY, HEADERS)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://elsewhere.example/")
    connection.close()


def test_what_is_not_http_is_kept_as_malformed(receiver: Receiver) -> None:
    with socket.create_connection(port_of(receiver), timeout=10) as client:
        client.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert b"400" in client.recv(1000)
    assert receiver.summary()["malformed"] == 1


def test_an_unknown_behaviour_is_refused(receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="no mode 'fly'"):
        receiver.behave("fly")


def test_waiting_ends_when_the_rows_are_there(receiver: Receiver) -> None:
    threading.Timer(0.05, lambda: post(receiver.url)).start()
    assert receiver.wait(rows=2, seconds=10)["reached"] is True
    assert receiver.wait(rows=3, seconds=0)["reached"] is False


def test_chunked_requests_are_read(receiver: Receiver) -> None:
    connection = connect(receiver.url)
    parts = iter([BODY[:10].encode(), BODY[10:].encode()])
    headers = {**HEADERS, "Transfer-Encoding": "chunked"}
    connection.request("POST", "/token", parts, headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    assert len(receiver.rows()) == 2
    connection.close()


def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    store = tmp_path / "reports"
    with ReceiverProcess(store=str(store)) as receiver:
        receiver.behave("status", status=503, times=1)
        assert [post(receiver.url)[0], post(receiver.url)[0]] == [503, 200]
        assert receiver.wait(rows=2)["reached"] is True
        assert len(receiver.rows()) == 2
        assert len(receiver.reports()) == 2
        receiver.behave("refuse")
        with pytest.raises(OSError):
            post(receiver.url)
        receiver.behave()
        with pytest.raises(ValueError, match="no mode"):
            receiver.behave("fly")
        receiver.clear()
        assert receiver.summary()["reports"] == 0
    assert [json.loads(line)["status"] for line in store.read_text().splitlines()] == [503, 200]


def test_commands_work_on_the_port_of_reports_too(receiver: Receiver) -> None:
    post(receiver.url)
    connection = connect(receiver.url)
    for path in ("rows", "reports", "summary", "wait?rows=1&seconds=5", "rows?from=1"):
        connection.request("GET", f"/_/{path}")
        assert json.loads(connection.getresponse().read())
    connection.request("GET", "/_/wait?nonsense=1")
    assert connection.getresponse().read().startswith(b'{"error"')
    connection.close()


def test_it_listens_on_ipv6_only() -> None:
    try:
        receiver = Receiver(host="::1")
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback here: {error}")
    with receiver:
        assert receiver.url.startswith("http://[::1]:")
        assert post(receiver.url)[0] == 200


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("valid", None),
        ("expired", "expired"),
        ("wrong_host", "doesn't match|mismatch|not valid for"),
        ("self_signed", "self.signed"),
    ],
)
def test_certificates_are_what_they_are_called(
    certificates: Certificates, kind: str, complaint: Optional[str]
) -> None:
    context = ssl.create_default_context(cafile=certificates.authority)
    with Receiver(tls=getattr(certificates, kind)) as receiver:
        port = urlsplit(receiver.url).port
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        try:
            if complaint is not None:
                with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
                    connection.request("POST", "/token", BODY, HEADERS)
                return
            connection.request("POST", "/token", BODY, HEADERS)
            assert connection.getresponse().status == 200
            assert len(receiver.rows()) == 2
        finally:
            connection.close()


def test_the_doctor_is_content_with_one_that_a_person_started() -> None:
    program = ROOT / "tests" / "support" / "receiver.py"
    command = [sys.executable, str(program), "--until-eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        url = running.stdout.readline().split()[-1].decode()
        settings = {"DYNO": "web.1", "DYNOSCALE_URL": f"{url}/token"}
        doctor = subprocess.run(
            [sys.executable, "-m", "dynoscale", "doctor"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.stdin.close()
    assert doctor.stdout.endswith("\nAll is well.\n")
