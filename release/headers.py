"""Where the headers are that a build for another interpreter needs: of each Python and each Ruby,
and libcurl's. Each function gives a folder to compile with, copied to build/release/headers."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, List, Optional

import debian
import tools

HEADERS = tools.BUILD / "headers"
# The releases of Debian that have a version's headers.
PYTHONS = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie", "3.14": "forky", "3.15": "forky"}
RUBIES = {"3.1": "bookworm", "3.3": "trixie"}
# Where else interpreters are: pyenv's, those of GitHub's runners and of uv.
PLACES = [
    os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")) + "/versions/{}.*/bin",
    os.environ.get("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache") + "/Python/{}.*/x64/bin",
    os.path.expanduser("~/.local/share/uv/python/cpython-{}.*/bin"),
]


def python(version: str) -> Optional[Path]:
    """Those of CPython 3.x, None where there are none to be had. They are the same for every
    platform of 64 bits that is built for, and with Py_GIL_DISABLED for free-threaded ones."""
    folder = HEADERS / f"python{version}"
    if folder.exists():
        return folder
    for interpreter in interpreters(version):
        include, config = python_paths(interpreter)
        if (include / "Python.h").exists() and config.exists():
            return copied(include, config, folder)
    if version in PYTHONS and debian.is_reachable():
        package = f"libpython{version}-dev"
        include = debian.unpacked(PYTHONS[version], "amd64", [package]) / "usr" / "include"
        config = include / "x86_64-linux-gnu" / f"python{version}" / "pyconfig.h"
        return copied(include / f"python{version}", config, folder)
    return None


def interpreters(version: str) -> Iterator[str]:
    found = shutil.which(f"python{version}")
    places = [path for place in PLACES for path in sorted(glob.glob(place.format(version)))]
    for path in ([found] if found else []) + [f"{place}/python{version}" for place in places]:
        # One of pyenv's shims stands for a version that may not be in use.
        if subprocess.run([path, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            yield path


def python_paths(interpreter: str) -> List[Path]:
    """Its include folder and its pyconfig.h, the very one where there is one per architecture."""
    code = "import sysconfig as s; print(s.get_paths()['include'], s.get_config_h_filename(), sep='\\n')"
    return [Path(path) for path in tools.run([interpreter, "-c", code]).splitlines()]


def copied(include: Path, config: Path, folder: Path) -> Path:
    unfinished = folder.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(include, unfinished)
    shutil.copy(config, unfinished / "pyconfig.h")
    unfinished.rename(folder)
    return folder


def curl() -> Path:
    """libcurl's: of this system, since they are the same on every one."""
    folder = HEADERS / "curl"
    if not folder.exists():
        found = [*glob.glob("/usr/include/curl"), *glob.glob("/usr/include/*/curl")]
        if not found:
            raise SystemExit(
                "There are no libcurl headers (curl/curl.h): apt-get install libcurl4-openssl-dev"
            )
        shutil.copytree(found[0], folder / "curl")
    return folder


def ruby(version: str, architecture: str) -> Optional[List[Path]]:
    """Those of Ruby 3.x for "amd64" or "arm64", None where there are none to be had: Debian's."""
    if version not in RUBIES or not debian.is_reachable():
        return None
    package = f"ruby{version}-dev"
    include = debian.unpacked(RUBIES[version], architecture, [package]) / "usr" / "include"
    name = f"ruby-{version}.0"
    (config,) = include.glob(f"*-linux-gnu/{name}")
    return [include / name, config]
