"""The agent of this interpreter, except for the request path: settings, logging, fork and exit.

The extension module calls ``ensure_open``, ``configure`` and ``log_events`` by name.
"""

from __future__ import annotations

import atexit
import os
import sys
import time

from dynoscale import _native

TYPE_CHECKING = False  # typing's: importing it costs as much as the rest of the package
if TYPE_CHECKING:
    from typing import Any

EXIT_TIMEOUT = 2.0
"""The most seconds that the end of a process is delayed."""

_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40  # logging's, which is imported when needed
_LEVELS = {"debug": _DEBUG, "info": _INFO, "warn": _WARNING, "error": _ERROR}

_in_code: dict[str, list[str]] = {}  # by configure(): the last good and the last wrong value
_refused: dict[str, str] = {}  # warnings about values of unusable types, by the setting's name
_refused_in_framework: list[str] = []  # likewise
_warned: set[str] = set()  # warnings are logged once
_threshold = _WARNING  # lower levels are not logged
_exit_left = EXIT_TIMEOUT
_follows_exit = False
_follows_multiprocessing: set[str] = set()


# ---- Freezers ----


def _name_for_freezers() -> None:
    """Never called. PyInstaller and similar tools pack the modules that import statements name;
    these are named only by the extension module and the table BACKENDS.
    """
    from dynoscale import _server_timing, _servers, asgi
    from dynoscale.jobs import _pika, _rabbitmq, arq, celery, django_q, dramatiq, huey, rq

    _: object = (_server_timing, _servers, asgi)
    _ = (_pika, _rabbitmq, arq, celery, django_q, dramatiq, huey, rq)


# ---- Settings ----


def gather() -> _native.Options:
    """The current settings, from the environment, a framework and code."""
    options = _native.Options()
    options.read_environment()
    _set_by_framework(options)
    for name, texts in _in_code.items():
        for text in texts:
            options.set(name, text)
    return options


def warnings(options: _native.Options) -> list[str]:
    """What is wrong with the settings, one line each."""
    return [*options.warnings(), *_refused_in_framework, *_refused.values()]


def configure(**settings: object) -> None:
    """Give settings in code; they win over the environment.

    The names are those of ``dynoscale.config.Config``: url, dyno, app_name, skip, dev_mode,
    publish_frequency, dynos, log_level and so on. Values are text, numbers or booleans; None takes
    back what an earlier call gave. A wrong name or value is one warning in the log and changes
    nothing. Settings that are new reopen the agent, whose counters then start at 0.
    """
    options = gather()
    for name, value in settings.items():
        _set(options, name, value)
    _open(options)


def ensure_open() -> None:
    """Open the agent with the environment's settings, unless it was opened."""
    if not _native.is_decided():
        _open(gather())


def follow_framework() -> None:
    """Read the settings again after a framework has read its own. Never raises."""
    try:
        _open(gather())
    except Exception as error:
        warn(f"the settings of Django are not used: reading them raised {type(error).__name__}")


def _django_settings() -> object:
    """``DYNOSCALE`` in Django's settings, or None. Loads and sets up nothing."""
    try:
        settings = sys.modules["django.conf"].settings
        return getattr(settings, "DYNOSCALE", None) if settings.configured else None
    except Exception:  # no Django, or its settings do not load, which Django reports itself
        return None


def _set_by_framework(options: _native.Options) -> None:
    global _refused_in_framework
    given = _django_settings()
    refused = []
    if isinstance(given, dict):
        for key, value in given.items():
            name = key.lower() if isinstance(key, str) else key
            text, refusal = _checked(options, name, value)
            if refusal:
                refused.append(f"DYNOSCALE in Django's settings: {refusal}")
            else:
                options.set(name, text, True)
    elif given is not None:
        kind = type(given).__name__
        refused = [f"DYNOSCALE in Django's settings is an object of type {kind}, no dict: ignored"]
    _refused_in_framework = refused


def _checked(options: _native.Options, name: object, value: object) -> tuple[str, str]:
    """The text of a setting's value, and what is wrong with it ("": nothing)."""
    if name not in _native.SETTING_NAMES:
        known = ", ".join(_native.SETTING_NAMES)
        return "", f"there is no setting {name!r}: ignored; there are {known}"
    text = _as_text(value)
    if text is not None:
        return text, ""
    return "", (
        f"{name} is an object of type {type(value).__name__}, which is not text, a number or "
        f"a boolean: using {options.show(str(name)) or 'none'} instead"
    )


def _set(options: _native.Options, name: str, value: object) -> None:
    _refused.pop(name, None)
    text, refusal = _checked(options, name, value)
    if refusal:
        _refused[name] = refusal
    elif options.set(name, text):
        _in_code[name] = [text]
    else:
        _in_code[name] = [*_in_code.get(name, ())[:1], text]


def _as_text(value: object) -> str | None:
    """The value as text for the core; "" for None; None for an unusable type.

    For subclasses only the built-in part is read: no code of the app's runs.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        if isinstance(value, int):
            return int.__repr__(value)
        if isinstance(value, float):
            return float.__repr__(value)
        if isinstance(value, bytes):
            return bytes.decode(value)
        if isinstance(value, str):
            return str.encode(value).decode()
    except ValueError:  # not UTF-8, a lone surrogate, thousands of digits
        pass
    return None


def _open(options: _native.Options) -> None:
    on = _native.open(options)
    _follow_log_level(options)
    for warning in warnings(options):
        warn_once(warning)
    if on:
        _follow_exit()
        follow_server()
        _log(_DEBUG, f"on: reports go to {options.show('url')}")
    elif options.off_is_unusual():
        warn_once(f"off: {options.off_reason()}")
    else:
        _log(_INFO, f"off: {options.off_reason()}")
    follow_jobs(options)


def follow_server() -> None:
    """Also before processes are forked: otherwise each would import this at its first request. The
    extension module calls it then, if uvicorn or Twisted is there.
    """
    from dynoscale import _servers

    _servers.follow_end()


def follow_jobs(options: _native.Options) -> None:
    """Start or stop the reading of job queues. Never raises."""
    try:
        from dynoscale import jobs

        jobs.follow(options)
    except Exception as error:
        warn(f"job queues are not measured: looking for them raised {type(error).__name__}")


def begin() -> None:
    """At import, since a process that only works jobs calls nothing of ours later."""
    if "DYNOSCALE_URL" not in os.environ:
        return  # waits for configure()
    try:
        options = gather()
    except Exception as error:
        warn(f"job queues are not measured: the settings raised {type(error).__name__}")
    else:
        follow_jobs(options)


# ---- Logging ----


def _follow_log_level(options: _native.Options) -> None:
    """Lines below the level are not logged. For debug or info, our logger is set to pass them."""
    global _threshold
    _threshold = _LEVELS.get(options.show("log_level") or "", _WARNING)
    if _threshold < _WARNING:
        import logging

        logger = logging.getLogger("dynoscale")
        if logger.level == logging.NOTSET:
            logger.setLevel(_threshold)


def _log(level: int, text: str) -> None:
    """Log a line, without handlers of our own. Exceptions of the app's handlers are swallowed."""
    if level < _threshold:
        return
    try:
        import logging  # here, since it costs more than the rest of the package

        logging.getLogger("dynoscale").log(level, "dynoscale: %s", text)
    except Exception:
        pass


def warn(text: str) -> None:
    """Log a warning."""
    _log(_WARNING, text)


def warn_once(text: str) -> None:
    """Log a warning, unless it was logged before."""
    if text not in _warned:
        _warned.add(text)
        warn(text)


def log_events() -> None:
    """Log the native thread's events."""
    while True:
        event = _native.next_event()
        if event is None:
            return
        _log(*event)


# ---- The public functions ----


def flush(timeout: float = 2.0) -> bool:
    """Send at once what was recorded, and wait until the service has accepted it.

    ``timeout`` is in seconds. True when all that was recorded before the call is accepted, and
    when there was nothing; False when it isn't, which loses nothing: it is tried again. Other
    threads go on meanwhile, and a signal's handler that raises ends the wait.
    """
    flushed = _native.flush(timeout)
    log_events()
    return flushed


def stop(timeout: float = 2.0) -> bool:
    """Stop the agent in this process for good: send what was recorded, for ``timeout`` seconds.

    True when the service has accepted everything. Happens at exit by itself. A process forked
    later, and a later ``configure``, start afresh.
    """
    jobs = sys.modules.get("dynoscale.jobs")
    if jobs is not None:
        jobs.stop()
    stopped = _native.stop(timeout)
    log_events()
    return stopped


def stats() -> dict[str, int]:
    """The counters of this process, by name; all 0 while the agent is off.

    At rest ``recorded`` is the sum of ``sent``, ``pending`` and everything ``dropped_*``.
    """
    log_events()
    return _native.counters()


# ---- Fork and exit ----


def flush_before_exit() -> None:
    """Flush when a server says that it ends.

    The time counts as the exit's: if it was not enough, the exit gets only the rest, so that a
    service that hangs is not waited for twice.
    """
    global _exit_left
    end = time.monotonic() + _exit_left
    flushed = False
    try:
        flushed = flush(_exit_left)
    finally:
        _exit_left = EXIT_TIMEOUT if flushed else max(0.0, end - time.monotonic())


def send_before_exit() -> None:
    """Flush before a library ends its process by os._exit, if there is anything to send. Never
    raises.
    """
    try:
        if stats()["pending"] > 0:
            flush_before_exit()
    except Exception:
        pass


def _at_exit() -> None:
    held = _hold_signals()
    try:
        _send_the_rest()
    finally:
        if held:
            _native.release_signals()


def _hold_signals() -> bool:
    """Hold back signals that would end the process during its last report.

    Platforms send one to every process, and masters send it to their workers again. Python's own
    handlers need no holding: they run on this thread, when the wait checks for signals.
    """
    try:
        import signal

        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP]
        if "uwsgi" not in sys.modules:  # Python does not know their handlers
            numbers = [number for number in numbers if not callable(signal.getsignal(number))]
        return _native.hold_signals(*numbers)
    except Exception:  # the interpreter is nearly gone
        return False


def _send_the_rest() -> None:
    """Send what is left at exit. A handler's SystemExit does not end the wait; Ctrl-C does."""
    end = time.monotonic() + _exit_left
    left = _exit_left
    while True:
        try:
            if _native.in_main_interpreter():
                stop(left)
            else:  # other interpreters may share the agent and go on
                flush(left)
            return
        except KeyboardInterrupt:
            return
        except BaseException:
            left = end - time.monotonic()
            if left <= 0:  # there is nobody left to raise it to
                return


def _follow_exit() -> None:
    global _follows_exit
    if not _follows_exit:
        _follows_exit = True
        _native.send_at_signals()
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_follow_multiprocessing_exit)
    _follow_multiprocessing_exit()


def _follow_multiprocessing_exit() -> None:
    """Flush at the end of processes of multiprocessing, and of Celery's fork of it.

    They end without atexit, but run finalizers of their own. Each process clears those when it
    begins, just before it calls the functions of register_after_fork.
    """
    for name in ("multiprocessing", "billiard"):
        util = sys.modules.get(f"{name}.util")
        process = sys.modules.get(f"{name}.process")
        if name in _follows_multiprocessing or util is None or process is None:
            continue
        _follows_multiprocessing.add(name)
        finalize = _Finalizer(util)
        util.register_after_fork(finalize, _Finalizer.register)
        if getattr(process.current_process(), "_parent_pid", None) is not None:
            finalize.register()


class _Finalizer:
    """Kept here, since register_after_fork only has a weak reference."""

    kept: list[_Finalizer] = []

    def __init__(self, util: Any) -> None:
        self._util = util
        self.kept.append(self)

    def register(self) -> None:
        # After the app's own finalizers, which may record.
        self._util.Finalize(None, _at_exit, exitpriority=-1000)
