"""openapi.yaml against the routes and against what a real service answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Set
from urllib.parse import urlencode

import jsonschema
import pytest
import authenticator
from conftest import Started
from described import (
    DESCRIPTION,
    METHODS,
    TEXT,
    Operation,
    described,
    heroku_operations,
    operations,
    resolve,
    routes,
)
from dynoscaled import RULES, Command, local_request, report, wait_for, write_scale
from service import PATIENCE, Answer, Service

def test_every_route_is_described_and_every_description_is_a_route() -> None:
    found = {key: operation["x-least"] for key, operation in operations().items()}
    assert len(found) > 40
    assert found == {key: route.least for key, route in routes().items()}


def test_every_place_in_a_path_is_described() -> None:
    for path, item in DESCRIPTION["paths"].items():
        named = {resolve(p)["name"] for p in item.get("parameters", [])}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r'\$ref: "([^"]+)"', TEXT)):
        assert resolve({"$ref": reference})


def test_what_needs_no_sign_in_says_so() -> None:
    for key, operation in described().items():
        assert (operation.get("security") == []) == (operation["x-least"] == "nobody"), key


def expect_valid(value: Any, schema: Any, where: str) -> None:
    whole = {"allOf": [schema], "components": DESCRIPTION["components"]}
    errors = list(jsonschema.Draft202012Validator(whole).iter_errors(value))
    assert not errors, (where, [(list(e.absolute_path), e.message[:300]) for e in errors[:3]])


class Api:
    """Calls operations and holds each answer, and each body sent, to the description."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.headers: Dict[str, str] = {}
        self.local = False
        self.seen: Set[Operation] = set()

    def __call__(
        self,
        method: str,
        template: str,
        body: Any = None,
        query: str = "",
        expect: int = 200,
        headers: Optional[Dict[str, str]] = None,
        **places: str,
    ) -> Any:
        operation = described()[method, template]
        sent = dict(self.headers, **(headers or {}))
        data = None
        if isinstance(body, str):
            data = body.encode()
            sent.setdefault("Content-Type", "application/yaml")
        elif body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
            schema = resolve(operation["requestBody"])["content"]["application/json"]["schema"]
            if expect < 400:
                expect_valid(body, schema, f"the body of {method} {template}")
        path = template.format(**places) + (f"?{query}" if query else "")
        answer = self.send(method, path, data, sent)
        assert answer.status == expect, (method, path, answer.status, answer.text)
        return self.check(operation, (method, template), answer)

    def send(self, method: str, path: str, body: Optional[bytes], headers: Any) -> Answer:
        if self.local:
            return local_request(self.service.data, method, path, body, headers)
        return self.service.request(method, path, body, headers)

    def check(self, operation: Any, key: Operation, answer: Answer) -> Any:
        responses = operation["responses"]
        expected = resolve(responses.get(str(answer.status)) or responses["default"])
        if answer.status < 400:
            assert str(answer.status) in responses, (key, answer.status)
            self.seen.add(key)
        for name in expected.get("headers", {}):
            assert name.lower() in answer.headers, (key, name)
        content = expected.get("content")
        if not content:
            assert answer.body == b"", key
            return answer
        kind = answer.headers["content-type"].split(";")[0]
        assert kind in content, (key, kind)
        assert answer.headers["cache-control"] == "no-store"
        if "json" not in kind or kind.endswith("ndjson"):
            return answer
        value = json.loads(answer.text)
        expect_valid(value, content[kind]["schema"], f"{key}")
        return value


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("openapi")
    with Service(folder, "--tick-s", "1") as service:
        yield Api(service.start())


PROCESS = "/api/v1/apps/{app}/processes/{process}"
APP = "/api/v1/apps/{app}"


def test_a_whole_life_is_answered_as_described(api: Api, tmp_path: Path) -> None:
    sign_in(api)
    address = first_app(api)
    platforms(api, tmp_path)
    measured(api, address)
    rules(api)
    processes(api)
    people(api)
    events(api)
    the_end(api)
    assert set(operations()) - api.seen == set()


def sign_in(api: Api) -> None:
    assert api("GET", "/api/v1/openapi.yaml").text.startswith("openapi: 3.1")
    assert api("GET", "/api/v1/setup")["first_run"] is True
    api("GET", "/api/v1/session", expect=401)
    api.local = True
    link = api("POST", "/api/v1/setup/link", expect=201)["link"].split("#link=")[1]
    api.local = False
    assert api("POST", "/api/v1/links/check", {"link": link})["kind"] == "first"
    password = "a good long password"
    body = {"link": link, "name": "anna", "password": password}
    api("POST", "/api/v1/links/use", body, expect=201)
    api("POST", "/api/v1/links/use", body, expect=404)
    api("POST", "/api/v1/session", {"name": "anna", "password": "wrong"}, expect=401)
    use_session(api, "anna", password)
    assert api("GET", "/api/v1/session")["kind"] == "person"
    assert len(api("GET", "/api/v1/account/sessions")["sessions"]) == 2
    again = {"current": password}
    api("DELETE", "/api/v1/account/sessions/{session}", again, session="others", expect=204)
    second_factor(api, again)
    new = {"current": password, "password": "another good long one"}
    api("PUT", "/api/v1/account/password", new, expect=204)


def second_factor(api: Api, again: Dict[str, str]) -> None:
    assert api("GET", "/api/v1/account/factor")["active"] is False
    secret = api("POST", "/api/v1/account/factor", again, expect=201)["secret"]
    first = {"code": authenticator.code(secret)}
    recovery = api("POST", "/api/v1/account/factor/confirm", first)["recovery"]
    assert api("POST", "/api/v1/account/factor/recovery", again)["recovery"] != recovery
    assert api("GET", "/api/v1/account/factor")["recovery_left"] == 10
    assert api("PUT", "/api/v1/sign-in", {"factor_required": True}) == {"factor_required": True}
    assert api("PUT", "/api/v1/sign-in", {"factor_required": False}) == api("GET", "/api/v1/sign-in")
    off = dict(again, code=authenticator.code(secret, ahead=1))
    api("POST", "/api/v1/account/factor/off", off, expect=204)
    api("POST", "/api/v1/account/factor/off", off, expect=409)


def use_session(api: Api, name: str, password: str) -> None:
    body = json.dumps({"name": name, "password": password}).encode()
    headers = {"Content-Type": "application/json"}
    answer = api.service.request("POST", "/api/v1/session", body, headers)
    who = json.loads(answer.text)
    expect_valid(who, {"$ref": "#/components/schemas/Who"}, "sign-in")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    api.seen.add(("POST", "/api/v1/session"))
    api.headers = {"Cookie": cookie.split(";")[0], "X-CSRF-Token": who["csrf"]}


def first_app(api: Api) -> str:
    assert api("GET", "/api/v1/apps") == {"apps": []}
    added = api("POST", "/api/v1/apps", {"name": "shop", "zone": "Europe/Berlin"}, expect=201)
    assert added["environment"]["DYNOSCALE_URL"] == added["report_url"]
    api("POST", "/api/v1/apps", {"name": "shop"}, expect=409)
    api("POST", "/api/v1/apps", {"name": "No"}, expect=400)
    assert api("GET", "/api/v1/apps")["apps"][0]["state"] == "waiting"
    rotated = api("POST", APP + "/report-token", {"overlap": 60}, app="shop", expect=201)
    assert len(api("GET", APP, app="shop")["report_tokens"]) == 2
    changed = api("PATCH", APP, {"zone": "Asia/Kolkata", "kept_days": 7}, app="shop")
    assert (changed["zone"], changed["kept_days"]) == ("Asia/Kolkata", 7)
    return str(rotated["report_url"])


def platforms(api: Api, folder: Path) -> None:
    assert {"kind": "command", "local_only": True} in api("GET", "/api/v1/platforms")["platforms"]
    api("GET", APP + "/platform", app="shop", expect=404)
    body = {"kind": "command", "settings": {"command": [str(write_scale(folder))]}}
    api("PUT", APP + "/platform", body, app="shop", expect=403)
    api.local = True
    assert api("PUT", APP + "/platform", body, app="shop")["result"] == "ok"
    api.local = False
    assert api("GET", APP + "/platform", app="shop")["has_secret"] is False
    assert api("POST", APP + "/platform/test", app="shop")["test"][0]["ordered"] == 2


def measured(api: Api, address: str) -> None:
    now = int(time.time())
    rows = [(now - i % 20, 300 + i, "web") for i in range(100)]
    rows += [(now - 1, 5000, "sidekiq:default")]
    rows += [(now - 60 * i, 20, "web") for i in range(3, 10)]
    assert report(api.service, address, rows).status == 200
    sources = api("GET", APP + "/sources", app="shop")["sources"]
    assert {s["source"] for s in sources} == {"web", "sidekiq:default"}
    query = f"source=web&from={now - 60}&to={now + 10}&step=10"
    points = api("GET", APP + "/series", app="shop", query=query)["points"]
    assert sum(p["count"] for p in points) == 100
    assert all("p95" not in p for p in points if p["count"] == 0)
    api("GET", APP + "/series", app="shop", query=query + "&signal=depth")
    api("GET", APP + "/series", app="shop", query="from=-1h", expect=400)


def rules(api: Api) -> None:
    checked = api("POST", "/api/v1/rules/check", RULES)
    assert api("POST", "/api/v1/rules/check", checked["rules"]) == checked
    api("POST", "/api/v1/rules/check", "processes: [", expect=400)
    planned = api("POST", APP + "/rules/plan", RULES, app="shop")
    assert any("office" in line for line in planned["changes"])
    old = {"If-Match": '"77"'}
    api("PUT", APP + "/rules", RULES, app="shop", headers=old, expect=412)
    put = api("PUT", APP + "/rules", RULES, app="shop")
    text = api("GET", APP + "/rules", app="shop", headers={"Accept": "application/yaml"})
    assert text.text == RULES
    unchanged = {"If-None-Match": text.headers["etag"]}
    api("GET", APP + "/rules", app="shop", headers=unchanged, expect=304)
    assert "office" in json.dumps(api("GET", APP + "/rules", app="shop"))
    back = api("POST", APP + "/rules/rollback", {"version": 1}, app="shop")
    api("POST", APP + "/rules/rollback", {"version": put["version"]}, app="shop")
    versions = api("GET", APP + "/rules/history", app="shop")["versions"]
    assert [v["version"] for v in versions][:2] == [back["version"] + 1, back["version"]]


def processes(api: Api) -> None:
    place: Dict[str, Any] = {"app": "shop", "process": "web"}

    def decided() -> bool:
        return bool(api("GET", PROCESS, **place)["queue_time"])

    wait_for(decided, "a decision")
    assert {p["process"] for p in api("GET", APP + "/processes", app="shop")["processes"]} == {
        "web", "worker"}
    wait_for(lambda: api("GET", APP + "/processes/{process}/ledger", query="changes=1", **place)[
        "ticks"], "a change")
    wanted = api("GET", PROCESS + "/wanted", **place)
    assert wanted["wanted"] >= 3 and wanted["reason"]
    assert api("GET", PROCESS + "/chart", query="from=-1m&step=10", **place)["points"]
    ticks = api("GET", PROCESS + "/ledger", query="limit=1", **place)
    assert len(ticks["ticks"]) == 1 and ticks["next_from"]
    explained = api("GET", PROCESS + "/explain", query="at=now", **place)
    assert "value_ms" in {one["name"] for one in explained["situation"]}
    api("GET", PROCESS + "/explain", query="at=-1d", **place, expect=404)
    assert api("GET", PROCESS + "/replay", **place)["same"] is True
    usage(api, place)
    trial(api, place)
    channels(api)
    api("POST", PROCESS + "/pause", {"until": "+1h", "direction": "down"}, **place)
    api("POST", PROCESS + "/boost", {"dynos": 4}, **place)
    now = api("GET", PROCESS, **place)
    assert now["paused"]["by"] == "anna" and now["boost"]["dynos"] == 4
    api("DELETE", PROCESS + "/boost", **place, expect=204)
    api("DELETE", PROCESS + "/pause", **place, expect=204)
    assert api("PUT", PROCESS + "/switch", {"scaling": False}, **place)["scaling"] is False
    api("PUT", PROCESS + "/switch", {"scaling": True}, **place)
    happened = api("GET", APP + "/events", app="shop")["events"]
    assert {"scaling", "change"} <= {event["kind"] for event in happened}
    assert 'process="web"' in api("GET", "/api/v1/metrics").text
    assert api("GET", APP, app="shop")["platform"] == "command"


def usage(api: Api, place: Dict[str, Any]) -> None:
    path, query = PROCESS + "/usage", "from=-1h&step=60"
    wait_for(lambda: api("GET", path, query=query, **place)["points"], "a second that is over")
    used = api("GET", path, query=query, **place)
    seconds = sum(point["known_s"] for point in used["points"])
    assert seconds and seconds == sum(row["seconds"] for row in used["by_dynos"])
    dyno_seconds = sum(row["dynos"] * row["seconds"] for row in used["by_dynos"])
    assert dyno_seconds == sum(point["dyno_s"] for point in used["points"])
    assert used["ups"] >= 1 and used["price"] is None
    assert used["most"] * seconds >= sum(point["max_s"] for point in used["points"]) > 0
    price = {"cents_a_month": 2550, "currency": "EUR"}
    api("PUT", PROCESS + "/price", price, expect=204, **place)
    assert api("GET", PROCESS + "/usage", **place)["price"] == price
    api("PUT", PROCESS + "/price", {"cents_a_month": 1, "currency": "eur"}, expect=400, **place)
    api("DELETE", PROCESS + "/price", expect=204, **place)
    assert api("GET", PROCESS + "/usage", **place)["price"] is None


def trial(api: Api, place: Dict[str, Any]) -> None:
    path, rules = PROCESS + "/trial", api("GET", APP + "/rules", app="shop")
    tried = api("POST", path, {"rules": rules, "from": "-12m"}, **place)
    assert tried["same_rules"] and tried["known_minutes"] >= 2
    api("POST", path, {"rules": "processes: ["}, expect=422, **place)


def channels(api: Api) -> None:
    path, one = APP + "/channels", APP + "/channels/{channel}"
    added = api("POST", path, {"kind": "webhook", "target": "http://127.0.0.1:1/x"}, app="shop", expect=201)
    assert added["secret"].startswith("wh_") and added["target"] == "http://127.0.0.1:1/..."
    place = {"app": "shop", "channel": added["id"]}
    assert api("PATCH", one, {"tells": ["silent"]}, **place)["tells"] == ["silent"]
    api("PATCH", one, {"tells": ["weather"]}, expect=400, **place)
    assert api("POST", one + "/test", **place)["result"] == "failed"
    assert [channel["id"] for channel in api("GET", path, app="shop")["channels"]] == [added["id"]]
    assert isinstance(api("GET", APP + "/notices", app="shop")["notices"], list)
    api("DELETE", one, expect=204, **place)
    api("DELETE", one, expect=404, **place)


def people(api: Api) -> None:
    link = api("POST", "/api/v1/people", {"name": "tom b", "role": "read"}, expect=201)["link"]
    body = {"link": link.split("#link=")[1]}
    assert api("POST", "/api/v1/links/check", body)["kind"] == "invite"
    api("POST", "/api/v1/links/use", dict(body, password="toms good password"))
    api("PATCH", "/api/v1/people/{person}", {"role": "operate"}, person="tom%20b")
    api("POST", "/api/v1/people/{person}/link", person="tom%20b", expect=201)
    api.local = True
    password = {"password": "set on the machine"}
    api("PUT", "/api/v1/people/{person}/password", password, person="tom%20b", expect=204)
    api.local = False
    api("DELETE", "/api/v1/people/{person}/sessions", person="tom%20b", expect=204)
    api("DELETE", "/api/v1/people/{person}/factor", person="tom%20b", expect=204)
    assert len(api("GET", "/api/v1/people")["people"]) == 2
    made = api("POST", "/api/v1/tokens", {"name": "ci", "scope": "read", "app": "shop"}, expect=201)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    own, api.headers = api.headers, bearer
    assert api("GET", "/api/v1/session")["app"] == "shop"
    assert 'app="shop"' in api("GET", "/metrics").text
    api("GET", "/api/v1/people", expect=403)
    api.headers = own
    tokens = api("GET", "/api/v1/tokens")["tokens"]
    assert tokens[0]["used"] and made["token"] not in json.dumps(tokens)
    api("DELETE", "/api/v1/tokens/{token}", token=str(made["id"]), expect=204)
    api("DELETE", "/api/v1/people/{person}", person="tom%20b", expect=204)
    assert "anna" in {entry["who"] for entry in api("GET", "/api/v1/audit")["entries"]}
    assert api("GET", APP + "/audit", app="shop", query="limit=1")["entries"]


def events(api: Api) -> None:
    """The stream: its first event of the app is as in the list of apps."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", api.service.port, timeout=PATIENCE)
    connection.request("GET", "/api/v1/events?app=shop", headers=api.headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    name = ""
    while True:
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:") and name == "app":
            schema = {"$ref": "#/components/schemas/App"}
            expect_valid(json.loads(line[5:]), schema, "an event")
            break
    connection.close()
    api.seen.add(("GET", "/api/v1/events"))


def the_end(api: Api) -> None:
    kept = api("GET", APP + "/export", app="shop").text.splitlines()
    assert [json.loads(line)["kind"] for line in kept][:2] == ["app", "rules"]
    day = json.loads(kept[0])["last_day"]
    lines = api("GET", APP + "/export", app="shop", query=f"day={day}").text.splitlines()
    assert {"series", "decision"} <= {json.loads(line)["kind"] for line in lines}
    api("DELETE", APP + "/platform", app="shop", expect=204)
    api("DELETE", APP, {"name": "shop!"}, app="shop", expect=409)
    api("DELETE", APP, {"name": "shop"}, app="shop", expect=204)
    api("GET", APP, app="shop", expect=404)
    answer = api("DELETE", "/api/v1/session", expect=204)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    api("GET", "/api/v1/session", expect=401)


# ---- What the description allows, and what the API takes

NAMES = ["anna", "7", "0123456789012345678901234567890123456789", "7a", "a 7", "７", " anna", "anna ", " ", "a\nb",
         "a\x7f", "a\x85b", "Änna Łuk", "", "a" * 100, "a" * 101]  # fmt: skip
KINDS = ["", "heroku ", "Heroku", "nope", "command"]


def allows(schema: Any, value: Any) -> bool:
    whole = {"allOf": [schema], "components": DESCRIPTION["components"]}
    return bool(jsonschema.Draft202012Validator(whole).is_valid(value))


def test_a_name_that_the_description_allows_is_taken_and_no_other(serve: Started) -> None:
    service = serve()
    schema = DESCRIPTION["components"]["schemas"]["PersonName"]
    taken = {}
    for name in NAMES:
        body = json.dumps({"name": name, "role": "read"}).encode()
        headers = {"Content-Type": "application/json"}
        taken[name] = local_request(service.data, "POST", "/api/v1/people", body, headers).status
    assert taken == {name: 201 if allows(schema, name) else 400 for name in NAMES}
    assert set(taken.values()) == {201, 400}


def test_the_kinds_of_the_description_are_those_of_the_api(serve: Started) -> None:
    service, schema = serve(), DESCRIPTION["components"]["schemas"]["PlatformKind"]
    command = Command(service.data)
    command.done("app", "add", "shop")
    listed = json.loads(local_request(service.data, "GET", "/api/v1/platforms", None, {}).text)["platforms"]
    assert [one["kind"] for one in listed] == schema["enum"]
    for kind in [*KINDS, *schema["enum"]]:
        body = json.dumps({"kind": kind, "settings": {"nonsense": 1}}).encode()
        headers = {"Content-Type": "application/json"}
        put = local_request(service.data, "PUT", "/api/v1/apps/shop/platform", body, headers)
        assert put.status == 400
        assert ("there is no platform" in put.text) == (not allows(schema, kind)), put.text


# ---- What Heroku calls


def test_heroku_is_answered_as_described(serve: Started, tmp_path: Path) -> None:
    manifest = {"id": "dynoscale", "api": {"config_vars": ["DYNOSCALE_URL", "DYNOSCALE_DYNOS"], "version": "3",
                                           "password": "a password of Heroku's", "sso_salt": "a salt of twenty letters"}}  # fmt: skip
    settings = tmp_path / "heroku.json"
    settings.write_text(json.dumps({"manifest": manifest, "plans": {"free": {"dynos": 3}, "pro": {}}}))
    settings.chmod(0o600)
    api = Api(serve("--heroku-addon", str(settings)))
    pair = base64.b64encode(b"dynoscale:a password of Heroku's").decode()
    one, late = str(uuid.uuid4()), str(uuid.uuid4())
    resources, resource = "/heroku/resources", "/heroku/resources/{uuid}"
    api("POST", resources, {"uuid": one, "plan": "free"}, expect=401)
    api("PUT", resource, {"plan": "free"}, uuid=one, expect=401)
    api("DELETE", resource, uuid=one, expect=401)
    api.headers = {"Authorization": f"Basic {pair}"}
    assert api("POST", resources, {"uuid": one, "plan": "dynoscale:free", "of": ["tomorrow"]})["id"] == one
    api("POST", resources, {"uuid": late, "plan": "gold"}, expect=422)
    api("POST", resources, {"plan": "free"}, expect=422)
    api("POST", resources, "no JSON", expect=400)
    api("PUT", resource, {"plan": "pro"}, uuid=one)
    api("PUT", resource, {"plan": "gold"}, uuid=one, expect=422)
    api("PUT", resource, {"plan": "pro"}, uuid=late, expect=404)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    at, person = str(int(time.time())), str(uuid.uuid4())
    token = hashlib.sha256(f"{one}:a salt of twenty letters:{at}:{person}:a@b.example".encode()).hexdigest()
    fields = {"resource_id": one, "timestamp": at, "user_id": person, "email": "a@b.example", "resource_token": token}
    assert api("POST", "/heroku/sso", urlencode(fields), headers=form, expect=303).body == b""
    api("POST", "/heroku/sso", urlencode(fields), headers=form, expect=403)
    api("POST", "/heroku/sso", "x=" + "y" * 20000, headers=form, expect=413)
    api("POST", "/heroku/webhooks/{number}", {"resource": "dyno"}, number="1", expect=401)
    for _ in range(2):
        api("DELETE", resource, uuid=one, expect=204)
    api("DELETE", resource, uuid=late, expect=410)
    api("PUT", resource, {"plan": "pro"}, uuid=one, expect=410)
    api("POST", resources, {"uuid": one, "plan": "free"}, expect=410)
    # A webhook's 204 takes a platform: test_heroku_access.py.
    assert set(heroku_operations()) - api.seen == {("POST", "/heroku/webhooks/{number}")}


def test_heroku_has_no_other_methods(serve: Started, tmp_path: Path) -> None:
    settings = tmp_path / "heroku.json"
    manifest = {"id": "dynoscale", "api": {"password": "a password of Heroku's", "sso_salt": "a salt of twenty letters"}}
    settings.write_text(json.dumps({"manifest": manifest, "plans": {"free": {}}}))
    settings.chmod(0o600)
    service = serve("--heroku-addon", str(settings))
    headers = {"Authorization": "Basic " + base64.b64encode(b"dynoscale:a password of Heroku's").decode()}
    for template in {path for _, path in heroku_operations()}:
        taken = {method for method, path in heroku_operations() if path == template}
        for method in {method.upper() for method in METHODS} - taken:
            answer = service.request(method, template.format(uuid=uuid.uuid4(), number=1), b"", headers)
            assert answer.status == 405, (method, template)
            assert set(answer.headers["allow"].split(", ")) == taken, (method, template)


def test_no_answer_and_no_line_of_the_log_holds_a_secret(tmp_path: Path) -> None:
    with Service(tmp_path, "--tick-s", "1", "--log-level", "debug") as service:
        service.start()
        command = Command(service.data)
        url = command.json("app", "add", "shop")["report_url"]
        token = command.json("token", "add", "--scope", "admin")["token"]
        command.done("user", "add", "anna", stdin="a good long password\n")
        bearer = {"Authorization": f"Bearer {token}"}
        report(service, url, [(int(time.time()), 5, "web")])
        secrets = [url.rsplit("/", 1)[1], token, "a good long password", service.first_link or "?"]
        for method, path in operations():
            if method != "GET" or path == "/api/v1/events":
                continue
            place = path.format(app="shop", process="web", person="anna", token="1", session="1")
            answer = service.get(place, bearer)
            for secret in secrets:
                assert secret not in answer.text, (place, secret)
        log = service.log.replace(secrets[3], "", 1)  # printed once, to be used once
        for secret in secrets:
            assert secret not in log
