"""Real workers of RQ and Sidekiq, two dynos of each, report to a real service: their queues by name,
each reading once, though each report comes twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from app_servers import PYTHON, PYTHONPATH, RUBY, environment, gem_program, output
from loops import PATIENCE, Loop, eventually
from processes import Process, free_port
from tee import Tee

RULES = """
processes:
  worker:
    rules:
      - {name: default, queues: ["*:low"], dynos: {min: 0, max: 2}, up: {threshold_ms: 1000},
         down: {threshold_ms: 500}}
"""
DYNOS = ["worker.1", "worker.2"]

FILL_RQ = """
import os, redis, rq
server = redis.Redis.from_url(os.environ["REDIS_URL"])
for name in ("default", "mails", "low"):
    for _ in range(3):
        rq.Queue(name, connection=server).enqueue("time.sleep", 0)
"""
WORK_SIDEKIQ = """
require 'sidekiq'
require 'dynoscale_ruby'
class Work
  include Sidekiq.const_defined?(:Job) ? Sidekiq::Job : Sidekiq::Worker
  def perform(*); end
end
"""
FILL_SIDEKIQ = """
%w[default mails low].each do |queue|
  3.times { Sidekiq::Client.push('class' => 'Work', 'args' => [], 'queue' => queue) }
end
"""


class Workers:
    """Of one library. Nobody works on the queue `low`."""

    name = ""

    def missing(self) -> Optional[str]:
        raise NotImplementedError

    def command(self, directory: Path) -> List[str]:
        raise NotImplementedError

    def fill(self, directory: Path) -> List[str]:
        raise NotImplementedError


class RQ(Workers):
    name = "rq"

    def missing(self) -> Optional[str]:
        found = os.path.exists("/usr/bin/rq") and output(PYTHON, "-c", "import rq") is not None
        return None if found else f"no RQ for {PYTHON}; on Debian: apt-get install python3-rq"

    def command(self, directory: Path) -> List[str]:
        return [PYTHON, "/usr/bin/rq", "worker", "-c", "dynoscale.hooks.rq", "default", "mails"]

    def fill(self, directory: Path) -> List[str]:
        return [PYTHON, "-c", FILL_RQ]


class Sidekiq(Workers):
    name = "sidekiq"

    def missing(self) -> Optional[str]:
        found = gem_program("sidekiq", "sidekiq")
        return None if found else f"no Sidekiq for {RUBY}; on Debian: apt-get install ruby-sidekiq"

    def command(self, directory: Path) -> List[str]:
        work = directory / "work.rb"
        work.write_text(WORK_SIDEKIQ)
        program = gem_program("sidekiq", "sidekiq") or "sidekiq"
        return [RUBY, program, "-r", str(work), "-q", "default", "-q", "mails", "-c", "1"]

    def fill(self, directory: Path) -> List[str]:
        return [RUBY, "-e", WORK_SIDEKIQ + FILL_SIDEKIQ]


class Life:
    """Of the workers of a library, from their start to their end."""

    def __init__(self, kind: Workers, loop: Loop, directory: Path, stack: ExitStack) -> None:
        self.kind, self.loop, self.directory = kind, loop, directory
        self.tee = stack.enter_context(Tee(loop.add_app(kind.name, RULES), times=2))
        port = free_port()
        redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        redis += ["--dir", str(directory)]
        stack.enter_context(Process(redis, directory, "redis")).start().wait_for_port(port, PATIENCE)
        self.settings = {"REDIS_URL": f"redis://127.0.0.1:{port}/0", "NO_PROXY": "127.0.0.1"}
        self.settings["PYTHONPATH"] = PYTHONPATH
        self.workers = [stack.enter_context(self.worker(dyno)) for dyno in DYNOS]

    def worker(self, dyno: str) -> Process:
        settings = {**self.settings, "DYNOSCALE_URL": self.tee.url, "DYNO": dyno}
        settings.update({"DYNOSCALE_DYNOS": "all", "DYNOSCALE_PUBLISH_FREQUENCY": "2"})
        command = self.kind.command(self.directory)
        return Process(command, self.directory, dyno, environment(settings), self.directory)

    def start(self) -> None:
        environ = environment(self.settings)
        fill = self.kind.fill(self.directory)
        subprocess.run(fill, env=environ, check=True, capture_output=True, timeout=PATIENCE)
        for worker in self.workers:
            worker.start()

    @property
    def source(self) -> str:
        return f"{self.kind.name}:low"

    def wait(self) -> None:
        eventually(lambda: {report.dyno for report in self.tee.reports} == set(DYNOS), "both report")
        eventually(lambda: max(self.tee.waits(self.source)) > 2000, "a job has waited")

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop(signal.SIGTERM, PATIENCE, (0,))
        eventually(lambda: self.counted(self.source) >= len(self.tee.waits(self.source)), "all is counted")

    def points(self, source: str) -> List[Dict[str, Any]]:
        times = ["--from", "-1h", "--step", "60"]
        points: List[Dict[str, Any]] = self.loop.json("series", self.kind.name, source, *times)["points"]
        return [point for point in points if point["count"]]

    def counted(self, source: str) -> int:
        return sum(int(point["count"]) for point in self.points(source))


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dict[str, Life]]:
    """Side by side: what they last is the intervals of their reports."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("jobs")
        loop = stack.enter_context(Loop(directory, "--publish-s", "2", "--tick-s", "1"))
        there = [kind for kind in (RQ(), Sidekiq()) if not kind.missing()]
        lives = {}
        for kind in there if shutil.which("redis-server") else []:
            (directory / kind.name).mkdir()
            lives[kind.name] = Life(kind, loop, directory / kind.name, stack)
        for life in lives.values():
            life.start()
        for life in lives.values():
            life.wait()
        for life in lives.values():
            life.stop()
        yield lives


@pytest.fixture(params=[RQ, Sidekiq])
def life(lives: Dict[str, Life], request: pytest.FixtureRequest) -> Life:
    kind = request.param()
    if reason := kind.missing():
        pytest.skip(reason)
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server here; on Debian: apt-get install redis-server")
    return lives[kind.name]


def test_each_reading_is_counted_once_by_the_name_of_its_queue(life: Life) -> None:
    assert life.tee.refused == []
    names = {row.source for row in life.tee.rows if not row.signal}
    assert names == {f"{life.kind.name}:{queue}" for queue in ("default", "mails", "low")}
    for name in names:
        waits = life.tee.waits(name)
        assert life.counted(name) == len(waits)
        most = max(int(point["max"]) for point in life.points(name))
        assert max(waits) * 0.984 <= most <= max(waits) * 1.016


def test_the_queue_that_waits_longest_decides(life: Life) -> None:
    sentences = [tick["sentence"] for tick in life.loop.ledger(life.kind.name, "worker")]
    assert any("no platform is set" in sentence for sentence in sentences)
    values = [tick["ms"] for tick in life.loop.ledger(life.kind.name, "worker") if tick["ms"]]
    assert max(values) > 1000
