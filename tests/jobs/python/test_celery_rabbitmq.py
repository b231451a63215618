"""Celery on RabbitMQ: readings of a real server that take no message out."""

from __future__ import annotations

import importlib
import itertools
import time
from typing import Any, Callable, Iterator

import pytest

celery = pytest.importorskip("celery")
kombu = pytest.importorskip("kombu")
pytest.importorskip("amqp")

from celery import signals  # noqa: E402
from conftest import EveryTurn, read_all  # noqa: E402
from dynoscale.jobs import celery as adapter_module  # noqa: E402
from servers import RabbitMQ  # noqa: E402

MINUTE_MS = 60_000
CELERY = tuple(int(number) for number in celery.__version__.split(".")[:2])

names = itertools.count(1)


@pytest.fixture
def adapter() -> Iterator[Any]:
    adapter = adapter_module.Celery()
    adapter.prepare()
    yield adapter
    signals.before_task_publish.disconnect(dispatch_uid="dynoscale")


@pytest.fixture
def make_app(rabbitmq: RabbitMQ) -> Iterator[Callable[..., Any]]:
    """Makes apps, each with its own queue, which is emptied after the test."""
    apps = []

    def make(**settings: Any) -> Any:
        app = celery.Celery(f"app{next(names)}", broker=rabbitmq.url, set_as_current=False)
        app.conf.update(task_default_queue=f"queue{next(names)}", **settings)
        assert app.conf.task_publish_retry  # that loads it, as any use does
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.connection_for_write() as connection:
            connection.channel().queue_delete(app.conf.task_default_queue)
        app.close()


def through_the_manager(rabbitmq: RabbitMQ) -> dict[str, Any]:
    return {"manager_hostname": "127.0.0.1", "manager_port": rabbitmq.manager_port}


def declare(app: Any) -> None:
    with app.connection_for_write() as connection:
        app.amqp.queues[app.conf.task_default_queue](connection.channel()).declare()


def read_until(
    adapter: Any, turn: EveryTurn, queue: str, wanted: Callable[[Any], bool]
) -> dict[str, float]:
    """The management API is a moment late."""
    deadline = time.monotonic() + 30
    while True:
        ages: dict[str, float] = read_all(adapter, turn)
        if wanted(ages.get(queue)):
            return ages
        assert time.monotonic() < deadline, ages
        time.sleep(0.1)


def test_a_queue_that_is_empty_is_0(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn
) -> None:
    app = make_app()
    declare(app)
    assert adapter.sources()
    assert read_all(adapter, turn) == {app.conf.task_default_queue: 0.0}
    assert turn.counts == {"depth": {app.conf.task_default_queue: 0}, "working": {}}


def test_a_queue_that_is_not_empty_has_no_age(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    app = make_app()
    app.send_task("nothing")
    assert read_all(adapter, turn) == {}
    assert turn.counts["depth"] == {app.conf.task_default_queue: 1}
    listed = rabbitmq.ctl("list_queues", "--silent", "name", "messages_ready", "messages")
    assert f"{app.conf.task_default_queue}\t1\t1" in listed.splitlines()  # nothing was taken


def test_a_queue_that_does_not_exist_is_neither_empty_nor_made(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    app = make_app(task_routes={"one": "queue_of_nobody"})
    declare(app)
    assert read_all(adapter, turn) == {app.conf.task_default_queue: 0.0}
    assert "queue_of_nobody" not in rabbitmq.ctl("list_queues", "--silent", "name")


def test_the_management_api_tells_the_age_where_the_app_names_it(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    app = make_app(broker_transport_options=through_the_manager(rabbitmq))
    queue = app.conf.task_default_queue
    declare(app)
    read_until(adapter, turn, queue, lambda age: age == 0.0)
    app.send_task("nothing", timestamp=int(time.time()) - 5 * 60)
    app.send_task("nothing")
    age = read_until(adapter, turn, queue, bool)[queue]
    assert 5 * MINUTE_MS <= age < 6 * MINUTE_MS
    turn = EveryTurn()
    read_until(adapter, turn, queue, lambda _: turn.counts["depth"].get(queue, 0) >= 2)


def test_tasks_get_a_time_that_the_management_api_shows(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    app = make_app(broker_transport_options=through_the_manager(rabbitmq))
    app.send_task("nothing")
    queue = app.conf.task_default_queue
    ages = read_until(adapter, turn, queue, lambda age: age is not None)
    assert 0 <= ages[queue] < MINUTE_MS


def test_a_password_that_is_wrong_fails(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    options = {**through_the_manager(rabbitmq), "manager_password": "hidden"}
    app = make_app(broker_transport_options=options)
    declare(app)
    with pytest.raises(Exception, match="401"):
        read_all(adapter, turn)


@pytest.fixture
def make_quorum_app(make_app: Callable[..., Any]) -> Callable[..., Any]:
    """With any Celery; newer ones have a setting for it."""

    def make(**settings: Any) -> Any:
        app = make_app(**settings)
        name = app.conf.task_default_queue
        arguments = {"x-queue-type": "quorum"}
        exchange = kombu.Exchange(name, type="topic")  # as RabbitMQ's own delays want it
        app.conf.task_queues = [
            kombu.Queue(name, exchange, name, durable=True, queue_arguments=arguments)
        ]
        declare(app)
        return app

    return make


@pytest.mark.parametrize("through_manager", [False, True], ids=["AMQP", "management API"])
def test_of_a_quorum_queue_the_depth_is_known_and_whether_it_is_empty(
    through_manager: bool,
    make_quorum_app: Callable[..., Any],
    adapter: Any,
    turn: EveryTurn,
    rabbitmq: RabbitMQ,
) -> None:
    options = through_the_manager(rabbitmq) if through_manager else {}
    app = make_quorum_app(broker_transport_options=options)
    queue = app.conf.task_default_queue
    assert "quorum" in rabbitmq.ctl("list_queues", "--silent", "name", "type")
    read_until(adapter, turn, queue, lambda age: age == 0.0)
    app.send_task("nothing")
    app.send_task("nothing")

    def both(_: Any) -> bool:
        return turn.counts["depth"].pop(queue, 0) == 2

    assert queue not in read_until(adapter, turn, queue, both)


@pytest.mark.skipif(CELERY < (5, 5), reason=f"needs Celery 5.5; this is {celery.__version__}")
def test_a_task_that_rabbitmq_itself_delays_is_not_waiting(
    make_quorum_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    """It waits in Celery's own queues, for example ``celery_delayed_27``."""
    app = make_quorum_app(broker_transport_options=through_the_manager(rabbitmq))
    queue = app.conf.task_default_queue
    with app.connection_for_write() as connection:
        delivery = importlib.import_module("kombu.transport.native_delayed_delivery")
        delivery.declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
    app.send_task("nothing", countdown=3600)
    deadline = time.monotonic() + 60
    while "celery_delayed_11\t1" not in rabbitmq.ctl("list_queues", "--silent", "name", "messages"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ages = read_until(adapter, turn, queue, lambda age: age == 0.0)
    assert not [name for name in {*ages, *turn.counts["depth"]} if "delayed" in name]


def test_a_task_with_an_eta_has_that_time_in_the_management_api(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn, rabbitmq: RabbitMQ
) -> None:
    """If RabbitMQ delays it, it enters its queue when it is due."""
    app = make_app(broker_transport_options=through_the_manager(rabbitmq))
    queue = app.conf.task_default_queue
    declare(app)
    app.send_task("nothing", countdown=3600)
    with app.connection_for_write() as connection:
        message = None
        deadline = time.monotonic() + 60
        while message is None:
            assert time.monotonic() < deadline
            message = connection.channel().basic_get(queue, no_ack=True)
    assert 3500 < message.properties["timestamp"] - time.time() <= 3600
