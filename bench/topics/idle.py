"""Wake-ups of an idle process that has reported, beside the same process without the agent."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, List, Tuple

import kernel
import steadily
from measure import Table
from processes import Process
from receiver import ReceiverProcess
from workbench import Missing, Workbench, agent_on

SECONDS = 60
QUICK_SECONDS = 3


def run(bench: Workbench) -> List[Table]:
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    table = Table("idle", f"Wake-ups of an idle process in {seconds} s")
    try:
        kernel.need_linux()
        measure(bench, table, seconds)
    except Missing as reason:
        table.notes.append(str(reason))
    return [table]


def measure(bench: Workbench, table: Table, seconds: float) -> None:
    processes: Dict[Tuple[str, bool], Process] = {}
    with bench.temporary() as directory, ReceiverProcess() as receiver, ExitStack() as stack:
        settings = {True: agent_on(f"{receiver.url}/token"), False: steadily.WITHOUT_AGENT}
        for language in steadily.LANGUAGES:
            for agent in (True, False):
                name = "on" if agent else "off"
                one = steadily.process(bench, language, Path(directory), name, 0, settings[agent])
                processes[language, agent] = stack.enter_context(one.start())
        for one in processes.values():
            steadily.wait_until_ready(one)
        if not receiver.wait(rows=len(steadily.LANGUAGES), seconds=20)["reached"]:
            raise RuntimeError("the agents did not report their one request within 20 s")
        time.sleep(2)  # for the end of what follows a report: it is not idle before
        before = {key: kernel.wake_ups(one.pid) for key, one in processes.items()}
        time.sleep(seconds)
        after = {key: kernel.wake_ups(one.pid) for key, one in processes.items()}
    for language in steadily.LANGUAGES:
        made = {
            agent: after[language, agent]["all"] - before[language, agent]["all"]
            for agent in (True, False)
        }
        thread = after[language, True]["agent"] - before[language, True]["agent"]
        table.add(f"{language}, without the agent", "wake-ups", [made[False]])
        table.add(f"{language}, with the agent", "wake-ups", [made[True]])
        table.add(
            f"{language}, the agent's thread", "wake-ups", [thread], bar="0", met=thread == 0
        )
