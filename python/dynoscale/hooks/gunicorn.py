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

from dynoscale._native import post_request, pre_request

__all__ = ["post_request", "pre_request"]
