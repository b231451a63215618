"""What pip and gem say on a system that has nothing, then a compiler, then libcurl's headers: one
line names the package to install. In a chroot of a new Debian; takes root and a mirror."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import chroot  # noqa: E402

RELEASE = os.environ.get("RELEASE", "bookworm")
PIP = "cd /tmp && pip install --no-build-isolation --no-index --break-system-packages '/a checkout'"
GEM = "cd '/a checkout' && gem build -q dynoscale_ruby.gemspec && gem install --local *.gem"
INSTALL = "apt-get install -q -y --no-install-recommends"
SYSTEMS = {
    "a C11 compiler": ["build-essential", "gcc", "build-base", "xcode-select --install"],
    "Python.h": ["python3-dev", "python3-devel", "brew install python"],
    "ruby.h": ["ruby-dev", "ruby-devel", "brew install ruby"],
    "curl/curl.h": ["libcurl4-openssl-dev", "libcurl-devel", "curl-dev", "xcode-select --install"],
    "no working C compiler": ["gcc make", "build-base", "xcode-select --install"],
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chroot.Chroot]:
    """A Debian with both interpreters and their installers, and nothing to compile with."""
    if reason := chroot.missing():
        pytest.skip(reason)
    try:
        system = chroot.Chroot(RELEASE, tmp_path_factory.mktemp("chroot") / "root")
        with system:
            products = shutil.ignore_patterns(".git", "build", "*.so", "*.egg-info")
            shutil.copytree(ROOT, system.root / "a checkout", ignore=products)
            packages = "python3 python3-pip python3-setuptools python3-wheel ruby"
            done = system.run(f"apt-get update -q && {INSTALL} {packages}")
            assert done.returncode == 0, done.stdout
            yield system
    except OSError as error:
        pytest.skip(str(error))


def ours(output: str) -> List[str]:
    """The lines that the build itself has to say, without what pip and gem put around them."""
    return [line.strip() for line in output.splitlines() if "apt-get install" in line]


def assert_says(machine: chroot.Chroot, command: str, what: str) -> None:
    done = machine.run(command)
    assert done.returncode != 0, done.stdout
    (line,) = ours(done.stdout)
    assert what in line and line.startswith("dynoscale"), done.stdout
    for package in SYSTEMS[what]:
        assert package in line
    assert "Traceback" not in done.stdout, done.stdout


# One after the other: each installs what the one before it lacked.
def test_a_system_is_told_what_it_lacks_until_both_install(machine: chroot.Chroot) -> None:
    assert_says(machine, PIP, "a C11 compiler")
    assert_says(machine, GEM, "ruby.h")
    machine.run(f"{INSTALL} ruby-dev && apt-get remove -q -y gcc make && apt-get autoremove -q -y")
    assert_says(machine, GEM, "no working C compiler")

    machine.run(f"{INSTALL} gcc make libc6-dev")
    assert_says(machine, PIP, "Python.h")
    assert_says(machine, GEM, "curl/curl.h")

    machine.run(f"{INSTALL} python3-dev")
    assert_says(machine, PIP, "curl/curl.h")

    machine.run(f"{INSTALL} libcurl4-openssl-dev")
    done = machine.run(f"{PIP} && cd / && python3 -c 'from dynoscale import stats; stats()'")
    assert done.returncode == 0, done.stdout
    # Both bring a program `dynoscale`, and want to put it into /usr/local/bin.
    machine.run("cd / && pip uninstall --yes --break-system-packages dynoscale")
    done = machine.run(f"{GEM} && cd / && ruby -rdynoscale_ruby -e 'puts DynoscaleRuby::VERSION'")
    assert done.returncode == 0 and re.search(r"^\d+\.\d+\.\d+$", done.stdout, re.M), done.stdout

    # Not as root, into a virtual environment and a home with a blank.
    machine.run("useradd --create-home --home-dir '/home/some body' somebody")
    machine.run(f"{INSTALL} python3-venv && chmod -R a+rX '/a checkout'")
    pip = "python3 -m venv --system-site-packages 'an environment'"
    pip += " && . 'an environment/bin/activate'"
    pip += " && cp -R '/a checkout' mine && pip install --no-build-isolation --no-index ./mine"
    assert_well(machine, f"{pip} && python -c 'from dynoscale import stats; stats()'")
    gem = "gem install --user-install --local '/a checkout/'*.gem"
    assert_well(machine, f"{gem} && ruby -rdynoscale_ruby -e 'p DynoscaleRuby.stats'")


def assert_well(machine: chroot.Chroot, script: str) -> None:
    """As a user of no rights, in a home of theirs."""
    file = machine.root / "script"
    file.write_text(f"set -e\ncd\n{script}\n")
    done = machine.run("su - somebody -c 'sh -e /script'")
    assert done.returncode == 0, done.stdout
