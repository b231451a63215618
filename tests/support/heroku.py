#!/usr/bin/env python3
"""A false Heroku: the Platform API, the identity service, and Heroku's side of the add-on partner
API. It keeps state, checks every request, and misbehaves when told to. Standard library only.

    python3 tests/support/heroku.py [--port 0] [--until-eof]

prints `listening on http://127.0.0.1:PORT`. In a test it is an object:

    heroku = Heroku().start()
    shop = heroku.app("shop", web=("Standard-1X", 2))
    heroku.behave("PATCH", "/apps/shop/formation", status=422, body={"id": ..., "message": ...})

Out of process, `POST /_/NAME` with a JSON object calls a method of it by name, and `GET /_/state`
shows what it knows: `calls`, `violations`, formations, add-ons.

A request that Heroku would refuse for its form (no version in Accept, a body that is not JSON, an
unknown field) is answered as there and is a line of `violations`; a test ends with none.

What is documented, and what is inferred from what others saw, is listed in docs/heroku.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

Json = Dict[str, Any]
TOKENS, A_MINUTE = 4500, 75
ACCEPT = re.compile(r"application/vnd\.heroku\+json;\s*version=3(\.\S+)?$")
SIZES = {  # name: (cents a month, limit of a process type)
    "Eco": (500, 1), "Basic": (700, 1), "Standard-1X": (2500, 100), "Standard-2X": (5000, 100),
    "Performance-M": (25000, 10), "Performance-L": (50000, 10), "Private-S": (None, 10),
    "dyno-1c-0.5gb": (2500, 255), "dyno-2c-1gb": (5000, 255),
}  # fmt: skip
PREBOOT = "Cannot change formation for a preboot app until release phase and preboot complete."
REFUSALS: Dict[str, Tuple[int, Json]] = {
    "unauthorized": (401, {"id": "unauthorized", "message": "Invalid credentials provided."}),
    "delinquent": (402, {"id": "delinquent", "message": "Please pay your outstanding balance."}),
    "forbidden": (403, {"id": "forbidden", "message": "You do not have access to the app shop."}),
    "suspended": (403, {"id": "suspended", "message": "Your account has been suspended."}),
    "not_found": (404, {"id": "not_found", "message": "Couldn't find that app."}),
    "conflict": (409, {"id": "conflict", "message": "Another change is under way. Try again."}),
    "invalid_params": (422, {"id": "invalid_params", "message": "No such process type web defined in Procfile."}),
    "verification_needed": (422, {"id": "verification_needed", "message": "Please verify your account."}),
    "locked": (422, {"id": "invalid_params", "message": PREBOOT}),
    "rate_limit": (429, {"id": "rate_limit", "message": "Your account reached the API rate limit."}),
    "internal": (500, {"id": "internal_server_error", "message": "Internal server error."}),
    "unavailable": (503, {"id": "unavailable", "message": "The API is under maintenance."}),
}  # fmt: skip


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refused(Exception):
    def __init__(self, status: int, body: Json, headers: Optional[Dict[str, str]] = None) -> None:
        super().__init__(body.get("message"))
        self.status, self.body, self.headers = status, body, headers or {}


def refusal(name: str, **more: Any) -> Refused:
    status, body = REFUSALS[name]
    return Refused(status, {**body, "url": "https://devcenter.heroku.com/", **more})


class App:
    def __init__(self, name: str) -> None:
        self.name, self.id = name, str(uuid.uuid4())
        self.formation: Dict[str, Json] = {}
        self.dynos: List[Json] = []
        self.releases: List[Json] = []
        self.config: Dict[str, str] = {}
        self.locked = False

    def ref(self) -> Json:
        return {"id": self.id, "name": self.name}


class Heroku:
    """All of it behind one port; `lock` is held while a request is carried out."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.apps: Dict[str, App] = {}
        self.tokens: Dict[str, Json] = {}  # access token: {"remaining", "at", "refresh", "scopes"}
        self.refreshes: Dict[str, Json] = {}
        self.codes: Dict[str, float] = {}  # grant code: until when
        self.addons: Dict[str, Json] = {}
        self.webhooks: List[Json] = []
        self.calls: List[Json] = []
        self.violations: List[str] = []
        self.behaviours: List[Json] = []
        self.deliveries: List[Json] = []
        self.partner: Json = {}
        self.client_secret = "the client secret of the add-on"
        self.code_s, self.token_s = 300.0, 28800
        self.boots_at_once = True
        self.addons_may_scale = True
        self.deliver_webhooks = True
        self.sign_with: Optional[str] = None  # another secret than the one that was agreed upon
        self.user = {"id": str(uuid.uuid4()), "email": "anna@example.com"}
        self.key = self.new_token()
        self.server: Optional[ThreadingHTTPServer] = None

    # ---- what tests do with it

    def start(self, port: int = 0) -> Heroku:
        heroku = self

        class Handler(_Handler):
            false = heroku

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()

    @property
    def url(self) -> str:
        assert self.server
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def new_token(self, refresh: Optional[str] = None) -> str:
        token = "HRKU-" + uuid.uuid4().hex
        self.tokens[token] = {"remaining": float(TOKENS), "at": time.monotonic(), "refresh": refresh}
        return token

    def revoke(self, token: Optional[str] = None) -> None:
        """One credential, or each that there is, with what renews them."""
        with self.lock:
            for one in [token] if token else list(self.tokens):
                self.tokens.pop(one, None)
            if not token:
                self.refreshes.clear()

    def app(self, name: str, **types: Tuple[str, int]) -> App:
        app = App(name)
        for kind, (size, quantity) in types.items():
            app.formation[kind] = {"id": str(uuid.uuid4()), "type": kind, "size": size, "quantity": 0,
                                   "command": f"run {kind}"}  # fmt: skip
            self._resize(app, kind, quantity)
        self.apps[name] = app
        self.release("succeeded", app=name, quiet=True)
        app.releases[-1]["created_at"] = "2020-01-01T00:00:00Z"
        return app

    def add_app(self, name: str, formation: Dict[str, List[Any]]) -> None:
        self.app(name, **{kind: (size, quantity) for kind, (size, quantity) in formation.items()})

    def scale(self, app: str, kind: str, quantity: int) -> None:
        """As a person does, or another autoscaler."""
        with self.lock:
            self._resize(self.apps[app], kind, quantity)
        self._notify(self.apps[app], "api:formation", "update", self._formation(self.apps[app], kind))

    def release(self, status: str, app: str = "shop", quiet: bool = False) -> None:
        one = self.apps[app]
        with self.lock:
            entry = {"id": str(uuid.uuid4()), "version": len(one.releases) + 1, "status": status,
                     "current": True, "created_at": now(), "updated_at": now(), "description": "Deploy",
                     "app": one.ref(), "user": self.user}  # fmt: skip
            one.releases.append(entry)
        if not quiet:
            self._notify(one, "api:release", "create", entry)

    def boot(self, app: str = "shop") -> None:
        for dyno in self.apps[app].dynos:
            dyno["state"] = "up"

    def behave(self, method: str, path: str, times: Optional[int] = None, refusal: Optional[str] = None,
               status: Optional[int] = None, body: Optional[Json] = None, drop: bool = False,
               delay: float = 0, headers: Optional[Dict[str, str]] = None,
               until: Optional[threading.Event] = None) -> None:  # fmt: skip
        """How the next `times` (None: all) requests of a method and a path (a regular expression)
        are answered. drop: carried out, and the connection is closed without an answer. until: it
        has come, and is not looked at before."""
        if refusal:
            status, body = REFUSALS[refusal]
        self.behaviours.append({"method": method, "path": path, "times": times, "status": status,
                                "body": body or {}, "drop": drop, "delay": delay,
                                "headers": headers or {}, "until": until})  # fmt: skip

    def well(self) -> None:
        self.behaviours.clear()

    def lock_formation(self, app: str = "shop", locked: bool = True) -> None:
        self.apps[app].locked = locked

    def quantity(self, app: str = "shop", kind: str = "web") -> int:
        return int(self.apps[app].formation[kind]["quantity"])

    def asked(self, method: str, path: str) -> List[Json]:
        """The calls so far of a method and a path (a regular expression)."""
        return [c for c in list(self.calls) if c["method"] == method and re.fullmatch(path, c["path"])]

    # ---- Heroku's side of the add-on

    def sell(self, manifest: Json, base_url: str, sso_url: str) -> None:
        """From now on there is an add-on of that manifest."""
        self.partner = {**manifest, "base_url": base_url, "sso_url": sso_url}

    def call_partner(self, method: str, path: str, body: Optional[Json], password: Optional[str] = None) -> Tuple[int, Json]:  # fmt: skip
        pair = f"{self.partner['id']}:{password or self.partner['api']['password']}".encode()
        request = urllib.request.Request(
            self.partner["base_url"] + path,
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": "Basic " + base64.b64encode(pair).decode(), "Content-Type": "application/json",
             "Accept": "application/vnd.heroku-addons+json; version=3", "User-Agent": "Heroku"},
            method=method,
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as problem:
            text = problem.read()
            try:
                return problem.code, json.loads(text)
            except ValueError:
                return problem.code, {"message": text.decode("utf-8", "replace")}

    def provision_body(self, addon: Json) -> Json:
        code = "code-" + uuid.uuid4().hex
        self.codes[code] = time.monotonic() + self.code_s
        return {
            "callback_url": f"{self.url}/addons/{addon['id']}", "name": addon["name"],
            "oauth_grant": {"code": code, "expires_at": now(), "type": "authorization_code"},
            "options": {}, "plan": addon["plan"], "region": "amazon-web-services::us-east-1",
            "uuid": addon["id"], "log_input_url": None, "log_drain_token": "d.1", "what_comes_next_year": [1],
        }  # fmt: skip

    def create_addon(self, app: str, plan: str) -> Json:
        addon: Json = {"id": str(uuid.uuid4()), "name": f"{self.partner['id']}-round-{len(self.addons) + 10000}",
                 "plan": plan, "app": app, "state": "provisioning", "created_at": now()}  # fmt: skip
        self.addons[addon["id"]] = addon
        body = self.provision_body(addon)
        addon["body"] = body
        status, answer = self.call_partner("POST", "", body)
        addon["message"] = answer.get("message", "")
        if status not in (200, 202):
            del self.addons[addon["id"]]
            raise Refused(422, {"id": "invalid_params", "message": answer.get("message", str(status))})
        if status == 200:
            self._set_config(app, answer.get("config") or {})
            addon["state"] = "provisioned"
        return addon

    def change_plan(self, addon: str, plan: str) -> Json:
        status, answer = self.call_partner("PUT", "/" + addon, {"plan": plan})
        if status not in (200, 202):
            raise Refused(422, {"id": "invalid_params", "message": answer.get("message", str(status))})
        self.addons[addon].update(plan=plan, message=answer.get("message", ""))
        return self.addons[addon]

    def destroy_addon(self, addon: str) -> None:
        status, answer = self.call_partner("DELETE", "/" + addon, None)
        if status not in (200, 202, 204, 410):
            raise Refused(422, {"id": "invalid_params", "message": answer.get("message", str(status))})
        one = self.addons.pop(addon)
        for name in self.partner["api"]["config_vars"]:
            self.apps[one["app"]].config.pop(name, None)

    def sso(self, addon: str, at: Optional[int] = None, old: bool = False) -> Dict[str, str]:
        """What the browser sends to the add-on."""
        at = int(time.time()) if at is None else at
        salt, one = self.partner["api"]["sso_salt"], self.addons[addon]
        scoped = f"{addon}:{salt}:{at}:{self.user['id']}:{self.user['email']}"
        fields = {"resource_id": addon, "timestamp": str(at), "app": one["app"], "context_app": one["app"],
                  "email": self.user["email"], "user_id": self.user["id"],
                  "nav-data": base64.b64encode(json.dumps({"app": one["app"]}).encode()).decode(),
                  "resource_token": hashlib.sha1(f"{addon}:{salt}:{at}".encode()).hexdigest()}  # fmt: skip
        if not old:
            fields["user_scoped_resource_token"] = hashlib.sha256(scoped.encode()).hexdigest()
        return fields

    # ---- inside

    def _set_config(self, app: str, config: Json) -> None:
        for name, value in config.items():
            if name not in self.partner["api"]["config_vars"]:
                self.violations.append(f"the add-on sets {name}, which its manifest does not name")
            self.apps[app].config[name] = value

    def _resize(self, app: App, kind: str, quantity: int) -> None:
        app.formation[kind]["quantity"] = quantity
        app.formation[kind]["updated_at"] = now()
        mine = [dyno for dyno in app.dynos if dyno["type"] == kind]
        for dyno in mine[quantity:]:
            app.dynos.remove(dyno)
        for number in range(len(mine) + 1, quantity + 1):
            app.dynos.append({
                "id": str(uuid.uuid4()), "name": f"{kind}.{number}", "type": kind, "command": f"run {kind}",
                "state": "up" if self.boots_at_once else "starting", "size": app.formation[kind]["size"],
                "created_at": now(), "updated_at": now(), "attach_url": None, "app": app.ref(),
                "release": {"id": str(uuid.uuid4()), "version": len(app.releases)},
            })  # fmt: skip

    def _formation(self, app: App, kind: str) -> Json:
        return {**app.formation[kind], "app": app.ref(), "created_at": now()}

    def _notify(self, app: App, entity: str, action: str, data: Json) -> None:
        """To each webhook of the app, or of an add-on of it; at least once, from another thread."""
        for hook in list(self.webhooks):
            mine = hook["of"] == app.name or self.addons.get(hook["of"], {}).get("app") == app.name
            if not mine or entity not in hook["include"] or not self.deliver_webhooks:
                continue
            body = json.dumps({
                "id": str(uuid.uuid4()), "action": action, "resource": entity.split(":")[-1], "data": data,
                "actor": self.user, "created_at": now(), "published_at": now(), "updated_at": now(),
                "previous_data": {}, "sequence": None, "version": "application/vnd.heroku+json; version=3",
                "webhook_metadata": {"attempt": {"id": str(uuid.uuid4())}, "delivery": {"id": str(uuid.uuid4())},
                                     "event": {"id": str(uuid.uuid4()), "include": entity},
                                     "webhook": {"id": hook["id"]}},
            }).encode()  # fmt: skip
            secret = self.sign_with or hook.get("secret") or ""
            sign = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
            threading.Thread(target=self._deliver, args=(hook["url"], body, sign), daemon=True).start()

    def _deliver(self, url: str, body: bytes, sign: str) -> None:
        request = urllib.request.Request(
            url, body, {"Content-Type": "application/json", "Heroku-Webhook-Hmac-SHA256": sign,
                        "User-Agent": "Heroku-Webhooks"})  # fmt: skip
        delivery = {"url": url, "status": 0, "body": body.decode(), "sign": sign}
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                delivery["status"] = answer.status
        except urllib.error.HTTPError as problem:
            delivery["status"] = problem.code
        except OSError as problem:
            delivery["why"] = str(problem)
        self.deliveries.append(delivery)

    def state(self) -> Json:
        return {
            "calls": self.calls, "violations": self.violations, "key": self.key, "deliveries": self.deliveries,
            "apps": {name: {"formation": app.formation, "config": app.config} for name, app in self.apps.items()},
            "addons": self.addons, "webhooks": self.webhooks,
        }  # fmt: skip


# ---- the API -------------------------------------------------------------------------------------

Route = Tuple[str, "re.Pattern[str]", Callable[..., Any], int]
ROUTES: List[Route] = []


def route(method: str, path: str, status: int = 200) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        ROUTES.append((method, re.compile(pattern), function, status))
        return function

    return add


class Request:
    """One request, for the functions below."""

    def __init__(self, heroku: Heroku, body: Any, headers: Any, token: str) -> None:
        self.heroku, self.body, self.headers, self.token = heroku, body, headers, token
        self.answer_headers: Dict[str, str] = {}
        self.status: Optional[int] = None
        self.after: Optional[Callable[[], None]] = None

    def app(self, name: str) -> App:
        for app in self.heroku.apps.values():
            if name in (app.name, app.id):
                return app
        raise refusal("not_found")

    def addon(self, name: str) -> Json:
        for addon in self.heroku.addons.values():
            if name in (addon["id"], addon["name"], (self.heroku.partner.get("id"))):
                return addon
        raise refusal("not_found", message="Couldn't find that add-on.", resource="addon")

    def fields(self, needed: Dict[str, type], optional: Optional[Dict[str, Any]] = None) -> Json:
        """The body, which has these fields of these types, and no others."""
        if not isinstance(self.body, dict):
            raise self.violation("the body must be a JSON object")
        allowed: Dict[str, Any] = {**needed, **(optional or {})}
        for name, value in self.body.items():
            if name not in allowed:
                raise self.violation(f"the field {name} is unknown")
            if not isinstance(value, allowed[name]) or (isinstance(value, bool) and allowed[name] is int):
                raise self.violation(f"the field {name} has the wrong type")
        for name in needed:
            if name not in self.body:
                raise self.violation(f"the field {name} is missing")
        return self.body

    def violation(self, sentence: str) -> Refused:
        self.heroku.violations.append(sentence)
        return Refused(400, {"id": "bad_request", "message": sentence})

    def bare(self) -> None:
        if self.body is not None:
            raise self.violation("this request takes no body")


def shown(app: App) -> Json:
    return {
        **app.ref(), "stack": {"id": app.id, "name": "heroku-24"}, "region": {"id": app.id, "name": "us"},
        "owner": {"id": app.id, "email": "anna@example.com"}, "maintenance": False, "team": None,
        "organization": None, "space": None, "internal_routing": None, "acm": False, "repo_size": None,
        "slug_size": None, "buildpack_provided_description": "Ruby", "build_stack": {"id": app.id, "name": "heroku-24"},
        "created_at": now(), "updated_at": now(), "archived_at": None, "released_at": now(), "generation": {"name": "cedar"},
        "git_url": f"https://git.heroku.com/{app.name}.git", "web_url": f"https://{app.name}.herokuapp.com/",
    }  # fmt: skip


@route("GET", "/apps")
def apps_list(request: Request) -> Any:
    request.bare()
    return [shown(app) for app in request.heroku.apps.values()]


@route("GET", "/apps/{app}")
def app_info(request: Request, app: str) -> Any:
    request.bare()
    return shown(request.app(app))


@route("GET", "/account")
def account(request: Request) -> Any:
    request.bare()
    return {**request.heroku.user, "verified": True, "delinquent_at": None, "suspended_at": None, "name": "Anna",
            "two_factor_authentication": False, "beta": False, "allow_tracking": True, "federated": False,
            "created_at": now(), "updated_at": now(), "last_login": now()}  # fmt: skip


@route("GET", "/account/rate-limits")
def rate_limits(request: Request) -> Any:
    return {"remaining": int(request.heroku.tokens[request.token]["remaining"])}


@route("GET", "/dyno-sizes")
def dyno_sizes(request: Request) -> Any:
    request.bare()
    return [{"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "name": name, "memory": 0.5, "compute": 1,
             "cost": None if cents is None else {"cents": cents, "unit": "month"}, "dedicated": False,
             "dyno_units": 1, "private_space_only": name.startswith("Private"), "precise_dyno_units": 1.0}
            for name, (cents, _) in SIZES.items()]  # fmt: skip


@route("GET", "/apps/{app}/formation")
def formation_list(request: Request, app: str) -> Any:
    request.bare()
    one = request.app(app)
    return [request.heroku._formation(one, kind) for kind in one.formation]


@route("GET", "/apps/{app}/formation/{kind}")
def formation_info(request: Request, app: str, kind: str) -> Any:
    request.bare()
    one = request.app(app)
    if kind not in one.formation:
        raise refusal("not_found", message="Couldn't find that process type.")
    return request.heroku._formation(one, kind)


def check_change(request: Request, app: App, kind: str, quantity: int, size: Optional[str]) -> None:
    if kind not in app.formation:
        raise refusal("not_found", message=f"Couldn't find that process type ({kind}).")
    if size is not None and size not in SIZES:
        raise refusal("invalid_params", message=f"No such size as {size}.")
    if app.locked:
        raise refusal("locked")
    name = size or app.formation[kind]["size"]
    limit = SIZES[name][1]
    if quantity > limit:
        raise Refused(422, {"id": "cannot_run_above_limit", "limit": limit, "size": quantity,
                            "message": f"Cannot run more than {limit} {name} size dynos."})  # fmt: skip
    if request.token in request.heroku.tokens and not request.heroku.addons_may_scale:
        if request.heroku.tokens[request.token]["refresh"]:
            raise refusal("forbidden")


def change(request: Request, app: App, changes: List[Tuple[str, int, Optional[str]]]) -> List[Json]:
    """All of them, or none."""
    for kind, quantity, size in changes:
        check_change(request, app, kind, quantity, size)
    for kind, quantity, size in changes:
        if size:
            app.formation[kind]["size"] = size
        request.heroku._resize(app, kind, quantity)
    made = [request.heroku._formation(app, kind) for kind, _, _ in changes]

    def tell() -> None:
        for one in made:
            request.heroku._notify(app, "api:formation", "update", one)

    request.after = tell
    return made


@route("PATCH", "/apps/{app}/formation")
def formation_batch(request: Request, app: str) -> Any:
    updates = request.fields({"updates": list})["updates"]
    changes = []
    for update in updates:
        wrong = not isinstance(update, dict) or not isinstance(update.get("type"), str)
        if wrong or set(update) - {"type", "quantity", "size", "dyno_size"}:
            raise request.violation("an update has a type, a quantity, a dyno_size, and no more")
        quantity = update.get("quantity")
        if isinstance(quantity, str) and quantity.isdigit():
            quantity = int(quantity)  # as Heroku's own command line sends it
        if not isinstance(quantity, int) or quantity < 0:
            raise request.violation("an absolute quantity must be a whole number from 0")
        size = (update.get("dyno_size") or {}).get("name") if "dyno_size" in update else update.get("size")
        changes.append((update["type"], quantity, size))
    return change(request, request.app(app), changes)


@route("PATCH", "/apps/{app}/formation/{kind}")
def formation_update(request: Request, app: str, kind: str) -> Any:
    body = request.fields({}, {"quantity": int, "size": str, "dyno_size": dict})
    if body.get("quantity", 0) < 0:
        raise request.violation("an absolute quantity must be a whole number from 0")
    one = request.app(app)
    before = one.formation.get(kind, {}).get("quantity", 0)
    return change(request, one, [(kind, body.get("quantity", before), body.get("size"))])[0]


@route("GET", "/apps/{app}/dynos")
def dynos(request: Request, app: str) -> Any:
    """At most 200 at once, or as many as a range asks for, up to 1,000."""
    request.bare()
    given = request.headers.get("Range")
    found = re.fullmatch(r"id \.\.(?:; ?max=(\d+);?)?", given or "id ..")
    if not found or int(found[1] or 200) > 1000:
        raise request.violation(f"the range {given} can't be read")
    most, mine = int(found[1] or 200), sorted(request.app(app).dynos, key=lambda dyno: str(dyno["id"]))
    if len(mine) > most:
        request.status = 206
        request.answer_headers["Next-Range"] = f"id ]{mine[most - 1]['id']}..; max={most}"
    return mine[:most]


@route("GET", "/apps/{app}/releases")
def releases(request: Request, app: str) -> Any:
    request.bare()
    given = request.headers.get("Range")
    entries = sorted(request.app(app).releases, key=lambda one: int(one["version"]))
    if not given:
        return entries
    found = re.fullmatch(r"version ([^;]*)(?:;\s*(.*))?", given)
    if not found:
        raise request.violation(f"the range {given} can't be read")
    options = dict(part.strip().split("=") for part in re.split("[,;]", found.group(2) or "") if part.strip())
    if options.get("order") == "desc":
        entries.reverse()
    request.status = 206
    request.answer_headers["Content-Range"] = "version 1..1"
    return entries[: int(options.get("max", 200))]


@route("GET", "/apps/{app}/config-vars")
def config_vars(request: Request, app: str) -> Any:
    return request.app(app).config


def hook_fields(request: Request, needed: bool) -> Json:
    kinds: Dict[str, Any] = {"include": list, "level": str, "url": str}
    body = request.fields(kinds if needed else {}, {**kinds, "secret": (str, type(None)), "authorization": (str, type(None))})  # fmt: skip
    if body.get("level", "sync") not in ("notify", "sync"):
        raise request.violation("level must be notify or sync")
    for entity in body.get("include", []):
        if not re.fullmatch(r"api:[a-z-]+|dyno", entity):
            raise request.violation(f"there are no events of {entity}")
    return body


def hooks_of(request: Request, of: str) -> List[Json]:
    return [hook for hook in request.heroku.webhooks if hook["of"] == of]


def hook_shown(hook: Json) -> Json:
    return {key: hook[key] for key in ("id", "include", "level", "url", "created_at", "updated_at")}


def hook_add(request: Request, of: str) -> Json:
    hook = {**hook_fields(request, True), "id": str(uuid.uuid4()), "of": of, "created_at": now(), "updated_at": now()}
    request.heroku.webhooks.append(hook)
    return hook_shown(hook)


def hook_find(request: Request, of: str, name: str) -> Json:
    for hook in hooks_of(request, of):
        if hook["id"] == name:
            return hook
    raise refusal("not_found")


for _path, _of in (("/apps/{app}", lambda r, n: r.app(n).name), ("/addons/{app}", lambda r, n: r.addon(n)["id"])):

    def _make(of: Callable[[Request, str], str], path: str) -> None:
        @route("GET", path + "/webhooks")
        def _list(request: Request, app: str) -> Any:
            request.bare()
            return [hook_shown(hook) for hook in hooks_of(request, of(request, app))]

        @route("POST", path + "/webhooks", 201)
        def _add(request: Request, app: str) -> Any:
            return hook_add(request, of(request, app))

        @route("PATCH", path + "/webhooks/{hook}")
        def _change(request: Request, app: str, hook: str) -> Any:
            one = hook_find(request, of(request, app), hook)
            one.update(hook_fields(request, False))
            return hook_shown(one)

        @route("DELETE", path + "/webhooks/{hook}")
        def _remove(request: Request, app: str, hook: str) -> Any:
            one = hook_find(request, of(request, app), hook)
            request.heroku.webhooks.remove(one)
            return hook_shown(one)

    _make(_of, _path)


# ---- add-ons


def addon_shown(request: Request, addon: Json) -> Json:
    partner, app = request.heroku.partner, request.heroku.apps[addon["app"]]
    return {
        "id": addon["id"], "name": addon["name"], "app": app.ref(), "state": addon["state"],
        "addon_service": {"id": partner["id"], "name": partner["id"]}, "billed_price": None, "billing_entity":
        {"id": app.id, "name": app.name, "type": "app"}, "plan": {"id": addon["plan"], "name": f"{partner['id']}:{addon['plan']}",
        "price": {"cents": 0, "unit": "month", "contract": False}}, "provider_id": addon["id"], "web_url": "",
        "config_vars": partner["api"]["config_vars"], "actions": [], "created_at": now(), "updated_at": now(),
        "provision_message": addon.get("message", ""),
    }  # fmt: skip


@route("POST", "/apps/{app}/addons", 201)
def addon_create(request: Request, app: str) -> Any:
    plan = request.body["plan"]
    plan = (plan if isinstance(plan, str) else plan["name"]).partition(":")[2] or "free"
    return addon_shown(request, request.heroku.create_addon(request.app(app).name, plan))


@route("GET", "/apps/{app}/addons")
def addons_of_app(request: Request, app: str) -> Any:
    name = request.app(app).name
    return [addon_shown(request, one) for one in request.heroku.addons.values() if one["app"] == name]


@route("GET", "/apps/{app}/addon-attachments")
def attachments(request: Request, app: str) -> Any:
    name = request.app(app).name
    return [{"id": one["id"], "name": "DYNOSCALE", "app": request.app(app).ref(), "namespace": None, "web_url": "",
             "addon": {"id": one["id"], "name": one["name"], "app": request.app(app).ref()}}
            for one in request.heroku.addons.values() if one["app"] == name]  # fmt: skip


@route("GET", "/addon-attachments")
def all_attachments(request: Request) -> Any:
    return [one for app in request.heroku.apps for one in attachments(request, app)]


@route("GET", "/addons/{addon}/addon-attachments")
def attachments_of_addon(request: Request, addon: str) -> Any:
    return attachments(request, request.addon(addon)["app"])


@route("GET", "/addons/{addon}")
def addon_info(request: Request, addon: str) -> Any:
    request.bare()
    return addon_shown(request, request.addon(addon))


@route("GET", "/apps/{app}/addons/{addon}")
def addon_of_app(request: Request, app: str, addon: str) -> Any:
    return addon_shown(request, request.addon(addon))


@route("POST", "/actions/addons/resolve")
def addon_resolve(request: Request) -> Any:
    return [addon_shown(request, request.addon(request.body["addon"]))]


@route("POST", "/actions/addon-attachments/resolve")
def attachment_resolve(request: Request) -> Any:
    addon = request.addon(request.body.get("addon_attachment", ""))
    return [one for one in attachments(request, addon["app"]) if one["id"] == addon["id"]]


@route("GET", "/addon-services/{service}/plans")
def plans(request: Request, service: str) -> Any:
    return [{"id": name, "name": f"{service}:{name}", "price": {"cents": 0, "unit": "month"}} for name in ("free",)]


@route("PATCH", "/apps/{app}/addons/{addon}")
def addon_update(request: Request, app: str, addon: str) -> Any:
    plan = request.body["plan"]
    plan = plan if isinstance(plan, str) else plan["name"]
    return addon_shown(request, request.heroku.change_plan(request.addon(addon)["id"], plan.partition(":")[2] or plan))


@route("DELETE", "/apps/{app}/addons/{addon}")
def addon_delete(request: Request, app: str, addon: str) -> Any:
    one = request.addon(addon)
    shown_before = addon_shown(request, one)
    request.heroku.destroy_addon(one["id"])
    return {**shown_before, "state": "deprovisioned"}


@route("GET", "/addons/{addon}/sso")
def addon_sso(request: Request, addon: str) -> Any:
    one = request.addon(addon)
    return {"method": "post", "action": request.heroku.partner["sso_url"], "params": request.heroku.sso(one["id"])}


@route("GET", "/apps/{app}/addons/{addon}/sso")
def addon_sso_of_app(request: Request, app: str, addon: str) -> Any:
    return addon_sso(request, addon)


@route("PATCH", "/addons/{addon}/config")
def addon_config(request: Request, addon: str) -> Any:
    config = request.fields({"config": list})["config"]
    one = request.addon(addon)
    for pair in config:
        if not isinstance(pair, dict) or set(pair) != {"name", "value"}:
            raise request.violation("each of config has a name and a value")
    request.heroku._set_config(one["app"], {pair["name"]: pair["value"] for pair in config})
    return config


@route("POST", "/addons/{addon}/actions/provision")
def addon_provisioned(request: Request, addon: str) -> Any:
    request.bare()
    one = request.addon(addon)
    one["state"] = "provisioned"
    return addon_shown(request, one)


# ---- the server


class _Handler(BaseHTTPRequestHandler):
    false: Heroku
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        path = urlsplit(self.path).path
        if path.startswith("/_/"):
            return self._control(path[3:], text)
        if path == "/oauth/token":
            return self._token(text)
        heroku = self.false
        call = {"method": self.command, "path": path, "at": time.time(), "status": 0,
                "body": text.decode("utf-8", "replace")}  # fmt: skip
        with heroku.lock:
            heroku.calls.append(call)
            behaviour = self._behaviour(path)
        if behaviour and behaviour["delay"]:
            time.sleep(behaviour["delay"])
        if behaviour and behaviour["until"]:
            behaviour["until"].wait()
        try:
            status, answer, headers, after = self._run(path, text, behaviour)
        except Refused as problem:
            status, answer, headers, after = problem.status, problem.body, dict(problem.headers), None
        call["status"] = status
        if behaviour and behaviour["drop"]:
            self.close_connection = True
            self.connection.close()
        else:
            self._answer(status, answer, headers)
        if after:
            after()

    def _behaviour(self, path: str) -> Optional[Json]:
        for one in self.false.behaviours:
            if one["method"] == self.command and re.fullmatch(one["path"], path):
                if one["times"] is not None:
                    one["times"] -= 1
                    if one["times"] <= 0:
                        self.false.behaviours.remove(one)
                return one
        return None

    def _run(self, path: str, text: bytes, behaviour: Optional[Json]) -> Tuple[int, Any, Dict[str, str], Any]:
        heroku = self.false
        with heroku.lock:
            token = self._authorize(path)
            if not ACCEPT.match(self.headers.get("Accept", "")):
                heroku.violations.append(f"{self.command} {path}: Accept is {self.headers.get('Accept')}")
                raise Refused(400, {"id": "bad_request", "message": "Please specify a version with Accept."})
            body = self._body(text)
            remaining = {"RateLimit-Remaining": str(int(heroku.tokens[token]["remaining"])),
                         "Request-Id": str(uuid.uuid4())}  # fmt: skip
            if behaviour and behaviour["status"]:
                raise Refused(behaviour["status"], behaviour["body"], {**remaining, **behaviour["headers"]})
            for method, pattern, function, status in ROUTES:
                found = pattern.fullmatch(path)
                if method != self.command or not found:
                    continue
                request = Request(heroku, body, self.headers, token)
                try:
                    places = {name: unquote(value) for name, value in found.groupdict().items()}
                    answer = function(request, **places)
                except Refused as problem:
                    problem.headers.update(remaining)
                    raise
                return request.status or status, answer, {**remaining, **request.answer_headers}, request.after
        heroku.violations.append(f"there is no {self.command} {path}")
        raise refusal("not_found", message="The requested API endpoint was not found.")

    def _authorize(self, path: str) -> str:
        given = self.headers.get("Authorization", "")
        token = given[7:] if given.startswith("Bearer ") else ""
        if given.startswith("Basic "):  # as some clients send a key: with no user
            token = base64.b64decode(given[6:]).decode().partition(":")[2]
        if token not in self.false.tokens:
            raise refusal("unauthorized")
        bucket = self.false.tokens[token]
        at = time.monotonic()
        bucket["remaining"] = min(float(TOKENS), bucket["remaining"] + (at - bucket["at"]) * A_MINUTE / 60)
        bucket["at"] = at
        if path != "/account/rate-limits":
            if bucket["remaining"] < 1:
                raise refusal("rate_limit")
            bucket["remaining"] -= 1
        return token

    def _body(self, text: bytes) -> Any:
        if not text:
            return None
        if not self.headers.get("Content-Type", "").startswith("application/json"):
            self.false.violations.append(f"a body of type {self.headers.get('Content-Type')}")
            raise Refused(415, {"id": "unsupported_media_type", "message": "Send JSON."})
        try:
            return json.loads(text)
        except ValueError:
            self.false.violations.append("a body that is not JSON")
            raise Refused(400, {"id": "bad_request", "message": "The body is not JSON."}) from None

    def _token(self, text: bytes) -> None:
        """The identity service: RFC 6749's token endpoint."""
        heroku = self.false
        fields = {name: values[0] for name, values in parse_qs(text.decode()).items()}
        with heroku.lock:
            behaviour = self._behaviour("/oauth/token")
            shown_fields = {key: fields[key] for key in fields if key == "grant_type"}
            heroku.calls.append({"method": "POST", "path": "/oauth/token", "at": time.time(), "status": 0,
                                 "body": json.dumps(shown_fields)})  # fmt: skip
        if behaviour and behaviour["until"]:
            behaviour["until"].wait()
        with heroku.lock:
            if behaviour and behaviour["status"]:
                return self._answer(behaviour["status"], behaviour["body"], behaviour["headers"])
            if not self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
                heroku.violations.append("the token endpoint takes a form")
            if fields.get("client_secret") != heroku.client_secret:
                return self._answer(401, {"id": "unauthorized", "message": "Unknown client."}, {})
            grant, refresh = fields.get("grant_type"), fields.get("refresh_token", "")
            if grant == "authorization_code":
                until = heroku.codes.pop(fields.get("code", ""), 0)
                if until < time.monotonic():
                    return self._answer(401, {"id": "unauthorized", "message": "The code is over."}, {})
                refresh = "HRKU-refresh-" + uuid.uuid4().hex
                heroku.refreshes[refresh] = {}
            elif grant != "refresh_token" or refresh not in heroku.refreshes:
                return self._answer(401, {"id": "unauthorized", "message": "Unknown refresh token."}, {})
            token = heroku.new_token(refresh)
            return self._answer(200, {"access_token": token, "refresh_token": refresh, "token_type": "Bearer",
                                      "expires_in": heroku.token_s, "user_id": heroku.user["id"],
                                      "session_nonce": None}, {})  # fmt: skip

    def _control(self, name: str, text: bytes) -> None:
        if name == "state":
            return self._answer(200, self.false.state(), {})
        given = json.loads(text or b"{}")
        if name == "set":
            for key, value in given.items():
                setattr(self.false, key, value)
            return self._answer(200, {}, {})
        return self._answer(200, {"made": getattr(self.false, name)(**given)}, {})

    def _answer(self, status: int, answer: Any, headers: Dict[str, str]) -> None:
        body = b"" if status == 204 else json.dumps(answer, default=str).encode()
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


def form(fields: Dict[str, str]) -> bytes:
    return urlencode(fields).encode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until-eof", action="store_true")
    arguments = parser.parse_args()
    heroku = Heroku().start(arguments.port)
    print(f"listening on {heroku.url}", flush=True)
    if arguments.until_eof:
        sys.stdin.read()
    else:
        threading.Event().wait()


if __name__ == "__main__":
    main()
