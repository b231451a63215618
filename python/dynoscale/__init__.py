"""Dynoscale's agent: measures how long requests and jobs wait, and reports it.

>>> from dynoscale.wsgi import DynoscaleWsgiApp
>>> app.wsgi_app = DynoscaleWsgiApp(app.wsgi_app)

or in gunicorn.conf.py::

    from dynoscale.hooks.gunicorn import pre_request

Settings come from the environment; ``print(dynoscale.config.Config())`` shows them.
"""

try:
    from dynoscale._native import VERSION as __version__
    from dynoscale._native import job_queue_time
except ModuleNotFoundError:
    raise ImportError(
        f"the compiled part of dynoscale is not in {__path__[0]}: that is for another Python or "
        "system, in a zip file, or a checkout that was not built; to install it for this Python: "
        "python -m pip install --force-reinstall dynoscale"
    ) from None
from dynoscale._agent import begin as _begin
from dynoscale._agent import configure, flush, stats, stop

__all__ = ["__version__", "configure", "flush", "job_queue_time", "stats", "stop"]

_begin()
