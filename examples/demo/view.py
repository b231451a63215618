"""Shows what the service knows, second by second: as plots redrawn in place, or as plain lines."""

from __future__ import annotations

import math
import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, TextIO

from traffic import Phase, phase_at

LEAST_COLUMNS, LEAST_LINES = 40, 20  # of a terminal for plots
MARGIN = 8  # columns left of a plot, for its scale
SCALE_TOPS_MS = (100, 200, 500, *(1000 * s for s in (1, 2, 3, 4, 6, 8, 10, 20, 40, 60)))
PLAIN_EVERY_S = 5


class Moment(NamedTuple):
    """What the service knew of an app and of its twin, whose scaling is off, at one second."""

    p95_ms: Optional[int]  # None: no request in the rule's window
    workers: Optional[int]
    twin_p95_ms: Optional[int] = None
    twin_workers: Optional[int] = None

    def __str__(self) -> str:
        text = f"p95 {duration(self.p95_ms):>6}  {workers(self.workers)}"
        return f"{text}   off: p95 {duration(self.twin_p95_ms):>6}  {workers(self.twin_workers)}"


class Track:
    """An app through the seconds of the demo, and the sentence of its last decision."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sentence = ""
        self._by_second: Dict[int, Moment] = {}

    def add(self, second: int, moment: Moment) -> None:
        self._by_second[second] = moment

    def last(self, start: int, end: int) -> Optional[Moment]:
        """The newest moment of the seconds [start, end)."""
        for second in range(end - 1, start - 1, -1):
            if second in self._by_second:
                return self._by_second[second]
        return None

    @property
    def newest(self) -> Optional[Moment]:
        second = max(self._by_second, default=None)
        return None if second is None else self._by_second[second]

    @property
    def short_name(self) -> str:
        return self.name.partition(" ")[0]

    def highest_ms(self) -> int:
        found = [m for m in self._by_second.values()]
        return max((ms or 0 for m in found for ms in (m.p95_ms, m.twin_p95_ms)), default=0)


def duration(ms: Optional[float]) -> str:
    if ms is None:
        return "-"
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def workers(number: Optional[int]) -> str:
    return "- workers" if number is None else f"{number} worker{'s' * (number != 1)}"


# ---- Plots -----------------------------------------------------------------------------------


class Style(NamedTuple):
    """What a plot is drawn with. `levels`: a cell filled by the app's p95, from not at all to
    whole."""

    levels: str
    shade: str  # from there up to the twin's p95
    side: str
    corner: str
    axis: str
    tick: str
    encoding: str

    def text(self, text: str) -> str:
        plain = text.replace("→", "->") if self.encoding == "ascii" else text
        return plain.encode(self.encoding, "replace").decode(self.encoding)


UNICODE = Style(" ▁▂▃▄▅▆▇█", "░", "│", "└", "─", "┴", "utf-8")
ASCII = Style(" _#", ":", "|", "+", "-", "+", "ascii")


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


def plot(track: Track, grid: Grid, lines: int, top_ms: int, style: Style) -> List[str]:
    """An area for the app's p95, a shade up to its twin's, `lines` high; below it the workers and a
    time axis, of three lines."""
    steps = len(style.levels) - 1
    starts = range(0, grid.seconds, grid.step)
    moments = [track.last(start, start + grid.step) for start in starts]

    def height(ms: Optional[int], row: int) -> Optional[float]:
        return None if ms is None else ms / top_ms * lines - row  # in cells, above the row's foot

    def cell(moment: Optional[Moment], row: int) -> str:
        if moment is None:
            return " "
        own, twin = height(moment.p95_ms, row), height(moment.twin_p95_ms, row)
        # What was measured shows, were it 0 ms.
        least = 1 if row == 0 else 0
        level = 0 if own is None else min(steps, max(round(own * steps), least))
        if level > 0:
            return style.levels[level]
        return style.shade if twin is not None and twin >= 0.5 else " "

    scale = {lines - 1: scale_text(top_ms), lines / 2 - 1: scale_text(top_ms / 2)}
    drawn = []
    for row in reversed(range(lines)):
        cells = "".join(cell(moment, row) * grid.wide for moment in moments)
        drawn.append(f"{scale.get(row, ''):>{MARGIN - 2}} {style.side}{cells}")

    axis, labels = style.axis * grid.column(grid.seconds), ""
    for second in range(0, grid.seconds, 10):
        column = grid.column(second)
        axis = axis[:column] + style.tick + axis[column + 1 :]
        labels = labels.ljust(column) + f"{second}"
    counts = [" " if m is None or m.workers is None else f"{m.workers % 10}" for m in moments]
    drawn.append(f"{'0':>{MARGIN - 2}} {style.corner}{axis}")
    drawn.append(f"{'workers':>{MARGIN - 1}} {''.join(count * grid.wide for count in counts)}")
    drawn.append(f"{'s':>{MARGIN - 2}}  {labels}")
    return drawn


def scale_text(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"


def frame(
    tracks: Sequence[Track],
    phases: Sequence[Phase],
    seconds: int,
    head: Sequence[str],
    size: os.terminal_size,
    style: Style,
) -> List[str]:
    """Everything that fits a terminal of this size, one plot above the other to one scale."""
    grid = Grid.fit(seconds, size.columns - MARGIN)
    width = MARGIN + grid.column(seconds)
    fixed = len(head) + 5 * len(tracks) + len(tracks) - 1 + 2
    lines = min(10, (size.lines - 1 - fixed) // len(tracks))
    lines -= lines % 2 if lines > 3 else 0  # so that a line has half the scale
    highest = max((track.highest_ms() for track in tracks), default=0)
    top_ms = next((top for top in SCALE_TOPS_MS if top >= highest), highest)

    drawn = [*head]
    for number, track in enumerate(tracks):
        title = f" {track.newest or ''}".rjust(width - len(track.name))
        drawn += [""] * (number > 0) + [track.name + title]
        drawn += plot(track, grid, max(1, lines), top_ms, style)
        drawn.append(style.text(f"  {track.sentence}"))
    bands, begin = "", 0.0
    for phase in phases:
        end = begin + phase.seconds
        room = grid.column(end) - grid.column(begin) - 1
        bands += f"{phase.name:^{room}.{room}}" + style.side
        begin = end
    drawn.append(" " * MARGIN + bands)
    drawn.append(f"{style.levels[-1]} p95  {style.shade} p95 of the twin with scaling off")
    return [line[: size.columns] for line in drawn]


class View:
    """What both ways of showing have in common. Usable from `with` on; `close` is called after."""

    def __init__(
        self, out: TextIO, tracks: Sequence[Track], phases: Sequence[Phase], seconds: int
    ) -> None:
        self._out, self._tracks, self._phases, self._seconds = out, tracks, phases, seconds

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
        self, out: TextIO, tracks: Sequence[Track], phases: Sequence[Phase], seconds: int
    ) -> None:
        super().__init__(out, tracks, phases, seconds)
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
        drawn = self._drawn(size, ["Queue time and workers, as the service knows them", status])
        self._out.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in drawn) + "\x1b[J")
        self._out.flush()

    def close(self) -> None:
        size = os.get_terminal_size(self._out.fileno())
        drawn = self._drawn(size, ["Queue time and workers, as the service knew them", ""])
        print(*drawn, sep="\n", file=self._out)

    def _drawn(self, size: os.terminal_size, head: List[str]) -> List[str]:
        drawn = frame(self._tracks, self._phases, self._seconds, head, size, self._style)
        if not self._color:
            return drawn
        area, shade = re.escape(self._style.levels[1:]), re.escape(self._style.shade)
        plots = "\n".join(drawn[len(head) :])
        plots = re.sub(f"[{area}]+", rf"{self.CYAN}\g<0>{self.PLAIN}", plots)
        plots = re.sub(f"{shade}+", rf"{self.YELLOW}\g<0>{self.PLAIN}", plots)
        return [self.BOLD + drawn[0] + self.PLAIN, *drawn[1 : len(head)], *plots.split("\n")]


# ---- Plain lines -----------------------------------------------------------------------------


class PlainLines(View):
    """Some lines each five seconds: where each app and its twin stand, and each new sentence."""

    def __init__(
        self, out: TextIO, tracks: Sequence[Track], phases: Sequence[Phase], seconds: int
    ) -> None:
        super().__init__(out, tracks, phases, seconds)
        self._next = 0
        self._said: Dict[str, str] = {}

    def __enter__(self) -> PlainLines:
        self._print("Queue time and workers, as the service knows them; off: the twin with scaling off")
        return self

    def show(self, now: float, status: str) -> None:
        if now < self._next:
            return
        phase = phase_at(self._phases, now).name
        for track in self._tracks:
            self._print(f"{now:3.0f} s  {phase:15}  {track.short_name:6} {track.newest or '-'}")
            if track.sentence and self._said.get(track.name) != track.sentence:
                self._said[track.name] = track.sentence
                self._print(f"{'':24}{track.sentence}")
        self._next = (math.floor(now) // PLAIN_EVERY_S + 1) * PLAIN_EVERY_S

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)
