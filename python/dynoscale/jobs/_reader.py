"""The thread that reads job queues, of the sources in which this process leads.

A process that leads in none waits, without waking up, until a leader ends.
"""

from __future__ import annotations

import math
import os
import selectors
import socket
import sys
import threading
import time
from typing import Iterable, Iterator, Optional

from dynoscale import _agent, _native, jobs
from dynoscale.jobs import _names
from dynoscale.jobs._adapter import Adapter

SOON = 1.0
"""Seconds until the first reading, while the app may still load; doubled while there is nothing to
read.
"""

_LONGEST_SLEEP = 60.0  # seconds: a new interval from the service is noticed after it
_LONGEST_WAIT = 600.0  # seconds: the leader may have stopped but not ended
_LOOK_AGAIN = 1.0  # seconds: whether the thread that forked this process has ended
_LOG_AGAIN = 60.0  # the least seconds between two log lines about one backend
_FALLBACK = 30.0  # seconds between readings if the agent has no interval

_logged_at: dict[str, float] = {}
_logged_cut: set[str] = set()


class Reader:
    """A daemon thread from ``start`` to ``stop``, or to the end of the agent."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._leads = False  # in anything
        self._wake: Optional[socket.socket] = None  # while it waits for the leader's end
        self._thread = threading.Thread(target=self._run, name="dynoscale-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.wake()

    def wake(self) -> None:
        """New settings, and maybe a new leader."""
        wake = self._wake
        if wake is not None:
            try:
                wake.send(b".")
            except OSError:  # the wait is over
                pass

    def _run(self) -> None:
        soon = SOON
        watched: list[int] = []
        while self._sleep(soon, watched):
            try:
                seen, watched = self._look()
            except Exception as error:
                seen, watched = False, []
                _complain("jobs", error)
            soon = math.inf if seen else soon * 2

    def _sleep(self, longest: float, watched: list[int]) -> bool:
        """Wait until the interval is over, or a watched process has ended. False once the reader is
        to stop.

        A process that leads in nothing has no interval.
        """
        if watched:
            wait = self._interval() if self._leads else _LONGEST_WAIT
            try:
                self._await_end(watched, min(wait, _longest_sleep(_LONGEST_WAIT)))
            finally:
                for leader in watched:
                    os.close(leader)
            return self._goes_on()
        start = time.monotonic()
        while (left := start + min(longest, self._interval()) - time.monotonic()) > 0:
            self._stopping.wait(min(left, _longest_sleep(_LONGEST_SLEEP)))
            if not self._goes_on():
                break
        return self._goes_on()

    def _goes_on(self) -> bool:
        ended = _is_forked_by_thread() and not threading.main_thread().is_alive()
        return not (self._stopping.is_set() or ended)

    @staticmethod
    def _interval() -> float:
        """The service's interval, in seconds."""
        return _native.counters()["publish_frequency_ms"] / 1000 or _FALLBACK

    def _look(self) -> tuple[bool, list[int]]:
        """Read what this process leads in. Whether there is any backend, and descriptors of the
        processes that lead in what it has besides. Processes of a dyno may have different
        libraries, or one library with different servers: so each source has a leader."""
        _agent.ensure_open()
        self._leads, watched, seen = False, [], False
        signals, wanted, _ = _native.asked()
        for adapter in _loaded():
            sources = _sources(adapter)
            led = [source for source in sources if _native.leads(_topic(adapter, source))]
            if led:
                self._leads = True
                if wanted:
                    self._read(adapter, led, signals)
            for source in sources:
                # None if the system has none: asks again an interval later.
                leader = None if source in led else _native.watch_leader(_topic(adapter, source))
                if leader is not None:
                    watched.append(leader)
            seen = seen or bool(sources)
        if self._leads:
            _agent.log_events()
        return seen, watched

    def _await_end(self, leaders: list[int], longest: float) -> None:
        """Wait until one of the leaders has ended, or the reader is woken.

        With a selector of Python's own, which greenlets can wait on, too.
        """
        sender, receiver = socket.socketpair()
        with sender, receiver, selectors.DefaultSelector() as selector:
            sender.setblocking(False)
            selector.register(receiver, selectors.EVENT_READ)
            for leader in leaders:
                selector.register(leader, selectors.EVENT_READ)
            self._wake = sender
            if not self._stopping.is_set():
                selector.select(longest)
            self._wake = None

    def _read(self, adapter: Adapter, sources: list[str], signals: list[str]) -> None:
        if self._stopping.is_set():
            return
        turn = _Turn(adapter.name, signals)
        try:
            ages = adapter.read(turn, sources)
        except Exception as error:
            _complain(adapter.name, error)
            return
        for queue, ms in ages.items():
            if self._stopping.is_set():
                return
            _native.job_queue_time(adapter.name, queue, max(0.0, ms))
        for (signal, queue), number in turn.counts.items():
            if self._stopping.is_set():
                return
            _native.job_signal(adapter.name, queue, signal, number)


def _loaded() -> Iterator[Adapter]:
    for library in jobs.BACKENDS:
        if library in sys.modules:
            yield jobs.adapter_of(library)


def _sources(adapter: Adapter) -> list[str]:
    try:
        return adapter.sources()
    except Exception as error:
        _complain(adapter.name, error)
        return []


def _topic(adapter: Adapter, source: str) -> str:
    return f"{adapter.name} {source}"


def _is_forked_by_thread() -> bool:
    """Then the thread that forked is the main thread of this process. Unlike the first thread of a
    program it may end by itself, and then the process ends with its last thread: not the reader's.
    A program's own main thread counts as ended while exit functions run, which may be for long: a
    cluster of Django-Q waits there for its processes.
    """
    return type(threading.main_thread()).__name__ != "_MainThread"


def _longest_sleep(usual: float) -> float:
    """In seconds."""
    return _LOOK_AGAIN if _is_forked_by_thread() else usual


class _Turn:
    def __init__(self, backend: str, signals: list[str]) -> None:
        self._backend = backend
        self._signals = signals
        self.counts: dict[tuple[str, str], int] = {}

    def choose(self, names: Iterable[str]) -> list[str]:
        chosen, cut = _names.choose(names, _agent.gather().show("job_queues"))
        if cut and self._backend not in _logged_cut:
            _logged_cut.add(self._backend)
            _agent.warn(
                f"{self._backend}: {len(chosen) + cut} queues are too many, only the "
                f"{len(chosen)} with the shortest names are measured; set DYNOSCALE_JOB_QUEUES to "
                "choose"
            )
        return chosen

    def failed(self, error: Exception) -> None:
        _complain(self._backend, error)

    def asks(self, signal: str) -> bool:
        return signal in self._signals

    def count(self, signal: str, queue: str, jobs: int) -> None:
        self.counts[signal, queue] = self.counts.get((signal, queue), 0) + jobs


# ---- Saying what is wrong ----


def _complain(backend: str, error: Exception) -> None:
    now = time.monotonic()
    if now - _logged_at.get(backend, -_LOG_AGAIN) >= _LOG_AGAIN:
        _logged_at[backend] = now
        _agent.warn(
            f"{backend}: its queues can't be read, nothing is reported of them: {describe(error)}"
        )


def describe(error: BaseException) -> str:
    """What happened, without the message, which might hold a password."""
    kind = type(error)
    text = f"{kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    seen: Optional[BaseException] = error
    for _ in range(8):
        if seen is None:
            break
        if isinstance(seen, OSError) and isinstance(seen.strerror, str) and seen.errno is not None:
            return f"{text} ({seen.strerror})"
        seen = seen.__cause__ or seen.__context__
    return text
