"""Gems that Debian lacks or has in older versions only, in sets. Each set is installed from the gem
registry into build/gems when a test first needs it."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Dict, Optional

ROOT = Path(__file__).resolve().parent.parent.parent
RUBY = os.environ.get("RUBY") or "/usr/bin/ruby"
INSTALL_SECONDS = 900


@functools.lru_cache(maxsize=None)
def ruby_version() -> str:
    code = "print RUBY_VERSION"
    return subprocess.run([RUBY, "-e", code], capture_output=True, text=True).stdout


class GemSet:
    """The newest versions that RUBY runs, under Bundler. A set that is installed stays as it is, so
    other gems need another name."""

    def __init__(self, name: str, *gems: str) -> None:
        self._name = name
        self._gems = gems

    @property
    def home(self) -> Path:
        return ROOT / "build" / "gems" / f"{self._name}-{ruby_version()}"

    @functools.lru_cache(maxsize=None)
    def missing(self) -> Optional[str]:
        """Why it is not available; None if it is."""
        done = self.home / "complete"
        if not done.exists():
            reason = self._install()
            if reason is not None:
                return f"gem install {' '.join(self._gems)}: {reason}"
            done.touch()
        lines = ["source 'https://rubygems.org'", *(f"gem '{gem}'" for gem in self._gems)]
        self._gemfile.write_text("\n".join(lines) + "\n")
        return None

    def environment(self) -> Dict[str, str]:
        """The variables with which a program finds these gems, and no others."""
        home = str(self.home)
        return {
            "GEM_HOME": home,
            "GEM_PATH": home,
            "BUNDLE_GEMFILE": str(self._gemfile),
            # Otherwise Ruby finds Debian's libraries first.
            "RUBYOPT": "-rbundler/setup",
        }

    def program(self, name: str) -> str:
        return str(self.home / "bin" / name)

    @property
    def _gemfile(self) -> Path:
        return self.home / "Gemfile"

    def _install(self) -> Optional[str]:
        self.home.mkdir(parents=True, exist_ok=True)
        command = [RUBY, "-S", "gem", "install", "--no-document", "--conservative"]
        command += ["--install-dir", str(self.home), "--bindir", str(self.home / "bin")]
        places = {"GEM_HOME": str(self.home), "GEM_PATH": str(self.home)}
        try:
            done = subprocess.run(
                [*command, *self._gems],
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                # Without the flags of a `make` that runs this.
                env={**os.environ, **places, "MAKEFLAGS": ""},
            )
        except subprocess.TimeoutExpired:
            return f"not done in {INSTALL_SECONDS} s"
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        return None if done.returncode == 0 else lines[-1].strip()
