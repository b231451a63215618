"""Dramatiq on RabbitMQ: readings of a real server that take no message out."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from typing import Any, Callable, Iterator

import pytest

dramatiq = pytest.importorskip("dramatiq")
pika = pytest.importorskip("pika")

from conftest import EveryTurn, read_all  # noqa: E402
from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: E402
from dynoscale.jobs import _pika  # noqa: E402
from dynoscale.jobs import dramatiq as adapter_module  # noqa: E402
from servers import RabbitMQ  # noqa: E402

MINUTE_MS = 60_000

names = itertools.count(1)


@pytest.fixture
def adapter() -> Iterator[Any]:
    adapter = adapter_module.adapter
    adapter.prepare()
    adapter.sources()
    adapter._brokers._found.clear()
    yield adapter
    adapter._brokers._found.clear()


@pytest.fixture
def queue() -> str:
    return f"dramatiq{next(names)}"


@pytest.fixture
def broker(rabbitmq: RabbitMQ, adapter: Any, queue: str) -> Iterator[Any]:
    """A broker with its own queue."""
    broker = RabbitmqBroker(url=f"{rabbitmq.url.rstrip('/')}/%2F")
    dramatiq.actor(nothing, actor_name="nothing", queue_name=queue, broker=broker)
    broker.declare_queue(queue, ensure=True)
    yield broker
    for name in (queue, f"{queue}.DQ", f"{queue}.XQ"):
        broker.channel.queue_delete(name)
    broker.close()


def nothing(*_: Any) -> None:
    pass


@pytest.fixture
def manager(rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_pika.MANAGER, f"http://127.0.0.1:{rabbitmq.manager_port}")


def depths(rabbitmq: RabbitMQ) -> dict[str, str]:
    listed = rabbitmq.ctl("list_queues", "--silent", "name", "messages_ready", "messages")
    return dict(line.split("\t", 1) for line in listed.splitlines())


def read_until(
    adapter: Any, queue: str, wanted: Callable[[Any, Any], bool]
) -> tuple[Any, EveryTurn]:
    """The management API is a moment late."""
    deadline = time.monotonic() + 60
    while True:
        turn = EveryTurn()
        age = read_all(adapter, turn).get(queue)
        if wanted(age, turn.counts["depth"].get(queue)):
            return age, turn
        assert time.monotonic() < deadline, (age, turn.counts)
        time.sleep(0.1)


def test_a_queue_that_is_empty_is_0(
    broker: Any, queue: str, adapter: Any, turn: EveryTurn
) -> None:
    assert adapter.sources() and "guest" not in adapter.sources()[0]
    assert read_all(adapter, turn) == {queue: 0.0}
    assert turn.counts == {"depth": {queue: 0}, "working": {}}


def test_of_a_queue_that_is_not_empty_the_depth_alone_is_known(
    broker: Any, queue: str, adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    for _ in range(3):
        broker.get_actor("nothing").send()
    deadline = time.monotonic() + 60
    while depths(rabbitmq)[queue] != "3\t3":
        assert time.monotonic() < deadline
    assert read_all(adapter, turn) == {}
    assert turn.counts["depth"] == {queue: 3}
    assert depths(rabbitmq)[queue] == "3\t3"  # nothing was taken


def test_a_queue_with_delayed_messages_that_no_worker_waits_with_is_not_known_to_be_empty(
    broker: Any, queue: str, adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    broker.get_actor("nothing").send_with_options(delay=600_000)
    deadline = time.monotonic() + 60
    while depths(rabbitmq)[f"{queue}.DQ"] != "1\t1":
        assert time.monotonic() < deadline
    assert read_all(adapter, turn) == {}
    consumer = broker.consume(f"{queue}.DQ", prefetch=1)
    while next(consumer) is None:  # which also begins
        assert time.monotonic() < deadline
    assert read_all(adapter, turn) == {queue: 0.0}
    consumer.close()


def test_a_queue_that_does_not_exist_is_neither_empty_nor_made(
    broker: Any, queue: str, adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    broker.declare_queue("of_nobody")
    assert read_all(adapter, turn) == {queue: 0.0}
    assert "of_nobody" not in depths(rabbitmq)


@pytest.mark.usefixtures("manager")
def test_the_management_api_tells_the_age(
    broker: Any, queue: str, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_until(adapter, queue, lambda age, depth: age == 0.0)
    real = time.time
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: real() - 5 * 60)
        broker.get_actor("nothing").send()
    broker.get_actor("nothing").send()
    age, _ = read_until(adapter, queue, lambda age, depth: bool(age) and depth == 2)
    assert 5 * MINUTE_MS <= age < 6 * MINUTE_MS + MINUTE_MS


def test_messages_stay_as_they_were_where_there_is_no_management_api(
    broker: Any, queue: str, adapter: Any
) -> None:
    broker.get_actor("nothing").send()
    method, properties, _ = get(broker, queue)
    assert properties.timestamp is None and properties.delivery_mode == 2
    broker.channel.basic_ack(method.delivery_tag)


def get(broker: Any, queue: str) -> Any:
    deadline = time.monotonic() + 60
    while True:
        method, properties, body = broker.channel.basic_get(queue)
        if method is not None:
            return method, properties, body
        assert time.monotonic() < deadline


@pytest.mark.parametrize("given", ["amqp://host", "//host", "http://host:port", "https:///path"])
def test_an_impossible_address_is_logged_once(
    given: str,
    broker: Any,
    queue: str,
    adapter: Any,
    turn: EveryTurn,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dynoscale import _agent

    monkeypatch.setattr(_agent, "_warned", set())
    monkeypatch.setenv(_pika.MANAGER, given)
    for _ in range(3):
        assert read_all(adapter, turn) == {queue: 0.0}
    [told] = log.messages
    assert _pika.MANAGER in told and given not in told


@pytest.mark.usefixtures("manager")
def test_a_password_that_is_wrong_fails(
    broker: Any,
    adapter: Any,
    turn: EveryTurn,
    rabbitmq: RabbitMQ,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = f"http://guest:wr%6fng@127.0.0.1:{rabbitmq.manager_port}/"
    monkeypatch.setenv(_pika.MANAGER, where)
    with pytest.raises(Exception, match="401"):
        read_all(adapter, turn)


def test_nothing_stays_connected_between_two_readings(
    broker: Any, queue: str, adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    """And the app's own connection is unchanged."""
    before, of_all = set(broker.connections), connections(rabbitmq)
    for _ in range(3):
        read_all(adapter, turn)
    assert set(broker.connections) == before
    deadline = time.monotonic() + 60
    while len(connections(rabbitmq)) > len(of_all):
        assert time.monotonic() < deadline


def connections(rabbitmq: RabbitMQ) -> list[str]:
    return rabbitmq.ctl("list_connections", "--silent", "pid").splitlines()


def test_a_server_that_says_nothing_is_given_up(
    adapter: Any,
    turn: EveryTurn,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And pika logs nothing in the app's log."""
    monkeypatch.setattr(_pika, "limited", lambda seconds: 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = RabbitmqBroker(host="127.0.0.1", port=silent.getsockname()[1])
        broker.declare_queue("default")
        raised: list[BaseException] = []

        def read() -> None:
            with pytest.raises(Exception) as caught:
                read_all(adapter, turn)
            raised.append(caught.value)

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        reading.join(120)
        assert [type(error).__name__ for error in raised] == ["AMQPConnectorStackTimeout"]
        assert broker.parameters.stack_timeout != 0.3
        assert [record for record in log.records if record.name.startswith("pika")] == []
