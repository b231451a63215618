"""Heroku as a platform, its orders and refusals: a real service on a false Heroku that checks each request."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Dict, List

import pytest

from dynoscaled import local_request, wait_for
from heroku import Heroku
from on_heroku import FORMATION, Started, World


@pytest.fixture
def world(heroku: Heroku, serve: Started) -> World:
    heroku.app("shop", web=("Standard-1X", 1), worker=("Standard-1X", 1))
    return World(heroku, serve)


def test_an_order_is_one_absolute_number_and_a_repeat_is_not_made(world: World) -> None:
    world.connected().rules(web=3)
    world.runs(3)
    world.settled(3)
    world.ticks(3)
    assert [(c["path"], json.loads(c["body"])) for c in world.orders()] == [
        ("/apps/shop/formation/web", {"quantity": 3})
    ]


def test_two_types_that_one_tick_orders_go_in_one_call(world: World) -> None:
    """Of both it is known what runs, so the first tick with other rules orders both."""
    world.connected().rules(web=1, worker=1)
    for kind in ("web", "worker"):
        wait_for(lambda: world.health(kind).get("ordered") == 1, f"the number of {kind} is known")
    world.rules(web=2, worker=3)
    world.runs(2)
    world.runs(3, "worker")
    (order,) = world.orders()
    updates = sorted(json.loads(order["body"])["updates"], key=lambda update: str(update["type"]))
    assert (order["path"], updates) == (
        "/apps/shop/formation",
        [{"type": "web", "quantity": 2}, {"type": "worker", "quantity": 3}],
    )


def test_of_two_in_one_call_the_one_that_is_refused_does_not_hold_the_other(world: World, heroku: Heroku) -> None:
    heroku.apps["shop"].formation["worker"]["size"] = "Basic"
    world.connected("--limit", "50").rules(web=2, worker=3)
    world.runs(2)
    assert heroku.quantity("shop", "worker") == 1


REFUSED = {
    "unauthorized": "401.*set a new one",
    "delinquent": "unpaid balance",
    "forbidden": "403.*person who may operate",
    "suspended": "suspended",
    "not_found": "does not find.*404",
    "verification_needed": "verified first",
    "invalid_params": "422.*No such process type",
}
PASSING = {
    "conflict": "another change holds",
    "locked": "a release holds the formation.*preboot",
    "rate_limit": "rate limit",
    "internal": "trouble of its own .500",
    "unavailable": "trouble of its own .503",
}


def apps_of(names: List[str]) -> Dict[str, str]:
    return {name.replace("_", "-"): name for name in sorted(names)}


def test_an_order_that_is_refused_is_told_and_waits_for_a_person(heroku: Heroku, serve: Started) -> None:
    apps = apps_of(list(REFUSED))
    for app, name in apps.items():
        heroku.app(app, web=("Standard-1X", 1))
        heroku.behave("PATCH", f"/apps/{app}/formation/web", refusal=name)
    world = World(heroku, serve)
    for app in apps:
        world.connected(app=app).rules(app, web=2)
    for app, name in apps.items():
        world.trouble(REFUSED[name], app)
    world.ticks(4)
    for app in apps:
        assert len(world.orders(app)) <= 2, app
        assert heroku.quantity(app) == 1


def test_an_order_that_may_pass_is_told_kept_and_made_again(heroku: Heroku, serve: Started) -> None:
    apps = apps_of(list(PASSING))
    for app, name in apps.items():
        heroku.app(app, web=("Standard-1X", 1))
        heroku.behave("PATCH", f"/apps/{app}/formation/web", refusal=name, times=1, headers={"Retry-After": "1"})
    world = World(heroku, serve)
    for app in apps:
        world.connected(app=app).rules(app, web=2)
    for app, name in apps.items():
        wait_for(lambda: re.search(f"{app} web: 2 dynos were not ordered: .*{PASSING[name]}", world.service.log), name)
    for app in apps:
        world.runs(2, app=app)
        world.settled(2, app=app)
        wait_for(lambda: world.health(app=app)["trouble"] is None, "the trouble is over")
        assert len(world.orders(app)) == 2, app


def test_a_platform_that_refuses_is_not_set_without_force(heroku: Heroku, serve: Started) -> None:
    apps = apps_of([name for name in REFUSED if name not in ("invalid_params", "verification_needed")])
    for app, name in apps.items():
        heroku.app(app, web=("Standard-1X", 1))
        heroku.behave("GET", f"/apps/{app}/formation", refusal=name)
    world = World(heroku, serve)
    for app, name in apps.items():
        done = world.connect(app=app)
        assert done.returncode == 1 and re.search(REFUSED[name], done.stderr), done.stderr
        assert world.command("platform", "show", app).returncode == 1


def test_an_order_whose_answer_is_lost_is_not_made_twice(world: World, heroku: Heroku) -> None:
    heroku.behave("PATCH", FORMATION, drop=True, times=1)
    world.connected().rules(web=4)
    world.runs(4)
    world.settled(4)
    wait_for(lambda: world.health()["trouble"] is None, "the trouble is over")
    assert len(world.orders()) == 1
    assert "somebody else" not in world.service.log


def test_a_formation_that_is_locked_keeps_the_wish_and_says_locked(world: World, heroku: Heroku) -> None:
    heroku.lock_formation()
    world.connected().rules(web=3)
    world.trouble("a release holds the formation")
    wait_for(lambda: "release" in world.sentence() or "locked" in world.sentence(), "the sentence")
    heroku.lock_formation(locked=False)
    world.runs(3)


def test_a_limit_that_heroku_tells_is_taken_and_not_tried_again(world: World, heroku: Heroku) -> None:
    heroku.apps["shop"].formation["web"]["size"] = "Performance-M"
    world.connected("--limit", "50").rules(web=14)
    world.runs(10)
    world.settled(10)
    world.ticks(4)
    wanted = [json.loads(c["body"])["quantity"] for c in world.orders()]
    assert wanted == [14, 10]
    assert "at most 10 dynos" in world.service.log


LIMITS = {"Eco": 1, "Basic": 1, "Performance-L": 10, "Private-S": 10}


def test_the_limit_of_a_dyno_type_is_known_before_it_is_refused(heroku: Heroku, serve: Started) -> None:
    for size in LIMITS:
        heroku.app(size.lower(), web=(size, 1))
    world = World(heroku, serve)
    for size in LIMITS:
        world.connected(app=size.lower()).rules(size.lower(), web=14)
    for size, limit in LIMITS.items():
        world.runs(limit, app=size.lower())
        wait_for(lambda: world.situation(size.lower()).get("limit") == limit, f"the limit of {size}")
        wanted = [json.loads(c["body"])["quantity"] for c in world.orders(size.lower())]
        assert wanted == ([limit] if limit > 1 else [])


def test_names_and_prices_of_the_fir_generation_are_known(world: World, heroku: Heroku) -> None:
    heroku.apps["shop"].formation["web"]["size"] = "dyno-2c-1gb"
    world.connected().rules(web=2)
    world.runs(2)
    path = "/api/v1/apps/shop/processes/web/usage"

    def price() -> Any:
        return json.loads(local_request(world.service.data, "GET", path, None, {}).text).get("price")

    wait_for(lambda: "50" in str(price()), f"the price: {price()}")


def test_a_person_who_scales_by_hand_is_adopted(world: World, heroku: Heroku) -> None:
    world.connected().rules(web=1)
    world.settled(1)
    heroku.scale("shop", "web", 5)
    world.settled(5)
    wait_for(lambda: "somebody else changed the dynos: 1 → 5" in world.service.log, "adopted")
    assert world.orders() == []


def test_a_second_autoscaler_is_noticed_and_kept_off_from(world: World, heroku: Heroku) -> None:
    world.connected().rules(web=1)
    world.settled(1)
    numbers = itertools.cycle((4, 2, 5))

    def keeps_off() -> bool:
        """Changes that follow each other within seconds count as one."""
        number = next(numbers)
        heroku.scale("shop", "web", number)
        world.settled(number)
        return "this one keeps off" in world.sentence()

    wait_for(keeps_off, "it keeps off")
    assert world.orders() == []


def test_a_process_type_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    world.connected().rules(clock=1)
    wait_for(
        lambda: "it has web, worker" in str(world.health("clock").get("trouble")), "the sentence"
    )
