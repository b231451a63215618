"""Header values of every kind, and a second implementation of how they are read: slow, exact, and
independent of the core's."""

from __future__ import annotations

import math
import random
import re
from fractions import Fraction
from typing import Iterator, List, NamedTuple, Optional, Tuple, Union

SECOND = 10**9  # ns
YEAR_2000 = 946_684_800 * SECOND
OLDEST, AHEAD = 600 * SECOND, 1 * SECOND
REASONS = ["missing", "malformed", "stale", "future"]  # a later one wins

Outcome = Union[int, str]  # whole ms, or the reason why there is no sample


class Case(NamedTuple):
    start: Optional[str]
    queue_start: Optional[str]
    body_wait: Union[int, float, None]  # ms


# ---- The second implementation ---------------------------------------------------------------


def moment(element: str) -> Optional[Fraction]:
    """The time of an element in ns; None if it is not a time."""
    match = re.fullmatch(r"(?:[tT]=)?([0-9]+(?:\.[0-9]+)?)", element.strip(" \t"))
    if match is None:
        return None
    number = Fraction(match[1])
    for unit in (1, 10**3, 10**6, 10**9):
        if number * unit >= YEAR_2000:
            return number * unit
    return None


def elements(header: Optional[str]) -> List[str]:
    """All that are not empty."""
    return [element for element in (header or "").split(",") if element.strip(" \t")]


def read(case: Case, now: int) -> Outcome:
    """What becomes of a request at that moment, in ns."""
    first, first_reason = read_header(case.start, now)
    second, second_reason = read_header(case.queue_start, now)
    plausible = first or second
    if not plausible:
        return max(first_reason, second_reason, key=REASONS.index)
    wait = max(0, Fraction(case.body_wait or 0)) * 10**6
    return max(0, math.floor((now - min(plausible) - wait) / 10**6))


def read_header(header: Optional[str], now: int) -> Tuple[List[Fraction], str]:
    """Its plausible times, and the reasons against the others."""
    plausible, reason = [], "missing"
    for element in elements(header):
        at = moment(element)
        if at is None:
            seen = "malformed"
        elif at > now + AHEAD:
            seen = "future"
        elif at < now - OLDEST:
            seen = "stale"
        else:
            plausible.append(at)
            continue
        reason = max(reason, seen, key=REASONS.index)
    return plausible, reason


class Expected(NamedTuple):
    """The possible outcomes of a request that was made between two moments."""

    reasons: List[str]
    ranges: List[range]  # of ms

    def allows(self, outcome: Outcome) -> bool:
        if isinstance(outcome, str):
            return outcome in self.reasons
        return any(outcome in one for one in self.ranges)


def expected(case: Case, before: int, after: int) -> Expected:
    """In between an element may have become plausible, or may no longer be it. What is less than
    1 ns is left out by the core: 2 ns more are allowed."""
    found = elements(case.start) + elements(case.queue_start)
    times = [at for element in found if (at := moment(element)) is not None]
    turns = [math.floor(at) + limit for at in times for limit in (OLDEST, -AHEAD)]
    points = {before, after, *(turn + ns for turn in turns for ns in (-1, 0, 1))}
    ordered = sorted(point for point in points if before <= point <= after)
    outcomes = [read(case, point) for point in ordered]
    least, most = outcomes, [read(case, point + 2) for point in ordered]
    ranges = [
        range(min(low, high), max(low, high) + 1)
        for low, high in zip(least, [*most[1:], most[-1]])
        if isinstance(low, int) and isinstance(high, int)
    ]
    return Expected([one for one in outcomes if isinstance(one, str)], ranges)


# ---- Values ----------------------------------------------------------------------------------

OFFSETS_S = (-3600, -601, -600, -599, -60, -9, -2, -1, -0.25, -0.1, -0.001, 0, 0.5, 1, 2, 3600)
UNITS = (1, 10**3, 10**6, 10**9)
BLANKS = ("", " ", "\t", " \t  ")
BEFORE = ("", "t=", "T=", "0", "t=00", " t=")
BEHIND = ("", "", "", ".0", ".5", ".999999999", ".9999999999999")
WRONG_BLANKS = ("\r", "\v", "\xa0", "\n", "\0")
WRONG_BEFORE = ("t", "t= ", "t =", "t=t=", "s=", "=", "-", "+")
WRONG_BEHIND = (".", ".5.", "e0", "_0", "ms", " 0")
JUNK = ("", "", " ", "\t", "soon", "t=", "nan", "inf", "0x18bcfe56800", "1.7e9", "\xff\xfe", "'")
JOINTS = (",", ",", ", ", " ,", ",,", ", ,", ";", " ")
WAITS = (None, None, 0, 1, 7, 250, 0.5, 99.99, 250.25, -3, -0.5, 10**6, 1e15, 2**40)


class Values:
    """Cases about a moment, drawn from `dice`."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def _near_now(self, now: int) -> int:
        """In ns: a limit, within some ms of one, or anything in the last minutes."""
        dice = self._dice
        offset = int(dice.choice(OFFSETS_S) * SECOND)
        near = dice.choice((0, dice.randint(-(10**7), 10**7), dice.randint(-10, 0) * SECOND))
        return now + offset + near

    def _near_year_2000(self) -> str:
        dice = self._dice
        return str(YEAR_2000 // dice.choice(UNITS) + dice.randint(-1, 1))

    def _number(self, now: int) -> str:
        kind = self._dice.random()
        if kind < 0.06:
            return self._near_year_2000()
        if kind < 0.1:
            return str(self._dice.getrandbits(self._dice.randint(1, 140)))
        whole, part = divmod(self._near_now(now), unit := self._dice.choice(UNITS))
        if unit > 1 and self._dice.random() < 0.4:
            digits = len(str(unit)) - 1
            return f"{whole}.{part:0{digits}}"[: self._dice.randint(1, digits) - digits or None]
        return str(whole)

    def _element(self, now: int) -> str:
        dice = self._dice
        if dice.random() < 0.1:
            return dice.choice(JUNK)
        parts = [BLANKS, BEFORE, (self._number(now),), BEHIND, BLANKS]
        if dice.random() < 0.2:
            wrong = dice.choice((0, 1, 3, 4))
            parts[wrong] = {1: WRONG_BEFORE, 3: WRONG_BEHIND}.get(wrong, WRONG_BLANKS)
        return "".join(map(dice.choice, parts))

    def _header(self, now: int) -> str:
        text = self._element(now)
        for _ in range(self._dice.choice((0, 0, 0, 1, 2, 5))):
            text += self._dice.choice(JOINTS) + self._element(now)
        return text

    def cases(self, count: int, now: int) -> Iterator[Case]:
        for _ in range(count):
            which = self._dice.choice("ssssqqqbbbn")
            start = self._header(now) if which in "sb" else None
            queue_start = self._header(now) if which in "qb" else None
            yield Case(start, queue_start, self._dice.choice(WAITS))
