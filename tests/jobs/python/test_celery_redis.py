"""Celery on Redis: readings of a real Redis server that a real Celery fills."""

from __future__ import annotations

import itertools
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

redis = pytest.importorskip("redis")
celery = pytest.importorskip("celery")

from celery import signals  # noqa: E402
from certificates import make_certificates  # noqa: E402
from conftest import EveryTurn, read_all  # noqa: E402
from dynoscale.jobs import celery as adapter_module  # noqa: E402
from kombu import Exchange, Queue  # noqa: E402
from servers import Redis, Sentinel  # noqa: E402

SLACK_MS = 50_000  # what a busy machine may add to an age
MINUTE_MS = 60_000

names = itertools.count(1)


@pytest.fixture
def adapter() -> Iterator[Any]:
    """A new adapter, which stamps what is sent during the test."""
    adapter = adapter_module.Celery()
    adapter.prepare()
    yield adapter
    signals.before_task_publish.disconnect(dispatch_uid="dynoscale")


@pytest.fixture
def make_app() -> Iterator[Callable[..., Any]]:
    """Makes apps that exist during the test."""
    apps = []

    def make(broker: str, **settings: Any) -> Any:
        app = celery.Celery(f"app{next(names)}", broker=broker, set_as_current=False)
        app.conf.update(task_publish_retry=False, **settings)
        assert app.conf.task_default_queue == "celery"  # that loads it, as any use does
        apps.append(app)

        @app.task(name="nothing")
        def nothing(*_: Any) -> None:
            pass

        return app

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def app(make_app: Callable[..., Any], redis_url: str) -> Any:
    return make_app(redis_url)


@pytest.fixture
def client(redis_url: str) -> Any:
    return redis.Redis.from_url(redis_url)


def send(app: Any, minutes_ago: float = 0, key: str = "celery", **options: Any) -> None:
    """Sets the time at which it was sent."""
    app.send_task("nothing", **options)
    with redis.Redis.from_url(app.conf.broker_url) as client:
        message = json.loads(client.lindex(key, 0))
        message["headers"][adapter_module.HEADER] -= int(minutes_ago * MINUTE_MS)
        client.lset(key, 0, json.dumps(message))


def assert_age(measured: Optional[float], minutes: float) -> None:
    assert measured is not None
    assert minutes * MINUTE_MS <= measured < minutes * MINUTE_MS + SLACK_MS


def from_now(minutes: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(minutes=minutes)


def test_the_oldest_task_that_waits_counts(app: Any, adapter: Any, turn: EveryTurn) -> None:
    for minutes in (9, 5, 1):
        send(app, minutes)
    assert_age(read_all(adapter, turn)["celery"], 9)


def test_a_queue_that_is_empty_is_0(app: Any, adapter: Any, turn: EveryTurn) -> None:
    assert adapter.sources()
    assert read_all(adapter, turn) == {"celery": 0.0}


def test_the_depth_is_the_number_of_tasks_of_all_priorities(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    for priority in (0, 3, 3, 9):
        app.send_task("nothing", priority=priority)
    read_all(adapter, turn)
    assert turn.counts == {"depth": {"celery": 4}, "working": {}}
    client.delete("celery", "celery\x06\x163", "celery\x06\x169")
    turn = EveryTurn()
    read_all(adapter, turn)
    assert turn.counts["depth"] == {"celery": 0}


def test_the_depth_is_known_where_the_age_is_not(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    client.lpush("celery", "no message of Celery's", "nor this")
    assert read_all(adapter, turn) == {}
    assert turn.counts["depth"] == {"celery": 2}
    client.delete("celery")
    client.set("celery", "no list")
    turn = EveryTurn()
    assert read_all(adapter, turn) == {}
    assert turn.counts["depth"] == {}


@pytest.mark.parametrize("priority", [0, 3, 6, 9])
def test_a_task_of_any_priority_counts(
    priority: int, app: Any, adapter: Any, turn: EveryTurn
) -> None:
    send(app, 1)
    key = f"celery\x06\x16{priority}" if priority else "celery"
    send(app, 8, key=key, priority=priority)
    if priority == 0:
        assert_age(read_all(adapter, turn)["celery"], 1)  # its list is in order: sent last, read last
    else:
        assert_age(read_all(adapter, turn)["celery"], 8)


def test_a_task_with_an_eta_ages_from_then(app: Any, adapter: Any, turn: EveryTurn) -> None:
    send(app, 9, eta=from_now(10))
    assert read_all(adapter, turn) == {"celery": 0.0}
    send(app, 9, eta=from_now(-2))
    assert_age(read_all(adapter, turn)["celery"], 2)
    send(app, 5)
    send(app, 1)
    assert_age(read_all(adapter, turn)["celery"], 5)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_an_eta_without_a_zone_is_utc_s(
    zone: str, app: Any, adapter: Any, turn: EveryTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Celery's workers do."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        send(app, 9, eta=from_now(-2).replace(tzinfo=None))
        assert_age(read_all(adapter, turn)["celery"], 2)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_is_behind_many_with_an_eta_is_not_known(
    app: Any, adapter: Any, turn: EveryTurn
) -> None:
    for _ in range(adapter_module.BEHIND):
        send(app, eta=from_now(10))
    assert read_all(adapter, turn) == {"celery": 0.0}
    send(app, 5)
    assert_age(read_all(adapter, turn)["celery"], 5)
    app.control.purge()
    for _ in range(adapter_module.BEHIND + 1):
        send(app, eta=from_now(10))
    send(app, 5)
    assert read_all(adapter, turn) == {}


def test_a_task_that_was_sent_without_dynoscale_has_no_age(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    signals.before_task_publish.disconnect(dispatch_uid="dynoscale")
    app.send_task("nothing")
    assert read_all(adapter, turn) == {}
    adapter.prepare()
    send(app, 1)
    assert read_all(adapter, turn) == {}  # the younger one is no answer
    client.rpop("celery")
    assert_age(read_all(adapter, turn)["celery"], 1)


def test_a_task_of_the_first_protocol_has_no_age(
    make_app: Callable[..., Any], redis_url: str, adapter: Any, turn: EveryTurn
) -> None:
    make_app(redis_url, task_protocol=1).send_task("nothing", eta=from_now(10))
    assert read_all(adapter, turn) == {}


def test_a_key_of_another_type_hides_only_its_own_queue(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    app.conf.task_routes = {"nothing": "other"}
    client.set("other", "no list")
    client.set("_kombu.binding.third", "no set")
    send(app, 1, queue="celery")
    for _ in range(3):  # the bindings are found by a walk
        ages = read_all(adapter, turn)
    assert_age(ages.pop("celery"), 1)
    assert ages == {}


def received_bytes(client: Any, read: Callable[[], Any]) -> int:
    """The bytes that the server sent during a reading, by its own counter."""
    before = client.info("stats")["total_net_output_bytes"]
    read()
    return int(client.info("stats")["total_net_output_bytes"] - before)


def test_of_a_long_message_only_its_end_is_read(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    large = "x" * 3_000_000
    for minutes, eta in ((9, from_now(10)), (8, None), (1, None)):
        send(app, minutes, args=[large], kwargs={"a": large}, eta=eta)
    assert_age(read_all(adapter, turn)["celery"], 8)
    assert received_bytes(client, lambda: read_all(adapter, turn)) < 500_000


def test_a_user_who_may_run_no_scripts_reads_it_whole(
    app: Any, make_app: Callable[..., Any], redis_url: str, adapter: Any, client: Any, turn: Any
) -> None:
    may = ["on", ">secret", "~*", "+@read", "+@connection", "-@scripting"]
    client.execute_command("ACL", "SETUSER", "noscripts", *may)
    send(app, 3, args=["x" * 100_000])
    app.close()
    make_app(redis_url.replace("redis://", "redis://noscripts:secret@"))
    for _ in range(2):
        assert_age(read_all(adapter, turn)["celery"], 3)


@pytest.mark.parametrize("text", ["{", "[]", '{"headers": [1]}'])
def test_a_message_that_cannot_be_read_hides_only_its_own_queue(
    app: Any, adapter: Any, client: Any, turn: EveryTurn, text: str
) -> None:
    app.conf.task_routes = {"nothing": "other"}
    client.lpush("other", text)
    send(app, 1, queue="celery")
    ages = read_all(adapter, turn)
    assert_age(ages.pop("celery"), 1)
    assert ages == {}


def test_an_eta_that_is_no_time_hides_only_its_own_queue(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    send(app, 2, key="other", queue="other")
    send(app, 1, queue="celery")
    message = json.loads(client.lpop("other"))
    message["headers"]["eta"] = "tomorrow"
    client.lpush("other", json.dumps(message))
    ages = read_all(adapter, turn)
    assert_age(ages.pop("celery"), 1)
    assert ages == {}


def test_a_task_that_is_sent_again_gets_a_new_time(
    app: Any, adapter: Any, client: Any
) -> None:
    app.send_task("nothing", headers={adapter_module.HEADER: 1, "mine": 2})
    headers = json.loads(client.lindex("celery", 0))["headers"]
    assert headers[adapter_module.HEADER] > 10**12
    assert headers["mine"] == 2


def test_queues_that_the_app_names_are_known(
    make_app: Callable[..., Any], redis_url: str, adapter: Any, turn: EveryTurn
) -> None:
    make_app(
        redis_url,
        task_queues=[
            Queue("a", Exchange("a")),
            Queue("b", Exchange("topics", type="topic"), "b.#"),
        ],
        task_routes=[{"tasks.one": {"queue": "c"}}, {"tasks.two": "d"}, lambda *_: None],
    )
    assert read_all(adapter, turn) == dict.fromkeys("abcd", 0.0)


def test_queues_of_other_processes_are_found_by_their_bindings(
    app: Any,
    make_app: Callable[..., Any],
    redis_url: str,
    adapter: Any,
    client: Any,
    turn: EveryTurn,
) -> None:
    other = make_app(redis_url)
    send(other, 4, key="elsewhere", queue="elsewhere")
    other.control.broadcast("ping")  # over exchanges that are none of ours
    other.close()
    client.mset({f"unrelated{number}": 1 for number in range(3 * adapter_module.SCANNED)})
    found: dict[str, float] = {}
    for _ in range(6):
        found = read_all(adapter, turn)
    assert_age(found["elsewhere"], 4)
    assert found["celery"] == 0.0
    assert not [name for name in found if "pidbox" in name or "celeryev" in name]


def test_keys_with_a_prefix_are_the_apps_own(
    make_app: Callable[..., Any], redis_url: str, adapter: Any, turn: EveryTurn
) -> None:
    for number, prefix in enumerate(["one:", "two:"], 1):
        app = make_app(redis_url, broker_transport_options={"global_keyprefix": prefix})
        send(app, number, key=f"{prefix}celery")
        send(app, number, key=f"{prefix}{prefix[:3]}", queue=prefix[:3])
    read_all(adapter, turn)
    ages = read_all(adapter, turn)
    assert_age(ages["celery"], 2)
    assert_age(ages["one"], 1)
    assert_age(ages["two"], 2)


def test_steps_of_priority_are_the_apps_own(
    make_app: Callable[..., Any], redis_url: str, adapter: Any, turn: EveryTurn
) -> None:
    options = {"priority_steps": list(range(10)), "sep": ":"}
    app = make_app(redis_url, broker_transport_options=options)
    send(app, 3, key="celery:7", priority=7)
    assert_age(read_all(adapter, turn)["celery"], 3)


def test_reading_takes_as_many_round_trips_for_many_queues_as_for_one(
    make_app: Callable[..., Any], redis_url: str, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    def trips() -> int:
        before = client.info("stats")["total_reads_processed"]
        read_all(adapter, turn)
        return int(client.info("stats")["total_reads_processed"] - before)

    app = make_app(redis_url, task_routes={f"task{number}": "q0" for number in range(40)})
    send(app, 1, key="q0", queue="q0")
    one = trips()
    app.conf.task_routes = {f"task{number}": f"q{number}" for number in range(40)}
    for number in range(40):
        send(app, 1, key=f"q{number}", queue=f"q{number}")
    # The server may read a long pipeline in several pieces; a trip for each queue would be 39 more.
    assert trips() <= one + 20


def test_reading_changes_nothing(
    app: Any,
    make_app: Callable[..., Any],
    redis_url: str,
    adapter: Any,
    client: Any,
    turn: EveryTurn,
) -> None:
    """With a user who is only allowed to read."""
    may = ["on", ">secret", "~*", "+@read", "+@connection"]
    client.execute_command("ACL", "SETUSER", "reader", *may)
    for minutes in (3, 2, 1):
        send(app, minutes)
    app.close()
    make_app(redis_url.replace("redis://", "redis://reader:secret@"))
    before = client.lrange("celery", 0, -1)
    assert_age(read_all(adapter, turn)["celery"], 3)
    assert client.lrange("celery", 0, -1) == before
    assert client.exists("unacked", "unacked_index") == 0


def test_nothing_stays_connected_between_two_readings(
    app: Any, adapter: Any, client: Any, turn: EveryTurn
) -> None:
    client.ping()
    before = len(client.client_list())
    read_all(adapter, turn)
    # Fewer where what a test before had left has ended meanwhile.
    assert len(client.client_list()) <= before


def test_one_server_that_fails_does_not_hide_another(
    app: Any, make_app: Callable[..., Any], adapter: Any
) -> None:
    errors: list[Exception] = []

    class Turn(EveryTurn):
        def failed(self, error: Exception) -> None:
            errors.append(error)

    send(app, 1)
    make_app("redis://:hidden@127.0.0.1:1/0")
    assert_age(read_all(adapter, Turn())["celery"], 1)
    assert len(errors) == 1


def test_an_app_without_a_broker_or_with_another_kind_is_left_alone(
    make_app: Callable[..., Any], adapter: Any, turn: EveryTurn
) -> None:
    make_app("")
    make_app("memory://")
    assert not adapter.sources()
    assert read_all(adapter, turn) == {}


def test_an_app_that_is_not_configured_yet_gets_time(redis_url: str, adapter: Any) -> None:
    app = celery.Celery(f"app{next(names)}", broker=redis_url, set_as_current=False)
    assert not app.configured
    assert not adapter.sources()
    assert not app.configured
    assert adapter.sources()
    app.close()


def test_tls_is_the_apps_own(
    tmp_path: Path, make_app: Callable[..., Any], adapter: Any, turn: EveryTurn
) -> None:
    certificates = make_certificates(tmp_path)
    files = (Path(certificates.authority), *map(Path, certificates.valid))
    with Redis(tmp_path, ["--requirepass", "secret"], tls=files).start() as server:
        url = f"rediss://:secret@localhost:{server.port}/2?ssl_cert_reqs=CERT_REQUIRED"
        app = make_app(f"{url}&ssl_ca_certs={certificates.authority}")
        app.send_task("nothing")
        assert read_all(adapter, turn)["celery"] < SLACK_MS
        app.close()
        make_app(url)  # which does not trust it
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            read_all(adapter, turn)


def test_sentinel_is_the_apps_own(
    tmp_path: Path, make_app: Callable[..., Any], adapter: Any, turn: EveryTurn
) -> None:
    with Redis(tmp_path, ["--requirepass", "secret"]).start() as server:
        with Sentinel(tmp_path, server.port, "secret").start() as sentinel:
            app = make_app(
                f"sentinel://:secret@127.0.0.1:{sentinel.port}/0",
                broker_transport_options={"master_name": "mymaster"},
            )
            app.send_task("nothing")
            assert read_all(adapter, turn)["celery"] < SLACK_MS
