"""Every request of a real app server behind a real nginx becomes one row at the service, and the
row says how long the request waited."""

from __future__ import annotations

import http.client
import math
import re
import statistics
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import pytest
from app_servers import BASIC, FRAMEWORKS, AppServer
from at_once import AtOnce, selected
from delay_proxy import DelayProxy
from load import POST_EACH, drive
from processes import Nginx, free_port
from receiver import ReceiverProcess

REQUESTS = 320
CONNECTIONS = 4
DELAY_MS = 40
TOLERANCE_MS = 5
STOP_SECONDS = 60

# Reports are sent during the load, and the rest at the end.
SETTINGS = {"DYNO": "web.1", "HEROKU_APP_NAME": "tested", "DYNOSCALE_PUBLISH_FREQUENCY": "1"}


class Outcome(NamedTuple):
    answered: int
    load_errors: List[str]
    passed_ms: List[Tuple[float, float]]
    rows: List[Dict[str, Any]]
    reports: List[Dict[str, Any]]
    summary: Dict[str, int]
    log: str


ALL = [
    *(pytest.param(server, id=server.name) for server in BASIC),
    *(pytest.param(server, id=server.name, marks=pytest.mark.frameworks) for server in FRAMEWORKS),
]


@pytest.fixture(scope="module", params=ALL)
def server(request: pytest.FixtureRequest) -> AppServer:
    server: AppServer = request.param
    reason = server.missing()
    if reason:
        pytest.skip(reason)
    return server


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AtOnce[AppServer, Outcome]]:
    """One after the other, so that no load slows another."""
    possible = [server for server in selected(request, "server") if not server.missing()]

    def run(server: AppServer) -> Outcome:
        return server.retried(lambda: run_under_load(server, tmp_path_factory.mktemp("server")))

    with AtOnce(run, possible, 1) as runs:
        yield runs


@pytest.fixture
def outcome(
    server: AppServer, runs: AtOnce[AppServer, Outcome], request: pytest.FixtureRequest
) -> Outcome:
    """The load on one server from its start to its graceful stop."""
    return runs.of(server, request)


def run_under_load(server: AppServer, directory: Path) -> Outcome:
    port = free_port()
    with ReceiverProcess() as receiver, DelayProxy(port, DELAY_MS) as hop:
        settings = {**SETTINGS, "DYNOSCALE_URL": f"{receiver.url}/reports/token"}
        nginx = Nginx(directory, hop.port)
        with server.process(port, directory, settings) as process, nginx:
            process.start().wait_for_port(port)
            nginx.start()
            ask_without_stamp(port)
            load = drive(nginx.url, REQUESTS, CONNECTIONS, bodies=server.counts_bodies)
            process.stop(server.stop_signal, STOP_SECONDS, server.exit_statuses)
            return Outcome(
                load.answered,
                load.errors,
                hop.stop(),
                receiver.rows(),
                receiver.reports(),
                receiver.summary(),
                process.log,
            )


def ask_without_stamp(port: int) -> None:
    """A health check without the router; also waits until a worker has started."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/", headers={"Connection": "close"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"hello\n")
    connection.close()


def test_each_request_gives_exactly_one_row(outcome: Outcome) -> None:
    assert (outcome.answered, outcome.load_errors) == (REQUESTS, [])
    assert len(outcome.rows) == REQUESTS
    assert outcome.summary["malformed"] == 0
    keys = [report["headers"]["idempotency-key"] for report in outcome.reports]
    assert len(set(keys)) == len(keys)


def test_each_row_shows_the_time_before_the_app(server: AppServer, outcome: Outcome) -> None:
    """The smallest row lies between the bounds of the request that came fastest, and so on: no
    error of the agent's hides behind a busy machine, and none of the machine's is blamed on it.
    Rows of requests with a body may be less, where its time is subtracted."""
    metrics = sorted(row["metric"] for row in outcome.rows)
    sent_on = sorted(before for before, _ in outcome.passed_ms)
    answered = sorted(after for _, after in outcome.passed_ms)
    assert sent_on[0] >= DELAY_MS
    lessened = REQUESTS // POST_EACH if server.subtracts_bodies else 0
    too_low = [
        (before, metric)
        for before, metric in zip(sent_on, metrics[lessened:])
        if metric < math.floor(before)
    ]
    too_high = [(metric, after) for metric, after in zip(metrics, answered) if metric > after]
    assert (too_low, too_high) == ([], [])


def test_a_known_delay_shows_at_the_median(outcome: Outcome) -> None:
    known = statistics.median(before for before, _ in outcome.passed_ms)
    # On a busy machine the requests wait for the app, too, which is no error.
    waited = statistics.median(after - before for before, after in outcome.passed_ms)
    measured = statistics.median(row["metric"] for row in outcome.rows)
    assert measured == pytest.approx(known, abs=max(TOLERANCE_MS, waited))


def test_reports_say_where_they_come_from(server: AppServer, outcome: Outcome) -> None:
    assert {row["source"] for row in outcome.rows} == {"web"}
    for report in outcome.reports:
        assert report["path"] == "/reports/token"
        assert report["headers"]["user-agent"].startswith(f"dynoscale-{server.language};")
        assert report["headers"]["x_dyno"] == "web.1"
        assert report["headers"]["x_app_name"] == "tested"


def test_the_agent_says_nothing(outcome: Outcome) -> None:
    assert re.findall(r"^.*(?:\bdynoscale: |\[dynoscale\]).*$", outcome.log, re.MULTILINE) == []
