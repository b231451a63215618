"""Process, which starts and stops servers, says what went wrong and leaves no process behind."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest
from processes import Process, ProcessError, free_port


def python(code: str, directory: Path) -> Process:
    return Process([sys.executable, "-c", code], directory, name="program")


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with python("print('out of cheese'); exit(3)", tmp_path).start() as program:
        with pytest.raises(ProcessError, match="(?s)ended before it could.*out of cheese"):
            program.wait_for_port(free_port())


def test_a_port_that_stays_closed_is_an_error(tmp_path: Path) -> None:
    with python("import signal; signal.pause()", tmp_path).start() as program:
        with pytest.raises(ProcessError, match="did not accept connections"):
            program.wait_for_port(free_port(), seconds=0.1)


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="can't be started"):
        Process(["/no/such/program"], tmp_path).start()


def test_an_unexpected_exit_status_is_an_error(tmp_path: Path) -> None:
    code = "import signal; print('ready', flush=True); signal.pause()"
    with python(code, tmp_path).start() as program:
        program.wait_until(lambda: "ready" in program.log, "get ready")
        with pytest.raises(ProcessError, match="ended with status -15"):
            program.stop(signal.SIGTERM)


def test_the_end_of_the_block_ends_the_children_too(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child: print('child', child, flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    with python(code, tmp_path).start() as program:
        program.wait_until(lambda: program.log.endswith("\n"), "fork")
        end = os.pidfd_open(int(program.log.split()[1]))
        with pytest.raises(ProcessError, match="did not end within"):
            program.stop(signal.SIGTERM, seconds=0.1)
    # Readable once the child has ended, whether or not its status has been fetched.
    assert select.select([end], [], [], 20) == ([end], [], [])
    os.close(end)


def test_free_ports_differ() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
