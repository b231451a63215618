"""gunicorn's configuration with a hook of the app's own that calls the agent's."""

from typing import Any

from dynoscale.hooks.gunicorn import pre_request as dynoscale_pre_request


def pre_request(worker: Any, req: Any) -> None:
    dynoscale_pre_request(worker, req)
