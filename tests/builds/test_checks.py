"""What those who check packages before they are published have to say of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUBY = os.environ.get("RUBY", "/usr/bin/ruby")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not here")


def run(*command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(directory: Path) -> List[str]:
    run(sys.executable, "-W", "ignore", "-m", "build", "--no-isolation", "--outdir", str(directory))
    return [str(package) for package in directory.iterdir()]


@needs("twine")
def test_twine_minds_neither_the_sdist_nor_the_wheel(tmp_path: Path) -> None:
    packages = build(tmp_path)
    assert run("twine", "--no-color", "check", "--strict", *packages).count("PASSED") == 2


@needs("check-manifest")
def test_the_sdist_has_all_that_is_not_left_out_on_purpose() -> None:
    run("check-manifest", "--no-build-isolation")


def test_rubygems_minds_nothing_about_the_gem(tmp_path: Path) -> None:
    package = tmp_path / "dynoscale_ruby.gem"
    said = run(RUBY, "-S", "gem", "build", "--strict", "dynoscale_ruby.gemspec", "-o", str(package))
    assert package.exists() and "WARNING" not in said


@pytest.mark.parametrize("option", ["-I", "-IOO"])
def test_a_try_fails_where_nothing_arrives_with_and_without_asserts(
    option: str, tmp_path: Path
) -> None:
    package = tmp_path / "dynoscale"
    package.mkdir()
    lines = ["__version__ = '1'", "def configure(**_): pass", "def flush(_): return False"]
    (package / "__init__.py").write_text("\n".join([*lines, "def stats(): return {}\n"]))
    (package / "wsgi.py").write_text("def DynoscaleWsgiApp(app): return app\n")
    code = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
    code += f"runpy.run_path({str(ROOT / 'release' / 'try.py')!r})"
    done = subprocess.run([sys.executable, option, "-c", code], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "of 10 requests 0 arrived: {}\n")
