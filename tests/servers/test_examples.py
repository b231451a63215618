"""Each app of examples/ does what its README says: it starts, answers and is reported."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import pytest
from app_servers import PYTHON, ROOT, RUBY, environment, output
from processes import Process, free_port
from receiver import ReceiverProcess

EXAMPLES = ROOT / "examples"
REQUESTS = 5
WAITED_MS = 3000

PUMAS_STATUSES = (0, 128 + signal.SIGTERM, -signal.SIGTERM)  # it raises the signal again
BUNDLE = [RUBY, "-S", "bundle", "exec"]


class Example(NamedTuple):
    """`command` is the README's, to which the port is added; `needs` are gems, or modules."""

    name: str
    command: Sequence[str]
    needs: Sequence[str]
    package: str  # Debian's
    statuses: Sequence[int] = (0,)

    def missing(self) -> str:
        if self.command[0] == PYTHON:
            if output(PYTHON, "-c", f"import {', '.join(self.needs)}") is None:
                return f"no {self.needs} for {PYTHON}; on Debian: apt-get install {self.package}"
            return ""
        code = "ARGV.each { |name| Gem::Specification.find_by_name(name) }"
        if output(RUBY, "-e", code, *self.needs) is None:
            return f"no {self.needs[-1]} for {RUBY}; on Debian: apt-get install {self.package}"
        return ""


RAILS = Example(
    "rails", [*BUNDLE, "rails", "server", "--port"], ["puma", "rails"], "ruby-rails", PUMAS_STATUSES
)
SINATRA = Example(
    "sinatra",
    [*BUNDLE, "puma", "--port"],
    ["puma", "sinatra"],
    "ruby-sinatra",
    PUMAS_STATUSES,
)
GUNICORN = [PYTHON, "-m", "gunicorn"]
PORT = "--bind=127.0.0.1"  # gunicorn's
FLASK = Example(
    "flask", [*GUNICORN, "app:app", PORT], ["flask", "gunicorn"], "gunicorn python3-flask"
)
DJANGO = Example(
    "django", [*GUNICORN, "app:wsgi", PORT], ["django", "gunicorn"], "gunicorn python3-django"
)
DJANGO_ASGI = Example(
    "django",
    [*GUNICORN, "-k", "dynoscale.uvicorn.DynoscaleUvicornWorker", "app:asgi", PORT],
    ["django", "gunicorn", "uvicorn"],
    "gunicorn python3-django python3-uvicorn",
)
STARLETTE = Example(
    "starlette",
    [PYTHON, "-m", "uvicorn", "app:app", "--port"],
    ["starlette", "uvicorn"],
    "python3-starlette python3-uvicorn",
    (0, -signal.SIGTERM),  # newer ones raise the signal again
)


@pytest.fixture(
    params=[
        pytest.param(FLASK, id="flask"),
        pytest.param(DJANGO, id="django"),
        pytest.param(DJANGO_ASGI, id="django asgi"),
        pytest.param(STARLETTE, id="starlette"),
        pytest.param(RAILS, id="rails"),
        pytest.param(SINATRA, id="sinatra", marks=pytest.mark.frameworks),
    ]
)
def example(request: pytest.FixtureRequest) -> Example:
    example: Example = request.param
    reason = example.missing()
    if reason:
        pytest.skip(reason)
    return example


def ask(port: int) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    started_ms = int(time.time() * 1000) - WAITED_MS
    connection.request("GET", "/", headers={"X-Request-Start": str(started_ms)})
    answer = connection.getresponse()
    assert answer.status == 200
    return answer


def run(
    example: Example, directory: Path, settings: Dict[str, str]
) -> List[http.client.HTTPResponse]:
    """The answers, from the server's start to its end; in a copy, which it may write to."""
    copy = shutil.copytree(EXAMPLES / example.name, directory / "app")
    gemfile = copy / "Gemfile"
    if gemfile.exists():
        gemfile.write_text(gemfile.read_text().replace("'../..'", repr(str(ROOT))))
    port = free_port()
    command = [*example.command, str(port)]
    if example.command[-1] == PORT:
        command[-2:] = [f"{PORT}:{port}"]
    env = environment({"DYNOSCALE_DEV": "1", **settings})
    with Process(command, directory, "server", env, cwd=copy) as server:
        server.start().wait_for_port(port)
        answers = [ask(port) for _ in range(REQUESTS)]
        server.stop(signal.SIGTERM, expected=example.statuses)
    return answers


def test_each_request_says_how_long_it_waited_and_is_reported(
    example: Example, tmp_path: Path
) -> None:
    with ReceiverProcess() as receiver:
        answers = run(example, tmp_path, {"DYNOSCALE_URL": receiver.url})
        metrics = sorted(row["metric"] for row in receiver.rows())  # of several threads
    told = [re.findall(r"waited (\d+) ms", answer.read().decode()) for answer in answers]
    waits = [int(number) for (number,) in told]
    assert sorted(waits) == metrics
    assert min(waits) >= WAITED_MS
    headers = [answer.getheader("server-timing") for answer in answers]
    assert headers == [f"queue;dur={wait}" for wait in waits]


def test_its_readme_has_its_command_in_five_lines(example: Example) -> None:
    """And in three more, how to see it on the service's pages."""
    title, text, service = (EXAMPLES / example.name / "README.md").read_text().split("\n\n")
    assert title.startswith("# ")
    lines, more = text.splitlines(), service.splitlines()
    assert len(lines) <= 5 and len(more) <= 3
    if example.command[0] == PYTHON:
        command = " ".join(example.command[2:])
    else:
        command = " ".join(["bundle exec", *example.command[len(BUNDLE) :]])
    assert re.split(" --port| --bind", command)[0] in "\n".join(lines)
