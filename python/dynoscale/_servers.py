"""What the agent takes from the server that calls the app: how many requests this process can run
at once, whether bodies are read first, and the moment when it stops.

The extension module calls ``reads_bodies`` at the first request, and the finders of slots at a
request once the service asks; None is an unknown number.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Optional

from dynoscale import _agent

_GREEN = ("gevent", "eventlet", "tornado")


_BUFFERED = ("tempfile", "socketify", "meinheld", "unit")
"""The packages of other bodies that were read."""


def reads_bodies(environ: dict[str, object]) -> bool:
    """Whether the WSGI server reads a request's body before it calls the app. Then the time since
    the stamp includes the wait for the client.

    A body in memory or in a file was read: by Tornado, by hypercorn and uvicorn for WSGI apps.
    Such a body can be sought in, other than one that arrives.
    """
    body = environ.get("wsgi.input")
    module = type(body).__module__
    if module.partition(".")[0] in _BUFFERED or module == "twisted.web.wsgi" or _is_seekable(body):
        return True
    if str(environ.get("SERVER_SOFTWARE", "")).startswith("waitress"):
        return True
    options = getattr(sys.modules.get("uwsgi"), "opt", {})
    return "post-buffering" in options or b"post-buffering" in options


def _is_seekable(body: Any) -> bool:
    try:
        return bool(body.seekable())
    except Exception:  # it lacks that method, or is closed
        return False


# ---- How it ends ----


def follow_end() -> None:
    """Report when uvicorn or Twisted has stopped serving, if it is loaded.

    They then raise the signal that stopped them again (uvicorn since 0.29), which ends the process
    without its exit functions.
    """
    _follow_end_of_uvicorn()
    _follow_end_of_twisted()


def _follow_end_of_twisted() -> None:
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if not hasattr(reactor, "callFromThread") or hasattr(reactor, "_dynoscale"):
        return
    reactor._dynoscale = True
    trigger = ("after", "shutdown", _agent.send_before_exit)
    reactor.callFromThread(reactor.addSystemEventTrigger, *trigger)


def _follow_end_of_uvicorn() -> None:
    """Apps with lifespan report there, but Django, mounted apps and those under ``--lifespan off``
    have none.
    """
    server: Any = getattr(sys.modules.get("uvicorn.server"), "Server", None)
    shutdown: Any = getattr(server, "shutdown", None)
    if shutdown is None or hasattr(shutdown, "_dynoscale"):
        return

    async def shutdown_and_report(*arguments: Any, **named: Any) -> Any:
        try:
            return await shutdown(*arguments, **named)
        finally:
            _agent.send_before_exit()

    shutdown_and_report._dynoscale = True  # type: ignore[attr-defined]
    server.shutdown = shutdown_and_report


# ---- How many requests it can run at once ----


def find_slots(request: dict[str, Any], answer: Any) -> Optional[int]:
    """For an environ and its start_response, or a scope and its send."""
    return _of_wsgi(request, answer) if "wsgi.input" in request else _of_asgi(answer)


def find_slots_of_worker(worker: Any) -> Optional[int]:
    """For a worker of gunicorn."""
    return _of_gunicorn(getattr(worker, "cfg", None))


def _of_wsgi(environ: dict[str, Any], start_response: Any) -> Optional[int]:
    maker = getattr(start_response, "__self__", None)
    if "gunicorn" in type(maker).__module__:
        return _of_gunicorn(getattr(maker, "cfg", None))
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None:
        return _of_uwsgi(getattr(uwsgi, "opt", {}))
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    if channel is not None:
        return getattr(getattr(getattr(channel, "server", None), "adj", None), "threads", None)
    return _of_default_executor()


def _of_default_executor() -> Optional[int]:
    """asyncio's, in whose threads hypercorn runs WSGI apps. One like it has as many."""
    threading: Any = sys.modules.get("threading")
    if threading is None or not threading.current_thread().name.startswith("asyncio_"):
        return None
    executor = import_module("concurrent.futures").ThreadPoolExecutor()  # starts no thread yet
    return getattr(executor, "_max_workers", None)


def _of_gunicorn(cfg: Any) -> Optional[int]:
    if cfg is None:
        return None
    kind = str(getattr(cfg, "worker_class_str", ""))
    if any(name in kind for name in _GREEN):
        return int(cfg.worker_connections)
    return int(cfg.threads) if kind == "gthread" or cfg.threads > 1 else 1


def _of_uwsgi(options: dict[Any, Any]) -> int:
    for name in ("gevent", "async", "asyncio", "threads"):
        value = options.get(name, options.get(name.encode()))
        if value is not None and value is not True:
            return int(value)
    return 1


def _of_asgi(send: Any) -> Optional[int]:
    """uvicorn's own limit, if set: the cycle has a callback of the connection."""
    done = getattr(getattr(send, "__self__", None), "on_response", None)
    return getattr(getattr(done, "__self__", None), "limit_concurrency", None)
