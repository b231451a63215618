"""A program of either language that reports to a receiver: one of tests/faults/programs, or code.

with Program("ruby", "record(3); say; record(4)", directory, reporting_to(receiver.url)) as program:
    program.hear()   # the next line that it prints
    program.go_on()
    program.end()    # the rest of what it prints
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from app_servers import PYTHON, PYTHONPATH, RUBY, environment
from served import TOKEN

PROGRAMS = Path(__file__).resolve().parent / "programs"
COMMANDS: Dict[str, List[str]] = {
    "ruby": [RUBY, f"-I{PROGRAMS}", "-rprelude"],
    "python": [PYTHON],
}
SUFFIXES = {"ruby": "rb", "python": "py"}
LANGUAGES = list(COMMANDS)


def reporting_to(url: str, **settings: str) -> Dict[str, str]:
    return {
        "DYNO": "web.1",
        "DYNOSCALE_URL": f"{url}/{TOKEN}",
        "DYNOSCALE_PUBLISH_FREQUENCY": "1",
        "PYTHONPATH": f"{PROGRAMS}:{PYTHONPATH}",
        **settings,
    }


class Program:
    """Runs in the directory; its standard error goes to `program.log` there."""

    def __init__(
        self,
        language: str,
        program: str,
        directory: Path,
        settings: Mapping[str, str],
        arguments: Sequence[str] = (),
        wrapper: Sequence[str] = (),
    ) -> None:
        file = PROGRAMS / f"{program}.{SUFFIXES[language]}"
        if " " not in program and file.exists():
            what = [str(file)]
        elif language == "ruby":
            what = ["-e", program]
        else:
            what = ["-c", f"from prelude import *\n{program}"]
        self.command = [*wrapper, *COMMANDS[language], *what, *arguments]
        self._directory = directory
        self._log = directory / "program.log"
        self._settings = settings
        self._printed = directory / "printed.log"
        self._process: Optional[subprocess.Popen[str]] = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> Program:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(dict(self._settings)),
                cwd=self._directory,
                start_new_session=True,
                text=True,
            )
        return self

    def hear(self) -> str:
        """Returns the next line that it prints."""
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"it ended before it said anything:\n{self.log}"
        return line.rstrip("\n")

    def go_on(self, text: str = "") -> None:
        """Sends it the line that it waits for."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def end(self, seconds: float = 120, status: int = 0) -> str:
        """Waits until it has ended. Returns what it printed."""
        assert self._process is not None
        printed, _ = self._process.communicate(timeout=seconds)
        self._printed.write_text(printed)
        ended_with = self._process.returncode
        assert ended_with == status, f"status {ended_with}:\n{printed}{self.log}"
        return printed

    def run(self, seconds: float = 120) -> str:
        """Starts it and waits until it has ended."""
        with self:
            return self.end(seconds)

    def __enter__(self) -> Program:
        return self.start()

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
