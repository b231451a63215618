"""The reader: from queues in a real Redis server to rows at the service."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

redis = pytest.importorskip("redis")
rq = pytest.importorskip("rq")

import dynoscale  # noqa: E402
from dynoscale import jobs  # noqa: E402
from dynoscale.jobs import _names, _reader, _redis  # noqa: E402
from dynoscale.jobs import rq as rq_module  # noqa: E402
from programs import environment  # noqa: E402
from servers import Redis  # noqa: E402


@pytest.fixture
def adapter(agent: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[rq_module.RQ]:
    """The only backend that this process reads. It has no queues yet."""
    monkeypatch.setattr(rq.Queue, "__init__", rq.Queue.__init__)
    adapter = rq_module.RQ()
    monkeypatch.setattr(rq_module, "adapter", adapter)
    monkeypatch.setattr(jobs, "BACKENDS", {"rq.queue": "dynoscale.jobs.rq"})
    adapter.sources()
    adapter._servers.clear()
    yield adapter


@pytest.fixture
def make_queues(redis_url: str, adapter: rq_module.RQ) -> Callable[..., Any]:
    client = redis.Redis.from_url(redis_url)

    def make(*names: str) -> Any:
        rq.Queue("any", connection=client)
        client.sadd("rq:queues", *(f"rq:queue:{name}" for name in names))
        return client

    return make


def look() -> None:
    """One reading, as the reader's thread does it in each interval."""
    assert _reader.Reader()._look()[0] is True


def sources(receiver: Any) -> list[str]:
    assert dynoscale.flush(10)
    return sorted(row["source"] for row in receiver.rows())


def test_each_queue_is_a_row(make_queues: Any, receiver: Any) -> None:
    client = make_queues("default", "low")
    job = rq.Queue("default", connection=client).enqueue("time.sleep", 0)
    job.enqueued_at -= timedelta(minutes=2)
    job.save()
    look()
    assert sources(receiver) == ["rq:default", "rq:low"]
    measured = {row["source"]: row["metric"] for row in receiver.rows()}
    assert measured["rq:low"] == 0
    assert 120_000 <= measured["rq:default"] < 130_000


def test_numbers_of_jobs_are_rows_once_the_service_asks_for_them(
    make_queues: Any, receiver: Any
) -> None:
    client = make_queues("default", "low")
    rq.Queue("default", connection=client).enqueue("time.sleep", 0)
    client.zadd("rq:wip:low", {"job": time.time() + 600})
    receiver.behave("ok", signals=["depth", "working"])
    look()
    assert dynoscale.flush(10)
    assert {row["metadata"] for row in receiver.rows()} == {""}
    receiver.clear()
    look()
    assert dynoscale.flush(10)
    numbers = {(row["source"], row["metadata"]): row["metric"] for row in receiver.rows()}
    assert numbers["rq:default", "depth"] == 1
    assert numbers["rq:default", "working"] == 0
    assert numbers["rq:low", "depth"] == 0
    assert numbers["rq:low", "working"] == 1


def test_names_travel_as_they_are_or_are_refused_and_counted(
    make_queues: Any, receiver: Any
) -> None:
    odd = ["low,slow", 'the "best"', "größer", "a b", "=1+1", "ends\\", "x" * 200]
    refused = ["two\r\nlines", "tab\there", "y" * 10_240, "ö" * 101]
    make_queues(*odd, *refused)
    look()
    assert sources(receiver) == sorted(f"rq:{name}" for name in odd)
    assert dynoscale.stats()["jobs_refused"] == len(refused)
    assert receiver.summary()["malformed"] == 0


def test_more_than_50_are_cut_to_the_shortest_with_one_warning(
    make_queues: Any, receiver: Any, log: Any
) -> None:
    names = ["q" * length for length in range(1, 61)]
    make_queues(*names)
    look()
    look()
    assert sources(receiver) == sorted(f"rq:{name}" for name in names[: _names.MOST] * 2)
    [line] = [record.getMessage() for record in log.records]
    assert "rq: 60 queues are too many" in line


def test_names_with_a_uuid_are_left_out(make_queues: Any, receiver: Any) -> None:
    make_queues("default", f"reply-{uuid.uuid4()}", str(uuid.uuid4()).upper())
    look()
    assert sources(receiver) == ["rq:default"]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("low", ["low"]),
        ("low, high ,none", ["high", "low"]),
        ("reply-*", ["reply-0f8fad5b-d9cb-469f-a165-70867728950e"]),
        ("*", ["high", "low", "lower", "reply-0f8fad5b-d9cb-469f-a165-70867728950e"]),
        ("l*w*", ["low", "lower"]),
        ("l.w", []),
        (" , ", ["high", "low", "lower"]),
    ],
)
def test_a_setting_decides(
    setting: str, expected: list[str], make_queues: Any, receiver: Any, report_url: str
) -> None:
    make_queues("low", "lower", "high", "reply-0f8fad5b-d9cb-469f-a165-70867728950e")
    dynoscale.configure(job_queues=setting)
    look()
    assert sources(receiver) == [f"rq:{name}" for name in expected]


def test_a_setting_lifts_the_limit(make_queues: Any, receiver: Any, log: Any) -> None:
    make_queues(*(f"q{number}" for number in range(60)))
    dynoscale.configure(job_queues="q*")
    look()
    assert len(sources(receiver)) == 60
    assert not log.records


def test_a_server_that_is_down_is_no_empty_queue_and_told_once_a_minute(
    tmp_path: Path, adapter: rq_module.RQ, receiver: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Redis(tmp_path).start() as server:
        rq.Queue("default", connection=redis.Redis.from_url(server.url)).enqueue("time.sleep", 0)
        look()
    look()
    look()
    assert sources(receiver) == ["rq:default"]
    [line] = [record.getMessage() for record in log.records]
    assert line.startswith("dynoscale: rq: its queues can't be read, nothing is reported of them")
    assert "Connection refused" in line
    minute_later = time.monotonic() + 60
    monkeypatch.setattr(_reader.time, "monotonic", lambda: minute_later)
    look()
    assert len(log.records) == 2


def test_a_server_that_hangs_is_given_up_and_told(
    tmp_path: Path, adapter: rq_module.RQ, receiver: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis, "TIMEOUT", 0.2)
    with Redis(tmp_path).start() as server:
        rq.Queue("default", connection=redis.Redis.from_url(server.url))
        server.send_signal(signal.SIGSTOP)
        looking = threading.Thread(target=look)
        looking.start()
        looking.join(20)
        assert not looking.is_alive()
        server.send_signal(signal.SIGCONT)
    assert sources(receiver) == []
    [record] = log.records
    assert "TimeoutError" in record.getMessage()


def test_a_password_is_nowhere(
    tmp_path: Path, adapter: rq_module.RQ, receiver: Any, log: Any, capfd: Any
) -> None:
    with Redis(tmp_path, ["--requirepass", "right"]).start() as server:
        rq.Queue("default", connection=redis.Redis(port=server.port, password="hunter2"))
        look()
    [record] = log.records
    assert "redis.exceptions." in record.getMessage()
    printed = capfd.readouterr()
    assert "hunter2" not in f"{record.getMessage()}{record.exc_info}{printed.out}{printed.err}"
    assert "hunter2" not in repr(dynoscale.stats())


def test_what_is_logged_of_an_error_holds_nothing_of_its_message() -> None:
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError:
            raise ValueError("redis://:hunter2@host")  # noqa: B904
    except ValueError as error:
        assert _reader.describe(error) == "ValueError (Connection refused)"


def test_an_adapter_that_fails_does_not_stop_the_others(
    make_queues: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    class Broken:
        name = "broken"

        def available(self) -> bool:
            return True

        def read(self, turn: Any) -> dict[str, float]:
            raise RuntimeError("no")

    module = type(sys)("broken_backend")
    module.adapter = Broken()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "broken_backend", module)
    monkeypatch.setattr(jobs, "BACKENDS", {"sys": "broken_backend", **jobs.BACKENDS})
    make_queues("default")
    look()
    assert sources(receiver) == ["rq:default"]
    assert ["broken" in record.getMessage() for record in log.records] == [True]


def test_a_backend_that_cannot_be_prepared_is_told_once_and_tried_again(
    agent: None, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    failures = [RuntimeError("hunter2"), RuntimeError("hunter2")]
    prepared = []

    class Broken:
        name = "broken"

        def prepare(self) -> None:
            if failures:
                raise failures.pop()
            prepared.append(1)

    module = type(sys)("broken_backend")
    module.adapter = Broken()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "broken_backend", module)
    monkeypatch.setitem(sys.modules, "broken_library.queue", module)
    monkeypatch.setattr(jobs, "BACKENDS", {"broken_library.queue": "broken_backend"})
    for seconds in (11, 12, 13, 14):
        dynoscale.configure(publish_frequency=seconds)
    assert prepared == [1]
    [said] = [record.getMessage() for record in log.records]
    assert "broken_library" in said
    assert "RuntimeError" in said
    assert "hunter2" not in said


def test_settings_that_cannot_be_read_do_not_break_the_import_of_a_library(
    agent: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Any
) -> None:
    def fail() -> Any:
        raise RuntimeError("hunter2")

    (tmp_path / "a_library.py").write_text("loaded = True")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(jobs, "BACKENDS", {"a_library": "no_backend"})
    with monkeypatch.context() as broken:
        broken.setattr(dynoscale._agent, "gather", fail)
        assert importlib.import_module("a_library").loaded
    del sys.modules["a_library"]
    [said] = [record.getMessage() for record in log.records]
    assert "RuntimeError" in said
    assert "hunter2" not in said


def test_a_backend_of_the_users_own_is_reported_beside(make_queues: Any, receiver: Any) -> None:
    make_queues("default")
    look()
    assert dynoscale.job_queue_time("mybackend", "default", 1234)
    assert sources(receiver) == ["mybackend:default", "rq:default"]


def test_the_interval_is_the_services(agent: None, receiver: Any, report_url: str) -> None:
    dynoscale.configure(publish_frequency=7)
    assert _reader.Reader._interval() == 7
    receiver.behave(publish_frequency=11)
    dynoscale.job_queue_time("mybackend", "default", 1)
    assert dynoscale.flush(10)
    assert _reader.Reader._interval() == 11


def test_a_process_of_tests_reads_nothing_by_itself(make_queues: Any) -> None:
    make_queues("default")
    assert "pytest" in (jobs.off_reason() or "")
    assert "dynoscale-jobs" not in [thread.name for thread in threading.enumerate()]


def test_a_thread_reads_until_the_agent_stops(
    make_queues: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "SOON", 0.05)
    make_queues("default")
    dynoscale.configure(publish_frequency=1)
    assert jobs.start()
    assert jobs.start()  # which changes nothing
    [thread] = [thread for thread in threading.enumerate() if thread.name == "dynoscale-jobs"]
    assert thread.daemon
    receiver.wait(rows=1)
    dynoscale.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_it_is_not_started_where_it_is_off(adapter: Any) -> None:
    dynoscale.configure(jobs="off")
    assert not jobs.start()
    assert jobs.off_reason() == "DYNOSCALE_JOBS is off"
    dynoscale.configure(jobs=None, dyno="worker.2")
    assert not jobs.start()


def test_importing_costs_no_library(tmp_path: Path) -> None:
    code = """
        import sys
        import dynoscale
        heavy = {"threading", "logging", "typing", "json", "rq", "redis", "celery", "django"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))
    given = environment("http://127.0.0.1:1/token")
    subprocess.run([sys.executable, str(program)], env=given, check=True, timeout=30)
