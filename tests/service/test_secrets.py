"""All secrets that there are, each used once, and then looked for in all that the service has written."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Dict

import pytest
from conftest import Started, with_files
from described import operations
from dynoscaled import RULES, Command, forms, report
from service import Service

PASSWORDS = ["a good long password", "another good long one", "a wrong but long password"]


def sign_in(service: Service, password: str) -> Dict[str, str]:
    body = json.dumps({"name": "anna", "password": password}).encode()
    answer = service.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
    if answer.status != 200:
        return {}
    cookie = answer.headers["set-cookie"].split(";")[0]
    return {"Cookie": cookie, "X-CSRF-Token": json.loads(answer.text)["csrf"]}


def use_all(service: Service, command: Command) -> Dict[str, str]:
    """Makes each kind of secret and uses it, rightly and wrongly: its name and the secret."""
    secrets = {f"password {i}": password for i, password in enumerate(PASSWORDS)}
    url = command.json("app", "add", "shop")["report_url"]
    command.done("rules", "put", "shop", "-", stdin=RULES)
    assert report(service, url, [(int(time.time()) - 1, 5, "web")]).status == 200
    assert report(service, url + "x", [(int(time.time()) - 1, 5, "web")]).status == 401
    secrets["token of reports"] = url.rsplit("/", 1)[1]
    secrets["token of the API"] = command.json("token", "add", "--scope", "admin")["token"]
    bearer = {"Authorization": f"Bearer {secrets['token of the API']}"}
    assert service.get("/api/v1/apps", bearer).status == 200
    assert service.get("/api/v1/apps", {"Authorization": bearer["Authorization"] + "x"}).status == 401

    command.done("user", "add", "anna", "--role", "admin", stdin=PASSWORDS[0] + "\n")
    assert not sign_in(service, PASSWORDS[2])
    session = sign_in(service, PASSWORDS[0])
    change = json.dumps({"current": PASSWORDS[0], "password": PASSWORDS[1]}).encode()
    headers = {"Content-Type": "application/json", **session}
    assert service.request("PUT", "/api/v1/account/password", change, headers).status == 204
    secrets["session"] = session["Cookie"].split("=", 1)[1]
    secrets["token against forged requests"] = session["X-CSRF-Token"]
    invited = command.done("user", "add", "tom", "--link")
    found = re.search(r"#link=(\S+)", invited)
    assert found
    secrets["link"] = found.group(1)

    target = "http://127.0.0.1:1/hook/of-the-webhook-that-nobody-knows"
    secrets["address of a channel"] = "of-the-webhook-that-nobody-knows"
    added = service.request(
        "POST", "/api/v1/apps/shop/channels", json.dumps({"kind": "webhook", "target": target}).encode(), headers
    )
    secrets["key of a channel"] = json.loads(added.text)["secret"]
    channel = json.loads(added.text)["id"]
    service.request("POST", f"/api/v1/apps/shop/channels/{channel}/test", b"{}", headers)
    secrets["credential of a platform"] = "rnd_TheKeyOfARender0123456789"
    command(
        "platform", "set", "shop", "webhook", "http://127.0.0.1:1/scale", "--secret-stdin",
        stdin=secrets["credential of a platform"] + "\n",
    )  # fmt: skip
    secrets["password of the mail server"] = "the password of the mail server"
    return secrets


def everything(service: Service, command: Command, folder: Path, headers: Dict[str, str]) -> Dict[str, bytes]:
    """All that the service shows to an admin and writes: where, and what."""
    written = {"the log": service.log.encode()}
    for key in operations():
        if key[0] == "GET" and key[1] != "/api/v1/events":
            path = key[1].format(app="shop", process="web")
            written[path] = service.get(path, headers).body
    for path in ("/", "/signin", "/apps/shop", "/apps/shop/settings", "/people", "/account", "/readyz"):
        written[path] = service.get(path, headers).body
    for arguments in (["export", "shop"], ["platform", "show", "shop"], ["notify", "list", "shop"], ["audit"],
                      ["user", "list"], ["token", "list"], ["doctor"]):  # fmt: skip
        run = command(*arguments)
        written[" ".join(arguments)] = (run.stdout + run.stderr).encode()
    command.done("backup", str(folder / "copy"))
    service.stop()  # what SQLite had in its log is in the file now
    files = [path for path in [*service.data.rglob("*"), *(folder / "copy").parent.glob("copy*")] if path.is_file()]
    written.update({str(path): path.read_bytes() for path in files})
    return written


@with_files
def test_no_secret_is_in_anything_that_the_service_writes(serve: Started, tmp_path: Path) -> None:
    mail = {"DYNOSCALED_SMTP_PASSWORD": "the password of the mail server"}
    arguments = ["--smtp", "smtp://user@127.0.0.1:1", "--mail-from", "a@shop.example", "--private-platforms"]
    service = serve("--tick-s", "1", "--log-level", "debug", *arguments, env=mail)
    command = Command(service.data)
    first_link = service.first_link or ""
    secrets = use_all(service, command)
    processes = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True).stdout
    headers = {"Authorization": f"Bearer {secrets['token of the API']}"}
    written = everything(service, command, tmp_path, headers)
    written["the list of processes"] = processes
    assert len([where for where in written if str(tmp_path) in where]) >= 3
    assert b"anna signed in" in written["the log"] and b'"shop"' in written["/api/v1/apps"]
    # Printed once, to begin with, and worth nothing any more.
    written["the log"] = written["the log"].replace(first_link.encode(), b"")
    for name, secret in secrets.items():
        for where, text in written.items():
            for form in forms(secret):
                assert form not in text, (name, where)


@with_files
def test_a_secret_that_is_written_would_be_found(serve: Started, tmp_path: Path) -> None:
    """What is no secret, such as the name of a rule, is in the file and in the backup."""
    service = serve("--tick-s", "1")
    command = Command(service.data)
    command.done("app", "add", "shop")
    command.done("rules", "put", "shop", "-", stdin=RULES.replace("office", "plain-to-see"))
    written = everything(service, command, tmp_path, {})
    seen = {Path(where).name for where, text in written.items() if b"plain-to-see" in text}
    assert "dynoscaled.db" in seen and "copy" in seen, seen


@pytest.mark.parametrize("secret", ["token", "password"])
def test_a_secret_is_taken_from_standard_input_and_never_from_an_argument(serve: Started, secret: str) -> None:
    service = serve()
    done = Command(service.data)("user", "add", "anna", f"--{secret}", "a good long password")
    assert done.returncode == 2
