"""An app for `huey_consumer`, which imports dynoscale last: the harder case."""

import os
import time

import redis
from huey import RedisHuey

huey = RedisHuey("app", url=os.environ["REDIS_URL"])

import dynoscale  # noqa: E402


@huey.task()
def nap(seconds: float) -> None:
    time.sleep(seconds)


@huey.task()
def record(number: int) -> None:
    assert dynoscale.job_queue_time("mine", "jobs", number)
    redis.Redis.from_url(os.environ["REDIS_URL"]).rpush("recorded", number)
