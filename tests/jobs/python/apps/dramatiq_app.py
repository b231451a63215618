"""An app for `dramatiq`, and for a web server that sends to it."""

import json
import os
import threading
import time

import dramatiq
import dynoscale.jobs
import redis
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))


@dramatiq.actor
def nap(seconds: float) -> None:
    time.sleep(seconds)


@dramatiq.actor
def tell(key: str) -> None:
    seen = {
        "threads": [thread.name for thread in threading.enumerate()],
        "off_reason": dynoscale.jobs.off_reason(),
    }
    redis.Redis.from_url(os.environ["REDIS_URL"]).rpush(key, json.dumps(seen))


@dramatiq.actor
def record(number: int) -> None:
    assert dynoscale.job_queue_time("mine", "jobs", number)
    redis.Redis.from_url(os.environ["REDIS_URL"]).rpush("recorded", number)
