"""A real service for each test that asks for one, with the settings that it asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from heroku import Heroku  # noqa: E402
from service import Service  # noqa: E402

Started = Callable[..., Service]


# For what is of files alone.
with_files = pytest.mark.skipif(
    "TEST_DATABASE" in os.environ, reason="it is about the file of SQLite; this run is on PostgreSQL"
)


def use_database(data: Path) -> None:
    """With $TEST_DATABASE, a URL: the folder's data is in a schema of its own there."""
    url, file = os.environ.get("TEST_DATABASE"), data / "database"
    if not url or file.exists():
        return
    schema = "t" + uuid.uuid4().hex
    subprocess.run(["psql", "-X", "-q", "-d", url, "-c", f"CREATE SCHEMA {schema}"], check=True)
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    file.touch(0o600)
    file.write_text(f"{url}?options=-csearch_path%3D{schema}\n")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Started]:
    """serve("--tick-s", "1", ...): a service that has started; it ends with the test."""
    started: List[Service] = []
    with ExitStack() as stack:

        def start(*arguments: str, **others: Any) -> Service:
            service = Service(tmp_path, *arguments, **others)
            use_database(service.data)
            stack.enter_context(service)
            started.append(service)
            return service.start()

        yield start
    # Of one that was built with a sanitizer and named by TEST_DYNOSCALED.
    for service in started:
        assert "Sanitizer" not in service.log and "runtime error" not in service.log, service.log


@pytest.fixture
def service(serve: Started) -> Service:
    """One with the usual settings."""
    return serve()


@pytest.fixture
def heroku() -> Iterator[Heroku]:
    """A false Heroku; the requests that it got were as its schema has them."""
    false = Heroku().start()
    yield false
    false.stop()
    assert false.violations == []
