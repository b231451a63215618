"""`make release-check` says what is lacking, in a copy of the checkout that lacks it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit, with a release that lacks nothing."""
    folder = tmp_path / "a checkout"
    products = shutil.ignore_patterns(".git", "build", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=products)
    log = folder / "CHANGELOG.md"
    dated = re.sub(r"^(## \S+) \(.*\)$", r"\1 (2026-01-02)", log.read_text(), count=1, flags=re.M)
    log.write_text(dated)
    subprocess.run([*GIT, "init", "-q"], cwd=folder, check=True)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    subprocess.run([*GIT, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "-q", "-m", "All"], cwd=folder, check=True)


def lacking(folder: Path) -> List[str]:
    done = subprocess.run(
        [sys.executable, "release/check.py", "--without-packages"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sentences = [line.strip() for line in done.stdout.splitlines() if line.startswith("      ")]
    assert done.returncode == (1 if sentences else 0), done.stderr
    return sentences


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_checkout_that_has_all_lacks_nothing(checkout: Path) -> None:
    assert lacking(checkout) == []


def test_a_version_without_an_entry_is_lacking_everywhere_it_is_told(checkout: Path) -> None:
    header = checkout / "core" / "include" / "dynoscale.h"
    text = re.sub(r'(DYNOSCALE_VERSION) ".*"', r'\1 "77.0.0"', header.read_text())
    header.write_text(text)
    commit(checkout)
    said = lacking(checkout)
    assert any(line.startswith("CHANGELOG.md: its newest entry is ") for line in said)
    assert any(line.startswith("README.md: asks for ") for line in said)
    assert all("77.0.0" in line for line in said)


def test_an_entry_without_a_date_is_lacking(checkout: Path) -> None:
    replace(checkout / "CHANGELOG.md", "(2026-01-02)", "(unreleased)")
    commit(checkout)
    (line,) = lacking(checkout)
    assert line.startswith("CHANGELOG.md: ") and "has no date but (unreleased)" in line


def test_a_change_that_is_not_committed_is_lacking(checkout: Path) -> None:
    (checkout / "new.txt").write_text("new")
    assert lacking(checkout) == ["git: 1 files differ from the commit, new.txt among them"]


def test_a_tag_at_another_commit_is_lacking(checkout: Path) -> None:
    sys.path.insert(0, str(ROOT / "release"))
    import check

    tag = f"v{check.version()}"
    subprocess.run(["git", "tag", tag], cwd=checkout, check=True)
    assert lacking(checkout) == []
    (checkout / "new.txt").write_text("new")
    commit(checkout)
    (line,) = lacking(checkout)
    assert line.startswith(f"git: the tag {tag} is at another commit")


def test_a_python_with_a_wheel_and_no_classifier_is_lacking(checkout: Path) -> None:
    replace(checkout / "setup.py", '"Programming Language :: Python :: 3.15",', "")
    commit(checkout)
    assert lacking(checkout) == ["setup.py: there is a wheel for Python 3.15, and no classifier"]
