"""The second factor over HTTP: once each, kept as hashes and sealed, and reset on the machine."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Tuple

from authenticator import code
from conftest import Started
from dynoscaled import Command
from service import Answer, Service

PASSWORD = "a good long password"


def send(service: Service, method: str, path: str, body: Any, headers: Dict[str, str] = {}) -> Answer:
    data = json.dumps(body).encode()
    return service.request(method, "/api/v1" + path, data, {**headers, "Content-Type": "application/json"})


def sign_in(service: Service, *codes: str) -> Answer:
    return send(service, "POST", "/session", {"name": "anna", "password": PASSWORD, **({"code": codes[0]} if codes else {})})


def headers_of(answer: Answer) -> Dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].split(";")[0], "X-CSRF-Token": json.loads(answer.text)["csrf"]}


def switched_on(service: Service) -> Tuple[Dict[str, str], str, "list[str]"]:
    """The first person, with a second factor: their session, the secret, the recovery codes."""
    assert service.first_link
    link = service.first_link.split("#link=")[1]
    answer = send(service, "POST", "/links/use", {"link": link, "name": "anna", "password": PASSWORD})
    session = headers_of(answer)
    made = send(service, "POST", "/account/factor", {"current": PASSWORD}, session)
    assert made.status == 201, made.text
    secret = json.loads(made.text)["secret"]
    confirmed = send(service, "POST", "/account/factor/confirm", {"code": code(secret)}, session)
    assert confirmed.status == 200, confirmed.text
    return session, secret, json.loads(confirmed.text)["recovery"]


def test_a_code_that_is_sent_by_many_at_once_lets_one_in(serve: Started) -> None:
    service = serve()
    _, secret, recovery = switched_on(service)
    assert sign_in(service).status == 422
    for one in (code(secret, ahead=1), recovery[0]):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: sign_in(service, one).status, range(4)))
        assert sorted(answers) == [200, 422, 422, 422]


def test_it_is_there_after_a_start_and_no_secret_of_it_is_on_the_disk_or_in_the_log(serve: Started) -> None:
    service = serve()
    _, secret, recovery = switched_on(service)
    service.stop()
    service.start()
    assert sign_in(service).status == 422
    assert sign_in(service, code(secret, ahead=1)).status == 200
    assert sign_in(service, recovery[1].upper().replace("-", " ")).status == 200
    service.stop()
    kept = service.log.encode() + b"".join(path.read_bytes() for path in service.data.iterdir() if path.is_file())
    for word in (secret, *recovery, *(one.replace("-", "") for one in recovery)):
        assert word.encode() not in kept
    assert "anna used a recovery code" in service.log


def test_the_command_line_resets_and_requires_it(serve: Started) -> None:
    service = serve()
    session, secret, _ = switched_on(service)
    command = Command(service.data)
    assert command("user", "factor", "anna", "on").returncode == 2
    assert "second factor" in command.done("user", "factors", "required")
    assert "on" in command.done("user", "list").splitlines()[1].split()
    command.done("user", "factor", "anna", "off")
    assert service.get("/api/v1/session", session).status == 401
    session = headers_of(sign_in(service))
    assert json.loads(service.get("/api/v1/session", session).text)["lacks_factor"] is True
    for path in ("/apps", "/people", "/events", "/audit", "/metrics"):
        assert service.get("/api/v1" + path, session).status == 403, path
    assert send(service, "POST", "/apps", {"name": "shop"}, session).status == 403
    command.done("user", "factors", "optional")
    assert service.get("/api/v1/apps", session).status == 200
    said = command.done("audit")
    assert "made the second factor required" in said and "reset the second factor of anna" in said
    assert secret not in said
