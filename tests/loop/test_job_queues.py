"""Real workers of RQ and Sidekiq, two dynos of each, report to a real service: their queues by name,
each reading once, though each report comes twice; how many jobs wait and are worked on; and one dyno
alone goes on to read, until it dies."""

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
rq.Queue("mails", connection=server).enqueue("work.hold", os.environ["END"])
"""
WORK_RQ = """
import os, time
def hold(end):
    while not os.path.exists(end):
        time.sleep(0.05)
"""
WORK_SIDEKIQ = """
require 'sidekiq'
require 'dynoscale_ruby'
class Work
  include Sidekiq.const_defined?(:Job) ? Sidekiq::Job : Sidekiq::Worker
  def perform(end_file = nil) = end_file && (sleep 0.05 until File.exist?(end_file))
end
"""
FILL_SIDEKIQ = """
%w[default mails low].each do |queue|
  3.times { Sidekiq::Client.push('class' => 'Work', 'args' => [], 'queue' => queue) }
end
Sidekiq::Client.push('class' => 'Work', 'args' => [ENV.fetch('END')], 'queue' => 'mails')
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
        (directory / "work.py").write_text(WORK_RQ)
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
        self.settings["PYTHONPATH"] = f"{PYTHONPATH}{os.pathsep}{directory}"
        self.settings["END"] = str(directory / "end")
        self.reader = ""  # the dyno that was the only one to read, at first
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
        self.wait_for_numbers()
        eventually(lambda: len({*self.readers()[-6:]}) == 1, "one dyno reads alone")
        Path(self.settings["END"]).touch()
        self.reader = self.readers()[-1]
        self.workers[DYNOS.index(self.reader)].kill()
        eventually(lambda: self.readers()[-1] != self.reader, "the other one reads")

    def readers(self) -> List[str]:
        """Of each report with readings of job queues, the dyno."""
        return [
            report.dyno
            for report in list(self.tee.reports)
            if any(row.source == self.source and not row.signal for row in report.rows)
        ]

    def wait_for_numbers(self) -> None:
        name = self.kind.name
        for queue, signal_name, jobs in (
            ("low", "depth", 3),
            ("default", "depth", 0),
            ("mails", "working", 1),
            ("low", "working", 0),
        ):
            eventually(
                lambda: jobs in [point["max"] for point in self.points(f"{name}:{queue}", signal_name)],
                f"{jobs} as the {signal_name} of {queue}",
            )

    def stop(self) -> None:
        for worker in self.workers:
            if worker.running:
                worker.stop(signal.SIGTERM, PATIENCE, (0,))
        eventually(lambda: self.counted(self.source) >= len(self.tee.waits(self.source)), "all is counted")

    def points(self, source: str, signal_name: str = "wait") -> List[Dict[str, Any]]:
        wanted = [source, "--from", "-1h", "--step", "60", "--signal", signal_name]
        points: List[Dict[str, Any]] = self.loop.json("series", self.kind.name, *wanted)["points"]
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


def test_numbers_of_jobs_are_told_by_the_service(life: Life) -> None:
    rows = {(row.source, row.signal) for row in life.tee.rows if row.signal in ("depth", "working")}
    names = [f"{life.kind.name}:{queue}" for queue in ("default", "mails", "low")]
    assert rows == {(name, signal) for name in names for signal in ("depth", "working")}
    assert max(point["max"] for point in life.points(f"{life.kind.name}:low", "depth")) == 3
    assert max(point["max"] for point in life.points(f"{life.kind.name}:low", "working")) == 0
    assert max(point["max"] for point in life.points(f"{life.kind.name}:mails", "working")) == 1


def test_one_dyno_alone_reads_until_it_dies_and_then_the_other(life: Life) -> None:
    readers = life.readers()
    assert {*readers} == {*DYNOS}
    last = len(readers) - 1 - readers[::-1].index(life.reader)
    assert {*readers[last - 5 : last + 1]} == {life.reader}
    assert life.reader not in readers[last + 1 :] and readers[last + 1 :]


def test_the_queue_that_waits_longest_decides(life: Life) -> None:
    sentences = [tick["sentence"] for tick in life.loop.ledger(life.kind.name, "worker")]
    assert any("no platform is set" in sentence for sentence in sentences)
    values = [tick["ms"] for tick in life.loop.ledger(life.kind.name, "worker") if tick["ms"]]
    assert max(values) > 1000
