"""False APIs of the platforms that are neither Heroku nor ours. Each keeps state, checks each
request's path, method, headers, credential and body, and misbehaves when told to.

    kubernetes = Kubernetes().start()
    kubernetes.place("shop", 1)             # one dyno of its process type
    kubernetes.behave("set", "shop", status=503, times=1)
    kubernetes.quantity("shop")

A call is named by what it is for: "read" or "set" of one of its objects. A request that the
platform would not understand is answered with 400 and is a line of `violations`; a test ends with
none. Standard library only. What is inferred and not documented stands in docs/platforms.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

Json = Dict[str, Any]


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)  # type: ignore[no-any-return]


class Refused(Exception):
    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class Wrong(Exception):
    """The request is none of this API."""


def check(right: Any, what: str) -> None:
    if not right:
        raise Wrong(what)


class Call(NamedTuple):
    purpose: str  # "read", "set"
    name: str
    act: Callable[[], Tuple[int, Any]]


class Api:
    token = "token-of-the-tests-0123456789"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.numbers: Dict[str, int] = {}
        self.calls: List[Tuple[str, str]] = []
        self.violations: List[str] = []
        self.behaviours: List[Json] = []
        self.server: Optional[ThreadingHTTPServer] = None
        self.scheme = "http"

    # ---- what a platform is

    def find(self, request: Request) -> Call:
        """What the request is for; Wrong or Refused where it can't be."""
        raise NotImplementedError

    def error(self, status: int) -> Any:
        """The platform's body of an error."""
        return {"message": f"refused with {status}"}

    # ---- what tests do with it

    def start(self, tls: Optional[Tuple[str, str]] = None) -> Any:
        api = self

        class Handler(_Handler):
            false = api

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        assert self.server
        self.server.shutdown()
        self.server.server_close()

    @property
    def port(self) -> int:
        assert self.server
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def place(self, name: str, number: int) -> None:
        self.numbers[name] = number

    def quantity(self, name: str) -> int:
        with self.lock:
            return self.numbers[name]

    def change(self, name: str, number: int) -> None:
        """As a person does, or another autoscaler."""
        with self.lock:
            self.numbers[name] = number

    def behave(self, purpose: str, name: str, times: Optional[int] = None, status: int = 0,
               body: Any = None, drop: bool = False, headers: Optional[Dict[str, str]] = None,
               after: Optional[Callable[[], None]] = None) -> None:  # fmt: skip
        """How the next `times` (None: all) such calls are answered. drop: carried out, and the
        connection is closed without an answer. after: called once it was answered well."""
        self.behaviours.append({"purpose": purpose, "name": name, "times": times, "status": status,
                                "body": body, "drop": drop, "headers": headers or {}, "after": after})  # fmt: skip

    def asked(self, purpose: str, name: str) -> int:
        with self.lock:
            return self.calls.count((purpose, name))

    # ---- inside

    def _behaviour(self, purpose: str, name: str) -> Json:
        for one in self.behaviours:
            if (one["purpose"], one["name"]) != (purpose, name) or one["times"] == 0:
                continue
            if one["times"] is not None:
                one["times"] -= 1
            return one
        return {"status": 0, "drop": False, "headers": {}, "after": None}

    def answer(self, request: Request) -> Optional[Tuple[int, Any, Dict[str, str]]]:
        """None: the connection is closed."""
        with self.lock:
            try:
                call = self.find(request)
                self.calls.append((call.purpose, call.name))
                how = self._behaviour(call.purpose, call.name)
                if how["status"]:
                    return how["status"], how["body"] or self.error(how["status"]), how["headers"]
                status, body = call.act()
                if how["after"]:
                    how["after"]()
                return None if how["drop"] else (status, body, {})
            except Refused as refused:
                return refused.status, refused.body, {}
            except (Wrong, ValueError, KeyError, TypeError) as wrong:
                self.violations.append(f"{type(self).__name__}: {wrong!r} in {request}")
                return 400, self.error(400), {}


class _Handler(BaseHTTPRequestHandler):
    false: Api
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        answer = self.false.answer(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            return
        status, content, more = answer
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = _do


def bearer(api: Api, request: Request) -> None:
    """A wrong token is a refusal, no violation."""
    given = request.headers.get("authorization", "")
    check(given.startswith("Bearer "), f"no bearer token: {given!r}")
    if given != f"Bearer {api.token}":
        raise Refused(401, api.error(401))


class Failed(Exception):
    """A test of a JSON Patch does not hold."""


def json_patched(document: Any, operations: List[Json]) -> Any:
    """A document as a JSON Patch (RFC 6902) of objects changes it."""
    document = json.loads(json.dumps(document))
    for one in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        place = document
        for part in way:
            place = place[part]
        if one["op"] == "test" and place[last] != one["value"]:
            raise Failed(one["path"])
        if one["op"] in ("remove", "replace"):
            del place[last]
        if one["op"] in ("add", "replace"):
            place[last] = one["value"]
        check(one["op"] in ("test", "add", "remove", "replace"), f"the operation {one['op']}")
    return document


class Kubernetes(Api):
    """Deployments and StatefulSets of one namespace, and their scales. `strict`: a patch must be as
    the service makes it, with the version that it has read; other clients may leave that out."""

    name_space = "prod"
    path = re.compile(r"/apis/apps/v1/namespaces/([^/]+)/(deployments|statefulsets)/([^/]+?)(/scale)?")
    patches = ("application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json")

    def __init__(self, strict: bool = True) -> None:
        super().__init__()
        self.strict = strict
        self.versions: Dict[str, int] = {}
        self.ready: Dict[str, int] = {}  # where fewer are ready than there are
        self.updated: Dict[str, int] = {}  # where a rollout is under way
        self.kinds: Dict[str, str] = {}  # name: "statefulsets"

    def error(self, status: int) -> Json:
        reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid"}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status,
                "reason": reasons.get(status, "InternalError"), "message": f"refused with {status}"}  # fmt: skip

    def touch(self, name: str) -> None:
        """Something else than the number changed."""
        self.versions[name] = self.versions.get(name, 1) + 1

    def change(self, name: str, number: int) -> None:
        with self.lock:
            super().change(name, number)
            self.touch(name)

    def find(self, request: Request) -> Call:
        path = request.path.split("?")[0]
        if path != "/version":  # everybody may know that
            bearer(self, request)
        if request.method == "GET" and path in self.discovery:
            return Call("discover", path, lambda: (200, self.discovery[path]))
        found = self.path.fullmatch(path)
        if not found and not self.strict:
            raise Refused(404, self.error(404))
        check(found, "no such path")
        assert found
        name_space, plural, name, scale = found.groups()
        if name not in self.numbers or plural != self.kinds.get(name, "deployments"):
            raise Refused(404, self.error(404))
        check(name_space == self.name_space, "another namespace")
        if request.method == "PATCH" and (scale or not self.strict):
            return Call("set", name, lambda: self._patch(name, request, bool(scale)))
        if request.method == "PUT" and scale and not self.strict:
            return Call("set", name, lambda: self._set(name, request.json))
        check(request.method == "GET", "no such method")
        return Call("scale" if scale else "read", name, lambda: (200, self._shown(name, bool(scale))))

    @property
    def discovery(self) -> Dict[str, Json]:
        """What a client asks for to know what there is."""
        version = {"groupVersion": "apps/v1", "version": "v1"}
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale", "singularName": "",
                 "namespaced": True, "verbs": ["get", "patch", "update"]}  # fmt: skip
        resources: List[Json] = []
        for plural, kind in self.kinds_of.items():
            resources.append({"name": plural, "singularName": kind.lower(), "kind": kind,
                              "namespaced": True, "verbs": ["get"]})  # fmt: skip
            resources.append({**scale, "name": f"{plural}/scale"})
        return {
            "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": "apps", "versions": [version], "preferredVersion": version}]},
            "/apis/apps/v1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1",
                              "resources": resources},
            "/openapi/v3": {"paths": {"apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=1"}}},
            "/openapi/v3/apis/apps/v1": self.schema,
        }  # fmt: skip

    @property
    def schema(self) -> Json:
        """OpenAPI of the two kinds, as far as replicas go: the rest of them is any object."""
        schemas: Json = {}
        paths: Json = {}
        for plural, kind in self.kinds_of.items():
            spec = {"type": "object", "description": f"What a {kind} is to be.", "properties": {
                "replicas": {"type": "integer", "format": "int32", "description": "Number of desired pods."},
                "selector": {"type": "object"}, "template": {"type": "object"},
                "serviceName": {"type": "string"}}}  # fmt: skip
            known = {"group": "apps", "version": "v1", "kind": kind}
            schemas[f"io.k8s.api.apps.v1.{kind}"] = {
                "type": "object", "description": f"{kind} has pods.", "x-kubernetes-group-version-kind": [known],
                "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"},
                               "metadata": {"type": "object"}, "spec": spec, "status": {"type": "object"}},
            }  # fmt: skip
            field_validation = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
            paths[f"/apis/apps/v1/namespaces/{{namespace}}/{plural}/{{name}}"] = {
                "patch": {"x-kubernetes-group-version-kind": known, "parameters": [field_validation],
                          "responses": {"200": {"description": "OK"}}}}  # fmt: skip
        return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.32.0"}, "paths": paths,
                "components": {"schemas": schemas}}  # fmt: skip

    kinds_of = {"deployments": "Deployment", "statefulsets": "StatefulSet"}

    def _shown(self, name: str, scale: bool) -> Json:
        number = self.numbers[name]
        metadata = {"name": name, "namespace": self.name_space, "resourceVersion": str(self.versions.get(name, 1))}
        if scale:
            return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
                    "spec": {"replicas": number} if number else {},
                    "status": {"replicas": number, "selector": f"app={name}"}}  # fmt: skip
        status = {"replicas": number, "readyReplicas": self.ready.get(name, number),
                  "updatedReplicas": self.updated.get(name, number), "observedGeneration": 1}  # fmt: skip
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": name}]}}
        return {"kind": self.kinds_of[self.kinds.get(name, "deployments")], "apiVersion": "apps/v1",
                "metadata": metadata,
                "spec": {"replicas": number, "selector": {"matchLabels": {"app": name}},
                         "serviceName": name, "template": template},
                "status": {k: v for k, v in status.items() if v}}  # fmt: skip

    def _patch(self, name: str, request: Request, scale: bool) -> Tuple[int, Json]:
        body, kind = request.json, request.headers.get("content-type")
        check(kind in self.patches, "the media type")
        if kind == self.patches[2] and not self.strict:
            try:
                body = json_patched(self._shown(name, scale), body)
            except (LookupError, Failed) as failed:
                raise Refused(422, self.error(422)) from failed
        if self.strict:
            version, replicas = body["metadata"]["resourceVersion"], body["spec"]["replicas"]
            check(kind == self.patches[0], "the media type")
            check(body == {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}, "the body")
        return self._set(name, body, scale)

    def _set(self, name: str, body: Json, scale: bool = True) -> Tuple[int, Json]:
        version = body.get("metadata", {}).get("resourceVersion")
        spec = body.get("spec", {})
        if not scale:
            known = self.schema["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
            for field in set(spec) - set(known["properties"]):
                raise Refused(400, {**self.error(400), "reason": "BadRequest",
                                    "message": f'strict decoding error: unknown field "spec.{field}"'})  # fmt: skip
        replicas = spec.get("replicas", 0 if scale else self.numbers[name])
        check(type(replicas) is int and replicas >= 0, "the replicas")
        if version is not None and version != str(self.versions.get(name, 1)):
            raise Refused(409, self.error(409))
        self.change(name, replicas)
        return 200, self._shown(name, scale)


class Render(Api):
    """Services, each with a number of instances."""

    path = re.compile(r"/v1/services/(srv-[^/]+)(/scale)?")

    def __init__(self) -> None:
        super().__init__()
        self.autoscaled: List[str] = []

    def find(self, request: Request) -> Call:
        bearer(self, request)
        found = self.path.fullmatch(request.path)
        check(found, "no such path")
        assert found
        name = found.group(1)[len("srv-") :]
        if name not in self.numbers:
            raise Refused(404, self.error(404))
        if found.group(2):
            check(request.method == "POST", "no such method")
            return Call("set", name, lambda: self._scale(name, request))
        check(request.method == "GET", "no such method")
        return Call("read", name, lambda: (200, self._shown(name)))

    def _shown(self, name: str) -> Json:
        auto = {"enabled": name in self.autoscaled, "min": 1, "max": 3}
        return {"id": f"srv-{name}", "name": name, "type": "web_service", "suspended": "not_suspended",
                "serviceDetails": {"numInstances": self.numbers[name], "plan": "starter", "autoscaling": auto}}  # fmt: skip

    def _scale(self, name: str, request: Request) -> Tuple[int, None]:
        check(request.headers.get("content-type") == "application/json", "the media type")
        number = request.json["numInstances"]
        check(request.json == {"numInstances": number} and type(number) is int, "the body")
        check(1 <= number <= 100, "the number")
        if name not in self.autoscaled:
            self.change(name, number)
        return 202, None


class Fly(Api):
    """Machines of the app `shop`: of each process group ten, of which the first ones run."""

    path = re.compile(r"/v1/apps/shop/machines(/([^/]+)/(start|stop))?")
    most = 10

    def __init__(self) -> None:
        super().__init__()
        self.machines: List[Json] = []
        self.clock = 0

    def place(self, name: str, number: int) -> None:
        for index in range(self.most):
            self.machines.append({
                "id": f"{name}x{index}", "name": f"quiet-{index}", "region": "fra", "checks": [],
                "state": "started" if index < number else "stopped", "updated_at": self._now(),
                "config": {"image": "shop", "metadata": {"fly_process_group": name}},
            })  # fmt: skip

    def _now(self) -> str:
        self.clock += 1
        return f"2026-01-01T00:00:00.{self.clock:06}Z"

    def group(self, name: str) -> List[Json]:
        return [m for m in self.machines if m["config"]["metadata"]["fly_process_group"] == name]

    def quantity(self, name: str) -> int:
        with self.lock:
            return sum(m["state"] in ("started", "starting") for m in self.group(name))

    def change(self, name: str, number: int) -> None:
        with self.lock:
            for index, machine in enumerate(self.group(name)):
                machine["state"] = "started" if index < number else "stopped"

    def error(self, status: int) -> Json:
        return {"error": f"refused with {status}"}

    def find(self, request: Request) -> Call:
        bearer(self, request)
        found = self.path.fullmatch(request.path)
        if not found and "/v1/apps/" in request.path:
            raise Refused(404, self.error(404))
        check(found, "no such path")
        assert found
        if not found.group(1):
            check(request.method == "GET", "no such method")
            return Call("read", "", lambda: (200, self.machines))
        check(request.method == "POST" and request.json == {}, "the method or the body")
        machine = next((m for m in self.machines if m["id"] == found.group(2)), None)
        if not machine:
            raise Refused(404, self.error(404))
        group = machine["config"]["metadata"]["fly_process_group"]
        state = "started" if found.group(3) == "start" else "stopped"
        one = machine
        return Call("set", group, lambda: self._to(one, state))

    def _to(self, machine: Json, state: str) -> Tuple[int, Json]:
        check(machine["state"] != state, f"{machine['id']} is {state} already")
        machine.update(state=state, updated_at=self._now())
        return 200, {"ok": True, "previous_state": "stopped"}


class Scalingo(Api):
    """Container types of the app `shop`, and the exchange of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.bearer = "bearer-of-the-tests-0123456789"

    def error(self, status: int) -> Json:
        return {"error": f"refused with {status}"}

    def find(self, request: Request) -> Call:
        if request.path == "/v1/tokens/exchange":
            check(request.method == "POST", "no such method")
            return Call("exchange", "", lambda: self._exchange(request))
        if request.headers.get("authorization") != f"Bearer {self.bearer}":
            raise Refused(401, self.error(401))
        if request.path == "/v1/apps/shop/containers":
            check(request.method == "GET", "no such method")
            shown = [{"name": name, "amount": number, "size": "M"} for name, number in self.numbers.items()]
            return Call("read", "", lambda: (200, {"containers": shown}))
        check((request.method, request.path) == ("POST", "/v1/apps/shop/scale"), "no such path")
        check(request.headers.get("content-type") == "application/json", "the media type")
        (container,) = request.json["containers"]
        name, amount = container["name"], container["amount"]
        check(container == {"name": name, "amount": amount} and type(amount) is int, "the body")
        check(name in self.numbers, "no such type")
        return Call("set", name, lambda: self._scale(name, amount))

    def _exchange(self, request: Request) -> Tuple[int, Json]:
        pair = base64.b64decode(request.headers["authorization"][len("Basic ") :]).decode()
        check(pair.startswith(":"), "a user")
        if pair != f":{self.token}":
            raise Refused(401, self.error(401))
        return 200, {"token": self.bearer}

    def _scale(self, name: str, amount: int) -> Tuple[int, Json]:
        self.change(name, amount)
        return 202, {"containers": [{"name": name, "amount": amount, "size": "M"}]}


class Railway(Api):
    """Services of one environment, by GraphQL."""

    environment = "environment-1"
    read = re.compile(r"query\(\$s:String!,\$e:String!\)\{serviceInstance\(serviceId:\$s,"
                      r"environmentId:\$e\)\{numReplicas\}\}")  # fmt: skip
    update = re.compile(r"mutation\(\$s:String!,\$e:String!,\$n:Int!\)\{serviceInstanceUpdate\(serviceId:\$s,"
                        r"environmentId:\$e,input:\{numReplicas:\$n\}\)\}")  # fmt: skip

    def error(self, status: int) -> Json:
        words = {401: "Not Authorized", 403: "Not Authorized", 404: "ServiceInstance not found"}
        return {"errors": [{"message": words.get(status, "Problem processing request")}], "data": None}

    def find(self, request: Request) -> Call:
        check((request.method, request.path) == ("POST", "/graphql/v2"), "no such path")
        check(request.headers.get("content-type") == "application/json", "the media type")
        given = request.headers.get("project-access-token")
        check(given and "authorization" not in request.headers, "the project's token alone")
        if given != self.token:
            raise Refused(200, self.error(401))
        variables = request.json["variables"]
        name = variables["s"]
        check(variables["e"] == self.environment, "the environment")
        if name not in self.numbers:
            raise Refused(200, self.error(404))
        if self.read.fullmatch(request.json["query"]):
            instance = {"numReplicas": self.numbers[name]}
            return Call("read", name, lambda: (200, {"data": {"serviceInstance": instance}}))
        check(self.update.fullmatch(request.json["query"]), "the query")
        number = variables["n"]
        check(type(number) is int and 1 <= number <= 50, "the number")
        return Call("set", name, lambda: self._set(name, number))

    def _set(self, name: str, number: int) -> Tuple[int, Json]:
        self.change(name, number)
        return 200, {"data": {"serviceInstanceUpdate": True}}


class Ecs(Api):
    """Services of one cluster. The signature is made anew here, from what arrived."""

    token = "AKIDOFTHETESTS:secret-of-the-tests-0123456789"
    region, cluster = "eu-central-1", "prod"
    target = "AmazonEC2ContainerServiceV20141113."

    def __init__(self) -> None:
        super().__init__()
        self.pending: Dict[str, int] = {}

    def error(self, status: int) -> Json:
        return {"__type": "ServerException", "message": f"refused with {status}"}

    def find(self, request: Request) -> Call:
        check((request.method, request.path) == ("POST", "/"), "no such path")
        check(request.headers.get("content-type") == "application/x-amz-json-1.1", "the media type")
        self._check_signature(request)
        body, action = request.json, request.headers["x-amz-target"]
        check(action.startswith(self.target), "the target")
        check(body["cluster"] == self.cluster, "the cluster")
        if action == self.target + "DescribeServices":
            (name,) = body["services"]
            return Call("read", name, lambda: (200, self._described(name)))
        check(action == self.target + "UpdateService", "the action")
        check(set(body) == {"cluster", "service", "desiredCount"}, "the body")
        name, number = body["service"], body["desiredCount"]
        check(type(number) is int and number >= 0, "the number")
        return Call("set", name, lambda: self._update(name, number))

    def _described(self, name: str) -> Json:
        if name not in self.numbers:
            return {"services": [], "failures": [{"arn": f"arn:aws:ecs:{name}", "reason": "MISSING"}]}
        return {"services": [self._shown(name)], "failures": []}

    def _shown(self, name: str) -> Json:
        waiting = self.pending.get(name, 0)
        return {"serviceName": name, "status": "ACTIVE", "desiredCount": self.numbers[name],
                "runningCount": self.numbers[name] - waiting, "pendingCount": waiting,
                "deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED"}]}  # fmt: skip

    def _update(self, name: str, number: int) -> Tuple[int, Json]:
        self.change(name, number)
        return 200, {"service": self._shown(name)}

    def _check_signature(self, request: Request) -> None:
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
            r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", request.headers["authorization"])  # fmt: skip
        check(found, "no signature v4")
        assert found
        key_id, day, region, service, names, signature = found.groups()
        check((region, service) == (self.region, "ecs"), "the scope")
        check({"host", "x-amz-date"} <= set(names.split(";")), "what is signed")
        own_id, secret = self.token.split(":")
        headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names.split(";"))
        digest = hashlib.sha256(request.body).hexdigest()
        canonical = f"POST\n/\n\n{headers}\n{names}\n{digest}"
        scope = f"{day}/{region}/{service}/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])  # fmt: skip
        key = ("AWS4" + secret).encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if key_id != own_id:
            raise Refused(400, {"__type": "UnrecognizedClientException", "message": "The security token is invalid."})
        check(hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == signature, f"the signature of {canonical!r}")
