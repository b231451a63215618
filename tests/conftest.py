"""For all suites in Python."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # Started by a shell in the background, or by such a CI, we ignore these two, and so would
    # every process that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
