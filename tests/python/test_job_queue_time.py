"""dynoscale.job_queue_time(backend, queue, ms)."""

from __future__ import annotations

import decimal
import fractions
import math
from typing import Any

import dynoscale
import pytest


class Hostile:
    def __float__(self) -> float:
        raise RuntimeError("the agent must bear it")

    __index__ = __str__ = __float__


def test_a_reading_is_a_row_of_its_queue(receiver: Any, agent: None) -> None:
    assert dynoscale.job_queue_time("rq", "default", 1840) is True
    assert dynoscale.job_queue_time(backend="my_backend2", queue="low, \u00e9 \"slow\"", ms=0)
    assert dynoscale.flush()
    rows = [(row["source"], row["metric"]) for row in receiver.rows()]
    assert rows == [("rq:default", 1840), ("my_backend2:low, \u00e9 \"slow\"", 0)]
    assert dynoscale.stats()["recorded"] == 2


@pytest.mark.parametrize(
    ("ms", "metric"),
    [
        (95, 95),
        (95.9, 95),
        (True, 1),
        (0.5, 0),
        (decimal.Decimal("95.5"), 95),
        (fractions.Fraction(191, 2), 95),
    ],
)
def test_any_kind_of_number_is_whole_ms(ms: Any, metric: int, receiver: Any, agent: None) -> None:
    assert dynoscale.job_queue_time("rq", "default", ms)
    assert dynoscale.flush()
    assert [row["metric"] for row in receiver.rows()] == [metric]


@pytest.mark.parametrize(
    "ms", [-1, -0.5, math.nan, math.inf, -math.inf, 10**400, "95", None, [], Hostile()],
    ids=lambda ms: type(ms).__name__,
)
def test_an_unusable_age_is_refused_and_counted(ms: Any, agent: None) -> None:
    assert dynoscale.job_queue_time("rq", "default", ms) is False
    assert dynoscale.stats()["jobs_refused"] == 1


@pytest.mark.parametrize(
    ("backend", "queue"),
    [
        ("", "q"),
        ("RQ", "q"),
        ("r q", "q"),
        ("r:q", "q"),
        ("a" * 33, "q"),
        ("rq", ""),
        ("rq", "a\nb"),
        ("rq", "a\x00b"),
        ("rq", "a" * 201),
        ("rq", "\u00e9" * 101),
        ("rq", "\ud800"),
        (None, "q"),
        (b"rq", "q"),
        ("rq", 5),
        (Hostile(), Hostile()),
    ],
    ids=repr,
)
def test_an_unusable_name_is_refused_and_counted(backend: Any, queue: Any, agent: None) -> None:
    assert dynoscale.job_queue_time(backend, queue, 1) is False
    stats = dynoscale.stats()
    assert (stats["jobs_refused"], stats["recorded"]) == (1, 0)


def test_nothing_is_taken_after_stop(agent: None) -> None:
    dynoscale.stop()
    assert dynoscale.job_queue_time("rq", "default", 1) is False


def test_wrong_arguments_are_a_type_error() -> None:
    with pytest.raises(TypeError):
        dynoscale.job_queue_time("rq", "default")
