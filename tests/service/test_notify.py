"""People are told: by a real SMTP conversation and real HTTP receivers, from a real service."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest
from conftest import Started
from dynoscaled import Command, wait_for, write_scale
from mail_server import MailServer
from service import Service

RULES = """\
processes:
  web:
    scaling: on
    rules: [{name: default, dynos: {min: 3, max: 6}}]
"""


class Received(NamedTuple):
    path: str
    headers: Dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """An incoming webhook: keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        self.received: List[Received] = []
        self.status = 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                names = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, names, body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer().running() as server:
        yield server


@pytest.fixture
def told(serve: Started, mail: MailServer, tmp_path: Path) -> Service:
    """A service that ticks each second, with an app whose platform is a number in a file."""
    service = serve(
        "--tick-s", "1", "--private-platforms", "--smtp", mail.url,
        "--mail-from", "dynoscale@scale.example", "--public-url", "https://scale.example",
    )  # fmt: skip
    command = Command(service.data)
    command.done("app", "add", "shop")
    # Before the rules: no tick finds processes without a platform, which is worth a notice.
    command.done("platform", "set", "shop", "command", "--", str(write_scale(tmp_path)))
    command.done("rules", "put", "shop", "-", stdin=RULES)
    return service


def test_a_test_mail_says_what_it_is_and_where_it_comes_from(told: Service, mail: MailServer) -> None:
    command = Command(told.data)
    command.done("notify", "add", "shop", "email", "ops@shop.example")
    assert command.done("notify", "test", "shop", "1") == "Sent.\n"
    assert mail.envelopes == ["MAIL FROM:<dynoscale@scale.example>", "RCPT TO:<ops@shop.example>"]
    (sent,) = mail.mails
    assert sent["Subject"] == "shop: a test" and sent["To"] == "ops@shop.example"
    assert sent["Auto-Submitted"] == "auto-generated" and sent["Date"] and sent["Message-ID"]
    text = sent.get_content()
    assert "asked Dynoscale to try this" in text and "https://scale.example/apps/shop" in text


def done_at(command: Command) -> float:
    act = command.json("status", "shop")["processes"][0]["act"]
    return float(act["ordered"]) if act and act["state"] == "done" else float("inf")


def test_a_scaling_is_told_to_each_who_chose_it(
    told: Service, mail: MailServer, receiver: Receiver
) -> None:
    command = Command(told.data)
    # Orders of before somebody listens are nobody's news, but by the second: so a second later.
    wait_for(lambda: time.time() > done_at(command) + 1, "the rule's three dynos run")
    command.done("notify", "add", "shop", "email", "ops@shop.example", "--tells", "scaled,weekly")
    command.done("notify", "add", "shop", "slack", receiver.url + "/T0/secret", "--tells", "scaled")
    command.done("notify", "add", "shop", "slack", receiver.url + "/others", "--tells", "maximum")
    printed = command.done("notify", "add", "shop", "webhook", receiver.url + "/hook", "--tells", "scaled")
    secret = printed.split("signed with ")[1].split(",")[0]
    command.done("boost", "shop", "web", "5")
    wait_for(lambda: mail.mails and len(receiver.received) >= 2, "all are told")
    sent = mail.mails[-1]
    assert sent["Subject"] == "shop web: 3 → 5 dynos"
    slack = next(one for one in reversed(receiver.received) if one.path == "/T0/secret")
    assert slack.json["text"].startswith("*shop web: 3 → 5 dynos*\n")
    assert "<https://scale.example/apps/shop|" in slack.json["text"]
    hook = next(one for one in reversed(receiver.received) if one.path == "/hook")
    stamp, signature = hook.headers["dynoscale-timestamp"], hook.headers["dynoscale-signature"]
    right = hmac.new(secret.encode(), stamp.encode() + b"." + hook.body, hashlib.sha256).hexdigest()
    assert signature == f"v1={right}"
    assert {name: hook.json[name] for name in ("app", "process", "kind", "state", "title")} == {
        "app": "shop", "process": "web", "kind": "scaled", "state": "happened",
        "title": "shop web: 3 → 5 dynos",
    }  # fmt: skip
    assert not any(one.path == "/others" for one in receiver.received)


def test_a_platform_that_refuses_is_told_once(
    told: Service, receiver: Receiver, tmp_path: Path
) -> None:
    command = Command(told.data)
    scale = tmp_path / "scale"
    scale.write_text("#!/bin/sh\n[ $1 = read ] && { echo 1; exit; }\necho 'no such app' >&2; exit 77\n")
    command.done("notify", "add", "shop", "slack", receiver.url)
    command.done("boost", "shop", "web", "6")
    wait_for(lambda: receiver.received, "it is told")
    ticks = len(command.json("ledger", "shop", "web", "--from", "-1h")["ticks"])
    wait_for(
        lambda: len(command.json("ledger", "shop", "web", "--from", "-1h")["ticks"]) > ticks + 4,
        "more ticks",
    )
    assert len(receiver.received) == 1, receiver.received
    assert "can't be changed: the platform refuses" in receiver.received[0].json["text"]


def test_where_it_goes_is_never_shown_again(told: Service, receiver: Receiver) -> None:
    command = Command(told.data)
    command.done("notify", "add", "shop", "slack", receiver.url + "/T0/hidden-path")
    receiver.status = 500
    run = command("notify", "test", "shop", "1")
    assert run.returncode == 1 and run.stdout == "Not sent: it answered with 500\n"
    everything = command.done("notify", "list", "shop", "--json") + command.done("audit", "--json")
    everything += told.log + command.done("export", "shop")
    assert "hidden-path" not in everything
    data = b"".join(path.read_bytes() for path in told.data.iterdir() if path.is_file())
    assert b"hidden-path" not in data


def test_a_mail_that_is_refused_is_told_as_a_sentence(told: Service, mail: MailServer) -> None:
    command = Command(told.data)
    mail.refuses = True
    command.done("notify", "add", "shop", "email", "nobody@shop.example")
    run = command("notify", "test", "shop", "1")
    assert run.returncode == 1 and run.stdout.startswith("Not sent: the mail server: "), run.stdout


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("email", "ops@shop.example\r\nBcc: all@shop.example"), "control characters"),
        (("email", "ops"), "must be one e-mail address"),
        (("email", "a@b.example,c@d.example"), "must be one e-mail address"),
        (("slack", "ftp://hooks.example/x"), "must be an http or https URL"),
        (("slack", "https://user:password@hooks.example/x"), "must not hold a user or a password"),
        (("pigeon", "home"), "must be email, slack or webhook"),
        (("slack", "https://hooks.example/x", "--tells", "maximum,weather"), "item 2"),
    ],
)
def test_what_can_not_be_a_channel_is_refused(
    told: Service, arguments: List[str], sentence: str
) -> None:
    command = Command(told.data)
    run = command("notify", "add", "shop", *arguments)
    assert run.returncode != 0 and sentence in run.stderr, run.stderr
    assert command.json("notify", "list", "shop")["channels"] == []


def test_private_addresses_are_not_called_where_the_operator_has_not_allowed_it(
    service: Service, receiver: Receiver
) -> None:
    command = Command(service.data)
    command.done("app", "add", "shop")
    command.done("notify", "add", "shop", "slack", receiver.url)
    run = command("notify", "test", "shop", "1")
    assert run.returncode == 1 and "its address is private" in run.stdout
    assert receiver.received == []


def test_a_service_that_insists_on_tls_calls_nothing_without_it(
    serve: Started, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.delenv("TEST_DATABASE", raising=False)  # that one is connected to without TLS
    mail = MailServer()
    with mail.running():
        arguments = ("--private-platforms", "--smtp", mail.url, "--mail-from", "a@shop.example")
        service = serve(*arguments)
        command = Command(service.data)
        command.done("app", "add", "shop")
        command.done("notify", "add", "shop", "slack", receiver.url)
        command.done("notify", "add", "shop", "email", "b@shop.example")
        for channel in ("1", "2"):
            command.done("notify", "test", "shop", channel)
        before = len(receiver.received), len(mail.mails)
        assert min(before) == 1
        service.stop()
        service = serve(*arguments, "--tls-only", name="insists")
        for channel in ("1", "2"):
            assert command("notify", "test", "shop", channel).returncode == 1
        assert (len(receiver.received), len(mail.mails)) == before
        for words in (("notify", "add", "shop", "slack"), ("platform", "set", "shop", "webhook")):
            run = command(*words, receiver.url)
            assert run.returncode == 1 and "must be an https URL" in run.stderr, run


def test_a_service_with_a_list_of_hosts_calls_no_other(serve: Started, receiver: Receiver) -> None:
    service = serve("--private-platforms")
    command = Command(service.data)
    command.done("app", "add", "shop")
    command.done("notify", "add", "shop", "slack", receiver.url)
    command.done("platform", "set", "shop", "webhook", receiver.url)
    lists = {"hooks.example, *.shop.example": False, "*.127.0.0.1, 0.0.1": False, "127.0.0.10 27.0.0.1": False,
             "hooks.example,127.0.0.1": True, "*.0.0.1": True}  # fmt: skip
    for number, (hosts, allowed) in enumerate(lists.items()):
        service.stop()
        service = serve("--private-platforms", "--call-hosts", hosts, name=f"list{number}")
        before = len(receiver.received)
        assert (command("notify", "test", "shop", "1").returncode == 0) is allowed, hosts
        tried = command("platform", "test", "shop").stdout
        assert ("a host that this service may call" in tried) is not allowed, tried
        assert (len(receiver.received) > before) is allowed, hosts
        run = command("notify", "add", "shop", "webhook", receiver.url)
        assert run.returncode == (0 if allowed else 1), run
        assert allowed or "--call-hosts" in run.stderr, run


@pytest.mark.parametrize(
    "url, taken",
    [
        ("postgresql://a@127.0.0.1:1/a", False),
        ("postgresql://a@127.0.0.1:1/a?sslmode=require", False),
        ("postgresql://a@127.0.0.1:1/a?sslmode=verify-full", True),
        ("postgresql://a@%2Fnowhere/a", True),
        ("postgresql:///a?host=/nowhere", True),
    ],
)
def test_a_service_that_insists_on_tls_looks_at_the_database_s_url(tmp_path: Path, url: str, taken: bool) -> None:
    service = Service(tmp_path, "--tls-only", "--database", url)
    with pytest.raises(Exception):
        service.start()
    assert ("--tls-only needs sslmode=verify-full" in service.log) != taken, service.log
    service.kill()


def test_a_service_without_a_mail_server_says_so(service: Service) -> None:
    command = Command(service.data)
    command.done("app", "add", "shop")
    command.done("notify", "add", "shop", "email", "ops@shop.example")
    assert command.json("notify", "list", "shop")["email"] is False
    run = command("notify", "test", "shop", "1")
    assert run.returncode == 1 and "--smtp" in run.stdout
