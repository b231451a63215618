"""Plots as SVG, drawn by gnuplot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

Point = Tuple[float, float, float, float]  # x, median, and its spread's ends

HEAD = """\
set terminal svg size 760,420 font "sans-serif,13" background "white"
set output {output}
set title {title}
set border 3
set tics nomirror
set grid ytics linecolor "#dddddd"
"""


def _draw(script: str, path: Path) -> None:
    gnuplot = shutil.which("gnuplot")
    if gnuplot is None:
        print(f"  - gnuplot is not installed: {path.name} is not drawn")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([gnuplot], input=script, text=True, check=True)


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def lines(path: Path, title: str, x: str, y: str, series: Mapping[str, Sequence[Point]]) -> None:
    """A line with error bars for each series, over a doubling x."""
    script = HEAD.format(output=_quoted(path), title=_quoted(title))
    script += f"set xlabel {_quoted(x)}\nset ylabel {_quoted(y)}\nset logscale x 2\n"
    script += "set yrange [0:*]\nset key outside below\nset xtics (1,2,3,4,8,16,32,64)\n"
    plots: List[str] = []
    for number, (name, points) in enumerate(series.items()):
        rows = "\n".join(" ".join(f"{value:.6g}" for value in point) for point in points)
        script += f"$s{number} << END\n{rows}\nEND\n"
        style = f"lc {number + 1} pt 7 ps 0.5"
        plots.append(f"$s{number} using 1:2:3:4 with yerrorbars {style} notitle")
        line = f"lc {number + 1} lw 1.5 title {_quoted(name)}"
        plots.append(f"$s{number} using 1:2 with lines {line}")
    _draw(script + "plot " + ", ".join(plots) + "\n", path)


def over_time(path: Path, title: str, x: str, y: str,
              series: Mapping[str, Sequence[Tuple[float, float]]], other: str,
              behind: Sequence[Tuple[float, float]]) -> None:
    """Each series over time, as steps; behind them a line that is read on the scale at the right."""
    script = HEAD.format(output=_quoted(path), title=_quoted(title))
    script += f"set xlabel {_quoted(x)}\nset ylabel {_quoted(y)}\nset y2label {_quoted(other)}\n"
    script += "set yrange [0:*]\nset y2range [0:*]\nset y2tics\nset key outside below\n"
    rows = "\n".join(f"{at:.6g} {value:.6g}" for at, value in behind)
    script += f"$behind << END\n{rows}\nEND\n"
    plots = [f"$behind using 1:2 axes x1y2 with lines lc rgb '#bbbbbb' lw 2 title {_quoted(other)}"]
    for number, (name, points) in enumerate(series.items()):
        rows = "\n".join(f"{at:.6g} {value:.6g}" for at, value in points)
        script += f"$s{number} << END\n{rows}\nEND\n"
        line = f"lc {number + 1} lw 1.5 title {_quoted(name)}"
        plots.append(f"$s{number} using 1:2 with steps {line}")
    _draw(script + "plot " + ", ".join(plots) + "\n", path)


def bars(path: Path, title: str, values: Dict[str, float], unit: str = "ns") -> None:
    """A bar each, on a logarithmic scale."""
    script = HEAD.format(output=_quoted(path), title=_quoted(title))
    rows = "\n".join(f'"{name}" {value:.6g}' for name, value in values.items())
    script += f"$values << END\n{rows}\nEND\n"
    script += f"set ylabel {_quoted(f'{unit}, logarithmic')}\nset logscale y\n"
    script += "set yrange [10:*]\nset boxwidth 0.6\nset style fill solid 0.8\nset xtics out\n"
    script += "plot $values using 0:2:xtic(1) with boxes lc 1 notitle, "
    script += "'' using 0:2:(sprintf('%.0f', $2)) with labels offset 0,0.7 notitle\n"
    _draw(script, path)


def frontier(families: Mapping[str, Sequence[Tuple[float, float]]], title: str,
             path: Path) -> None:
    """A line for each family of methods, through its two costs at each setting. Lower left is better."""
    script = HEAD.format(output=_quoted(path), title=_quoted(title))
    script += "set xlabel 'dyno-hours'\nset ylabel 'slow minutes, logarithmic'\nset logscale y\n"
    script += "set key outside right\nset rmargin 26\n"
    plots: List[str] = []
    for number, (name, points) in enumerate(families.items()):
        rows = "\n".join(f"{x:.6g} {max(y, .5):.6g}" for x, y in points)
        script += f"$s{number} << END\n{rows}\nEND\n"
        width = 3 if number == 0 else 1
        plots.append(f"$s{number} using 1:2 with linespoints lc {number + 1} lw {width} "
                     f"pt {number % 12 + 1} ps 0.6 title {_quoted(name)}")
    _draw(script + "plot " + ", ".join(plots) + "\n", path)
