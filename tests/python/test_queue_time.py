"""How the two headers are read, through the wrapper and through gunicorn's hook."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Optional

import agent_tools
import pytest
import vectors

import dynoscale
from dynoscale.hooks.gunicorn import pre_request
from dynoscale.wsgi import DynoscaleWsgiApp

CASES = vectors.queue_time_cases()
USABLE = [case for case in CASES if case.where == "all" and case.body_wait is None]
REASONS = ["missing", "malformed", "stale", "future"]

EntryPoint = Callable[[Any, Any], None]


def through_wrapper(request_start: Any, queue_start: Any) -> None:
    environ = {"HTTP_X_REQUEST_START": request_start, "HTTP_X_QUEUE_START": queue_start}
    present = {name: value for name, value in environ.items() if value is not None}
    DynoscaleWsgiApp(agent_tools.app)(present, agent_tools.start_response)


def through_hook(request_start: Any, queue_start: Any) -> None:
    headers = [("X-REQUEST-START", request_start), ("X-QUEUE-START", queue_start)]
    present = [("HOST", "a"), *(header for header in headers if header[1] is not None)]
    pre_request(None, SimpleNamespace(headers=present))


entry_points = pytest.mark.parametrize("entry_point", [through_wrapper, through_hook])


def reason() -> Optional[str]:
    """Why the only request so far gave no sample; None if it gave one."""
    stats = dynoscale.stats()
    counted = [name for name in REASONS if stats[f"stamp_{name}"] > 0]
    assert sum(stats[f"stamp_{name}"] for name in REASONS) + stats["recorded"] == 1
    return counted[0] if counted else None


@entry_points
@pytest.mark.parametrize("case", USABLE, ids=lambda case: case.name)
def test_each_case_of_the_vectors_holds(
    entry_point: EntryPoint, case: vectors.QueueTimeCase, agent: None, receiver: Any
) -> None:
    start = vectors.at_this_moment(case.request_start)
    entry_point(start, vectors.at_this_moment(case.queue_start))
    if not case.expected.isdigit():
        assert reason() == case.expected
        return
    assert reason() is None
    assert dynoscale.flush()
    (row,) = receiver.rows()
    assert int(case.expected) <= row["metric"] <= int(case.expected) + 2000
    assert (row["source"], row["metadata"]) == ("web", "")


def test_cases_for_other_suites_are_few() -> None:
    others = len(CASES) - len(USABLE)
    assert len(USABLE) >= 80
    pytest.skip(f"{others} of {len(CASES)} cases need a clock that stands still, or Puma")


class Hostile:
    """Every conversion raises."""

    def _raise(self, *_: object) -> Any:
        raise RuntimeError("the agent must not ask")

    __str__ = __repr__ = __bytes__ = __int__ = __float__ = __index__ = __len__ = _raise
    __iter__ = __eq__ = __bool__ = __getattr__ = _raise
    __hash__ = None


@entry_points
@pytest.mark.parametrize(
    "value",
    [1700000000123, 1.5, True, [], ["1700000000123"], {}, object(), Hostile(), bytearray(b"1")],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_no_text_is_malformed_and_raises_nothing(
    entry_point: EntryPoint, value: object, agent: None
) -> None:
    entry_point(value, None)
    assert reason() == "malformed"


@entry_points
def test_none_is_no_value(entry_point: EntryPoint, agent: None) -> None:
    environ = {"HTTP_X_REQUEST_START": None, "HTTP_X_QUEUE_START": None}
    if entry_point is through_hook:
        pre_request(None, SimpleNamespace(headers=[("X-REQUEST-START", None)]))
    else:
        DynoscaleWsgiApp(agent_tools.app)(environ, agent_tools.start_response)
    assert reason() == "missing"


class Text(str):
    """A subclass whose own methods raise."""

    def __str__(self) -> str:
        raise RuntimeError("the agent must not ask")


@entry_points
@pytest.mark.parametrize("kind", [Text, lambda text: text.encode()], ids=["subclass", "bytes"])
def test_other_kinds_of_text_are_read(
    entry_point: EntryPoint, kind: Callable[[str], Any], agent: None
) -> None:
    entry_point(kind(agent_tools.stamp()), None)
    assert reason() is None


@entry_points
@pytest.mark.parametrize(
    "value",
    ["\ud800", "１７００", "\U0001f600", "é", "\x00", "1" * 1_000_000, "," * 1_000_000],
    ids=["surrogate", "wide digits", "emoji", "latin", "nul", "a megabyte of 1", "of commas"],
)
def test_any_text_that_is_not_a_time_is_recognised(
    entry_point: EntryPoint, value: str, agent: None
) -> None:
    entry_point(value, None)
    assert reason() in ("missing", "malformed", "future")


@entry_points
def test_a_time_counts_beside_text_in_any_script(entry_point: EntryPoint, agent: None) -> None:
    entry_point(f"\U0001f600, {agent_tools.stamp()}, é", None)
    assert reason() is None


@entry_points
def test_the_other_header_counts_if_one_is_unusable(
    entry_point: EntryPoint, agent: None
) -> None:
    entry_point(Hostile(), agent_tools.stamp())
    assert reason() is None


class Key(str):
    """A key with the hash and length of the real one, which raises when compared."""

    def __hash__(self) -> int:
        return hash("HTTP_X_REQUEST_START")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("the agent must not see this")


def test_a_key_that_raises_when_compared_is_as_good_as_missing(agent: None) -> None:
    environ = {Key("HTTP_X_REQUEST_STARX"): "1"}
    assert DynoscaleWsgiApp(agent_tools.app)(environ, agent_tools.start_response)
    assert reason() == "missing"


class Interrupting(Key):
    def __eq__(self, other: object) -> bool:
        raise KeyboardInterrupt

    __hash__ = Key.__hash__


def test_an_interrupt_that_arrives_meanwhile_is_passed_on(agent: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        environ = {Interrupting("HTTP_X_REQUEST_STARX"): "1"}
        DynoscaleWsgiApp(agent_tools.app)(environ, agent_tools.start_response)
