"""The one thread that reads job queues: in the leader of the dyno; in the others it waits for the
leader's end, without a wake-up."""

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
"""Seconds until the first look, while the app may still load; doubled while it has nothing."""

_LONGEST_SLEEP = 60.0  # seconds: a new interval from the service is heard of after it
_LONGEST_WAIT = 600.0  # seconds: the leader may have stopped, and live on
_TOLD_AGAIN = 60.0  # seconds between two lines about one backend, at least
_FALLBACK = 30.0  # seconds between looks where the agent has no interval

_told_at: dict[str, float] = {}
_told_cut: set[str] = set()


class Reader:
    """A daemon thread from ``start`` to ``stop``, or to the end of the agent."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._bell: Optional[socket.socket] = None  # while it waits for the leader's end
        self._thread = threading.Thread(target=self._run, name="dynoscale-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.rouse()

    def rouse(self) -> None:
        """The settings are new, and with them maybe the leader."""
        bell = self._bell
        if bell is not None:
            try:
                bell.send(b".")
            except OSError:  # the wait is over
                pass

    def _run(self) -> None:
        soon = SOON
        while self._sleep(soon):
            try:
                seen = self._look()
            except Exception as error:
                seen = False
                _complain("jobs", error)
            soon = math.inf if seen else soon * 2

    def _sleep(self, longest: float) -> bool:
        """Until the interval is over; False once the reader is to stop."""
        start = time.monotonic()
        while (left := start + min(longest, self._interval()) - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _LONGEST_SLEEP)):
                break
        return not self._stopping.is_set()

    @staticmethod
    def _interval() -> float:
        """Seconds, as the service has it."""
        return _native.counters()["publish_frequency_ms"] / 1000 or _FALLBACK

    def _look(self) -> bool:
        """Read what there is, if it is this process's turn; whether there is any backend."""
        _agent.ensure_open()
        adapters = [adapter for adapter in _loaded() if _is_available(adapter)]
        # A process with nothing to read would keep the lead from one that has.
        if adapters and self._lead():
            for adapter in adapters:
                self._read(adapter)
            _agent.log_events()
        return bool(adapters)

    def _lead(self) -> bool:
        """Wait until this process leads. False once the reader is to stop, and where the system
        can't tell when the leader has ended: an interval later it is asked again."""
        while not _native.leads():
            leader = _native.watch_leader()
            if leader is None:
                return False
            try:
                self._await_end(leader)
            finally:
                os.close(leader)
            if self._stopping.is_set():
                return False
        return True

    def _await_end(self, leader: int) -> None:
        """Until the leader has ended, or the bell is rung. With a selector of Python's own, which
        greenlets can wait on, too."""
        ringer, bell = socket.socketpair()
        with ringer, bell, selectors.DefaultSelector() as selector:
            ringer.setblocking(False)
            selector.register(leader, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            self._bell = ringer
            if not self._stopping.is_set():
                selector.select(_LONGEST_WAIT)
            self._bell = None

    def _read(self, adapter: Adapter) -> None:
        if self._stopping.is_set():
            return
        try:
            ages = adapter.read(_Turn(adapter.name))
        except Exception as error:
            _complain(adapter.name, error)
            return
        for queue, ms in ages.items():
            if self._stopping.is_set():
                return
            _native.job_queue_time(adapter.name, queue, max(0.0, ms))


def _loaded() -> Iterator[Adapter]:
    for library in jobs.BACKENDS:
        if library in sys.modules:
            yield jobs.adapter_of(library)


def _is_available(adapter: Adapter) -> bool:
    try:
        return adapter.available()
    except Exception as error:
        _complain(adapter.name, error)
        return False


class _Turn:
    def __init__(self, backend: str) -> None:
        self._backend = backend

    def choose(self, names: Iterable[str]) -> list[str]:
        chosen, cut = _names.choose(names, _agent.gather().show("job_queues"))
        if cut and self._backend not in _told_cut:
            _told_cut.add(self._backend)
            _agent.warn(
                f"{self._backend}: {len(chosen) + cut} queues are too many, only the "
                f"{len(chosen)} with the shortest names are measured; set DYNOSCALE_JOB_QUEUES to "
                "choose"
            )
        return chosen

    def failed(self, error: Exception) -> None:
        _complain(self._backend, error)


# ---- Saying what is wrong ----


def _complain(backend: str, error: Exception) -> None:
    now = time.monotonic()
    if now - _told_at.get(backend, -_TOLD_AGAIN) >= _TOLD_AGAIN:
        _told_at[backend] = now
        _agent.warn(
            f"{backend}: its queues can't be read, nothing is reported of them: {describe(error)}"
        )


def describe(error: BaseException) -> str:
    """What happened, in words that can't hold a password: its message might."""
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
