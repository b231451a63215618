"""arq: readings of a real Redis server that a real arq fills and empties."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

redis = pytest.importorskip("redis")
arq = pytest.importorskip("arq")

from arq.connections import RedisSettings, create_pool  # noqa: E402
from arq.worker import Worker, func  # noqa: E402
from certificates import make_certificates  # noqa: E402
from conftest import EveryTurn, read_all  # noqa: E402
from dynoscale.jobs import arq as adapter_module  # noqa: E402
from servers import Redis, Sentinel  # noqa: E402

SLACK_MS = 50_000  # what a busy machine may add to an age
MINUTE_MS = 60_000
QUEUE = "arq:queue"


@pytest.fixture
def adapter() -> Iterator[Any]:
    """The adapter that follows arq's clients, without those of earlier tests."""
    adapter = adapter_module.adapter
    adapter.prepare()
    adapter.sources()
    adapter._instances._found.clear()
    adapter._servers.clear()
    yield adapter
    adapter._instances._found.clear()
    adapter._servers.clear()


@pytest.fixture
def client(redis_url: str) -> Any:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def app(redis_url: str, adapter: Any) -> Iterator[Any]:
    """The app's pool, in an event loop that runs only while the app uses it."""
    with App(RedisSettings.from_dsn(redis_url)) as app:
        yield app


class App:
    def __init__(self, settings: Any, **options: Any) -> None:
        self.settings = settings
        self.loop = asyncio.new_event_loop()
        self.pool = self.run(create_pool(settings, **options))

    def run(self, something: Any) -> Any:
        return self.loop.run_until_complete(something)

    def enqueue(self, minutes_ago: float = 0, **options: Any) -> Any:
        """Sets the time at which it was enqueued."""
        job = self.run(self.pool.enqueue_job("nothing", **options))
        queue = options.get("_queue_name", QUEUE)
        self.run(self.pool.zincrby(queue, -minutes_ago * MINUTE_MS, job.job_id))
        return job

    def work(self, function: Callable[..., Any], **options: Any) -> Any:
        async def work() -> None:
            worker = Worker(
                [func(function, name="nothing")],
                redis_settings=self.settings,
                burst=True,
                poll_delay=0.05,
                handle_signals=False,
                queue_name=QUEUE,
                **options,
            )
            await worker.async_run()
            await worker.close()

        self.run(work())

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: Any) -> None:
        self.run(self.pool.aclose())
        self.loop.close()


async def nothing(ctx: Any) -> None:
    pass


def assert_age(measured: Optional[float], minutes: float) -> None:
    assert measured is not None
    # arq rounds to ms.
    assert minutes * MINUTE_MS - 1 <= measured < minutes * MINUTE_MS + SLACK_MS


def test_the_oldest_job_that_waits_counts(app: Any, adapter: Any, turn: EveryTurn) -> None:
    for minutes in (9, 5, 1):
        app.enqueue(minutes)
    app.enqueue(2, _queue_name="low")
    ages = read_all(adapter, turn)
    assert_age(ages[QUEUE], 9)
    assert_age(ages["low"], 2)
    assert turn.counts == {"depth": {QUEUE: 3, "low": 1}, "working": {QUEUE: 0, "low": 0}}


def test_a_queue_that_is_empty_is_0(app: Any, adapter: Any, turn: EveryTurn) -> None:
    app.enqueue(3)
    app.work(nothing)
    assert adapter.sources()
    assert read_all(adapter, turn) == {QUEUE: 0.0}
    assert turn.counts == {"depth": {QUEUE: 0}, "working": {QUEUE: 0}}


def test_a_deferred_job_ages_from_when_it_is_due(app: Any, adapter: Any, turn: EveryTurn) -> None:
    app.enqueue(0, _defer_by=timedelta(minutes=10))
    assert read_all(adapter, turn) == {QUEUE: 0.0}
    app.enqueue(12, _defer_by=timedelta(minutes=10))
    turn = EveryTurn()
    assert_age(read_all(adapter, turn)[QUEUE], 2)
    assert turn.counts["depth"] == {QUEUE: 1}


def test_a_job_that_is_worked_on_does_not_wait(app: Any, adapter: Any, turn: EveryTurn) -> None:
    """It stays in its queue until it is done."""
    seen = []

    async def look(ctx: Any) -> None:
        turn = EveryTurn()
        ages = await asyncio.get_running_loop().run_in_executor(None, read_all, adapter, turn)
        seen.append((ages, turn.counts))

    app.enqueue(9)
    app.enqueue(4)
    app.work(look, max_jobs=1)
    (first, counted), (second, then) = seen
    assert_age(first[QUEUE], 4)
    assert counted == {"depth": {QUEUE: 1}, "working": {QUEUE: 1}}
    assert second[QUEUE] == 0.0
    assert then == {"depth": {QUEUE: 0}, "working": {QUEUE: 1}}


def test_what_is_behind_many_that_are_worked_on_is_not_known(
    app: Any, adapter: Any, client: Any, turn: EveryTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "FRONT", 3)
    jobs = [app.enqueue(minutes) for minutes in (9, 8, 7, 6)]
    for job in jobs[:3]:
        client.set(f"arq:in-progress:{job.job_id}", 1)
    assert read_all(adapter, turn) == {}
    assert turn.counts == {"depth": {QUEUE: 1}, "working": {QUEUE: 3}}
    client.delete(f"arq:in-progress:{jobs[1].job_id}")
    assert_age(read_all(adapter, turn)[QUEUE], 8)


def test_the_process_of_a_worker_reads_its_queue(
    redis_url: str, app: Any, adapter: Any, turn: EveryTurn
) -> None:
    app.enqueue(1, _queue_name="mine")
    adapter._servers.clear()
    worker = Worker([nothing], queue_name="mine", redis_pool=app.pool, handle_signals=False)
    ages = read_all(adapter, turn)
    assert_age(ages.pop("mine"), 1)
    assert ages == {QUEUE: 0.0}  # of the app's pool
    worker.loop.close()


def test_the_server_of_a_freed_client_is_known(
    redis_url: str, adapter: Any, turn: EveryTurn
) -> None:
    with App(RedisSettings.from_dsn(redis_url)) as app:
        app.enqueue(1, _queue_name="mine")
    del app
    gc.collect()
    assert_age(read_all(adapter, turn)["mine"], 1)


def test_a_default_queue_of_the_apps_own(redis_url: str, adapter: Any, turn: EveryTurn) -> None:
    with App(RedisSettings.from_dsn(redis_url), default_queue_name="own") as app:
        app.enqueue(0)
        assert list(read_all(adapter, turn)) == ["own"]


def test_reading_changes_nothing_and_takes_a_user_who_may_only_read(
    redis_url: str, app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    may = ["on", ">secret", "~*", "+@read", "+@connection", "+info"]
    client.execute_command("ACL", "SETUSER", "reader", *may)
    app.enqueue(3)
    adapter._instances._found.clear()
    adapter._servers.clear()
    settings = RedisSettings.from_dsn(redis_url)
    settings.username, settings.password = "reader", "secret"
    with App(settings):
        assert "secret" not in adapter.sources()[0]
        before = {key: client.dump(key) for key in client.keys("*")}
        assert_age(read_all(adapter, turn)[QUEUE], 3)
        assert {key: client.dump(key) for key in client.keys("*")} == before


def test_nothing_stays_connected_between_two_readings(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    app.enqueue(3)
    before = len(client.client_list())
    read_all(adapter, turn)
    assert len(client.client_list()) <= before


def test_reading_takes_as_many_round_trips_for_many_queues_as_for_one(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    def trips() -> int:
        before = client.info("stats")["total_reads_processed"]
        read_all(adapter, turn)
        return int(client.info("stats")["total_reads_processed"] - before)

    app.enqueue()
    one = trips()
    for number in range(40):
        app.enqueue(0, _queue_name=f"queue{number}")
    # The server may read a long pipeline in several pieces; a trip for each queue would be 39 more.
    assert trips() <= one + 20


def test_a_key_of_another_type_hides_only_its_own_queue(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    app.enqueue(3)
    app.enqueue(3, _queue_name="low")
    client.set("low", "no sorted set")
    ages = read_all(adapter, turn)
    assert_age(ages.pop(QUEUE), 3)
    assert ages == {}


def test_enqueueing_is_still_a_coroutine_that_gives_a_job(app: Any) -> None:
    import inspect

    assert inspect.iscoroutinefunction(type(app.pool).enqueue_job)
    job = app.run(app.pool.enqueue_job("nothing", _job_id="one"))
    assert job.job_id == "one"
    assert app.run(app.pool.enqueue_job("nothing", _job_id="one")) is None


def test_tls_is_the_apps_own(tmp_path: Path, adapter: Any, turn: EveryTurn) -> None:
    certificates = make_certificates(tmp_path)
    files = (Path(certificates.authority), *map(Path, certificates.valid))
    with Redis(tmp_path, ["--requirepass", "secret"], tls=files).start() as server:
        settings = RedisSettings.from_dsn(f"rediss://:secret@localhost:{server.port}/2")
        settings.ssl_ca_certs = certificates.authority
        with App(settings) as app:
            app.enqueue(4)
            assert_age(read_all(adapter, turn)[QUEUE], 4)
            app.pool.connection_pool.connection_kwargs["ssl_ca_certs"] = None
            adapter._servers.clear()
            with pytest.raises(redis.exceptions.ConnectionError):
                read_all(adapter, turn)


def test_sentinel_is_the_apps_own(tmp_path: Path, adapter: Any, turn: EveryTurn) -> None:
    with Redis(tmp_path, ["--requirepass", "secret"]).start() as server:
        with Sentinel(tmp_path, server.port, "secret").start() as sentinel:
            settings = RedisSettings(
                host=[("127.0.0.1", sentinel.port)], password="secret", sentinel=True
            )
            with App(settings) as app:
                app.enqueue(6)
                assert "mymaster" in adapter.sources()[0]
                assert_age(read_all(adapter, turn)[QUEUE], 6)


def test_a_server_that_is_gone_does_not_hide_another(
    tmp_path: Path, app: Any, adapter: Any
) -> None:
    errors: list[Exception] = []

    class Turn(EveryTurn):
        def failed(self, error: Exception) -> None:
            errors.append(error)

    app.enqueue(1)
    with Redis(tmp_path).start() as server:
        gone = App(RedisSettings.from_dsn(server.url))
    assert_age(read_all(adapter, Turn())[QUEUE], 1)
    assert [type(error) for error in errors] == [redis.exceptions.ConnectionError]
    gone.loop.close()
