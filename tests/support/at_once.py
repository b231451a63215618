"""Waiting side by side. Most of a fault is waiting, so the runs of a table are begun together, a
few at a time, and each test waits for its own. A test that is tried again looks at a run of its own.

@pytest.fixture(scope="module")
def runs(request):
    with AtOnce(run, selected(request, "case"), 8) as runs:
        yield runs

@pytest.fixture(params=CASES)
def case(request):
    return request.param

@pytest.fixture
def outcome(case, runs, request):
    return runs.of(case, request)
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Dict, Generic, Hashable, List, Sequence, Set, TypeVar

import pytest

Case = TypeVar("Case", bound=Hashable)
Outcome = TypeVar("Outcome")


class AtOnce(Generic[Case, Outcome]):
    def __init__(self, run: Callable[[Case], Outcome], cases: Sequence[Case], threads: int) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(threads)
        self._futures: Dict[Case, Future[Outcome]] = {
            case: self._pool.submit(run, case) for case in cases
        }
        self._again: Set[Case] = set()

    def of(self, case: Case, request: pytest.FixtureRequest) -> Outcome:
        """The outcome, or the exception that the run ended with. For the first test of a case that is
        tried again (--reruns) the case is run once more, and that is its outcome from then on."""
        if getattr(request.node, "execution_count", 1) > 1 and case not in self._again:
            self._again.add(case)
            self._futures[case] = self._pool.submit(self._run, case)
        return self._futures[case].result()

    def __enter__(self) -> AtOnce[Case, Outcome]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def selected(request: pytest.FixtureRequest, fixture: str) -> List[Any]:
    """The parameters of a fixture for which tests of the module will be run, each once."""
    here = [item for item in request.session.items if item.path == request.path]
    parameters = [
        item.callspec.params[fixture]
        for item in here
        if hasattr(item, "callspec") and fixture in item.callspec.params
        if not item.get_closest_marker("skip")
    ]
    return list(dict.fromkeys(parameters))
