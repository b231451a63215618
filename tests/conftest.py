"""For all suites in Python."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, List

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))

from processes import repeated  # noqa: E402

# With --reruns (Makefile): the tests that failed and were tried again, each with its report.
_failed_once: List[Any] = []


def pytest_configure() -> None:
    # Started by a shell in the background, or by such a CI, we ignore the first two, and with nohup
    # the third, and so would every process that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Not the default, which would end us when the terminal closes. exec makes it the default.
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_runtest_logreport(report: Any) -> None:
    if report.outcome == "rerun":
        _failed_once.append(report)
        lines = report.longreprtext.strip().splitlines() or ["no reason was given"]
        reason = next((line[1:].strip() for line in lines if line.startswith("E ")), lines[-1])
        repeated.append(f"{report.nodeid}: {reason}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What failed at first is told in full; suites.py counts the lines that begin with REPEATED."""
    for report in _failed_once:
        terminalreporter.section(f"{report.nodeid} failed, and was tried again")
        terminalreporter.write_line(report.longreprtext)
    for what in repeated:
        terminalreporter.write_line(f"REPEATED {what}")
