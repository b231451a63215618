"""What Linux says about a process: CPU time, wake-ups, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List

from workbench import Missing

AGENT_THREAD = "dynoscale"


def need_linux() -> None:
    if not Path("/proc/self/schedstat").exists():
        raise Missing("not measured: needs Linux with /proc/PID/schedstat")


def family(pid: int) -> List[int]:
    """The process and all that descend from it."""
    found = [pid]
    for task in _tasks(pid):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def _tasks(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/task").iterdir()


def cpu_seconds(pid: int) -> Dict[str, float]:
    """CPU time of all threads of a process and its descendants, and of the agent's among them."""
    seconds = {"all": 0.0, "agent": 0.0}
    for member in family(pid):
        for task in _tasks(member):
            spent = int((task / "schedstat").read_text().split()[0]) / 1e9
            seconds["all"] += spent
            if (task / "comm").read_text().strip() == AGENT_THREAD:
                seconds["agent"] += spent
    return seconds


def wake_ups(pid: int) -> Dict[str, int]:
    """Context switches so far, of all threads and of the agent's: a thread that slept and runs again
    has made one."""
    switches = {"all": 0, "agent": 0}
    for task in _tasks(pid):
        count = 0
        for line in (task / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.endswith("ctxt_switches"):
                count += int(value)
        switches["all"] += count
        if (task / "comm").read_text().strip() == AGENT_THREAD:
            switches["agent"] += count
    return switches


def resident_kb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return float(line.split()[1])
    raise RuntimeError(f"no Rss in /proc/{pid}/smaps_rollup")
