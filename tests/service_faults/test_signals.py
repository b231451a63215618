"""What is done to a service's process: signals while it starts, works and ends; stopped for a while; two on one
folder. Nothing that was answered is lost, and it goes on, or ends, as it should."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

from dynoscaled import Command, keepers, wait_for
from faults import STOP, Faulty, Senders
from processes import Process
from reports import PATIENCE, add_app, counted
from test_machine import THREE, more_ticks, orders, set_up

Made = Callable[..., Faulty]


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def begin_and_stop(service: Faulty, calls: int = 0) -> None:
    """Starts it; at that write to its data it stands still."""
    service.order(STOP, calls, times=1)
    Process.start(service)
    wait_for(lambda: state(service.pid) == "T", "a start that stands still")


def test_a_hangup_during_the_start_does_not_end_it(faulty: Made) -> None:
    service = faulty()
    for calls in (0, 20):
        shutil.rmtree(service.data, ignore_errors=True)
        begin_and_stop(service, calls)
        service.send_signal(signal.SIGHUP)
        service.send_signal(signal.SIGCONT)
        service.wait_until(lambda: "has started" in service.log, "start", PATIENCE)
        service.kill()
        service.log_path.unlink()


def test_an_end_during_the_start_ends_it_and_the_next_start_works(faulty: Made) -> None:
    service = faulty()
    for calls in (20, 0, 1):  # of data that is made, half made, and there
        begin_and_stop(service, calls)
        service.send_signal(signal.SIGTERM)
        service.send_signal(signal.SIGCONT)
        service.stop(seconds=PATIENCE, expected=(0, -signal.SIGTERM))
    service.start()
    assert service.get("/healthz").status == 200


def test_signals_to_end_that_come_twice_lose_nothing(faulty: Made) -> None:
    began = time.time()
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, add_app(service))
    for pair in ("TT", "TI", "IT", "HT"):
        before = senders.total()
        service.wait_until(lambda: senders.total() >= before + 20, "answer", PATIENCE)
        number = {"T": signal.SIGTERM, "I": signal.SIGINT, "H": signal.SIGHUP}
        os.killpg(service.pid, number[pair[0]])  # as platforms send it, to each process
        service.stop(number[pair[1]], seconds=PATIENCE)
        service.start()
    total = senders.end()
    assert counted(service, begin=began) == total


def test_a_service_that_is_stopped_for_a_while_goes_on_where_it_was(faulty: Made) -> None:
    """In the middle of commits; its keepers, too."""
    began = time.time()
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, set_up(service, THREE))
    service.wait_until(lambda: senders.total() >= 20, "answer", PATIENCE)
    for round_ in range(20):
        before = senders.total()
        service.order(STOP, round_, times=1)
        wait_for(lambda: service.faults == 1 and state(service.pid) == "T", "a stop")
        if round_ % 5 == 4:
            for pid in keepers(service):
                os.kill(pid, signal.SIGSTOP)
            time.sleep(3.5)  # more than three ticks pass it by
            for pid in keepers(service):
                os.kill(pid, signal.SIGCONT)
        service.send_signal(signal.SIGCONT)
        service.wait_until(lambda: senders.total() >= before + 4, "answer again", PATIENCE)
    more_ticks(service, 5)
    total = senders.end()
    assert counted(service, begin=began) == total
    assert not orders(service), orders(service)
    assert Command(service.data)("replay", "shop", "web").returncode == 0


def test_a_second_service_on_a_folder_says_who_has_it_and_harms_nothing(faulty: Made) -> None:
    began = time.time()
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, add_app(service))
    for _ in range(5):
        before = senders.total()
        line = [service.program, "serve", "--data", str(service.data), "--listen", "127.0.0.1:0"]
        second = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)
        assert second.returncode == 1
        assert f"process {service.pid}" in second.stderr and "--data" in second.stderr, second.stderr
        service.wait_until(lambda: senders.total() >= before + 10, "answer", PATIENCE)
    total = senders.end()
    assert counted(service, begin=began) == total
    assert Command(service.data)("app", "list").returncode == 0  # by its socket, which is still there
