"""Our agents in many servers report to a real service: every request is counted once, and the
percentiles are those of the samples themselves."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from app_servers import BASIC, AppServer
from load import drive
from loops import PATIENCE, Loop, eventually
from processes import Nginx, free_port
from tee import Tee

NAMES = [
    "puma single",
    "puma cluster",
    "unicorn",
    "gunicorn sync hook",
    "gunicorn gthread wrapper",
    "gunicorn uvicorn worker",
    "uwsgi",
]
REQUESTS, CONNECTIONS = 320, 8
HOUR_S, DAY_S = 3600, 86400
BEGAN = int(time.time())
# All is in one point: none of these steps ends while the tests run.
STEP_S = next(step for step in range(DAY_S, 2 * DAY_S, 10) if BEGAN % step < step - HOUR_S)
ERROR = 0.016  # of a sketch; below 64 ms it is exact


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with Loop(tmp_path_factory.mktemp("agents")) as loop:
        yield loop


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest) -> AppServer:
    found = [server for server in BASIC if server.name == request.param]
    assert found, f"no server {request.param} among {[server.name for server in BASIC]}"
    reason = found[0].missing()
    if reason:
        pytest.skip(reason)
    return found[0]


def run(server: AppServer, url: str, directory: Path) -> int:
    """A life of the server under load; the requests that were answered."""
    port = free_port()
    settings = {"DYNOSCALE_URL": url, "DYNO": "web.1", "NO_PROXY": "127.0.0.1"}
    front = Nginx(directory, port)
    with server.process(port, directory, settings) as process, front:
        process.start().wait_for_port(port, PATIENCE)
        front.start()
        load = drive(front.url, REQUESTS, CONNECTIONS)
        process.stop(server.stop_signal, PATIENCE, server.exit_statuses)
        assert load.errors == []
        return load.answered


def totals(loop: Loop, app: str) -> Dict[str, Any]:
    start = BEGAN - BEGAN % STEP_S
    times = ["--from", str(start), "--to", str(start + STEP_S), "--step", str(STEP_S)]
    [point] = loop.json("series", app, "web", *times)["points"]
    found: Dict[str, Any] = point
    return found


def near(value: int, samples: List[int], share: float) -> bool:
    """Whether it is the percentile, by whichever of the usual definitions."""
    rank = share * len(samples)
    least = samples[max(math.floor(rank) - 1, 0)]
    most = samples[min(math.ceil(rank), len(samples) - 1)]
    return least * (1 - ERROR) <= value <= most * (1 + ERROR)


def test_every_request_is_counted_once_with_its_percentiles(
    server: AppServer, loop: Loop, tmp_path: Path
) -> None:
    app = server.name.replace(" ", "-")
    with Tee(loop.add_app(app, "processes: {web: {rules: [{name: default}]}}")) as tee:
        answered = run(server, tee.url, tmp_path)
        eventually(lambda: totals(loop, app)["count"] >= answered, "all of it is counted")
    point, samples = totals(loop, app), sorted(tee.waits())
    assert point["count"] == len(samples) == answered == REQUESTS
    for name, share in {"p50": 0.5, "p95": 0.95, "p99": 0.99}.items():
        assert near(point[name], samples, share), (name, point[name], samples)
    assert samples[-1] * (1 - ERROR) <= point["max"] <= samples[-1] * (1 + ERROR)
