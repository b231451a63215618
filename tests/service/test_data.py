"""What is kept, taken out and put back while a service runs: with real reports and real decisions."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from conftest import Started, with_files
from dynoscaled import RULES, Command, report, wait_for, write_scale
from processes import free_port
from reports import add_app, counted, headers, post
from service import Service

# Up to a moment ahead: a window that begins at the end asked for is not in it.
SOURCE = ("shop", "web", "--from", "-20m", "--to", "+1m", "--step", "60")


def scaled(serve: Started, folder: Path) -> "tuple[Service, Command, str]":
    """A service with an app that has been measured and scaled; the address of its reports."""
    service = serve("--tick-s", "1")
    command = Command(service.data, folder)
    url = command.json("app", "add", "shop")["report_url"]
    (folder / "rules.yaml").write_text(RULES)
    command.done("rules", "put", "shop", "rules.yaml")
    write_scale(folder)
    command.done("platform", "set", "shop", "command", "--", "./scale")
    now = int(time.time())
    assert report(service, url, [(now - i % 20, 400, "web") for i in range(50)]).status == 200
    ledger = ("ledger", "shop", "web", "--changes")
    wait_for(lambda: "up 2 → 3" in command.done(*ledger), "a scaling")
    return service, command, url


@with_files
def test_what_is_answered_after_commands_have_used_the_data_outlives_a_kill(
    serve: Started, tmp_path: Path
) -> None:
    """They read the file itself: the last one to close it removes its log, which it must not be."""
    port = free_port()
    service = serve(listen=f"127.0.0.1:{port}")
    path, command = add_app(service), Command(service.data)
    for number, line in enumerate((["backup", str(tmp_path / "copy")], ["doctor"], ["doctor"])):
        command(*line)
        rows = [(int(time.time()), 1, "web", "")]
        assert post(port, path, rows, headers(f"{number:032x}")).status == 200
        service.kill()
        service.start()
        assert counted(service) == number + 1, line
    service.kill()


@with_files
def test_a_backup_taken_under_load_is_whole_and_goes_on_elsewhere(
    serve: Started, tmp_path: Path
) -> None:
    service, command, url = scaled(serve, tmp_path)
    end, answered = threading.Event(), [50]

    def load() -> None:
        while not end.is_set():
            answered[0] += report(service, url, [(int(time.time()), 30, "web")]).status == 200

    thread = threading.Thread(target=load)
    thread.start()
    try:
        wait_for(lambda: answered[0] > 100, "some reports")
        before = answered[0]
        command.done("backup", str(tmp_path / "copy"))
    finally:
        end.set()
        thread.join()
    other = Service(tmp_path, data=tmp_path / "other", name="other")
    there = Command(other.data)
    there.done("restore", str(tmp_path / "copy"))
    with other:
        other.start()
        points = there.json("series", *SOURCE)["points"]
        assert before <= sum(point["count"] for point in points) <= answered[0]
        assert there.done("rules", "get", "shop") == RULES
        assert report(other, url, [(int(time.time()), 30, "web")]).status == 200
        assert "0 of them differently" in there.done("replay", "shop", "web")
        assert "up 2 → 3" in there.done("ledger", "shop", "web", "--changes")


@with_files
def test_a_restore_over_data_brings_back_all_of_the_moment(serve: Started, tmp_path: Path) -> None:
    service, command, url = scaled(serve, tmp_path)
    command.done("backup", str(tmp_path / "copy"))
    points = command.json("series", *SOURCE)["points"]
    command.done("app", "remove", "shop", "--confirm", "shop")
    service.kill()
    command.done("restore", str(tmp_path / "copy"), "--replace")
    service.start()
    again = command.json("series", *SOURCE)["points"]
    known = {point["t"]: point for point in again}
    assert all(known.get(point["t"], point) == point for point in points)
    assert report(service, url, [(int(time.time()), 30, "web")]).status == 200


@with_files
def test_of_a_removed_app_no_byte_is_left_on_the_disk(serve: Started, tmp_path: Path) -> None:
    service, command, url = scaled(serve, tmp_path)
    now = int(time.time())
    assert report(service, url, [(now, 30, "sidekiq:marked-queue")] * 3).status == 200
    command.done("rules", "put", "shop", "-", stdin=RULES.replace("office", "marked-rule"))
    command.done("notify", "add", "shop", "email", "marked-address@shop.example")

    def marked() -> "set[str]":
        files = [path for path in service.data.rglob("*") if path.is_file()]
        return {path.name for path in files if b"marked-" in path.read_bytes()}

    assert marked()
    command.done("app", "remove", "shop", "--confirm", "shop")
    # A tick that had begun before still reads what was; the log keeps that until it is over.
    command.done("app", "add", "other")
    command.done("app", "remove", "other", "--confirm", "other")
    assert marked() == set()


def test_an_export_has_every_sample_and_every_decision(serve: Started, tmp_path: Path) -> None:
    _, command, url = scaled(serve, tmp_path)
    command.done("export", "shop", str(tmp_path / "export"))
    lines = [json.loads(line) for line in (tmp_path / "export").read_text().splitlines()]
    printed = command.done("export", "shop")
    assert printed.splitlines()[0] == (tmp_path / "export").read_text().splitlines()[0]
    series = [line for line in lines if line["kind"] == "series" and line.get("source") == "web"]
    points = [point for line in series for point in line["measured"]["points"]]
    assert sum(point["count"] for point in points) == 50
    decisions = [line for line in lines if line["kind"] == "decision"]
    assert any("up 2 → 3" in line["sentence"] for line in decisions)
    assert url.rsplit("/", 1)[1] not in printed


@with_files
@pytest.mark.parametrize("with_service", [True, False])
def test_a_ledger_that_decides_differently_ends_replay_with_1(
    serve: Started, tmp_path: Path, with_service: bool
) -> None:
    """As after a change of the code: here of the rules that a version stands for."""
    service, command, _ = scaled(serve, tmp_path)
    replay = ("replay", "shop", "web", "--from", "-10m", "--to", "+1m")
    assert "0 of them differently" in command.done(*replay)
    service.kill()
    changed = sqlite3.connect(service.data / "dynoscaled.db")
    with changed:
        for most in (4, 6):
            changed.execute(f"UPDATE rules SET body = replace(body, 'max: {most}', 'max: 2')")
    changed.close()
    if with_service:
        service.start()
    run = command(*replay)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "0 of them differently" not in run.stdout
    assert "up 2 → 3" in run.stdout and "hold 2" in run.stdout
