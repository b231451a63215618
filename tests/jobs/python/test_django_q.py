"""Django-Q: readings of a real Redis server or database that a real Django-Q fills."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
from programs import environment
from servers import PostgreSQL, find_postgresql

pytest.importorskip("django_q")

MINUTE_MS = 60_000

# Django is configured once in a process, so each test is a process.
BEFORE = """
    import sys, time, django
    from datetime import timedelta
    from django.conf import settings
    settings.configure(
        SECRET_KEY="secret", USE_TZ=True, INSTALLED_APPS=["django_q"], Q_CLUSTER={cluster},
        DATABASES={{"default": {database}}}, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    from django.core.management import call_command
    call_command("migrate", verbosity=0)
    from django.utils import timezone
    from django_q.brokers import get_broker
    from django_q.conf import Conf
    from django_q.tasks import async_task
    from dynoscale.jobs.django_q import adapter

    class Turn:
        choose = staticmethod(sorted)
        def count(self, signal, queue, jobs):
            assert (signal, queue) == ("depth", "cluster")
            self.depth = jobs
        def failed(self, error):
            raise error

    def read():
        return adapter.read(Turn(), adapter.sources())

    def depth():
        turn = Turn()
        adapter.read(turn, adapter.sources())
        return turn.depth

    def assert_age(minutes):
        [(queue, age)] = read().items()
        assert queue == "cluster", queue
        assert minutes * 60_000 - 1000 <= age < minutes * 60_000 + 50_000, age
"""


def run(
    code: str, cluster: dict[str, Any], directory: Path, database: Optional[dict[str, Any]] = None
) -> None:
    database = database or {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(directory / "db"),
    }
    before = BEFORE.format(cluster={"name": "cluster", **cluster}, database=database)
    program = directory / "program.py"
    program.write_text(textwrap.dedent(before) + textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_redis(redis_url: str, tmp_path: Path) -> None:
    code = """
        assert adapter.sources()
        assert read() == {"cluster": 0.0}
        broker = get_broker()
        real = time.time
        for minutes in (3, 2, 1):
            time.time = lambda: real() - 60 * minutes  # signed by then
            async_task("math.sqrt", 4)
        time.time = real
        before = broker.connection.lrange(broker.list_key, 0, -1)
        assert_age(3)
        assert depth() == 3
        assert broker.connection.lrange(broker.list_key, 0, -1) == before
        broker.connection.lpop(broker.list_key)
        assert_age(2)
        broker.purge_queue()
        assert depth() == 0
        async_task("math.sqrt", 4)
        assert read()["cluster"] < 10_000
    """
    run(code, {"redis": redis_url}, tmp_path)


def test_compressed_tasks_in_redis(redis_url: str, tmp_path: Path) -> None:
    code = 'async_task("math.sqrt", "4" * 9999)\nassert_age(0)'
    run(code, {"redis": redis_url, "compress": True}, tmp_path)


IN_DATABASE = """
    from django_q.models import OrmQ
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    assert adapter.sources()
    assert read() == {"cluster": 0.0}
    # Since 1.4 the lock of a taken task is the time when it ends; before, the time when it began.
    AHEAD = timedelta(seconds=Conf.RETRY if hasattr(Conf, "CLUSTER_NAME") else 0)
    for minutes in (3, 2, 1):
        async_task("math.sqrt", 4)
        last = OrmQ.objects.order_by("-id").first()
        last.lock -= timedelta(minutes=minutes)
        last.save()
    with CaptureQueriesContext(connection) as queries:
        assert_age(3)
    assert [*queries] == []  # over a connection of its own, and none of a pool that requests need
    connection.settings_dict["OPTIONS"] = {**connection.settings_dict.get("OPTIONS", {}), "pool": {}}
    assert read()
    assert OrmQ.objects.count() == 3
    # Taken by a cluster: no longer ready, until it is due to be tried again.
    oldest = OrmQ.objects.order_by("lock").first()
    assert depth() == 3
    oldest.lock = timezone.now() + AHEAD
    oldest.save()
    assert_age(2)
    assert depth() == 2
    OrmQ.objects.exclude(id=oldest.id).delete()
    assert read() == {"cluster": 0.0}
    assert depth() == 0
    oldest.lock = timezone.now() + AHEAD - timedelta(seconds=Conf.RETRY, minutes=4)
    oldest.save()
    assert_age(4)
"""
ORM = {"orm": "default", "retry": 120, "timeout": 60}


def test_sqlite(tmp_path: Path) -> None:
    run(IN_DATABASE, ORM, tmp_path)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    pytest.importorskip("psycopg2")
    if find_postgresql() is None:
        pytest.skip("there is no postgres")
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")).start() as server:
        yield {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "dynoscale",
            "HOST": "127.0.0.1",
            "PORT": server.port,
        }


def test_postgresql(tmp_path: Path, postgresql: dict[str, Any]) -> None:
    run(IN_DATABASE, ORM, tmp_path, postgresql)


def test_postgresql_gives_up_in_time_and_keeps_no_connection(
    tmp_path: Path, postgresql: dict[str, Any]
) -> None:
    code = """
        from django.db import connection, transaction
        from dynoscale.jobs import django_q
        import threading
        django_q.STATEMENT_TIMEOUT_MS = 200
        failed = []

        def try_to_read():
            try:
                read()
            except Exception as error:
                failed.append(str(error))

        def connections():
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL")
                return cursor.fetchone()[0]

        before = connections()
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE django_q_ormq IN ACCESS EXCLUSIVE MODE")
            thread = threading.Thread(target=try_to_read)
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
        assert "statement timeout" in failed[0], failed
        deadline = time.monotonic() + 20
        while connections() > before:
            assert time.monotonic() < deadline
    """
    run(code, ORM, tmp_path, postgresql)


def test_other_brokers_are_left_alone(tmp_path: Path) -> None:
    code = """
        from django_q.brokers import Broker
        class Mine(Broker):
            @staticmethod
            def get_connection(list_key=None):
                return None
        sys.modules["mine"] = type(sys)("mine")
        sys.modules["mine"].Mine = Mine
        assert not adapter.sources()
    """
    run(code, {"broker_class": "mine.Mine"}, tmp_path)


@pytest.mark.parametrize(
    "cluster",
    [
        {"sqs": {}},
        {"sqs": {"aws_region": "us-east-1"}, "orm": "default"},
        {"iron_mq": {"token": "token"}},
        {"mongo": {"host": "127.0.0.1"}},
        {"broker_class": "mine.Mine"},
    ],
)
def test_a_broker_that_connects_when_it_is_made_is_not_made(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    code = """
        def refuse(list_key=None):
            made.append(list_key)
        made = []
        names = {"django_q.brokers.aws_sqs": "Sqs", "django_q.brokers.mongo": "Mongo",
                 "django_q.brokers.ironmq": "IronMQBroker", "mine": "Mine"}
        for module, name in names.items():
            sys.modules[module] = type(sys)(module)
            setattr(sys.modules[module], name, refuse)
        for module in list(names)[:-1]:
            setattr(sys.modules["django_q.brokers"], module.rpartition(".")[2], sys.modules[module])
        assert not adapter.sources()
        assert not made
    """
    run(code, cluster, tmp_path)


def test_a_server_that_is_down_is_no_empty_queue(tmp_path: Path) -> None:
    code = """
        import redis
        try:
            read()
        except redis.exceptions.ConnectionError:
            sys.exit(0)
        sys.exit(1)
    """
    run(code, {"redis": "redis://127.0.0.1:1/0"}, tmp_path)
