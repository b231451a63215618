"""Reports over HTTP, as agents of all ages send them."""

from __future__ import annotations

import json
import random
import time
from functools import partial
from typing import Dict, List

import pytest
from conftest import Started
from dynoscaled import wait_for
from reports import PATIENCE, Row, add_app, command, counted, csv, headers, points, post
from service import Service


def test_a_report_is_answered_with_what_the_service_wants(service: Service) -> None:
    path = add_app(service)
    answer = post(service.port, path, [(int(time.time()), 12, "web", "")], headers("a" * 32))
    assert answer.status == 200
    config = json.loads(answer.body)["config"]
    assert config["publish_frequency"] == 10
    assert config["jobs"] is True
    assert 10 <= config["heartbeat"] <= 30
    assert set(config["signals"]) <= {"busy", "slots", "unstamped", "begin", "depth", "working"}


def test_rows_are_counted_once_and_their_percentiles_are_those_of_the_samples(
    service: Service,
) -> None:
    path = add_app(service)
    minute, numbers = int(time.time()) // 60 * 60 - 60, random.Random(1)
    samples: Dict[str, List[int]] = {"web": [], "rq:low,slow": [], "sidekiq:mails": []}
    for batch in range(40):
        rows: List[Row] = []
        for _ in range(50):
            source = numbers.choice(list(samples))
            wait = int(numbers.lognormvariate(4, 1))
            samples[source].append(wait)
            rows.append((minute + numbers.randrange(60), wait, source, ""))
        for _again in range(2):
            lines = headers(f"{batch:032x}", f"web.{batch % 4 + 1}")
            body = csv(rows, "\r\n" if batch % 2 else "\n")
            assert post(service.port, path, body, lines).status == 200
    for source, waits in samples.items():
        name = source.replace(",", "%2C")
        assert counted(service, name) == len(waits)
        (step,) = points(service, name, minute, minute + 60, 60)
        waits.sort()
        for field, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
            exact = waits[-(-len(waits) * percent // 100) - 1]
            assert abs(step[field] - exact) <= exact * 0.016, field
        assert step["max"] == waits[-1]


def test_between_the_first_report_and_the_next_tick_an_app_is_not_silent(serve: Started) -> None:
    service = serve("--tick-s", "60")
    path = add_app(service)
    seen = partial(command, service, "status", "shop", "--json")
    wait_for(lambda: json.loads(seen())["processes"][0]["decided"], "a tick without reports")
    assert json.loads(seen())["state"] == "waiting"
    assert post(service.port, path, [(int(time.time()), 12, "web", "")], headers("a" * 32)).status == 200
    assert json.loads(seen())["state"] in ("waiting", "off")  # off: a tick came between


def test_a_dyno_whose_queues_another_one_reads_need_not_read_them(service: Service) -> None:
    path, row = add_app(service), [(int(time.time()), 3, "rq:default", "depth")]

    def reads(key: str, dyno: str) -> bool:
        answer = post(service.port, path, row, headers(key * 32, dyno))
        jobs = json.loads(answer.body)["config"]["jobs"]
        assert isinstance(jobs, bool)
        return jobs

    assert reads("a", "web.1")
    assert not reads("b", "web.2")
    assert reads("c", "web.1")


def test_an_empty_report_is_the_doctors_check_and_leaves_nothing(service: Service) -> None:
    path = add_app(service)
    assert post(service.port, path, b"", headers("b" * 32, "run.1")).status == 200
    assert post(service.port, path, b"", headers(None, None)).status == 200
    assert service.metric("reports_total") == 0


def test_a_token_that_nobody_gave_out_is_401_and_does_not_wait_long(service: Service) -> None:
    add_app(service)
    body = [(int(time.time()), 12, "web", "")]
    answer = post(service.port, "/api/v1/report/rt_wrong", body, headers("c" * 32))
    assert answer.status == 401
    problem = json.loads(answer.body)
    assert problem["status"] == 401 and "DYNOSCALE_URL" in problem["detail"]


def test_a_token_works_from_the_moment_at_which_it_is_printed(service: Service) -> None:
    row = [(int(time.time()), 12, "web", "")]
    for number in range(5):
        path = add_app(service, f"app{number}")
        assert post(service.port, path, row, headers("d" * 32)).status == 200


def test_an_app_that_is_removed_is_not_heard_any_more(service: Service) -> None:
    path = add_app(service)
    row = [(int(time.time()), 12, "web", "")]
    assert post(service.port, path, row, headers("e" * 32)).status == 200
    command(service, "app", "remove", "shop", "--confirm", "shop")
    service.wait_until(
        lambda: post(service.port, path, row, headers("f" * 32)).status == 401, "forget", PATIENCE
    )


@pytest.mark.parametrize(
    "body, words",
    [
        (b"timestamp,metric,source,metadata\r\n", "row 1: timestamp"),
        (b"1700000000,12,web,\r\n1700000000,1e9,web,\r\n", "row 2: metric is '1e9'"),
        (b"1700000000,12,we\x00b,\r\n", "row 1: source"),
        (b"1700000000,12\r\n", "row 1 has 2 fields"),
        (b"{}", "row 1"),
        (b"\xff" * 1000, "row 1"),
    ],
)
def test_a_report_that_is_malformed_is_400_with_its_row_and_field(
    service: Service, body: bytes, words: str
) -> None:
    path = add_app(service)
    answer = post(service.port, path, body, headers("a" * 32))
    assert answer.status == 400
    assert words in json.loads(answer.body)["detail"]
    assert counted(service) == 0


def test_nothing_of_a_report_with_one_bad_row_is_kept(service: Service) -> None:
    path, now = add_app(service), int(time.time())
    bad = csv([(now, 1, "web", "")] * 100) + b"x,1,web,\r\n"
    assert post(service.port, path, bad, headers("a" * 32)).status == 400
    assert counted(service) == 0
    assert post(service.port, path, bad[:-10], headers("a" * 32)).status == 200
    assert counted(service) == 100


def test_a_report_that_is_too_long_is_413(service: Service) -> None:
    path = add_app(service)
    rows = [(int(time.time()), 1, "web", "")] * 30000
    answer = post(service.port, path, rows, headers("a" * 32))
    assert answer.status == 413
    assert counted(service) == 0


def test_proxies_may_write_hyphens_for_underscores(service: Service) -> None:
    path, now = add_app(service), time.time()
    lines = {"X-Dyno": "web.7", "X-Request-Start": f"t={int(now) + 7200}", "Idempotency-Key": "1" * 32}
    assert post(service.port, path, [(int(now) + 7200, 5, "web", "")], lines).status == 200
    assert counted(service) == 1


def test_the_gem_of_before_is_understood(service: Service) -> None:
    """As the gem 1.0.5 sends: whole seconds, LF, no key, no quotes; jobs are in ms already."""
    path, now = add_app(service), int(time.time())
    lines = headers(None, "web.1", "dynoscale-ruby;1.0.5", now)
    del lines["HTTP_X_DYNO"]
    lines["X_APP_NAME"] = ""
    body = f"{now},2,web,\n{now},0,web,\n{now},1500,sidekiq:low,slow,\n".encode()
    for _again in range(3):
        assert post(service.port, path, body, lines).status == 200
    assert counted(service) == 2
    assert max(point.get("max", 0) for point in points(service, "web", now - 60, now + 10)) == 2000
    assert counted(service, "sidekiq:low%2Cslow") == 1


def test_the_package_of_before_is_understood(service: Service) -> None:
    """As the package 1.2.2 sends: HTTP_X_DYNO alone, no key, no time of sending, waits below 0."""
    path, now = add_app(service), int(time.time())
    lines = {"Content-Type": "text/csv", "User-Agent": "dynoscale-python;1.2.2", "HTTP_X_DYNO": "web.1"}
    body = csv([(now, 12, "web", ""), (now, -3, "web", ""), (now, 40, "rq:default", "")])
    for _again in range(3):
        assert post(service.port, path, body, lines).status == 200
    assert counted(service) == 1
    assert counted(service, "rq:default") == 1


def test_what_is_reported_is_there_after_a_start(serve: Started) -> None:
    service = serve()
    path, now = add_app(service), int(time.time())
    rows: List[Row] = [(now - second, second, "web", "") for second in range(300)]
    assert post(service.port, path, rows, headers("a" * 32)).status == 200
    before = points(service, "web", now - 300, now + 1)
    service.kill()
    service.start()
    assert points(service, "web", now - 300, now + 1) == before
    assert post(service.port, path, rows, headers("a" * 32)).status == 200
    assert counted(service) == 300
