"""The demo's dynoscaled: set up by its command line as a user would, read over its API."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

from service import Service

WORKERS = Path(__file__).resolve().parent.parent / "workers" / "scale"

# The window and the waits are short, so that a minute shows it all.
RULES = """\
processes:
  web:
    scaling: {scaling}
    rules:
      - name: default
        dynos: {{min: {least}, max: {most}}}
        window: 10
        up: {{threshold_ms: 100, step: 2, wait: 20}}
        down: {{threshold_ms: 50, step: 1, wait: 10}}
"""


class Scaling(Service):
    """A `with` block runs it, on loopback."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self._token = ""

    def start(self) -> Scaling:
        super().start()
        self._token = self.run("token", "add", "--scope", "read", "--json")["token"]
        return self

    def run(self, *arguments: str) -> Any:
        """A command of dynoscaled; what it printed, read as JSON where that was asked for."""
        command = [self.program, *arguments]
        at = command.index("--") if "--" in command else len(command)
        command[at:at] = ["--data", str(self.data)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def ask(self, path: str) -> Any:
        answer = self.get(f"/api/v1{path}", {"Authorization": f"Bearer {self._token}"})
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {answer.text}")
        return json.loads(answer.body)

    def add_app(self, name: str, pids: Path, scaling: bool, least: int, most: int) -> str:
        """Gives the app's DYNOSCALE_URL."""
        address: str = self.run("app", "add", name, "--json")["report_url"]
        rules = pids / "rules.yaml"
        rules.write_text(RULES.format(scaling="on" if scaling else "off", least=least, most=most))
        self.run("rules", "put", name, str(rules))
        return address

    def set_platform(self, name: str, pids: Path) -> None:
        """The app's dynos are worker processes; their server's id is in `pids`/web.pid."""
        self.run("platform", "set", name, "command", "--", str(WORKERS), str(pids))

    def status(self, app: str) -> Dict[str, Any]:
        """What is known of the app's process "web" at the last tick."""
        found: Dict[str, Any] = self.ask(f"/apps/{app}/processes/web")
        return found

    def points(self, app: str, start: int, end: int) -> List[Dict[str, Any]]:
        """The queue times of [start, end), by ten seconds."""
        query = f"source=web&from={start}&to={end}&step=10"
        points: List[Dict[str, Any]] = self.ask(f"/apps/{app}/series?{query}")["points"]
        return points

    def changes(self, app: str, start: int) -> List[Dict[str, Any]]:
        """The decisions that changed the number of dynos."""
        query = f"from={start}&changes=true"
        ticks: List[Dict[str, Any]] = self.ask(f"/apps/{app}/processes/web/ledger?{query}")["ticks"]
        return ticks
