"""Building and installing the package: in a path with blanks, without a registry."""

from __future__ import annotations

import ast
import importlib.util
import modulefinder
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import agent_tools
import pytest

import dynoscale

ROOT = Path(__file__).resolve().parents[2]
BUILDERS = ["pip", "setuptools", "wheel", "venv"]

needs_sources = pytest.mark.skipif(
    not (ROOT / "setup.py").exists(), reason="the sources are not here"
)


@pytest.fixture(scope="session")
def builders() -> None:
    """What builds and installs; not this suite's to install."""
    code = f"import importlib.util as u; print(*(n for n in {BUILDERS} if not u.find_spec(n)))"
    lacking = execute([sys.executable, "-c", code], ROOT).strip()
    if lacking:
        pytest.skip(f"{sys.executable} lacks {lacking}")


SMOKE_TEST = """
import sys
import dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp
from dynoscale.hooks.gunicorn import pre_request
import time

assert dynoscale.__file__.startswith(sys.prefix), dynoscale.__file__
wrapper = DynoscaleWsgiApp(lambda environ, start_response: [b"hello"])
environ = {"HTTP_X_REQUEST_START": str(int(time.time() * 1000) - 20)}
for _ in range(10):
    assert wrapper(environ, None) == [b"hello"]
assert dynoscale.flush()
print(dynoscale.__version__)
"""


def execute(command: list[str], directory: Path, **variables: str) -> str:
    environment = {**agent_tools.child_environment(), **variables}
    if "PYTHONPATH" not in variables:
        del environment["PYTHONPATH"]
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def sdist(builders: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build leaves its products beside the sources."""
    source = tmp_path_factory.mktemp("the sources") / "a checkout"
    products = shutil.ignore_patterns(".git", "build", "dist", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=products)
    directory = tmp_path_factory.mktemp("an sdist")
    execute([sys.executable, "setup.py", "-q", "sdist", "-d", str(directory)], source)
    (archive,) = directory.iterdir()
    return archive


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as pip does."""
    directory = tmp_path_factory.mktemp("a wheel")
    options = ["--no-index", "--no-deps", "--no-build-isolation", "-w", str(directory)]
    execute([sys.executable, "-m", "pip", "wheel", *options, str(sdist)], directory)
    (archive,) = directory.iterdir()
    return archive


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The interpreter of an empty virtual environment, in a path with a blank."""
    directory = tmp_path / "an environment"
    execute([sys.executable, "-m", "venv", "--without-pip", str(directory)], tmp_path)
    return directory / "bin" / "python"


@needs_sources
def test_the_wheel_works_in_an_empty_environment(
    wheel: Path, empty: Path, receiver: Any, tmp_path: Path
) -> None:
    options = ["--python", str(empty), "install", "--no-index", str(wheel)]
    execute([sys.executable, "-m", "pip", *options], tmp_path)
    environment = {"DYNOSCALE_URL": f"{receiver.url}/token", "DYNO": "web.1"}
    output = execute([str(empty), "-W", "error", "-c", SMOKE_TEST], tmp_path, **environment)
    assert output == f"{dynoscale.__version__}\n"
    assert receiver.summary()["rows"] == 10
    receiver.behave("ok", checks=True)
    doctor = execute([str(empty.parent / "dynoscale"), "doctor"], tmp_path, **environment)
    assert doctor.endswith("\nAll is well.\n")


@needs_sources
def test_the_sdist_installs_into_an_empty_environment(
    sdist: Path, empty: Path, receiver: Any, tmp_path: Path
) -> None:
    # pip and setuptools are lent for the time of the build only.
    found = importlib.util.find_spec("setuptools")
    assert found is not None and found.origin is not None
    tools = str(Path(found.origin).resolve().parents[1])
    options = ["install", "--no-index", "--no-deps", "--no-build-isolation", str(sdist)]
    execute([str(empty), "-m", "pip", *options], tmp_path, PYTHONPATH=tools, CFLAGS="-O1 -g0")
    environment = {"DYNOSCALE_URL": f"{receiver.url}/token", "DYNO": "web.1"}
    execute([str(empty), "-c", SMOKE_TEST], tmp_path, **environment)
    assert receiver.summary()["rows"] == 10


@needs_sources
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [("gcc", "-O0 -Wall -Wextra"), ("clang", "-O3 -march=native -DNDEBUG"), ("cc", "-std=c99")],
)
def test_it_builds_with_the_users_compiler_and_flags(
    compiler: str, flags: str, sdist: Path, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "some sources")
    (unpacked,) = (tmp_path / "some sources").iterdir()
    library = tmp_path / "a library"
    command = [sys.executable, "setup.py", "-q", "build", "--build-lib", str(library)]
    settings = {"CC": compiler, "CFLAGS": flags, "PYTHONWARNINGS": "ignore"}
    assert ": warning: " not in execute(command, unpacked, **settings)
    code = "import dynoscale; dynoscale.stats(); print(dynoscale.__file__)"
    where = execute([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(library))
    assert where.startswith(str(library))


@needs_sources
def test_the_sdists_own_tests_run_from_it(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)
    (unpacked,) = tmp_path.iterdir()
    execute([sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--inplace"], unpacked)
    options = ["-p", "no:cacheprovider", "-q", "--ignore", "tests/python/test_packaging.py"]
    options += ["tests/python", "-k", "vector or settings"]
    output = execute([sys.executable, "-m", "pytest", *options], unpacked, PYTHONPATH="python")
    assert " passed" in output


@needs_sources
def test_the_wheels_tag_is_of_this_interpreter_alone(wheel: Path) -> None:
    # Per version: the stable ABI has none of what keeps the request path free of copies.
    number = f"{sys.version_info.major}{sys.version_info.minor}"
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    version = dynoscale.__version__
    assert wheel.name == f"dynoscale-{version}-cp{number}-cp{number}{free}-{platform}.whl"


@needs_sources
def test_the_sdist_has_all_that_a_build_and_the_tests_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        links = [member.name for member in archive if member.issym() or member.islnk()]
    assert links == []
    for folder, kinds in [
        ("core/include", {".h"}),
        ("core/src", {".c", ".h"}),
        ("ext/python", {".c", ".h"}),
        ("python/dynoscale", {".py", ".pyi", ".typed"}),
        ("tests/python", {".py"}),
        ("tests/vectors", {".tsv"}),
    ]:
        files = {
            str(file.relative_to(ROOT))
            for file in (ROOT / folder).rglob("*")
            if file.suffix in kinds or file.name == "py.typed"
        }
        assert files and files <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.py"} <= names
    # Of what serves all suites, these are the ones that this one imports.
    support = {"tests/support/certificates.py", "tests/support/receiver.py"}
    assert {name for name in names if name.startswith("tests/support/")} == support
    assert not [name for name in names if name.endswith((".so", ".o", ".pyc"))]


@needs_sources
def test_an_sdist_of_the_same_files_is_the_same_to_the_byte(sdist: Path, tmp_path: Path) -> None:
    source = tmp_path / "another checkout"
    with tarfile.open(sdist) as archive:
        for member in archive:
            member.mode = 0o700
            member.mtime = 1_000_000_000
            archive.extract(member, source)
    (folder,) = source.iterdir()
    # What of these is from setuptools it makes anew.
    shutil.rmtree(folder / "python" / "dynoscale.egg-info")
    for name in ("PKG-INFO", "setup.cfg"):
        (folder / name).unlink()
    execute([sys.executable, "setup.py", "-q", "sdist", "-d", str(tmp_path / "made")], folder)
    assert (tmp_path / "made" / sdist.name).read_bytes() == sdist.read_bytes()


@needs_sources
def test_the_wheel_has_the_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    information = f"dynoscale-{dynoscale.__version__}.dist-info/"
    assert {name.partition("/")[0] + "/" for name in names} == {"dynoscale/", information}
    package = {name for name in names if name.startswith("dynoscale/")}
    assert {"dynoscale/py.typed", "dynoscale/_native.pyi", "dynoscale/hooks/gunicorn.py"} < package
    assert len([name for name in package if name.endswith(".so")]) == 1
    lines = metadata.partition("\n\n")[0].splitlines()
    version = f"Version: {dynoscale.__version__}"
    assert {version, "License: MIT", "Requires-Python: >=3.9"} < {*lines}
    assert not [line for line in lines if line.startswith("Requires-Dist")]
    links = {line.split(": ", 1)[1].split(", ")[0] for line in lines if line.startswith("Project-")}
    assert {"Source", "Changelog", "Issues"} <= links


def test_the_extension_shows_one_symbol() -> None:
    nm = shutil.which("nm")
    if nm is None or sys.platform == "darwin":
        pytest.skip("there is no nm that knows -D")
    done = subprocess.run(
        [nm, "-D", "--defined-only", dynoscale._native.__file__],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    symbols = [line.split()[-1] for line in done.stdout.splitlines()]
    assert [name for name in symbols if not name.startswith("__asan")] == ["PyInit__native"]


# ---- A build that lacks something ----


COMPILER = """#!/bin/sh
for argument; do
    case $argument in *.c) grep -q '{header}' "$argument" && {{
        echo "probe.c:1:10: fatal error: {header}: No such file or directory" >&2
        exit 1
    }} ;; esac
done
exec cc "$@"
"""


def failed_build(compiler: Path, tmp_path: Path) -> list[str]:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-temp", str(tmp_path / "t")]
    done = subprocess.run(
        [*command, "--build-lib", str(tmp_path / "l")],
        cwd=ROOT,
        env={**agent_tools.child_environment(), "CC": str(compiler), "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1
    return done.stdout.splitlines()


@needs_sources
@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize(
    ("header", "packages"),
    [
        ("stdatomic.h", ["build-essential", "gcc", "build-base", "xcode-select"]),
        ("Python.h", ["python3-dev", "python3-devel", "python3-dev", "brew install python"]),
        ("curl/curl.h", ["libcurl4-openssl-dev", "libcurl-devel", "curl-dev", "xcode-select"]),
    ],
)
def test_a_build_that_lacks_something_says_what_to_install(
    header: str, packages: list[str], tmp_path: Path
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(COMPILER.format(header=header), encoding="utf-8")
    compiler.chmod(0o755)
    (line,) = failed_build(compiler, tmp_path)
    assert line.startswith("dynoscale: the build needs ") and f"fatal error: {header}" in line
    for package in packages:
        assert package in line


@needs_sources
@pytest.mark.usefixtures("builders")
def test_a_build_without_a_compiler_says_what_to_install(tmp_path: Path) -> None:
    (line,) = failed_build(tmp_path / "no compiler", tmp_path)
    assert line.startswith("dynoscale: the build needs a C11 compiler: apt-get install ")
    assert "No such file" in line


# ---- Types ----


def stub_names() -> set[str]:
    stub = agent_tools.PACKAGE / "_native.pyi"
    names = set()
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_the_stub_names_all_of_the_extension() -> None:
    assert stub_names() == {name for name in dir(dynoscale._native) if not name.startswith("__")}
    assert (agent_tools.PACKAGE / "py.typed").exists()


def mypy(*arguments: str, directory: Path) -> str:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    environment = agent_tools.child_environment(MYPYPATH=str(agent_tools.PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory,
        env={**environment, "MYPY_CACHE_DIR": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_stub_agrees_with_the_extension(tmp_path: Path) -> None:
    # What newer ones ask for has no name that the older ones know.
    newer = "--ignore-disjoint-bases"
    options = [newer] if newer in mypy("mypy.stubtest", "--help", directory=tmp_path) else []
    mypy("mypy.stubtest", *options, "dynoscale._native", directory=tmp_path)


USE = """
from typing import Any, Optional
import dynoscale
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.config import Config
from dynoscale.django import DynoscaleMiddleware
from dynoscale.hooks.gunicorn import pre_request
from dynoscale.uvicorn import DynoscaleUvicornWorker
from dynoscale.wsgi import DynoscaleWsgiApp
from wsgiref.types import WSGIApplication

def serve(app: WSGIApplication) -> WSGIApplication:
    dynoscale.configure(url="http://localhost", publish_frequency=30, skip=False)
    return DynoscaleWsgiApp(app, dyno="web.1")

async def serve_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await DynoscaleAsgiApp(serve_asgi, queue_time=True)(scope, receive, send)

class Worker(DynoscaleUvicornWorker):
    middleware = DynoscaleMiddleware

numbers: dict[str, int] = dynoscale.stats()
well: bool = dynoscale.flush() and dynoscale.stop(timeout=1) and dynoscale.flush(0.5)
taken: bool = dynoscale.job_queue_time("rq", "default", 12.5)
version: str = dynoscale.__version__
reason: Optional[str] = Config().off_reason
pre_request(worker=object(), req=object())
"""


def test_the_public_names_are_typed(tmp_path: Path) -> None:
    program = tmp_path / "use.py"
    program.write_text(USE, encoding="utf-8")
    mypy("mypy", "--strict", str(program), directory=tmp_path)


@needs_sources
def test_the_package_is_typed(tmp_path: Path) -> None:
    mypy("mypy", "--strict", str(agent_tools.PACKAGE), directory=tmp_path)


def test_a_package_without_its_compiled_part_says_so_in_one_line(tmp_path: Path) -> None:
    """As of another Python, as in a zip file, as in a checkout that was not built."""
    compiled = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(agent_tools.PACKAGE, tmp_path / "app" / "dynoscale", ignore=compiled)
    (tmp_path / "app" / "__main__.py").write_text("import dynoscale.wsgi")
    archive = tmp_path / "app.pyz"
    execute([sys.executable, "-m", "zipapp", str(tmp_path / "app"), "-o", str(archive)], tmp_path)
    for app in (tmp_path / "app", archive):
        done = subprocess.run(
            [sys.executable, "-I", str(app)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        last = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and f"is not in {app}/dynoscale: " in last, done.stderr
        assert last.startswith("ImportError: the compiled part of dynoscale ")
        assert last.endswith(" install --force-reinstall dynoscale")


def test_a_freezer_finds_all_modules_that_are_imported_by_themselves(tmp_path: Path) -> None:
    """What import statements name, from a script that uses the wrapper: PyInstaller packs that."""
    script = tmp_path / "frozen.py"
    script.write_text("import dynoscale.wsgi", encoding="utf-8")
    package = agent_tools.PACKAGE
    # Not through others' packages: a namespace package among them stops the finder (gh-84530).
    finder = modulefinder.ModuleFinder(path=[str(package.parent)])
    finder.run_script(str(script))
    ours = {
        ".".join(("dynoscale", *file.relative_to(package).with_suffix("").parts))
        for file in package.rglob("*.py")
        if file.name not in ("__init__.py", "__main__.py")
    }
    # These the app imports itself, where it uses them.
    imported = ("_cli", "config", "django", "uvicorn", "hooks.gunicorn", "hooks.rq", "wsgi")
    assert ours - {*finder.modules} - {f"dynoscale.{name}" for name in imported} == set()
