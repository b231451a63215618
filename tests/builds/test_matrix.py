"""The documents have tables that `make matrix` printed, in which nothing failed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "matrix"))

import matrix  # noqa: E402


def test_the_documents_rows_are_as_they_are_printed_and_none_failed() -> None:
    lines = (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8").splitlines()
    tables = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    rows = [cells for cells in tables if len(cells) == len(matrix.HEAD)]
    assert matrix.HEAD in rows
    told = [cells for cells in rows if cells != matrix.HEAD and cells[0].strip("-")]
    assert told and all(cells[3] == "0" and cells[5] for cells in told)
