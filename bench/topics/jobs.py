"""What a process costs that is forked for one job, records a reading and ends, as RQ's and Resque's
do: beside one that ends at once, and one that posts a few bytes by libcurl."""

from __future__ import annotations

import statistics
from typing import Dict, List

from measure import Rounds, Table, difference, ratio
from sink import Sink
from workbench import BENCH, PYTHON, Missing, Workbench, agent_on

BAR = 4


def run(bench: Workbench) -> List[Table]:
    table = Table("jobs", "A process forked for one job: CPU time of the process")
    try:
        with Sink() as sink:
            on = agent_on(sink.url)
            ruby = [*bench.ruby, BENCH / "ruby/job.rb", bench.rounds(11), sink.url]
            python = [PYTHON, BENCH / "python/job.py", bench.rounds(11), sink.url]
            add(table, "Ruby", bench.values(ruby, on))
            add(table, "Python", bench.values(python, bench.python(**on)))
    except Missing as reason:
        table.notes.append(str(reason))
    return [table]


def add(table: Table, language: str, found: Dict[str, Rounds]) -> None:
    ends = found["ends"]
    posts, records = (difference(found[name], ends) for name in ("posts", "records"))
    table.add(f"{language}: ends at once", "us", ends)
    table.add(f"{language}: posts a few bytes by libcurl, over that", "us", posts)
    times = ratio(records, posts)
    table.add(
        f"{language}: records one reading and sends it, over that",
        "us",
        records,
        ratio=times,
        to="a post",
        bar=f"<= {BAR} x",
        met=statistics.median(times) <= BAR,
    )
