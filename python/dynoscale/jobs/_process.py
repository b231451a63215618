"""What kind of process this is: one that serves or works, or a console, a command, a helper."""

from __future__ import annotations

import os
import sys

from dynoscale import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# The commands that serve or work, for programs that have others too.
_LASTING = {
    "celery": {"beat", "worker"},
    "django": {
        "celery",
        "djangohuey",
        "qcluster",
        "run_huey",
        "rundramatiq",
        "rqscheduler",
        "rqworker",
        "rqworker-pool",
        "runserver",
        "runserver_plus",
    },
    "flask": {"run"},
    "rq": {"cron", "worker", "worker-pool"},
}
_ALIASES = {"django-admin": "django", "manage.py": "django"}
# Options before the command that take a value.
_WITH_VALUE = {
    "-A",
    "--app",
    "-b",
    "--broker",
    "--config",
    "-e",
    "--env-file",
    "--loader",
    "--pythonpath",
    "--result-backend",
    "--settings",
    "--workdir",
}
# Programs that do one thing and end.
_PASSING = {
    "alembic",
    "dynoscale",
    "ipython",
    "jupyter",
    "nose2",
    "pip",
    "py.test",
    "pytest",
    "tox",
    "unittest",
}
_NO_PROGRAM = {"", "-", "-c"}  # a prompt, a program from standard input or from the command line

# Libraries that fork helpers for a process that goes on.
_FORK_HELPERS = {"billiard", "multiprocessing", "rq", "subprocess"}
_PASS_ON_FORK = {"gevent", "eventlet", "os"}

_helper = False


def off_reason() -> str | None:
    """Why a process of this kind does not read job queues; None if it may."""
    if _helper or _is_work_horse():
        return "a process that helps another, which reads by itself"
    if not _native.in_main_interpreter():  # it could not end while a thread runs
        return "a sub-interpreter"
    if hasattr(sys, "ps1") or sys.flags.interactive or sys.flags.inspect:
        return "an interactive console"
    arguments = getattr(sys, "argv", None) or [""]
    program = _program(arguments[0])
    if program in _NO_PROGRAM or program in _PASSING:
        return f"a short-lived program: python {arguments[0]}".rstrip(" :")
    commands = _LASTING.get(program)
    if commands is not None:
        command = _command(arguments[1:])
        if command not in commands:
            return f"a command that neither serves nor works: {program} {command}".rstrip()
    return _uwsgi_without_threads()


def _program(path: str) -> str:
    """``celery`` for /usr/bin/celery and for python -m celery."""
    folder, name = os.path.split(path)
    if name == "__main__.py":
        folder, name = os.path.split(folder)
        if name == "cli":
            name = os.path.basename(folder)
    return _ALIASES.get(name, name)


def _command(arguments: list[str]) -> str:
    """The first argument that is neither an option nor the value of one."""
    is_value = False
    for argument in arguments:
        if is_value:
            is_value = False
        elif argument in _WITH_VALUE:
            is_value = True
        elif not argument.startswith("-"):
            return argument
    return ""


def _is_work_horse() -> bool:
    """Whether RQ runs a job here, in a process of its own, and the job's module is imported."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "main_work_horse":
            return True
        frame = frame.f_back
    return False


# ---- Fork ----


def follow_forks(forked: Callable[[bool], None]) -> None:
    """Have ``forked`` called in each forked child: with True where it is a helper.

    uWSGI forks its workers without Python's notice: its master, which loaded the app, reads on.
    """

    def in_child() -> None:
        forked(_forked_as_helper(sys._getframe().f_back))

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)


def become_helper() -> None:
    """Mark this process, and those that it forks, as helpers: they do not read."""
    global _helper
    _helper = True


def _forked_as_helper(frame: FrameType | None) -> bool:
    """By the caller of fork, whose frame is the first on the stack."""
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in _PASS_ON_FORK:
            return package in _FORK_HELPERS
        frame = frame.f_back
    return False


def _uwsgi_without_threads() -> str | None:
    """uWSGI runs no thread of Python's between requests unless it is told to."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None:
        return None
    given = getattr(uwsgi, "opt", {})
    if any(name in given for name in ("enable-threads", b"enable-threads", "threads", b"threads")):
        return None
    return "uWSGI runs threads of Python's only with enable-threads"
