"""Which processes read job queues, and that one of each dyno does. Real workers and servers."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

redis = pytest.importorskip("redis")
rq = pytest.importorskip("rq")

from processes import Process, free_port  # noqa: E402
from programs import HERE, environment  # noqa: E402

THREAD = "dynoscale-jobs"
APPS = HERE / "apps"

sys.path.insert(0, str(APPS))


def python_program(name: str) -> list[str]:
    """A library's program, run by the interpreter that runs the tests."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"there is no {name} beside {sys.executable}")
    return [sys.executable, str(path)]


def need_django_rq() -> None:
    """Needs a site's settings to be imported."""
    if importlib.util.find_spec("django_rq") is None:
        pytest.skip("there is no django_rq")


class Dyno:
    """A dyno whose processes the test starts."""

    def __init__(self, directory: Path, report_url: str, redis_url: str, receiver: Any) -> None:
        self.directory = directory
        self.redis_url = redis_url
        self.redis = redis.Redis.from_url(redis_url)
        self.queue = rq.Queue("default", connection=self.redis)
        self.receiver = receiver
        self.variables = {"REDIS_URL": redis_url, "TMPDIR": str(directory)}
        self.environment = environment(report_url, **self.variables)
        self.environment["PYTHONPATH"] += f":{APPS}:{directory}"
        self._processes: list[Process] = []

    def start(self, *command: str, name: str = "", **variables: str) -> Process:
        process = Process(
            command,
            self.directory,
            name=name or f"{Path(command[0]).name}{len(self._processes)}",
            env={**self.environment, **variables},
            cwd=self.directory,
        )
        self._processes.append(process.start())
        return process

    def python(self, code: str, **variables: str) -> Process:
        number = len(self._processes)
        program = self.directory / f"program{number}.py"
        program.write_text(textwrap.dedent(code))
        return self.start(sys.executable, str(program), name=f"program{number}", **variables)

    def run(self, process: Process) -> str:
        """What it printed, once it has ended by itself with status 0."""
        process.stop(signal.SIGCONT, seconds=60)
        return process.log.strip()

    def end(self) -> None:
        for process in self._processes:
            process.kill()

    def leader(self) -> Optional[int]:
        """The process that holds the lock, according to the kernel."""
        files = list(self.directory.glob("dynoscale-*.lock"))
        inodes = {f":{file.stat().st_ino}" for file in files}
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, _, _, pid, file = line.split()[:6]
            if kind == "POSIX" and any(file.endswith(inode) for inode in inodes):
                return int(pid)
        return None

    def rows(self, source: str) -> list[int]:
        return [row["metric"] for row in self.receiver.rows() if row["source"] == source]

    def wait_until(self, process: Process, what: Callable[[], bool], words: str) -> None:
        process.wait_until(what, words)

    def wait_for_rows(self, process: Process, source: str, count: int = 1) -> list[int]:
        seen = len(self.rows(source))
        self.wait_until(
            process, lambda: len(self.rows(source)) >= seen + count, f"report {source}"
        )
        return self.rows(source)


def assert_reads_once_a_second(dyno: Dyno, process: Process) -> None:
    """Checks that the rows are not repeated for each process."""
    started, rows = time.monotonic(), len(dyno.rows("rq:default"))
    dyno.wait_for_rows(process, "rq:default", 4)
    more = len(dyno.rows("rq:default")) - rows
    assert more <= 2 * (time.monotonic() - started) + 2


def waits_to_lead(pid: int) -> bool:
    """Whether it has a descriptor of another process, which it needs to wait for its end."""
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if "pidfd" in os.readlink(file):
                return True
    return False


@pytest.fixture
def dyno(tmp_path: Path, report_url: str, redis_url: str, receiver: Any) -> Any:
    dyno = Dyno(tmp_path, report_url, redis_url, receiver)
    yield dyno
    dyno.end()


# ---- Worker processes ----


def test_rq_worker(dyno: Dyno) -> None:
    import rq_tasks

    dyno.queue.enqueue(rq_tasks.tell, dyno.redis_url, "seen")
    dyno.queue.enqueue(rq_tasks.nap, 5)
    dyno.queue.enqueue(rq_tasks.nap, 0)
    command = [*python_program("rq"), "worker", "-c", "dynoscale.hooks.rq", "default"]
    worker = dyno.start(*command)  # which finds REDIS_URL as it does without settings
    dyno.wait_until(worker, lambda: any(dyno.rows("rq:default")), "report a job that waits")
    assert dyno.leader() == worker.pid
    dyno.wait_until(worker, lambda: dyno.rows("rq:default")[-1:] == [0], "report an empty queue")
    # A job's process does not read, although its module imports dynoscale and RQ.
    seen = json.loads(dyno.redis.lpop("seen"))
    assert THREAD not in seen["threads"]
    assert "helps another" in seen["off_reason"]
    worker.stop()


def test_rq_worker_with_settings_of_its_own(dyno: Dyno) -> None:
    (dyno.directory / "rq_settings.py").write_text(
        f"import dynoscale\nREDIS_URL = {dyno.redis_url!r}\nQUEUES = ['default', 'low']\n"
    )
    dyno.queue.enqueue("time.sleep", 0)
    command = [*python_program("rq"), "worker"]
    worker = dyno.start(*command, RQ_CONFIG="rq_settings", REDIS_URL="redis://127.0.0.1:1/0")
    dyno.wait_for_rows(worker, "rq:default")


def test_rq_worker_of_a_module_that_only_jobs_import(dyno: Dyno) -> None:
    """Its process has nothing of ours, and the jobs' processes do not live."""
    import rq_tasks

    dyno.queue.enqueue(rq_tasks.tell, dyno.redis_url, "seen")
    command = [*python_program("rq"), "worker", "--burst", "-u", dyno.redis_url, "default"]
    dyno.run(dyno.start(*command))
    seen = json.loads(dyno.redis.lpop("seen"))
    assert THREAD not in seen["threads"]
    assert "helps another" in seen["off_reason"]


def test_rq_worker_pool(dyno: Dyno) -> None:
    """The pool's own process reads, though it makes no queue. Those that work are its helpers: they
    do not even wait to lead."""
    if importlib.util.find_spec("rq.worker_pool") is None:
        pytest.skip(f"RQ has pools from 1.14 on; this is {rq.VERSION}")
    import rq_tasks

    for _ in range(5):
        dyno.queue.enqueue(rq_tasks.nap, 3)
    options = ["-c", "dynoscale.hooks.rq", "-n", "2", "default"]
    pool = dyno.start(*python_program("rq"), "worker-pool", *options)
    dyno.wait_until(pool, lambda: any(dyno.rows("rq:default")), "report a job that waits")
    assert dyno.leader() == pool.pid
    workers = children_of(pool.pid)
    assert len(workers) == 2
    assert_reads_once_a_second(dyno, pool)
    assert not any(waits_to_lead(worker) for worker in workers)
    dyno.wait_until(pool, lambda: dyno.rows("rq:default")[-1:] == [0], "report an empty queue")
    pool.stop()
    assert dyno.leader() is None
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_rq_worker_by_a_script(dyno: Dyno) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    worker = dyno.start(sys.executable, str(APPS / "rq_script.py"))
    dyno.wait_for_rows(worker, "rq:default", 2)
    assert dyno.leader() == worker.pid


def test_celery_worker_with_prefork(dyno: Dyno) -> None:
    pytest.importorskip("celery")
    options = ["-c", "2", "-Q", "celery,low", "--without-mingle"]
    command = [*python_program("celery"), "-A", "celery_app", "worker", *options]
    worker = dyno.start(*command, C_FORCE_ROOT="1")
    send = """
        import os, celery_app
        celery_app.tell.delay("seen")
        for _ in range(8):
            celery_app.nap.apply_async((2,), queue="low")
    """
    sender = dyno.python(send, DYNO="web.2")  # a dyno that reports nothing
    dyno.wait_until(worker, lambda: any(dyno.rows("celery:low")), "report a task that waits")
    assert dyno.leader() == worker.pid
    dyno.run(sender)
    seen = json.loads(dyno.redis.lpop("seen"))
    assert THREAD not in seen["threads"]
    dyno.wait_until(worker, lambda: dyno.rows("celery:low")[-1:] == [0], "report an empty queue")
    worker.stop()
    assert not [line for line in worker.log.splitlines() if "dynoscale" in line.lower()]


READINGS = 20


def test_what_jobs_of_rq_record_is_sent(dyno: Dyno) -> None:
    """Each in its own process, which ends without exit functions."""
    import rq_tasks

    for number in range(READINGS):
        dyno.queue.enqueue(rq_tasks.record, number)
    command = [*python_program("rq"), "worker", "--burst", "-c", "dynoscale.hooks.rq", "default"]
    dyno.run(dyno.start(*command))
    assert sorted(dyno.rows("mine:jobs")) == [*range(READINGS)]


@pytest.mark.parametrize("options", [[], ["--max-tasks-per-child", "1"]], ids=["", "one a process"])
def test_what_tasks_of_celery_record_is_sent(dyno: Dyno, options: list[str]) -> None:
    pytest.importorskip("celery")
    options = ["-c", "2", "--without-mingle", *options]
    command = [*python_program("celery"), "-A", "celery_app", "worker", *options]
    variables = {"C_FORCE_ROOT": "1", "DYNOSCALE_PUBLISH_FREQUENCY": "60"}
    worker = dyno.start(*command, **variables)
    send = f"""
        import celery_app
        for number in range({READINGS}):
            celery_app.record.delay(number)
        celery_app.tell.delay("seen")
    """
    dyno.run(dyno.python(send, DYNO="web.2"))
    dyno.wait_until(worker, lambda: dyno.redis.llen("recorded") == READINGS, "work")
    worker.stop(seconds=60)
    assert sorted(dyno.rows("mine:jobs")) == [*range(READINGS)]


def test_a_worker_of_a_django_site(dyno: Dyno) -> None:
    need_django_rq()
    dyno.queue.enqueue("time.sleep", 0)
    worker = dyno.start(
        sys.executable,
        str(APPS / "manage.py"),
        "rqworker",
        "default",
        INSTALLED_APPS="django_rq",
        DATABASE="none",
    )
    dyno.wait_for_rows(worker, "rq:default")


def test_a_cluster_of_django_q(dyno: Dyno) -> None:
    pytest.importorskip("django_q")
    site = {"INSTALLED_APPS": "django_q", "DATABASE": str(dyno.directory / "db")}
    manage = [sys.executable, "-W", "ignore", str(APPS / "manage.py")]
    dyno.run(dyno.start(*manage, "migrate", **site))
    cluster = dyno.start(*manage, "qcluster", **site)
    dyno.wait_for_rows(cluster, "django_q:cluster", 2)
    assert dyno.leader() == cluster.pid


# ---- Web processes ----


def gunicorn(dyno: Dyno, *options: str) -> tuple[Process, int]:
    port = free_port()
    command = [*python_program("gunicorn"), "--bind", f"127.0.0.1:{port}", *options, "web:app"]
    server = dyno.start(*command)
    server.wait_for_port(port)
    return server, port


def ask(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        seen: dict[str, Any] = json.load(answer)
        return seen


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "preload"])
def test_a_web_server_without_traffic_reads_once_a_dyno(dyno: Dyno, options: list[str]) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    server, _ = gunicorn(dyno, "--workers", "3", *options)
    dyno.wait_for_rows(server, "rq:default")
    assert_reads_once_a_second(dyno, server)
    assert dyno.leader() in [server.pid, *children_of(server.pid)]


def test_when_the_leader_dies_another_takes_over(dyno: Dyno) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    server, port = gunicorn(dyno, "--workers", "2")
    dyno.wait_for_rows(server, "rq:default")
    first = dyno.leader()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    dyno.wait_until(server, lambda: dyno.leader() not in (None, first), "have another leader")
    dyno.wait_for_rows(server, "rq:default", 2)


ENQUEUES = """
    import os, threading, time, dynoscale, redis, rq
    queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
    [reader] = [thread for thread in threading.enumerate() if thread.name == "dynoscale-jobs"]
    print(f"thread {reader.native_id}.", flush=True)
    if "STOP" in os.environ:
        while not os.path.exists(os.environ["STOP"]):
            time.sleep(0.05)
        dynoscale.stop()
    time.sleep(300)
"""


def wakes(process: Process) -> int:
    """How often the reader's thread was woken."""
    thread = process.log.partition("thread ")[2].partition(".")[0]
    status = Path(f"/proc/{process.pid}/task/{thread}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)


RQ_ALONE = """
    import os, time, dynoscale, redis, rq
    queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
    time.sleep(300)
"""
CELERY_ALONE = """
    import os, time, dynoscale, celery
    app = celery.Celery("alone", broker=os.environ["REDIS_URL"])
    app.send_task("nothing")
    time.sleep(300)
"""


def test_libraries_in_different_processes_are_each_read_once(dyno: Dyno) -> None:
    pytest.importorskip("celery")
    dyno.queue.enqueue("time.sleep", 0)
    programs = [dyno.python(code) for code in (RQ_ALONE, CELERY_ALONE, RQ_ALONE, CELERY_ALONE)]
    for _ in range(2):
        dyno.wait_for_rows(programs[0], "rq:default", 2)
        dyno.wait_for_rows(programs[1], "celery:celery", 2)
    assert_reads_once_a_second(dyno, programs[0])
    programs[0].kill()
    dyno.wait_for_rows(programs[2], "rq:default", 2)
    programs[1].kill()
    dyno.wait_for_rows(programs[3], "celery:celery", 2)


def test_servers_of_one_library_in_different_processes_are_each_read(dyno: Dyno) -> None:
    other = dyno.redis_url.replace("/0", "/1")
    dyno.queue.enqueue("time.sleep", 0)
    with redis.Redis.from_url(other) as client:
        rq.Queue("elsewhere", connection=client).enqueue("time.sleep", 0)
    programs = [dyno.python(RQ_ALONE), dyno.python(RQ_ALONE, REDIS_URL=other)]
    dyno.wait_for_rows(programs[0], "rq:default", 2)
    dyno.wait_for_rows(programs[1], "rq:elsewhere", 2)


def test_a_process_that_waits_reads_a_server_that_it_alone_comes_to_know(dyno: Dyno) -> None:
    other = dyno.redis_url.replace("/0", "/1")
    go = dyno.directory / "go"
    dyno.queue.enqueue("time.sleep", 0)
    first = dyno.python(RQ_ALONE)
    dyno.wait_for_rows(first, "rq:default")
    second = dyno.python(
        """
        import os, time, dynoscale, redis, rq
        queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.05)
        client = redis.Redis.from_url(os.environ["OTHER"])
        rq.Queue("elsewhere", connection=client).enqueue("time.sleep", 0)
        time.sleep(300)
        """,
        GO=str(go),
        OTHER=other,
    )
    dyno.wait_until(second, lambda: waits_to_lead(second.pid), "wait")
    go.touch()
    dyno.wait_for_rows(second, "rq:elsewhere", 2)


def test_a_request_never_reads(dyno: Dyno) -> None:
    code = """
        import os, threading, time, dynoscale, redis, rq
        from dynoscale.wsgi import DynoscaleWsgiApp

        threads = []
        send = redis.Connection.send_packed_command

        def watched(*arguments, **options):
            threads.append(threading.current_thread().name)
            return send(*arguments, **options)

        redis.Connection.send_packed_command = watched
        queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
        app = DynoscaleWsgiApp(lambda environ, start_response: [])
        while len(threads) < 10:
            app({"HTTP_X_REQUEST_START": str(int(time.time() * 1000))}, None)
            time.sleep(0.001)
        assert set(threads) == {"dynoscale-jobs"}, set(threads)
    """
    dyno.queue.enqueue("time.sleep", 0)
    dyno.run(dyno.python(code))


def test_those_that_do_not_lead_are_not_woken_before_the_leader_has_ended(dyno: Dyno) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux 5.3")
    dyno.queue.enqueue("time.sleep", 0)
    first = dyno.python(ENQUEUES)
    dyno.wait_for_rows(first, "rq:default")
    second = dyno.python(ENQUEUES)
    dyno.wait_until(second, lambda: "thread " in second.log, "start")

    def slept_through_three_intervals() -> bool:
        before = wakes(second)
        dyno.wait_for_rows(first, "rq:default", 3)
        return wakes(second) == before

    dyno.wait_until(second, slept_through_three_intervals, "sleep")
    first.kill()
    dyno.wait_for_rows(second, "rq:default")
    assert dyno.leader() == second.pid


def test_when_the_agent_of_the_leader_stops_another_process_can_lead(dyno: Dyno) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    stop = dyno.directory / "stop"
    first = dyno.python(ENQUEUES, STOP=str(stop))
    dyno.wait_until(first, lambda: dyno.leader() == first.pid, "lead")
    stop.touch()
    dyno.wait_until(first, lambda: dyno.leader() is None, "stop")
    second = dyno.python(ENQUEUES)
    dyno.wait_until(second, lambda: dyno.leader() == second.pid, "lead")
    dyno.wait_for_rows(second, "rq:default")


def test_one_that_waits_ends_with_its_agent_and_hears_of_new_settings(dyno: Dyno) -> None:
    code = """
        import os, threading, dynoscale, redis, rq
        queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
        [reader] = [thread for thread in threading.enumerate() if thread.name == "dynoscale-jobs"]
        from dynoscale.jobs import _reader

        def wait_to_lead():
            told = threading.Event()
            select = _reader.selectors.DefaultSelector.select
            def tell(*arguments):
                told.set()
                return select(*arguments)
            _reader.selectors.DefaultSelector.select = tell
            assert told.wait(120), "it does not wait"
            _reader.selectors.DefaultSelector.select = select

        wait_to_lead()
        if "ELSEWHERE" in os.environ:
            led = threading.Event()
            _reader.Reader._read = lambda *_: led.set()
            dynoscale.configure(url=os.environ["DYNOSCALE_URL"] + "/elsewhere")
            assert led.wait(120), "it does not lead where nobody else does"
        dynoscale.stop()
        reader.join(40)
        assert not reader.is_alive()
    """
    dyno.queue.enqueue("time.sleep", 0)
    first = dyno.python(ENQUEUES)
    dyno.wait_until(first, lambda: dyno.leader() == first.pid, "lead")
    for variables in ({}, {"ELSEWHERE": "1"}):
        dyno.run(dyno.python(code, **variables))


def test_where_the_system_does_not_tell_of_a_leaders_end_one_that_waits_asks(dyno: Dyno) -> None:
    """As before Linux 5.3, and on other systems: once an interval."""
    code = """
        from dynoscale import _native
        leads = _native.leads
        _native.watch_leader = lambda topic: None
        _native.leads = lambda topic: (print("asked", flush=True), leads(topic))[1]
    """
    dyno.queue.enqueue("time.sleep", 0)
    first = dyno.python(ENQUEUES)
    dyno.wait_for_rows(first, "rq:default")
    second = dyno.python(textwrap.dedent(code) + textwrap.dedent(ENQUEUES))
    dyno.wait_until(second, lambda: second.log.count("asked") >= 2, "ask")
    asked = second.log.count("asked")
    dyno.wait_for_rows(first, "rq:default", 5)
    assert 1 <= second.log.count("asked") - asked <= 10
    assert dyno.leader() == first.pid
    first.kill()
    dyno.wait_for_rows(second, "rq:default", 2)


def test_one_that_waits_asks_again_in_case_the_leader_has_stopped_and_lives_on(dyno: Dyno) -> None:
    """The system only reports the end of a process."""
    code = """
        from dynoscale import _native
        from dynoscale.jobs import _reader
        watch_leader = _native.watch_leader
        def watched(topic):
            print("waits", flush=True)
            return watch_leader(topic)
        _native.watch_leader = watched
        _reader._LONGEST_WAIT = 1.0
    """
    dyno.queue.enqueue("time.sleep", 0)
    stop = dyno.directory / "stop"
    first = dyno.python(ENQUEUES, STOP=str(stop))
    dyno.wait_until(first, lambda: dyno.leader() == first.pid, "lead")
    second = dyno.python(textwrap.dedent(code) + textwrap.dedent(ENQUEUES))
    dyno.wait_until(second, lambda: "waits" in second.log, "wait")
    stop.touch()
    dyno.wait_until(second, lambda: dyno.leader() == second.pid, "lead")
    assert first.running


@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_a_worker_with_greenlets_answers_and_reads(dyno: Dyno, kind: str) -> None:
    """One that waits to lead answers, too."""
    pytest.importorskip(kind)
    dyno.queue.enqueue("time.sleep", 0)
    server, port = gunicorn(dyno, "--worker-class", kind, "--workers", "2")
    dyno.wait_for_rows(server, "rq:default", 3)
    leader = dyno.leader()
    assert leader in children_of(server.pid)
    for _ in range(20):
        assert ask(port)["off_reason"] is None
    os.kill(leader, signal.SIGKILL)
    dyno.wait_until(server, lambda: dyno.leader() not in (None, leader), "have another leader")
    dyno.wait_for_rows(server, "rq:default", 2)
    assert ask(port)["off_reason"] is None


def test_gunicorns_hook_alone_is_enough(dyno: Dyno) -> None:
    (dyno.directory / "gunicorn.conf.py").write_text(
        "from dynoscale.hooks.gunicorn import pre_request\n"
    )
    (dyno.directory / "plain.py").write_text(
        "import os, redis, rq\n"
        "queue = rq.Queue('default', connection=redis.Redis.from_url(os.environ['REDIS_URL']))\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'']\n"
    )
    dyno.queue.enqueue("time.sleep", 0)
    port = free_port()
    server = dyno.start(*python_program("gunicorn"), "--bind", f"127.0.0.1:{port}", "plain:app")
    dyno.wait_for_rows(server, "rq:default")
    assert dyno.leader() in children_of(server.pid)  # the master has no app


def uwsgi(dyno: Dyno, *options: str) -> tuple[Process, int]:
    port = free_port()
    command = ["--plugin", "python3", "--http-socket", f"127.0.0.1:{port}", "--module", "web:app"]
    command += ["--master", "--processes", "2", "--need-app", "--die-on-term"]
    if shutil.which("uwsgi") is None:
        pytest.skip("there is no uwsgi")
    server = dyno.start("uwsgi", *command, "--pythonpath", str(APPS), *options)
    server.wait_for_port(port)
    return server, port


@pytest.mark.parametrize("options", [[], ["--lazy-apps"]], ids=["", "lazy-apps"])
def test_uwsgi_reads_where_it_has_threads(dyno: Dyno, options: list[str]) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    server, port = uwsgi(dyno, "--enable-threads", *options)
    dyno.wait_for_rows(server, "rq:default", 2)
    assert dyno.leader() in [server.pid, *children_of(server.pid)]


def test_uwsgi_does_not_read_where_it_has_none(dyno: Dyno) -> None:
    server, port = uwsgi(dyno)
    seen = ask(port)
    assert seen["off_reason"] == "uWSGI runs threads of Python's only with enable-threads"
    assert THREAD not in seen["threads"]


# ---- Order of imports, forks ----

ENQUEUER = """
    import os, sys, time, threading
    {imports}
    queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
    time.sleep(60)
"""


@pytest.mark.parametrize("imports", ["import dynoscale, redis, rq", "import redis, rq, dynoscale"])
def test_the_order_of_imports_does_not_matter(dyno: Dyno, imports: str) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    process = dyno.python(ENQUEUER.format(imports=imports))
    dyno.wait_for_rows(process, "rq:default")


def test_settings_in_code_are_enough(dyno: Dyno) -> None:
    dyno.queue.enqueue("time.sleep", 0)
    url = dyno.environment.pop("DYNOSCALE_URL")
    imports = f"import dynoscale, redis, rq; dynoscale.configure(url={url!r})"
    dyno.wait_for_rows(dyno.python(ENQUEUER.format(imports=imports)), "rq:default")


def test_the_lead_stays_with_one_that_has_queues(dyno: Dyno) -> None:
    """A process without queues does not take the lead from one with queues."""
    idle = dyno.python("import dynoscale, rq, time; print('up', flush=True); time.sleep(60)")
    dyno.wait_until(idle, lambda: "up" in idle.log, "start")
    dyno.queue.enqueue("time.sleep", 0)
    process = dyno.python(ENQUEUER.format(imports="import dynoscale, redis, rq"))
    dyno.wait_for_rows(process, "rq:default")
    assert dyno.leader() == process.pid


def test_a_process_that_went_into_the_background_reads_on(dyno: Dyno) -> None:
    code = """
        import os, time, redis, rq, dynoscale
        queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
        if os.fork():
            os._exit(0)
        print("child", os.getpid(), flush=True)
        time.sleep(60)
    """
    dyno.queue.enqueue("time.sleep", 0)
    parent = dyno.python(code)
    child = int(dyno.run(parent).rpartition("child")[2])
    keeper = dyno.python("import time; time.sleep(60)")  # something to wait on
    dyno.wait_for_rows(keeper, "rq:default", 2)
    assert dyno.leader() == child
    os.kill(child, signal.SIGKILL)


def test_helpers_of_a_process_do_not_read(dyno: Dyno) -> None:
    code = """
        import multiprocessing, os, subprocess, sys, threading, dynoscale.jobs, redis, rq

        def names():
            return [thread.name for thread in threading.enumerate()]

        def tell(into):
            into.put((names(), dynoscale.jobs.off_reason()))

        assert "dynoscale-jobs" in names()
        results = multiprocessing.Queue()
        for _ in range(2):
            helper = multiprocessing.get_context("fork").Process(target=tell, args=(results,))
            helper.start()
            told, reason = results.get()
            helper.join()
            assert "dynoscale-jobs" not in told, told
            assert "helps another" in reason, reason
        def refuse():
            assert "dynoscale-jobs" not in names()

        subprocess.run(["true"], preexec_fn=refuse, check=True)
        child = os.fork()
        if child == 0:
            os._exit(0 if "dynoscale-jobs" in names() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    dyno.run(dyno.python(code))


# ---- Where it is off ----

NAMES = "import dynoscale, redis, rq, threading; print([t.name for t in threading.enumerate()])"


@pytest.mark.parametrize(
    "variables",
    [
        {"DYNOSCALE_JOBS": "off"},
        {"SKIP_DYNOSCALE_AGENT": "1"},
        {"DYNO": "run.1234"},
        {"DYNO": "scheduler.1"},
        {"DYNO": "worker.2"},
        {"DYNOSCALE_URL": ""},
    ],
    ids=lambda variables: "=".join(*variables.items()),
)
def test_it_is_off_by_settings(dyno: Dyno, variables: dict[str, str]) -> None:
    assert dyno.run(dyno.python(NAMES, **variables)) == "['MainThread']"


def test_it_is_on_otherwise(dyno: Dyno) -> None:
    assert dyno.run(dyno.python(NAMES)) == f"['MainThread', '{THREAD}']"


def test_it_is_off_without_a_library(dyno: Dyno) -> None:
    process = dyno.python(
        "import dynoscale, json, threading; print([t.name for t in threading.enumerate()])"
    )
    assert dyno.run(process) == "['MainThread']"


@pytest.mark.parametrize(
    "options", [["-c", NAMES], ["-i", "-c", NAMES], ["-i", "program.py"], ["-"], ["-m", "pytest"]]
)
def test_it_is_off_in_consoles_and_tests(dyno: Dyno, options: list[str]) -> None:
    (dyno.directory / "program.py").write_text(NAMES)
    (dyno.directory / "test_it.py").write_text(
        f"def test_it(capsys):\n    {NAMES}\n    assert '{THREAD}' not in capsys.readouterr().out\n"
    )
    done = subprocess.run(
        [sys.executable, *options],
        cwd=dyno.directory,
        env=dyno.environment,
        input=NAMES if options == ["-"] else "",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    assert "['MainThread']" in done.stdout or "1 passed" in done.stdout


@pytest.mark.parametrize("command", [["check"], ["migrate"], ["shell", "-c", "print(1)"]])
def test_it_is_off_in_management_commands(dyno: Dyno, command: list[str]) -> None:
    pytest.importorskip("django")
    need_django_rq()
    process = dyno.start(
        sys.executable,
        "-W",
        "ignore",
        str(APPS / "manage.py"),
        *command,
        INSTALLED_APPS="django_rq",
        DATABASE=str(dyno.directory / "db"),
        TELL="--threads",
    )
    assert dyno.run(process).endswith("['MainThread']")


@pytest.mark.parametrize(
    ("arguments", "off"),
    [
        (["/usr/bin/celery", "-A", "worker", "inspect", "active"], True),
        (["/usr/bin/celery", "-A", "worker", "worker"], False),
        (["/usr/lib/celery/__main__.py", "--app=x", "-q", "beat"], False),
        (["/usr/bin/rq", "info"], True),
        (["/usr/bin/rq", "worker-pool"], False),
        (["/usr/lib/rq/cli/__main__.py", "worker"], False),
        (["manage.py"], True),
        (["manage.py", "--settings", "runserver", "migrate"], True),
        (["./manage.py", "runserver"], False),
        (["/usr/lib/django/__main__.py", "qcluster"], False),
        (["django-admin", "shell"], True),
        (["flask", "--app", "run", "shell"], True),
        (["flask", "--debug", "run"], False),
        (["/usr/bin/gunicorn", "web:app"], False),
        (["worker.py", "migrate"], False),
        (["alembic", "upgrade", "head"], True),
        ([""], True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_is_off_in_commands_that_end(
    arguments: list[str], off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dynoscale.jobs import _process

    monkeypatch.setattr(sys, "argv", arguments)
    assert (_process.off_reason() is not None) is off


def test_a_command_of_the_users_own_can_start_it(dyno: Dyno) -> None:
    code = """
        import sys
        sys.argv = ["manage.py", "work"]
        import os, time, redis, rq, dynoscale.jobs
        queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))
        assert dynoscale.jobs.off_reason() is not None
        assert dynoscale.jobs.start()
        time.sleep(60)
    """
    dyno.queue.enqueue("time.sleep", 0)
    dyno.wait_for_rows(dyno.python(code), "rq:default")


def test_it_is_off_in_a_sub_interpreter(dyno: Dyno) -> None:
    """A sub-interpreter, such as mod_wsgi's, could not end while a thread runs in it."""
    code = f"""
        import _xxsubinterpreters as interpreters
        one = interpreters.create()
        interpreters.run_string(one, {NAMES!r})
        interpreters.destroy(one)
    """
    if sys.version_info >= (3, 13):
        pytest.skip("there is another module for it")
    assert dyno.run(dyno.python(code)) == "['MainThread']"


# ---- The end ----


def test_it_holds_no_process_up(dyno: Dyno) -> None:
    """Also while a server does not answer."""
    code = """
        import os, time, redis, rq, dynoscale
        queue = rq.Queue("default", connection=redis.Redis(port=int(os.environ["PORT"])))
        time.sleep(60)
    """
    with socket.socket() as silent:
        silent.settimeout(30)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        process = dyno.python(code, PORT=str(silent.getsockname()[1]))
        connection, _ = silent.accept()  # it reads, and waits
        with connection:
            process.stop(signal.SIGINT, seconds=4, expected=(1, -2))


def test_a_child_ends_with_the_thread_that_forked_it(dyno: Dyno) -> None:
    """The reader's thread does not keep it alive."""
    process = dyno.python(
        """
        import os, threading
        import dynoscale, redis, rq

        queue = rq.Queue("default", connection=redis.Redis.from_url(os.environ["REDIS_URL"]))

        def work():
            pid = os.fork()
            if pid != 0:
                assert os.waitpid(pid, 0)[1] == 0
                print("ended")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    )
    assert "ended" in dyno.run(process)
