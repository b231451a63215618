"""The tests that service/README.md and SECURITY.md name exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Set

ROOT = Path(__file__).resolve().parents[2]


def known_tests() -> Set[str]:
    tests = [*ROOT.glob("tests/service/test_*"), *ROOT.glob("tests/loop/test_*.py")]
    sources = "\n".join(path.read_text() for path in tests if path.suffix in (".c", ".py"))
    return set(re.findall(r"^(?:def|static void) (\w+)\(", sources, re.MULTILINE))


def test_every_line_of_the_security_page_names_tests_and_files_that_there_are() -> None:
    text, there = (ROOT / "service/SECURITY.md").read_text(), known_tests()
    named = {name for name in re.findall(r"`(\w+)`", text) if name.startswith("test_") or name.count("_") > 2}
    assert len(named) > 60 and named <= there, named - there
    for path in re.findall(r"`((?:tests|service|docs)/[\w/.-]+)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`(test_\w+\.\w+)`", text):
        assert (ROOT / "tests/service" / name).exists(), name


def test_every_promise_names_tests_that_there_are() -> None:
    text = (ROOT / "service/README.md").read_text()
    table = text[text.index("## Promises") : text.index("## Threads")]
    there = known_tests()
    promises = [line for line in table.splitlines() if re.match(r"\| \d\. ", line)]
    assert len(promises) == 7
    for promise in promises:
        named = re.findall(r"`(\w+)`", promise)
        assert named, promise
        assert set(named) <= there, set(named) - there
