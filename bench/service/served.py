"""What the service's benches share: a service with an app, an nginx that takes and answers the same
reports and does nothing else, the load program, and the CPU time of a process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

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


def nginx_sink(directory: Path) -> Tuple[Process, int]:
    """nginx that answers 200 to every report: what taking and answering one can't do without."""
    port = free_port()
    config = directory / "sink.conf"
    config.write_text(NGINX_CONFIG.format(directory=directory, port=port))
    command = [find_nginx() or "nginx", "-p", str(directory), "-c", str(config), "-e", "stderr"]
    process = Process(command, directory, name="nginx-sink").start()
    process.wait_for_port(port)
    return process, port


def add_app(service: Service, name: str = "bench") -> str:
    """The path of its reports."""
    command = [service.program, "app", "add", name, "--data", str(service.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = re.search(r"DYNOSCALE_URL=\S*?(/api/v1/report/[\w-]+)", done.stdout)
    if not found:
        raise RuntimeError(f"no address for reports: {done.stdout}{done.stderr}")
    return found.group(1)


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


def load(
    program: Path, port: int, path: str, connections: int, seconds: float, rows: int = 100,
    interval_ms: int = 0, method: str = "POST",
) -> Dict[str, float]:  # fmt: skip
    """What bench/service/load.c prints."""
    command = [program, port, path, connections, seconds, rows, interval_ms, method]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=seconds + 120
    )
    if not done.stdout:
        raise RuntimeError(done.stderr)
    lines = (line.split("\t") for line in done.stdout.splitlines())
    return {name: float(value) for name, value in lines}


def cpu_of_load(pid: int, *arguments: object, **others: object) -> Tuple[float, Dict[str, float]]:
    """CPU µs of the process for each answer, and the load's figures."""
    before = cpu_ns(pid)
    figures = load(*arguments, **others)  # type: ignore[arg-type]
    return (cpu_ns(pid) - before) / 1000 / max(figures["answers"], 1), figures


def write_results(name: str, results: Dict[str, object]) -> None:
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"service-{name}.json").write_text(json.dumps(results, indent=2) + "\n")
