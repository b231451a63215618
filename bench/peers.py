"""Other published agents, installed where a registry is reachable, each in a directory of its own, and
configured to report, to loopback only."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Dict, List

import workbench
from workbench import BUILT, PYTHON, Missing

INSTALL_SECONDS = 120
LOOK_SECONDS = 15


@dataclass(frozen=True)
class Peer:
    name: str
    gem: str
    version: str

    def install(self) -> Dict[str, str]:
        """The environment in which it is found. Missing if it can't be installed."""
        home = BUILT / "peers" / f"{self.gem}-{self.version}"
        if not (home / "specifications" / f"{self.gem}-{self.version}.gemspec").exists():
            command = [workbench.RUBY, "-S", "gem", "install", "--no-document"]
            command += ["--install-dir", str(home), self.gem, "--version", self.version]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=INSTALL_SECONDS
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Missing(f"not measured: gem install did not end: {error}") from None
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["no reason given"]
                raise Missing(f"not measured: gem install failed: {lines[-1].strip()}")
        # No other gems: if an agent found Sidekiq, for example, it would look for Redis.
        return {"GEM_HOME": str(home), "GEM_PATH": str(home)}


RUBY: List[Peer] = [
    Peer("judoscale-rack", "judoscale-rack", "1.13.3"),
    Peer("hirefire-resource", "hirefire-resource", "1.0.8"),
    Peer("dynoscale_ruby 1.x", "dynoscale_ruby", "1.0.5"),
]

# The name that it was published under, and the version.
PYTHON_PEERS = [("judoscale", "1.14.0"), ("hirefire-resource", "1.0.4"), ("dynoscale", "1.2.2")]


def reporting_to(url: str) -> Dict[str, str]:
    """Switches all of them on. Any other address that they try is a closed port."""
    closed = "http://127.0.0.1:9"
    return {
        "DYNO": "web.1",
        "DYNOSCALE_URL": url,
        "JUDOSCALE_URL": url,
        "JUDOSCALE_LOG_LEVEL": "warn",
        "HIREFIRE_TOKEN": "token",
        "HIREFIRE_DISPATCH_URL": url.replace("http:", "https:"),
        "http_proxy": closed,
        "https_proxy": closed,
        "no_proxy": "127.0.0.1",
    }


def python_home(name: str, version: str) -> str:
    """Where a Python peer is installed. Missing if pip can't install it."""
    home = BUILT / "peers" / f"{name}-{version}-python"
    if home.exists():
        return str(home)
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip += ["--retries", "0", "--timeout", "5"]
    with tempfile.TemporaryDirectory() as directory:
        what = f"{name}=={version}"
        _pip([*pip, "download", "--no-deps", "--dest", directory, what], LOOK_SECONDS)
        _pip([*pip, "install", "--target", f"{home}.part", what], INSTALL_SECONDS)
    os.rename(f"{home}.part", home)
    return str(home)


def _pip(command: List[str], seconds: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Missing(f"not measured: pip did not end within {seconds:g} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Missing(f"not measured: {lines[-1].strip()}")
