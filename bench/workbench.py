"""What the topics use: the programs and reference extensions, built; a service that uses no CPU; the
environment of a measured process."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from measure import Rounds

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
BUILT = ROOT / "build" / "bench"
NATIVE = Path(os.environ.get("BENCH_NATIVE", str(BUILT / "native")))
PYTHON = os.environ.get("PYTHON") or "/usr/bin/python3"
RUBY = os.environ.get("RUBY") or "/usr/bin/ruby"
CC = (os.environ.get("CC") or "cc").split()

# Settings of this machine that would change what is measured.
LEFT_OUT = frozenset(
    "DYNO HEROKU_APP_NAME SKIP_DYNOSCALE_AGENT RACK_ENV RAILS_ENV PORT GUNICORN_CMD_ARGS"
    " WEB_CONCURRENCY HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split()
)
LEFT_OUT_BEGINNINGS = ("DYNOSCALE_", "PYTHON", "RUBY", "GEM_", "BUNDLE_")


class Missing(Exception):
    """What a topic needs and this machine lacks, in one sentence."""


class SilentService:
    """Takes reports and never answers: nobody accepts the connections that the kernel completes.
    So the agent is on and has one request in flight, and no CPU is used on the other side."""

    def __enter__(self) -> SilentService:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/silent"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Workbench:
    def __init__(self, quick: bool, minutes: float, directory: Path) -> None:
        self.quick = quick
        self.minutes = minutes  # of the topics that take as long as they are told to
        self.directory = directory  # for logs, plots, and what the measured processes write
        self.notes: List[str] = []

    def rounds(self, usual: int) -> int:
        return min(usual, 3) if self.quick else usual

    def seconds(self, usual: float) -> float:
        return min(usual, 1.0) if self.quick else usual

    def values(
        self, command: Sequence[object], env: Optional[Mapping[str, str]] = None
    ) -> Dict[str, Rounds]:
        """Runs a program that prints NAME <tab> VALUE lines, and gives the values by name."""
        text = run([str(part) for part in command], environment(env or {}))
        found: Dict[str, Rounds] = defaultdict(list)
        for line in text.splitlines():
            name, tab, value = line.rpartition("\t")
            if tab:
                found[name].append(float(value))
        return found

    def values_of_processes(
        self, rounds: int, command: Sequence[object], env: Optional[Mapping[str, str]] = None
    ) -> Dict[str, Rounds]:
        """As values, with a process for each round: they hash with different seeds."""
        found: Dict[str, Rounds] = defaultdict(list)
        for _ in range(rounds):
            for name, values in self.values([*command, 1], env).items():
                found[name] += values
        return found

    def native(self, program: str) -> Path:
        return NATIVE / program

    @functools.cached_property
    def ruby(self) -> List[str]:
        """The interpreter, with our gem and the reference extension on its path."""
        return [RUBY, f"-I{ROOT / 'ruby/lib'}", f"-I{build_for_ruby()}", f"-I{BENCH / 'ruby'}"]

    @functools.cached_property
    def python_path(self) -> str:
        return os.pathsep.join([str(ROOT / "python"), str(build_for_python())])

    def python(self, **settings: str) -> Dict[str, str]:
        return {"PYTHONPATH": self.python_path, **settings}

    def temporary(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self.directory)


def agent_on(url: str) -> Dict[str, str]:
    """Settings of an agent that reports to `url`; with a service that is down it would say so."""
    return {"DYNOSCALE_URL": url, "DYNO": "web.1", "DYNOSCALE_LOG_LEVEL": "error"}


AGENT_OFF = {"SKIP_DYNOSCALE_AGENT": "1"}


def environment(settings: Mapping[str, str]) -> Dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in LEFT_OUT and not name.startswith(LEFT_OUT_BEGINNINGS)
    }
    # Compiled Python is kept, as where a package is installed, but not in the checkout.
    return {**kept, "PYTHONPYCACHEPREFIX": str(BUILT / "pycache"), **settings}


def run(command: Sequence[str], env: Mapping[str, str], timeout: float = 900) -> str:
    """What a program prints; its errors come along where it fails."""
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}\nexit status {done.returncode}")
    return done.stdout


# ---- The reference extensions, built as the agents' own are ------------------------------------

CORE = ["queue_time.c", "buffer.c", "clock.c"]


def compile_extension(target: Path, sources: Sequence[str], flags: Sequence[str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    paths = [BENCH / "reference" / source for source in sources]
    if "floor.c" in sources:
        paths += [ROOT / "core/src" / source for source in CORE]
    newest = max(path.stat().st_mtime for path in [*paths, Path(__file__)])
    if target.exists() and target.stat().st_mtime > newest:
        return
    includes = [f"-I{BENCH / 'reference'}", f"-I{ROOT / 'core/include'}", f"-I{ROOT / 'core/src'}"]
    command = [*CC, "-shared", "-fPIC", "-fvisibility=hidden", "-std=gnu11", *includes, *flags]
    command += [*map(str, paths), "-o", str(target), "-lpthread", "-ldl"]
    run(command, os.environ)


def build_for_ruby() -> Path:
    code = "c = RbConfig::CONFIG; puts c.values_at('rubyhdrdir', 'rubyarchhdrdir', 'optflags')"
    headers, arch_headers, optimization = run([RUBY, "-e", code], os.environ).splitlines()
    flags = [*optimization.split(), f"-I{headers}", f"-I{arch_headers}"]
    directory = BUILT / "reference-ruby"
    compile_extension(directory / "reference.so", ["ruby.c", "floor.c"], flags)
    compile_extension(directory / "reference_empty.so", ["ruby_empty.c"], flags)
    return directory


def build_for_python() -> Path:
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    includes = run([PYTHON, "-c", code], os.environ).strip()
    flags = ["-O2", "-flto", f"-I{includes}"]
    directory = BUILT / "reference-python"
    compile_extension(directory / "reference.so", ["python.c", "floor.c"], flags)
    compile_extension(directory / "reference_empty.so", ["python_empty.c"], flags)
    return directory
