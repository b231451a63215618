"""What the service wrote and did, held against what apps, people and platform know."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from agents import App
from false_platform import FalsePlatform, Process, Set
from people import Ranges

TICK_S = 10
RANGE_SLACK_S = 3.0  # a change counts within a second, and the ledger keeps whole ones
CLOCK_SLACK_S = 2.0
UNHEARD_S = 60  # the windows of the rules end long before
KILL_SLACK_S = 5.0


class Order(NamedTuple):
    process: Process
    number: int
    ordered_s: int
    ended_s: int  # 0: under way
    done: bool
    tries: int


def orders(data: Path) -> List[Order]:
    """Of the ledger, oldest first."""
    store = sqlite3.connect(f"file:{data / 'dynoscaled.db'}?mode=ro", uri=True)
    try:
        found = store.execute(
            "SELECT app.name, process, to_dynos, ordered_s, ended_s, state = 2, tries FROM act"
            " JOIN app ON app.id = act.app ORDER BY act.id"
        )
        return [Order((app, process), *more) for app, process, *more in found]
    finally:
        store.close()


def _of_each(sets: List[Set], found: List[Order]) -> Dict[Process, Tuple[List[Set], List[Order]]]:
    both: Dict[Process, Tuple[List[Set], List[Order]]] = {}
    for one in sets:
        both.setdefault(one.process, ([], []))[0].append(one)
    for order in found:
        both.setdefault(order.process, ([], []))[1].append(order)
    return both


def _belongs(call: Set, order: Order) -> bool:
    began, ended = order.ordered_s - CLOCK_SLACK_S, (order.ended_s or float("inf")) + CLOCK_SLACK_S
    return bool(call.wanted == order.number and began <= call.began_s <= ended)


def _was_done(order: Order, sets: List[Set]) -> bool:
    """By a call of its own; or, where a reading showed its number before there was one, by an earlier call
    of an order that was void: the number counted at some moment between the order and its end."""
    if order.tries > 0:
        return any(call.done and _belongs(call, order) for call in sets)
    began, ended = order.ordered_s - CLOCK_SLACK_S, order.ended_s + CLOCK_SLACK_S
    done = [call for call in sets if call.done and call.began_s <= ended]
    before = [call for call in done if call.began_s < began][-1:]
    return any(call.wanted == order.number for call in before + [call for call in done if call.began_s >= began])


def ledger_against_platform(
    platform: FalsePlatform, found: List[Order], kills: List[float]
) -> List[str]:
    """Each call is of an order; each order that is done was done; as many tries as calls, but for
    those whose end a killed service did not see."""
    wrong = []
    for process, (sets, its) in _of_each(platform.sets, found).items():
        for call in sets:
            if not call.unheard and not any(_belongs(call, order) for order in its):
                wrong.append(f"{process}: no order in the ledger is of the call for {call.wanted} at {call.began_s:.1f}")
        for order in its:
            if order.done and not _was_done(order, sets):
                wrong.append(f"{process}: {order} is done in the ledger, and the platform did not do it")
        unseen = sum(
            any(call.began_s - CLOCK_SLACK_S <= kill <= (call.ended_s or kill) + KILL_SLACK_S for call in sets)
            for kill in kills
        )
        tries = sum(order.tries for order in its)
        if not tries <= len(sets) <= tries + unseen:
            wrong.append(
                f"{process}: {len(sets)} calls, {tries} tries in the ledger, {unseen} kills during a call"
            )
    return wrong


def two_in_flight(platform: FalsePlatform) -> List[str]:
    """Of one app no call begins before the last one has ended."""
    wrong, last = [], {}  # type: Tuple[List[str], Dict[str, Set]]
    for call in platform.sets:
        app = call.process[0]
        if call.unheard:
            continue
        before = last.get(app)
        if before and (before.ended_s is None or call.began_s < before.ended_s):
            wrong.append(f"{call.process}: {call.wanted} was ordered while {before.wanted} was under way")
        last[app] = call
    return wrong


def out_of_range(found: List[Order], ranges: Dict[str, Ranges], workers: Tuple[int, int]) -> List[str]:
    wrong = []
    for order in found:
        app, process = order.process
        if process == "worker":
            allowed = [workers]
        else:
            allowed = [(one.least, one.most) for one in ranges[app].in_force(order.ordered_s, RANGE_SLACK_S)]
        if not any(least <= order.number <= most for least, most in allowed):
            wrong.append(f"{order} is outside of {allowed}")
    return wrong


def from_no_data(found: List[Order], apps: Dict[str, App]) -> List[str]:
    wrong = []
    for order in found:
        app = apps[order.process[0]]
        age_s = order.ordered_s - app.last_sent(order.ordered_s + CLOCK_SLACK_S)
        if app.falls and age_s > UNHEARD_S:
            wrong.append(f"{order} was decided {age_s:.0f} s after the last report was sent")
    return wrong
