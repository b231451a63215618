"""A platform that hangs, refuses, lies, answers late or is changed by somebody else; and a service
that is killed while it scales. The dynos are a number in a file; the service, its command line and
the program that it calls are real, and a tick is a second."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List
from urllib.parse import parse_qs, urlsplit

import pytest
from loops import PATIENCE, Dynos, Loop, eventually


def rules(least: int, most: int = 5) -> str:
    return f"processes: {{web: {{rules: [{{name: default, dynos: {{min: {least}, max: {most}}}}}]}}}}"


@pytest.fixture
def dynos(tmp_path: Path) -> Dynos:
    dynos = Dynos(tmp_path / "dynos")
    dynos.runs("web", 1)
    return dynos


@pytest.fixture
def loop(tmp_path: Path, dynos: Dynos, request: pytest.FixtureRequest) -> Iterator[Loop]:
    """One app, `shop`, whose one dyno is as its rule wants it and was read. Its parameter is how long
    a call may take, in seconds: else longer than any test holds one."""
    arguments = ("--tick-s", "1", "--act-timeout-s", getattr(request, "param", "600"))
    with Loop(tmp_path, *arguments) as loop:
        loop.add_app("shop", rules(1), dynos)
        eventually(lambda: known(loop).get("ordered") == 1, "the formation is known")
        yield loop


def known(loop: Loop, app: str = "shop") -> Dict[str, Any]:
    """The situation of the last tick; before the first, nothing."""
    if not loop.ledger(app):
        return {}
    last = loop.last(app)
    situation = {field["name"]: field["value"] for field in last["situation"]}
    return {**situation, "trouble": last["trouble"] or ""}


def numbers(dynos: Dynos) -> List[int]:
    return [call["number"] for call in dynos.begun()]


def ticks_pass(loop: Loop, count: int) -> None:
    """So many more decisions are made and written down."""
    before = len(loop.ledger("shop"))
    eventually(lambda: len(loop.ledger("shop")) >= before + count, f"{count} more ticks")


# ---- Killed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["set.block", "set.after"])
def test_a_service_killed_while_it_scales_neither_repeats_nor_forgets(
    loop: Loop, dynos: Dynos, where: str
) -> None:
    """At `set.block` the platform has not heard of it yet, at `set.after` it has done it."""
    dynos.misbehave(where)
    loop.put_rules("shop", rules(3))
    eventually(lambda: dynos.is_at(where), "the platform is told")
    loop.service.kill()
    if where == "set.after":
        dynos.behave(where)  # the program ends by itself
        eventually(lambda: dynos.calls(), "the program has ended")
    loop.restart()
    if where == "set.block":
        # The program of before still waits: let the one of now, and then both, go on.
        eventually(lambda: len(dynos.begun()) == 2, "it is ordered anew")
        dynos.behave(where)
        eventually(lambda: len(dynos.calls()) == 2, "both programs have ended")
    ticks_pass(loop, 15)
    assert dynos.number("web") == 3
    assert numbers(dynos) == ([3, 3] if where == "set.block" else [3])
    situation = known(loop)
    assert situation["ordered"] == 3 and situation["act_state"] == 2
    assert situation["outside_count"] == 0
    assert "0 of them differently" in loop.replay("shop")


def test_a_service_killed_at_any_moment_ends_with_the_right_number(
    loop: Loop, dynos: Dynos
) -> None:
    """Without barriers: ten kills at moments that nobody chose, a wish before each."""
    for i in range(10):
        wanted = 2 + i % 3
        loop.put_rules("shop", rules(wanted, wanted))
        time.sleep(0.13 * i)  # not waited for: any moment is right
        loop.service.kill()
        loop.restart()
        eventually(lambda: dynos.number("web") == wanted, f"{wanted} dynos run")
    ticks_pass(loop, 12)
    assert dynos.number("web") == wanted
    assert known(loop)["outside_count"] == 0
    sequence = numbers(dynos)
    # Each number is ordered once, or twice where a kill came before the answer was known.
    changes = [n for i, n in enumerate(sequence) if i == 0 or n != sequence[i - 1]]
    assert changes == [2 + i % 3 for i in range(10)]
    assert all(sequence[i : i + 3] != [n, n, n] for i, n in enumerate(sequence))


def test_a_service_ends_after_its_act_and_knows_of_it(loop: Loop, dynos: Dynos) -> None:
    dynos.misbehave("set.block")
    loop.put_rules("shop", rules(3))
    eventually(lambda: dynos.is_at("set.block"), "the platform is told")
    loop.service.send_signal(signal.SIGTERM)
    dynos.behave("set.block")
    loop.service.stop(signal.SIGTERM, PATIENCE)
    loop.restart()
    ticks_pass(loop, 12)
    assert numbers(dynos) == [3]
    assert known(loop)["outside_count"] == 0


# ---- By somebody else -----------------------------------------------------------------------


def test_a_formation_changed_from_outside_is_adopted(loop: Loop, dynos: Dynos) -> None:
    dynos.runs("web", 4)
    eventually(lambda: known(loop)["ordered"] == 4, "the change is seen")
    situation = known(loop)
    assert situation["outside_count"] == 1
    ticks_pass(loop, 12)
    assert numbers(dynos) == []
    assert dynos.number("web") == 4


def test_a_change_made_while_the_service_was_down_is_adopted(loop: Loop, dynos: Dynos) -> None:
    loop.service.kill()
    dynos.runs("web", 3)
    loop.restart()
    eventually(lambda: known(loop)["ordered"] == 3, "the change is seen")
    assert known(loop)["outside_count"] == 1
    ticks_pass(loop, 5)
    assert numbers(dynos) == []


# ---- Trouble --------------------------------------------------------------------------------


def test_a_platform_that_refuses_says_why_and_is_not_pestered(loop: Loop, dynos: Dynos) -> None:
    dynos.misbehave("set.status", "77")
    loop.put_rules("shop", rules(3))
    eventually(lambda: dynos.begun(), "the platform is told")
    ticks_pass(loop, 12)
    assert len(dynos.begun()) == 1
    assert "told to fail at set" in known(loop)["trouble"]
    assert "told to fail at set" in loop.run("status", "shop")
    dynos.behave("set.status")
    # A person has done something about it: the platform is set anew, and tried at once.
    loop.set_command("shop", dynos)
    eventually(lambda: dynos.number("web") == 3, "it is scaled")


def test_a_platform_that_fails_is_tried_again_until_it_works(loop: Loop, dynos: Dynos) -> None:
    dynos.misbehave("set.status", "1")
    loop.put_rules("shop", rules(3))
    eventually(lambda: len(dynos.begun()) >= 2, "it is tried again")
    dynos.behave("set.status")
    eventually(lambda: dynos.number("web") == 3, "it is scaled")
    ticks_pass(loop, 12)
    assert len(dynos.calls()) == 1
    assert known(loop)["act_state"] == 2


@pytest.mark.parametrize("loop", ["5"], indirect=True)
def test_a_platform_that_hangs_is_given_up_and_tried_again(loop: Loop, dynos: Dynos) -> None:
    """A program that waits behind a barrier is killed at its deadline; other apps go on."""
    others = Dynos(loop.directory / "others")
    others.runs("web", 1)
    loop.add_app("other", rules(1), others)
    dynos.misbehave("set.block")
    loop.put_rules("shop", rules(3))
    eventually(lambda: dynos.is_at("set.block"), "the platform is told")
    loop.put_rules("other", rules(2))
    eventually(lambda: others.number("web") == 2, "another app is scaled meanwhile")
    eventually(lambda: len(dynos.begun()) >= 2, "the platform is told again")
    assert any("did not end within 5000 ms" in act["sentence"] for act in loop.ledger("shop"))
    dynos.behave("set.block")
    eventually(lambda: dynos.number("web") == 3, "it is scaled")


def test_a_platform_that_answers_late_is_waited_for(loop: Loop, dynos: Dynos) -> None:
    """Longer than several ticks: nothing is ordered a second time."""
    dynos.misbehave("set.after")
    loop.put_rules("shop", rules(3))
    eventually(lambda: dynos.is_at("set.after"), "the platform is told")
    ticks_pass(loop, 2)
    held = loop.ledger("shop")[-1]
    assert held["action"] == "hold" and "under way" in held["sentence"]
    dynos.behave("set.after")
    ticks_pass(loop, 12)
    assert numbers(dynos) == [3]


def test_a_platform_that_lies_is_found_out(loop: Loop, dynos: Dynos) -> None:
    dynos.misbehave("set.lie")
    loop.put_rules("shop", rules(3))
    lie = "answered that it would run 3 dynos, and still says 1"
    eventually(lambda: any(lie in tick["sentence"] for tick in loop.ledger("shop")), "it is told")
    assert known(loop)["outside_count"] == 0
    dynos.behave("set.lie")
    eventually(lambda: dynos.number("web") == 3, "it is scaled")


NONSENSE = ["", "many", "-1", "3\n4", "99999999999", '{"ordered": "3"}', "3" * 20000]


def test_nonsense_about_the_formation_holds(tmp_path: Path) -> None:
    with Loop(tmp_path, "--tick-s", "1") as loop:
        apps = {f"app-{i}": Dynos(tmp_path / f"app-{i}") for i in range(len(NONSENSE))}
        for (app, dynos), says in zip(apps.items(), NONSENSE):
            dynos.runs("web", 1)
            loop.add_app(app, rules(1), dynos)
            eventually(lambda: known(loop, app).get("ordered") == 1, "the formation is known")
            dynos.misbehave("read.says", says)
            dynos.runs("web", 5)
        for app, dynos in apps.items():
            eventually(lambda: "scale.py read web" in known(loop, app)["trouble"], "it is told")
            assert known(loop, app)["ordered"] == 1
            assert numbers(dynos) == []


def test_without_an_answer_from_the_platform_nothing_is_done(tmp_path: Path) -> None:
    dynos = Dynos(tmp_path / "dynos")
    dynos.runs("web", 1)
    dynos.misbehave("read.status", "1")
    with Loop(tmp_path, "--tick-s", "1") as loop:
        loop.add_app("shop", rules(3), dynos)
        eventually(lambda: len(loop.ledger("shop")) > 3, "some ticks")
        assert numbers(dynos) == []
        assert loop.ledger("shop")[-1]["action"] == "hold"
        assert "told to fail at read" in known(loop)["trouble"]
        dynos.behave("read.status")
        eventually(lambda: dynos.number("web") == 3, "it is scaled")


def test_scaling_that_is_off_is_decided_and_not_done(loop: Loop, dynos: Dynos) -> None:
    loop.put_rules("shop", rules(3).replace("{rules", "{scaling: off, rules"))
    eventually(lambda: loop.ledger("shop")[-1]["action"] == "up", "it is decided")
    ticks_pass(loop, 3)
    assert numbers(dynos) == []


# ---- A webhook ------------------------------------------------------------------------------


class Receiver(http.server.ThreadingHTTPServer):
    """A user's own receiver, which checks what the documentation of the webhook says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.secret = b""
        self.dynos = {"web": 1}
        self.posts: List[Dict[str, Any]] = []
        self.forged = 0
        self.answers: List[int] = []  # in place of 204, one each
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dynos"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, *_: object) -> None: ...

    def _is_signed(self, text: bytes) -> bool:
        stamp = self.headers.get("Dynoscale-Timestamp", "")
        made = hmac.new(self.server.secret, stamp.encode() + b"." + text, hashlib.sha256)
        given = self.headers.get("Dynoscale-Signature", "")
        good = hmac.compare_digest(f"v1={made.hexdigest()}", given)
        good = good and abs(time.time() - int(stamp)) < 300
        self.server.forged += not good
        return good

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        query = urlsplit(self.path).query
        if not self._is_signed(query.encode()):
            return self._answer(401)
        named = parse_qs(query)
        assert named["app"] == ["shop"]
        self._answer(200, str(self.server.dynos[named["process"][0]]).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_signed(body):
            return self._answer(401)
        order = json.loads(body)
        self.server.posts.append(order)
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status == 204:
            self.server.dynos[order["process"]] = order["wanted"]
        self._answer(status)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
        receiver.shutdown()


def set_webhook(loop: Loop, receiver: Receiver) -> None:
    receiver.secret = b"a secret of the user's own"
    loop.run("platform", "set", "shop", "webhook", receiver.url, "--secret-stdin",
             text=receiver.secret.decode() + "\n")


def test_a_webhook_is_asked_and_told_with_a_signature(tmp_path: Path, receiver: Receiver) -> None:
    with Loop(tmp_path, "--tick-s", "1", "--private-platforms") as loop:
        loop.add_app("shop", rules(3))
        receiver.answers = [500]
        set_webhook(loop, receiver)
        eventually(lambda: receiver.dynos["web"] == 3, "it is scaled")
        assert receiver.forged == 0
        assert [order["wanted"] for order in receiver.posts] == [3, 3]
        assert set(receiver.posts[0]) == {"app", "process", "wanted", "reason"}
        assert receiver.posts[0]["app"] == "shop"
        assert receiver.posts[0]["reason"].startswith("up 1 → 3: ")
        ticks_pass(loop, 12)
        assert known(loop)["ordered"] == 3 and len(receiver.posts) == 2
        printed = loop.run("platform", "show", "shop") + loop.service.log
        assert receiver.secret.decode() not in printed


def test_a_webhook_at_a_private_address_is_refused_unless_the_operator_allows_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Loop(tmp_path, "--tick-s", "1") as loop:
        loop.add_app("shop", rules(3))
        command = [loop.service.program, "platform", "set", "shop", "webhook", receiver.url]
        done = subprocess.run(
            [*command, "--data", str(loop.service.data)], capture_output=True, text=True
        )
        assert done.returncode != 0
        assert "its address is private" in done.stderr
        loop.run(*command[1:], "--force")
        eventually(lambda: "its address is private" in known(loop).get("trouble", ""), "it is told")
        assert receiver.posts == [] and receiver.forged == 0
