"""Figures: medians and spreads of rounds, ratios of what was measured in the same round, and how
they are printed and stored."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, TextIO

Rounds = List[float]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The middle half of the rounds lies between them."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def each(operation: Callable[..., float], *series: Rounds) -> Rounds:
    """The operation on the first rounds of all series, on the second rounds, and so on."""
    return [operation(*values) for values in zip(*series)]


def difference(values: Rounds, of: Rounds) -> Rounds:
    return each(lambda value, other: value - other, values, of)


def ratio(values: Rounds, to: Rounds) -> Rounds:
    return each(lambda value, other: value / other if other else float("inf"), values, to)


@dataclass
class Row:
    """A figure. `ratio` is to what `to` names, round by round; a bar is met or missed."""

    label: str
    unit: str
    values: Rounds
    ratio: Optional[Rounds] = None
    to: str = ""
    bar: str = ""
    met: Optional[bool] = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "MISSED"}[self.met]

    def as_json(self) -> Dict[str, Any]:
        row: Dict[str, Any] = {"label": self.label, "unit": self.unit, **spread(self.values)}
        if self.ratio:
            row["ratio"] = {"to": self.to, **spread(self.ratio)}
        if self.bar:
            row.update(bar=self.bar, met=self.met)
        return row


def spread(values: Rounds) -> Dict[str, Any]:
    low, high = quartiles(values)
    median = statistics.median(values)
    figures = {"median": median, "quartiles": [low, high], "rounds": values}
    return json.loads(json.dumps(figures), parse_float=lambda text: float(f"{float(text):.5g}"))


@dataclass
class Table:
    name: str
    title: str
    rows: List[Row] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)

    def add(self, label: str, unit: str, values: Rounds, **more: Any) -> Row:
        row = Row(label, unit, values, **more)
        self.rows.append(row)
        return row

    def as_json(self) -> Dict[str, Any]:
        rows = [row.as_json() for row in self.rows]
        return {"name": self.name, "title": self.title, "rows": rows, "notes": self.notes}

    def print(self, file: TextIO) -> None:
        lines = [["", "median", "quartiles", "ratio", "quartiles", "bar", ""]]
        for row in self.rows:
            ratios = [figure(statistics.median(row.ratio)), between(row.ratio)] if row.ratio else []
            of = f" of {row.to}" if row.to else ""
            lines.append(
                [
                    row.label,
                    f"{figure(row.median)} {row.unit}",
                    between(row.values),
                    ratios[0] if ratios else "",
                    ratios[1] + of if ratios else "",
                    row.bar,
                    row.verdict,
                ]
            )
        columns = [column for column in range(7) if any(line[column] for line in lines[1:])]
        widths = {column: max(len(line[column]) for line in lines) for column in columns}
        print(f"\n{self.title}", file=file)
        for line in lines if self.rows else []:
            cells = [
                line[column].rjust(widths[column])
                if column in (1, 3)
                else line[column].ljust(widths[column])
                for column in columns
            ]
            print(("  " + "  ".join(cells)).rstrip(), file=file)
        for note in self.notes:
            print(f"  - {note}", file=file)
        file.flush()


def print_bars(tables: Sequence[Table]) -> None:
    """How many bars were met, and which were missed."""
    judged = [(table, row) for table in tables for row in table.rows if row.met is not None]
    missed = [(table, row) for table, row in judged if not row.met]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} bars met")
    for table, row in missed:
        print(f"  missed: {table.name}: {row.label}, bar {row.bar}")


def figure(value: float) -> str:
    if value == 0 or abs(value) >= 1e15:
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def between(values: Rounds) -> str:
    low, high = quartiles(values)
    return f"{figure(low)}..{figure(high)}"


def store(path: Path, document: Dict[str, Any]) -> None:
    """As JSON, each row on a line of its own."""
    head = [f"{json.dumps(key)}: {json.dumps(document[key])}" for key in document if key != "topics"]
    tables: List[str] = []
    for table in document["topics"]:
        rows = ",\n".join(json.dumps(row) for row in table["rows"])
        rest = json.dumps({key: table[key] for key in table if key != "rows"})
        tables.append(f'{rest[:-1]}, "rows": [\n{rows}\n]}}')
    topics = ",\n".join(tables)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{" + ",\n".join([*head, f'"topics": [\n{topics}\n]']) + "}\n", encoding="utf-8")
