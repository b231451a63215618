"""Dramatiq on Redis: readings of a real Redis server that a real Dramatiq fills and empties."""

from __future__ import annotations

import json
import pickle
import time
from typing import Any, Iterator, Optional

import pytest

redis = pytest.importorskip("redis")
dramatiq = pytest.importorskip("dramatiq")

from conftest import EveryTurn, read_all  # noqa: E402
from dramatiq.brokers.redis import RedisBroker  # noqa: E402
from dynoscale.jobs import dramatiq as adapter_module  # noqa: E402
from servers import RedisCluster  # noqa: E402

SLACK_MS = 50_000  # what a busy machine may add to an age
MINUTE_MS = 60_000


@pytest.fixture
def adapter() -> Iterator[Any]:
    """The adapter that follows Dramatiq's brokers, without those of earlier tests."""
    adapter = adapter_module.adapter
    adapter.prepare()
    adapter.sources()
    adapter._brokers._found.clear()
    yield adapter
    adapter._brokers._found.clear()


@pytest.fixture
def client(redis_url: str) -> Any:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def broker(redis_url: str, adapter: Any) -> Any:
    return make_broker(redis_url)


def make_broker(url: str, **options: Any) -> Any:
    broker = RedisBroker(url=url, **options)
    for queue in ("default", "low"):
        dramatiq.actor(nothing, actor_name=f"nothing_{queue}", queue_name=queue, broker=broker)
    return broker


def nothing(*_: Any) -> None:
    pass


def send(
    broker: Any, minutes_ago: float = 0, queue: str = "default", **options: Any
) -> None:
    """Sets the time at which it was sent."""
    then = time.time() - minutes_ago * 60
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: then)
        patched.setattr("dramatiq.brokers.redis.current_millis", lambda: int(then * 1000))
        broker.get_actor(f"nothing_{queue}").send_with_options(**options)


def assert_age(measured: Optional[float], minutes: float) -> None:
    assert measured is not None
    assert minutes * MINUTE_MS <= measured < minutes * MINUTE_MS + SLACK_MS


def work(broker: Any) -> None:
    """Runs a real worker until the queues are empty."""
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    broker.join("default", timeout=60_000)
    worker.join()
    worker.stop()


def test_the_oldest_message_that_waits_counts(broker: Any, adapter: Any, turn: EveryTurn) -> None:
    for minutes in (9, 5, 1):
        send(broker, minutes)
    send(broker, 2, "low")
    ages = read_all(adapter, turn)
    assert_age(ages["default"], 9)
    assert_age(ages["low"], 2)
    assert turn.counts == {"depth": {"default": 3, "low": 1}, "working": {}}


def test_a_queue_that_is_empty_is_0(broker: Any, adapter: Any, turn: EveryTurn) -> None:
    send(broker)
    work(broker)
    assert adapter.sources()
    assert read_all(adapter, turn) == {"default": 0.0, "low": 0.0}
    assert turn.counts["depth"] == {"default": 0, "low": 0}


def test_a_delayed_message_ages_from_when_it_is_due(
    broker: Any, adapter: Any, turn: EveryTurn
) -> None:
    send(broker, 0, delay=10 * MINUTE_MS)
    assert read_all(adapter, turn)["default"] == 0.0
    send(broker, 5, delay=2 * MINUTE_MS)  # due three minutes ago, and no worker took it
    turn = EveryTurn()
    assert_age(read_all(adapter, turn)["default"], 3)
    assert turn.counts["depth"]["default"] == 1


def test_a_delayed_message_that_a_worker_moved_to_its_queue_ages_from_then(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    from queue import PriorityQueue

    from dramatiq.worker import _ConsumerThread  # moves messages without working on them

    send(broker, 9, delay=8 * MINUTE_MS)
    mover = _ConsumerThread(
        broker=broker,
        queue_name="default.DQ",
        prefetch=10,
        work_queue=PriorityQueue(),
        worker_timeout=100,
    )
    mover.start()
    deadline = time.monotonic() + 60
    while client.llen("dramatiq:default") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    mover.stop()
    mover.join()
    age = read_all(adapter, turn)["default"]
    assert age < MINUTE_MS  # not the nine minutes since it was made


def test_a_message_of_a_process_without_dynoscale_has_the_time_when_it_was_made(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    send(broker, 4)
    strip(client, "dramatiq:default.msgs")
    assert_age(read_all(adapter, turn)["default"], 4)


def test_a_retry_that_such_a_process_put_back_has_no_age(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    send(broker, 4)
    strip(client, "dramatiq:default.msgs", requeue_timestamp=1)
    ages = read_all(adapter, turn)
    assert "default" not in ages and ages["low"] == 0.0
    assert turn.counts["depth"]["default"] == 1


def strip(client: Any, key: str, **options: Any) -> None:
    [(name, body)] = client.hgetall(key).items()
    message = json.loads(body)
    del message["options"][adapter_module.READY_AT]
    message["options"].update(options)
    client.hset(key, name, json.dumps(message))


def test_a_message_of_another_encoder_has_no_age(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    send(broker, 4)
    [(name, body)] = client.hgetall("dramatiq:default.msgs").items()
    client.hset("dramatiq:default.msgs", name, pickle.dumps(json.loads(body)))
    assert read_all(adapter, turn) == {"low": 0.0}
    assert turn.counts["depth"]["default"] == 1


def test_of_a_long_message_only_its_end_is_read(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    actor = broker.get_actor("nothing_low")
    for minutes in (8, 1):
        target = {"pipe_target": actor.message("x").asdict()}  # which has options of its own
        large = ['"options": {}' * 200_000]
        send(broker, minutes, args=large, **target)
    before = client.info("stats")["total_net_output_bytes"]
    assert_age(read_all(adapter, turn)["default"], 8)
    assert client.info("stats")["total_net_output_bytes"] - before < 500_000


def test_reading_takes_a_user_who_may_only_read_and_changes_nothing(
    redis_url: str, broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    may = ["on", ">secret", "~*", "+@read", "+@connection"]
    client.execute_command("ACL", "SETUSER", "reader", *may)
    send(broker, 3)
    adapter._brokers._found.clear()
    reader = RedisBroker(
        client=redis.Redis.from_url(redis_url, username="reader", password="secret")
    )
    reader.queues.add("default")
    assert "secret" not in adapter.sources()[0]
    before = {key: client.dump(key) for key in client.keys("*")}
    assert_age(read_all(adapter, turn)["default"], 3)
    assert {key: client.dump(key) for key in client.keys("*")} == before


def test_reading_uses_no_connection_of_the_apps_and_leaves_none_behind(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    send(broker, 1)
    broker.client.connection_pool.disconnect()
    before = len(client.client_list())
    read_all(adapter, turn)
    assert not broker.client.connection_pool._available_connections[0].is_connected
    assert len(client.client_list()) <= before


def test_reading_takes_as_many_round_trips_for_many_queues_as_for_one(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    def trips() -> int:
        before = client.info("stats")["total_reads_processed"]
        read_all(adapter, turn)
        return int(client.info("stats")["total_reads_processed"] - before)

    send(broker)
    one = trips()
    for number in range(40):
        broker.declare_queue(f"queue{number}")
    # The server may read a long pipeline in several pieces; a trip for each queue would be 39 more.
    assert trips() <= one + 20


def test_a_key_of_another_type_hides_only_its_own_queue(
    broker: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    send(broker, 3)
    client.set("dramatiq:low", "no list")
    assert_age(read_all(adapter, turn).pop("default"), 3)
    assert set(turn.counts["depth"]) == {"default"}


def test_a_namespace_is_the_apps_own(redis_url: str, adapter: Any, turn: EveryTurn) -> None:
    first = make_broker(redis_url, namespace="first")
    second = make_broker(redis_url, namespace="second")
    send(first, 2)
    send(second, 7)
    assert len(adapter.sources()) == 2
    assert_age(read_all(adapter, turn)["default"], 7)  # of both: the older one
    assert turn.counts["depth"]["default"] == 2


def test_brokers_that_are_gone_are_forgotten(redis_url: str, adapter: Any) -> None:
    import gc

    make_broker(redis_url)
    gc.collect()
    assert adapter.sources() == []


def test_a_cluster_is_told_and_not_reported(
    tmp_path: Any, adapter: Any, turn: EveryTurn, log: Any
) -> None:
    with RedisCluster(tmp_path).start() as server:
        cluster = redis.cluster.RedisCluster(host="127.0.0.1", port=server.port)
        broker = RedisBroker(client=cluster)
        assert broker.client is cluster
        assert adapter.sources() == []
        [told] = log.messages
        assert "over a RedisCluster are not measured" in told


def test_the_message_that_the_app_gets_back_is_dramatiqs_own(broker: Any) -> None:
    message = broker.get_actor("nothing_default").message(1, a=2)
    sent = broker.enqueue(message)
    assert (sent.message_id, sent.args, sent.kwargs) == (message.message_id, (1,), {"a": 2})
    assert adapter_module.READY_AT not in message.options
