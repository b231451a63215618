"""Two real apps, a Rack one under puma and a Flask one under gunicorn, nginx before each and our
agents in them, are scaled by a real service at its usual pace: reports and ticks each 10 s.

One run of it all gives what the tests here look at; what it lasts is the waits of the rules.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List

import pytest
from app_servers import PYTHON, RUBY, environment
from loops import ROOT, Dynos, Loop, Visitors, eventually
from processes import Nginx, Process, free_port

DEMO = ROOT / "examples" / "demo"  # a page that takes 50 ms, so that a worker can do 20 a second
RULES = """
processes:
  web:
    rules:
      - name: default
        dynos: {min: 1, max: 3}
        window: 10
        up: {threshold_ms: 100, step: 1, wait: 10}
        down: {threshold_ms: 50, step: 1, wait: 10}
"""
CALM, BUSY = 1, 10  # visitors at once


def puma(port: int) -> List[str]:
    command = [RUBY, "-I", str(ROOT / "ruby" / "lib"), "-rpuma/cli"]
    command += ["-e", "Puma::CLI.new(ARGV).run", "--", "--config", "-", "--workers", "1"]
    command += ["--threads", "1:1", "--bind", f"tcp://127.0.0.1:{port}"]
    return [*command, str(DEMO / "config.ru")]


def gunicorn(port: int) -> List[str]:
    command = [PYTHON, "-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{port}"]
    command += ["--timeout", "600"]  # it would end workers that stand still, as one test has them
    return [*command, "--chdir", str(DEMO), "flask_app:app"]


SERVERS = {"rack": puma, "flask": gunicorn}


class App:
    """An app, what was sent to it, and what the service wrote of it."""

    def __init__(self, name: str, loop: Loop, directory: Path, stack: ExitStack) -> None:
        self.name, self.loop = name, loop
        self.dynos = Dynos(directory / name)
        port = free_port()
        url = loop.add_app(name, RULES)
        env = environment({"DYNOSCALE_URL": url, "DYNO": "web.1", "NO_PROXY": "127.0.0.1"})
        self.server = Process(SERVERS[name](port), directory, name, env, directory)
        stack.enter_context(self.server).start()
        self.server.wait_for_port(port, 120)
        self.dynos.serves("web", self.server.pid)
        loop.set_command(name, self.dynos)
        self.front = Nginx(directory, port, name=f"nginx-{name}")
        stack.enter_context(self.front).start()
        self.sent = self.failed = 0
        self.busy_s = self.calm_s = 0.0  # when these phases began
        self.visitors: Any = None

    def visit(self, at_once: int, pause: float = 0.1) -> None:
        self.leave()
        self.visitors = Visitors(self.front.url, at_once, pause)

    def leave(self) -> None:
        if self.visitors:
            self.visitors.stop()
            self.sent += self.visitors.sent
            self.failed += self.visitors.failed
        self.visitors = None

    @property
    def ticks(self) -> List[Dict[str, Any]]:
        return self.loop.ledger(self.name)

    def numbers(self) -> List[int]:
        """What was ordered, in order."""
        return [call["number"] for call in self.dynos.calls()]

    def known(self, tick: Dict[str, Any]) -> Dict[str, Any]:
        """The situation of a tick."""
        explained = self.loop.json("explain", self.name, "web", "--at", str(tick["t"]))
        return {field["name"]: field["value"] for field in explained["situation"]}


def group(app: App, number: int) -> None:
    os.killpg(app.server.pid, number)


class Run:
    """All of it, once."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.loop = stack.enter_context(Loop(directory))
        self.apps = {name: App(name, self.loop, directory, stack) for name in SERVERS}
        self.calm_at_first()
        self.busy()
        self.silent_flask()
        self.calm_again()
        self.end()

    def calm_at_first(self) -> None:
        for app in self.apps.values():
            app.visit(CALM)
        for app in self.apps.values():
            eventually(lambda: self.measured(app), f"{app.name} is measured")

    def measured(self, app: App) -> bool:
        return any(tick["ms"] is not None for tick in app.ticks)

    def busy(self) -> None:
        for app in self.apps.values():
            app.visit(BUSY, 0)
            app.busy_s = time.time()
        for app in self.apps.values():
            eventually(lambda: 3 in app.numbers(), f"{app.name} is scaled up to its maximum")

    def silent_flask(self) -> None:
        """Nothing is heard of it: its workers stand still, and are there."""
        flask = self.apps["flask"]
        self.before_silence = flask.numbers()
        group(flask, signal.SIGSTOP)
        eventually(lambda: self.silent_ticks(flask) >= 3, "three ticks without a report")
        self.after_silence = flask.numbers()
        group(flask, signal.SIGCONT)

    def silent_ticks(self, app: App) -> int:
        return sum("no report" in tick["sentence"] for tick in app.ticks)

    def calm_again(self) -> None:
        for app in self.apps.values():
            app.visit(CALM)
            app.calm_s = time.time()
        for app in self.apps.values():
            eventually(
                lambda: app.numbers()[-1] < max(app.numbers()), f"{app.name} is scaled down", 300
            )

    def end(self) -> None:
        for app in self.apps.values():
            app.leave()
            app.server.stop(signal.SIGTERM, 60, expected=(0, -signal.SIGTERM))
        # The agents sent what was left before their servers ended; each test looks at its number.
        for app in self.apps.values():
            with contextlib.suppress(AssertionError):
                eventually(lambda: self.counted(app) >= app.sent, f"all of {app.name} is counted")

    def counted(self, app: App) -> int:
        series = self.loop.json("series", app.name, "web", "--from", "-1h", "--step", "10")
        return sum(point["count"] for point in series["points"])


@pytest.fixture
def run(long_run: Any, request: pytest.FixtureRequest) -> Run:
    if long_run is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx")
    run: Run = long_run.of("run", request)
    return run


@pytest.fixture(params=sorted(SERVERS))
def app(run: Run, request: pytest.FixtureRequest) -> App:
    return run.apps[request.param]


def test_a_breach_is_acted_upon_by_the_second_tick_after_it(app: App) -> None:
    """Of the ticks that know of it: reports come each 10 s, and later from a busy machine."""
    ticks = [tick for tick in app.ticks if tick["t"] > app.busy_s]
    knows = next(i for i, tick in enumerate(ticks) if tick["ms"] is not None and tick["ms"] > 100)
    after = ticks[knows:]
    acted = next(i for i, tick in enumerate(after) if tick["action"] == "up")
    assert acted <= 1, [tick["sentence"] for tick in after[: acted + 1]]
    assert app.known(after[acted])["report_s"] == 10
    call = app.dynos.calls()[0]
    assert call["number"] == after[acted]["to"] == 2
    assert call["began"] >= after[acted]["t"]


def test_no_dyno_is_removed_before_the_wait_is_over(app: App) -> None:
    ticks = app.ticks
    down = next(i for i, tick in enumerate(ticks) if tick["action"] == "down")
    before = [tick for tick in ticks[: down + 1] if tick["t"] > ticks[down]["t"] - 10]
    assert all(tick["ms"] is not None and tick["ms"] < 50 for tick in before)
    known = app.known(ticks[down])
    assert known["heard_age"] <= 30 and known["started_age"] > 10
    last_up = max(tick["t"] for tick in ticks[:down] if tick["action"] == "up")
    assert ticks[down]["t"] - last_up >= 10


def test_every_number_is_within_the_rules_range(app: App) -> None:
    assert all(1 <= number <= 3 for number in app.numbers())
    assert all(1 <= tick["to"] <= 3 for tick in app.ticks if tick["action"] != "hold")


def test_silence_holds(run: Run) -> None:
    assert run.after_silence == run.before_silence
    silent = [tick for tick in run.apps["flask"].ticks if "no report" in tick["sentence"]]
    assert len(silent) >= 3
    assert all(tick["action"] == "hold" for tick in silent)


def test_every_request_is_counted_once(run: Run, app: App) -> None:
    assert app.failed == 0
    assert run.counted(app) == app.sent


def test_every_decision_is_made_again_the_same(run: Run, app: App) -> None:
    before = len(app.ticks)
    printed = run.loop.replay(app.name)
    found = re.search(r"(\d+) ticks decided again, 0 of them differently", printed)
    assert found and before <= int(found[1]) <= len(app.ticks), printed  # they go on
