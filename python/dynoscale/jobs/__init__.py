"""The queue time of background jobs: how long the oldest waiting job of each queue has waited.

It starts by itself: ``import dynoscale``, in any module that the process loads, notices when the
library of a backend is imported, and starts one daemon thread. For each server that processes of a
dyno have queues on one of them leads; only that one connects and reads, once in each publish
interval. A thread that leads nowhere sleeps until the kernel tells it that a leader has ended. A
process that has no such library loaded has no thread.

``DYNOSCALE_JOBS=off`` turns it off, and so does a console, a management command, a test run.

A backend is one module with an ``adapter``, as ``dynoscale.jobs._adapter`` has it, and a row in
``BACKENDS``.
"""

from __future__ import annotations

import os
import sys

from dynoscale.jobs import _process

TYPE_CHECKING = False  # typing's: importing it costs as much as the rest of the package
if TYPE_CHECKING:
    from dynoscale import _native
    from dynoscale.jobs._adapter import Adapter
    from typing import Any

    from dynoscale.jobs._reader import Reader

__all__ = ["BACKENDS", "off_reason", "start", "stop"]

BACKENDS = {
    # imported by every app that uses the backend
    "arq.connections": "dynoscale.jobs.arq",
    "celery.app.base": "dynoscale.jobs.celery",
    "django_q.conf": "dynoscale.jobs.django_q",
    "dramatiq.broker": "dynoscale.jobs.dramatiq",
    "huey.api": "dynoscale.jobs.huey",
    "rq.queue": "dynoscale.jobs.rq",
}


_readers: dict[int, Reader] = {}  # by process id, so that every forked child has none
_prepared: set[str] = set()
_watching = False
_following_forks = False


def start() -> bool:
    """Start the reader in this process, also where it would not start by itself.

    For a management command of your own that works jobs. False where the agent is off, or does
    not measure job queues.
    """
    from dynoscale import _agent

    options = _agent.gather()
    if not _wanted(options) or options.off_reason() is not None:
        return False
    _watch(options)
    return _start()


def stop() -> None:
    """Stop the reader of this process; a reading under way is finished."""
    reader = _readers.pop(os.getpid(), None)
    if reader is not None:
        reader.stop()


def wake() -> None:
    """Wake the reader of this process: there may be more to read."""
    reader = _readers.get(os.getpid())
    if reader is not None:
        reader.wake()


def off_reason() -> str | None:
    """Why this process does not read job queues; None if it does once it leads."""
    from dynoscale import _agent

    return _off_reason(_agent.gather())


def _off_reason(options: _native.Options) -> str | None:
    if options.show("jobs") != "true":
        return "DYNOSCALE_JOBS is off"
    return options.off_reason() or _process.off_reason()


def follow(options: _native.Options) -> None:
    """Start or stop according to the settings: called at import, and when the agent was opened."""
    if not _wanted(options):
        stop()
        return
    _watch(options)
    if options.off_reason() is not None:
        stop()
    else:
        wake()


def _wanted(options: _native.Options) -> bool:
    """Whether jobs matter in this process, even if only because it enqueues jobs that others read.
    """
    return (
        options.show("url") is not None
        and options.show("skip") == "false"
        and options.show("jobs") == "true"
    )


def _start() -> bool:
    from dynoscale.jobs._reader import Reader

    pid = os.getpid()
    reader = Reader()
    if _readers.setdefault(pid, reader) is reader:
        _follow_forks()
        try:
            reader.start()
        except RuntimeError:  # no more threads, or the interpreter allows none or is ending
            _readers.pop(pid, None)
    return pid in _readers


# ---- Noticing that a backend's library is imported ----


FOLLOWED = {
    # modules of these libraries whose classes are followed from their first use
    "arq.connections": "arq.connections",
    "arq.worker": "arq.connections",
    "dramatiq.brokers.rabbitmq": "dramatiq.broker",
    "dramatiq.brokers.redis": "dramatiq.broker",
    "huey.api": "huey.api",
    "rq.queue": "rq.queue",
    "rq.worker": "rq.queue",
    "rq.worker_pool": "rq.queue",
}


class _Finder:
    """Comes first in sys.meta_path, and notes imports of the backends' libraries."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name in BACKENDS:
            _found(name)
        return _followed_spec(name, path, target) if name in FOLLOWED else None


def _followed_spec(name: str, path: Any, target: Any) -> Any:
    """Find the module with the other finders, and call the adapter once it is loaded."""
    try:
        finders: list[Any] = list(sys.meta_path)
        for finder in finders:
            find = None if finder is _Finder else getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                _follow_loading(name, spec.loader)
                return spec
    except Exception:  # the import asks them itself
        pass
    return None


def _follow_loading(name: str, loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: object) -> None:
        load(module)
        try:
            adapter_of(FOLLOWED[name]).loaded(name)
        except Exception:  # the adapter checks it again
            pass

    loader.exec_module = exec_module


def _watch(options: _native.Options) -> None:
    global _watching
    if not _watching:
        _watching = True
        finder: Any = _Finder
        sys.meta_path.insert(0, finder)
    for name in BACKENDS:
        if name in sys.modules:
            _found(name, options)


def _found(name: str, options: _native.Options | None = None) -> None:
    """The library is loaded or about to be. Never raises into the import."""
    try:
        from dynoscale import _agent

        options = options or _agent.gather()
        if not _wanted(options):
            return
        _prepare(name)
        if _off_reason(options) is None:
            _start()
    except Exception as error:
        _warn(f"job queues are not measured: looking for them raised {type(error).__name__}")


def _prepare(name: str) -> None:
    """Once; after a failure again when the settings are next read."""
    if name in _prepared:
        return
    _prepared.add(name)  # before the call: its imports may come here again
    try:
        adapter_of(name).prepare()
    except Exception as error:
        _prepared.discard(name)
        jobs = f"jobs of {name.partition('.')[0]} that are enqueued here"
        _warn(f"{jobs} may not be measured: preparing for them raised {type(error).__name__}")


def _warn(text: str) -> None:
    from dynoscale import _agent

    _agent.warn_once(text)


def adapter_of(library: str) -> Adapter:
    """The adapter of a row of BACKENDS."""
    module = BACKENDS[library]
    __import__(module)
    adapter: Adapter = sys.modules[module].adapter
    return adapter


# ---- Fork ----


def _follow_forks() -> None:
    """Once, and only now that threading is loaded, whose hook must come first."""
    global _following_forks
    if not _following_forks:
        _following_forks = True
        _process.follow_forks(_after_fork)


def _after_fork(helper: bool) -> None:
    """In a forked child: go on reading unless it only helps its parent, which reads by itself."""
    was_reading = bool(_readers)
    _readers.clear()
    if was_reading and helper:
        _process.become_helper()
    elif was_reading:
        _start()
