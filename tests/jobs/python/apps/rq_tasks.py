"""Jobs for RQ. Their module imports dynoscale, as one that reports readings of its own would."""

import json
import threading
import time

import dynoscale.jobs
import redis


def nap(seconds: float) -> None:
    time.sleep(seconds)


def tell(redis_url: str, key: str) -> None:
    """Leave what can be seen from inside of a job."""
    seen = {
        "threads": [thread.name for thread in threading.enumerate()],
        "off_reason": dynoscale.jobs.off_reason(),
    }
    redis.Redis.from_url(redis_url).rpush(key, json.dumps(seen))


def record(number: int) -> None:
    assert dynoscale.job_queue_time("mine", "jobs", number)
