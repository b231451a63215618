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
from contextlib import ExitStack, closing
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
        for name in ("demo", "scaling", "traffic", "view"):
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
    both = [demo.view.Track("Rack on puma"), demo.view.Track("Flask on gunicorn")]
    for one in both:
        one.sentence = "up 2 → 4: p95 was 900 ms over the last 0:10, above 100 ms"
        for second in range(30):
            p95 = 900 if second == 12 else 4
            one.add(second, demo.view.Moment(p95, 2 if second < 14 else 4, 3 * p95, 2))
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
    screen = screens.enter_context(closing(Screen(columns, 20, encoding)))
    lines = lines_of(shown(demo, screen))
    assert max(len(line) for line in lines) <= columns
    for title in ("Rack on puma ", "Flask on gunicorn "):
        assert sum(line.startswith(title) for line in lines) == 2  # live, and left behind
    assert sum("p95 of the twin with scaling off"[: columns - 10] in line for line in lines) == 2
    assert sum(line.startswith("workers 2") for line in lines) == 4
    assert sum(line.startswith("  up 2") for line in lines) == 4
    assert STATUS in lines
    assert all("\n".join(lines).count(phase) >= 2 for phase in ("calm", "too much"))
    "\n".join(lines).encode(encoding)


def test_a_wide_terminal_shows_where_both_stand_now(demo: Any, screens: ExitStack) -> None:
    screen = screens.enter_context(closing(Screen(100, 30)))
    titles = [line for line in lines_of(shown(demo, screen)) if " on " in line]
    assert len(titles) == 4
    assert all(re.search(r"p95 +4 ms  4 workers   off: p95 +12 ms  2 workers$", title) for title in titles)


def test_a_live_frame_is_no_higher_than_the_terminal(demo: Any, screens: ExitStack) -> None:
    screen = screens.enter_context(closing(Screen(40, 20)))
    live = shown(demo, screen).partition("\x1b[?1049l")[0]
    assert live.count("\n") <= 20 - 1


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
        (40, 20, "xterm", True),
        (39, 20, "xterm", False),
        (40, 19, "xterm", False),
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


def pair_of(demo: Any, sent: int, failed: int = 0, slow: int = 20) -> Any:
    """An app and its twin with 40 slow seconds and a p95 of 2.5 s; of each, 120 rows were counted."""

    def app(name: str, slow_seconds: int, worst_p95_ms: int) -> Any:
        made = demo.demo.App(name, Path(), SimpleNamespace(log="what the server printed"), 0)
        made.rows, made.slow_seconds, made.worker_seconds = 120, slow_seconds, 180.4
        made.worst_p95_ms = worst_p95_ms
        failure = "status 502" if failed else None
        made.traffic = SimpleNamespace(sent=sent, failed=failed, first_failure=failure)
        return made

    return demo.demo.Pair("Rack on puma", app("rack", slow, 150), app("rack-off", 40, 2500))


@pytest.mark.parametrize(
    "sent, failed, slow, fault",
    [
        (120, 0, 20, None),
        (121, 0, 20, "rack: 121 requests were sent, but 120 rows counted"),
        (119, 0, 20, "rack: 119 requests were sent, but 120 rows counted"),
        (120, 1, 20, "rack: 1 of 120 requests failed: status 502"),
        (120, 0, 40, "Rack on puma: 40 slow seconds with scaling, 40 without"),
    ],
)
def test_numbers_that_differ_and_scaling_that_did_not_help_are_faults(
    demo: Any, sent: int, failed: int, slow: int, fault: Optional[str]
) -> None:
    assert pair_of(demo, sent, failed, slow).fault() == fault


def test_the_summary_has_the_numbers_of_all(demo: Any) -> None:
    lines = demo.demo.summary([pair_of(demo, 120)]).split("\n")
    assert [line.split() for line in lines] == [
        ["rack", "rack-off"],
        ["requests", "sent", "120", "120"],
        ["rows", "counted", "120", "120"],
        ["slow", "seconds", "20", "40"],
        ["worst", "p95", "150", "ms", "2.5", "s"],
        ["worker-seconds", "180", "180"],
    ]
