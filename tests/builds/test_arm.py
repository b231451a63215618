"""The wheels and the gem for ARM, run by qemu in the files of Debian's packages: Python's, Ruby's,
libcurl's, and what they depend on. Takes a mirror, no root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "release"))

import debian  # noqa: E402
import tools  # noqa: E402

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
RELEASE = "trixie"
PACKAGES = ["python3.13", "ruby3.3", "libcurl4t64"]


@pytest.fixture(scope="session")
def system() -> Path:
    """A folder that has what a system with these packages has. Kept."""
    if QEMU is None:
        pytest.skip("there is no qemu-aarch64; on Debian: apt-get install qemu-user-static")
    if not debian.is_reachable():
        pytest.skip("Debian's packages need apt-get")
    folder = debian.FETCHED / f"{RELEASE}-arm64-system"
    if not folder.exists():
        unfinished = folder.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        # As a new one has them: /lib is a link to /usr/lib.
        for name in ("lib", "bin", "sbin"):
            (unfinished / "usr" / name).mkdir(parents=True)
            (unfinished / name).symlink_to(f"usr/{name}")
        options = debian.options(RELEASE, "arm64")
        download = ["install", "--download-only", "-y", "--no-install-recommends", *PACKAGES]
        tools.run(["apt-get", "-qq", *options, *download])
        for archive in (debian.FETCHED / f"{RELEASE}-arm64.apt/cache/archives").glob("*.deb"):
            tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
            keep = ["tar", "-C", str(unfinished), "-x", "--keep-directory-symlink"]
            subprocess.run(keep, stdin=tar.stdout, check=True)
            assert tar.wait() == 0
        unfinished.rename(folder)
    return folder


def run(system: Path, command: List[str], **variables: str) -> str:
    program = str(system / command[0])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(QEMU), "-L", str(system), program, *command[1:]],
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_reports_on_arm(system: Path, tmp_path: Path) -> None:
    build = ["release/wheels.py", "--python", "3.13", "--only", "aarch64-linux-gnu"]
    tools.run([sys.executable, *build, "--to", str(tmp_path)], cwd=ROOT)
    (wheel,) = tmp_path.glob("*aarch64.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    script = str(ROOT / "release" / "try.py")
    path = {"PYTHONPATH": str(tmp_path / "installed")}
    assert " reports\n" in run(system, ["usr/bin/python3.13", "-W", "error", script], **path)


def test_the_gem_reports_on_arm(system: Path, tmp_path: Path) -> None:
    tools.run([sys.executable, "release/gems.py", "--to", str(tmp_path)], cwd=ROOT)
    (gem,) = tmp_path.glob("*aarch64-linux.gem")
    with tarfile.open(gem) as outer:
        with tarfile.open(fileobj=outer.extractfile("data.tar.gz")) as inner:
            inner.extractall(tmp_path / "installed")
    library = str(tmp_path / "installed" / "ruby" / "lib")
    script = str(ROOT / "release" / "try.rb")
    said = run(system, ["usr/bin/ruby3.3", "-W", "--disable-gems", "-I", library, script])
    assert "aarch64-linux-gnu reports\n" in said
