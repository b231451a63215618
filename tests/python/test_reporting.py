"""What arrives at the service, and what flush, stop and stats say of it."""

from __future__ import annotations

import math
import pathlib
import platform
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import agent_tools
import pytest
import vectors

import dynoscale
from dynoscale import _native
from dynoscale.wsgi import DynoscaleWsgiApp


def record(requests: int = 1, ms_ago: float = 20) -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app)
    for _ in range(requests):
        wrapper(agent_tools.stamped(ms_ago), agent_tools.start_response)


def dropped(stats: dict[str, int]) -> int:
    return sum(number for name, number in stats.items() if name.startswith("dropped_"))


# ---- A report ----


def test_a_report_says_who_sends_it(receiver: Any, agent: None) -> None:
    dynoscale.configure(app_name="shop")
    record()
    assert dynoscale.flush()
    (report,) = receiver.reports()
    headers = report["headers"]
    assert report["error"] is None
    assert headers["user-agent"] == f"dynoscale-python;{dynoscale.__version__}"
    assert headers["x_dyno"] == headers["http_x_dyno"] == "web.1"
    assert headers["x_app_name"] == "shop"


def test_rows_carry_the_time_and_the_queue_time(receiver: Any, agent: None) -> None:
    before = int(time.time())
    record(3, ms_ago=1500)
    assert dynoscale.flush()
    rows = receiver.rows()
    assert len(rows) == 3
    for row in rows:
        assert before <= row["timestamp"] <= time.time()
        assert 1500 <= row["metric"] <= 3500
        assert (row["source"], row["metadata"]) == ("web", "")


def test_the_first_report_leaves_by_itself(receiver: Any, agent: None) -> None:
    record()
    assert receiver.wait(rows=1)["rows"] == 1


def test_more_samples_than_a_batch_all_arrive(receiver: Any, agent: None) -> None:
    for _ in range(6):
        record(5000)
        assert dynoscale.flush(20)
    assert receiver.summary()["rows"] == 30_000


def asked() -> str:
    """As the vectors write it."""
    signals, jobs, heartbeat_ms = _native.asked()
    parts = ["+".join(signals), "" if jobs else "no_jobs"]
    parts += [f"heartbeat={heartbeat_ms}"] if heartbeat_ms else []
    return " ".join(part for part in parts if part) or "nothing"


@pytest.mark.parametrize("case", vectors.answer_cases(), ids=lambda case: case.name)
def test_each_answer_of_the_vectors_is_understood(
    case: vectors.AnswerCase, receiver: Any, agent: None
) -> None:
    receiver.behave(body=case.body.decode("latin-1"))
    record()
    assert dynoscale.flush()
    expected = 30_000 if case.expected == "unchanged" else int(case.expected)
    assert dynoscale.stats()["publish_frequency_ms"] == expected
    assert asked() == case.asked


# ---- flush ----


def test_flush_is_true_when_there_is_nothing_to_send(agent: None) -> None:
    assert dynoscale.flush() is True


def test_flush_is_false_when_time_runs_out_and_nothing_is_lost(receiver: Any, agent: None) -> None:
    receiver.behave("status", status=503)
    record(10)
    assert dynoscale.flush(timeout=0.2) is False
    receiver.behave()
    assert dynoscale.flush(timeout=20) is True
    assert len(receiver.rows()) == 10


def test_flush_is_false_when_samples_were_refused(receiver: Any, agent: None) -> None:
    receiver.behave("status", status=404)
    record(10)
    assert dynoscale.flush() is False
    assert dynoscale.stats()["dropped_rejected"] == 10


@pytest.mark.parametrize("timeout", [0, -1, -math.inf, math.nan, 0.001])
def test_a_timeout_of_nothing_does_not_wait(timeout: float, receiver: Any, agent: None) -> None:
    receiver.behave("stall")
    record()
    assert dynoscale.flush(timeout) is False
    assert dynoscale.stop(timeout) is False


def test_a_timeout_without_end_is_long_enough(receiver: Any, agent: None) -> None:
    record()
    assert dynoscale.flush(math.inf) is True


@pytest.mark.parametrize("timeout", ["2", None, []])
def test_a_timeout_that_is_no_number_is_a_type_error(timeout: Any) -> None:
    with pytest.raises(TypeError):
        dynoscale.flush(timeout)
    with pytest.raises(TypeError):
        dynoscale.stop(timeout)


def test_other_threads_run_while_flush_waits(receiver: Any, agent: None) -> None:
    receiver.behave("stall")
    record()
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(dynoscale.flush(30)))
    thread.start()
    assert receiver.wait(reports=1)["reached"]
    record()  # with the lock held by flush nothing here would run before it gives up
    receiver.behave("refuse", seconds=0.1)  # cuts the connection; it is tried again
    thread.join()
    assert results == [True]
    assert dynoscale.flush(20)
    assert len(receiver.rows()) == 2


def interrupted(call: str, receiver: Any) -> subprocess.Popen[str]:
    """A process that has got a SIGINT while it waits."""
    receiver.behave("stall")
    code = f"""
import agent_tools, dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

DynoscaleWsgiApp(agent_tools.app)(agent_tools.stamped(), agent_tools.start_response)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
    dynoscale.stop(0)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=agent_tools.reporting_to(receiver.url),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert receiver.wait(reports=1)["reached"]
    process.send_signal(signal.SIGINT)
    return process


@pytest.mark.parametrize("call", ["dynoscale.flush(300)", "dynoscale.stop(300)"])
def test_an_interrupt_ends_the_wait(call: str, receiver: Any) -> None:
    process = interrupted(call, receiver)
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "interrupted\n")


def test_a_signal_s_handler_that_returns_does_not_end_the_wait(receiver: Any) -> None:
    receiver.behave("stall")
    code = """
import signal
import agent_tools, dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
DynoscaleWsgiApp(agent_tools.app)(agent_tools.stamped(), agent_tools.start_response)
print(dynoscale.flush(60))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=agent_tools.reporting_to(receiver.url),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert receiver.wait(reports=1)["reached"]
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "handled\n"
    receiver.behave("refuse", seconds=0.1)
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "True\n")


# ---- stop ----


def test_stop_sends_what_was_recorded(receiver: Any, agent: None) -> None:
    record(10)
    assert dynoscale.stop() is True
    assert len(receiver.rows()) == 10
    assert dynoscale.stop() is True


def test_samples_after_stop_are_counted_as_dropped(receiver: Any, agent: None) -> None:
    record(10)
    dynoscale.stop()
    record(5)
    stats = dynoscale.stats()
    assert (stats["recorded"], stats["sent"], stats["dropped_stopped"]) == (15, 10, 5)
    assert dynoscale.flush() is False


def test_stop_is_false_when_time_runs_out(receiver: Any, agent: None) -> None:
    receiver.behave("stall")
    record(10)
    assert dynoscale.stop(timeout=0.1) is False
    stats = dynoscale.stats()
    assert (stats["recorded"], stats["sent"], stats["pending"]) == (10, 0, 0)
    assert dropped(stats) == 10


# ---- stats ----


def test_stats_count_what_happened(receiver: Any, agent: None) -> None:
    names = list(dynoscale.stats())
    assert set(dynoscale.stats().values()) - {dynoscale.stats()["publish_frequency_ms"]} == {0}
    record(7)
    assert dynoscale.stats()["pending"] == 7
    assert dynoscale.flush()
    stats = dynoscale.stats()
    assert list(stats) == names
    assert stats["recorded"] == stats["sent"] == 7
    assert stats["reports_accepted"] >= 1 and stats["reports_failed"] == 0
    assert stats["last_status"] == 200
    assert abs(stats["last_report_at"] - time.time()) < 60
    assert stats["thread_starts"] == 1


def test_each_sample_is_sent_pending_or_dropped(receiver: Any, agent: None) -> None:
    receiver.behave("random", of=[{"mode": "status", "status": s} for s in (200, 404, 503)])
    for _ in range(30):
        record(5)
        dynoscale.flush(0.05)
    receiver.behave()
    dynoscale.flush(20)
    stats = dynoscale.stats()
    assert stats["recorded"] == 150 == stats["sent"] + stats["pending"] + dropped(stats)
    assert stats["sent"] == receiver.summary()["rows"]


STATS = {
    *("recorded", "pending", "sent", "dropped_full", "dropped_expired", "dropped_rejected"),
    *("dropped_stopped", "stamp_missing", "stamp_malformed", "stamp_stale", "stamp_future"),
    *("jobs_refused", "reports_accepted", "reports_failed", "last_status", "last_report_at"),
    *("publish_frequency_ms", "thread_starts", "thread_failures"),
}


def test_stats_add_up_at_every_moment_for_every_thread(receiver: Any, agent: None) -> None:
    wrong: list[dict[str, int]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            stats = dynoscale.stats()
            known = stats["sent"] + stats["pending"] + dropped(stats)
            if stats["recorded"] != known or set(stats) != STATS:
                wrong.append(stats)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    recorders = [threading.Thread(target=record, args=(2000,)) for _ in range(2)]
    for thread in lookers + recorders:
        thread.start()
    for thread in recorders:
        dynoscale.flush()
        thread.join()
    ended.set()
    for thread in lookers:
        thread.join()
    assert wrong == []
    assert dynoscale.stats()["recorded"] == 4000


def test_stats_belong_to_the_caller(agent: None) -> None:
    dynoscale.stats()["recorded"] = 5
    assert dynoscale.stats()["recorded"] == 0


# ---- Threads ----


def test_samples_of_many_threads_all_arrive(receiver: Any, agent: None) -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app)

    def work() -> None:
        for _ in range(500):
            wrapper(agent_tools.stamped(), agent_tools.start_response)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert dynoscale.flush(20)
    assert dynoscale.stats()["recorded"] == 4000 == receiver.summary()["rows"]


def test_thousands_of_short_lived_threads_are_counted(receiver: Any, agent: None) -> None:
    for _ in range(20):
        threads = [threading.Thread(target=record) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert dynoscale.flush(20)
    assert receiver.summary()["rows"] == 2000
    assert dynoscale.stats()["thread_starts"] == 1


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_the_native_thread_is_named_and_deaf_to_signals(agent: None) -> None:
    record()
    assert dynoscale.flush()
    named = [
        status
        for task in pathlib.Path("/proc/self/task").iterdir()
        if "Name:\tdynoscale\n" in (status := (task / "status").read_text())
    ]
    assert len(named) == 1
    (blocked,) = [line for line in named[0].splitlines() if line.startswith("SigBlk:")]
    mask = int(blocked.split()[1], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGUSR1):
        assert mask >> (number - 1) & 1
