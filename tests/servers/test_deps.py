"""What tests/support/deps does with each kind of system, where every command is a false one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest

DEPS = Path(__file__).resolve().parents[1] / "support" / "deps"
LACKED = ["make", "ruby-dev"]


class System:
    """A PATH with nothing but what deps needs of any system, and the false commands put there."""

    def __init__(self, directory: Path) -> None:
        self._bin = directory / "bin"
        self._bin.mkdir()
        self._ran = directory / "ran"
        for name in ("sh", "sed", "sort", "tr", "cat"):
            (self._bin / name).symlink_to(str(shutil.which(name)))

    def add(self, name: str, does: str = "") -> None:
        """A command that keeps what it was given, and does that."""
        command = self._bin / name
        keep = f'printf "%s\\n" "{name} $*" >>"{self._ran}"'
        command.write_text(f"#!/bin/sh\n{keep}\n{does}\n")
        command.chmod(0o755)

    def debian(self, lacks: List[str], user: int = 0) -> None:
        """Everything is installed but that, which dpkg-query knows by name only."""
        self.add("apt-get")
        self.add("id", f"echo {user}")
        lacked = f'case " {" ".join(lacks)} " in *" $package "*) printf not- ;; esac'
        each = f'{lacked}; echo "installed $package"'
        self.add("dpkg-query", f'shift 3; for package in "$@"; do {each}; done')

    def deps(self, *groups: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._bin / "sh"), str(DEPS), *groups],
            env={"PATH": str(self._bin)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )

    def ran(self, *names: str) -> List[List[str]]:
        """What was run of these commands."""
        lines = self._ran.read_text().splitlines() if self._ran.exists() else []
        return [line.split() for line in lines if line.split()[0] in names]


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_where_nothing_is_missing_nothing_is_run(system: System) -> None:
    system.debian(lacks=[], user=1000)
    system.add("sudo")
    done = system.deps("build", "demo")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert system.ran("sudo", "apt-get") == []
    (query,) = system.ran("dpkg-query")
    assert {"gcc", "nginx"} <= set(query)  # of both groups


def test_what_is_missing_is_installed_through_sudo(system: System) -> None:
    system.debian(LACKED, user=1000)
    system.add("sudo")
    done = system.deps("build")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Installing with apt-get: make ruby-dev\n"
    assert system.ran("sudo", "apt-get") == [["sudo", str(DEPS), "--as-root", *LACKED]]


def test_a_sudo_that_fails_fails(system: System) -> None:
    system.debian(LACKED, user=1000)
    system.add("sudo", "exit 7")
    assert system.deps("build").returncode == 7


def test_without_sudo_it_names_the_packages(system: System) -> None:
    system.debian(LACKED, user=1000)
    done = system.deps("build")
    assert done.returncode == 1
    assert "needs root, or sudo: " in done.stderr and " make ruby-dev\n" in done.stderr
    assert system.ran("apt-get") == []


def test_other_systems_are_told_what_to_install(system: System) -> None:
    done = system.deps("test")
    assert done.returncode == 1
    for words in ("dnf install", "apk add", "pacman -S", "brew install", "DEPS=skip"):
        assert words in done.stderr


@pytest.mark.parametrize("groups", [["nonsense"], ["build", "nonsense"]])
def test_a_group_that_there_is_not(system: System, groups: List[str]) -> None:
    system.debian(LACKED)
    done = system.deps(*groups)
    assert done.returncode == 2
    assert "no group 'nonsense'" in done.stderr
    assert system.ran("apt-get") == []


def test_no_group_at_all_shows_the_usage(system: System) -> None:
    done = system.deps()
    assert done.returncode == 2
    assert "deps GROUP..." in done.stdout
