#!/usr/bin/env python3
"""Runs the suites of both languages with every interpreter that is here, and prints a table.

    matrix.py [--release NAME]... [--whole] [--only NAME]...

Interpreters: `python3.9` to `python3.15`, `python3.13t` and later, and `ruby*`, on the PATH, of
pyenv and rbenv, and those that PYTHONS and RUBIES name, between colons. Each gets a copy of the
checkout in build/matrix/NAME and builds there, once with gcc and once with clang, where any warning
of `-Wall -Wextra -Wconversion` counts as a failure; the suites run with what CC makes, or cc. With
PYTHON and RUBY, the system's own, the suites of real servers and of more servers and frameworks run
as well. For a release of Debian, all of that is done in a new chroot, with --whole after
`make test` as on a new machine; the release `here`, meant where none is named, is this system.
--only takes what names begin with: `python3.9`, `ruby`, `servers`.

Each row is a suite, with the versions it met as the interpreters name them: frameworks are those of
the system, and the newest gems where the registry is reached; `newest` are the newest packages of
PyPI, in environments of their own. build/matrix/rows.json has the rows with what was skipped and why.

Not tox or nox: neither can be had where only Debian's packages reach, and neither knows Ruby.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "matrix"
sys.path.insert(0, str(ROOT / "tests" / "support"))

import chroot  # noqa: E402
import suites  # noqa: E402

PYTHONS = [f"python3.{minor}" for minor in range(9, 16)] + ["python3.13t", "python3.14t"]
RUBIES = ["ruby", *(f"ruby3.{minor}" for minor in range(5)), "ruby4.0"]
# The system's own.
SYSTEMS = {
    "ruby": os.environ.get("RUBY") or "/usr/bin/ruby",
    "python": os.environ.get("PYTHON") or "/usr/bin/python3",
}
HERE = "here"
STRICT = "-Wall -Wextra -Wconversion -Werror"
COMPILERS = ["gcc", "clang"]
# What an interpreter lacks is borrowed from the system's: all of it is in Python alone, or does
# without what is not.
BORROWED = [
    *["pytest", "_pytest", "pluggy", "iniconfig", "packaging", "attr", "attrs", "exceptiongroup"],
    *["py", "tomli", "pygments", "setuptools", "pkg_resources", "_distutils_hack"],
    *["flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "click", "django", "asgiref"],
    *["sqlparse", "gunicorn", "starlette", "anyio", "sniffio", "idna", "typing_extensions"],
    *["uvicorn", "h11", "pytz"],
]
# Where this can't be imported, the framework is too old for the interpreter.
TRIED = {
    "django": "django.http",
    "flask": "flask",
    "gunicorn": "gunicorn.app.wsgiapp",
    "starlette": "starlette.applications",
    "uvicorn": "uvicorn.main",
}
# Makes wheels with an interpreter's own setuptools only: Debian's has other folders in mind.
MAKES_WHEELS = "wheel"
# With the system's own interpreters, of both languages.
SYSTEM_SUITES = ["servers", "frameworks"]
# With the newest packages of PyPI: in an environment of these, and in those that the suite makes.
NEWEST = ROOT / "tests" / "matrix" / "newest.txt"
NEWEST_SUITES = ["python", "frameworks"]
NEWEST_JOBS = ["jobs-newest-all", "jobs-newest-arq"]
# What the suites use: packages of Python, gems that are here and gems that tests fetch, packages of
# Debian.
MODULES = {
    "python": "django flask gunicorn starlette uvicorn",
    "servers": "django flask gunicorn starlette uvicorn waitress",
    "frameworks": "gunicorn gevent eventlet uvicorn hypercorn granian daphne starlette fastapi",
    "jobs-newest-all": "celery rq dramatiq huey django-q2 redis pika",
    "jobs-newest-arq": "arq rq redis",
}
GEMS = {
    "ruby": "rack railties bootsnap spring",
    "servers": "rack railties puma unicorn webrick",
    "frameworks": "rack sinatra puma thin",
}
FETCHED = "rack railties sinatra roda hanami-router puma falcon"
DEBIAN = {"servers": "nginx uwsgi-core", "frameworks": "nginx passenger libapache2-mod-wsgi-py3"}
CALLED = {
    "railties": "rails",
    "hanami-router": "hanami",
    "uwsgi-core": "uwsgi",
    "libapache2-mod-wsgi-py3": "mod_wsgi",
}
# `make test` says so for each suite.
SUITE_LINE = re.compile(r"^(\S+) +(\d+) passed, (\d+) failed, (\d+) skipped in ")


@dataclass
class Row:
    """A suite with an interpreter, or with the system's own of both languages ("")."""

    system: str
    interpreter: str
    suite: str
    compilers: List[str] = field(default_factory=list)
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    met: str = ""
    remarks: List[str] = field(default_factory=list)


def output(*command: str, **variables: str) -> str:
    """What the command prints, "" where it can't be run."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def system() -> str:
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return platform.system()
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    name = values.get("NAME", "Linux").strip('"').split()[0]
    version = values.get("VERSION_ID", values.get("VERSION_CODENAME", "")).strip('"')
    return f"{name} {version}".strip()


def cc_version(command: str) -> str:
    line = output(command, "--version").partition("\n")[0]
    number = re.search(r"\d+\.\d+", re.sub(r"\(.*?\)", "", line))
    return f"{'clang' if 'clang' in line else 'gcc'} {number[0] if number else '?'}"


# ---- Interpreters ----


def found(names: Iterable[str], homes: Iterable[Path], given: str) -> Dict[str, str]:
    """One interpreter of each version, by what it says of itself."""
    places = [*os.environ.get("PATH", "").split(":"), *(str(home) for home in homes)]
    paths = [path for path in given.split(":") if path]
    paths += [f"{place}/{name}" for name in names for place in places]
    interpreters: Dict[str, str] = {}
    for path in paths:
        # Through no version manager's shim, which is another interpreter in another folder.
        if os.access(path, os.X_OK) and "/shims/" not in path:
            name = described(path)
            if name:
                interpreters.setdefault(name, path)
    return interpreters


DESCRIBE = """
import sys, sysconfig
assert sys.version_info >= (3, 9)
free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(f"python {sys.version.split()[0]}{free}")
"""


def described(path: str) -> str:
    """`python 3.13.0t`, `ruby 3.1.2`; "" of one that does not run, or is too old."""
    if "python" in Path(path).name:
        return output(path, "-c", DESCRIBE)
    return output(path, "-e", "puts \"ruby #{RUBY_VERSION}\" if RUBY_VERSION >= '3.0'")


def homes(variable: str, usual: str) -> List[Path]:
    root = Path(os.environ.get(variable, str(Path.home() / usual)))
    return sorted(root.glob("versions/*/bin"))


def interpreters() -> Dict[str, str]:
    pyenv, rbenv = homes("PYENV_ROOT", ".pyenv"), homes("RBENV_ROOT", ".rbenv")
    here = found(PYTHONS, pyenv, os.environ.get("PYTHONS", ""))
    here.update(found(RUBIES, rbenv, os.environ.get("RUBIES", "")))
    return dict(sorted(here.items(), key=lambda item: in_order(item[0])))


def in_order(name: str) -> Tuple[str, List[int]]:
    """Versions by their numbers, of one thing after the other."""
    numbers = [int(number) for number in re.findall(r"\d+", name)]
    return name.rstrip("0123456789.t"), numbers


def absent(here: Iterable[str]) -> List[str]:
    """The versions we mean to work with and that are not here."""
    known = {re.sub(r"^(\w+) (\d+\.\d+)[^t]*(t?)$", r"\1 \2\3", name) for name in here}
    wanted = [name.replace("python", "python ") for name in PYTHONS]
    wanted += [name.replace("ruby", "ruby ") for name in RUBIES[1:]]
    return [name for name in wanted if name not in known]


# ---- One interpreter ----


def copy_checkout(to: Path) -> None:
    """What git has or would have: nothing that was built."""
    shutil.rmtree(to, ignore_errors=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = output(*command[:1], "-C", str(ROOT), *command[1:])
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def environment_of(path: str, directory: Path) -> str:
    """The interpreter in a virtual environment, in which it has what the suite needs."""
    if has(path, "pytest") and has(path, "setuptools"):
        return path
    directory = directory / "environment"
    shutil.rmtree(directory, ignore_errors=True)
    options = ["--system-site-packages", *([] if has(path, "ensurepip") else ["--without-pip"])]
    subprocess.run([path, "-m", "venv", *options, str(directory)], check=True)
    python = str(directory / "bin" / "python")
    site = Path(output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    wheels = [MAKES_WHEELS] if has(python, "setuptools") else []
    for name in BORROWED + wheels:
        lent = spec(SYSTEMS["python"], name)
        if lent and not has(python, name):
            # With what says its version, and which commands of setuptools it has.
            for part in [lent, *info(lent, name)]:
                if part.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(part, site / part.name, ignore=ignored)
                else:
                    shutil.copy2(part, site / part.name)
    for name, module in TRIED.items():
        if (site / name).exists() and not can(python, module):
            for part in [site / name, *info(site / name, name)]:
                shutil.rmtree(part)
    # As installers do, so that nothing is said of old code when a test first imports it.
    output(python, "-W", "ignore", "-m", "compileall", "-q", str(site))
    return python


def info(package: Path, name: str) -> List[Path]:
    """Where a package says its version: Flask-2.2.2.egg-info, beside flask."""
    known = re.compile(rf"{name}-[\d.]+[^-]*(-py[\d.]+)?\.(egg|dist)-info", re.IGNORECASE)
    return [path for path in package.parent.iterdir() if known.fullmatch(path.name)]


def can(python: str, module: str) -> bool:
    return output(python, "-c", f"import {module}; print('it can')") != ""


def spec(python: str, module: str) -> Optional[Path]:
    code = f"import importlib.util as u; print((u.find_spec('{module}') or exit(1)).origin)"
    origin = output(python, "-c", code)
    path = Path(origin)
    return (path.parent if path.name == "__init__.py" else path) if origin else None


def has(python: str, module: str) -> bool:
    return spec(python, module) is not None


def strict_python(python: str, compiler: str, copy: Path) -> List[str]:
    # Python's own headers are its own.
    include = output(python, "-c", "import sysconfig; print(sysconfig.get_path('include'))")
    base = copy / "build" / f"strict-{compiler}"
    command = [python, "-W", "ignore", "setup.py", "-q", "build", "--build-base", str(base)]
    variables = {"CC": compiler, "CFLAGS": f"-O2 -isystem {include} {STRICT}"}
    return build(command, copy, variables)


def strict_ruby(ruby: str, compiler: str, copy: Path) -> List[str]:
    directory = copy / "build" / f"strict-{compiler}"
    directory.mkdir(parents=True)
    variables = {"CC": compiler, "CFLAGS": f"-O2 {STRICT}"}
    command = [ruby, str(copy / "ext/ruby/extconf.rb"), "--enable-warnings"]
    return build(command, directory, variables) or build(["make"], directory, variables)


def build(command: List[str], directory: Path, variables: Dict[str, str]) -> List[str]:
    """What went wrong."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return []
    lines = done.stdout.splitlines()
    return [line for line in lines if "error" in line][:3] or lines[-3:]


def strict_builds(language: str, interpreter: str, copy: Path, row: Row) -> None:
    """Builds it with each compiler; one that has something to mind counts as a failure."""
    strict = strict_python if language == "python" else strict_ruby
    for compiler in filter(shutil.which, COMPILERS):
        wrong = strict(interpreter, compiler, copy)
        row.compilers.append(cc_version(compiler))
        row.failed += 1 if wrong else 0
        row.remarks += [f"{compiler}: {line}" for line in wrong]


def run_here(interpreters: Dict[str, str], chosen: Callable[[str], bool]) -> Iterator[Row]:
    for name, path in interpreters.items():
        if chosen(name):
            print(f"{name}: {path}", flush=True)
            yield run_interpreter(name, path)
    for suite in filter(chosen, SYSTEM_SUITES):
        print(f"{suite}: {', '.join(SYSTEMS.values())}", flush=True)
        yield run_system(suite)
    if chosen("newest"):
        print(f"newest packages: {SYSTEMS['python']}", flush=True)
        yield from run_newest()


def run_interpreter(name: str, path: str) -> Row:
    language = name.split()[0]
    directory = OUT / name.replace(" ", "-")
    copy = directory / "checkout"
    copy_checkout(copy)
    row = Row(system(), name, language)
    used = environment_of(path, directory) if language == "python" else path
    strict_builds(language, used, copy, row)
    run_suite(row, copy, {**SYSTEMS, language: used})
    return row


def run_system(suite: str) -> Row:
    copy = OUT / suite / "checkout"
    copy_checkout(copy)
    row = Row(system(), "", suite)
    run_suite(row, copy, SYSTEMS)
    row.met = ", ".join(filter(None, [*map(described, SYSTEMS.values()), row.met]))
    return row


def run_newest() -> Iterator[Row]:
    """The newest packages with the system's Python, where the registry is reached."""
    directory = OUT / "newest"
    copy = directory / "checkout"
    copy_checkout(copy)
    environment = directory / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    pip = [str(environment / "bin" / "pip"), "--quiet", "--disable-pip-version-check"]
    wrong = build([SYSTEMS["python"], "-m", "venv", str(environment)], copy, {})
    wrong = wrong or build([*pip, "install", "-r", str(NEWEST)], copy, {})
    if wrong:
        why = [f"not tried: {wrong[-1]}"]
        yield Row(system(), described(SYSTEMS["python"]), "newest", remarks=why)
        return
    python = str(environment / "bin" / "python")
    for suite in NEWEST_SUITES:
        yield newest_row(suite, copy, python, python)
    for suite in NEWEST_JOBS:
        made = copy / "build" / "jobs-newest" / suite.rpartition("-")[2] / "bin" / "python"
        # Built by the environment's interpreter too: the system's may have no setuptools.
        yield newest_row(suite, copy, python, str(made))


def newest_row(suite: str, copy: Path, python: str, has_packages: str) -> Row:
    row = Row(system(), described(SYSTEMS["python"]), suite)
    run_suite(row, copy, {**SYSTEMS, "python": python})
    # Each suite has a log of its own, as those of interpreters do.
    shutil.move(str(copy.parent / "log"), str(copy.parent / f"{suite}.log"))
    row.remarks = [
        remark.replace(f"see {copy.parent / 'log'}", f"see {copy.parent / f'{suite}.log'}")
        for remark in row.remarks
    ]
    row.met = versions(suite, copy, {**SYSTEMS, "python": has_packages})
    row.suite = f"{suite.partition('-')[0]}, newest"
    return row


def run_suite(row: Row, copy: Path, interpreters: Dict[str, str]) -> None:
    with open(copy.parent / "log", "w", encoding="utf-8") as log:
        variables = [f"{language.upper()}={path}" for language, path in interpreters.items()]
        command = ["make", "-C", str(copy), *variables, "DEPS=skip", f"test-{row.suite}"]
        form = "minitest" if row.suite == "ruby" else "pytest"
        tally = suites.run(row.suite, form, command, log)
    row.passed, row.skipped = tally.passed, tally.skipped
    row.failed += tally.failed
    row.remarks += [remark.replace(f"{copy}/", "") for remark in tally.remarks]
    if row.failed:
        row.remarks.append(f"see {log.name}")
    row.met = versions(row.suite, copy, interpreters)


# ---- What a suite met ----

ASK_PYTHON = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
"""
ASK_RUBY = """
found = Gem::Specification.latest_specs.to_h { |gem| [gem.name, gem.version] }
ARGV.each { |name| puts "#{name} #{found[name]}" if found[name] }
"""


def versions(suite: str, copy: Path, interpreters: Dict[str, str]) -> str:
    """`rack 2.2.22/3.2.6, rails 6.1.7.10`: what is here and what was fetched."""
    modules, gems, packages = (used.get(suite, "").split() for used in (MODULES, GEMS, DEBIAN))
    lines = [output("dpkg-query", "-W", name) for name in packages]
    # Without the epoch and what Debian adds.
    lines = [re.sub(r"\t(\d+:)?([\d.]+).*", r" \2", line) for line in lines]
    if gems:
        ask = [interpreters["ruby"], "-e", ASK_RUBY]
        lines.append(output(*ask, *gems))
        for done in sorted(copy.glob("build/gems/*/complete")):
            home = str(done.parent)
            lines.append(output(*ask, *FETCHED.split(), GEM_HOME=home, GEM_PATH=home))
    if modules:
        lines.append(output(interpreters["python"], "-c", ASK_PYTHON, *modules))

    met: Dict[str, List[str]] = {}
    for line in filter(None, "\n".join(lines).splitlines()):
        name, _, version = line.partition(" ")
        known = met.setdefault(CALLED.get(name, name), [])
        known += [] if version in known else [version]
    told = {name: "/".join(sorted(known, key=in_order)) for name, known in met.items()}
    return ", ".join(f"{name} {known}" for name, known in told.items())


# ---- One release of Debian ----


def run_release(release: str, only: List[str], whole: bool) -> List[Row]:
    directory = OUT / release
    directory.mkdir(parents=True, exist_ok=True)
    install = "apt-get install -q -y --no-install-recommends"
    with chroot.Chroot(release, directory / "root") as machine:
        copy_checkout(machine.root / "project")
        with open(directory / "log", "w", encoding="utf-8") as log:
            machine.run(f"apt-get update -q && {install} make git", log)
            rows = run_whole(release, machine, directory / "whole.log") if whole else []
            machine.run("cd /project && tests/support/deps test frameworks", log)
            machine.run(f"{install} clang python3-all-dev ruby-all-dev", log)
            wanted = f"MATRIX_ONLY='{' '.join(only)}'"
            machine.run(f"cd /project && git init -q && make matrix DEPS=skip {wanted}", log)
        inside = machine.root / "project/build/matrix"
        if not (inside / "rows.json").exists():
            why = [f"see {directory / 'log'}"]
            return [*rows, Row(f"Debian {release}", "", "all", failed=1, remarks=why)]
        # The chroot goes, its logs stay, in another place.
        for kept in inside.glob("*/log"):
            (directory / kept.parent.name).mkdir(exist_ok=True)
            shutil.copy(kept, directory / kept.parent.name)
        text = (inside / "rows.json").read_text().replace("/project/build/matrix", str(directory))
        more = [Row(**row) for row in json.loads(text)]
        for row in more:
            row.system = f"Debian {release}"
        return rows + more


def run_whole(release: str, machine: chroot.Chroot, path: Path) -> List[Row]:
    with open(path, "w", encoding="utf-8") as log:
        status = machine.run("cd /project && make test", log).returncode
    rows: List[Row] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if counted := SUITE_LINE.match(line):
            passed, failed, skipped = map(int, counted.groups()[1:])
            name = f"make test: {counted[1]}"
            rows.append(Row(f"Debian {release}", "", name, [], passed, failed, skipped))
        elif line.startswith(" " * 9) and rows:
            rows[-1].remarks.append(line.strip())
    if not rows or (status != 0 and not any(row.failed for row in rows)):
        why = f"ended with status {status}: see {path}"
        rows.append(Row(f"Debian {release}", "", "make test", failed=1, remarks=[why]))
    return rows


# ---- The table ----

HEAD = ["with", "suite", "passed", "failed", "skipped", "versions it met"]


def place(row: Row) -> str:
    return ", ".join(filter(None, [row.system, row.interpreter.capitalize()]))


def table(rows: List[Row]) -> str:
    """As Markdown has it; what comes last may be long."""
    cells = [HEAD] + [
        [place(row), row.suite, *map(str, (row.passed, row.failed, row.skipped)), row.met]
        for row in rows
    ]
    widths = [*(max(map(len, column)) for column in list(zip(*cells))[:-1]), 0]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def builds(rows: List[Row]) -> str:
    """By which compilers the agents were built under STRICT."""
    by = {row.system: ", ".join(row.compilers) for row in rows if row.compilers}
    return "; ".join(f"{where}: {compilers}" for where, compilers in by.items())


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the suites with every interpreter.")
    parser.add_argument("--release", action="append", default=[], help="of Debian, or `here`")
    parser.add_argument("--whole", action="store_true", help="in releases, `make test` first")
    parser.add_argument("--only", action="append", default=[], help="what a name begins with")
    options = parser.parse_args()

    def chosen(name: str) -> bool:
        begins = name.replace(" ", "").startswith
        return not options.only or any(map(begins, options.only))

    here = interpreters()
    rows: List[Row] = []
    notes = []
    for release in options.release or [HERE]:
        if release == HERE:
            rows += run_here(here, chosen)
            continue
        print(f"Debian {release}: in a chroot", flush=True)
        try:
            reason = chroot.missing()
            rows += [] if reason else run_release(release, options.only, options.whole)
        except OSError as error:
            reason = str(error)
        if reason:
            notes.append(f"Debian {release} was not tried: {reason}")
    if any(row.compilers for row in rows):
        notes.append(f"built with {STRICT} by: {builds(rows)}")
    lacking = absent([*here, *(row.interpreter for row in rows)])
    notes.append(f"not here: {', '.join(map(str.capitalize, lacking))}")

    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "rows.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print()
    for row in rows:
        for remark in row.remarks:
            print(f"{place(row)}, {row.suite}: {remark}")
    print("", table(rows), "", *notes, sep="\n")
    return 1 if not rows or any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
