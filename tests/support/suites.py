#!/usr/bin/env python3
"""Runs suites one after the other, passes their output on, and adds up their closing lines.

    suites.py [--counts FILE] NAME=FORMAT... -- MAKE [ARGUMENT...]

Suite NAME is run by `MAKE test-NAME`; FORMAT is cmocka, minitest, pytest or node. A suite that fails
does not keep the others from running. One that ends badly without having counted a failure (a
crash, a build that failed) counts as one failure, and so does one that ran no test. What was
skipped is listed with its reason. So is what was tried again: a server that did not end, a test of
real processes that failed once; a suite says `REPEATED what: why`. The last line is
`N passed, N failed, N skipped`; it is written to FILE as well. Exit status 0 only if nothing failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, TextIO, Type


@dataclass
class Tally:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    repeated: int = 0  # tries, not tests
    seconds: float = 0.0
    remarks: List[str] = field(default_factory=list)

    def add(self, outcome: str, number: int) -> None:
        setattr(self, outcome, getattr(self, outcome) + number)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Format:
    """How a suite says what it counted."""

    def read(self, line: str, tally: Tally) -> None:
        raise NotImplementedError


class Cmocka(Format):
    """One group of closing lines for each program: `[  PASSED  ] 12 test(s).`"""

    CLOSING = re.compile(r"\[  (PASSED  |FAILED  |SKIPPED )\] (\d+) test\(s\)")

    def read(self, line: str, tally: Tally) -> None:
        if found := self.CLOSING.match(line):
            tally.add(found[1].strip().lower(), int(found[2]))


class Minitest(Format):
    """`7 runs, 21 assertions, 0 failures, 0 errors, 1 skips`. A skip that is told in full is
    three lines: `  1) Skipped:` (with Rails, no number), `Class#test [file:line]:`, the reason."""

    CLOSING = re.compile(r"(\d+) runs, \d+ assertions, (\d+) failures, (\d+) errors, (\d+) skips")
    SKIPPED = re.compile(r"(\s*\d+\) )?Skipped:")

    def __init__(self) -> None:
        self.following: List[str] = []
        self.in_skip = False

    def read(self, line: str, tally: Tally) -> None:
        if found := self.CLOSING.match(line):
            runs, failures, errors, skips = map(int, found.groups())
            tally.add("passed", runs - failures - errors - skips)
            tally.add("failed", failures + errors)
            tally.add("skipped", skips)
        elif self.SKIPPED.match(line):
            self.in_skip, self.following = True, []
        elif self.in_skip:
            self.following.append(line.strip())
            if len(self.following) == 2:
                where, reason = self.following
                tally.remarks.append(f"skipped: {where.split(' [')[0]}: {reason}")
                self.in_skip = False


class Pytest(Format):
    """`3 failed, 40 passed, 2 skipped in 5.10s`, between rulers or not; with `-rs`, one
    `SKIPPED [2] file:line: reason` for the skips of one place."""

    CLOSING = re.compile(r"(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s")
    COUNT = re.compile(r"(\d+) ([a-z]+)")
    MEANING = {
        "passed": "passed",
        "xpassed": "passed",
        "failed": "failed",
        "error": "failed",
        "errors": "failed",
        "skipped": "skipped",
        "xfailed": "skipped",
    }

    def read(self, line: str, tally: Tally) -> None:
        if line.startswith("SKIPPED ["):
            tally.remarks.append("skipped: " + line[len("SKIPPED ") :].strip())
        elif found := self.CLOSING.match(line):
            for number, word in self.COUNT.findall(found[1]):
                if word in self.MEANING:
                    tally.add(self.MEANING[word], int(number))


class Node(Format):
    """Of `node --test`, with its reporter `spec` or `tap`: `ℹ pass 40`; a skip is told as
    `﹣ name (0.5ms) # reason`."""

    COUNT = re.compile(r"(?:ℹ|#) (pass|fail|cancelled|skipped|todo) (\d+)$")
    SKIPPED = re.compile(r"\s*﹣ (.*) \([\d.]+ms\) # (.*)")
    MEANING = {"pass": "passed", "fail": "failed", "cancelled": "failed", "skipped": "skipped"}

    def read(self, line: str, tally: Tally) -> None:
        if found := self.COUNT.match(line):
            if found[1] in self.MEANING:
                tally.add(self.MEANING[found[1]], int(found[2]))
        elif found := self.SKIPPED.match(line):
            tally.remarks.append(f"skipped: {found[1]}: {found[2]}")


FORMATS: Dict[str, Type[Format]] = {
    "cmocka": Cmocka,
    "minitest": Minitest,
    "pytest": Pytest,
    "node": Node,
}


def run(name: str, form: str, command: List[str], out: TextIO = sys.stdout) -> Tally:
    tally, reader, start = Tally(name), FORMATS[form](), time.monotonic()
    suite = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert suite.stdout is not None
    with suite.stdout:
        for line in suite.stdout:
            print(line, end="", flush=True, file=out)
            if line.startswith("REPEATED "):
                tally.add("repeated", 1)
                tally.remarks.append("repeated: " + line[len("REPEATED ") :].strip())
            else:
                reader.read(line, tally)
    status = suite.wait()
    tally.seconds = time.monotonic() - start
    if status != 0 and tally.failed == 0:
        tally.failed = 1
        tally.remarks.append(f"ended with status {status} without counting a failure: see above")
    elif tally.passed + tally.failed + tally.skipped == 0:
        tally.failed = 1
        tally.remarks.append("ran no test")
    return tally


def main(arguments: List[str]) -> int:
    counts = None
    if arguments[:1] == ["--counts"]:
        counts, arguments = Path(arguments[1]), arguments[2:]
    cut = arguments.index("--")
    suites: Dict[str, str] = dict(suite.split("=", 1) for suite in arguments[:cut])
    make = arguments[cut + 1 :]

    tallies = []
    for name, form in suites.items():
        print(f"\n==== {name}: {' '.join(make[:1])} test-{name} ====", flush=True)
        tallies.append(run(name, form, [*make, f"test-{name}"]))

    print()
    for tally in tallies:
        print(f"{tally.name:8} {tally} in {tally.seconds:.0f} s")
        for remark in tally.remarks:
            print(f"         {remark}")
    total = Tally("all")
    for tally in tallies:
        for outcome in ("passed", "failed", "skipped", "repeated"):
            total.add(outcome, getattr(tally, outcome))
    print(f"\nTries repeated: {total.repeated}")
    print(f"\n{total}", flush=True)
    if counts is not None:
        counts.parent.mkdir(parents=True, exist_ok=True)
        counts.write_text(f"{total}\n")
    return 1 if total.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
