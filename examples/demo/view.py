"""Shows queue times second by second: as plots redrawn in place, or as plain lines."""

from __future__ import annotations

import math
import os
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, TextIO

from traffic import Phase, phase_at

LEAST_COLUMNS, LEAST_LINES = 40, 18  # of a terminal for plots
MARGIN = 8  # columns left of a plot, for its scale
SCALE_TOPS_MS = (20, 50, 100, 200, 500, *(1000 * s for s in (1, 2, 3, 4, 6, 8, 10, 20, 40)))
PLAIN_LAG_S = 3  # the agents report each second: by then a second is complete


class Quantiles(NamedTuple):
    p50: int
    p95: int

    def __str__(self) -> str:
        return f"p50 {duration(self.p50):>6}  p95 {duration(self.p95):>6}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class Series:
    """Queue times of one app, by the second of the demo in which the app got the request."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self._by_second: Dict[int, List[int]] = {}

    def add(self, second: int, queue_time_ms: int) -> None:
        self.rows += 1
        self._by_second.setdefault(second, []).append(queue_time_ms)

    def over(self, seconds: Iterable[int]) -> Optional[Quantiles]:
        """Nearest-rank p50 and p95 of all requests of these seconds; None without any."""
        values = sorted(ms for second in seconds for ms in self._by_second.get(second, ()))
        if not values:
            return None
        return Quantiles(*(values[math.ceil(len(values) * q) - 1] for q in (0.50, 0.95)))

    @property
    def short_name(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def newest_second(self) -> int:
        """The last one with a request; -1 without any."""
        return max(self._by_second, default=-1)

    def peak_p95(self) -> Optional[int]:
        """The highest p95 of a second."""
        return max((max(found) for s in self._by_second if (found := self.over([s]))), default=None)


def duration(ms: Optional[float]) -> str:
    if ms is None:
        return "-"
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


# ---- Plots -----------------------------------------------------------------------------------


class Style(NamedTuple):
    """What a plot is drawn with. `levels`: a cell filled by p50, from not at all to whole."""

    levels: str
    shade: str  # from p50 up to p95
    side: str
    corner: str
    axis: str
    tick: str


UNICODE = Style(" ▁▂▃▄▅▆▇█", "░", "│", "└", "─", "┴")
ASCII = Style(" _#", ":", "|", "+", "-", "+")


class Grid(NamedTuple):
    """How seconds fall on columns: `wide` columns a second, or `step` seconds a column."""

    seconds: int
    wide: int
    step: int

    @classmethod
    def fit(cls, seconds: int, columns: int) -> Grid:
        return cls(seconds, max(1, columns // seconds), math.ceil(seconds / columns))

    def column(self, second: float) -> int:
        return round(second * self.wide / self.step)


def plot(series: Series, grid: Grid, lines: int, top_ms: int, style: Style) -> List[str]:
    """An area for p50 and a shade up to p95, `lines` high, above a time axis of two lines."""
    steps = len(style.levels) - 1

    def cell(bar: Optional[Quantiles], row: int) -> str:
        if bar is None:
            return " "
        p50, p95 = (ms / top_ms * lines - row for ms in bar)  # in cells, above this row's foot
        # What was measured shows, were it 0 ms.
        level = min(steps, max(round(p50 * steps), 1 if row == 0 else 0))
        if level > 0:
            return style.levels[level]
        return style.shade if p95 >= 0.5 else " "

    starts = range(0, grid.seconds, grid.step)
    bars = [series.over(range(start, start + grid.step)) for start in starts]
    scale = {lines - 1: scale_text(top_ms), lines / 2 - 1: scale_text(top_ms / 2)}
    drawn = []
    for row in reversed(range(lines)):
        cells = "".join(cell(bar, row) * grid.wide for bar in bars)
        drawn.append(f"{scale.get(row, ''):>{MARGIN - 2}} {style.side}{cells}")

    axis, labels = style.axis * grid.column(grid.seconds), ""
    for second in range(0, grid.seconds, 10):
        column = grid.column(second)
        axis = axis[:column] + style.tick + axis[column + 1 :]
        labels = labels.ljust(column) + f"{second}"
    drawn.append(f"{'0':>{MARGIN - 2}} {style.corner}{axis}")
    drawn.append(f"{'s':>{MARGIN - 2}}  {labels}")
    return drawn


def scale_text(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"


def frame(
    series: Sequence[Series],
    phases: Sequence[Phase],
    seconds: int,
    head: Sequence[str],
    size: os.terminal_size,
    style: Style,
) -> List[str]:
    """Everything that fits a terminal of this size, one plot above the other to one scale."""
    grid = Grid.fit(seconds, size.columns - MARGIN)
    width = MARGIN + grid.column(seconds)
    fixed = len(head) + 3 * len(series) + len(series) - 1 + 2
    lines = min(12, (size.lines - 1 - fixed) // len(series))
    lines -= lines % 2 if lines > 3 else 0  # so that a line has half the scale
    highest = max((one.peak_p95() or 0 for one in series), default=0)
    top_ms = next((top for top in SCALE_TOPS_MS if top >= highest), highest)

    drawn = [*head]
    for number, one in enumerate(series):
        newest = one.over([one.newest_second])
        title = str(newest or "").rjust(width - len(one.name))
        drawn += [""] * (number > 0) + [one.name + title]
        drawn += plot(one, grid, max(1, lines), top_ms, style)
    bands, begin = "", 0.0
    for phase in phases:
        end = begin + phase.seconds
        room = grid.column(end) - grid.column(begin) - 1
        bands += f"{phase.name:^{room}.{room}}" + style.side
        begin = end
    drawn.append(" " * MARGIN + bands)
    drawn.append(f"{style.levels[-1]} p50  {style.shade} p95 of each second's requests")
    return [line[: size.columns] for line in drawn]


class View:
    """What both ways of showing have in common. Usable from `with` on; `close` is called after."""

    def __init__(
        self, out: TextIO, series: Sequence[Series], phases: Sequence[Phase], seconds: int
    ) -> None:
        self._out, self._series, self._phases, self._seconds = out, series, phases, seconds

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, now: float, status: str) -> None:
        """Shows what is there `now`, in seconds from the start."""

    def close(self) -> None:
        """Leaves the whole picture behind."""


class Plots(View):
    """Plots over the whole terminal, on its second screen: what was there before comes back."""

    CYAN, YELLOW, BOLD, PLAIN = "\x1b[36m", "\x1b[33m", "\x1b[1m", "\x1b[0m"

    def __init__(
        self, out: TextIO, series: Sequence[Series], phases: Sequence[Phase], seconds: int
    ) -> None:
        super().__init__(out, series, phases, seconds)
        self._style = UNICODE if "utf" in (out.encoding or "").lower() else ASCII
        self._color = not os.environ.get("NO_COLOR")

    @staticmethod
    def suit(out: TextIO) -> bool:
        """Whether `out` is a terminal that can show them."""
        if not out.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            return False
        size = os.get_terminal_size(out.fileno())
        return size.columns >= LEAST_COLUMNS and size.lines >= LEAST_LINES

    def __enter__(self) -> Plots:
        self._out.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        return self

    def __exit__(self, *_: object) -> None:
        self._out.write("\x1b[?25h\x1b[?1049l")
        self._out.flush()

    def show(self, now: float, status: str) -> None:
        size = os.get_terminal_size(self._out.fileno())
        drawn = self._drawn(size, ["Queue time, as both agents report it", status])
        self._out.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in drawn) + "\x1b[J")
        self._out.flush()

    def close(self) -> None:
        size = os.get_terminal_size(self._out.fileno())
        drawn = self._drawn(size, ["Queue time, as both agents reported it", ""])
        print(*drawn, sep="\n", file=self._out)

    def _drawn(self, size: os.terminal_size, head: List[str]) -> List[str]:
        drawn = frame(self._series, self._phases, self._seconds, head, size, self._style)
        if not self._color:
            return drawn
        area, shade = re.escape(self._style.levels[1:]), re.escape(self._style.shade)
        plots = "\n".join(drawn[len(head) :])
        plots = re.sub(f"[{area}]+", rf"{self.CYAN}\g<0>{self.PLAIN}", plots)
        plots = re.sub(f"{shade}+", rf"{self.YELLOW}\g<0>{self.PLAIN}", plots)
        return [self.BOLD + head[0] + self.PLAIN, *head[1:], *plots.split("\n")]


# ---- Plain lines -----------------------------------------------------------------------------


class PlainLines(View):
    """A line for each second, once it is complete."""

    _next = 0

    def __enter__(self) -> PlainLines:
        self._print("Queue time of each second's requests, as both agents report it")
        return self

    def show(self, now: float, status: str) -> None:
        self._print_until(math.floor(now) - PLAIN_LAG_S)

    def close(self) -> None:
        self._print_until(1 + max((one.newest_second for one in self._series), default=0))

    def _print_until(self, end: int) -> None:
        for second in range(self._next, end):
            phase = phase_at(self._phases, second).name
            found = [f"{one.short_name} {one.over([second]) or '-':<24}" for one in self._series]
            self._print(f"{second:2} s  {phase:8}  {'  '.join(found)}".rstrip())
            self._next = second + 1

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)
