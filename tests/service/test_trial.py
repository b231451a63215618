"""Rules tried on the past: over HTTP, as a stream, and by the command line."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from dynoscaled import RULES, Command, report, wait_for, write_scale
from service import PATIENCE, Service

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = Path(os.environ.get("TEST_OBJECTS") or ROOT / "build" / "cc")
PATH = "/api/v1/apps/shop/processes/web/trial"
# Reports are taken that are at most 15 minutes old.
OTHER = RULES.replace("min: 1, max: 6", "min: 3, max: 6").replace("min: 1, max: 4", "min: 3, max: 4")


class Shop:
    """An app of which some minutes were measured and decided."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.folder = folder
        self.command = Command(service.data, folder)
        self.address = self.command.json("app", "add", "shop")["report_url"]
        token = self.command.json("token", "add", "--scope", "read")["token"]
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        (folder / "rules.yaml").write_text(RULES)
        (folder / "other.yaml").write_text(OTHER)
        self.command.done("rules", "put", "shop", "rules.yaml")
        write_scale(folder)
        self.command.done("platform", "set", "shop", "command", "--", "./scale")
        now = int(time.time())
        # Both the newest and the oldest wait long: so each minute is slow, also one that holds a second.
        rows = [(now - second, 250 if second % 7 == 0 else 5, "web") for second in range(596)]
        assert report(service, self.address, rows).status == 200

    def ask(self, body: Dict[str, Any], status: int = 200) -> Any:
        answer = self.service.request("POST", PATH, json.dumps(body).encode(), self.headers)
        assert answer.status == status, answer.text
        return json.loads(answer.text)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("trial")
    with Service(folder, "--tick-s", "1") as service:
        yield Shop(service.start(), folder)


def test_rules_in_force_are_tried_beside_those_proposed_with_points_of_the_same_moments(
    shop: Shop,
) -> None:
    tried = shop.ask({"rules": OTHER, "from": "-12m"})
    assert tried["same_rules"] is False
    assert tried["known_minutes"] >= 9
    moments = [[point["t"] for point in tried[side]["points"]]
               for side in ("proposed", "in_force", "actual")]
    assert moments[0] == moments[1] == moments[2]
    assert moments[0][0] == tried["from"] and 0 < len(moments[0]) <= 720
    assert tried["proposed"]["dyno_hours"]["value"] > tried["in_force"]["dyno_hours"]["value"]
    assert tried["actual"]["slow_minutes"] == tried["known_minutes"]
    for side in ("proposed", "in_force"):
        for name in ("dyno_hours", "slow_minutes", "scalings"):
            known = tried[side][name]
            assert known is None or known["low"] <= known["value"] <= known["high"], (side, name)


def test_the_rules_in_force_proposed_again_give_the_same(shop: Shop) -> None:
    tried = shop.ask({"rules": RULES, "from": "-12m"})
    assert tried["same_rules"] is True
    in_force = dict(tried["in_force"], version=None)
    assert tried["proposed"] == in_force


def test_rules_may_be_an_object_and_give_the_same_as_their_text(shop: Shop) -> None:
    checked = shop.service.request(
        "POST", "/api/v1/rules/check", OTHER.encode(),
        dict(shop.headers, **{"Content-Type": "application/yaml"}))
    until = {"from": "-12m", "to": int(time.time()) // 60 * 60}
    as_text = shop.ask({"rules": OTHER, **until})
    as_object = shop.ask({"rules": json.loads(checked.text)["rules"], **until})
    assert as_object["proposed"] == as_text["proposed"]


@pytest.mark.parametrize("body, status, says", [
    ({}, 400, "rules"),
    ({"rules": 7}, 400, "rules"),
    ({"rules": RULES, "days": 99}, 400, "days"),
    ({"rules": RULES, "days": 2, "from": "-1h"}, 400, "days"),
    ({"rules": RULES, "from": "-1h", "to": "-2h"}, 400, "from"),
    ({"rules": RULES, "when": 1}, 400, "when"),
    ({"rules": RULES.replace("max: 6", "max: -6")}, 422, "line 8"),
    ({"rules": "processes: {worker: {rules: [{dynos: {min: 1, max: 2}}]}}"}, 422, "web"),
    ({"rules": RULES, "from": "2026-01-01", "to": "2026-01-02"}, 422, "nothing was measured"),
])
def test_a_mistake_is_named(shop: Shop, body: Dict[str, Any], status: int, says: str) -> None:
    assert says in shop.ask(body, status)["detail"]


def test_a_price_gives_the_money(shop: Shop) -> None:
    shop.command.done("rules", "get", "shop")
    admin = shop.command.json("token", "add", "--scope", "admin")["token"]
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    price = {"cents_a_month": 73000, "currency": "EUR"}
    path = PATH.replace("/trial", "/price")
    body = json.dumps(price).encode()
    assert shop.service.request("PUT", path, body, headers).status == 204
    tried = shop.ask({"rules": OTHER, "from": "-12m"})
    assert tried["price"] == price
    hours, cents = tried["proposed"]["dyno_hours"], tried["proposed"]["cost_cents"]
    assert cents["value"] == pytest.approx(hours["value"] * 100, abs=1)
    assert shop.service.request("DELETE", path, None, headers).status == 204


def events_of(shop: Shop, body: Dict[str, Any]) -> List[Tuple[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", shop.service.port, timeout=PATIENCE)
    headers = dict(shop.headers, Accept="text/event-stream")
    connection.request("POST", PATH, json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    events: List[Tuple[str, Any]] = []
    name = ""
    for line in answer.read().decode().splitlines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            events.append((name, json.loads(line[6:])))
    connection.close()
    return events


def test_a_stream_tells_how_far_it_is_and_ends_with_the_result(shop: Shop) -> None:
    body = {"rules": OTHER, "from": "-12m", "to": int(time.time()) // 60 * 60}
    events = events_of(shop, body)
    assert [name for name, _ in events][-1] == "result"
    done = [data["done"] for name, data in events if name == "progress"]
    assert done == sorted(done) and all(0 <= share <= 1 for share in done)
    assert events[-1][1] == shop.ask(body)


def test_a_stream_that_fails_ends_with_the_problem(shop: Shop) -> None:
    events = events_of(shop, {"rules": RULES, "from": "2026-01-01", "to": "2026-01-02"})
    assert events[-1][0] == "problem" and events[-1][1]["status"] == 422


def test_the_command_prints_both_beside_what_was(shop: Shop) -> None:
    printed = shop.command.done("trial", "shop", "other.yaml", "--from", "-12m")
    assert "proposed" in printed and "in force" in printed and "dyno-hours" in printed
    assert "How sure it is" in printed
    tried = shop.command.json("trial", "shop", "other.yaml", "--days", "1")
    assert tried["proposed"]["dyno_hours"]["value"] > 0
    assert shop.command("trial", "shop", "other.yaml", "--days", "x").returncode == 1
    wait_for(lambda: shop.service.get("/healthz").status == 200, "the service to go on")


# ---- Job queues ----------------------------------------------------------------------------------

QUEUES = 'queues: ["sidekiq:default", "sidekiq:mailers"]'
WORKERS = f"""\
processes:
  web:
    rules: [{{dynos: {{min: 1, max: 6}}}}]
  worker:
    rules:
      - {{method: automatic, dynos: {{min: 0, max: 9}}, {QUEUES}}}
"""
JOBS = "/api/v1/apps/shop-production/processes/worker/trial"


class Workers:
    """A service whose data folder was filled with three hours of an app that has workers."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.command = Command(service.data, folder)
        (folder / "workers.yaml").write_text(WORKERS)
        token = self.command.json("token", "add", "--scope", "admin")["token"]
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, rules: str, status: int = 200) -> Any:
        body = json.dumps({"rules": rules, "from": "-150m"}).encode()
        answer = self.service.request("POST", JOBS, body, self.headers)
        assert answer.status == status, answer.text
        return json.loads(answer.text)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    folder = tmp_path_factory.mktemp("workers")
    (folder / "data").mkdir(mode=0o700)
    subprocess.run([OBJECTS / "tests/web/support/past", folder / "data", "3", "0"], check=True)
    with Service(folder, "--tick-s", "60") as service:
        yield Workers(service.start(), folder)


def test_rules_of_workers_are_tried_on_the_jobs_that_were(workers: Workers) -> None:
    tried = workers.ask(WORKERS)
    assert tried["jobs"] is True and tried["slow"] == {"ms": 5000, "per_mille": 50}
    assert tried["known_minutes"] > 100
    assert tried["actual"]["dyno_hours"] > 0 and tried["actual"]["late_jobs"] >= 0
    for side in ("proposed", "in_force"):
        assert tried[side]["dyno_hours"]["value"] > 0, side
        for name in ("dyno_hours", "slow_minutes", "late_jobs", "scalings"):
            known = tried[side][name]
            assert known["low"] <= known["value"] <= known["high"], (side, name)
    begun = [sum(point["requests"] for point in tried[side]["points"])
             for side in ("proposed", "actual")]
    assert begun[0] == pytest.approx(begun[1], rel=0.1)  # all jobs begin, whatever the rules
    assert "workers" in " ".join(tried["sureness"]["sentences"])
    assert "worker-hours" in tried["verdict"]


def test_more_workers_begin_no_job_later(workers: Workers) -> None:
    few, many = (workers.ask(WORKERS.replace("min: 0, max: 9", f"min: {n}, max: {n}"))["proposed"]
                 for n in (1, 9))
    assert many["late_jobs"]["value"] < few["late_jobs"]["value"]
    assert many["dyno_hours"]["value"] == pytest.approx(9 * few["dyno_hours"]["value"])


def test_rules_that_count_other_queues_are_said_to_be_unsure(workers: Workers) -> None:
    tried = workers.ask(WORKERS.replace(f", {QUEUES}", ""))
    assert tried["sureness"]["level"] == "poor"
    assert "other queues" in " ".join(tried["sureness"]["sentences"])


def test_a_price_gives_the_money_of_workers_and_the_command_line_prints_it(
    workers: Workers,
) -> None:
    price = json.dumps({"cents_a_month": 73000, "currency": "EUR"}).encode()
    path = JOBS.replace("/trial", "/price")
    assert workers.service.request("PUT", path, price, workers.headers).status == 204
    tried = workers.ask(WORKERS)["proposed"]
    assert tried["cost_cents"]["value"] == pytest.approx(tried["dyno_hours"]["value"] * 100, abs=1)
    printed = workers.command.done("trial", "shop-production", "workers.yaml", "--process", "worker",
                                   "--from", "-150m")
    for words in ("worker-hours", "late minutes", "jobs that begin late", "scalings", "cost, EUR"):
        assert words in printed, words


def test_workers_of_which_too_little_is_known_are_refused_with_a_reason(shop: Shop) -> None:
    """Of the queues of this app queue times alone were ever reported, if any."""
    path = PATH.replace("/web/", "/worker/")
    body = json.dumps({"rules": RULES, "from": "-12m"}).encode()
    said = shop.service.request("POST", path, body, shop.headers)
    assert said.status == 422
    assert "nothing was measured of worker" in said.text or "worked on" in said.text
