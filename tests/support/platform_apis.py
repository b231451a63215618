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

import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

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


class Kubernetes(Api):
    """Deployments and StatefulSets of one namespace, and their scales."""

    name_space = "prod"
    path = re.compile(r"/apis/apps/v1/namespaces/([^/]+)/(deployments|statefulsets)/([^/]+?)(/scale)?")

    def __init__(self) -> None:
        super().__init__()
        self.versions: Dict[str, int] = {}
        self.ready: Dict[str, int] = {}  # where fewer are ready than there are
        self.updated: Dict[str, int] = {}  # where a rollout is under way
        self.kinds: Dict[str, str] = {}  # name: "statefulsets"

    def error(self, status: int) -> Json:
        reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict"}
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
        bearer(self, request)
        found = self.path.fullmatch(request.path)
        check(found, "no such path")
        assert found
        name_space, plural, name, scale = found.groups()
        if name not in self.numbers or plural != self.kinds.get(name, "deployments"):
            raise Refused(404, self.error(404))
        check(name_space == self.name_space, "another namespace")
        if request.method == "PATCH" and scale:
            return Call("set", name, lambda: self._patch(name, request))
        check(request.method == "GET", "no such method")
        return Call("scale" if scale else "read", name, lambda: (200, self._shown(name, bool(scale))))

    def _shown(self, name: str, scale: bool) -> Json:
        number = self.numbers[name]
        metadata = {"name": name, "namespace": self.name_space, "resourceVersion": str(self.versions.get(name, 1))}
        status = {"replicas": number, "selector": f"app={name}"}
        if not scale:
            status = {"replicas": number, "readyReplicas": self.ready.get(name, number),
                      "updatedReplicas": self.updated.get(name, number), "observedGeneration": 1}  # fmt: skip
        return {"kind": "Scale" if scale else "Deployment", "metadata": metadata,
                "spec": {"replicas": number}, "status": {k: v for k, v in status.items() if v}}  # fmt: skip

    def _patch(self, name: str, request: Request) -> Tuple[int, Json]:
        check(request.headers.get("content-type") == "application/merge-patch+json", "the media type")
        body = request.json
        version, replicas = body["metadata"]["resourceVersion"], body["spec"]["replicas"]
        check(body == {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}, "the body")
        check(type(replicas) is int and replicas >= 0, "the replicas")
        if version != str(self.versions.get(name, 1)):
            raise Refused(409, self.error(409))
        self.change(name, replicas)
        return 200, self._shown(name, True)
