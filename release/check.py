"""What this checkout lacks to be released: a line for each thing, exit code 1 where one is lacking.

    python3 release/check.py [--without-packages]
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List, Optional

ROOT = Path(__file__).resolve().parents[1]
RUBY = os.environ.get("RUBY", "ruby")
# Pages that tell a version of ours to a reader, and how they do it.
TOLD = re.compile(r"dynoscale(?:_ruby)? (\d+\.\d+\.\d+) (?:for|on)\b")
WANTED = re.compile(r"dynoscale_ruby['\"], ['\"]~> (\d+)\.|dynoscale>=(\d+)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command: str, cwd: Path = ROOT, **variables: str) -> str:
    """What it printed; CalledProcessError, with that, where it failed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout)
    return done.stdout


def version() -> str:
    found = re.search(r'^#define DYNOSCALE_VERSION "(.+)"$', read("core/include/dynoscale.h"), re.M)
    assert found is not None
    return found.group(1)


# ---- What is written: each gives sentences about what is lacking ----


def number() -> Iterator[str]:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version()):
        yield f"core/include/dynoscale.h: {version()} is not a version X.Y.Z"


def changelog() -> Iterator[str]:
    entries = re.findall(r"^## (\S+) \((.*)\)$", read("CHANGELOG.md"), re.M)
    if not entries or entries[0][0] != version():
        newest = entries[0][0] if entries else "nothing"
        yield f"CHANGELOG.md: its newest entry is {newest}, the version is {version()}"
        return
    try:
        if datetime.date.fromisoformat(entries[0][1]) > datetime.date.today():
            yield f"CHANGELOG.md: {version()} is dated {entries[0][1]}, which is yet to come"
    except ValueError:
        yield f"CHANGELOG.md: {version()} has no date but ({entries[0][1]}): write (YYYY-MM-DD)"


def pages() -> Iterator[str]:
    listed = run("git", "ls-files", "*.md", "examples", "service/src", "service/web").splitlines()
    for name in listed:
        if name == "CHANGELOG.md" or not name.endswith((".md", ".c", ".js", "Gemfile", ".txt")):
            continue
        text = read(name)
        for found in TOLD.finditer(text):
            if found.group(1) != version():
                yield f"{name}: says {found.group()}, the version is {version()}"
        for found in WANTED.finditer(text):
            if (found.group(1) or found.group(2)) != version().partition(".")[0]:
                yield f"{name}: asks for {found.group()}, the version is {version()}"


def interpreters() -> Iterator[str]:
    """What is promised is what is built."""
    import headers
    import wheels

    told = set(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', read("setup.py")))
    built = {version.rstrip("t") for version in wheels.VERSIONS}
    for python in sorted(built - told):
        yield f"setup.py: there is a wheel for Python {python}, and no classifier"
    for python in sorted(told - built):
        yield f"setup.py: there is a classifier for Python {python}, and no wheel"
    page = read("docs/releasing.md")
    for name in [*wheels.VERSIONS, *headers.RUBIES]:
        if not re.search(rf"(?<![\d.]){re.escape(name)}(?![\w.]\d)", page):
            yield f"docs/releasing.md: does not name {name}, for which packages are built"


def tree() -> Iterator[str]:
    changed = run("git", "status", "--porcelain").splitlines()
    if changed:
        yield f"git: {len(changed)} files differ from the commit, {changed[0][3:]} among them"
    tag = f"v{version()}"
    at = run("git", "tag", "--list", tag)
    if at and run("git", "rev-parse", f"{tag}^{{commit}}") != run("git", "rev-parse", "HEAD"):
        yield f"git: the tag {tag} is at another commit; a new release needs a new version"


# ---- The packages: built, installed and tried, as far as this machine can ----


def packages() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, step in [
            ("the sdist", sdist),
            ("the wheels", all_wheels),
            ("the source gem", source_gem),
            ("the precompiled gems", precompiled_gems),
            ("twine", twine),
            ("this Python's wheel", try_wheel),
            ("the sdist, installed", try_sdist),
            ("the source gem, installed", try_source_gem),
        ]:
            print(f"      {what}", flush=True)
            try:
                reason = step(folder)
            except (subprocess.CalledProcessError, OSError) as error:
                output = (getattr(error, "output", None) or str(error)).strip()
                yield f"{what}: {output.splitlines()[-1]}"
            else:
                if reason:
                    yield f"{what}: {reason}"


def sdist(folder: Path) -> None:
    build = ["-W", "ignore", "-m", "build", "--no-isolation", "--sdist"]
    run(sys.executable, *build, "--outdir", str(folder))


def all_wheels(folder: Path) -> None:
    run(sys.executable, "release/wheels.py", "--to", str(folder))


def source_gem(folder: Path) -> None:
    gem = f"{folder}/dynoscale_ruby-{version()}.gem"
    run(RUBY, "-S", "gem", "build", "--strict", "dynoscale_ruby.gemspec", "-o", gem)


def precompiled_gems(folder: Path) -> None:
    run(sys.executable, "release/gems.py", "--to", str(folder))


def twine(folder: Path) -> Optional[str]:
    if shutil.which("twine") is None:
        return "it is not here to look at the packages: make deps, or apt-get install twine"
    files = [str(file) for file in folder.iterdir() if file.suffix in (".whl", ".gz")]
    run("twine", "--no-color", "check", "--strict", *files)
    return None


def environment(folder: Path, name: str, *install: str) -> None:
    """An environment with what pip installs, in which ten requests have to be reported."""
    run(sys.executable, "-m", "venv", "--system-site-packages", str(folder / name))
    python = str(folder / name / "bin" / "python")
    run(python, "-m", "pip", "install", "--no-index", "--no-build-isolation", *install)
    run(python, str(ROOT / "release" / "try.py"), cwd=folder)


def try_wheel(folder: Path) -> None:
    found = ["--find-links", str(folder), "--only-binary", "dynoscale", "--force-reinstall"]
    environment(folder, "of a wheel", *found, f"dynoscale=={version()}")


def try_sdist(folder: Path) -> None:
    (archive,) = folder.glob("*.tar.gz")
    environment(folder, "of the sdist", "--force-reinstall", str(archive))


def try_source_gem(folder: Path) -> None:
    home = str(folder / "a gem home")
    gem = f"{folder}/dynoscale_ruby-{version()}.gem"
    install = ["gem", "install", "--local", "--no-document", gem]
    run(RUBY, "-S", *install, GEM_HOME=home, GEM_PATH=home)
    run(RUBY, str(ROOT / "release" / "try.rb"), cwd=folder, GEM_HOME=home, GEM_PATH=home)


CHECKS: List["tuple[str, Callable[[], Iterator[str]]]"] = [
    ("version", number),
    ("changelog", changelog),
    ("pages", pages),
    ("interpreters", interpreters),
    ("tree", tree),
    ("packages", packages),
]


def main() -> None:
    parser = argparse.ArgumentParser(description="Says what a release lacks.")
    parser.add_argument("--without-packages", action="store_true", help="build and try none")
    options = parser.parse_args()
    failed = 0
    for name, check in CHECKS:
        if name == "packages" and options.without_packages:
            continue
        lacking = list(check())
        failed += len(lacking)
        print(f"{'lacks' if lacking else 'ok':5} {name}")
        for sentence in lacking:
            print(f"      {sentence}")
    if failed:
        sys.exit(f"{failed} things are lacking for {version()}.")
    print(f"Nothing is lacking for {version()}: git tag v{version()}, and push the tag.")


if __name__ == "__main__":
    main()
