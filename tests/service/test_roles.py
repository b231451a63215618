"""Who may what: each address of the API with no token, with a token of each scope and a session of
each role, and with those of another app, over HTTP."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from conftest import Started
from described import METHODS, RANKS, Operation, Route, operations, routes
from dynoscaled import RULES, Command, report, wait_for
from service import PATIENCE, Service

PASSWORD = "a good long password"
# A person with the role operate may all that the scopes operate and write may.
ROLES = {"read": "read", "operate": "write", "admin": "admin"}
SCOPES = ["read", "operate", "write", "admin"]
# Stands in whatever the other app has.
MARK = "zebra"
EVENTS = ("GET", "/api/v1/events")
OF_PEOPLE = "/api/v1/account/"
# What `fill` puts into places beside those of an app: of each there is none.
PLACES = {"session": "999", "person": "nemo", "token": "999", "channel": "999", "process": "web"}


class Caller(NamedTuple):
    name: str
    rank: str
    headers: Dict[str, str]
    of_app: bool = False
    is_person: bool = False


class House(NamedTuple):
    """A service with two apps that have everything, and all who may call it."""

    service: Service
    callers: List[Caller]
    channels: Dict[str, int]  # by app


class Line:
    """A connection that lasts."""

    def __init__(self, service: Service) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)

    def ask(
        self, key: Operation, path: str, headers: Dict[str, str], body: Optional[bytes] = b"{}"
    ) -> Tuple[int, str, Dict[str, str]]:
        method = key[0]
        sent = dict(headers) if method == "GET" else dict(headers, **{"Content-Type": "application/json"})
        self.connection.request(method, path, None if method == "GET" else body, sent)
        answer = self.connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        if key == EVENTS and answer.status == 200:
            self.connection.close()  # a stream has no end
            return 200, "", names
        return answer.status, answer.read().decode(), names


def fill(path: str, app: str, **others: object) -> str:
    places: Dict[str, object] = {**PLACES, "app": app, **others}
    for name, value in places.items():
        path = path.replace("{%s}" % name, str(value))
    return path


def furnish(service: Service, command: Command, name: str) -> int:
    """An app with rules, reports, a price, a channel, a pause; its channel."""
    url = command.json("app", "add", name)["report_url"]
    command.done("rules", "put", name, "-", stdin=RULES.replace("office", f"{name}-office"))
    rows = [(int(time.time()) - 1, 40, source) for source in ("web", f"sidekiq:{name}-queue")]
    assert report(service, url, rows).status == 200
    command.done("notify", "add", name, "email", f"{name}@shop.example")
    command.done("pause", name, "web", "--until", "+1h")
    return int(command.json("notify", "list", name)["channels"][0]["id"])


def tokens(command: Command, app: Optional[str]) -> Iterator[Caller]:
    for scope in SCOPES:
        one = ["--app", app] if app else []
        made = command.json("token", "add", "--scope", scope, *one)
        name = f"a token of scope {scope}" + (f" of {app}" if app else "")
        yield Caller(name, scope, {"Authorization": f"Bearer {made['token']}"}, of_app=bool(app))


def sign_in(service: Service, name: str) -> Dict[str, str]:
    body = json.dumps({"name": name, "password": PASSWORD}).encode()
    answer = service.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.text
    cookie = answer.headers["set-cookie"].split(";")[0]
    return {"Cookie": cookie, "X-CSRF-Token": json.loads(answer.text)["csrf"]}


def people(service: Service, command: Command) -> Iterator[Caller]:
    for role, rank in ROLES.items():
        command.done("user", "add", f"{role}er", "--role", role, stdin=PASSWORD + "\n")
        headers = sign_in(service, f"{role}er")
        yield Caller(f"a person with the role {role}", rank, headers, is_person=True)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("roles")
    with Service(folder, "--tick-s", "1") as service:
        service.start()
        command = Command(service.data)
        channels = {name: furnish(service, command, name) for name in ("mine", MARK)}
        callers = [Caller("nobody", "nobody", {})]
        callers += [*tokens(command, None), *tokens(command, "mine"), *people(service, command)]
        yield House(service, callers, channels)


def allowed(caller: Caller, key: Operation, route: Route) -> bool:
    if RANKS.index(caller.rank) < RANKS.index(route.least):
        return False
    if key[1].startswith(OF_PEOPLE) and not caller.is_person:
        return False
    return not caller.of_app or "{app}" in key[1] or route.of_one_app or route.least == "nobody"


def test_each_route_is_for_whom_the_table_says(house: House) -> None:
    """Requests that are let in find nothing to change: a name that there is not, or no field."""
    line = Line(house.service)
    table = routes()
    assert set(table) == set(operations())
    refusals = 0
    for caller in house.callers:
        refused = 401 if caller.rank == "nobody" else 403
        # Last, since it ends the session.
        for key in sorted(table, key=lambda key: key == ("DELETE", "/api/v1/session")):
            status, text, _ = line.ask(key, fill(key[1], "mine"), caller.headers)
            what = f"{caller.name}, {key}: {status} {text[:200]}"
            if allowed(caller, key, table[key]):
                assert status not in (401, 403, 405), what
                assert status < 500 or "is not known yet" in text, what
            else:
                refusals += 1
                assert status == refused, what
                assert json.loads(text)["status"] == refused, what
    # So many are not in the log one by one.
    assert 20 <= house.service.log.count(" was refused ") < refusals


def test_who_was_refused_what_is_in_the_log(serve: Started) -> None:
    service = serve()
    command = Command(service.data)
    for app in ("mine", "other"):
        command.done("app", "add", app)
    line = Line(service)
    token = command.done("token", "add", "--scope", "read", "--app", "mine").strip()
    of_mine = {"Authorization": f"Bearer {token}"}
    secret = "hunter2-in-a-wrong-place"
    tries: List[Tuple[str, str, Dict[str, str], int]] = [
        ("POST", "/api/v1/apps", {}, 401),
        ("GET", "/api/v1/apps", {"Authorization": f"Bearer {secret}"}, 401),
        ("PUT", "/api/v1/apps/mine/rules", of_mine, 403),
        ("GET", "/api/v1/people", of_mine, 403),
        ("GET", "/api/v1/apps/other/rules", of_mine, 404),
        ("POST", f"/api/v1/report/{secret}", {}, 401),
        ("GET", "/api/v1/session", {}, 401),
        ("GET", "/api/v1/apps/none/rules", of_mine, 404),
    ]
    for method, path, headers, status in tries:
        assert line.ask((method, path), path, headers)[0] == status, path
    refused = re.findall(r"warn (?:api|ingest): (.* was refused.*)$", service.log, re.M)
    assert [re.sub(r"token \d+ \(\S+\)", "the token", one) for one in refused] == [
        "somebody unknown was refused POST /api/v1/apps (from 127.0.0.1)",
        "somebody unknown was refused GET any address (from 127.0.0.1)",
        "the token was refused PUT /api/v1/apps/{app}/rules (from 127.0.0.1)",
        "the token was refused GET /api/v1/people (from 127.0.0.1)",
        "the token was refused GET /api/v1/apps/{app}/rules (from 127.0.0.1)",
        "a report from 127.0.0.1 was refused: its address has no app's token",
    ]
    assert secret not in service.log


def test_malformed_requests_and_connections_beyond_the_limits_are_in_the_log(serve: Started) -> None:
    service = serve("--connections-a-peer", "2")
    with socket.create_connection(("127.0.0.1", service.port)) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert re.search(r"warn http: a request from 127\.0\.0\.1 was refused with 400: ", service.log)
    several = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(4)]
    said = "warn http: a connection from 127.0.0.1 was closed: it already has as many as it may"
    wait_for(lambda: said in service.log, "the line of a connection that was closed")
    for each in several:
        each.close()


def test_a_method_that_an_address_has_not_is_405_with_those_that_it_has(house: House) -> None:
    line, admin = Line(house.service), house.callers[len(SCOPES)]
    table = routes()
    for path in {path for _, path in table}:
        there = {method for method, one in table if one == path}
        for method in {method.upper() for method in METHODS} - there:
            status, _, headers = line.ask((method, path), fill(path, "mine"), admin.headers)
            assert status == 405, (method, path)
            assert set(headers["allow"].split(", ")) == there, (method, path)


def readings(house: House) -> Iterator[Tuple[Caller, Operation]]:
    for caller in house.callers:
        if caller.of_app:
            for key in routes():
                yield caller, key


def test_a_token_of_one_app_sees_nothing_of_another(house: House) -> None:
    line = Line(house.service)
    admin = house.callers[len(SCOPES)]
    # What there would be to see: each mark is shown to one who may see it.
    shown = "".join(
        line.ask(key, fill(key[1], MARK), admin.headers)[1]
        for key in routes()
        if key[0] == "GET" and "{app}" in key[1]
    )
    for mark in (f"{MARK}-office", f"{MARK}-queue"):
        assert mark in shown, mark
    for caller, key in readings(house):
        if key[0] == "GET":
            status, text, headers = line.ask(key, fill(key[1], "mine"), caller.headers)
            assert MARK not in text and MARK not in str(headers), (caller.name, key, text)
            assert status < 500 or "is not known yet" in text, (caller.name, key, text)


def test_another_app_is_answered_as_one_that_there_is_not(house: House) -> None:
    line = Line(house.service)
    for caller, key in readings(house):
        if "{app}" not in key[1]:
            continue
        other = line.ask(key, fill(key[1], MARK, channel=house.channels[MARK]), caller.headers)
        none = line.ask(key, fill(key[1], "nessi", channel=house.channels[MARK]), caller.headers)
        assert other[0] in (403, 404), (caller.name, key, other)
        assert (other[0], other[1].replace(MARK, "nessi")) == none[:2], (caller.name, key)


def test_what_belongs_to_another_app_is_not_found_by_its_number(house: House) -> None:
    """The other app's channel under one's own app; and it is as it was."""
    line, theirs = Line(house.service), house.channels[MARK]
    seen = fill("/api/v1/apps/{app}/channels", MARK)
    before = line.ask(("GET", seen), seen, house.callers[len(SCOPES)].headers)
    owner = next(caller for caller in house.callers if caller.of_app and caller.rank == "admin")
    asked = [(key, path) for key in routes() for path in [key[1]] if "{channel}" in path]
    assert len(asked) == 3
    for key, path in asked:
        body = json.dumps({"tells": []} if key[0] == "PATCH" else {}).encode()
        status, text, _ = line.ask(key, fill(path, "mine", channel=theirs), owner.headers, body)
        assert status == 404 and MARK not in text, (key, text)
        assert line.ask(key, fill(path, "mine", channel=house.channels["mine"]), owner.headers, b'{"x":1}')[0] != 404
    assert line.ask(("GET", seen), seen, house.callers[len(SCOPES)].headers)[1] == before[1]


def test_a_stream_of_one_app_tells_nothing_of_another(house: House) -> None:
    command = Command(house.service.data)
    caller = next(caller for caller in house.callers if caller.of_app)
    connection = http.client.HTTPConnection("127.0.0.1", house.service.port, timeout=PATIENCE)
    connection.request("GET", "/api/v1/events", headers=caller.headers)
    answer = connection.getresponse()
    told = ""

    def hear(until: str) -> None:
        nonlocal told
        while until not in told:
            line = answer.readline()
            assert line, told
            told += line.decode()

    hear("mine")
    for app in (MARK, "mine"):
        command.done("boost", app, "web", "4", "--until", "+1h")
    hear('"boost":{')
    connection.close()
    assert MARK not in told


def open_stream(service: Service, headers: Dict[str, str]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
    connection.request("GET", "/api/v1/events", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer


def test_a_stream_ends_with_the_session_or_token_that_opened_it(serve: Started) -> None:
    service = serve("--tick-s", "1")
    command = Command(service.data)
    command.done("app", "add", "shop")
    names = ["removed", "lowered", "ended", "renewed", "left", "plain"]
    for name in names:
        command.done("user", "add", name, "--role", "operate", stdin=PASSWORD + "\n")
    sessions = {name: sign_in(service, name) for name in names}
    made = {name: command.json("token", "add", "--scope", "read") for name in ("token", "lasting")}
    bearers = {name: {"Authorization": f"Bearer {one['token']}"} for name, one in made.items()}
    streams = {name: open_stream(service, one) for name, one in {**sessions, **bearers}.items()}
    command.done("user", "remove", "removed")
    command.done("user", "role", "lowered", "read")
    admin = {"Authorization": f"Bearer {command.json('token', 'add', '--scope', 'admin')['token']}"}
    assert service.request("DELETE", "/api/v1/people/ended/sessions", b"", admin).status == 204
    command.done("user", "password", "renewed", stdin="another long password\n")
    assert service.request("DELETE", "/api/v1/session", b"", sessions["left"]).status == 204
    command.done("token", "remove", str(made["token"]["id"]))
    command.done("user", "factors", "required")
    lasting = streams.pop("lasting")
    # By itself it would end after some three hundred events, one a second.
    for name, stream in streams.items():
        events = 0
        while line := stream.readline():
            events += line.startswith(b"data:")
            assert events < 100, name
    # Another one's goes on.
    seen = lasting.readline()
    command.done("boost", "shop", "web", "4", "--until", "+1h")
    while b'"boost":{' not in seen:
        seen = lasting.readline()
        assert seen


def test_no_other_secret_is_a_token_of_the_api(house: House) -> None:
    """Agents' tokens, cookies, and tokens that are damaged."""
    line, command = Line(house.service), Command(house.service.data)
    url = command.json("app", "add", "third")["report_url"]
    token = house.callers[1].headers["Authorization"].split()[1]
    cookie = sign_in(house.service, "reader")["Cookie"].split("=")[1]
    wrong = [url.rsplit("/", 1)[1], cookie, token[:-1], token + "a", token.upper(), token[3:], "", "null"]
    for one in wrong:
        status, _, headers = line.ask(("GET", "/"), "/api/v1/apps", {"Authorization": f"Bearer {one}"})
        assert status == 401 and headers["www-authenticate"] == "Bearer", one
    for text in (f"Basic {token}", token, f"bearer{token}"):
        assert line.ask(("GET", "/"), "/api/v1/apps", {"Authorization": text})[0] == 401, text
    # Nor is a token of the API one for reports, or a cookie.
    assert report(house.service, f"/api/v1/report/{token}", [(int(time.time()), 1, "web")]).status == 401
    assert line.ask(("GET", "/"), "/api/v1/apps", {"Cookie": f"dynoscale={token}"})[0] == 401
    command.done("app", "remove", "third", "--confirm", "third")


def test_a_token_that_is_removed_ends_at_once(house: House) -> None:
    line, command = Line(house.service), Command(house.service.data)
    made = command.json("token", "add", "--scope", "read")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert line.ask(("GET", "/"), "/api/v1/apps", bearer)[0] == 200
    command.done("token", "remove", str(made["id"]))
    assert line.ask(("GET", "/"), "/api/v1/apps", bearer)[0] == 401
