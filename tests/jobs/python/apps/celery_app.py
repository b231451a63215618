"""An app for `celery worker`."""

import json
import os
import threading
import time

import dynoscale.jobs
import redis
from celery import Celery

app = Celery("app", broker=os.environ["REDIS_URL"])
app.conf.worker_prefetch_multiplier = 1


@app.task
def nap(seconds: float) -> None:
    time.sleep(seconds)


@app.task
def tell(key: str) -> None:
    seen = {
        "threads": [thread.name for thread in threading.enumerate()],
        "off_reason": dynoscale.jobs.off_reason(),
    }
    redis.Redis.from_url(os.environ["REDIS_URL"]).rpush(key, json.dumps(seen))


@app.task
def record(number: int) -> None:
    assert dynoscale.job_queue_time("mine", "jobs", number)
    redis.Redis.from_url(os.environ["REDIS_URL"]).rpush("recorded", number)
