"""Workers of Dramatiq, Huey and arq, started by their own programs, and processes that enqueue."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("redis")
pytest.importorskip("rq")

from processes import Process  # noqa: E402
from test_processes import READINGS, THREAD, Dyno, children_of, python_program  # noqa: E402
from test_processes import dyno  # noqa: E402, F401

__all__ = ["dyno"]


def sees_a_queue_fill_and_empty(dyno: Dyno, worker: Process, source: str, send: str) -> None:
    sender = dyno.python(send, DYNO="web.2")  # a dyno that reports nothing
    dyno.wait_until(worker, lambda: any(dyno.rows(source)), "report a job that waits")
    dyno.run(sender)
    dyno.wait_until(worker, lambda: dyno.rows(source)[-1:] == [0], "report an empty queue")


def test_dramatiq_worker(dyno: Dyno) -> None:
    """Its first process does not load the app, so one of its workers reads."""
    pytest.importorskip("dramatiq")
    options = ["-p", "2", "-t", "1", "--skip-logging", "dramatiq_app"]
    worker = dyno.start(*python_program("dramatiq"), *options)
    send = """
        import dramatiq_app
        dramatiq_app.tell.send("seen")
        for _ in range(12):
            dramatiq_app.nap.send(1)
    """
    sees_a_queue_fill_and_empty(dyno, worker, "dramatiq:default", send)
    assert dyno.leader() in children_of(worker.pid)
    seen = json.loads(dyno.redis.lpop("seen"))
    assert THREAD in seen["threads"] and seen["off_reason"] is None
    worker.stop(seconds=60)


def test_what_actors_of_dramatiq_record_is_sent(dyno: Dyno) -> None:
    """Its processes are multiprocessing's, which end without exit functions."""
    pytest.importorskip("dramatiq")
    options = ["-p", "2", "-t", "1", "dramatiq_app"]
    worker = dyno.start(*python_program("dramatiq"), *options, DYNOSCALE_PUBLISH_FREQUENCY="60")
    records(dyno, worker, "import dramatiq_app as app; send = app.record.send")


def records(dyno: Dyno, worker: Process, before: str) -> None:
    code = f"{before}\nfor number in range({READINGS}): send(number)\n"
    dyno.run(dyno.python(code, DYNO="web.2"))
    dyno.wait_until(worker, lambda: dyno.redis.llen("recorded") == READINGS, "work")
    worker.stop(seconds=60)
    assert sorted(dyno.rows("mine:jobs")) == [*range(READINGS)]


KINDS = ["thread", "process", "greenlet"]


def huey_consumer(dyno: Dyno, kind: str, **variables: str) -> Process:
    pytest.importorskip("huey")
    if kind == "greenlet":
        pytest.importorskip("gevent")
    program = python_program("huey_consumer")
    if kind == "greenlet":  # as Huey wants it: patched before anything is imported
        program[1:1] = ["-m", "gevent.monkey"]
    return dyno.start(*program, "-k", kind, "-w", "2", "huey_app.huey", **variables)


@pytest.mark.parametrize("kind", KINDS)
def test_huey_consumer(dyno: Dyno, kind: str) -> None:
    """Its first process reads. The workers are its helpers."""
    worker = huey_consumer(dyno, kind)
    send = """
        import huey_app
        for _ in range(10):
            huey_app.nap(1)
    """
    sees_a_queue_fill_and_empty(dyno, worker, "huey:app", send)
    assert dyno.leader() == worker.pid
    worker.stop(seconds=60)


@pytest.mark.parametrize("kind", KINDS)
def test_what_tasks_of_huey_record_is_sent(dyno: Dyno, kind: str) -> None:
    worker = huey_consumer(dyno, kind, DYNOSCALE_PUBLISH_FREQUENCY="60")
    records(dyno, worker, "import huey_app as app; send = app.record")


def test_arq_worker(dyno: Dyno) -> None:
    pytest.importorskip("arq")
    worker = dyno.start(*python_program("arq"), "arq_app.WorkerSettings")
    send = """
        import arq_app, asyncio
        asyncio.run(arq_app.send(0.5, 8))
    """
    sees_a_queue_fill_and_empty(dyno, worker, "arq:arq:queue", send)
    assert dyno.leader() == worker.pid
    worker.stop(seconds=60)


PROGRAMS = {
    "dramatiq": "import dramatiq_app as app; send = lambda: app.nap.send(0)",
    "huey": "import huey_app as app; send = lambda: app.nap(0)",
    "arq": "import arq_app, asyncio; send = lambda: asyncio.run(arq_app.send(0, 1))",
}


@pytest.mark.parametrize("library", PROGRAMS)
def test_a_process_that_only_sends_reads_too(dyno: Dyno, library: str, receiver: Any) -> None:
    pytest.importorskip(library)
    source = {"dramatiq": "dramatiq:default", "huey": "huey:app", "arq": "arq:arq:queue"}[library]
    program = dyno.python(f"{PROGRAMS[library]}\nsend()\nimport time\ntime.sleep(600)\n")
    dyno.wait_for_rows(program, source, 2)
    assert dyno.rows(source)[-1] >= 900


@pytest.mark.parametrize("library", PROGRAMS)
def test_no_library_is_imported_that_the_app_has_not_imported(dyno: Dyno, library: str) -> None:
    pytest.importorskip(library)
    others = {*PROGRAMS, "celery", "django_q", "pika", "psycopg", "sqlite3"} - {library}
    program = dyno.python(
        f"""
        import sys
        {PROGRAMS[library]}
        send()
        imported = {{*sys.modules}}
        import dynoscale.jobs, dynoscale.jobs._reader
        dynoscale.jobs._reader.Reader()._look()
        new = {{name for name in {{*sys.modules}} - imported if "dynoscale" not in name}}
        print(sorted(new & {others!r}))
        """
    )
    assert dyno.run(program).splitlines()[-1] == "[]"
