"""gunicorn's worker for ASGI apps, with each request measured and the app as it is.

    gunicorn -k dynoscale.uvicorn.DynoscaleUvicornWorker module:app

It is the worker of the package uvicorn-worker, or else the one that comes with uvicorn.
"""

from __future__ import annotations

import importlib
import signal
import sys
from typing import TYPE_CHECKING, Any

from dynoscale.asgi import DynoscaleAsgiApp

__all__ = ["DynoscaleUvicornWorker"]


def _uvicorn_worker() -> Any:
    missing = []
    for module in ("uvicorn_worker", "uvicorn.workers"):
        try:
            return importlib.import_module(module).UvicornWorker
        except ImportError as error:
            missing.append(f"{module}: {error}")
    raise ImportError(
        "dynoscale.uvicorn needs gunicorn and uvicorn's worker for it: "
        f"pip install gunicorn uvicorn uvicorn-worker ({'; '.join(missing)})"
    )


if TYPE_CHECKING:

    class UvicornWorker:
        """The part of uvicorn's worker that is used."""

        wsgi: Any

        def init_signals(self) -> None: ...

        def load_wsgi(self) -> None: ...

else:
    UvicornWorker = _uvicorn_worker()


class DynoscaleUvicornWorker(UvicornWorker):
    """uvicorn's worker, which wraps the app unless it is wrapped already."""

    def init_signals(self) -> None:
        """Keep the worker's signal handlers, except for how they end the process.

        uvicorn (since 0.29) raises the signal again after a graceful stop. In its worker that would
        kill the process without its exit functions, and what they send would be lost.
        """
        super().init_signals()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit)

    def load_wsgi(self) -> None:
        """Load the app in the worker; gunicorn calls this."""
        super().load_wsgi()
        self.wsgi = DynoscaleAsgiApp(self.wsgi)


def _exit(number: int, frame: Any) -> None:
    sys.exit(0)
