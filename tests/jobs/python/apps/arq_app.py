"""An app for `arq`."""

import asyncio
import os

import dynoscale
from arq import create_pool
from arq.connections import RedisSettings


async def nap(ctx, seconds: float) -> None:
    await asyncio.sleep(seconds)


class WorkerSettings:
    functions = [nap]
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    max_jobs = 1
    poll_delay = 0.1


async def send(seconds: float, count: int) -> None:
    pool = await create_pool(WorkerSettings.redis_settings)
    for _ in range(count):
        await pool.enqueue_job("nap", seconds)
    await pool.aclose()


assert dynoscale.__version__
