from __future__ import annotations

import itertools
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "support")]

import dynoscale  # noqa: E402
from dynoscale.jobs import _reader  # noqa: E402
from receiver import ReceiverProcess  # noqa: E402
from servers import RabbitMQ, Redis, find_rabbitmq  # noqa: E402

for variable in [name for name in os.environ if name.startswith("DYNO")]:
    del os.environ[variable]

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server")
    with Redis(tmp_path_factory.mktemp("redis")).start() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The URL of a running Redis server, which is empty."""
    redis = pytest.importorskip("redis")
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    if find_rabbitmq() is None:
        pytest.skip("there is no rabbitmq-server")
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")).start() as server:
        yield server


@pytest.fixture(scope="session")
def service() -> Iterator[ReceiverProcess]:
    with ReceiverProcess() as receiver:
        yield receiver


@pytest.fixture
def receiver(service: ReceiverProcess) -> ReceiverProcess:
    """The receiver, which accepts reports and has none yet."""
    service.behave()
    service.clear()
    return service


@pytest.fixture
def report_url(receiver: ReceiverProcess) -> str:
    """A URL for this test: processes with the same one belong to one dyno."""
    return f"{receiver.url}/token{os.getpid()}-{next(numbers)}"


@pytest.fixture
def agent(report_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The agent of this process, which has logged nothing yet."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the leader's lock is
    monkeypatch.setattr(_reader, "_logged_at", {})
    monkeypatch.setattr(_reader, "_logged_cut", set())
    dynoscale.configure(url=report_url, dyno="worker.1")
    yield
    dynoscale.stop()
    dynoscale.configure(**dict.fromkeys(dynoscale._native.SETTING_NAMES))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="dynoscale")
    return caplog


class EveryTurn:
    """A Turn that reads every queue, raises every failure, and keeps the counts."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {"depth": {}, "working": {}}

    def asks(self, signal: str) -> bool:
        return True

    def count(self, signal: str, queue: str, jobs: int) -> None:
        counts = self.counts[signal]
        counts[queue] = counts.get(queue, 0) + jobs

    def choose(self, names: Any) -> list[str]:
        return sorted(set(names))

    def failed(self, error: Exception) -> None:
        raise error


@pytest.fixture
def turn() -> EveryTurn:
    return EveryTurn()


def read_all(adapter: Any, turn: Any) -> dict[str, float]:
    """What an adapter reads from all its sources."""
    ages: dict[str, float] = adapter.read(turn, adapter.sources())
    return ages
