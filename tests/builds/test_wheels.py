"""The wheels, where there is no compiler and no header: in new Debians, from the oldest that there
is to sid, with each Python that they have and each that this machine can lend them. First without
libcurl, then with it. Takes root and a mirror."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "release")]

import chroot  # noqa: E402
import headers  # noqa: E402
import receiver as receivers  # noqa: E402
import wheels as release  # noqa: E402

# Where this machine's interpreters are lent to: pip before 24 knows no free-threaded ones.
LENT = "trixie"
DEBIANS = {"bullseye": ["3.9"], "bookworm": ["3.11"], "trixie": ["3.13"], "sid": ["3.14", "3.15"]}
OTHERS = [v for v in release.VERSIONS if v not in sum(DEBIANS.values(), [])]
# macOS on ARM loads nothing without one.
CODE_SIGNATURE = 0x1D
INSTALL = "apt-get install -q -y --no-install-recommends"
REQUESTS = """
import sys
import time
import dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

app = DynoscaleWsgiApp(lambda environ, start_response: [b"hello"])
for _ in range(10):
    environ = {"HTTP_X_REQUEST_START": str(int(time.time() * 1000) - 20)}
    assert app(environ, None) == [b"hello"]
print(dynoscale.flush(float(sys.argv[1])))
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    lacking = [v for v in release.VERSIONS if headers.python(v.rstrip("t")) is None]
    command = [sys.executable, str(ROOT / "release" / "wheels.py"), "--only", "x86_64-linux"]
    for version in release.VERSIONS:
        command += ["--python", version] if version not in lacking else []
    done = subprocess.run(
        [*command, "--to", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def receiver() -> Iterator[receivers.Receiver]:
    with receivers.Receiver() as running:
        running.behave("ok", checks=True)
        yield running


def system(release_name: str, root: Path, installed: str) -> chroot.Chroot:
    if reason := chroot.missing():
        pytest.skip(reason)
    machine = chroot.Chroot(release_name, root)
    try:
        machine.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    done = machine.run(f"apt-get update -q && {INSTALL} {installed}")
    if done.returncode != 0:
        machine.remove()
        pytest.skip(f"{release_name}'s mirror: {done.stdout.splitlines()[-1]}")
    assert machine.run("command -v cc gcc").stdout == ""
    return machine


def lend(machine: chroot.Chroot, version: str) -> str:
    """One of this machine's interpreters, at the same place in there."""
    code = "import sys; print(sys.base_prefix)"
    for interpreter in headers.interpreters(version):
        prefix = Path(subprocess.check_output([interpreter, "-c", code], text=True).strip())
        if prefix != Path("/usr"):
            ignored = shutil.ignore_patterns("test", "tests", "*.a", "site-packages", "include")
            target = machine.root / prefix.relative_to("/")
            shutil.copytree(prefix, target, symlinks=True, ignore=ignored)
            return f"{prefix}/bin/python{version}"
    pytest.skip(f"there is no CPython {version} here to lend")


def assert_works(
    machine: chroot.Chroot, python: str, packages: Path, receiver: receivers.Receiver
) -> None:
    shutil.copytree(packages, machine.root / "packages", dirs_exist_ok=True)
    (machine.root / "requests.py").write_text(REQUESTS)
    pip = f"PYTHONPATH=/usr/lib/python3/dist-packages {python} -m pip --disable-pip-version-check"
    done = machine.run(
        f"{pip} install --no-index --find-links /packages --only-binary :all: --target /installed "
        "dynoscale"
    )
    assert done.returncode == 0, done.stdout
    assert_reports(machine, python, receiver)


def assert_reports(machine: chroot.Chroot, python: str, receiver: receivers.Receiver) -> None:
    environment = f"DYNO=web.1 DYNOSCALE_URL={receiver.url}/token PYTHONPATH=/installed"
    # The app runs, and one line says what to install.
    done = machine.run(f"{environment} {python} -W error /requests.py 10")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if "libcurl" not in line] == ["False"], done.stdout
    (line,) = (line for line in lines if "libcurl" in line)
    assert "libcurl4 (Debian, Ubuntu)" in line
    assert receiver.summary()["rows"] == 0

    if machine.run(f"{INSTALL} libcurl4t64 || {INSTALL} libcurl4").returncode != 0:
        pytest.skip("libcurl can't be installed from this mirror")
    done = machine.run(f"{environment} {python} -W error /requests.py 60")
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert receiver.summary()["rows"] == 10
    doctor = machine.run(f"{environment} {python} -m dynoscale doctor")
    assert doctor.stdout.endswith("\nAll is well.\n"), doctor.stdout


@pytest.mark.parametrize(
    ("name", "version"), [(name, v) for name, versions in DEBIANS.items() for v in versions]
)
def test_debians_python_takes_the_wheel_and_reports(
    name: str, version: str, packages: Path, receiver: receivers.Receiver, tmp_path: Path
) -> None:
    machine = system(name, tmp_path / "root", f"python{version} python3-pip")
    try:
        assert_works(machine, f"python{version}", packages, receiver)
    finally:
        machine.remove()


@pytest.mark.parametrize("version", OTHERS)
def test_another_python_takes_its_wheel_and_reports(
    version: str, packages: Path, receiver: receivers.Receiver, tmp_path: Path
) -> None:
    machine = system(LENT, tmp_path / "root", "python3-pip libffi8 zlib1g")
    try:
        assert_works(machine, lend(machine, version), packages, receiver)
    finally:
        machine.remove()


def test_each_wheel_has_what_setup_py_puts_into_one(packages: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "bdist_wheel"]
    folders = ["--bdist-dir", str(tmp_path / "files"), "-d", str(tmp_path)]
    subprocess.run([*command, *folders], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (ours,) = tmp_path.glob("*.whl")
    for wheel in packages.iterdir():
        assert names(wheel) == names(ours)


def names(wheel: Path) -> List[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(re.sub(r"_native\..*so", "_native.so", name) for name in archive.namelist())


def test_a_second_build_is_the_same_to_the_byte(packages: Path, tmp_path: Path) -> None:
    (wheel,) = packages.glob("*-cp311-cp311-manylinux*")
    command = [sys.executable, str(ROOT / "release" / "wheels.py"), "--python", "3.11"]
    command += ["--only", "x86_64-linux-gnu", "--to", str(tmp_path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    again, before = (tmp_path / wheel.name).read_bytes(), wheel.read_bytes()
    assert hashlib.sha256(again).digest() == hashlib.sha256(before).digest()  # else pytest writes out both


@pytest.mark.parametrize("target", ["x86_64-macos", "aarch64-macos"])
def test_a_wheel_for_macos_is_built(target: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "release" / "wheels.py"), "--python", "3.11"]
    command += ["--only", target, "--to", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    (wheel,) = tmp_path.iterdir()
    assert "-macosx_11_0_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        library = archive.read("dynoscale/_native.cpython-311-darwin.so")
    # Nothing tells where it was built, in another folder each time.
    for place in (str(ROOT), tempfile.gettempdir() + "/"):
        assert place.encode() not in library
    if target.startswith("aarch64"):
        assert CODE_SIGNATURE in load_commands(library)


def load_commands(library: bytes) -> List[int]:
    """The numbers of what a Mach-O file has its loader do."""
    (count,) = struct.unpack_from("<I", library, 16)
    found, place = [], 32
    for _ in range(count):
        number, size = struct.unpack_from("<2I", library, place)
        found.append(number)
        place += size
    return found


def test_no_wheel_takes_more_than_a_libc(packages: Path, tmp_path: Path) -> None:
    for wheel in packages.iterdir():
        folder = tmp_path / wheel.stem
        shutil.unpack_archive(wheel, folder, "zip")
        (library,) = folder.glob("dynoscale/_native*.so")
        said = subprocess.check_output(["readelf", "-dW", str(library)], text=True)
        needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", said))
        assert needed <= {"libc", "libpthread", "libdl"}, (wheel.name, needed)
        assert os.path.getsize(library) < 300_000


def test_a_python_on_musl_takes_its_wheel(packages: Path, tmp_path: Path) -> None:
    """Debian has none: MUSL_PYTHON names one, where there is one."""
    python = os.environ.get("MUSL_PYTHON")
    if python is None:
        pytest.skip("no MUSL_PYTHON names an interpreter that was built for musl")
    code = "import sys; print('cp%d%d' % sys.version_info[:2])"
    tag = subprocess.check_output([python, "-c", code], text=True).strip()
    (wheel,) = packages.glob(f"*-{tag}-{tag}-musllinux*")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    (tmp_path / "requests.py").write_text(REQUESTS)
    settings = {"DYNO": "web.1", "DYNOSCALE_URL": "http://127.0.0.1:9/token"}
    done = subprocess.run(
        [python, str(tmp_path / "requests.py"), "10"],
        env={**os.environ, **settings, "PYTHONPATH": str(tmp_path / "installed")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
