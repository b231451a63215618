"""The time that requests spend in the app, where the service asks for it: each ms once, whatever
returns, raises, waits, forks or runs at once. Bounds are what the apps and their callers measured."""

from __future__ import annotations

import asyncio
import gc
import glob
import os
import shutil
import subprocess
import textwrap
import threading
import time
import types
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

import dynoscale
from dynoscale import _native
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.hooks.gunicorn import post_request, pre_request
from dynoscale.wsgi import DynoscaleWsgiApp

ROOT = Path(__file__).resolve().parents[2]


class Spent:
    """Seconds in the app, and around it: what is reported lies between the two."""

    def __init__(self, receiver: Any) -> None:
        self.receiver = receiver
        self.inside = self.around = 0.0

    def add(self, inside: float, around: float) -> None:
        self.inside += inside
        self.around += around

    def reported_ms(self) -> int:
        assert dynoscale.flush(60)
        return sum(row["metric"] for row in self.receiver.rows() if row["metadata"] == "busy")

    def check(self, processes: int = 1) -> None:
        """What is less than a ms of a process is not reported."""
        reported = self.reported_ms()
        assert self.inside * 1000 - processes - 1 <= reported <= self.around * 1000 + 1


@pytest.fixture
def spent(receiver: Any, agent: None) -> Iterator[Spent]:
    """The service asks for it, and the agent knows."""
    receiver.behave("ok", publish_frequency=3600, signals=["busy"])
    DynoscaleWsgiApp(lambda environ, start_response: ())({}, print)
    dynoscale.job_queue_time("backend", "queue", 1)
    assert dynoscale.flush(60)
    assert _native.asked()[0] == ["busy"]
    receiver.clear()
    yield Spent(receiver)


def environ() -> dict[str, Any]:
    return {"wsgi.input": object(), "HTTP_X_REQUEST_START": str(int(time.time() * 1000))}


def scope() -> dict[str, Any]:
    stamp = str(int(time.time() * 1000)).encode()
    return {"type": "http", "asgi": {}, "headers": [(b"x-request-start", stamp)]}


def call(wrapped: Any, spent: Spent, inside: list[float]) -> Any:
    before = time.time()
    try:
        return wrapped(environ(), print)
    finally:
        spent.add(sum(inside), time.time() - before)


def sleeping(seconds: float, inside: list[float]) -> None:
    before = time.time()
    time.sleep(seconds)
    inside.append(time.time() - before)


# ---- WSGI, and gunicorn's hooks ----


def test_a_request_counts_until_the_app_returns_or_raises(spent: Spent) -> None:
    inside: list[float] = []

    def app(environ: Any, start_response: Any) -> Any:
        sleeping(0.05, inside)
        if len(inside) == 2:
            raise KeyError("of the app")
        return ["answer"]

    wrapped = DynoscaleWsgiApp(app)
    assert call(wrapped, spent, inside[:0]) == ["answer"]
    with pytest.raises(KeyError, match="of the app"):
        call(wrapped, spent, inside[:0])
    spent.inside = sum(inside)
    spent.check()


def test_threads_are_summed(spent: Spent) -> None:
    inside: list[float] = []
    around: list[float] = []
    wrapped = DynoscaleWsgiApp(lambda environ, start_response: sleeping(0.03, inside))

    def serve() -> None:
        for _ in range(10):
            before = time.time()
            wrapped(environ(), print)
            around.append(time.time() - before)

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent.add(sum(inside), sum(around))
    spent.check()


def test_gunicorns_requests_count_from_hook_to_hook_however_many_at_once(spent: Spent) -> None:
    class OfGunicorn:
        headers = [("X-REQUEST-START", "1")]
        body = None

    post_request(None, OfGunicorn())  # it is known to be called
    requests = [OfGunicorn() for _ in range(1000)]
    entering = time.time()
    for request in requests:
        pre_request(None, request)
    entered = time.time()
    time.sleep(0.02)
    leaving = time.time()
    for request in requests[::-1]:
        post_request(None, request, {}, None)
    left = time.time()
    spent.add((leaving - entered) * 1000, (left - entering) * 1000)
    spent.check()
    post_request(worker=None, req=requests[0])  # twice: not known any more
    assert spent.reported_ms() <= spent.around * 1000 + 1


# ---- ASGI: until what the app returned is done ----


def drive(make: Callable[[Any], Any], spent: Spent) -> Any:
    """Runs what `make` makes of the wrapper's awaitable."""

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        return await receive()

    async def main(receive: Any) -> Any:
        return await make(DynoscaleAsgiApp(app)(scope(), receive, None))

    inside: list[float] = []

    async def receive() -> Any:
        before = time.time()
        try:
            await asyncio.sleep(0.05)
            return ("a", "tuple")
        finally:
            inside.append(time.time() - before)

    before = time.time()
    try:
        return asyncio.run(main(receive))
    finally:
        spent.add(sum(inside), time.time() - before)


async def awaited(answer: Any) -> Any:
    return await answer


async def as_task(answer: Any) -> Any:
    assert asyncio.iscoroutine(answer) and isinstance(answer, Coroutine)
    return await asyncio.get_running_loop().create_task(answer)


async def with_time_out(answer: Any) -> Any:
    try:
        await asyncio.wait_for(answer, 0.01)
    except asyncio.TimeoutError:
        return "late"


@pytest.mark.parametrize(
    ("make", "expected"),
    [(awaited, ("a", "tuple")), (as_task, ("a", "tuple")), (with_time_out, "late")],
)
def test_an_answer_counts_until_it_is_done(make: Any, expected: Any, spent: Spent) -> None:
    assert drive(make, spent) == expected
    spent.check()


def answer_of(app: Any) -> Any:
    return DynoscaleAsgiApp(app)(scope(), None, None)


def is_inside(spent: Spent) -> bool:
    """Whether time passes for a request that is in the app."""
    before = spent.reported_ms()
    time.sleep(0.02)
    return spent.reported_ms() - before >= 10


@types.coroutine
def wait() -> Any:
    """A step that its caller sees."""
    return (yield "step")


async def waits(scope: Any, receive: Any, send: Any) -> Any:
    try:
        return await wait()
    except KeyError:
        return "thrown"


def test_its_steps_are_those_of_the_answer(spent: Spent) -> None:
    answer = answer_of(waits)
    assert answer.__name__ == "waits" and answer.cr_frame is not None  # what the wrapper lacks
    assert answer.send(None) == "step"
    assert is_inside(spent)
    with pytest.raises(StopIteration) as stop:
        answer.send(("sent", 1))
    assert stop.value.value == ("sent", 1)
    assert not is_inside(spent)


def test_a_thrown_exception_arrives(spent: Spent) -> None:
    answer = answer_of(waits)
    answer.send(None)
    with pytest.raises(StopIteration, match="thrown"):
        answer.throw(KeyError("x"))
    answer = answer_of(waits)
    answer.send(None)
    with pytest.raises(ValueError, match="y"):
        answer.throw(ValueError("y"))
    assert not is_inside(spent)


def test_one_that_is_closed_or_dropped_has_left(spent: Spent) -> None:
    answer = answer_of(waits)
    answer.send(None)
    answer.close()
    assert not is_inside(spent)
    answer = answer_of(waits)
    answer.send(None)
    assert is_inside(spent)
    del answer
    assert not is_inside(spent)


def begin_in_a_cycle() -> None:
    holder: list[Any] = []

    async def app(*args: Any) -> None:
        await waits(*args)
        holder.clear()

    holder.append(answer_of(app))
    assert holder[0].send(None) == "step"


def test_one_in_a_cycle_has_left_once_it_is_collected(spent: Spent) -> None:
    gc.disable()
    try:
        begin_in_a_cycle()
        assert is_inside(spent)
    finally:
        gc.enable()
    gc.collect()
    assert not is_inside(spent)


def test_awaitables_of_other_kinds(spent: Spent) -> None:
    class Own:
        def __await__(self) -> Any:
            return (yield "mine")

    class Steps:
        """Without throw and close."""

        def __await__(self) -> Any:
            return iter(["one"])

    answer = answer_of(lambda *_: Own())
    assert answer.send(None) == "mine"
    with pytest.raises(StopIteration, match="got"):
        answer.send("got")
    answer = answer_of(lambda *_: Steps())
    assert next(iter(answer)) == "one"
    with pytest.raises(RuntimeError, match="z"):
        answer.throw(RuntimeError("z"))
    answer.close()
    assert answer_of(lambda *_: 7) == 7  # the app's mistake, and for the server to find
    with pytest.raises(OSError):
        answer_of(raises)
    assert not is_inside(spent)


def raises(*_: Any) -> Any:
    raise OSError


def test_one_that_is_never_awaited_is_pythons_to_complain_about(spent: Spent) -> None:
    with pytest.warns(RuntimeWarning, match="waits.* was never awaited"):
        answer_of(waits)
    assert not is_inside(spent)


# ---- Forks ----


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_no_time_counts_twice_after_a_fork_and_none_is_lost(spent: Spent) -> None:
    """Of two requests that are in the app, one forks; the child comes back through the same wrapper,
    serves one more request and ends."""
    inside: list[float] = []
    end = threading.Event()
    wrapped = DynoscaleWsgiApp(lambda environ, start_response: start_response())
    around: list[float] = []

    def serve(app: Callable[[], Any]) -> Any:
        before = time.time()
        try:
            return wrapped(environ(), app)
        finally:
            around.append(time.time() - before)

    def of_another_thread() -> None:
        before = time.time()
        end.wait(60)
        inside.append(time.time() - before)

    def forking() -> int:
        before = time.time()
        pid = os.fork()
        if pid == 0:  # its agent works, and knows what is asked, before the request leaves
            dynoscale.job_queue_time("backend", "queue", 1)
            dynoscale.flush(60)
        time.sleep(0.05)
        inside.append(time.time() - before)
        return pid

    thread = threading.Thread(target=serve, args=(of_another_thread,))
    thread.start()
    reader, writer = os.pipe()
    pid = serve(forking)
    if pid == 0:
        try:
            around.clear(), inside.clear()
            serve(lambda: sleeping(0.05, inside))
            serve(lambda: sleeping(0.05, inside))
            done = dynoscale.flush(60)
            os.write(writer, f"{sum(inside)} {sum(around)} {done}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        child_inside, child_around, done = told.read().split()
    os.waitpid(pid, 0)
    end.set()
    thread.join()
    assert done == "True"
    spent.add(sum(inside) + float(child_inside), sum(around) + float(child_around))
    spent.check(processes=2)


# ---- Without the interpreter's lock ----


def free_threaded_python() -> Optional[str]:
    names = ["python3.14t", "python3.13t"]
    installed = "~/.pyenv/versions/*t/bin/python3", "~/.local/share/uv/python/*freethreaded*/bin/python3"
    found = [shutil.which(name) for name in names]
    found += [path for pattern in installed for path in glob.glob(os.path.expanduser(pattern))]
    found = [os.environ.get("TEST_FREE_THREADED_PYTHON"), *found]
    code = "import sys; sys.exit(getattr(sys, '_is_gil_enabled', lambda: True)())"
    for path in filter(None, found):
        if subprocess.run([path, "-c", code], capture_output=True).returncode == 0:
            return path
    return None


AT_ONCE = """
import sys, threading, time, dynoscale
from dynoscale import _native
from dynoscale.hooks.gunicorn import post_request, pre_request
from dynoscale.wsgi import DynoscaleWsgiApp
assert not sys._is_gil_enabled()
THREADS = 4
inside, around = [0.0] * THREADS, [0.0] * THREADS

def app(environ, number):
    before = time.time()
    while time.time() < before + 0.0005: pass
    inside[number] += time.time() - before
    return ()

wrapped = DynoscaleWsgiApp(app)

class Request:
    headers = [("X-REQUEST-START", "1")]
    body = None

def serve(number):
    for _ in range(300):
        before = time.time()
        wrapped({"HTTP_X_REQUEST_START": str(int(before * 1000))}, number)
        around[number] += time.time() - before
        request = Request()
        before = time.time()
        pre_request(None, request)
        entered = time.time()
        app(None, number)
        post_request(None, request)
        around[number] += time.time() - before

wrapped({}, 0)
dynoscale.job_queue_time("backend", "queue", 1)
assert dynoscale.flush(60) and _native.asked()[0] == ["busy"]
post_request(None, Request())
inside[0] = 0.0
threads = [threading.Thread(target=serve, args=(number,)) for number in range(THREADS)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert dynoscale.flush(60)
print(sum(inside), sum(around))
"""


def test_threads_without_the_interpreters_lock(receiver: Any, tmp_path: Path) -> None:
    python = free_threaded_python()
    if python is None:
        pytest.skip("no free-threaded Python; TEST_FREE_THREADED_PYTHON can name one")
    show = "import sysconfig; print(sysconfig.get_path('include'), sysconfig.get_config_var('EXT_SUFFIX'))"
    told = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True)
    include, suffix = told.stdout.split()
    if not os.path.exists(f"{include}/Python.h") or shutil.which("cc") is None:
        pytest.skip(f"no C compiler, or no headers of {python}")
    package = tmp_path / "dynoscale"
    shutil.copytree(ROOT / "python/dynoscale", package, ignore=shutil.ignore_patterns("*.so"))
    sources = [*ROOT.glob("ext/python/*.c"), *ROOT.glob("core/src/*.c")]
    command = ["cc", "-shared", "-fPIC", "-O1", "-std=gnu11", f"-I{include}"]
    command += [f"-I{ROOT / 'core/include'}", f"-I{ROOT / 'core/src'}", *map(str, sources)]
    subprocess.run([*command, "-o", str(package / f"_native{suffix}"), "-lpthread", "-ldl"], check=True)

    receiver.behave("ok", publish_frequency=3600, signals=["busy"])
    variables = {"DYNO": "web.1", "DYNOSCALE_URL": f"{receiver.url}/free", "PYTHONPATH": str(tmp_path)}
    environment = {**os.environ, **variables, "TMPDIR": str(tmp_path)}
    (tmp_path / "program.py").write_text(textwrap.dedent(AT_ONCE))
    command = [python, str(tmp_path / "program.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    inside, around = map(float, done.stdout.split())
    reported = sum(row["metric"] for row in receiver.rows() if row["metadata"] == "busy")
    assert inside * 1000 - 2 <= reported <= around * 1000 + 1


# ---- How many requests a process runs at once ----

def of_waitress(threads: int) -> dict[str, Any]:
    adjustments = types.SimpleNamespace(adj=types.SimpleNamespace(threads=threads))

    class Channel:
        server = adjustments

        def disconnected(self) -> bool:
            return False

    return {**environ(), "waitress.client_disconnected": Channel().disconnected}


def slots(receiver: Any) -> list[int]:
    return [row["metric"] for row in receiver.rows() if row["metadata"] == "slots"]


def report_each_in_a_child(wrapped: Any, environs: list[dict[str, Any]]) -> None:
    """What the number is belongs to a process."""
    child = os.fork()
    if child == 0:
        well = all(wrapped(each, print) == ["fine"] and dynoscale.flush(60) for each in environs)
        os._exit(0 if well else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("signals", [["slots"], ["slots", "busy"]])
def test_the_server_is_looked_at_once_the_service_asks_in_each_process(
    signals: list[str], receiver: Any, agent: None
) -> None:
    wrapped = DynoscaleWsgiApp(lambda environ, start_response: ["fine"])
    receiver.behave("ok", publish_frequency=3600, signals=signals)
    report_each_in_a_child(wrapped, [of_waitress(threads) for threads in (6, 7, 8)])
    report_each_in_a_child(wrapped, [of_waitress(threads) for threads in (3, 4, 5)])
    assert slots(receiver) == [7, 7, 4, 4]


def test_a_server_that_can_not_be_looked_at_leaves_the_app_alone(
    receiver: Any, agent: None
) -> None:
    class Odd:
        @property
        def __self__(self) -> Any:
            raise ValueError

    wrapped = DynoscaleWsgiApp(lambda environ, start_response: ["fine"])
    receiver.behave("ok", publish_frequency=3600, signals=["slots"])
    odd = [{**environ(), "waitress.client_disconnected": Odd()} for _ in range(3)]
    report_each_in_a_child(wrapped, odd)
    assert slots(receiver) == []
    assert len(receiver.rows()) == 3


# ---- ASGI: the objects that stand for answers are used again ----


def test_answers_whose_objects_are_used_again_are_timed_each(spent: Spent) -> None:
    """More at once than are kept, and some that are never awaited."""
    inside: list[float] = []

    async def app(scope: Any, receive: Any, send: Any) -> str:
        before = time.time()
        await asyncio.sleep(0.001)
        inside.append(time.time() - before)
        return "done"

    async def many() -> list[str]:
        return await asyncio.gather(*(wrapped(scope(), None, None) for _ in range(40)))

    wrapped = DynoscaleAsgiApp(app)
    for _ in range(5):
        before = time.time()
        assert asyncio.run(many()) == ["done"] * 40
        wrapped(scope(), None, None).close()
        spent.add(0, (time.time() - before) * 41)
    spent.add(sum(inside), 0)
    spent.check()
