"""An app on a false Heroku that checks each request, and a real service that scales it."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List

from dynoscaled import Command, wait_for
from heroku import Heroku
from service import Service

Started = Callable[..., Service]
FORMATION = r"/apps/shop/formation(/\w+)?"


class World:
    """The app shop on the false Heroku, scaled by a service whose ticks come each second."""

    def __init__(self, heroku: Heroku, serve: Started, *arguments: str) -> None:
        self.heroku = heroku
        env = {"DYNOSCALED_HEROKU_API": heroku.url, "DYNOSCALED_HEROKU_ID": heroku.url,
               "DYNOSCALED_HEROKU_READ_S": "1"}  # fmt: skip
        self.service = serve("--tick-s", "1", "--private-platforms", *arguments, env=env)
        self.command = Command(self.service.data)
        for app in heroku.apps:
            self.command.done("app", "add", app)

    def connect(self, *arguments: str, app: str = "shop", webhooks: bool = False) -> Any:
        """With the API key in the environment."""
        more = [] if webhooks else ["--no-webhooks"]
        env = {"HEROKU_API_KEY": self.heroku.key}
        return self.command("platform", "set", app, "heroku", "--json", *arguments, *more, env=env)

    def connected(self, *arguments: str, app: str = "shop", webhooks: bool = False) -> "World":
        done = self.connect(*arguments, app=app, webhooks=webhooks)
        assert done.returncode == 0, done.stderr
        return self

    def rules(self, app: str = "shop", **least: int) -> None:
        """At least so many dynos of each type, at most 20: the range alone orders."""
        lines = ["processes:"]
        for kind, number in least.items():
            lines.append(f"  {kind}: {{scaling: on, rules: [{{name: default, dynos: {{min: {number}, max: 20}}}}]}}")
        path = self.service.data / "rules.yaml"
        path.write_text("\n".join(lines) + "\n")
        self.command.done("rules", "put", app, str(path))

    def health(self, kind: str = "web", app: str = "shop") -> Dict[str, Any]:
        shown = self.command.json("platform", "show", app)
        found: List[Dict[str, Any]] = [one for one in shown["health"] if one["process"] == kind]
        return found[0] if found else {}

    def trouble(self, pattern: str, app: str = "shop") -> str:
        """The sentence, once it matches."""

        def matches() -> str:
            said = str(self.health(app=app).get("trouble"))
            return said if re.search(pattern, said) else ""

        return str(wait_for(matches, f"trouble like {pattern!r}: {self.service.log[-2000:]}"))

    def sentence(self, app: str = "shop") -> str:
        shown = self.command("explain", app, "web", "--json")
        return str(json.loads(shown.stdout)["sentence"]) if shown.returncode == 0 else ""

    def situation(self, app: str = "shop") -> Dict[str, int]:
        """What the last decision knew; before the first, nothing."""
        shown = self.command("explain", app, "web", "--json")
        known = json.loads(shown.stdout)["situation"] if shown.returncode == 0 else []
        return {one["name"]: one["value"] for one in known}

    def runs(self, number: int, kind: str = "web", app: str = "shop") -> None:
        wait_for(lambda: self.heroku.quantity(app, kind) == number, f"{number} dynos of {kind} in {app}")

    def settled(self, number: int, app: str = "shop") -> None:
        """The service knows that so many run."""
        wait_for(
            lambda: self.health(app=app).get("ordered") == number, f"{number} known: {self.service.log[-1500:]}"
        )

    def ticks(self, count: int) -> None:
        """So many more ticks pass."""
        before = self.service.metric("ticks_total")
        wait_for(lambda: self.service.metric("ticks_total") >= before + count, "more ticks")

    def orders(self, app: str = "shop") -> List[Dict[str, Any]]:
        return self.heroku.asked("PATCH", rf"/apps/{app}/formation(/\w+)?")
