"""puma and gunicorn as the topics run them, and wrk against them."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping

from processes import Process, free_port
from workbench import BENCH, PYTHON, RUBY, Missing, Workbench, environment, run


@dataclass
class AppServer:
    name: str
    package: str
    command: Callable[[Workbench, int, int], List[object]]
    env: Callable[[Workbench], Dict[str, str]]
    check: List[str]

    def need(self) -> None:
        try:
            run(self.check, environment({}))
        except SystemExit:
            raise Missing(f"not measured: needs {self.package}") from None

    @contextmanager
    def started(
        self,
        bench: Workbench,
        directory: Path,
        name: str,
        threads: int,
        settings: Mapping[str, str],
    ) -> Iterator[Served]:
        """The server, one process with as many threads as the load has connections: some servers
        let a thread wait for the next request of its connection for a while."""
        port = free_port()
        command = [str(part) for part in self.command(bench, port, threads)]
        env = environment({**self.env(bench), **settings})
        with Process(command, directory, name, env) as process:
            process.start().wait_for_port(port)
            yield Served(process, port)
            if process.running:
                process.stop(expected=(0, 143, -15))


@dataclass
class Served:
    process: Process
    port: int


def puma(bench: Workbench, port: int, threads: int) -> List[object]:
    program = run([RUBY, "-e", "puts Gem.bin_path('puma', 'puma')"], environment({})).strip()
    arguments = ["--quiet", "--threads", f"{threads}:{threads}", "--environment", "production"]
    arguments += ["--bind", f"tcp://127.0.0.1:{port}", str(BENCH / "ruby/config.ru")]
    # Without a configuration of the directory that the benchmark is started in.
    return [*bench.ruby, program, "--config", "-", *arguments]


def gunicorn(bench: Workbench, port: int, threads: int) -> List[object]:
    arguments = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", threads]
    arguments += ["--keep-alive", 60, "--log-level", "error", "served:app"]
    return [PYTHON, "-m", "gunicorn", *arguments]


SERVERS: List[AppServer] = [
    AppServer("puma", "puma", puma, lambda bench: {}, [RUBY, "-e", "require 'puma'"]),
    AppServer(
        "gunicorn",
        "gunicorn",
        gunicorn,
        lambda bench: bench.python(
            PYTHONPATH=f"{bench.python_path}:{BENCH / 'python'}", WEB_CONCURRENCY="1"
        ),
        [PYTHON, "-c", "import gunicorn"],
    ),
]


@dataclass
class Load:
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def wrk(port: int, seconds: float, connections: int, pause_ms: float = 0) -> Load:
    """As many requests as the server answers, or, with a pause before each, fewer. Each carries
    the stamp of the beginning."""
    if shutil.which("wrk") is None:
        raise Missing("not measured: needs wrk")
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--latency"]
    command += ["--duration", f"{max(1, round(seconds))}s"]
    command += ["--header", f"X-Request-Start: {int(time.time() * 1000)}"]
    if pause_ms:
        command += ["--script", str(BENCH / "wrk.lua")]
    text = run([*command, f"http://127.0.0.1:{port}/"], environment({"PAUSE_MS": str(pause_ms)}))
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk met errors:\n{text}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None, text
    return Load(float(rate[1]), _latency(text, "50"), _latency(text, "99"))


def _latency(text: str, percent: str) -> float:
    found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)\b", text)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]
