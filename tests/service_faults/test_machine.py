"""What a machine does to a service: its clock is set, its descriptors are used up, a platform's program
never ends. Nothing is decided on what is not known, and it is well again without hands."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import pytest

from dynoscaled import Command, is_there, keepers, wait_for
from faults import Faulty, Senders
from reports import PATIENCE, add_app, points
from service import Service

Made = Callable[..., Faulty]

# Below the threshold there is always a wish to remove a dyno, which an hour that did not pass would fulfil.
RULES = """\
processes:
  web:
    scaling: on
    rules:
      - {name: default, dynos: {min: 1, max: 5}, up: {threshold_ms: 5000, step: 1, wait: 600},
         down: {threshold_ms: 4000, step: 1, wait: 1800}}
"""


def set_up(service: Service, scale: str) -> str:
    """An app with these rules whose platform is a program; the path of its reports."""
    folder = service.data.parent
    program = folder / "scale"
    program.write_text("#!/bin/sh\ncd '" + str(folder) + "'\n" + scale)
    program.chmod(0o755)
    path = add_app(service)
    (folder / "rules.yaml").write_text(RULES)
    command = Command(service.data)
    command.done("rules", "put", "shop", str(folder / "rules.yaml"))
    command.done("platform", "set", "shop", "command", "--", str(program))
    return path


THREE = 'case $1 in\nread) cat number 2>/dev/null || echo 3 ;;\nset) echo "$3" >number; echo "$3" >>orders ;;\nesac\n'


def orders(service: Service) -> List[str]:
    path = service.data.parent / "orders"
    return path.read_text().split() if path.exists() else []


def more_ticks(service: Service, count: int) -> None:
    wanted = service.metric("ticks_total") + count
    service.wait_until(lambda: service.metric("ticks_total") >= wanted, "tick", PATIENCE)


def read_at(service: Service) -> Optional[int]:
    """When the platform was last read, as the newest tick knows it."""
    found: Optional[int] = Command(service.data).json("platform", "show", "shop")["health"][0]["read"]
    return found


def reported(service: Service) -> int:
    """At whatever time, by whatever clock."""
    now = time.time()
    return sum(point["count"] for point in points(service, "web", now - 3 * 3600, now + 3 * 3600, 60))


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Path]:
    """A file with what is added to the service's clock."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed (apt-get install libfaketime)")
    file = tmp_path / "clock"
    file.write_text("+0\n")
    os.environ["FAULTS_CLOCK"] = str(libraries[0])
    yield file
    del os.environ["FAULTS_CLOCK"]


@pytest.mark.parametrize("step", ["+1h", "-1h"])
def test_a_clock_that_is_set_by_an_hour_loses_no_report_and_removes_no_dyno(
    tmp_path: Path, clock: Path, step: str
) -> None:
    env = {"LD_PRELOAD": os.environ["FAULTS_CLOCK"], "FAKETIME_TIMESTAMP_FILE": str(clock),
           "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
    with Service(tmp_path, "--tick-s", "1", env=env).start() as service:
        senders = Senders(service.port, set_up(service, THREE))
        service.wait_until(lambda: senders.total() >= 50, "answer", PATIENCE)
        more_ticks(service, 3)
        for now in (step, "+0"):  # and back
            before = senders.total()
            clock.write_text(now + "\n")
            service.wait_until(lambda: "the clock was set by" in service.printed, "see it", PATIENCE)
            more_ticks(service, 5)
            service.wait_until(lambda: senders.total() >= before + 50, "answer", PATIENCE)
        more_ticks(service, 5)
        total = senders.end()
        assert not orders(service), orders(service)
        assert service.log.count("the clock was set by") == 2
        assert reported(service) == total
        assert Command(service.data)("replay", "shop", "web").returncode == 0
        service.stop(seconds=PATIENCE)


def test_without_descriptors_nothing_is_lost_and_it_goes_on_by_itself(faulty: Made) -> None:
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, set_up(service, THREE))
    service.wait_until(lambda: senders.total() >= 20, "answer", PATIENCE)
    more_ticks(service, 2)
    _, keeper = keepers(service)
    for _ in range(5):
        limits = {}
        for pid in (service.pid, keeper):
            limits[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, limits[pid][1]))
        # Nobody is served now; the platform can't be read, and that is told.
        told = service.log.count("its dynos can't be read")
        service.wait_until(lambda: service.log.count("its dynos can't be read") > told, "tell", PATIENCE)
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        before = senders.total()
        service.wait_until(lambda: senders.total() >= before + 20, "answer again", PATIENCE)
        lifted = int(time.time())
        wait_for(lambda: (read_at(service) or 0) > lifted, "the platform is read again")
    total = senders.end()
    assert reported(service) == total and not orders(service)
    assert keepers(service)[1] == keeper  # it was not ended by that


def test_a_start_with_too_few_descriptors_says_how_many_it_needs(tmp_path: Path) -> None:
    with Service(tmp_path, "--tick-s", "1") as service:
        line = ["prlimit", "--nofile=32", "--", *service.command]
        few = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)
        assert few.returncode == 1
        assert "may open 32 files and needs at least 64" in few.stderr, few.stderr
        service.command = ["prlimit", "--nofile=64", "--", *service.command]
        service.start()
        senders = Senders(service.port, set_up(service, THREE))
        service.wait_until(lambda: senders.total() >= 20, "answer", PATIENCE)
        more_ticks(service, 2)
        wait_for(lambda: read_at(service), "the platform is read")
        total = senders.end()
        assert reported(service) == total


def add_other(command: Command, folder: Path) -> None:
    """An app whose rules want 2 of the 1 that it has. What its program was told is in `of-other`."""
    command.done("app", "add", "other")
    (folder / "other.yaml").write_text(RULES.replace("min: 1", "min: 2"))
    command.done("rules", "put", "other", str(folder / "other.yaml"))
    other = folder / "other"
    other.write_text(f"#!/bin/sh\n[ $1 = set ] && echo $3 >'{folder}/of-other'\ncat '{folder}/of-other' || echo 1\n")
    other.chmod(0o755)
    command.done("platform", "set", "other", "command", "--", str(other))


def test_a_program_that_never_ends_is_killed_with_what_it_started_and_others_go_on(faulty: Made) -> None:
    service = faulty("--tick-s", "1", "--act-timeout-s", "1", "--act-threads", "1").start()
    hangs = (
        "case $1 in\nread) cat number 2>/dev/null || echo 3 ;;\n"
        "set) if [ ! -e well ]; then trap '' TERM INT HUP; sleep 100000 & echo $$ $! >>hung; wait; wait; fi\n"
        '     echo "$3" >number ;;\nesac\n'
    )
    set_up(service, hangs)
    folder, command = service.data.parent, Command(service.data)
    command.done("boost", "shop", "web", "4", "--until", "+1h")
    wait_for(lambda: (folder / "hung").exists(), "an order that hangs")
    wait_for(lambda: "did not end within" in service.log, "that is told")
    add_other(command, folder)
    wait_for(lambda: (folder / "of-other").exists(), "another app's order")
    (folder / "well").touch()
    wait_for(lambda: (folder / "number").exists() and (folder / "number").read_text() == "4\n", "the order")
    pids = [int(pid) for pid in (folder / "hung").read_text().split()]
    wait_for(lambda: not any(map(is_there, pids)), "the end of all that hung")


def test_programs_that_all_hang_do_not_keep_another_app_from_being_read(faulty: Made) -> None:
    count = 30
    service = faulty("--tick-s", "1", "--act-timeout-s", "2", "--act-threads", "2").start()
    folder, command = service.data.parent, Command(service.data)
    hangs = f"[ ! -e '{folder}/hang' ] || {{ echo >>calls; sleep 100000; }}\n" + THREE
    set_up(service, hangs)
    for number in range(1, count):
        command.done("app", "add", f"app-{number}")
        command.done("rules", "put", f"app-{number}", str(folder / "rules.yaml"))
        command.done("platform", "set", f"app-{number}", "command", "--", str(folder / "scale"))
    (folder / "hang").touch()
    for _ in range(3):  # each of them takes its time
        told = service.log.count("did not end within")
        wait_for(lambda: service.log.count("did not end within") >= min(told + 10, count), "they hang")
    add_other(command, folder)
    before = (folder / "calls").read_text().count("\n")
    wait_for(lambda: (folder / "of-other").exists(), "another app's order")
    # In their turn, all of them would have been called before it.
    assert (folder / "calls").read_text().count("\n") - before < count / 2
