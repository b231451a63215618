"""What the topics work with: a service with apps, an nginx that takes and answers the same reports
and does nothing else, the load, and what a process uses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "service"), str(ROOT / "bench")]

from dynoscaled import local_request  # noqa: E402
from measure import Rounds  # noqa: E402
from processes import Process, find_nginx, free_port  # noqa: E402
from service import Service  # noqa: E402

NGINX_CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 25000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    client_max_body_size 1m;
    client_body_buffer_size 1m;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ default_type application/json; return 200 '{{"config":{{}}}}'; }}
    }}
}}
"""


class Figure(NamedTuple):
    values: Rounds
    references: Rounds


class Bench:
    """The two programs, and how long everything takes."""

    def __init__(self, programs: Path, quick: bool) -> None:
        self.load = programs / "load"
        self._data = programs / "data"
        self._trials = programs / "trials"
        self.quick = quick

    def rounds(self, usual: int) -> int:
        return min(usual, 2) if self.quick else usual

    def seconds(self, usual: float) -> float:
        return min(usual, 0.5) if self.quick else usual

    def data(self, what: str, folder: Path, *numbers: int) -> Dict[str, Figure]:
        """What bench/service/data.c prints, by name."""
        folder.mkdir(parents=True, exist_ok=True)
        return self._figures([str(self._data), what, str(folder), *map(str, numbers)])

    def trials(self, folder: Path, rounds: int) -> Dict[str, Figure]:
        """What bench/service/trials.c prints, by name."""
        return self._figures([str(self._trials), str(folder), str(rounds)])

    @staticmethod
    def _figures(command: List[str]) -> Dict[str, Figure]:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found: Dict[str, Figure] = defaultdict(lambda: Figure([], []))
        for line in done.stdout.splitlines():
            name, value, reference, _ = line.split("\t")
            found[name].values.append(float(value))
            found[name].references.append(float(reference))
        return found

    def loaded(
        self, port: int, paths: str, connections: int, seconds: float, **shape: Any
    ) -> Dict[str, float]:
        return load(self.load, port, paths, connections, seconds, **shape)


class Sink(NamedTuple):
    pid: int
    port: int


@contextmanager
def nginx_sink(directory: Path) -> Iterator[Sink]:
    """nginx that answers 200 to every report: what taking and answering one can't do without."""
    port = free_port()
    config = directory / "sink.conf"
    config.write_text(NGINX_CONFIG.format(directory=directory, port=port))
    command = [find_nginx() or "nginx", "-p", str(directory), "-c", str(config), "-e", "stderr"]
    with Process(command, directory, name="nginx-sink").start() as process:
        process.wait_for_port(port)
        yield Sink(process.pid, port)


def ask(service: Service, method: str, path: str, body: object = None) -> Dict[str, Any]:
    """The API on the machine itself; a text is YAML."""
    kind = "application/yaml" if isinstance(body, str) else "application/json"
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    answer = local_request(service.data, method, path, data, {"Content-Type": kind})
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {answer.text}")
    found: Dict[str, Any] = json.loads(answer.body) if answer.body else {}
    return found


def add_apps(service: Service, count: int) -> List[str]:
    """app0000, app0001 ...: the paths of their reports."""
    paths = []
    for number in range(count):
        app = ask(service, "POST", "/api/v1/apps", {"name": f"app{number:04}", "zone": "Etc/UTC"})
        url = str(app["report_url"])
        paths.append(url[url.index("/api/") :])
    return paths


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, those that have ended left out."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def wake_ups(pid: int) -> int:
    """How often its threads were put on a CPU after they had waited."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)
        total += int(found.group(1)) if found else 0
    return total


def resident_mb(pid: int) -> float:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0


def own_mb(pid: int) -> float:
    """Pages that no other process has. Of a keeper only root may look: else 0, which is nearly true."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.M)) / 1024


def with_keepers_mb(pid: int) -> float:
    """That of the service, and what its keepers have of their own: the rest is the same pages."""
    parents: Dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(after_name[1])
    keepers = [one for one, parent in parents.items() if pid in (parent, parents.get(parent))]
    return resident_mb(pid) + sum(map(own_mb, keepers))


def load(
    program: Path, port: int, paths: str, connections: int, seconds: float, rows: int = 100,
    interval_ms: int = 0, method: str = "POST", series: int = 1,
) -> Dict[str, float]:  # fmt: skip
    """What bench/service/load.c prints."""
    command = [program, port, paths, connections, seconds, rows, interval_ms, method, series]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=seconds + 300
    )
    if not done.stdout:
        raise RuntimeError(done.stderr)
    lines = (line.split("\t") for line in done.stdout.splitlines())
    return {name: float(value) for name, value in lines}


def cpu_of_load(pid: int, *arguments: Any, **shape: Any) -> Tuple[float, Dict[str, float]]:
    """CPU µs of the process for each answer, and the load's figures."""
    before = cpu_ns(pid)
    figures = load(*arguments, **shape)
    return (cpu_ns(pid) - before) / 1000 / max(figures["answers"], 1), figures
