"""gunicorn's worker for ASGI apps; tests/servers has it serve."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import agent_tools
import pytest

FALSE_WORKER = """
class UvicornWorker:
    def load_wsgi(self):
        self.wsgi = "the app"
"""
LOAD = """
import sys
import dynoscale.uvicorn
worker = dynoscale.uvicorn.DynoscaleUvicornWorker()
worker.load_wsgi()
print(dynoscale.uvicorn.UvicornWorker.__module__, worker.wsgi)
"""


def load(tmp_path: Path, *modules: str) -> Any:
    """Which worker's class is taken where only these modules can be imported."""
    for module in modules:
        file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        if file.parent != tmp_path:
            (file.parent / "__init__.py").touch()
        file.write_text(FALSE_WORKER, encoding="utf-8")
    hidden = {"uvicorn", "uvicorn_worker"} - {module.partition(".")[0] for module in modules}
    hide = f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))\n"
    environment = agent_tools.child_environment()
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    return agent_tools.run(hide + LOAD, environment).stdout.strip()


def test_uvicorn_s_own_worker_is_taken(tmp_path: Path) -> None:
    assert load(tmp_path, "uvicorn.workers") == "uvicorn.workers <DynoscaleAsgiApp of 'the app'>"


def test_the_package_that_replaces_it_comes_first(tmp_path: Path) -> None:
    found = load(tmp_path, "uvicorn_worker", "uvicorn.workers")
    assert found == "uvicorn_worker <DynoscaleAsgiApp of 'the app'>"


def test_without_either_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="pip install gunicorn uvicorn uvicorn-worker"):
        load(tmp_path)


def test_the_package_needs_none_of_them(tmp_path: Path) -> None:
    done = agent_tools.run(
        """
        import sys, dynoscale, dynoscale.asgi, dynoscale.wsgi, dynoscale.hooks.gunicorn
        print({"uvicorn", "uvicorn_worker", "gunicorn", "django", "asyncio"} & {*sys.modules})
        """,
        agent_tools.child_environment(),
    )
    assert done.stdout == "set()\n"


def test_the_signal_that_ended_it_does_not_keep_it_from_reporting(tmp_path: Path) -> None:
    """As with the newest uvicorn, which raises the signal again in the end."""
    signals = """
    def init_signals(self):
        import signal
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
"""
    (tmp_path / "uvicorn_worker.py").write_text(FALSE_WORKER + signals, encoding="utf-8")
    environment = agent_tools.child_environment()
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    for name in ("SIGINT", "SIGTERM"):
        done = agent_tools.run(
            f"""
            import atexit, signal
            import dynoscale.uvicorn
            atexit.register(print, "exit functions")
            dynoscale.uvicorn.DynoscaleUvicornWorker().init_signals()
            assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
            signal.raise_signal(signal.{name})
            """,
            environment,
        )
        assert done.stdout == "exit functions\n"


def test_gunicorn_finds_it_by_its_name() -> None:
    if not all(importlib.util.find_spec(name) for name in ("gunicorn", "uvicorn")):
        pytest.skip("gunicorn or uvicorn is not installed")
    done = agent_tools.run(
        """
        from gunicorn.util import load_class
        print(load_class("dynoscale.uvicorn.DynoscaleUvicornWorker").__mro__[1].__module__)
        """,
        agent_tools.child_environment(),
    )
    assert done.stdout.strip() in ("uvicorn.workers", "uvicorn_worker")
