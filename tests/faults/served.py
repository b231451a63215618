"""The app of tests/faults/apps, in one process of a real app server for each language."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence

from app_servers import PYTHON, PYTHONPATH, AppServer, Gunicorn, Puma
from processes import free_port

APPS = Path(__file__).resolve().parent / "apps"
RACK_APP = str(APPS / "config.ru")

# The last test looks for these: no log, message or process list may show them.
TOKEN = "tok3n-that-nobody-may-see"
PASSWORD = "passw0rd-that-nobody-may-see"

# Debug, so that the logs have all lines that the agent can log.
SETTINGS = {
    "DYNO": "web.1",
    "DYNOSCALE_LOG_LEVEL": "debug",
    "DYNOSCALE_PUBLISH_FREQUENCY": "1",
    "PYTHONPATH": f"{APPS}:{PYTHONPATH}",
}

# The queue time of request N is N times these ms, which identifies its row. Puma's body wait lowers
# it, and a busy machine adds up to some seconds. It must stay below 10 minutes.
MS_EACH = 3500
MS_SPARE = 500
MOST_NUMBERS = 160


class OneGunicorn(Gunicorn):
    """With one worker, whose counters are those of the server."""

    def __init__(self) -> None:
        super().__init__("gunicorn", "sync", preload=False, wrapper=True, hook="")

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
        return [*command, "wrapped_app:app"]


SERVERS: Dict[str, AppServer] = {"ruby": Puma("puma", app=RACK_APP), "python": OneGunicorn()}


class Served:
    """The app of a language in its server, asked over one keep-alive connection where possible.

    settings  the agent's and the connection's, beside SETTINGS
    wrapper   a command that runs the one that is appended to it
    """

    def __init__(
        self,
        language: str,
        directory: Path,
        settings: Mapping[str, str],
        wrapper: Sequence[str] = (),
    ) -> None:
        directory.mkdir()
        self.server = SERVERS[language]
        self.port = free_port()
        self.process = self.server.process(self.port, directory, {**SETTINGS, **settings})
        self.process.command[:0] = wrapper
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def start(self) -> Served:
        self.process.start().wait_for_port(self.port)
        self.ask("/ready")
        return self

    def ask(self, path: str, stamp_ms: int = 0) -> bytes:
        """The answer to a request, with the stamp unless it is 0."""
        headers = {"X-Request-Start": str(stamp_ms)} if stamp_ms else {}
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body)
        return body

    def reconnect(self) -> None:
        """At the next request: servers close connections that were idle for long."""
        self._connection.close()

    def request(self, number: int) -> None:
        """Asks request `number`. A wrong answer raises AssertionError."""
        body = self.ask(f"/{number}", int(time.time() * 1000) - number * MS_EACH - MS_SPARE)
        assert body == f"answer to /{number}\n".encode()

    def agent(self) -> Dict[str, Any]:
        self.reconnect()
        known: Dict[str, Any] = json.loads(self.ask("/agent"))
        return known

    def stats(self) -> Dict[str, int]:
        stats: Dict[str, int] = self.agent()["stats"]
        return stats

    def wait_until(self, what: str, **numbers: int) -> Dict[str, int]:
        """Waits until these counters have reached these numbers. Returns all counters."""

        def reached() -> bool:
            stats = self.stats()
            return all(stats[name] >= number for name, number in numbers.items())

        self.process.wait_until(reached, f"{what} ({numbers})")
        return self.stats()

    def stop(self) -> float:
        """Stops the server gracefully. Returns the seconds that it took."""
        self._connection.close()
        server = self.server
        return self.process.stop(server.stop_signal, expected=server.exit_statuses)

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self.process.kill()


def numbers_of(rows: Sequence[Mapping[str, Any]]) -> List[int]:
    """The numbers of the requests of these rows."""
    return [row["metric"] // MS_EACH for row in rows]


class Bare:
    """Apps with the agent off, lent to one run at a time; they end with the `with` block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._idle: Dict[str, List[Served]] = {language: [] for language in SERVERS}
        self._started = contextlib.ExitStack()
        self._count = 0

    @contextlib.contextmanager
    def lent(self, language: str) -> Iterator[Served]:
        with self._lock:
            app = self._idle[language].pop() if self._idle[language] else None
            self._count += app is None
            name = f"bare{self._count}"
        if app is None:
            app = Served(language, self._directory / name, {})
            with self._lock:
                self._started.enter_context(app)
            app.start()
        yield app
        with self._lock:
            self._idle[language].append(app)

    def __enter__(self) -> Bare:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()


def ask_both(on: Served, off: Served, numbers: Sequence[int]) -> None:
    """Asks both by turns; each is first in half of the pairs."""
    on.reconnect()
    off.reconnect()
    for number in numbers:
        for app in (on, off) if number % 2 else (off, on):
            app.request(number)
