"""schemathesis over openapi.yaml and a real service: as an admin, as one who may read, as nobody, and as Heroku,
whose add-on the service is. Run by `make test-schema`; $SCHEMATHESIS is the program, $SCHEMA_SECONDS the time for
each of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Dict, List

import pytest
from conftest import Started
from described import API
from dynoscaled import RULES, Command, report, wait_for, write_scale
from service import Service

SECONDS = os.environ.get("SCHEMA_SECONDS", "300")
# A stream has no end; and KEDA's number is 503 on purpose while it is not known. That all which fits the
# schema is taken can't be: from before to, the text of rules, an address that fits the kind of a channel.
LEFT_OUT = [
    "--exclude-path", "/api/v1/events",
    "--exclude-path", "/api/v1/apps/{app}/processes/{process}/wanted",
    "--exclude-checks", "positive_data_acceptance",
]  # fmt: skip
TOKENS_BEFORE = 20  # so that the one in use is not removed by a small number


def furnish(service: Service, command: Command) -> None:
    url = command.json("app", "add", "shop")["report_url"]
    scale = write_scale(service.data.parent)
    command.done("platform", "set", "shop", "command", "--", str(scale))
    command.done("rules", "put", "shop", "-", stdin=RULES)
    now = int(time.time())
    assert report(service, url, [(now - 1, 40, "web"), (now - 1, 9, "sidekiq:default")]).status == 200
    command.done("notify", "add", "shop", "webhook", "http://127.0.0.1:1/hook")
    command.done("user", "add", "anna", stdin="a good long password\n")
    wait_for(lambda: command("explain", "shop", "web").returncode == 0, "a decision")


def heroku_settings(path: Path) -> Path:
    """Of an add-on with one plan: any other is refused."""
    manifest = {"id": "dynoscale", "api": {"password": "a password of Heroku's", "sso_salt": "a salt of twenty letters"}}
    path.write_text(json.dumps({"manifest": manifest, "plans": {"free": {"dynos": 3}}}))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("scope", ["admin", "read", "", "heroku"])
def test_the_service_does_as_openapi_yaml_says(serve: Started, tmp_path: Path, scope: str) -> None:
    program = os.environ.get("SCHEMATHESIS")
    if not program:
        pytest.skip("make test-schema runs this")
    service = serve("--tick-s", "1", "--heroku-addon", str(heroku_settings(tmp_path / "heroku.json")))
    command = Command(service.data)
    furnish(service, command)
    headers: List[str] = []
    if scope == "heroku":
        pair = base64.b64encode(b"dynoscale:a password of Heroku's").decode()
        headers = ["--header", f"Authorization: Basic {pair}", "--include-path-regex", "^/heroku/"]
    elif scope:
        made: Dict[str, str] = {}
        for _ in range(TOKENS_BEFORE):
            made = command.json("token", "add", "--scope", scope)
        headers = ["--header", f"Authorization: Bearer {made['token']}"]
    run = subprocess.run(
        [program, "run", str(API / "openapi.yaml"), "--url", service.url, "--checks", "all", "--max-time", SECONDS,
         "--continue-on-failure", "--no-color", "--workers", "1", *headers, *LEFT_OUT],
        cwd=service.data.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert service.running and service.get("/healthz").status == 200
    assert " error " not in service.log, service.log
    assert run.returncode == 0, run.stdout[-20000:] + run.stderr[-2000:]
