"""The cases of tests/vectors, which all suites read."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple, Optional

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


class QueueTimeCase(NamedTuple):
    name: str
    request_start: Optional[str]
    queue_start: Optional[str]
    body_wait: Optional[str]
    expected: str
    where: str


class AnswerCase(NamedTuple):
    name: str
    body: bytes
    expected: str
    asked: str


def _lines(file: str) -> list[list[str]]:
    text = (VECTORS / file).read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    return [line.split("\t") for line in lines]


def _unescaped(text: str) -> str:
    """Each character is a byte of the request, as in WSGI."""

    def character(escape: re.Match[str]) -> str:
        found = escape.group(1)
        return chr(int(found[1:], 16)) if found[0] == "x" else ESCAPES[found]

    return re.sub(r"\\(x[0-9A-Fa-f]{2}|.)", character, text)


def _value(column: str) -> Optional[str]:
    return None if column == "-" else _unescaped(column)


def queue_time_cases() -> list[QueueTimeCase]:
    return [
        QueueTimeCase(name, _value(start), _value(queue_start), _value(wait), expected, where)
        for name, start, queue_start, wait, expected, where in _lines("queue_time.tsv")
    ]


def answer_cases() -> list[AnswerCase]:
    return [
        AnswerCase(name, _unescaped(body).encode("latin-1"), expected, asked)
        for name, body, expected, asked in _lines("answers.tsv")
    ]


def at_this_moment(text: Optional[str]) -> Optional[str]:
    """The text with {UNIT:N} replaced by the moment N ms from now."""
    if text is None:
        return None
    now_ns = time.time_ns()

    def moment(placeholder: re.Match[str]) -> str:
        unit, offset = placeholder.groups()
        ns = now_ns + round(float(offset) * 1_000_000)
        if unit == "s":
            return f"{ns // 1_000_000_000}.{ns // 1_000_000 % 1000:03}"
        return str(ns // {"whole_s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit])

    return re.sub(r"\{(\w+):(-?[\d.]+)\}", moment, text)
