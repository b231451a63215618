"""Heroku as a platform, what gives access to it and how seldom it is asked: credentials, rate limits, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import time
from pathlib import Path
from typing import List

import pytest

from dynoscaled import wait_for
from heroku import Heroku
from on_heroku import FORMATION, Started, World


@pytest.fixture
def world(heroku: Heroku, serve: Started) -> World:
    heroku.app("shop", web=("Standard-1X", 1), worker=("Standard-1X", 1))
    return World(heroku, serve)


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


def test_more_dynos_than_heroku_lists_at_once_are_all_counted_or_not_known(heroku: Heroku, serve: Started) -> None:
    heroku.app("many", web=("Standard-1X", 250), worker=("Standard-1X", 1))
    heroku.app("most", web=("Standard-1X", 990), worker=("Standard-1X", 20))
    world = World(heroku, serve)
    for app, number in (("many", 250), ("most", 990)):
        world.connected("--limit", "1000", app=app)
        rule = f"{{name: default, dynos: {{min: {number}, max: 1000}}}}"
        text = f"processes:\n  web: {{scaling: on, rules: [{rule}]}}\n"
        world.command.done("rules", "put", app, "-", stdin=text)
    wait_for(lambda: world.situation("many").get("up") == 250, "all are up")
    wait_for(lambda: world.situation("most").get("ordered") == 990, "the number is known")
    assert world.situation("most").get("up", -1) == -1


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
