"""Rules tried on the past: over HTTP, as a stream, and by the command line."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from dynoscaled import RULES, Command, report, wait_for, write_scale
from service import PATIENCE, Service

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


def test_job_queues_are_refused_with_a_reason(shop: Shop) -> None:
    path = PATH.replace("/web/", "/worker/")
    body = json.dumps({"rules": RULES}).encode()
    answer = shop.service.request("POST", path, body, shop.headers)
    assert answer.status == 422 and "job queues" in answer.text


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
