"""The precompiled gems, where there is no compiler and no header: in new Debians, from an index
that has the source gem as well. Takes root and a mirror."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "release")]

import check  # noqa: E402
import chroot  # noqa: E402
import receiver as receivers  # noqa: E402

RUBY = os.environ.get("RUBY", "/usr/bin/ruby")
RUBIES = {"bookworm": "3.1", "trixie": "3.3"}
INSTALL = "apt-get install -q -y --no-install-recommends"
REQUESTS = """
require 'dynoscale_ruby/middleware'
app = DynoscaleRuby::Middleware.new(->(_) { [200, {}, ['hello']] })
10.times do
  answer = app.call({ 'HTTP_X_REQUEST_START' => "t=#{Time.now.to_f - 0.02}" })
  raise answer.inspect unless answer == [200, {}, ['hello']]
end
p DynoscaleRuby.flush(timeout: ARGV.fetch(0).to_f)
"""


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(folder: Path, *options: str) -> None:
    gems = folder / "gems"
    run(sys.executable, str(ROOT / "release" / "gems.py"), "--to", str(gems), *options)
    source = str(gems / f"dynoscale_ruby-{check.version()}.gem")
    run(RUBY, "-S", "gem", "build", "-q", "dynoscale_ruby.gemspec", "-o", source)
    help_text = run(RUBY, "-S", "gem", "help", "commands")
    if "generate_index" not in help_text:
        pytest.skip("this RubyGems has no generate_index")
    run(RUBY, "-S", "gem", "generate_index", "-q", "-d", str(folder))


class Index:
    """A registry of gems: a folder over HTTP."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("index")
    build(folder)
    running = Index(folder)
    yield running
    running.server.shutdown()


@pytest.fixture
def receiver() -> Iterator[receivers.Receiver]:
    with receivers.Receiver() as running:
        running.behave("ok", checks=True)
        yield running


@pytest.fixture(params=RUBIES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[chroot.Chroot]:
    if reason := chroot.missing():
        pytest.skip(reason)
    system: Optional[chroot.Chroot] = chroot.Chroot(request.param, tmp_path / "root")
    try:
        system.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    try:
        done = system.run(f"apt-get update -q && {INSTALL} ruby")
        if done.returncode != 0:
            pytest.skip(f"{request.param}'s mirror: {done.stdout.splitlines()[-1]}")
        assert system.run("command -v cc gcc make").stdout == ""
        yield system
    finally:
        system.remove()


def gem_install(machine: chroot.Chroot, index: Index) -> "subprocess.CompletedProcess[str]":
    return machine.run(f"gem install --clear-sources --source {index.url} dynoscale_ruby")


def test_the_index_gives_the_precompiled_gem_which_reports(
    machine: chroot.Chroot, index: Index, receiver: receivers.Receiver
) -> None:
    done = gem_install(machine, index)
    assert done.returncode == 0 and "x86_64-linux" in done.stdout, done.stdout
    (machine.root / "requests.rb").write_text(REQUESTS)
    program = f"DYNO=web.1 DYNOSCALE_URL={receiver.url}/token ruby -w /requests.rb"
    # The app runs, and one line says what to install.
    done = machine.run(f"{program} 10")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if "libcurl" not in line] == ["false"], done.stdout
    (line,) = (line for line in lines if "libcurl" in line)
    assert "libcurl4 (Debian, Ubuntu)" in line

    installed = machine.run(f"{INSTALL} libcurl4t64 || {INSTALL} libcurl4")
    assert installed.returncode == 0, installed.stdout
    done = machine.run(f"{program} 60")
    assert (done.returncode, done.stdout) == (0, "true\n")
    assert receiver.summary()["rows"] == 10
    doctor = machine.run(
        f"DYNO=web.1 DYNOSCALE_URL={receiver.url}/token dynoscale doctor"
    )
    assert doctor.stdout.endswith("\nAll is well.\n"), doctor.stdout


def test_another_ruby_is_given_the_source_gem(
    machine: chroot.Chroot, tmp_path: Path
) -> None:
    (other,) = set(RUBIES.values()) - {RUBIES[machine.release]}
    folder = tmp_path / "index"
    build(folder, "--ruby", other)
    done = gem_install(machine, Index(folder))
    # Which it then has nothing to compile with.
    assert done.returncode != 0 and "apt-get install ruby-dev" in done.stdout, done.stdout
