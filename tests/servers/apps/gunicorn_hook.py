"""gunicorn's configuration with the agent's hook."""

from dynoscale.hooks.gunicorn import pre_request

__all__ = ["pre_request"]
