"""job.py ROUNDS URL: µs of CPU and of wall time of a forked process that ends at once, of one that
posts once by libcurl, and of one that records a reading and sends it before it ends, as RQ's
processes do for each job; in turns."""

from __future__ import annotations

import os
import sys
import time
from typing import Callable

import dynoscale
import reference
from dynoscale import _agent

FORKS = 20


def record() -> None:
    assert dynoscale.job_queue_time("bench", "default", 5)
    _agent.send_before_exit()


def child(act: Callable[[], object]) -> tuple[float, float]:
    started = time.perf_counter_ns()
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return (usage.ru_utime + usage.ru_stime) * 1e6, (time.perf_counter_ns() - started) / 1e3


def main() -> None:
    url = sys.argv[2]
    acts: dict[str, Callable[[], object]] = {
        "ends": lambda: None,
        "posts": lambda: reference.post_once(url),
        "records": record,
    }
    assert dynoscale.job_queue_time("bench", "default", 5)  # the parent's own agent is open
    assert dynoscale.flush(10)
    for number in range(-1, int(sys.argv[1])):
        for name, act in acts.items():
            seen = sorted(child(act) for _ in range(FORKS))
            if number >= 0:
                print(f"{name}\t{seen[FORKS // 2][0]}")
                print(f"{name}, wall\t{sorted(wall for _, wall in seen)[FORKS // 2]}", flush=True)
    dynoscale.stop(0)


if __name__ == "__main__":
    main()
