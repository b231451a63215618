"""RQ: readings of a real Redis server that a real RQ fills."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import types
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

redis = pytest.importorskip("redis")
rq = pytest.importorskip("rq")

from certificates import make_certificates  # noqa: E402
from conftest import EveryTurn, read_all  # noqa: E402
from dynoscale.jobs import _redis  # noqa: E402
from dynoscale.jobs import rq as adapter_module  # noqa: E402
from processes import Process  # noqa: E402
from servers import Redis, RedisCluster, Sentinel  # noqa: E402

SLACK_MS = 50_000  # what a busy machine may add to an age
MINUTE_MS = 60_000


class UrgentQueue(rq.Queue):
    """A class of the app's."""


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A new adapter, which follows RQ's queues during the test."""
    monkeypatch.setattr(rq.Queue, "__init__", rq.Queue.__init__)
    monkeypatch.setattr(rq.Queue, "push_job_id", rq.Queue.push_job_id)
    yield adapter_module.RQ()


@pytest.fixture
def client(redis_url: str) -> Any:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def queue(client: Any, adapter: Any) -> Callable[..., Any]:
    adapter.sources()  # follows
    adapter._servers.clear()  # of queues of tests before that are not collected yet
    return lambda name="default", kind=rq.Queue: kind(name, connection=client)


def enqueue(queue: Any, minutes_ago: float = 0, **options: Any) -> Any:
    job = queue.enqueue("time.sleep", 0, **options)
    return age(job, minutes_ago)


def age(job: Any, minutes: float) -> Any:
    """Sets the time at which it was enqueued."""
    job.enqueued_at = job.enqueued_at - timedelta(minutes=minutes)
    job.save()
    return job


def counts(adapter: Any) -> dict[str, dict[str, int]]:
    turn = EveryTurn()
    read_all(adapter, turn)
    return turn.counts


def assert_age(measured: Optional[float], minutes: float) -> None:
    assert measured is not None
    assert minutes * MINUTE_MS <= measured < minutes * MINUTE_MS + SLACK_MS


def test_the_oldest_job_that_waits_counts(queue: Any, adapter: Any, turn: EveryTurn) -> None:
    for minutes in (9, 5, 1):
        enqueue(queue("default"), minutes)
    enqueue(queue("low"), 2)
    ages = read_all(adapter, turn)
    assert_age(ages["default"], 9)
    assert_age(ages["low"], 2)


def test_jobs_at_the_front_are_not_taken_for_the_oldest(
    queue: Any, adapter: Any, turn: EveryTurn
) -> None:
    enqueue(queue(), 7)
    enqueue(queue(), 6)
    for _ in range(adapter_module.FRONT - 1):
        enqueue(queue(), at_front=True)
    assert_age(read_all(adapter, turn)["default"], 7)


def test_a_known_queue_that_is_empty_is_0(queue: Any, adapter: Any, turn: EveryTurn) -> None:
    enqueue(queue("default"))
    rq.SimpleWorker([queue("default")], connection=queue().connection).work(burst=True)
    assert read_all(adapter, turn) == {"default": 0.0}


def test_the_depth_is_the_number_of_jobs_that_are_ready(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    for _ in range(40):
        enqueue(queue("default"))
    job = queue("low").enqueue_in(timedelta(hours=1), "time.sleep", 0)
    queue("low").enqueue_in(timedelta(hours=1), "time.sleep", 0)
    queue("low", UrgentQueue)  # the same queue of the same server
    client.zadd("rq:scheduled:low", {job.id: time.time() - 60})
    client.sadd("rq:queues", "rq:queue:text")
    client.set("rq:queue:text", "no list")
    read_all(adapter, turn)
    assert turn.counts["depth"] == {"default": 40, "low": 1}
    client.delete("rq:queue:default")
    turn = EveryTurn()
    read_all(adapter, turn)
    assert turn.counts["depth"] == {"default": 0, "low": 1}


def test_jobs_that_are_worked_on_are_counted_until_they_end(
    queue: Any, adapter: Any, redis_url: str, turn: EveryTurn, tmp_path: Path
) -> None:
    begun, end = tmp_path / "begun", tmp_path / "end"
    (tmp_path / "slow_tasks.py").write_text(
        "import pathlib, time\n"
        "def wait(begun, end):\n"
        "    pathlib.Path(begun).touch()\n"
        "    while not pathlib.Path(end).exists(): time.sleep(0.02)\n"
    )
    queue("default").enqueue("slow_tasks.wait", str(begun), str(end))
    queue("low").enqueue("slow_tasks.wait", str(begun), str(end))
    command = [sys.executable, "-m", "rq.cli", "worker", "--url", redis_url, "default"]
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with Process(command, tmp_path, "rq", {**os.environ, "PYTHONPATH": paths}, tmp_path) as worker:
        worker.start()
        worker.wait_until(begun.exists, "work on the job", 60)
        read_all(adapter, turn)
        assert turn.counts == {"working": {"default": 1, "low": 0}, "depth": {"default": 0, "low": 1}}
        queue().connection.set("rq:suspended", 1)
        turn = EveryTurn()
        assert read_all(adapter, turn) == {}
        assert turn.counts == {"working": {"default": 1, "low": 0}, "depth": {}}
        queue().connection.delete("rq:suspended")
        end.touch()
        worker.wait_until(lambda: counts(adapter)["working"] == {"default": 0, "low": 0}, "be done", 60)


def test_a_job_whose_time_is_over_is_not_worked_on_any_more(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    enqueue(queue("default"))
    client.zadd("rq:wip:default", {"killed": time.time() - 1, "lives": time.time() + 60})
    client.zadd("rq:wip:default", {"for ever": "+inf"})
    read_all(adapter, turn)
    assert turn.counts["working"] == {"default": 2}


def test_ids_whose_jobs_are_gone_are_no_jobs(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    gone = [enqueue(queue("default"), 9) for _ in range(3)]
    client.delete(*(job.key for job in gone))
    assert read_all(adapter, turn) == {"default": 0.0}
    enqueue(queue("default"), 4)
    assert_age(read_all(adapter, turn)["default"], 4)


def test_what_is_behind_many_such_ids_is_not_known(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    enqueue(queue())
    client.rpush("rq:queue:default", *(f"gone{n}" for n in range(40)))
    client.delete(*client.keys("rq:job:*"))
    assert read_all(adapter, turn) == {}


def test_a_scheduled_job_ages_from_when_it_is_due(
    queue: Any, adapter: Any, turn: EveryTurn
) -> None:
    now = datetime.now(timezone.utc)
    queue("default").enqueue_at(now + timedelta(minutes=10), "time.sleep", 0)
    assert read_all(adapter, turn) == {"default": 0.0}
    queue("default").enqueue_at(now - timedelta(minutes=3), "time.sleep", 0)
    queue("default").enqueue_at(now - timedelta(minutes=2), "time.sleep", 0)
    assert_age(read_all(adapter, turn)["default"], 3)


def test_a_job_that_is_retried_later_is_not_waiting(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    job = queue().enqueue("math.sqrt", -1, retry=rq.Retry(max=1, interval=600))
    age(job, 9)
    rq.SimpleWorker([queue()], connection=client).work(burst=True)
    assert read_all(adapter, turn) == {"default": 0.0}
    client.zincrby("rq:scheduled:default", -12 * 60, job.id)  # two minutes overdue
    assert_age(read_all(adapter, turn)["default"], 2)


def test_a_job_that_waits_for_another_is_not_ready(
    queue: Any, adapter: Any, turn: EveryTurn
) -> None:
    first = enqueue(queue(), 2)
    queue("later").enqueue("time.sleep", 0, depends_on=first)
    assert set(read_all(adapter, turn)) <= {"default", "later"}
    assert read_all(adapter, turn).get("later", 0.0) == 0.0


def test_nothing_is_reported_while_workers_are_suspended(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    from rq import suspension

    enqueue(queue(), 5)
    suspension.suspend(client)
    assert read_all(adapter, turn) == {}
    suspension.resume(client)
    assert_age(read_all(adapter, turn)["default"], 5)


def test_queues_that_other_processes_made_are_found(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    queue("known")
    client.sadd("rq:queues", "rq:queue:elsewhere")
    client.rpush("rq:queue:elsewhere", "1")
    created = datetime.now(timezone.utc) - timedelta(minutes=8)
    client.hset("rq:job:1", "created_at", created.strftime("%Y-%m-%dT%H:%M:%SZ"))  # an old format
    assert_age(read_all(adapter, turn)["elsewhere"], 8)


class FalseWorkerPool:
    """What RQ 2's pool has, for an RQ without pools."""

    def __init__(
        self, queues: Any, connection: Any, num_workers: int = 1, queue_class: Any = rq.Queue
    ) -> None:
        self.connection = connection
        self.queue_class = queue_class


@pytest.fixture
def pool_class(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """RQ's pool, or a false one, followed during the test as queues are."""
    try:
        module: Any = importlib.import_module("rq.worker_pool")
    except ImportError:
        module = types.ModuleType("rq.worker_pool")
        module.WorkerPool = FalseWorkerPool
        monkeypatch.setitem(sys.modules, "rq.worker_pool", module)
    monkeypatch.setattr(module.WorkerPool, "__init__", module.WorkerPool.__init__)
    return module.WorkerPool


@pytest.mark.parametrize("made", ["before", "after"])
@pytest.mark.parametrize("kind", [rq.Queue, UrgentQueue])
def test_the_process_of_a_pool_of_workers_makes_no_queue(
    pool_class: Any,
    client: Any,
    adapter: Any,
    turn: EveryTurn,
    kind: Any,
    made: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enqueue(kind("default", connection=client), 1)
    if made == "after":
        adapter.sources()  # follows
    pool = pool_class(["default"], client, queue_class=kind)
    if made == "before":
        monkeypatch.setattr(sys.modules[__name__], "kept", pool, raising=False)
        adapter.prepare()
    [source] = adapter.sources()
    assert source == f"{kind.__qualname__} {_redis.address(pool.connection)}"
    assert_age(read_all(adapter, turn)["default"], 1)


@pytest.mark.parametrize("kind", [rq.Queue, UrgentQueue])
@pytest.mark.parametrize("where", ["alone", "in a dict"])
def test_a_queue_that_a_module_made_before_is_found(
    where: str, kind: Any, client: Any, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = kind("default", connection=client)
    kept = queue if where == "alone" else {"default": queue}
    monkeypatch.setattr(sys.modules[__name__], "kept", kept, raising=False)
    adapter.prepare()
    assert len(adapter.sources()) == 1


def test_a_queue_that_was_made_before_is_found_by_its_use(client: Any, adapter: Any) -> None:
    queue = rq.Queue("default", connection=client)
    adapter.prepare()
    assert adapter.sources() == []
    queue.enqueue("time.sleep", 0)
    assert len(adapter.sources()) == 1


def test_no_object_of_the_app_is_looked_at(client: Any, adapter: Any) -> None:
    """Asking the garbage collector for all objects takes seconds in a large process."""
    queue = rq.Queue("default", connection=client)
    adapter.prepare()
    asked: list[str] = []
    names = {"get_objects", "get_referrers", "get_referents"}
    sys.setprofile(lambda frame, event, arg: asked.append(getattr(arg, "__name__", "")))
    try:
        adapter.sources()
    finally:
        sys.setprofile(None)
    assert asked and not names & {*asked}
    del queue


def test_a_key_of_another_type_hides_only_its_own_queue(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    enqueue(queue("default"), 3)
    enqueue(queue("low"), 2)
    client.delete("rq:queue:low")
    client.set("rq:queue:low", "no list")
    client.sadd("rq:queues", "rq:queue:other")
    client.set("rq:scheduled:other", "no sorted set")
    ages = read_all(adapter, turn)
    assert_age(ages.pop("default"), 3)
    assert ages == {}


def test_a_job_whose_times_cannot_be_read_is_none(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    jobs = [enqueue(queue("default"), minutes) for minutes in (9, 8, 3)]
    client.hset(jobs[0].key, "enqueued_at", "yesterday")
    client.delete(jobs[1].key)
    client.set(jobs[1].key, "no hash")
    assert_age(read_all(adapter, turn)["default"], 3)


def test_without_a_queue_there_is_nothing_to_read(adapter: Any, turn: EveryTurn) -> None:
    adapter.sources()  # follows
    adapter._servers.clear()
    assert not adapter.sources()
    assert read_all(adapter, turn) == {}


def test_a_queue_keeps_its_way_of_being_made(client: Any, adapter: Any) -> None:
    import inspect

    before = inspect.signature(rq.Queue)
    made = rq.Queue.__init__
    adapter.sources()  # follows
    assert rq.Queue.__init__ is not made
    assert inspect.signature(rq.Queue) == before
    with pytest.raises(Exception, match="."):
        rq.Queue("default", job_class="no.such.Class", connection=client)
    assert UrgentQueue("default", connection=client).name == "default"


def test_reading_takes_as_many_round_trips_for_many_queues_as_for_one(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    def trips(expected: int) -> int:
        before = client.info("stats")["total_reads_processed"]
        assert len(read_all(adapter, turn)) == expected
        return int(client.info("stats")["total_reads_processed"] - before)

    enqueue(queue("q0"))
    one = trips(1)
    for number in range(1, 40):
        enqueue(queue(f"q{number}"))
    # The server may read a long pipeline in several pieces; a trip for each queue would be 39 more.
    assert trips(40) <= one + 20


def test_reading_changes_nothing(
    redis_url: str, client: Any, adapter: Any, turn: EveryTurn
) -> None:
    """With a user who is only allowed to read."""
    may = ["on", ">secret", "~*", "+@read", "+@connection"]
    client.execute_command("ACL", "SETUSER", "reader", *may)
    adapter.sources()
    for minutes in (3, 2, 1):
        enqueue(rq.Queue("default", connection=client), minutes)
    adapter._servers.clear()
    reader = redis.Redis.from_url(redis_url, username="reader", password="secret")
    rq.Queue("default", connection=reader)
    before = client.lrange("rq:queue:default", 0, -1)
    assert_age(read_all(adapter, turn)["default"], 3)
    assert client.lrange("rq:queue:default", 0, -1) == before
    with pytest.raises(redis.exceptions.NoPermissionError):
        next(iter(adapter._servers.values())).client.set("x", 1)


def test_nothing_stays_connected_between_two_readings(
    queue: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    enqueue(queue())
    before = len(client.client_list())
    read_all(adapter, turn)
    assert len(client.client_list()) <= before


def test_one_server_that_fails_does_not_hide_another(
    queue: Any, adapter: Any, turn: EveryTurn
) -> None:
    errors: list[Exception] = []

    class Turn(EveryTurn):
        def failed(self, error: Exception) -> None:
            errors.append(error)

    enqueue(queue(), 1)
    rq.Queue("default", connection=redis.Redis(port=1))
    assert_age(read_all(adapter, Turn())["default"], 1)
    assert [type(error) for error in errors] == [redis.exceptions.ConnectionError]


def test_a_server_that_does_not_answer_is_given_up(
    tmp_path: Path, adapter: Any, turn: EveryTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    monkeypatch.setattr(_redis, "TIMEOUT", 0.2)
    adapter.sources()
    with Redis(tmp_path).start() as server:
        rq.Queue("default", connection=redis.Redis.from_url(server.url))
        server.send_signal(signal.SIGSTOP)
        reading = threading.Thread(target=lambda: pytest.raises(Exception, read_all, adapter, turn))
        reading.start()
        reading.join(20)
        server.send_signal(signal.SIGCONT)
        assert not reading.is_alive()


def test_the_apps_own_time_out_holds_if_it_is_shorter() -> None:
    app = redis.Redis(socket_timeout=0.5, socket_connect_timeout=60, decode_responses=True)
    given = _redis.own_client(app).connection_pool.connection_kwargs
    assert given["socket_timeout"] == 0.5
    assert given["socket_connect_timeout"] == _redis.TIMEOUT


def test_an_app_that_decodes_answers_is_read_too(
    redis_url: str, queue: Any, adapter: Any, turn: EveryTurn
) -> None:
    enqueue(queue(), 1)
    adapter._servers.clear()
    rq.Queue("default", connection=redis.Redis.from_url(redis_url, decode_responses=True))
    assert_age(read_all(adapter, turn)["default"], 1)


def answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def test_a_unix_socket_is_the_apps_own(tmp_path: Path, adapter: Any, turn: EveryTurn) -> None:
    path = tmp_path / "redis.sock"
    adapter.sources()
    with Redis(tmp_path, ["--unixsocket", str(path)]).start() as server:
        client = redis.Redis(unix_socket_path=str(path))
        server.wait_until(lambda: answers(client), "listen on the socket")  # the port comes first
        enqueue(rq.Queue("default", connection=client), 1)
        assert_age(read_all(adapter, turn)["default"], 1)


def test_tls_is_the_apps_own(tmp_path: Path, adapter: Any, turn: EveryTurn) -> None:
    certificates = make_certificates(tmp_path)
    files = (Path(certificates.authority), *map(Path, certificates.valid))
    adapter.sources()
    adapter._servers.clear()
    with Redis(tmp_path, ["--requirepass", "secret"], tls=files).start() as server:
        url = f"rediss://:secret@localhost:{server.port}/2"
        app = redis.Redis.from_url(url, ssl_ca_certs=certificates.authority)
        enqueue(rq.Queue("default", connection=app), 4)
        assert_age(read_all(adapter, turn)["default"], 4)
        adapter._servers.clear()
        rq.Queue("default", connection=redis.Redis.from_url(url))  # which does not trust it
        with pytest.raises(redis.exceptions.ConnectionError):
            read_all(adapter, turn)


def test_sentinel_is_the_apps_own(tmp_path: Path, adapter: Any, turn: EveryTurn) -> None:
    from redis.sentinel import Sentinel as Client

    adapter.sources()
    adapter._servers.clear()
    with Redis(tmp_path, ["--requirepass", "secret"]).start() as server:
        with Sentinel(tmp_path, server.port, "secret").start() as sentinel:
            sentinels = Client([("127.0.0.1", sentinel.port)], password="secret")
            enqueue(rq.Queue("default", connection=sentinels.master_for("mymaster")), 6)
            assert_age(read_all(adapter, turn)["default"], 6)
            assert "mymaster" in adapter.sources()[0]


def test_a_cluster_which_rqs_workers_can_not_use_either_is_told_and_not_reported(
    tmp_path: Path, adapter: Any, turn: EveryTurn, log: pytest.LogCaptureFixture
) -> None:
    adapter.sources()
    adapter._servers.clear()
    with RedisCluster(tmp_path).start() as server:
        cluster = redis.cluster.RedisCluster(host="127.0.0.1", port=server.port)
        queue = rq.Queue("default", connection=cluster)
        enqueue(queue, 4)
        assert queue.count == 1
        with pytest.raises(AttributeError):
            rq.SimpleWorker([queue], connection=cluster)
        for _ in range(3):
            assert not adapter.sources()
            assert read_all(adapter, turn) == {}
        [told] = log.messages
        assert "over a RedisCluster are not measured" in told


def test_a_server_of_a_cluster_is_not_an_empty_one(
    tmp_path: Path, adapter: Any, turn: EveryTurn
) -> None:
    adapter.sources()
    adapter._servers.clear()
    with RedisCluster(tmp_path, keys=False).start() as server:
        rq.Queue("default", connection=redis.Redis.from_url(server.url))
        assert adapter.sources()
        with pytest.raises(redis.exceptions.RedisError):
            read_all(adapter, turn)


@pytest.mark.skipif(
    int(rq.VERSION.split(".")[0]) < 2, reason=f"needs RQ 2.x; this is {rq.VERSION}"
)
def test_rq_2_has_times_with_a_zone(queue: Any, adapter: Any, turn: EveryTurn) -> None:
    job = enqueue(queue(), 3)
    assert job.enqueued_at.tzinfo is not None
    assert_age(read_all(adapter, turn)["default"], 3)
