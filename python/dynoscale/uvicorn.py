"""gunicorn's worker for ASGI apps, with each request measured and the app as it is.

    gunicorn -k dynoscale.uvicorn.DynoscaleUvicornWorker module:app

It is the worker of the package uvicorn-worker, or else the one that comes with uvicorn.
"""

from __future__ import annotations

import importlib
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
        """What is used of it."""

        wsgi: Any

        def load_wsgi(self) -> None: ...

else:
    UvicornWorker = _uvicorn_worker()


class DynoscaleUvicornWorker(UvicornWorker):
    """uvicorn's worker, whose app is wrapped: once, where it is wrapped already."""

    def load_wsgi(self) -> None:
        """Load the app, which gunicorn calls so, in the worker."""
        super().load_wsgi()
        self.wsgi = DynoscaleAsgiApp(self.wsgi)
