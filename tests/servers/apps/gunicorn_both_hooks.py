"""gunicorn.conf.py: the hooks alone."""

from dynoscale.hooks.gunicorn import post_request, pre_request

__all__ = ["post_request", "pre_request"]
