"""What the demo draws in a terminal, and what it makes of the numbers at the end."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator, List, Optional

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo"
SECONDS = 32
STATUS = "12 s  too much"


@pytest.fixture(scope="module")
def demo() -> Iterator[Any]:
    """The demo's modules, without running it."""
    sys.path.insert(0, str(DEMO))
    try:
        import demo
        import traffic
        import view

        yield SimpleNamespace(demo=demo, view=view, traffic=traffic)
    finally:
        sys.path.remove(str(DEMO))
        for name in ("demo", "traffic", "view"):
            sys.modules.pop(name, None)


class Screen:
    """A terminal of a size, and what is written to it."""

    def __init__(self, columns: int, lines: int, encoding: str = "utf-8") -> None:
        try:
            self._master, slave = pty.openpty()
        except OSError as error:  # in a chroot without /dev/pts
            pytest.skip(f"no terminal can be made here: {error}")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.out = TerminalText(slave, encoding)

    def close(self) -> None:
        self.out.close()
        os.close(self._master)


class TerminalText(io.StringIO):
    """Keeps what is written, beside the terminal that it asks for the size."""

    def __init__(self, terminal: int, encoding: str) -> None:
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def fileno(self) -> int:
        return self._terminal

    def isatty(self) -> bool:
        return os.isatty(self._terminal)

    def close(self) -> None:
        if not self.closed:
            os.close(self._terminal)
        super().close()


@pytest.fixture
def screens() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def measured(demo: Any) -> List[Any]:
    both = [demo.view.Series("Rack on puma"), demo.view.Series("Flask on gunicorn")]
    for one in both:
        for second in range(30):
            for queue_time in (1, 2, 3, 900 if second == 12 else 4):
                one.add(second, queue_time)
    return both


def shown(demo: Any, screen: Screen) -> str:
    """All that the plots write, from the first frame to what they leave behind."""
    phases = [demo.traffic.Phase(name, 10, 1, 1) for name in ("calm", "too much", "calm")]
    view = demo.view.Plots(screen.out, measured(demo), phases, SECONDS)
    with view:
        view.show(12, STATUS)
    view.close()
    return screen.out.getvalue()


def lines_of(text: str) -> List[str]:
    return re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", text).split("\n")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("columns", [40, 100])
def test_the_plots_fit_the_terminal(
    demo: Any, screens: ExitStack, columns: int, encoding: str
) -> None:
    screen = screens.enter_context(closing(Screen(columns, 18, encoding)))
    lines = lines_of(shown(demo, screen))
    assert max(len(line) for line in lines) <= columns
    for title in ("Rack on puma ", "Flask on gunicorn "):
        assert sum(line.startswith(title) for line in lines) == 2  # live, and left behind
    assert sum("p50" in line and "p95 of each second" in line for line in lines) == 2
    assert STATUS in lines
    assert all("\n".join(lines).count(phase) >= 2 for phase in ("calm", "too much"))
    "\n".join(lines).encode(encoding)


def test_a_wide_terminal_shows_the_newest_quantiles(demo: Any, screens: ExitStack) -> None:
    screen = screens.enter_context(closing(Screen(100, 30)))
    titles = [line for line in lines_of(shown(demo, screen)) if " on " in line]
    assert len(titles) == 4
    assert all(re.search(r"p50 +2 ms  p95 +4 ms$", title) for title in titles)


def test_a_live_frame_is_no_higher_than_the_terminal(demo: Any, screens: ExitStack) -> None:
    screen = screens.enter_context(closing(Screen(40, 18)))
    live = shown(demo, screen).partition("\x1b[?1049l")[0]
    assert live.count("\n") <= 18 - 1


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_is_heeded(
    demo: Any, screens: ExitStack, monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    screen = screens.enter_context(closing(Screen(100, 30)))
    assert ("\x1b[36m" in shown(demo, screen)) == (not no_color)


@pytest.mark.parametrize(
    "columns, lines, term, suit",
    [
        (40, 18, "xterm", True),
        (39, 18, "xterm", False),
        (40, 17, "xterm", False),
        (100, 30, "dumb", False),
    ],
)
def test_what_terminal_suits_plots(
    demo: Any,
    screens: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    lines: int,
    term: str,
    suit: bool,
) -> None:
    monkeypatch.setenv("TERM", term)
    screen = screens.enter_context(closing(Screen(columns, lines)))
    assert demo.view.Plots.suit(screen.out) == suit


# ---- The end ---------------------------------------------------------------------------------


def app_of(demo: Any, sent: int, failed: int = 0) -> Any:
    app = demo.demo.App("Rack on puma", "ruby", SimpleNamespace(log="what the server printed"), 0)
    app.series = measured(demo)[0]  # of 120 rows
    failure = "status 502" if failed else None
    app.traffic = SimpleNamespace(sent=sent, failed=failed, first_failure=failure)
    return app


@pytest.mark.parametrize(
    "sent, failed, fault",
    [
        (120, 0, None),
        (121, 0, "121 requests were sent, but 120 rows received"),
        (119, 0, "119 requests were sent, but 120 rows received"),
        (120, 1, "1 of 120 requests failed: status 502"),
    ],
)
def test_numbers_that_differ_are_a_fault(
    demo: Any, sent: int, failed: int, fault: Optional[str]
) -> None:
    assert app_of(demo, sent, failed).fault() == fault


def test_the_summary_has_the_numbers_and_the_peak(demo: Any) -> None:
    lines = demo.demo.summary([app_of(demo, 121), app_of(demo, 120)]).split("\n")
    assert [line.split() for line in lines] == [
        ["Rack", "Rack"],
        ["requests", "sent", "121", "120"],
        ["rows", "received", "120", "120"],
        ["peak", "p95", "900", "ms", "900", "ms"],
    ]


@pytest.mark.parametrize("sent, status", [(120, 0), (121, 1)])
def test_the_exit_status_says_whether_the_numbers_are_equal(
    demo: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sent: int,
    status: int,
) -> None:
    app = app_of(demo, sent)
    over = iter([False, True])
    app.traffic.start, app.traffic.over = (lambda: None), (lambda: next(over))
    app.stop = lambda: None
    receiver = SimpleNamespace(url="", rows=lambda start: [])
    monkeypatch.setattr(demo.demo, "ReceiverProcess", lambda: nullcontext(receiver))
    monkeypatch.setattr(demo.demo, "start", lambda *_: [app])
    assert demo.demo.run(30, SimpleNamespace(held=nullcontext)) == status
    printed = capsys.readouterr()
    assert ("reported exactly once" in printed.out) == (status == 0)
    assert ("what the server printed" in printed.err) == (status == 1)
