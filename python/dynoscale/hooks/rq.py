"""RQ's settings, for a worker that has none of its own.

``rq worker -c dynoscale.hooks.rq``, or ``RQ_CONFIG=dynoscale.hooks.rq`` in the environment. RQ's
worker imports jobs in processes of their own only, and its settings in its own, which is the one
to measure the queues. The server is the one that RQ finds without settings: by ``-u`` or by
``REDIS_URL``. With settings of your own, ``import dynoscale`` there.
"""

import os

import dynoscale

__all__ = ["dynoscale"]

# RQ reads these itself where it has no settings, and here what is in capitals.
globals().update({name: text for name, text in os.environ.items() if name.startswith("REDIS_")})
