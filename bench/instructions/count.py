#!/usr/bin/env python3
"""Counts the instructions of a request's path with callgrind, and compares them with those
recorded in bench/instructions/recorded.json.

    python3 bench/instructions/count.py           compare; exit status 1 where one got worse
    python3 bench/instructions/count.py --accept  record what is counted now: after a change that
                                                  is meant to cost more, or that saves something

More than 5 % worse fails. Counts depend on the compiler and on the interpreters, not on the
machine's speed: those recorded with others are not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "tests" / "support")]

from receiver import ReceiverProcess  # noqa: E402
from workbench import (  # noqa: E402
    CC,
    PYTHON,
    ROOT,
    RUBY,
    build_for_python,
    build_for_ruby,
    environment,
)

RECORDED = HERE / "recorded.json"
TOLERANCE = 0.05
WHAT = [
    "Instructions of one request, counted by callgrind: of the core alone, with a clock that",
    "stands still, and what the bindings add to a call of the app. More than 5 % worse fails.",
]
HOW_TO_ACCEPT = [
    "To accept a change on purpose: run `make accept-instructions`, look at the difference in",
    "bench/instructions/recorded.json, and say in the commit what the instructions buy.",
]
REQUESTS = 1000
AGENT = {"DYNOSCALE_URL": "http://127.0.0.1:9/nobody", "DYNO": "web.1"}
AGENT["DYNOSCALE_LOG_LEVEL"] = "error"
# Of a service that asks for the signals of requests, and never again for a report.
ASKS = {"publish_frequency": 3600, "signals": ["busy", "slots", "unstamped"]}


class Unable(Exception):
    """Why nothing can be counted or compared here, in one sentence."""


@dataclass
class Counted:
    """A program that passes requests: how it is run, and what its counts depend on."""

    name: str
    command: List[str]
    env: Mapping[str, str]
    depends_on: str


def first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise Unable(f"{command[0]} can't be run") from None
    return done.stdout.splitlines()[0].strip()


def core() -> Counted:
    path = os.environ.get("BENCH_REQUEST_PATH", "")
    if not path:
        raise Unable("BENCH_REQUEST_PATH names no program: run it by `make test-bench`")
    return Counted("core", [path], environment({}), first_line(*CC, "--version"))


def python(which: str = "wsgi") -> Counted:
    path = os.pathsep.join([str(ROOT / "python"), str(build_for_python())])
    env = environment({"PYTHONPATH": path, "PYTHONHASHSEED": "0", **AGENT})
    command = [PYTHON, str(HERE / "request_path.py"), which]
    return Counted("python", command, env, f"{first_line(PYTHON, '--version')}, {cc()}")


def python_asked() -> Counted:
    """In a process of its own: once gunicorn's hook was called, all requests are checked twice."""
    return python("asked")


def ruby() -> Counted:
    libraries = [ROOT / "ruby/lib", build_for_ruby(), HERE.parent / "ruby"]
    command = [RUBY, *(f"-I{library}" for library in libraries), str(HERE / "request_path.rb")]
    return Counted("ruby", command, environment(AGENT), f"{first_line(RUBY, '--version')}, {cc()}")


def cc() -> str:
    return first_line(*CC, "--version")


def asgi() -> Counted:
    return python("asgi")


PROGRAMS = {
    "core": core,
    "python": python,
    "python, asked": python_asked,
    "asgi": asgi,
    "ruby": ruby,
}


def count(program: Counted) -> Dict[str, float]:
    """Instructions of a request, by kind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise Unable("valgrind is not installed; on Debian: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as directory, ReceiverProcess() as asking:
        asking.behave("ok", **ASKS)
        env = {**program.env, "BENCH_ASKING_URL": f"{asking.url}/token"}
        # Counts each thread by itself: only the one that makes the requests is read below.
        command = [valgrind, "--tool=callgrind", "--collect-atstart=no", "--separate-threads=yes"]
        command += [f"--callgrind-out-file={directory}/out", *program.command]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{program.name}: {done.stdout}{done.stderr}")
        counts: Dict[str, float] = {}
        for file in Path(directory).iterdir():
            text = file.read_text(errors="replace")
            name = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.M)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
            thread = re.search(r"^thread: (\d+)$", text, re.M)
            if name and total and thread and thread[1] == "1":
                counts[name[1]] = int(total[1]) / REQUESTS
    if not counts:
        raise Unable("valgrind's header callgrind.h was not there when the programs were built")
    return counts


def over_bare(counts: Dict[str, float]) -> Dict[str, float]:
    """Subtracts what the loop and the app take by themselves."""
    bare = counts.pop("bare", 0.0)
    return {name: number - bare for name, number in counts.items()}


def measured(program: Counted) -> Dict[str, float]:
    return {name: round(number, 1) for name, number in sorted(over_bare(count(program)).items())}


def recorded() -> Dict[str, Any]:
    return json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}


def worse(name: str) -> List[str]:
    """A line for each count of this path that got worse; Unable where it can't be compared."""
    program = PROGRAMS[name]()
    known: Optional[Dict[str, Any]] = recorded().get(name)
    if known is None:
        raise Unable(f"no counts are recorded for {name}")
    if known["with"] != program.depends_on:
        raise Unable(f"counts were recorded with {known['with']}; this is {program.depends_on}")
    # Counted again if worse: Ruby hashes with another seed in each process, which takes a few more
    # steps or fewer.
    return compare(name, measured(program), known["instructions"]) and compare(
        name, measured(program), known["instructions"]
    )


def compare(name: str, found: Dict[str, float], known: Dict[str, float]) -> List[str]:
    """A line for each count that is more than TOLERANCE above what is known, or not comparable."""
    if set(found) != set(known):
        return [f"{name}: other kinds of requests than recorded: {', '.join(sorted(found))}"]
    return [
        f"{name}: {kind}: {found[kind]:g} instructions, recorded {before:g} "
        f"(+{100 * (found[kind] / before - 1):.1f} %)"
        for kind, before in known.items()
        if found[kind] > before * (1 + TOLERANCE) + 0.5
    ]


def accept() -> None:
    document: Dict[str, Any] = {"what": WHAT + HOW_TO_ACCEPT}
    for name, make in PROGRAMS.items():
        program = make()
        document[name] = {"with": program.depends_on, "instructions": measured(program)}
    RECORDED.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(RECORDED.read_text(encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="record what is counted now")
    if parser.parse_args().accept:
        accept()
        return 0
    status = 0
    for name in PROGRAMS:
        try:
            lines = worse(name)
        except Unable as reason:
            lines = []
            print(f"{name}: skipped: {reason}")
        for line in lines:
            status = 1
            print(line)
    return status


if __name__ == "__main__":
    sys.exit(main())
