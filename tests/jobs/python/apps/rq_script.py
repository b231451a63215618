"""A worker as RQ's documentation has it, without RQ's own program."""

import os

from redis import Redis
from rq import Queue, Worker

queue = Queue("default", connection=Redis.from_url(os.environ["REDIS_URL"]))
worker = Worker([queue], connection=queue.connection)

import dynoscale  # noqa: E402 - here, since late is the harder case

print(f"dynoscale {dynoscale.__version__}")
worker.work()
