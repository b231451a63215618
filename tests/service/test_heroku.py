"""Heroku as a platform: a real service on a false Heroku that checks each request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from dynoscaled import Command, local_request, wait_for
from heroku import Heroku
from service import Service

Started = Callable[..., Service]
FORMATION = r"/apps/shop/formation(/\w+)?"


@pytest.fixture
def heroku() -> Iterator[Heroku]:
    false = Heroku().start()
    yield false
    false.stop()
    assert false.violations == []


class World:
    """The app shop on the false Heroku, scaled by a service whose ticks come each second."""

    def __init__(self, heroku: Heroku, serve: Started, *arguments: str) -> None:
        self.heroku = heroku
        env = {"DYNOSCALED_HEROKU_API": heroku.url, "DYNOSCALED_HEROKU_ID": heroku.url,
               "DYNOSCALED_HEROKU_READ_S": "1"}  # fmt: skip
        self.service = serve("--tick-s", "1", "--private-platforms", *arguments, env=env)
        self.command = Command(self.service.data)
        for app in heroku.apps:
            self.command.done("app", "add", app)

    def connect(self, *arguments: str, app: str = "shop", webhooks: bool = False) -> Any:
        """With the API key in the environment."""
        more = [] if webhooks else ["--no-webhooks"]
        env = {"HEROKU_API_KEY": self.heroku.key}
        return self.command("platform", "set", app, "heroku", "--json", *arguments, *more, env=env)

    def connected(self, *arguments: str, app: str = "shop", webhooks: bool = False) -> "World":
        done = self.connect(*arguments, app=app, webhooks=webhooks)
        assert done.returncode == 0, done.stderr
        return self

    def rules(self, app: str = "shop", **least: int) -> None:
        """At least so many dynos of each type, at most 20: the range alone orders."""
        lines = ["processes:"]
        for kind, number in least.items():
            lines.append(f"  {kind}: {{scaling: on, rules: [{{name: default, dynos: {{min: {number}, max: 20}}}}]}}")
        path = self.service.data / "rules.yaml"
        path.write_text("\n".join(lines) + "\n")
        self.command.done("rules", "put", app, str(path))

    def health(self, kind: str = "web", app: str = "shop") -> Dict[str, Any]:
        shown = self.command.json("platform", "show", app)
        found: List[Dict[str, Any]] = [one for one in shown["health"] if one["process"] == kind]
        return found[0] if found else {}

    def trouble(self, pattern: str, app: str = "shop") -> str:
        """The sentence, once it matches."""

        def matches() -> str:
            said = str(self.health(app=app).get("trouble"))
            return said if re.search(pattern, said) else ""

        return str(wait_for(matches, f"trouble like {pattern!r}: {self.service.log[-2000:]}"))

    def sentence(self, app: str = "shop") -> str:
        shown = self.command("explain", app, "web", "--json")
        return str(json.loads(shown.stdout)["sentence"]) if shown.returncode == 0 else ""

    def situation(self, app: str = "shop") -> Dict[str, int]:
        """What the last decision knew; before the first, nothing."""
        shown = self.command("explain", app, "web", "--json")
        known = json.loads(shown.stdout)["situation"] if shown.returncode == 0 else []
        return {one["name"]: one["value"] for one in known}

    def runs(self, number: int, kind: str = "web", app: str = "shop") -> None:
        wait_for(lambda: self.heroku.quantity(app, kind) == number, f"{number} dynos of {kind} in {app}")

    def settled(self, number: int, app: str = "shop") -> None:
        """The service knows that so many run."""
        wait_for(
            lambda: self.health(app=app).get("ordered") == number, f"{number} known: {self.service.log[-1500:]}"
        )

    def ticks(self, count: int) -> None:
        """So many more ticks pass."""
        before = self.service.metric("ticks_total")
        wait_for(lambda: self.service.metric("ticks_total") >= before + count, "more ticks")

    def orders(self, app: str = "shop") -> List[Dict[str, Any]]:
        return self.heroku.asked("PATCH", rf"/apps/{app}/formation(/\w+)?")


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


def test_a_credential_is_in_no_argument_log_page_export_or_database(world: World, heroku: Heroku) -> None:
    world.connected().rules(web=2)
    world.runs(2)
    heroku.revoke()
    world.trouble("401")
    key = heroku.key.encode()
    shown = world.command.done("platform", "show", "shop", "--json") + world.command.done("export", "shop")
    processes = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True).stdout
    files = b"".join(path.read_bytes() for path in world.service.data.rglob("*") if path.is_file())
    for where in (shown.encode(), processes, files, world.service.log.encode()):
        assert key not in where


def test_a_key_given_as_an_argument_is_refused_by_a_sentence(world: World) -> None:
    done = world.command("platform", "set", "shop", "heroku", "HRKU-12345678")
    assert done.returncode == 2 and "never as an argument" in done.stderr


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


def test_a_credential_that_is_revoked_is_told_with_few_calls_and_a_new_one_heals(
    world: World, heroku: Heroku
) -> None:
    world.connected().rules(web=2)
    world.runs(2)
    world.settled(2)
    heroku.revoke()
    world.trouble("401.*revoked")
    count = len(heroku.calls)
    world.ticks(5)
    assert len(heroku.calls) - count <= 2
    assert heroku.quantity() == 2
    heroku.key = heroku.new_token()
    world.connected().rules(web=3)
    world.runs(3)


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


def test_dynos_that_start_and_a_release_are_known(world: World, heroku: Heroku) -> None:
    heroku.boots_at_once = False
    world.connected().rules(web=3)
    world.runs(3)
    wait_for(lambda: world.situation().get("booting") == 2, "two start")
    heroku.boot()
    wait_for(lambda: world.situation().get("up") == 3, "three are up")
    assert world.situation()["releasing"] == 0
    heroku.release("pending")
    wait_for(lambda: world.situation().get("release_age") in range(600), "the release")


def test_a_budget_that_is_low_is_left_to_orders(world: World, heroku: Heroku) -> None:
    world.connected().rules(web=1)
    world.settled(1)
    bucket = heroku.tokens[heroku.key]
    bucket["remaining"] = 200.0
    count = len(heroku.asked("GET", r"/apps/.*"))
    wait_for(lambda: len(heroku.asked("GET", r"/apps/.*")) > count, "one that learns of it")
    # What is in one reading may still come: the formation, the dynos, the release.
    count = len(heroku.asked("GET", r"/apps/.*"))
    world.ticks(6)
    assert len(heroku.asked("GET", r"/apps/.*")) - count <= 3
    world.rules(web=2)
    world.runs(2)


def test_a_rate_limit_holds_for_another_number_too_and_not_for_another_credential(
    world: World, heroku: Heroku
) -> None:
    heroku.behave("PATCH", FORMATION, refusal="rate_limit", times=1, headers={"Retry-After": "600"})
    world.connected().rules(web=2)
    world.trouble("rate limit")
    world.rules(web=3)
    wait_for(lambda: "to 3" in world.sentence() or "→ 3" in world.sentence(), "3 are wanted")
    world.trouble("rate limit")
    world.ticks(2)
    assert len(world.orders()) == 1
    heroku.key = heroku.new_token()
    world.connected()
    world.runs(3)


def test_a_process_type_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    world.connected().rules(clock=1)
    wait_for(
        lambda: "it has web, worker" in str(world.health("clock").get("trouble")), "the sentence"
    )


# ---- OAuth


def oauth_world(heroku: Heroku, serve: Started, folder: Path) -> World:
    path = folder / "heroku.json"
    path.write_text(json.dumps({"client_secret": heroku.client_secret}))
    path.chmod(0o600)
    heroku.app("shop", web=("Standard-1X", 1))
    return World(heroku, serve, "--heroku-addon", str(path))


def give_code(world: World) -> None:
    world.heroku.codes["code-of-a-grant"] = time.monotonic() + 300
    world.command.done("platform", "set", "shop", "heroku", "--code-stdin", "--no-webhooks", stdin="code-of-a-grant\n")


def grants(heroku: Heroku) -> List[str]:
    return [json.loads(c["body"])["grant_type"] for c in heroku.asked("POST", "/oauth/token")]


def test_a_grant_is_exchanged_and_its_token_renewed_ahead_of_time(
    heroku: Heroku, serve: Started, tmp_path: Path
) -> None:
    heroku.token_s = 300  # less than the ten minutes before which it is renewed
    world = oauth_world(heroku, serve, tmp_path)
    give_code(world)
    world.rules(web=2)
    world.runs(2)
    wait_for(lambda: grants(heroku)[:2] == ["authorization_code", "refresh_token"], "renewed")
    assert "code-of-a-grant" not in world.service.log
    # One that lives is not renewed at each call.
    world.ticks(4)
    assert len(grants(heroku)) <= 3


def test_a_token_that_is_over_early_is_renewed_without_a_person(
    heroku: Heroku, serve: Started, tmp_path: Path
) -> None:
    world = oauth_world(heroku, serve, tmp_path)
    give_code(world)
    world.rules(web=2)
    world.runs(2)
    for token in [one for one in heroku.tokens if one != heroku.key]:
        heroku.revoke(token)
    wait_for(lambda: "refresh_token" in grants(heroku), "renewed")
    world.rules(web=3)
    world.runs(3)


def test_access_that_was_revoked_is_told(heroku: Heroku, serve: Started, tmp_path: Path) -> None:
    world = oauth_world(heroku, serve, tmp_path)
    give_code(world)
    world.rules(web=2)
    world.runs(2)
    heroku.revoke()
    world.trouble("revoked.*anew|401")
    count = len(heroku.calls)
    world.ticks(4)
    assert len(heroku.calls) - count <= 4


# ---- Webhooks


def test_a_webhook_tells_of_changes_and_readings_become_rare(world: World, heroku: Heroku) -> None:
    world.connected(webhooks=True).rules(web=2)
    world.runs(2)
    wait_for(lambda: heroku.webhooks, "the webhook is asked for")
    hook = heroku.webhooks[0]
    assert sorted(hook["include"]) == ["api:formation", "api:release", "dyno"] and hook["level"] == "sync"
    world.rules(web=3)
    world.runs(3)
    wait_for(lambda: [d["status"] for d in heroku.deliveries][:1] == [204], "it is heard")
    world.settled(3)
    reads = len(heroku.asked("GET", "/apps/shop/formation"))
    world.ticks(5)
    assert len(heroku.asked("GET", "/apps/shop/formation")) - reads <= 2
    heroku.scale("shop", "web", 7)
    world.settled(7)
    wait_for(lambda: "somebody else changed the dynos: 3 → 7" in world.service.log, "adopted")


def test_a_delivery_without_the_right_signature_is_refused(world: World, heroku: Heroku) -> None:
    world.connected(webhooks=True).rules(web=1)
    wait_for(lambda: heroku.webhooks, "the webhook is asked for")
    heroku.sign_with = "another secret"
    heroku.scale("shop", "web", 4)
    wait_for(lambda: heroku.deliveries, "the delivery")
    assert heroku.deliveries[0]["status"] == 401
    for path in ("/heroku/webhooks/1", "/heroku/webhooks/999", "/heroku/webhooks/x", "/heroku/webhooks/"):
        assert world.service.request("POST", path, b"{}").status == 401
    world.settled(4)  # by a reading


NO_DELIVERIES = [b"", b"{", b"[]", b"7", b'{"resource":"formation"}', b'{"resource":"formation","data":[]}',
                 b'{"resource":"formation","data":{"type":"web","quantity":-5}}',
                 b'{"resource":"formation","data":{"type":"web","quantity":1e9}}',
                 b'{"resource":7,"data":null}', b'{"resource":"dyno","data":{}}']  # fmt: skip


def test_deliveries_that_come_again_or_late_or_are_none_change_nothing(world: World, heroku: Heroku) -> None:
    world.connected(webhooks=True).rules(web=1)
    wait_for(lambda: heroku.webhooks, "the webhook is asked for")
    hook = heroku.webhooks[0]
    path = hook["url"][hook["url"].index("/heroku/") :]

    def deliver(body: bytes, sign: str) -> int:
        return world.service.request("POST", path, body, {"Heroku-Webhook-Hmac-SHA256": sign}).status

    def signed(body: bytes) -> str:
        return base64.b64encode(hmac.new(hook["secret"].encode(), body, hashlib.sha256).digest()).decode()

    for number in (4, 2):
        heroku.scale("shop", "web", number)
        world.settled(number)
    wait_for(lambda: len(heroku.deliveries) == 2, "both are delivered")
    (old,) = [one for one in heroku.deliveries if json.loads(one["body"])["data"]["quantity"] == 4]
    for _ in range(3):
        assert deliver(old["body"].encode(), old["sign"]) == 204
    assert deliver(old["body"].replace("4", "5").encode(), old["sign"]) == 401
    for body in NO_DELIVERIES:
        assert deliver(body, signed(body)) == 204, body
        assert deliver(body, old["sign"]) == 401, body
    world.ticks(3)
    assert world.health()["ordered"] == 2 and world.orders() == []
    assert world.service.log.count("somebody else changed the dynos") == 2
    world.command.done("platform", "remove", "shop")
    assert deliver(old["body"].encode(), old["sign"]) == 410
    world.command.done("app", "remove", "shop", "--confirm", "shop")
    assert deliver(old["body"].encode(), old["sign"]) == 410
    assert deliver(old["body"].encode(), signed(b"")) == 401


def test_a_webhook_that_falls_silent_is_trusted_no_more(world: World, heroku: Heroku) -> None:
    heroku.deliver_webhooks = False
    world.connected(webhooks=True).rules(web=2)
    world.runs(2)
    heroku.scale("shop", "web", 5)
    world.settled(5)


def test_the_webhook_is_removed_with_the_platform(world: World, heroku: Heroku) -> None:
    world.connected(webhooks=True).rules(web=1)
    wait_for(lambda: heroku.webhooks, "the webhook is asked for")
    world.command.done("platform", "remove", "shop")
    assert heroku.webhooks == []
