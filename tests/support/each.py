#!/usr/bin/env python3
"""Runs a command for each of several files, and once more where it fails.

    each.py FILE... -- COMMAND [ARGUMENT...]

Passes the output on. Of a run that failed and is tried again, node's counts are left out, and a
line `REPEATED FILE: why` is added, which suites.py counts. Exit status 0 only if each file's last
run succeeded.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import List

COUNT = re.compile(r"(?:ℹ|#) (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ")
FAILED = re.compile(r"\s*✖ (?!failing tests:)(.*) \([\d.]+ms\)$")


def run(command: List[str], again: bool) -> bool:
    """False if it failed and is worth another try, which is then announced."""
    counts, failed = [], []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if COUNT.match(line):
                counts.append(line)
                continue
            if found := FAILED.match(line):
                failed.append(found[1])
            print(line, end="", flush=True)
    if process.returncode != 0 and again:
        why = f"{failed[0]} failed" if failed else f"ended with status {process.returncode}"
        print(f"REPEATED {command[-1]}: {why}", flush=True)
        return False
    print("".join(counts), end="", flush=True)
    return process.returncode == 0


def main(arguments: List[str]) -> int:
    cut = arguments.index("--")
    files, command = arguments[:cut], arguments[cut + 1 :]
    status = 0
    for file in files:
        if not run([*command, file], again=True) and not run([*command, file], again=False):
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
