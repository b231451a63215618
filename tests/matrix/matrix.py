#!/usr/bin/env python3
"""Runs the suites of both languages with every interpreter that is here, and prints a table.

    matrix.py [--release NAME]... [--only NAME]...

Interpreters: `python3.9` to `python3.15`, `python3.13t` and later, and `ruby*`, on the PATH, of
pyenv and rbenv, and those that PYTHONS and RUBIES name, between colons. Each gets a copy of the
checkout in build/matrix/NAME and builds there, once with gcc and once with clang, where any warning
of `-Wall -Wextra -Wconversion` fails; the suites run with what CC makes, or cc. For a release of
Debian, all of `make test` runs in a chroot of its own, as on a new machine, and then the rest of
its interpreters. Each row is a suite; build/matrix/rows.json has them with what was skipped.

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
from typing import Dict, Iterable, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "matrix"
sys.path.insert(0, str(ROOT / "tests" / "support"))

import chroot  # noqa: E402
import suites  # noqa: E402

PYTHONS = [f"python3.{minor}" for minor in range(9, 16)] + ["python3.13t", "python3.14t"]
RUBIES = ["ruby", *(f"ruby3.{minor}" for minor in range(5)), "ruby4.0"]
STRICT = "-Wall -Wextra -Wconversion -Werror"
COMPILERS = ["gcc", "clang"]
# What an interpreter lacks is borrowed from the system's: all of it is in Python alone.
BORROWED = [
    *["pytest", "_pytest", "pluggy", "iniconfig", "packaging", "attr", "attrs", "exceptiongroup"],
    *["py", "tomli", "pygments", "setuptools", "pkg_resources", "_distutils_hack"],
]
# Makes wheels with an interpreter's own setuptools only: Debian's has other folders in mind.
MAKES_WHEELS = "wheel"
# `make test` says so for each suite.
SUITE_LINE = re.compile(r"^(\S+) +(\d+) passed, (\d+) failed, (\d+) skipped in ")


@dataclass
class Row:
    """A suite with an interpreter, or why there is none."""

    system: str
    interpreter: str
    suite: str
    compiler: str = ""
    warnings: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
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
    return here


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
        lent = spec("/usr/bin/python3", name)
        if lent and not has(python, name):
            # With what says which commands of setuptools it has.
            for part in [lent, *lent.parent.glob(f"{name}-*-info")]:
                (site / part.name).symlink_to(part)
    return python


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


def warnings(language: str, interpreter: str, copy: Path) -> Tuple[str, List[str]]:
    """Which compilers build it without one, and what the others say."""
    strict = strict_python if language == "python" else strict_ruby
    clean, remarks = [], []
    for compiler in filter(shutil.which, COMPILERS):
        wrong = strict(interpreter, compiler, copy)
        clean.append(f"{compiler} {'no' if wrong else 'ok'}")
        remarks += [f"{compiler}: {line}" for line in wrong]
    return ", ".join(clean), remarks


def run_interpreter(name: str, path: str) -> Row:
    language = name.split()[0]
    directory = OUT / name.replace(" ", "-")
    copy = directory / "checkout"
    copy_checkout(copy)
    row = Row(system(), name, language, cc_version(os.environ.get("CC", "cc")))
    used = environment_of(path, directory) if language == "python" else path
    row.warnings, row.remarks = warnings(language, used, copy)
    variable = "PYTHON" if language == "python" else "RUBY"
    command = ["make", "-C", str(copy), f"{variable}={used}", "DEPS=skip", f"test-{language}"]
    form = "pytest" if language == "python" else "minitest"
    with open(directory / "log", "w", encoding="utf-8") as log:
        tally = suites.run(language, form, command, log)
    row.passed, row.failed, row.skipped = tally.passed, tally.failed, tally.skipped
    row.remarks += [remark.replace(f"{copy}/", "") for remark in tally.remarks]
    if row.failed or "no" in row.warnings.split():
        row.remarks.append(f"see {directory / 'log'}")
    return row


# ---- One release of Debian ----


def run_release(release: str) -> List[Row]:
    directory = OUT / release
    directory.mkdir(parents=True, exist_ok=True)
    with chroot.Chroot(release, directory / "root") as machine:
        copy_checkout(machine.root / "project")
        log = directory / "log"
        with open(log, "w", encoding="utf-8") as out:
            machine.run("apt-get update -q && apt-get install -q -y make git", out)
            done = machine.run("cd /project && make test", out)
            more = "apt-get install -q -y clang python3-all-dev ruby-all-dev"
            machine.run(f"{more} && cd /project && git init -q && make matrix DEPS=skip", out)
        text = log.read_text(encoding="utf-8", errors="replace")
        inside = machine.root / "project/build/matrix/rows.json"
        rows = [Row(**row) for row in json.loads(inside.read_text())] if inside.exists() else []
        return whole_suites(release, text, done.returncode) + rows


def whole_suites(release: str, text: str, status: int) -> List[Row]:
    rows = []
    for line in text.splitlines():
        if line.startswith("make: ") and "matrix" in line:
            break
        if counted := SUITE_LINE.match(line):
            rows.append(Row(f"Debian {release}", "its own", counted[1], "gcc"))
            rows[-1].passed, rows[-1].failed, rows[-1].skipped = map(int, counted.groups()[1:])
        elif line.startswith(" " * 9) and rows:
            rows[-1].remarks.append(line.strip())
    if not rows or (status != 0 and not any(row.failed for row in rows)):
        why = f"make test ended with status {status}: see {OUT / release / 'log'}"
        rows.append(Row(f"Debian {release}", "its own", "all", failed=1, remarks=[why]))
    return rows


# ---- The table ----

HEAD = ["system", "interpreter", "suite", "built by", "no warnings", "passed", "failed", "skipped"]


def table(rows: List[Row]) -> str:
    cells = [HEAD] + [
        [row.system, row.interpreter, row.suite, row.compiler, row.warnings]
        + [str(number) for number in (row.passed, row.failed, row.skipped)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the suites with every interpreter.")
    parser.add_argument("--release", action="append", default=[], help="a release of Debian")
    parser.add_argument("--only", action="append", default=[], help="what a name begins with")
    options = parser.parse_args()

    here = interpreters()
    rows = []
    for name, path in here.items():
        if not options.only or any(name.startswith(only) for only in options.only):
            print(f"{name}: {path}", flush=True)
            rows.append(run_interpreter(name, path))
    notes = [f"not here: {', '.join(absent(here))}"]
    for release in options.release:
        print(f"Debian {release}: make test in a chroot", flush=True)
        try:
            reason = chroot.missing()
            rows += [] if reason else run_release(release)
        except OSError as error:
            reason = str(error)
        if reason:
            notes.append(f"Debian {release} was not tried: {reason}")

    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "rows.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print()
    for row in rows:
        for remark in row.remarks:
            print(f"{row.system}, {row.interpreter}, {row.suite}: {remark}")
    print(*notes, "", table(rows), sep="\n")
    bad = [row for row in rows if row.failed or "no" in row.warnings.replace(",", "").split()]
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
