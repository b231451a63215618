"""What the documents tell a reader to follow is there: files, headings, commands and their options,
targets of make, rules."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest
from dynoscaled import PROGRAM

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "core/*.md", "service/*.md", "bench/*.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> Set[str]:
    """Of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_link_of_a_document_leads_to_a_file_and_a_heading(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"https?:|mailto:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        there = target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))
        if not there:
            wrong.append(link)
    assert wrong == []


# ---- Commands


def command_lines(page: Path) -> Iterator[str]:
    """Each command of the page's blocks, whole, and those of its sentences."""
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in ("", "sh", "bash"):
            yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from (" ".join(words.split()) for words in re.findall(r"`(\w[^`]*)`", prose(page)))


def of_dynoscaled(page: Path) -> Iterator[List[str]]:
    """The words of each call of `dynoscaled` that gives options or arguments."""
    for line in command_lines(page):
        found = re.search(r"(?:^|[\s|/(])dynoscaled ([a-z].*)$", line.split("  #")[0])
        if not found:
            continue
        words = re.split(r"\s(?:\||>|<)|\||\[\W", found[1].replace("...", ""))[0]
        yield shlex.split(words.replace("[", "").replace("]", "").replace("'", ""))


def output(*command: str) -> Tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


HELP: Dict[str, str] = {}


def help_of(words: List[str]) -> str:
    """The help of the command that the words begin with; "" where there is none."""
    for count in (2, 1):
        command = " ".join(words[:count])
        if command not in HELP:
            status, text = output(str(PROGRAM), *words[:count], "--help")
            HELP[command] = text if status == 0 and f"dynoscaled {command}" in text else ""
        if HELP[command]:
            return HELP[command]
    return ""


def is_command(words: List[str]) -> bool:
    """Not a sentence that goes on behind the program's name."""
    return re.fullmatch(r"[a-z]{2,}", words[0]) is not None and words[0] != "dynoscaled"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_command_of_a_document_is_known_with_its_options(page: Path) -> None:
    wrong = []
    for words in of_dynoscaled(page):
        if not words or not is_command(words):
            continue
        text = help_of(words)
        own = words[: words.index("--")] if "--" in words else words
        options = [word.split("=")[0] for word in own if re.match(r"--[a-z]", word)]
        known = re.findall(r"--[a-z][a-z-]*", text) + ["--help"]
        if not text or not set("|".join(options).split("|")) - {""} <= set(known):
            wrong.append(" ".join(words))
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_target_of_make_in_a_document_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {found[1] for line in command_lines(page) for found in [re.match(r"make ([a-z-]+)\b(?!,)", line)] if found}
    assert named <= targets


def test_the_rules_of_the_document_are_rules(tmp_path: Path) -> None:
    text = (ROOT / "docs/service.md").read_text(encoding="utf-8")
    blocks = (block for language, block in FENCE.findall(text) if language == "yaml")
    (rules,) = (block for block in blocks if "processes:" in block)
    file = tmp_path / "rules.yaml"
    file.write_text(rules, encoding="utf-8")
    status, said = output(str(PROGRAM), "rules", "check", str(file))
    assert status == 0, said
