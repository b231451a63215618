"""The service as Heroku's add-on: provisioned, signed in to, changed and removed by a false Heroku."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from conftest import with_files
from dynoscaled import Command, report, wait_for
from heroku import Heroku, form
from service import Answer, Service

Started = Callable[..., Service]
PLANS = {"free": {"dynos": 3, "history_days": 7}, "pro": {"dynos": 100}, "open": {}}


def manifest() -> Dict[str, Any]:
    return {"id": "dynoscale", "name": "Dynoscale", "api": {
        "config_vars_prefix": "DYNOSCALE", "config_vars": ["DYNOSCALE_URL", "DYNOSCALE_DYNOS"],
        "password": "a password of Heroku's", "sso_salt": "a salt of twenty letters", "version": "3"}}  # fmt: skip


class Addon:
    def __init__(self, heroku: Heroku, serve: Started, folder: Path, **settings: Any) -> None:
        self.heroku = heroku
        heroku.app("shop", web=("Standard-1X", 1))
        heroku.app("other", web=("Standard-1X", 1))
        path = folder / "heroku.json"
        path.write_text(json.dumps({"manifest": manifest(), "client_secret": heroku.client_secret,
                                    "plans": PLANS, **settings}))  # fmt: skip
        path.chmod(0o600)
        env = {"DYNOSCALED_HEROKU_API": heroku.url, "DYNOSCALED_HEROKU_ID": heroku.url,
               "DYNOSCALED_HEROKU_READ_S": "1"}  # fmt: skip
        self.service = serve("--tick-s", "1", "--private-platforms", "--heroku-addon", str(path), env=env)
        self.command = Command(self.service.data)
        heroku.sell(manifest(), self.service.url + "/heroku/resources", self.service.url + "/heroku/sso")

    def apps(self) -> List[str]:
        return [app["name"] for app in self.command.json("app", "list")["apps"]]

    def sso(self, fields: Dict[str, str]) -> Answer:
        return self.service.request("POST", "/heroku/sso", form(fields), {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://addons-sso.heroku.com",
                                                                       "Sec-Fetch-Site": "cross-site"})  # fmt: skip

    def session(self, answer: Answer) -> int:
        """Whether the session that an answer began lives: 200 or 401."""
        cookie = answer.headers["set-cookie"].split(";")[0]
        return self.service.get("/api/v1/session", {"Cookie": cookie}).status

    def as_person(self, answer: Answer, method: str, path: str, body: Optional[Dict[str, Any]] = None) -> Answer:
        """A request with the session that an answer began."""
        cookie = answer.headers["set-cookie"].split(";")[0]
        shown = json.loads(self.service.get("/api/v1/session", {"Cookie": cookie}).body)
        return self.service.request(
            method, path, json.dumps(body).encode() if body is not None else None,
            {"Cookie": cookie, "X-CSRF-Token": shown["csrf"], "Content-Type": "application/json"},
        )  # fmt: skip


@pytest.fixture
def addon(heroku: Heroku, serve: Started, tmp_path: Path) -> Addon:
    return Addon(heroku, serve, tmp_path)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_from_create_to_destroy(heroku: Heroku, serve: Started, tmp_path: Path, asynchronous: bool) -> None:
    addon = Addon(heroku, serve, tmp_path, asynchronous=asynchronous)
    one = heroku.create_addon("shop", "free")
    wait_for(lambda: heroku.addons[one["id"]]["state"] == "provisioned", "provisioned")
    config = dict(heroku.apps["shop"].config)
    assert config["DYNOSCALE_DYNOS"] == "all" and config["DYNOSCALE_URL"].startswith(addon.service.url)
    (name,) = addon.apps()

    # The app reports, and Heroku is its platform by the grant alone.
    assert report(addon.service, config["DYNOSCALE_URL"], []).status == 200
    wait_for(lambda: addon.command("platform", "show", name).returncode == 0, "the platform is set")

    # A person of Heroku's sees this app, sets its rules, and the dynos follow, as far as the plan goes.
    signed = addon.sso(heroku.sso(one["id"]))
    assert signed.status == 303 and signed.headers["location"] == f"/apps/{name}"
    rules = [{"name": "default", "dynos": {"min": 5, "max": 9}}]
    put = addon.as_person(
        signed, "PUT", f"/api/v1/apps/{name}/rules", {"processes": {"web": {"scaling": True, "rules": rules}}}
    )
    assert put.status == 200, put.text
    wait_for(lambda: heroku.quantity() == 3, "as many as the plan allows")

    heroku.change_plan(one["id"], "pro")
    wait_for(lambda: heroku.quantity() == 5, "as many as the rules say")

    heroku.destroy_addon(one["id"])
    assert addon.apps() == []
    assert report(addon.service, config["DYNOSCALE_URL"], []).status == 401
    assert addon.session(signed) == 401
    assert one["id"] in addon.command.done("audit")
    assert "anna@example.com" not in addon.command.done("user", "list")


def test_a_request_that_comes_again_in_any_order_does_nothing_again(addon: Addon, heroku: Heroku) -> None:
    one = heroku.create_addon("shop", "free")
    first = heroku.call_partner("POST", "", one["body"])
    heroku.change_plan(one["id"], "pro")
    again = heroku.call_partner("POST", "", {**one["body"], "plan": "free"})
    assert first == again and len(addon.apps()) == 1
    assert first[0] == 200 and first[1]["config"]["DYNOSCALE_URL"] == heroku.apps["shop"].config["DYNOSCALE_URL"]
    for _ in range(2):
        assert heroku.call_partner("PUT", "/" + one["id"], {"plan": "pro"})[0] == 200
    for _ in range(2):
        assert heroku.call_partner("DELETE", "/" + one["id"], None)[0] == 204
    assert heroku.call_partner("POST", "", one["body"])[0] == 410
    assert heroku.call_partner("PUT", "/" + one["id"], {"plan": "free"})[0] == 410
    assert addon.apps() == []


def test_one_that_is_removed_before_it_came_does_not_come(addon: Addon, heroku: Heroku) -> None:
    late = {"id": str(uuid.uuid4()), "name": "late", "plan": "free"}
    assert heroku.call_partner("DELETE", "/" + late["id"], None)[0] == 410
    assert heroku.call_partner("POST", "", heroku.provision_body(late))[0] == 410
    assert addon.apps() == []


def test_only_heroku_may(addon: Addon, heroku: Heroku) -> None:
    one = heroku.create_addon("shop", "free")
    for password in ("wrong", "a password of Heroku", "a password of Heroku's "):
        for method, path, body in (("POST", "", one["body"]), ("PUT", "/" + one["id"], {"plan": "pro"}), ("DELETE", "/" + one["id"], None)):  # fmt: skip
            assert heroku.call_partner(method, path, body, password)[0] == 401
    for given in ("", "Bearer x", "Basic !", "Basic "):
        headers = {"Authorization": given} if given else {}
        assert addon.service.request("POST", "/heroku/resources", b"{}", headers).status == 401
    assert len(addon.apps()) == 1


def test_what_can_not_be_is_422_with_a_message_for_the_user(addon: Addon, heroku: Heroku) -> None:
    body = heroku.provision_body({"id": str(uuid.uuid4()), "name": "x", "plan": "gold"})
    status, answer = heroku.call_partner("POST", "", body)
    assert status == 422 and "gold" in answer["message"] and "free, pro, open" in answer["message"]
    one = heroku.create_addon("shop", "free")
    assert heroku.call_partner("PUT", "/" + one["id"], {"plan": "gold"})[0] == 422
    assert heroku.call_partner("PUT", "/" + str(uuid.uuid4()), {"plan": "free"})[0] == 404
    assert heroku.call_partner("POST", "", {"plan": "free"})[0] == 422
    assert heroku.call_partner("POST", "", {"uuid": one["id"]})[0] == 422  # also of one that there is
    assert heroku.call_partner("PUT", "/nothing", {"plan": "free"})[0] == 404


def test_a_grant_that_heroku_does_not_take_at_first_is_exchanged_later(
    heroku: Heroku, serve: Started, tmp_path: Path
) -> None:
    heroku.behave("POST", "/oauth/token", status=503, times=2)
    addon = Addon(heroku, serve, tmp_path, asynchronous=True)
    heroku.behave("POST", r"/addons/[^/]+/actions/provision", drop=True, times=1)
    one = heroku.create_addon("shop", "free")
    wait_for(lambda: addon.command("platform", "show", addon.apps()[0]).returncode == 0, "set up")
    assert heroku.addons[one["id"]]["state"] == "provisioned"
    assert len([c for c in heroku.calls if "authorization_code" in c["body"]]) == 3


@with_files
def test_of_one_that_is_removed_while_its_grant_is_exchanged_no_credential_is_kept(
    heroku: Heroku, serve: Started, tmp_path: Path
) -> None:
    exchange = threading.Event()
    heroku.behave("POST", "/oauth/token", times=1, until=exchange)
    addon = Addon(heroku, serve, tmp_path, asynchronous=True)
    one = heroku.create_addon("shop", "free")
    wait_for(lambda: heroku.asked("POST", "/oauth/token"), "the exchange has begun")
    heroku.destroy_addon(one["id"])
    exchange.set()
    wait_for(lambda: heroku.asked("GET", "/addons/" + one["id"]), "the exchange is over")
    with sqlite3.connect(addon.service.data / "dynoscaled.db") as database:
        (row,) = database.execute("SELECT state, app, sealed FROM addon_resource").fetchall()
    assert row == ("gone", 0, None)
    assert addon.apps() == []


def test_no_secret_of_the_add_on_is_in_files_or_the_log(addon: Addon, heroku: Heroku) -> None:
    one = heroku.create_addon("shop", "free")
    wait_for(lambda: addon.command("platform", "show", addon.apps()[0]).returncode == 0, "set up")
    addon.sso(heroku.sso(one["id"]))
    token = heroku.apps["shop"].config["DYNOSCALE_URL"].rsplit("/", 1)[1]
    secrets = [token, one["body"]["oauth_grant"]["code"], heroku.client_secret, manifest()["api"]["sso_salt"],
               manifest()["api"]["password"], *heroku.tokens, *heroku.refreshes]  # fmt: skip
    files = b"".join(path.read_bytes() for path in addon.service.data.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret.encode() not in files and secret not in addon.service.log


def at_once(calls: int, call: Callable[[], Any]) -> List[Any]:
    with ThreadPoolExecutor(calls) as pool:
        return [one.result() for one in [pool.submit(call) for _ in range(calls)]]


def test_the_same_request_many_times_at_once_is_carried_out_once(addon: Addon, heroku: Heroku) -> None:
    one = {"id": str(uuid.uuid4()), "name": "at-once", "plan": "free"}
    body = heroku.provision_body(one)
    answers = at_once(8, lambda: heroku.call_partner("POST", "", body))
    good = [answer for status, answer in answers if status == 200]
    assert good and all(answer == good[0] for answer in good)
    assert {status for status, _ in answers} <= {200, 503}  # 503: Heroku tries again
    assert addon.apps() == ["at-once"]
    url = good[0]["config"]["DYNOSCALE_URL"]
    assert report(addon.service, url, []).status == 200
    at_once(8, lambda: heroku.call_partner("DELETE", "/" + one["id"], None))
    assert heroku.call_partner("DELETE", "/" + one["id"], None)[0] == 204
    assert addon.apps() == [] and report(addon.service, url, []).status == 401


def test_a_token_of_single_sign_on_that_comes_twice_at_once_counts_once(addon: Addon, heroku: Heroku) -> None:
    fields = heroku.sso(heroku.create_addon("shop", "free")["id"])
    statuses = [answer.status for answer in at_once(8, lambda: addon.sso(fields))]
    assert statuses.count(303) == 1 and set(statuses) <= {303, 403, 503}, statuses


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_grant_that_is_over_is_told_and_a_new_one_is_taken(
    heroku: Heroku, serve: Started, tmp_path: Path, asynchronous: bool
) -> None:
    addon = Addon(heroku, serve, tmp_path, asynchronous=asynchronous)
    heroku.code_s = -1.0
    one = heroku.create_addon("shop", "free")
    wait_for(lambda: "does not take the grant's code" in addon.service.log, "it is told")
    first = len(heroku.asked("POST", "/oauth/token"))
    before = addon.service.metric("ticks_total")
    wait_for(lambda: addon.service.metric("ticks_total") >= before + 3, "some time passes")
    assert len(heroku.asked("POST", "/oauth/token")) == first == 1
    # Heroku asks again, with a code of its own: the one before was of no use.
    heroku.code_s = 300.0
    again = heroku.call_partner("POST", "", heroku.provision_body(one))
    assert again[0] == (202 if asynchronous else 200)
    wait_for(lambda: addon.command("platform", "show", addon.apps()[0]).returncode == 0, "set up")
    # Once it is set up, another code is not looked at.
    heroku.call_partner("POST", "", heroku.provision_body(one))
    before = addon.service.metric("ticks_total")
    wait_for(lambda: addon.service.metric("ticks_total") >= before + 3, "some time passes")
    assert len(heroku.asked("POST", "/oauth/token")) == 2
    if asynchronous:
        assert heroku.addons[one["id"]]["state"] == "provisioned"


# ---- Single sign-on


def test_a_token_of_another_time_person_or_salt_and_one_that_was_used_are_refused(
    addon: Addon, heroku: Heroku
) -> None:
    one = heroku.create_addon("shop", "free")
    two = heroku.create_addon("other", "free")
    now = int(time.time())
    good = heroku.sso(one["id"])
    assert addon.sso(good).status == 303
    refused: List[Dict[str, str]] = [
        good,
        heroku.sso(one["id"], at=now - 400),
        heroku.sso(one["id"], at=now + 400),
        {**heroku.sso(one["id"], at=now - 1), "email": "eve@example.com"},
        {**heroku.sso(one["id"], at=now - 2), "user_id": str(uuid.uuid4())},
        {**heroku.sso(one["id"], at=now - 3), "resource_id": two["id"]},
        {**heroku.sso(one["id"], at=now - 4), "user_scoped_resource_token": "0" * 64},
        {**heroku.sso(one["id"], at=now - 5), "timestamp": f"{now - 5}x"},
        heroku.sso(one["id"], at=now - 6, old=True),  # not by this service's settings
        {"resource_id": one["id"]},
        {},
    ]
    for fields in refused:
        answer = addon.sso(fields)
        assert answer.status == 403 and "set-cookie" not in answer.headers, fields
        assert b"Open the add-on again" in answer.body


def test_the_older_token_is_taken_where_that_is_set(heroku: Heroku, serve: Started, tmp_path: Path) -> None:
    addon = Addon(heroku, serve, tmp_path, sso_sha1=True)
    one = heroku.create_addon("shop", "free")
    assert addon.sso(heroku.sso(one["id"], old=True)).status == 303
    assert addon.sso(heroku.sso(one["id"])).status == 303
    wrong = {**heroku.sso(one["id"], old=True), "resource_token": "0" * 40}
    assert addon.sso(wrong).status == 403
    # A form has both: with the newer one used, the older one is, too.
    both = heroku.sso(one["id"], at=int(time.time()) - 60)
    assert addon.sso(both).status == 303
    older = {name: value for name, value in both.items() if name != "user_scoped_resource_token"}
    assert addon.sso(older).status == 403
    # Somebody else of the same second has a token of their own.
    heroku.user = {"id": str(uuid.uuid4()), "email": "ben@example.com"}
    assert addon.sso(heroku.sso(one["id"], at=int(both["timestamp"]))).status == 303


def test_who_came_by_heroku_sees_and_changes_their_app_alone(addon: Addon, heroku: Heroku) -> None:
    one = heroku.create_addon("shop", "free")
    mine = addon.apps()[0]
    heroku.create_addon("other", "free")
    (other,) = [name for name in addon.apps() if name != mine]
    signed = addon.sso(heroku.sso(one["id"]))
    cookie = {"Cookie": signed.headers["set-cookie"].split(";")[0]}
    shown = json.loads(addon.service.get("/api/v1/apps", cookie).body)
    assert [app["name"] for app in shown["apps"]] == [mine]
    session = json.loads(addon.service.get("/api/v1/session", cookie).body)
    assert session["app"] == mine and session["heroku_app"] == "shop"
    assert addon.service.get(f"/api/v1/apps/{other}", cookie).status == 404
    for path in ("/people", "/tokens", "/audit", "/account/sessions"):
        assert addon.service.get("/api/v1" + path, cookie).status == 403, path
    made = addon.as_person(signed, "POST", "/api/v1/people", {"name": "eve", "role": "admin"})
    assert made.status == 403
    removed = addon.as_person(signed, "DELETE", f"/api/v1/apps/{mine}", {"name": mine})
    assert removed.status == 409 and "addons:destroy" in removed.text


# ---- The command line


def test_a_new_manifest_serves_and_passes_the_check(heroku: Heroku, serve: Started, tmp_path: Path) -> None:
    command = Command(None)
    said = command("heroku", "manifest", "https://scale.example.com", "--directory", str(tmp_path))
    assert said.returncode == 0, said.stderr
    made = json.loads((tmp_path / "addon-manifest.json").read_text())
    assert made["api"]["production"]["base_url"] == "https://scale.example.com/heroku/resources"
    assert len(made["api"]["password"]) >= 40 and made["api"]["password"] not in said.stdout
    assert oct((tmp_path / "heroku.json").stat().st_mode & 0o777) == "0o600"
    again = command("heroku", "manifest", "https://scale.example.com", "--directory", str(tmp_path))
    assert again.returncode == 1 and "could not be made" in again.stderr

    service = serve("--heroku-addon", str(tmp_path / "heroku.json"))
    checked = command("heroku", "check", str(tmp_path / "heroku.json"), service.url)
    wrong = [line for line in checked.stdout.splitlines() if line.startswith("NO")]
    assert len(wrong) == 1 and "https" in wrong[0], checked.stdout  # the tests' service has no TLS
    assert checked.stdout.count("\nok") >= 18
    assert Command(service.data).json("app", "list")["apps"] == []


def test_the_check_says_what_heroku_would_refuse(addon: Addon, heroku: Heroku, tmp_path: Path) -> None:
    other = manifest()
    other["api"]["password"] = "another one, which is long too"
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"manifest": other, "plans": PLANS}))
    path.chmod(0o600)
    checked = addon.command("heroku", "check", str(path), addon.service.url)
    assert checked.returncode == 1 and "NO   a resource is provisioned" in checked.stdout


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"plans": {}}, "at least one plan"),
        ({"plans": {"free": {"dyno": 3}}}, "“dyno” is not known"),
        ({"plans": {"free": {"dynos": -1}}}, "dynos must be 0 to 1000"),
        ({"manifest": "nowhere.json"}, "nowhere.json can't be opened"),
        ({"manifest": {"id": "dynoscale", "api": {}}}, "“password” must be a text"),
        ({"sso_sha1": "yes"}, "“sso_sha1” must be true or false"),
        ({"asynchronous": True, "client_secret": None}, "must be a text"),
        ({"plan": {}}, "“plan” is not known"),
    ],
)
def test_settings_with_a_mistake_are_refused_by_a_sentence(
    tmp_path: Path, change: Dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "heroku.json"
    path.write_text(json.dumps({"manifest": manifest(), "plans": PLANS, **change}))
    path.chmod(0o600)
    done = Command(tmp_path / "data")("serve", "--heroku-addon", str(path), "--listen", "127.0.0.1:0")
    assert done.returncode == 1 and sentence in done.stderr, done.stderr


def test_settings_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "heroku.json"
    path.write_text(json.dumps({"manifest": manifest(), "plans": PLANS}))
    path.chmod(0o644)
    done = Command(tmp_path / "data")("serve", "--heroku-addon", str(path), "--listen", "127.0.0.1:0")
    assert done.returncode == 1 and "chmod 600" in done.stderr
