"""A real `dynoscaled`, what it scales, and what it says of it."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional
from urllib.parse import urlsplit

from processes import Directory
from service import Service

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PATIENCE = 120.0  # of a machine with much else to do


def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `condition()` gives once that is true; an AssertionError where it never is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


class Dynos:
    """The folder of scale.py: what runs, and how the platform behaves."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    @property
    def command(self) -> List[str]:
        return [str(HERE / "scale.py"), str(self.folder)]

    def runs(self, kind: str, number: int) -> None:
        """By somebody else's hand."""
        written = self.folder / f"{kind}.dynos.new"
        written.write_text(str(number))
        written.rename(self.folder / f"{kind}.dynos")

    def number(self, kind: str) -> int:
        return int((self.folder / f"{kind}.dynos").read_text())

    def serves(self, kind: str, pid: int) -> None:
        (self.folder / f"{kind}.pid").write_text(str(pid))

    def misbehave(self, what: str, text: str = "") -> None:
        (self.folder / what).write_text(text)

    def behave(self, what: str) -> None:
        (self.folder / what).unlink()

    def is_at(self, what: str) -> bool:
        """Whether a call waits at `set.block` or `set.after`."""
        return (self.folder / what.replace(".", ".is-")).exists()

    def _lines(self, name: str, verb: str) -> List[Dict[str, Any]]:
        path = self.folder / name
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if line["verb"] == verb]

    def begun(self, verb: str = "set") -> List[Dict[str, Any]]:
        return self._lines("begun", verb)

    def calls(self, verb: str = "set") -> List[Dict[str, Any]]:
        """Those that were carried out."""
        return self._lines("calls", verb)


class Loop:
    """The service and its command line. `arguments`: of `serve`."""

    def __init__(self, directory: Directory, *arguments: str) -> None:
        self.directory = Path(directory)
        self.arguments = arguments
        self.service = Service(directory, *arguments)

    def __enter__(self) -> Loop:
        self.service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.kill()

    def run(self, *arguments: str, expected: int = 0, text: str = "") -> str:
        """A command; what it printed."""
        done = subprocess.run(
            [self.service.program, *arguments, "--data", str(self.service.data)],
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == expected, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def restart(self) -> None:
        """After a kill -9."""
        self.service = Service(self.directory, *self.arguments)
        self.service.start()

    def add_app(self, name: str, rules: str, dynos: Optional[Dynos] = None) -> str:
        """The app's DYNOSCALE_URL."""
        printed = self.run("app", "add", name)
        url = next(line for line in printed.splitlines() if line.startswith("DYNOSCALE_URL="))
        self.put_rules(name, rules)
        if dynos:
            self.set_command(name, dynos)
        return url.partition("=")[2]

    def set_command(self, app: str, dynos: Dynos) -> None:
        data = ["--data", str(self.service.data)]
        command = ["platform", "set", app, "command", *data, "--", *dynos.command]
        subprocess.run([self.service.program, *command], check=True, timeout=PATIENCE)

    def put_rules(self, app: str, rules: str) -> None:
        path = self.directory / f"{app}.yaml"
        path.write_text(rules)
        self.run("rules", "put", app, str(path))

    def ledger(self, app: str, process: str = "web") -> List[Dict[str, Any]]:
        """All its ticks, the oldest first."""
        return self.json("ledger", app, process, "--from", "-2h")["ticks"]

    def last(self, app: str, process: str = "web") -> Dict[str, Any]:
        return self.json("explain", app, process)

    def replay(self, app: str, process: str = "web") -> str:
        return self.run("replay", app, process, "--from", "-2h")


class Visitors:
    """Real requests, `at_once` of them at any time, until stopped. Counted."""

    def __init__(self, url: str, at_once: int, pause: float = 0.0) -> None:
        self.url, self.pause = urlsplit(url), pause
        self.sent = self.failed = 0
        self.began = time.time()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def _visit(self) -> None:
        while not self._end.is_set():
            connection = http.client.HTTPConnection(
                self.url.hostname or "", self.url.port, timeout=PATIENCE
            )
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                good = answer.status == 200
            except (OSError, http.client.HTTPException):
                good = False
            connection.close()
            with self._lock:
                self.sent += 1
                self.failed += not good
            self._end.wait(self.pause)

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
