"""A web app that enqueues jobs with RQ. It tells what runs in the process that answers."""

import json
import os
import threading

import dynoscale.jobs
from dynoscale.wsgi import DynoscaleWsgiApp
from redis import Redis
from rq import Queue

queue = Queue("default", connection=Redis.from_url(os.environ["REDIS_URL"]))


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    seen = {
        "pid": os.getpid(),
        "threads": [thread.name for thread in threading.enumerate()],
        "off_reason": dynoscale.jobs.off_reason(),
    }
    return [json.dumps(seen).encode()]


app = DynoscaleWsgiApp(hello)
