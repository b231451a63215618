"""gunicorn's hook, for gunicorn.conf.py.

>>> from dynoscale.hooks.gunicorn import pre_request

or, beside something of your own::

    from dynoscale.hooks.gunicorn import pre_request as dynoscale_pre_request

    def pre_request(worker, req):
        dynoscale_pre_request(worker, req)
        ...
"""

from dynoscale._native import pre_request

__all__ = ["pre_request"]
