"""Both extensions are built with the platform's hardening options."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Dict, List

import pytest
from app_servers import PYTHON, PYTHONPATH, RUBY, environment, output

if not sys.platform.startswith("linux"):
    pytest.skip("ELF alone is looked at", allow_module_level=True)

RUBY_EXTENSION = "require 'dynoscale_ruby'; puts $LOADED_FEATURES.grep(/dynoscale_ruby\\.so$/)"
PYTHON_EXTENSION = "import dynoscale._native; print(dynoscale._native.__file__)"
COMMANDS: Dict[str, List[str]] = {
    "ruby": [RUBY, "-e", RUBY_EXTENSION],
    "python": [PYTHON, "-c", PYTHON_EXTENSION],
}
ENTRIES = {"ruby": "Init_dynoscale_ruby", "python": "PyInit__native"}


@pytest.fixture(scope="module", params=list(COMMANDS))
def language(request: pytest.FixtureRequest) -> str:
    language: str = request.param
    return language


@pytest.fixture(scope="module")
def extension(language: str) -> str:
    env = environment({"PYTHONPATH": PYTHONPATH})
    return subprocess.run(
        COMMANDS[language], env=env, stdout=subprocess.PIPE, check=True, text=True
    ).stdout.strip()


def readelf(option: str, file: str) -> str:
    text = output("readelf", "--wide", option, file)
    assert text is not None, "readelf is part of binutils, which every compiler needs"
    return text


def undefined(extension: str) -> List[str]:
    symbols = readelf("--dyn-syms", extension)
    return re.findall(r"\bUND (\w+)", symbols)


def test_addresses_are_bound_at_once_and_then_read_only(extension: str) -> None:
    assert "GNU_RELRO" in readelf("--segments", extension)
    assert re.search(r"\bNOW\b", readelf("--dynamic", extension))


def test_nothing_is_writable_and_executable(extension: str) -> None:
    segments = readelf("--segments", extension)
    assert re.search(r"GNU_STACK.*\bRW\b", segments)
    assert not re.search(r"^ *\w+ .*\bRWE\b", segments, re.MULTILINE)
    assert "TEXTREL" not in readelf("--dynamic", extension)


def test_the_stack_is_protected(extension: str) -> None:
    assert "__stack_chk_fail" in undefined(extension)


def test_calls_that_write_to_buffers_are_checked(extension: str) -> None:
    assert [name for name in undefined(extension) if name.endswith("_chk")]


def test_one_symbol_is_shown(language: str, extension: str) -> None:
    symbols = readelf("--dyn-syms", extension)
    shown = re.findall(r"(?:GLOBAL|WEAK) +DEFAULT +\d+ (\w+)", symbols)
    assert shown == [ENTRIES[language]]


def test_no_library_is_needed_for_http(extension: str) -> None:
    """libcurl is loaded when there is something to send, and not before."""
    assert "curl" not in readelf("--dynamic", extension)
