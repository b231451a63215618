"""Clients that nobody here wrote check the false Heroku: its own command line from npm, and heroku3
from PyPI. `make test-heroku-clients` fetches both and runs this; where one is missing, its tests skip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from heroku import Heroku  # noqa: E402
from service import Service  # noqa: E402

CLI = ROOT / "build" / "heroku-clients" / "node_modules" / ".bin" / "heroku"
PYTHON = ROOT / "build" / "heroku-clients" / "python" / "bin" / "python"
MANIFEST = {"id": "dynoscale", "name": "Dynoscale", "api": {
    "config_vars_prefix": "DYNOSCALE", "config_vars": ["DYNOSCALE_URL", "DYNOSCALE_DYNOS"],
    "password": "a password of Heroku's", "sso_salt": "a salt of twenty letters", "version": "3"}}  # fmt: skip


@pytest.fixture
def heroku() -> Iterator[Heroku]:
    false = Heroku().start()
    false.app("shop", web=("Standard-1X", 2), worker=("Standard-2X", 1))
    yield false
    false.stop()
    assert false.violations == []


def cli(heroku: Heroku, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    if not CLI.exists():
        pytest.skip(f"there is no {CLI}: `make test-heroku-clients` fetches it")
    env = {**os.environ, "HEROKU_HOST": heroku.url, "HEROKU_API_KEY": heroku.key, "HOME": str(folder),
           "HEROKU_SKIP_NEW_VERSION_CHECK": "1", "DISABLE_TELEMETRY": "1", "CI": "1", "BROWSER": "none"}  # fmt: skip
    return subprocess.run([str(CLI), *arguments], capture_output=True, text=True, env=env, timeout=300)


def done(heroku: Heroku, folder: Path, *arguments: str) -> str:
    run = cli(heroku, folder, *arguments)
    assert run.returncode == 0, (arguments, run.stdout, run.stderr)
    return run.stdout + run.stderr


def test_herokus_command_line_shows_and_scales(heroku: Heroku, tmp_path: Path) -> None:
    assert "web.2: up" in done(heroku, tmp_path, "ps", "--app", "shop")
    done(heroku, tmp_path, "ps:scale", "web=3", "worker=2", "--app", "shop")
    assert (heroku.quantity(), heroku.quantity("shop", "worker")) == (3, 2)
    assert "web=3:Standard-1X" in done(heroku, tmp_path, "ps:scale", "--app", "shop")
    refused = cli(heroku, tmp_path, "ps:scale", "web=101", "--app", "shop")
    assert refused.returncode != 0 and "cannot_run_above_limit" in refused.stderr
    heroku.lock_formation()
    assert "preboot" in cli(heroku, tmp_path, "ps:scale", "web=4", "--app", "shop").stderr
    assert "v1" in done(heroku, tmp_path, "releases", "--app", "shop")


def test_herokus_command_line_creates_changes_and_destroys_the_add_on(heroku: Heroku, tmp_path: Path) -> None:
    settings = tmp_path / "heroku.json"
    settings.write_text(json.dumps({"manifest": MANIFEST, "client_secret": heroku.client_secret,
                                    "plans": {"free": {"dynos": 3}, "pro": {}}}))  # fmt: skip
    settings.chmod(0o600)
    env = {"DYNOSCALED_HEROKU_API": heroku.url, "DYNOSCALED_HEROKU_ID": heroku.url}
    with Service(tmp_path, "--private-platforms", "--heroku-addon", str(settings), env=env).start() as service:
        heroku.sell(MANIFEST, service.url + "/heroku/resources", service.url + "/heroku/sso")
        said = done(heroku, tmp_path, "addons:create", "dynoscale:free", "--app", "shop")
        assert "DYNOSCALE_URL" in said
        assert heroku.apps["shop"].config["DYNOSCALE_URL"].startswith(service.url)
        assert "dynoscale" in done(heroku, tmp_path, "addons", "--app", "shop")
        done(heroku, tmp_path, "addons:upgrade", "dynoscale", "dynoscale:pro", "--app", "shop")
        (addon,) = heroku.addons.values()
        assert addon["plan"] == "pro"
        done(heroku, tmp_path, "addons:destroy", "dynoscale", "--app", "shop", "--confirm", "shop")
        assert heroku.addons == {} and heroku.apps["shop"].config == {}


HEROKU3 = """
import json, sys
import heroku3.api
heroku3.api.HEROKU_URL = sys.argv[1]
client = heroku3.from_key(sys.argv[2])
app = client.app("shop")
app.process_formation()["web"].scale(3)
app.batch_scale_formation_processes({"web": 4, "worker": 2})
print(json.dumps({
    "types": [(one.type, one.quantity, one.size) for one in app.process_formation()],
    "dynos": [(one.name, one.state) for one in app.dynos()],
    "releases": [one.version for one in app.releases(order_by="version", limit=1, sort="desc")],
}))
"""


def test_heroku3_reads_and_scales(heroku: Heroku) -> None:
    if not PYTHON.exists():
        pytest.skip(f"there is no {PYTHON}: `make test-heroku-clients` makes it")
    run = subprocess.run(
        [str(PYTHON), "-c", HEROKU3, heroku.url, heroku.key], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    said: Any = json.loads(run.stdout)
    assert said["types"] == [["web", 4, "Standard-1X"], ["worker", 2, "Standard-2X"]]
    assert len(said["dynos"]) == 6 and said["releases"] == [1]
