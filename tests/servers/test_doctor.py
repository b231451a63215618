"""`doctor --url`: does the app behind a real server get the stamp?"""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List

import pytest
from app_servers import PYTHON, ROOT, RUBY, AppServer, Gunicorn, Puma, Webrick, Wsgiref, environment
from processes import Nginx, free_port
from receiver import ReceiverProcess

SETTINGS = {"DYNO": "web.1"}
ON = {"DYNOSCALE_SERVER_TIMING": "on"}
WRAPPERS = [
    Puma("puma single"),
    Puma("puma cluster", workers=2),
    Webrick("webrick", requires="webrick"),
    Wsgiref("wsgiref"),
    Gunicorn("gunicorn wrapper", "sync", False, True, ""),
]
HOOK = Gunicorn("gunicorn hook", "sync", False, False, "gunicorn_hook.py")
DOCTOR = {
    "python": [PYTHON, "-m", "dynoscale"],
    "ruby": [RUBY, str(ROOT / "ruby/exe/dynoscale")],
}

wrapped = pytest.mark.parametrize("server", WRAPPERS, ids=lambda server: server.name)


class Visit:
    """What the doctor of the server's language finds about the stamp, and its exit status."""

    def __init__(
        self, server: AppServer, directory: Path, settings: Dict[str, str], nginx: bool = False
    ) -> None:
        reason = server.missing()
        if reason:
            pytest.skip(reason)
        server.retried(lambda: self._pay(server, directory, settings, nginx))

    def _pay(
        self, server: AppServer, directory: Path, settings: Dict[str, str], nginx: bool
    ) -> None:
        port = free_port()
        with ExitStack() as stack:
            receiver = stack.enter_context(ReceiverProcess())
            receiver.behave("ok", checks=True)
            given = {**SETTINGS, "DYNOSCALE_URL": f"{receiver.url}/token"}
            process = stack.enter_context(server.process(port, directory, {**given, **settings}))
            process.start().wait_for_port(port)
            url = f"http://127.0.0.1:{port}/"
            if nginx:
                url = stack.enter_context(Nginx(directory, port).start()).url
            command: List[str] = [*DOCTOR[server.language], "doctor", "--json", "--url", url]
            done = subprocess.run(
                command, env=environment(given), capture_output=True, text=True, timeout=60
            )
            assert done.stderr == "", process.log
            self.status = done.returncode
            findings = json.loads(done.stdout)["findings"]
            self.finding: Dict[str, Any] = findings[-1]
            assert self.finding["check"] == "stamp"
            # A healthy service in any case: the stamp alone decides.
            assert {finding["health"] for finding in findings[:-1]} == {"ok", "skip"}
            process.stop(server.stop_signal, expected=server.exit_statuses)
            self.metrics = [row["metric"] for row in receiver.rows()]


@wrapped
def test_an_app_that_answers_with_the_queue_time_gets_the_stamp(
    server: AppServer, tmp_path: Path
) -> None:
    visit = Visit(server, tmp_path, ON)
    assert (visit.finding["health"], visit.status) == ("ok", 0), visit.finding
    assert visit.metrics == [visit.finding["queue_time_ms"]]


@wrapped
def test_an_app_that_does_not_say_is_told_how_to(server: AppServer, tmp_path: Path) -> None:
    visit = Visit(server, tmp_path, {})
    assert (visit.finding["health"], visit.status) == ("warn", 1)
    assert visit.finding["text"].startswith("can't tell: ")
    assert "DYNOSCALE_SERVER_TIMING=on" in visit.finding["remedy"]
    assert len(visit.metrics) == 1 and visit.metrics[0] >= 1000


def test_gunicorns_hook_can_not_answer(tmp_path: Path) -> None:
    visit = Visit(HOOK, tmp_path, ON)
    assert (visit.finding["health"], visit.status) == ("warn", 1)
    assert "gunicorn's hook can't answer" in visit.finding["remedy"]


def test_a_router_on_the_way_writes_a_stamp_of_its_own(tmp_path: Path) -> None:
    visit = Visit(WRAPPERS[0], tmp_path, ON, nginx=True)
    assert (visit.finding["health"], visit.status) == ("warn", 1)
    assert "another stamp" in visit.finding["text"]
    assert visit.metrics == [visit.finding["queue_time_ms"]]
