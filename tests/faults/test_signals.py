"""Servers get signals to stop or to reload under load, and what was recorded arrives."""

from __future__ import annotations

import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional

import pytest
from app_servers import AppServer
from at_once import AtOnce, selected
from receiver import ReceiverProcess
from under_load import (
    CALLS_EACH,
    CONNECTIONS,
    GunicornThatMayHang,
    Load,
    Run,
    UwsgiOfEitherTerm,
    group_of,
    gunicorn,
    parent_of,
    puma,
    unicorn,
    wait_for_group,
)

AT_ONCE = 6
TERM, INT, QUIT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP
USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2

# ---- Scenarios -------------------------------------------------------------------------------

Scenario = Callable[[Run, int], None]  # with the number of workers


def ends_by(number: int) -> Scenario:
    def scenario(run: Run, workers: int) -> None:
        run.wait_for_workers(workers)
        run.end(number)

    return scenario


def reloads_by(number: int, then: int, same_processes: bool = False) -> Scenario:
    """It reloads, with new workers, or with the same process after an exec."""

    def scenario(run: Run, workers: int) -> None:
        before = run.wait_for_workers(workers)
        calls = run.calls()
        run.tell(number)
        if same_processes:
            run.process.wait_until(lambda: run.process.log.count("Ctrl-C") > 1, "reload")
            run.process.wait_until(
                lambda: run.calls()[before[0]] >= calls[before[0]] + 3 * CALLS_EACH, "go on"
            )
        else:
            run.wait_until_gone(before)
            run.wait_for_workers(workers, other_than=before)
        run.end(then)

    return scenario


def is_replaced(ends_old: int, ends_new: int) -> Scenario:
    """USR2 starts a new master beside the old one, which then gets a signal to end."""

    def scenario(run: Run, workers: int) -> None:
        before = run.wait_for_workers(workers)
        run.tell(signal.SIGUSR2)
        run.wait_for_workers(workers, other_than=before)
        run.process.stop(ends_old)
        new_master = group_of(run.process.pid).intersection(map(parent_of, run.calls()))
        assert len(new_master) == 1
        os.kill(new_master.pop(), ends_new)
        wait_for_group(run.process)

    return scenario


# ---- The table -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """workers  how many must be busy before the signal
    exact    requests in flight are finished first. Otherwise some may be recorded but not counted
             as calls, because the process ended in between
    serves   threads go on to serve while the process ends: their last requests are lost
    """

    name: str
    server: AppServer
    workers: int
    scenario: Scenario
    exact: bool = True
    serves: bool = False

    @property
    def more(self) -> int:
        return 0 if self.exact else CONNECTIONS

    @property
    def fewer(self) -> int:
        return CONNECTIONS if self.serves else 0


def cases_of(
    name: str, server: Callable[[], AppServer], workers: int, *numbers: int, **kind: bool
) -> Iterator[Case]:
    for number in numbers:
        label = f"{name}, {signal.Signals(number).name}"
        yield Case(label, server(), workers, ends_by(number), **kind)


CASES: List[Case] = [
    *cases_of("puma", puma, 1, TERM, INT, HUP),
    *cases_of("puma", puma, 1, QUIT, exact=False),
    Case("puma, USR2", puma(), 1, reloads_by(USR2, TERM, same_processes=True)),
    *cases_of("puma cluster", lambda: puma(2), 2, TERM, INT, HUP),
    *cases_of("puma cluster", lambda: puma(2), 2, QUIT, signal.SIGKILL, exact=False),
    Case("puma cluster, USR1", puma(2), 2, reloads_by(USR1, TERM)),
    Case("puma cluster, USR2", puma(2), 2, reloads_by(USR2, TERM)),
    *cases_of("puma cluster preload_app!", lambda: puma(2, True), 2, QUIT, exact=False),
    Case("puma cluster preload_app!, USR2", puma(2, True), 2, reloads_by(USR2, TERM)),
    *cases_of("unicorn", unicorn, 2, QUIT),
    *cases_of("unicorn", unicorn, 2, TERM, INT, exact=False),
    Case("unicorn, HUP", unicorn(), 2, reloads_by(HUP, QUIT)),
    Case("unicorn, USR2", unicorn(), 2, is_replaced(QUIT, QUIT)),
    *cases_of("unicorn preload_app", lambda: unicorn(True), 2, TERM, exact=False),
    Case("unicorn preload_app, HUP", unicorn(True), 2, reloads_by(HUP, QUIT)),
    *cases_of("gunicorn sync", gunicorn, 2, TERM),
    *cases_of("gunicorn sync", gunicorn, 2, INT, QUIT, exact=False),
    Case("gunicorn sync, HUP", gunicorn(), 2, reloads_by(HUP, TERM)),
    Case("gunicorn sync, USR2", gunicorn(), 2, is_replaced(TERM, TERM)),
    *cases_of("gunicorn gthread", lambda: gunicorn("gthread"), 2, TERM),
    *cases_of("gunicorn gthread", GunicornThatMayHang, 2, INT, QUIT, exact=False),
    Case("gunicorn gthread, HUP", gunicorn("gthread"), 2, reloads_by(HUP, TERM)),
    *cases_of("gunicorn preload", lambda: gunicorn("sync", True), 2, TERM),
    Case("gunicorn preload, HUP", gunicorn("sync", True), 2, reloads_by(HUP, TERM)),
    *cases_of("uwsgi", UwsgiOfEitherTerm, 2, TERM, INT, exact=False),
    *cases_of("uwsgi", lambda: UwsgiOfEitherTerm(die_on_term=False), 2, QUIT, exact=False),
    Case("uwsgi, HUP", UwsgiOfEitherTerm(), 2, reloads_by(HUP, INT), exact=False),
    Case(
        "uwsgi, TERM that reloads",
        UwsgiOfEitherTerm(die_on_term=False),
        2,
        reloads_by(TERM, INT),
        exact=False,
    ),
    *cases_of("uwsgi lazy-apps", lambda: UwsgiOfEitherTerm("--lazy-apps"), 2, TERM, exact=False),
    *cases_of(
        "uwsgi enable-threads",
        lambda: UwsgiOfEitherTerm("--enable-threads", "--threads", "2"),
        2,
        *(TERM, INT),
        exact=False,
        serves=True,
    ),
    *cases_of(
        "uwsgi skip-atexit-teardown",
        lambda: UwsgiOfEitherTerm("--skip-atexit-teardown"),
        2,
        TERM,
        exact=False,
    ),
]


class Outcome(NamedTuple):
    calls: int
    rows: int
    malformed: int
    repeated: int


def live(case: Case, directory: Path) -> Outcome:
    own = Path(tempfile.mkdtemp(dir=directory))  # of this try
    with ReceiverProcess() as receiver:
        run = Run(case.server, own, receiver.url)
        with run.process:
            run.process.start().wait_for_port(run.port)
            with Load(run.port):
                case.scenario(run, case.workers)
        summary = receiver.summary()
        calls = sum(run.calls().values())
        return Outcome(calls, summary["rows"], summary["malformed"], summary["repeated"])


@pytest.fixture(scope="module")
def runs_at_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AtOnce[Case, Outcome]]:
    possible = [case for case in selected(request, "case") if case.server.missing() is None]
    directories = {case: tmp_path_factory.mktemp("signals") for case in possible}
    with AtOnce(
        lambda case: case.server.retried(lambda: live(case, directories[case])), possible, AT_ONCE
    ) as outcomes:
        yield outcomes


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_is_lost(
    case: Case, runs_at_once: AtOnce[Case, Outcome], request: pytest.FixtureRequest
) -> None:
    reason: Optional[str] = case.server.missing()
    if reason is not None:
        pytest.skip(reason)
    outcome = runs_at_once.of(case, request)
    assert (outcome.malformed, outcome.repeated) == (0, 0)
    assert outcome.calls - case.fewer <= outcome.rows <= outcome.calls + case.more
