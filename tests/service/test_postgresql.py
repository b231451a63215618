"""The service on PostgreSQL: what the suite in C asks of a store, several services, what they refuse."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator

import pytest

from conftest import Started
from postgresql import Cluster, programs
from reports import add_app, counted, headers, post
from service import Service

pytestmark = pytest.mark.skipif(
    programs() is None, reason="PostgreSQL is not installed (on Debian: apt-get install postgresql)"
)

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER_KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
# The others take longer: make test-service-postgresql.
IN_C = ["commit", "ledger", "lease", "store"]
PATIENCE = 120.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), durable=False) as cluster:
        yield cluster.start()


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.database()


def environment(url: str, key: str = KEY) -> Dict[str, str]:
    return {"DYNOSCALED_DATABASE": url, "DYNOSCALED_KEY": key}


def two(serve: Started, tmp_path: Path, url: str, *arguments: str) -> "tuple[Service, Service]":
    one, other = (
        serve(*arguments, data=tmp_path / name, name=name, env=environment(url))
        for name in ("one", "other")
    )
    return one, other


def refused(tmp_path: Path, url: str, key: str = KEY) -> str:
    """What a service says that does not start."""
    program, data = Service(tmp_path).program, tmp_path / "refused"
    run = subprocess.run(
        [program, "serve", "--data", str(data), "--listen", "127.0.0.1:0"],
        env={**os.environ, **environment(url, key)},
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    return run.stderr


@pytest.mark.parametrize("suite", IN_C)
def test_what_the_suite_in_c_asks_of_a_store_holds(cluster: Cluster, suite: str) -> None:
    objects = os.environ.get("TEST_OBJECTS")
    program = Path(objects or "") / "tests" / "service" / f"test_{suite}"
    if not objects or not program.exists():
        pytest.skip("the suite in C is not built: make test-service-http builds it")
    env = {**os.environ, "TEST_DATABASE": cluster.database()}
    run = subprocess.run([program], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_batch_is_counted_once_whichever_service_it_comes_to(
    serve: Started, tmp_path: Path, url: str
) -> None:
    one, other = two(serve, tmp_path, url, "--tick-s", "1")
    path = add_app(one)
    now = int(time.time())
    for port in (one.port, other.port, other.port, one.port):
        assert post(port, path, [(now, 5, "web", "")], headers("same")).status == 200
    assert post(other.port, path, [(now, 7, "web", "")], headers("another")).status == 200
    assert counted(one) == counted(other) == 2


def test_one_of_two_acts_and_the_other_goes_on_when_it_ends(
    serve: Started, tmp_path: Path, url: str, cluster: Cluster
) -> None:
    one, other = two(serve, tmp_path, url, "--tick-s", "1")
    database = url.rsplit("/", 1)[1]

    def epoch() -> int:
        return int(cluster.sql("SELECT epoch FROM lease", database) or 0)

    one.wait_until(lambda: "acts from now" in one.log + other.log or epoch() == 1, "act", PATIENCE)
    holder, waits = (other, one) if "stands by" in one.log else (one, other)
    waits.wait_until(lambda: "stands by" in waits.log, "stand by", PATIENCE)
    holder.stop()
    waits.wait_until(lambda: "acts from now on" in waits.log, "act", PATIENCE)
    assert epoch() == 2


def test_an_address_that_was_replaced_or_removed_elsewhere_is_refused(
    serve: Started, tmp_path: Path, url: str
) -> None:
    one, other = two(serve, tmp_path, url)
    path = add_app(one)
    now = int(time.time())

    def status() -> int:
        return post(other.port, path, [(now, 5, "web", "")], headers(None)).status

    assert status() == 200
    subprocess.run(
        [one.program, "app", "remove", "shop", "--confirm", "shop", "--data", str(one.data)],
        check=True,
    )
    other.wait_until(lambda: status() == 401, "know it", PATIENCE)


def test_it_ends_well_in_the_moment_of_a_change(tmp_path: Path, url: str) -> None:
    for i in range(8):
        with Service(tmp_path, data=tmp_path / "data", name=f"try{i}", env=environment(url)) as service:
            service.start()
            add_app(service, f"shop{i}")
            service.stop(signal.SIGTERM, seconds=PATIENCE)


def test_a_service_with_another_key_is_refused(serve: Started, tmp_path: Path, url: str) -> None:
    serve(data=tmp_path / "one", env=environment(url))
    said = refused(tmp_path, url, OTHER_KEY)
    assert "another key" in said and OTHER_KEY not in said


def test_a_key_is_replaced_on_a_database(tmp_path: Path, url: str) -> None:
    for i, key in enumerate((KEY, f"{OTHER_KEY},{KEY}", OTHER_KEY)):
        with Service(tmp_path, data=tmp_path / "data", name=f"start{i}", env=environment(url, key)) as service:
            service.start().stop()
    # Who has the old one alone could not open what is sealed from now on.
    assert "another key" in refused(tmp_path, url, KEY)


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://somebody:secretword@127.0.0.1:9/none"
    said = refused(tmp_path, url)
    assert "can't be reached" in said and "secretword" not in said
    shown = subprocess.run(
        [Service(tmp_path).program, "serve", "--show-settings"],
        env={**os.environ, **environment(url)},
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    ).stdout  # fmt: skip
    assert "somebody:***@127.0.0.1" in shown and "secretword" not in shown


def test_data_of_a_newer_version_is_refused(
    serve: Started, tmp_path: Path, url: str, cluster: Cluster
) -> None:
    running = serve("--tick-s", "1", data=tmp_path / "one", env=environment(url))
    path = add_app(running)
    cluster.sql("INSERT INTO schema_step VALUES (999, '999_future')", url.rsplit("/", 1)[1])
    said = refused(tmp_path, url)
    assert "newer version" in said and "999_future" in said
    # Those that run go on until they are replaced.
    now = int(time.time())
    assert post(running.port, path, [(now, 5, "web", "")], headers(None)).status == 200
