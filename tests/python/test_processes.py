"""Fork and exit: every process sends its own samples once, and its end is not delayed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import agent_tools
import pytest

import dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

PRELUDE = """
import os, sys
import agent_tools, dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

wrapper = DynoscaleWsgiApp(agent_tools.app)

def record(requests):
    for _ in range(requests):
        wrapper(agent_tools.stamped(), agent_tools.start_response)

def end_well(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""

no_address_sanitizer = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="AddressSanitizer's allocator may be left locked in a child of a process with threads",
)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/task"), reason="this system does not tell of threads in /proc"
)


def run(code: str, receiver: Any, rows: int, **how: Any) -> None:
    """Run a program that reports to the receiver, which gets that many rows, each once."""
    # From 3.12 on Python warns of a fork beside any thread, the agent's too.
    warnings = "ignore:This process:DeprecationWarning"
    environment = agent_tools.reporting_to(receiver.url, PYTHONWARNINGS=warnings)
    done = agent_tools.run(PRELUDE + textwrap.dedent(code), environment, **how)
    assert done.stderr == ""
    summary = receiver.summary()
    assert (summary["rows"], summary["repeated"], summary["malformed"]) == (rows, 0, 0)


# ---- Exit ----


def test_samples_are_sent_at_exit(receiver: Any) -> None:
    run("record(25)", receiver, 25)


@pytest.mark.parametrize(
    "end", ["sys.exit(0)", "raise SystemExit", "threading.Thread(target=record, args=[5]).start()"]
)
def test_every_kind_of_end_is_an_exit(end: str, receiver: Any) -> None:
    run(f"import threading; record(20)\n{end}", receiver, 25 if "Thread" in end else 20)


def test_samples_of_the_app_s_exit_functions_are_sent(receiver: Any) -> None:
    run("import atexit; atexit.register(record, 5); record(1)", receiver, 6)


def test_an_unhandled_exception_is_an_exit_too(receiver: Any) -> None:
    code = PRELUDE + "record(3)\nraise RuntimeError('of the app')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=agent_tools.reporting_to(receiver.url),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: of the app\n")
    assert receiver.summary()["rows"] == 3


def test_an_interrupted_process_sends_what_it_recorded(receiver: Any) -> None:
    code = PRELUDE + "record(3)\nprint('ready', flush=True)\nimport time\ntime.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=agent_tools.reporting_to(receiver.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == -signal.SIGINT
    process.stdout.close()
    assert receiver.summary()["rows"] == 3


def test_a_hung_service_does_not_keep_a_process(receiver: Any) -> None:
    receiver.behave("stall")
    agent_tools.run(PRELUDE + "record(3)", agent_tools.reporting_to(receiver.url), timeout=30)


def test_ctrl_c_ends_the_wait_at_exit_in_silence(receiver: Any) -> None:
    receiver.behave("stall")
    code = PRELUDE + "dynoscale._agent.EXIT_TIMEOUT = 600\nrecord(3)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=agent_tools.reporting_to(receiver.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert receiver.wait(reports=1)["reached"]
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "")


def killed_while_it_reports(code: str, receiver: Any, *numbers: int) -> tuple[int, str]:
    """How a process ended that got the signals during its last report."""
    receiver.behave("ok", delay=1)
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env=agent_tools.reporting_to(receiver.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert receiver.wait(reports=1)["reached"]
    for number in numbers:
        process.send_signal(number)
    stdout, _ = process.communicate(timeout=60)
    return process.returncode, stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_without_a_handler_sends_and_then_ends_the_process(
    number: int, receiver: Any
) -> None:
    code = """
        import signal
        record(7)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        print("ready", flush=True)
        while True: signal.pause()
        """
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env=agent_tools.reporting_to(receiver.url),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(timeout=60) == -number
    process.stdout.close()
    assert receiver.summary()["rows"] == 7


def test_a_handler_of_the_app_is_the_only_one(receiver: Any) -> None:
    code = """
        import signal, time
        record(7)
        signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        """
    done = agent_tools.run(PRELUDE + textwrap.dedent(code), agent_tools.reporting_to(receiver.url))
    assert done.stdout == "handled\n"
    assert receiver.summary()["rows"] == 7


def test_a_program_that_it_starts_has_the_default_action(receiver: Any) -> None:
    code = """
        import signal, subprocess
        record(1)
        child = subprocess.Popen(["sleep", "600"])
        child.send_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM
        """
    run(code, receiver, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_last_report_waits_for_it(number: int, receiver: Any) -> None:
    status, _ = killed_while_it_reports("record(5)", receiver, number, number)
    assert (status, receiver.summary()["rows"]) == (-number, 5)


def test_a_handler_that_exits_does_not_end_the_last_report(receiver: Any) -> None:
    code = """
        import signal
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(1))
        record(5)
        """
    numbers = (signal.SIGTERM, signal.SIGINT)
    assert killed_while_it_reports(code, receiver, *numbers) == (0, "")
    assert receiver.summary()["rows"] == 5


def test_a_process_ends_while_daemon_threads_record(receiver: Any) -> None:
    code = """
        import threading

        def forever():
            while True:
                record(1)
                dynoscale.stats()
                dynoscale.job_queue_time("rq", "default", 1)

        for _ in range(4):
            threading.Thread(target=forever, daemon=True).start()
        record(100)
        """
    for _ in range(3):
        agent_tools.run(PRELUDE + textwrap.dedent(code), agent_tools.reporting_to(receiver.url))
    assert receiver.summary()["rows"] >= 300
    assert receiver.summary()["repeated"] == 0


def test_a_wrapper_outlives_the_module(receiver: Any) -> None:
    """Finalizers may call an app when nearly all is gone."""
    run(
        """
        class Late:
            def __init__(self):
                self.wrapper = wrapper
                self.call = (agent_tools.stamped(), agent_tools.start_response)

            def __del__(self):
                self.wrapper(*self.call)

        late = Late()
        late.itself = late
        sys.modules["kept"] = late
        dynoscale.kept = Late()
        record(2)
        """,
        receiver,
        2,
    )


# ---- Fork ----


@needs_fork
def test_parent_and_child_send_each_their_own(receiver: Any) -> None:
    run(
        """
        record(10)
        pid = os.fork()
        if pid == 0:
            assert dynoscale.stats()["recorded"] == 0
            record(7)
            assert dynoscale.stats()["recorded"] == 7
            sys.exit()
        end_well(pid)
        record(1)
        assert dynoscale.stats()["recorded"] == 11
        """,
        receiver,
        18,
    )


@needs_fork
def test_a_child_that_records_nothing_sends_nothing(receiver: Any) -> None:
    run(
        """
        record(10)
        pid = os.fork()
        if pid == 0:
            sys.exit()
        end_well(pid)
        """,
        receiver,
        10,
    )


@needs_fork
def test_a_child_can_flush_and_leave_without_exit_functions(receiver: Any) -> None:
    run(
        """
        record(10)
        assert dynoscale.flush()
        pid = os.fork()
        if pid == 0:
            record(5)
            os._exit(0 if dynoscale.flush() else 1)
        end_well(pid)
        """,
        receiver,
        15,
    )


@needs_fork
def test_a_child_that_forks_again(receiver: Any) -> None:
    run(
        """
        record(1)
        for generation in range(4):
            pid = os.fork()
            if pid:
                end_well(pid)
                break
            record(1)
        """,
        receiver,
        5,
    )


@needs_fork
def test_a_fork_before_the_first_request(receiver: Any) -> None:
    run(
        """
        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                record(5)
                sys.exit()
            children.append(pid)
        for pid in children:
            end_well(pid)
        """,
        receiver,
        20,
    )


@needs_fork
def test_a_fork_after_stop_starts_afresh(receiver: Any) -> None:
    run(
        """
        record(3)
        assert dynoscale.stop()
        pid = os.fork()
        if pid == 0:
            record(4)
            assert dynoscale.flush()
            os._exit(0)
        end_well(pid)
        """,
        receiver,
        7,
    )


@needs_fork
@no_address_sanitizer
def test_forks_while_threads_record_and_flush(receiver: Any) -> None:
    code = """
        import threading

        ended = threading.Event()
        counts = []

        def work():
            count = 0
            while not ended.is_set():
                record(10)
                count += 10
                assert dynoscale.flush(30)
            counts.append(count)

        record(1)
        assert dynoscale.flush()  # libcurl is loaded
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(60):
                pid = os.fork()
                if pid == 0:
                    record(2)
                    os._exit(0 if dynoscale.flush(30) else 1)
                end_well(pid)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert len(counts) == len(threads)
        assert dynoscale.flush(30)
        print(1 + sum(counts) + 60 * 2)
        """
    environment = agent_tools.reporting_to(receiver.url)
    done = agent_tools.run(PRELUDE + textwrap.dedent(code), environment, timeout=300)
    summary = receiver.summary()
    assert (summary["rows"], summary["repeated"]) == (int(done.stdout), 0)


@needs_fork
def test_a_fork_in_a_thread(receiver: Any) -> None:
    run(
        """
        import threading

        def work():
            record(2)
            pid = os.fork()
            if pid == 0:
                record(3)
                os._exit(0 if dynoscale.flush() else 1)
            end_well(pid)

        record(1)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
        receiver,
        6,
    )


@needs_fork
@needs_proc
@pytest.mark.parametrize("end", ["return", "sys.exit(0)"])
def test_a_child_ends_when_the_thread_that_forked_it_ends(end: str, receiver: Any) -> None:
    """As it would without the agent: with its only thread."""
    run(
        f"""
        import threading

        def work():
            record(2)
            pid = os.fork()
            if pid == 0:
                record(3)
                {end}
            else:
                end_well(pid)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
        receiver,
        5,
    )


@needs_fork
@needs_proc
def test_such_a_child_goes_on_as_long_as_another_thread_of_it(receiver: Any) -> None:
    run(
        """
        import threading, time

        # When the first thread of a process has ended, and others go on, it is a zombie.
        def record_later():
            state = ""
            while state != "Z":
                time.sleep(0.01)
                with open("/proc/self/stat") as stat:
                    state = stat.read().rpartition(") ")[2][0]
            record(4)

        def work():
            pid = os.fork()
            if pid == 0:
                record(3)
                threading.Thread(target=record_later).start()
                return
            end_well(pid)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
        receiver,
        7,
    )


@needs_fork
def test_a_child_that_execs(receiver: Any) -> None:
    run(
        """
        record(2)
        pid = os.fork()
        if pid == 0:
            record(1)
            assert dynoscale.flush()
            os.execv(sys.executable, [sys.executable, "-c", "pass"])
        end_well(pid)
        """,
        receiver,
        3,
    )


@needs_fork
def test_subprocesses_with_and_without_preexec_fn(receiver: Any) -> None:
    run(
        """
        import subprocess

        record(1)
        for _ in range(20):
            subprocess.run(["true"], check=True)
            subprocess.run(["true"], check=True, preexec_fn=lambda: None)
            assert os.system("true") == 0
            record(1)
        """,
        receiver,
        21,
    )


# ---- multiprocessing ----

METHODS = ["fork", "spawn", "forkserver"] if hasattr(os, "fork") else ["spawn"]
MULTIPROCESSING = """
def work(requests):
    record(requests)

if __name__ == "__main__":
    {first}
    import multiprocessing
    {then}
    context = multiprocessing.get_context({method!r})
    processes = [context.Process(target=work, args=(5,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    record(2)
"""


@pytest.mark.parametrize("order", ["imported first", "imported last", "no request before"])
@pytest.mark.parametrize("method", METHODS)
def test_processes_of_multiprocessing_send_what_they_recorded(
    method: str, order: str, receiver: Any, tmp_path: Path
) -> None:
    code = MULTIPROCESSING.format(
        method=method,
        first="record(1)" if order == "imported last" else "pass",
        then="record(1)" if order == "imported first" else "pass",
    )
    rows = 3 * 5 + 2 + (0 if order == "no request before" else 1)
    run(code, receiver, rows, script=tmp_path / "program.py")


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_of_processes_sends_what_it_recorded(
    method: str, receiver: Any, tmp_path: Path
) -> None:
    run(
        f"""
        from concurrent.futures import ProcessPoolExecutor
        import multiprocessing

        def work(requests):
            record(requests)

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                list(pool.map(work, [3] * 10))
        """,
        receiver,
        30,
        script=tmp_path / "program.py",
    )


@needs_fork
def test_an_agent_first_opened_in_a_process_of_multiprocessing(
    receiver: Any, tmp_path: Path
) -> None:
    code = """
        import multiprocessing
        from types import SimpleNamespace

        import agent_tools, dynoscale
        from dynoscale.hooks.gunicorn import pre_request

        def work():
            assert not dynoscale._native.is_decided()
            headers = [("X-REQUEST-START", agent_tools.stamp())]
            pre_request(None, SimpleNamespace(headers=headers))

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
            assert process.exitcode == 0
        """
    environment = agent_tools.reporting_to(receiver.url)
    agent_tools.run(code, environment, script=tmp_path / "program.py")
    assert receiver.summary()["rows"] == 1


# ---- Sub-interpreters ----

SUBINTERPRETERS = '''
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        print("none")
        sys.exit()

def run_in(interpreter, code):
    failure = interpreters.run_string(interpreter, code)
    assert failure is None, failure

INSIDE = """
import agent_tools, dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp
wrapper = DynoscaleWsgiApp(agent_tools.app)
for _ in range(5):
    wrapper(agent_tools.stamped(), agent_tools.start_response)
"""
'''


def run_with_subinterpreters(code: str, receiver: Any, rows: int) -> None:
    environment = agent_tools.reporting_to(receiver.url)
    code = PRELUDE + SUBINTERPRETERS + textwrap.dedent(code)
    if agent_tools.run(code, environment).stdout == "none\n":
        pytest.skip("this Python has no module for sub-interpreters")
    assert receiver.summary()["rows"] == rows


def test_interpreters_share_an_agent_and_end_apart(receiver: Any) -> None:
    run_with_subinterpreters(
        """
        record(1)
        interpreter = interpreters.create()
        run_in(interpreter, INSIDE)
        assert dynoscale.stats()["recorded"] == 6
        interpreters.destroy(interpreter)
        record(1)
        assert dynoscale.stats()["recorded"] == 7
        assert dynoscale.stats()["dropped_stopped"] == 0
        """,
        receiver,
        7,
    )


def test_an_interpreter_that_ends_sends_what_it_recorded(receiver: Any) -> None:
    run_with_subinterpreters(
        """
        interpreter = interpreters.create()
        run_in(interpreter, INSIDE)
        interpreters.destroy(interpreter)
        os._exit(0)
        """,
        receiver,
        5,
    )


def test_many_interpreters_one_after_the_other(receiver: Any) -> None:
    run_with_subinterpreters(
        """
        for _ in range(10):
            interpreter = interpreters.create()
            run_in(interpreter, INSIDE)
            interpreters.destroy(interpreter)
        """,
        receiver,
        50,
    )


# ---- At rest ----

THREAD_SWITCHES = r"""
from pathlib import Path
import re

def switches():
    for thread in Path("/proc/self/task").iterdir():
        if (thread / "comm").read_text() == "dynoscale\n":
            status = (thread / "status").read_text()
            return sum(map(int, re.findall(r"_ctxt_switches:\s+(\d+)", status)))
    raise AssertionError("the agent has no thread")
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc/self/task")
def test_an_idle_processes_thread_is_not_woken(receiver: Any, agent: None) -> None:
    # The child looks at itself: elsewhere /proc may have it under another number.
    code = "record(1); assert dynoscale.flush()\nfor _ in sys.stdin: print(switches(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + THREAD_SWITCHES + code],
        env=agent_tools.reporting_to(receiver.url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        receiver.wait(rows=1)
        dynoscale.configure(publish_frequency=1)
        wrapper = DynoscaleWsgiApp(agent_tools.app)
        counts = []
        for rows in (2, 3):  # the time that this process's reports take
            wrapper(agent_tools.stamped(), agent_tools.start_response)
            receiver.wait(rows=rows)
            child.stdin.write("\n")
            child.stdin.flush()
            counts.append(int(child.stdout.readline()))
        child.stdin.close()
    assert child.returncode == 0
    assert counts[0] == counts[1]
