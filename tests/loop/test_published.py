"""The agents as they were published report to a real service: whole seconds become ms, and nothing is
counted twice. They come from the registries, so this is not a part of `make test`; what they send is
(tests/service/test_reports.py)."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from app_servers import PYTHON, RUBY, environment
from loops import PATIENCE, Loop, eventually
from processes import Process, free_port
from tee import Tee

PACKAGE, GEM = "dynoscale==1.2.2", ("dynoscale_ruby", "1.0.5")
REQUESTS = 100
RULES = "processes: {web: {rules: [{name: default}]}}"
APP = """
from dynoscale.hooks.gunicorn import pre_request  # as its page has it, in gunicorn.conf.py
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
RACK = """
require 'dynoscale_ruby'
require 'dynoscale_ruby/middleware'
use DynoscaleRuby::Middleware
run ->(_env) { [200, { 'Content-Type' => 'text/plain' }, ['ok']] }
"""


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    # So that it reports at once, and asks its agents for more each second.
    with Loop(tmp_path, "--publish-s", "1") as loop:
        yield loop


def installed(command: List[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no word of why"]
        pytest.skip(f"{what} is not reached here: {lines[-1][:200]}")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with it and what it needs, to be found after Debian's own."""
    folder = tmp_path / "package"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed([*pip, "--target", str(folder), PACKAGE], f"{PACKAGE} on PyPI")
    return folder


@pytest.fixture
def gem(tmp_path: Path) -> Path:
    folder = tmp_path / "gem"
    name, version = GEM
    command = [str(Path(RUBY).with_name("gem")), "install", "--no-document", "--quiet", "--install-dir"]
    installed([*command, str(folder), name, "--version", version], f"{name} {version}")
    return folder


def ask(port: int) -> None:
    """A request as Heroku's router sends it: the stamp is a bare number of ms."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/", headers={"X-Request-Start": str(int(time.time() * 1000) - 40)})
    assert connection.getresponse().status == 200
    connection.close()


def reports(tee: Tee, process: Process, port: int) -> None:
    """Requests, until many are reported: these agents report only when a request comes."""
    with process:
        process.start().wait_for_port(port, PATIENCE)

        def enough() -> bool:
            ask(port)
            return len(tee.waits()) >= REQUESTS and len(tee.reports) >= 2

        eventually(enough, "many are reported")
        process.stop(signal.SIGTERM, PATIENCE, (0, 128 + signal.SIGTERM, -signal.SIGTERM))
    assert tee.refused == []


def counted(loop: Loop, app: str) -> int:
    series = loop.json("series", app, "web", "--from", "-1h", "--step", "60")
    return sum(int(point["count"]) for point in series["points"])


def test_package(loop: Loop, package: Path, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(APP)
    (tmp_path / "wsgi.py").write_text(WSGI)
    port = free_port()
    with Tee(loop.add_app("shop", RULES), times=2) as tee:
        settings = {"DYNOSCALE_URL": tee.url, "DYNO": "web.1", "NO_PROXY": "127.0.0.1"}
        env = environment({**settings, "PYTHONPATH": str(package)})
        command = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:app"]
        server = Process(command, tmp_path, "server", env, tmp_path)
        reports(tee, server, port)
        assert counted(loop, "shop") == len(tee.waits())
        assert min(tee.waits()) >= 40


def test_gem(loop: Loop, gem: Path, tmp_path: Path) -> None:
    (tmp_path / "config.ru").write_text(RACK)
    port = free_port()
    with Tee(loop.add_app("shop", RULES), times=2) as tee:
        settings = {"DYNOSCALE_URL": tee.url, "DYNO": "web.1", "NO_PROXY": "127.0.0.1"}
        env = environment({**settings, "GEM_PATH": str(gem), "RUBYLIB": str(gem)})
        command = [RUBY, "/usr/bin/puma", "--bind", f"tcp://127.0.0.1:{port}", "config.ru"]
        server = Process(command, tmp_path, "server", env, tmp_path)
        reports(tee, server, port)
        assert counted(loop, "shop") == len(tee.waits())
        slowest = max(tee.waits())
        series = loop.json("series", "shop", "web", "--from", "-1h", "--step", "60")
        most = max(int(point.get("max", 0)) for point in series["points"])
        assert slowest * 1000 * 0.984 <= most <= slowest * 1000 * 1.016
