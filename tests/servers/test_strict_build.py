"""Both bindings and the core, read by each compiler that is here with all warnings on. The headers
of Python and Ruby are the system's: what they would be warned of is none of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Callable, Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only"]


def python_headers() -> List[str]:
    paths = sysconfig.get_paths()
    return [paths["include"], paths["platinclude"]]


def ruby_headers() -> List[str]:
    code = "puts RbConfig::CONFIG.values_at('rubyhdrdir', 'rubyarchhdrdir')"
    command = [os.environ.get("RUBY", "ruby"), "-rrbconfig", "-e", code]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")


HEADERS: Dict[str, Callable[[], List[str]]] = {
    "core/src": lambda: [],
    "ext/python": python_headers,
    "ext/ruby": ruby_headers,
}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("folder", HEADERS)
def test_a_strict_compiler_has_nothing_to_say(folder: str, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    command = [compiler, *STRICT, "-I", "core/include"]
    for directory in filter(None, HEADERS[folder]()):
        command += ["-isystem", directory]
    sources = sorted(str(file.relative_to(ROOT)) for file in (ROOT / folder).glob("*.c"))
    assert sources
    done = subprocess.run(
        [*command, *sources],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
