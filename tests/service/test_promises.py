"""The tests that service/README.md names for its promises exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_promise_names_tests_that_there_are() -> None:
    text = (ROOT / "service/README.md").read_text()
    table = text[text.index("## Promises") : text.index("## Threads")]
    tests = [*ROOT.glob("tests/service/test_*"), *ROOT.glob("tests/loop/test_*.py")]
    sources = "\n".join(path.read_text() for path in tests if path.suffix in (".c", ".py"))
    there = set(re.findall(r"^(?:def|static void) (\w+)\(", sources, re.MULTILINE))
    promises = [line for line in table.splitlines() if re.match(r"\| \d\. ", line)]
    assert len(promises) == 7
    for promise in promises:
        named = re.findall(r"`(\w+)`", promise)
        assert named, promise
        assert set(named) <= there, set(named) - there
