"""Tens of thousands of header values through both agents, compared with a second implementation of
the rules. They are random, from a fixed SEED."""

from __future__ import annotations

import heapq
import json
import os
import time
from pathlib import Path
from typing import List, Tuple

import pytest
from header_values import REASONS, Case, Expected, Values, expected, read
from program import Program, reporting_to
from receiver import ReceiverProcess

SEED = int(os.environ.get("SEED", "1"))
CHUNKS, CHUNK = 50, 200  # requests, of two values or so each

Answers = List[Tuple[Case, Expected, object]]


def ask(program: Program, cases: List[Case]) -> Answers:
    program.go_on(json.dumps(cases))
    said = json.loads(program.hear())
    return [
        (case, expected(case, before, after), outcome)
        for case, (before, after, outcome) in zip(cases, said)
    ]


def chunks(seed: int) -> List[Values]:
    return [Values(seed * CHUNKS + number) for number in range(CHUNKS)]


def unmatched(ms: List[int], ranges: List[List[range]]) -> List[int]:
    """Those of the ms that are left when each has been given to a request that allows it."""
    waiting = sorted(((one[0].start, max(r.stop for r in one)) for one in ranges), reverse=True)
    left, open_until = [], []
    for value in sorted(ms):
        while waiting and waiting[-1][0] <= value:
            heapq.heappush(open_until, waiting.pop()[1])
        if not open_until or heapq.heappop(open_until) <= value:
            left.append(value)
    return left


def test_ruby_reads_every_value_as_the_rules_say(tmp_path: Path) -> None:
    with ReceiverProcess() as receiver:
        settings = reporting_to(receiver.url, DYNOSCALE_QUEUE_TIME="1")
        with Program("ruby", "headers", tmp_path, settings) as program:
            for values in chunks(SEED):
                cases = list(values.cases(CHUNK, time.time_ns()))
                for case, right, outcome in ask(program, cases):
                    assert right.allows(outcome), f"{case}: {outcome}, not {right} (SEED={SEED})"


def test_python_reads_every_value_as_the_rules_say(tmp_path: Path) -> None:
    seen = 0
    with ReceiverProcess() as receiver:
        with Program("python", "headers", tmp_path, reporting_to(receiver.url)) as program:
            for values in chunks(SEED + 1):
                cases = [
                    case._replace(body_wait=None)
                    for case in values.cases(CHUNK, time.time_ns())
                ]
                recorded = []
                for case, right, reason in ask(program, cases):
                    if reason is None:
                        assert right.ranges, f"{case}: recorded, not {right} (SEED={SEED})"
                        recorded.append(right.ranges)
                    else:
                        assert reason in right.reasons, f"{case}: {reason}, not {right}"
                rows = receiver.rows(seen)
                seen += len(rows)
                assert len(rows) == len(recorded)
                assert unmatched([row["metric"] for row in rows], recorded) == []


def test_the_values_are_of_every_kind() -> None:
    now = time.time_ns()
    outcomes = [read(case, now) for case in Values(SEED).cases(1000, now)]
    for reason in REASONS:
        assert outcomes.count(reason) >= 20
    assert outcomes.count(0) >= 20
    assert sum(isinstance(outcome, int) and outcome > 0 for outcome in outcomes) >= 200


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("1700000000123", 877),
        ("t=1700000000.123", 877),
        ("t=1700000000123456", 876),
        (" 1700000000123456789\t", 876),
        ("1699999400", "stale"),
        ("1699999401", 600_000),
        ("1700000002", 0),
        ("1700000002.001", "future"),
        ("946684799", "malformed"),
        ("soon, 1700000000", 1000),
        (" ,", "missing"),
    ],
)
def test_the_second_reading_reads_what_is_plain(text: str, outcome: object) -> None:
    assert read(Case(text, None, None), 1700000001 * 10**9) == outcome
