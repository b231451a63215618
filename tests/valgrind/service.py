"""Runs a real service under valgrind's memcheck through whole lives: `service.py PROGRAM [TEST...]`.

The lives are those of tests of tests/service, whose services and commands are PROGRAM under memcheck and end by
SIGTERM: the first person, apps, rules, reports good and bad, platforms that answer and that refuse, ticks,
notices, Heroku's add-on, pages, backup, restore, restarts. Nothing may be read or written wrongly, used before it is set, or
lost, by the service, by what keeps the credentials, or by a command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

ROOM = Path(__file__).resolve().parent
TESTS = ROOM.parent / "service"

LIVES = [
    "test_openapi.py::test_a_whole_life_is_answered_as_described",
    "test_reports.py",
    "test_bad_input.py::test_whatever_is_asked_is_answered_with_a_sentence",
    "test_notify.py",
    "test_platforms.py::test_what_passes_is_told_and_the_order_made_again",
    "test_heroku_addon.py::test_from_create_to_destroy",
    "test_data.py::test_a_backup_taken_under_load_is_whole_and_goes_on_elsewhere",
    "test_data.py::test_a_restore_over_data_brings_back_all_of_the_moment",
    "test_keeper.py::test_a_keeper_that_is_killed_is_replaced_and_its_order_is_not_given_twice_at_once",
    "test_http_service.py::test_a_change_and_each_tick_are_streamed_to_who_may_see_the_app",
    "test_http_framing.py",
]
LEAKS = "definite,indirect,possible"
OPTIONS = [
    "--quiet", "--vgdb=no", "--num-callers=40", "--leak-check=full", f"--show-leak-kinds={LEAKS}",
    f"--suppressions={ROOM / 'libcurl.supp'}",
]  # fmt: skip
WRAPPER = """\
#!/bin/sh
exec valgrind {options} --log-file='{logs}/%p' '{program}' "$@"
"""


def found(logs: Path) -> List[str]:
    """What was found, of each process. Calls of the system that this valgrind does not know are no faults."""
    texts = ["\n".join(line for line in log.read_text().splitlines() if line.startswith("==")) for log in logs.iterdir()]
    return [text for text in texts if text]


def main() -> int:
    program, tests = sys.argv[1], sys.argv[2:] or LIVES
    with tempfile.TemporaryDirectory() as folder:
        logs, wrapper = Path(folder) / "logs", Path(folder) / "dynoscaled"
        logs.mkdir()
        wrapper.write_text(WRAPPER.format(options=" ".join(OPTIONS), logs=logs, program=Path(program).resolve()))
        wrapper.chmod(0o755)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", *(str(TESTS / test) for test in tests)],
            env={**os.environ, "TEST_DYNOSCALED": str(wrapper)},
        )
        processes, wrong = len(list(logs.iterdir())), found(logs)
    for text in wrong:
        print(text)
    print(f"{processes} processes under memcheck, {len(wrong)} of them with errors or leaks")
    return 1 if run.returncode or wrong or not processes else 0


if __name__ == "__main__":
    sys.exit(main())
