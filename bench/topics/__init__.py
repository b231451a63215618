"""The topics of the benchmark, in the order in which they run."""

from __future__ import annotations

from typing import Callable, Dict, List

from measure import Table
from topics import (
    accuracy,
    asked,
    calls_python,
    calls_ruby,
    core,
    growth,
    idle,
    jobs,
    memory,
    reporting,
    servers,
    startup,
    thread,
)
from workbench import Workbench

TOPICS: Dict[str, Callable[[Workbench], List[Table]]] = {
    "core": core.run,
    "ruby": calls_ruby.run,
    "python": calls_python.run,
    "asked": asked.run,
    "startup": startup.run,
    "jobs": jobs.run,
    "reporting": reporting.run,
    "growth": growth.run,
    "servers": servers.run,
    "thread": thread.run,
    "accuracy": accuracy.run,
    "idle": idle.run,
    "memory": memory.run,
}
