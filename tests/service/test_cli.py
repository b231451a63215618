"""The command line, with a service that runs on the data and without one."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest
from conftest import Started, with_files
from dynoscaled import RULES, Command, report, wait_for, write_scale
from service import PATIENCE, PROGRAM, Service

BOTH = ["with a service", "without one"]


@pytest.fixture(params=BOTH)
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Command]:
    """The same commands, over the socket and in their own process."""
    if request.param == BOTH[1]:
        yield Command(tmp_path / "data", tmp_path)
        return
    with Service(tmp_path, "--tick-s", "1") as service:
        service.start()
        yield Command(service.data, tmp_path)


@pytest.fixture
def rules_file(tmp_path: Path) -> str:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return str(path)


def test_a_new_app_is_told_what_to_set(command: Command) -> None:
    run = command("app", "add", "shop", "--zone", "Europe/Berlin")
    assert run.returncode == 0
    assert re.fullmatch(
        r"DYNOSCALE_URL=http://[^/]+/api/v1/report/rt_[\w-]{43}\nDYNOSCALE_DYNOS=all\n", run.stdout
    )
    # Without a version a registry would give the agents of 1.x.
    assert 'gem "dynoscale_ruby", "~> 2.0"' in run.stderr and "dynoscale>=2" in run.stderr
    assert "shop" in command.done("app", "list")
    assert "Europe/Berlin" in command.done("status", "shop")


def test_rules_go_in_and_come_out_as_they_were_written(command: Command, rules_file: str) -> None:
    command.done("app", "add", "shop")
    planned = command.done("rules", "plan", "shop", rules_file)
    assert "web: scaling off → on" in planned and "worker: added" in planned
    assert "Version 2 is in force." in command.done("rules", "put", "shop", rules_file)
    assert command.done("rules", "get", "shop") == RULES
    assert "office" in json.dumps(command.json("rules", "get", "shop"))
    assert "Version 3 is in force" in command.done("rules", "rollback", "shop", "1")
    assert "off → on" in command.done("rules", "history", "shop")
    late = command("rules", "put", "shop", rules_file, "--if-version", "2")
    assert late.returncode == 1 and "changed meanwhile" in late.stderr
    assert command("rules", "put", "shop", "-", stdin=RULES).returncode == 0


def test_one_mistake_in_the_rules_changes_nothing(command: Command, tmp_path: Path) -> None:
    command.done("app", "add", "shop")
    bad = tmp_path / "bad.yaml"
    bad.write_text(RULES.replace("max: 6", "max: 6000"))
    before = command.done("rules", "get", "shop")
    for verb in (["rules", "put", "shop"], ["rules", "plan", "shop"], ["rules", "check"]):
        run = command(*verb, str(bad))
        assert run.returncode == 1 and "max" in run.stderr and "1000" in run.stderr, run.stderr
    assert command.done("rules", "get", "shop") == before


def test_rules_are_checked_without_data(tmp_path: Path, rules_file: str) -> None:
    command = Command(None, tmp_path)
    nowhere = {"DYNOSCALED_DATA": str(tmp_path / "nowhere" / "at" / "all")}
    run = command("rules", "check", rules_file, env=nowhere)
    assert run.returncode == 0 and "2 processes, 3 rules" in run.stdout
    assert not (tmp_path / "nowhere").exists()


def test_a_person_signs_in_with_the_password_from_standard_input(serve: Started) -> None:
    service = serve()
    command = Command(service.data)
    assert "admin" in command.done("user", "add", "anna", stdin="a good long password\n")
    assert "read" in command.done("user", "add", "tom", stdin="another long password\n")
    body = b'{"name":"tom","password":"another long password"}'
    headers = {"Content-Type": "application/json"}
    assert service.request("POST", "/api/v1/session", body, headers).status == 200
    command.done("user", "password", "tom", stdin="a third long password\n")
    assert service.request("POST", "/api/v1/session", body, headers).status == 401
    assert "operate" in command.done("user", "role", "tom", "operate")
    assert "Removed tom" in command.done("user", "remove", "tom")
    assert "tom" not in command.done("user", "list")


def test_a_password_that_is_refused_adds_nobody(command: Command) -> None:
    run = command("user", "add", "anna", stdin="short\n")
    assert run.returncode == 1 and "12 characters" in run.stderr
    assert "anna" not in command.done("user", "list")
    assert "signin#link=li_" in command.done("user", "add", "anna", "--link")
    assert "not set yet" in command.done("user", "list")


def test_a_password_is_asked_for_on_the_terminal_without_showing_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [str(PROGRAM), "user", "add", "anna", "--data", str(data)],
        stdin=follower, stdout=follower, stderr=follower, close_fds=True,
    )
    os.close(follower)
    shown = b""
    for prompt in (b"Password of anna: ", b"Once more: "):
        while prompt not in shown:
            shown += os.read(leader, 1000)
        os.write(leader, b"a good long password\n")
    try:
        while True:
            shown += os.read(leader, 1000)
    except OSError:  # its end
        pass
    assert process.wait(PATIENCE) == 0
    os.close(leader)
    assert b"may sign in" in shown and b"good long" not in shown


def test_the_first_link_is_printed_again(serve: Started) -> None:
    service = serve()
    command = Command(service.data)
    link = command.done("user", "link").strip()
    assert link.startswith(service.url + "/signin#link=li_") and link != service.first_link
    body = json.dumps({"link": link.split("=")[1]}).encode()
    headers = {"Content-Type": "application/json"}
    assert service.request("POST", "/api/v1/links/check", body, headers).status == 200
    command.done("user", "add", "anna", stdin="a good long password\n")
    assert command("user", "link").returncode == 1


def test_a_token_opens_what_its_scope_says(serve: Started) -> None:
    service = serve()
    command = Command(service.data)
    command.done("app", "add", "shop")
    token = command.done("token", "add", "--app", "shop", "--scope", "read").strip()
    bearer = {"Authorization": f"Bearer {token}"}
    assert service.get("/api/v1/apps/shop/rules", bearer).status == 200
    put = service.request("PUT", "/api/v1/apps/shop/rules", RULES.encode(), bearer)
    assert put.status == 403
    listed = command.done("token", "list")
    assert token[:8] in listed and token not in listed
    command.done("token", "remove", "1")
    assert service.get("/api/v1/apps/shop/rules", bearer).status == 401


def test_an_app_is_scaled_and_everything_about_it_is_shown(
    serve: Started, rules_file: str, tmp_path: Path
) -> None:
    service = serve("--tick-s", "1")
    command = Command(service.data, tmp_path)
    url = command.json("app", "add", "shop")["report_url"]
    write_scale(tmp_path)
    command.done("rules", "put", "shop", rules_file)
    # Relative to where the command was given, with arguments.
    tried = command.done("platform", "set", "shop", "command", "--", "./scale")
    assert re.search(r"web +ok +2", tried)
    assert "./scale" in command.done("platform", "show", "shop")
    assert command("platform", "test", "shop").returncode == 0
    now = int(time.time())
    assert report(service, url, [(now - i % 20, 400, "web") for i in range(50)]).status == 200
    wait_for(lambda: (tmp_path / "formation-web").exists(), "a scaling")
    changes = ("ledger", "shop", "web", "--changes")
    wait_for(lambda: "up 2 → 3" in command.done(*changes), "its entry")
    line = re.compile(r"^web +on +3 of 1 to [46] +p95 \d+ ms", re.MULTILINE)
    wait_for(lambda: line.search(command.done("status", "shop")), "its line of the status")
    explained = command.done("explain", "shop", "web")
    assert "value_ms" in explained and "what was remembered" in explained
    assert "0 of them differently" in command.done("replay", "shop", "web")
    hours = ("series", "shop", "web", "--from", "-1h", "--step", "3600")
    assert re.search(r" \d+ +4\d\d ", command.done(*hours))
    assert sum(point["count"] for point in command.json(*hours)["points"]) == 50  # an hour may end among them
    assert "paused until" in command.done("pause", "shop", "web", "--until", "+10m", "--down")
    assert "at least 4" in command.done("boost", "shop", "web", "4")
    wait_for(lambda: (tmp_path / "formation-web").read_text() == "4\n", "the boost")
    command.done("resume", "shop", "web")
    assert "off" in command.done("switch", "shop", "web", "off")
    assert "boosted web of shop to 4" in command.done("audit", "shop")
    export = tmp_path / "export"
    command.done("export", "shop", str(export))
    kinds = {json.loads(line)["kind"] for line in export.read_text().splitlines()}
    assert kinds == {"app", "rules", "audit", "series", "decision", "act"}
    assert stat.S_IMODE(export.stat().st_mode) == 0o600


@with_files
def test_a_backup_of_a_running_service_is_restored_elsewhere(
    serve: Started, tmp_path: Path, rules_file: str
) -> None:
    command = Command(serve().data)
    command.done("app", "add", "shop")
    command.done("rules", "put", "shop", rules_file)
    copy = tmp_path / "copy"
    command.done("backup", str(copy))
    assert command("backup", str(copy)).returncode == 1  # never over a file that is there
    command.done("rules", "rollback", "shop", "1")
    other = Command(tmp_path / "other")
    other.done("restore", str(copy))
    assert other.done("rules", "get", "shop") == RULES
    again = other("restore", str(copy))
    assert again.returncode == 1
    other.done("restore", str(copy), "--replace")
    running = command("restore", str(copy), "--replace")
    assert running.returncode == 1 and "stop it" in running.stderr


def test_removing_an_app_asks_for_its_name(command: Command) -> None:
    command.done("app", "add", "shop")
    assert "--confirm shop" in command("app", "remove", "shop").stderr
    assert command("app", "remove", "shop", "--confirm", "shep").returncode == 1
    assert "shop" in command.done("app", "list")
    command.done("app", "remove", "shop", "--confirm", "shop")
    assert "no app" in command.done("app", "list")


def test_wrong_usage_is_told_and_ends_with_2(tmp_path: Path) -> None:
    command = Command(tmp_path / "data")
    for arguments in (
        ["bogus"], ["app"], ["app", "add"], ["app", "add", "a", "b"], ["rules", "put", "shop"],
        ["status", "--bogus"], ["app", "add", "a", "--zone"], ["pause", "a", "b", "--down=1"],
        ["token", "add"], ["boost", "shop", "web", "many"], ["switch", "shop", "web", "maybe"],
        ["platform", "set", "shop", "command"],
    ):
        run = command(*arguments)
        assert run.returncode == 2, (arguments, run.stdout, run.stderr)
        assert run.stderr and not run.stdout
    assert not (tmp_path / "data").exists()


def test_every_command_has_help(tmp_path: Path) -> None:
    command = Command(tmp_path / "data")
    source = (Path(__file__).resolve().parents[2] / "service/src/api/cli.c").read_text()
    names = re.findall(r'^    \{"([a-z ]+)",', source, re.MULTILINE)
    assert len(names) > 30
    everything = command("--help").stdout
    for name in names:
        text = command.done(*name.split(), "--help")
        assert text.startswith(f"usage: dynoscaled {name}") and len(text.splitlines()) > 4
        assert name.split()[0] in everything


def test_the_data_folder_is_found(tmp_path: Path) -> None:
    home, here, share = tmp_path / "home", tmp_path / "here", tmp_path / "share"
    for folder in (home, here, share):
        folder.mkdir()
    command = Command(None, here)
    command.done("app", "add", "one", "--data", str(here / "dynoscaled-data"))
    assert "one" in command("app", "list", env={"HOME": str(home)}).stdout
    command.done("app", "add", "two", "--data", str(share))
    listed = command("app", "list", env={"HOME": str(home), "DYNOSCALED_DATA": str(share)}).stdout
    assert "two" in listed and "one" not in listed
    assert "two" in command("--data", str(share), "app", "list").stdout
    empty = command("status", "--data", str(tmp_path / "none"))
    assert empty.returncode == 1 and str(tmp_path / "none") in empty.stderr


def test_what_there_is_not_is_named(command: Command) -> None:
    command.done("app", "add", "shop")
    for arguments, word in (
        (["status", "shep"], "shep"),
        (["explain", "shop", "wob"], "wob"),
        (["pause", "shop", "wob"], "wob"),
        (["pause", "shop", "web", "--until", "soon"], "until"),
        (["rules", "rollback", "shop", "99"], "99"),
        (["platform", "show", "shop"], "shop"),
        (["token", "remove", "7"], "7"),
        (["app", "add", "Shop"], "name"),
        (["app", "zone", "shop", "Mars/Olympus"], "Mars"),
    ):
        run = command(*arguments)
        assert run.returncode == 1, (arguments, run.stdout, run.stderr)
        assert word in run.stderr and run.stderr.startswith("dynoscaled: ")
