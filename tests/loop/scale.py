#!/usr/bin/python3
"""The command platform of these tests: a dyno is a worker process of an app server.

    scale.py DIRECTORY read TYPE | set TYPE N

DIRECTORY holds, for each TYPE, `TYPE.pid` of the server whose workers are counted, or `TYPE.dynos`
with a number where nothing real runs. Each call is a line of `calls`: verb, type, number and the
moments at which it began and ended. Files named after a verb make it misbehave while they exist:

    set.block     it waits, having made `set.waiting`, until the file is gone
    set.after     the same, once the number is set
    set.status    it ends with the status in the file, and does nothing
    set.lie       it says that it has done it, and does nothing
    read.says     it prints what is in the file
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

DIRECTORY = Path(sys.argv[1])
PATIENCE = 60.0


def hold(name: str) -> None:
    while (DIRECTORY / name).exists():
        (DIRECTORY / name.replace(".", ".is-")).touch()
        time.sleep(0.01)


def workers(master: int) -> int:
    """Children of the server that live."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        count += int(parent) == master and state not in "ZX"
    return count


def running(kind: str) -> int:
    pid = DIRECTORY / f"{kind}.pid"
    if pid.exists():
        return workers(int(pid.read_text()))
    return int((DIRECTORY / f"{kind}.dynos").read_text())


def order(kind: str, wanted: int) -> None:
    pid = DIRECTORY / f"{kind}.pid"
    if not pid.exists():
        # At once: who reads it meanwhile sees the number before or this one.
        written = DIRECTORY / f"{kind}.dynos.{os.getpid()}"
        written.write_text(str(wanted))
        written.rename(DIRECTORY / f"{kind}.dynos")
        return
    master, deadline = int(pid.read_text()), time.monotonic() + PATIENCE
    while (now := workers(master)) != wanted and time.monotonic() < deadline:
        os.kill(master, signal.SIGTTIN if now < wanted else signal.SIGTTOU)
        seen = time.monotonic()
        while workers(master) == now and time.monotonic() < seen + 10:
            time.sleep(0.02)


def main() -> int:
    verb, kind = sys.argv[2:4]
    began = time.time()
    number = int(sys.argv[4]) if verb == "set" else None
    with (DIRECTORY / "begun").open("a") as begun:
        begun.write(json.dumps({"verb": verb, "type": kind, "number": number}) + "\n")
    hold(f"{verb}.block")
    status = DIRECTORY / f"{verb}.status"
    if status.exists():
        print(f"told to fail at {verb}", file=sys.stderr)
        return int(status.read_text())
    says = DIRECTORY / f"{verb}.says"
    if says.exists():
        print(says.read_text())
    elif verb == "read":
        count = running(kind)
        print(json.dumps({"ordered": count, "up": count}))
    elif not (DIRECTORY / "set.lie").exists():
        order(kind, number or 0)
    hold(f"{verb}.after")
    with (DIRECTORY / "calls").open("a") as calls:
        line = {"verb": verb, "type": kind, "number": number, "began": began, "ended": time.time()}
        calls.write(json.dumps(line) + "\n")
    return 0


sys.exit(main())
