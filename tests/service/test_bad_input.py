"""Requests that are wrong in any way, made up from the description of the API: each is answered, with
a sentence, and the service goes on. The numbers are the same at each run."""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.parse
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from conftest import Started
from dynoscaled import RULES, Command
from service import PATIENCE, Service

yaml = pytest.importorskip("yaml")

API = Path(__file__).resolve().parents[2] / "service/src/api/openapi.yaml"
REQUESTS = 700
WORDS = [
    "", "0", "-1", "1e999", "NaN", "null", "true", "9" * 30, "\x00", "\xff", "é" * 300, "a" * 5000,
    "../..", "%00", "shop", "web", "now", "-1h", "+10m", "2020-02-30", "24:00", "99999999999999",
    "-9223372036854775808", "1.5", "[]", "{}", "on", "both", "p95", "';--", "<b>", "Europe/Berlin",
    "\u202e", "sidekiq:*", "[", "0x10", " 5 ", "\uff15",
]  # fmt: skip
NUMBERS = [2**31, 2**63, -(2**63), 10**40, 0, -1, 1e308, 1.5, 7]
FIELDS = ["name", "dynos", "until", "direction", "scope", "app", "role", "zone", "kind", "rules"]
STREAMS = "/events"
UNKNOWN = "is not known yet"  # how many dynos there should be, before a platform was read


class Maker:
    """Of requests."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.api: Dict[str, Any] = yaml.safe_load(API.read_text())
        self.calls: List[Tuple[str, str, Dict[str, Any]]] = [
            (method, path, call)
            for path, calls in self.api["paths"].items()
            for method, call in calls.items()
            if method in ("get", "put", "post", "patch") and STREAMS not in path
        ]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def resolve(self, what: Any) -> Any:
        while isinstance(what, dict) and "$ref" in what:
            found: Any = self.api
            for name in what["$ref"].split("/")[1:]:
                found = found[name]
            what = found
        return what

    def anything(self, depth: int = 0) -> Any:
        kind = self.random.randrange(6)
        if kind == 0:
            return self.random.choice(NUMBERS)
        if kind == 1:
            return self.random.choice([True, False, None])
        if kind == 2 and depth < 4:
            return [self.anything(depth + 1) for _ in range(self.random.randrange(4))]
        if kind == 3 and depth < 4:
            names = self.random.sample(FIELDS, self.random.randrange(4))
            return {name: self.anything(depth + 1) for name in names}
        return self.random.choice(WORDS)

    def by(self, schema: Any) -> Any:
        """What the schema asks for, and now and then what it does not."""
        schema = self.resolve(schema)
        if self.chance(0.1) or not isinstance(schema, dict):
            return self.anything()
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if schema.get("properties"):
            names = [n for n in schema["properties"] if n in schema.get("required", []) or self.chance(0.5)]
            return {name: self.by(schema["properties"][name]) for name in names}
        if schema.get("type") == "integer":
            return self.random.choice([0, 1, 5, int(time.time()), 60])
        return self.random.choice(["shop", "web", "anna", self.random.choice(WORDS)])

    def damaged(self, body: bytes) -> bytes:
        if not body or self.chance(0.7):
            return body
        place = self.random.randrange(len(body))
        return body[:place] + bytes([self.random.randrange(256)]) + body[place + 1 :]

    def rules(self) -> str:
        text = RULES
        for _ in range(self.random.randrange(4)):
            place = self.random.randrange(len(text))
            put = self.random.choice([*WORDS, ":", "{", "&a", "*a", "!!x", "\t", "- ", "|", '"'])
            text = text[:place] + put + text[place + self.random.randrange(3) :]
        return text

    def call(self) -> Tuple[str, str, Optional[bytes], Dict[str, str]]:
        method, path, call = self.random.choice(self.calls)
        for part in path.split("/"):
            if part.startswith("{"):
                usual = {"{app}": "shop", "{process}": "web"}.get(part, "1")
                given = usual if self.chance(0.7) else str(self.anything())
                path = path.replace(part, urllib.parse.quote(given, safe=""), 1)
        asked = [self.resolve(one) for one in call.get("parameters", [])]
        query = [
            (one["name"], str(self.by(one.get("schema"))))
            for one in asked
            if one.get("in") == "query" and self.chance(0.6)
        ]
        if query:
            path += "?" + urllib.parse.urlencode(query)
        body: Optional[bytes] = b"" if method != "get" else None
        headers: Dict[str, str] = {}
        content = self.resolve(call.get("requestBody", {})).get("content")
        if content:
            kind = self.random.choice(list(content))
            made = json.dumps(self.by(content[kind].get("schema"))) if "json" in kind else self.rules()
            headers["Content-Type"] = kind
            body = self.damaged(made.encode("utf-8", "replace"))
        return method.upper(), path, body, headers

    def report(self) -> Tuple[bytes, Dict[str, str]]:
        now, rows = int(time.time()), []
        for _ in range(self.random.randrange(6)):
            row = [str(now), str(self.random.randrange(300)), "web", ""]
            if self.chance(0.5):
                row[self.random.randrange(4)] = self.random.choice([*WORDS, '"', '""', '"a,b"', "depth"])
            rows.append(",".join(row))
        headers = {
            "User-Agent": self.random.choice(["dynoscale-ruby;2.0.0", "dynoscale-ruby;1.0.5", ";;"]),
            "X_DYNO": self.random.choice(["web.1", "x" * 3000, "\xe9", ""]),
            "X_REQUEST_START": self.random.choice([f"t={now}", "t=", "t=1e9", "9" * 40]),
            "Idempotency-Key": self.random.choice(["a" * 32, "", "x" * 500]),
            "Content-Type": "text/csv",
        }
        return self.damaged(self.random.choice(["\r\n", "\n", "\r"]).join(rows).encode()), headers


def ask(
    service: Service, method: str, path: str, body: Optional[bytes], headers: Dict[str, str]
) -> Tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def is_told(path: str, status: int, answer: bytes) -> bool:
    """Whether a refusal is one of a mistake of ours, with a sentence."""
    if status < 400:
        return True
    problem = json.loads(answer)
    if path.startswith("/heroku/"):  # which shows `message` to its user
        return status < 500 and list(problem) == ["message"] and len(problem["message"].split()) > 2
    known = status < 500 or UNKNOWN in problem["detail"]
    return known and problem["status"] == status and len(problem["detail"].split()) > 2


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_asked_is_answered_with_a_sentence(serve: Started, seed: int) -> None:
    service, make = serve("--tick-s", "1"), Maker(seed)
    command = Command(service.data)
    url = command.json("app", "add", "shop")["report_url"]
    token = command.done("token", "add", "--scope", "admin").strip()
    for _ in range(REQUESTS):
        body: Optional[bytes]
        if make.chance(0.35):
            method, path = "POST", url[url.index("/api/") :]
            body, headers = make.report()
        else:
            method, path, body, headers = make.call()
            headers["Authorization"] = f"Bearer {token}"
        status, answer = ask(service, method, path, body, headers)
        assert is_told(path, status, answer), (method, path, headers, body, status, answer)
    assert service.running and service.get("/healthz").status == 200
    assert " error " not in service.log, service.log
    assert command.done("rules", "get", "shop")
