"""gunicorn's hooks, for gunicorn.conf.py.

>>> from dynoscale.hooks.gunicorn import post_request, pre_request

Without post_request all is measured but the time that requests spend in the app.

Or, beside something of your own::

    from dynoscale.hooks.gunicorn import pre_request as dynoscale_pre_request

    def pre_request(worker, req):
        dynoscale_pre_request(worker, req)
        ...
"""

from __future__ import annotations

from dynoscale import _native
from dynoscale._native import pre_request

__all__ = ["post_request", "pre_request"]


def post_request(worker: object, req: object, environ: object = None, resp: object = None) -> None:
    """The request that ``pre_request`` measured has been answered."""
    _native.post_request(req)
