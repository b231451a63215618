"""Says how many lines of each file were reached, and fails where a file that is named reached too few.

    gcovr --json-summary - ... | python3 coverage.py PERCENT PATTERN...
"""

from __future__ import annotations

import fnmatch
import json
import sys


def main() -> int:
    least, patterns = float(sys.argv[1]), sys.argv[2:]
    files = json.load(sys.stdin)["files"]
    missed = 0
    for file in sorted(files, key=lambda one: str(one["filename"])):
        name, percent = file["filename"], file["line_percent"] or 0
        held = any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
        low = held and percent < least
        missed += low
        bar = f"  of {least:g} %{': TOO FEW' if low else ''}" if held else ""
        print(f"{name:45} {file['line_total']:5} {percent:5.1f} %{bar}")
    for pattern in patterns:
        if not any(fnmatch.fnmatch(file["filename"], pattern) for file in files):
            print(f"no file is {pattern}")
            missed += 1
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
