"""Processes that make requests at a steady rate, or none, in Ruby and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping

from processes import Process
from workbench import BENCH, PYTHON, Workbench, environment

LANGUAGES = ["Ruby", "Python"]
WITHOUT_AGENT = {"WITHOUT_AGENT": "1"}


def process(
    bench: Workbench,
    language: str,
    directory: Path,
    name: str,
    rate: float,
    settings: Mapping[str, str],
) -> Process:
    """Not yet started."""
    if language == "Ruby":
        command: List[object] = [*bench.ruby, BENCH / "ruby/steady.rb", rate]
        env: Dict[str, str] = {}
    else:
        command = [PYTHON, BENCH / "python/steady.py", rate]
        env = bench.python()
    return Process(
        [str(part) for part in command],
        directory,
        f"{language} {name}",
        environment({**env, **settings}),
    )


def wait_until_ready(started: Process) -> None:
    started.wait_until(lambda: "ready" in started.log, "begin")
