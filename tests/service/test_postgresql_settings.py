"""PostgreSQL set up in other ways than usual, and what becomes of it under a service that runs: what can be
used is used as always, what can't is refused with what to do, and no report that was answered is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from certificates import make_certificates
from conftest import Started
from dynoscaled import RULES, Command
from postgresql import ODD, USER, Cluster, programs
from reports import add_app, counted, headers, post
from service import PROGRAM, Service

pytestmark = pytest.mark.skipif(
    programs() is None, reason="PostgreSQL is not installed (on Debian: apt-get install postgresql)"
)
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
PATIENCE = 120.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = ("max_connections=60", "authentication_timeout=600s")
    with Cluster(tmp_path_factory.mktemp("cluster"), *settings, durable=False) as cluster:
        yield cluster.start()


@pytest.fixture(autouse=True)
def on_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a database of its own, in a run of the suite on PostgreSQL too."""
    monkeypatch.delenv("TEST_DATABASE", raising=False)


def environment(url: str) -> Dict[str, str]:
    return {"DYNOSCALED_DATABASE": url, "DYNOSCALED_KEY": KEY}


def refused(tmp_path: Path, url: str) -> str:
    """What a service says that does not start."""
    program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    run = subprocess.run(
        [program, "serve", "--data", str(tmp_path / "refused"), "--listen", "127.0.0.1:0"],
        env={**os.environ, **environment(url)}, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    return run.stderr


class Reports:
    """One after the other, each until it is answered with 200; nothing but 503 comes otherwise."""

    def __init__(self, service: Service, app: str = "shop") -> None:
        self.service, self.app = service, app
        self.path = add_app(service, app)
        self.began = time.time()
        self.sent = 0

    def send(self) -> int:
        """The status of the next one."""
        answer = post(
            self.service.port, self.path, [(int(time.time()), 5, "web", "")], headers(f"{self.sent:032x}")
        )
        assert answer.status in (200, 503), answer.text
        assert answer.status == 200 or int(answer.headers["retry-after"]) > 0
        self.sent += answer.status == 200
        return answer.status

    def until(self, status: int, more: int = 1) -> None:
        end = time.monotonic() + PATIENCE
        while more > 0:
            more -= self.send() == status
            assert time.monotonic() < end, f"no {status}: {self.service.log[-2000:]}"

    def are_all_there(self) -> None:
        assert counted(self.service, begin=self.began, app=self.app) == self.sent


def cut_connections(cluster: Cluster, database: str) -> None:
    cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


# ---- What must not matter ------------------------------------------------------------------------


@pytest.mark.parametrize("suite", ["commit", "ledger", "lease", "store"])
def test_what_the_suite_in_c_asks_of_a_store_holds_whatever_the_servers_settings(
    cluster: Cluster, suite: str
) -> None:
    objects = os.environ.get("TEST_OBJECTS")
    program = Path(objects or "") / "tests" / "service" / f"test_{suite}"
    if not objects or not program.exists():
        pytest.skip("the suite in C is not built: make test-service-http builds it")
    env = {**os.environ, "TEST_DATABASE": cluster.odd_database()}
    run = subprocess.run([program], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_servers_settings_do_not_matter(serve: Started, tmp_path: Path, cluster: Cluster) -> None:
    """Time zone, locale, isolation, time-outs and how values are written: those of postgresql.ODD."""
    url = cluster.odd_database()
    assert cluster.sql("SHOW timezone", url.rsplit("/", 1)[1]) == ODD["timezone"]
    service = serve("--tick-s", "1", env=environment(url))
    command = Command(service.data)
    reports = Reports(service)
    reports.until(200, 50)
    command.done("app", "add", "istanbul-i")
    command.done("rules", "put", "istanbul-i", "-", stdin=RULES)
    assert command.done("rules", "get", "istanbul-i") == RULES
    command.done("user", "add", "İIıi\\'", stdin="a long enough one\n")
    assert [person["name"] for person in command.json("user", "list")["people"]] == ["İIıi\\'"]
    # An idle connection is cut after some seconds.
    service.wait_until(
        lambda: "acts from now" in service.log or service.get("/readyz").status == 200, "act", PATIENCE
    )
    reports.until(200, 50)
    reports.are_all_there()
    assert "ERROR" not in service.log and "WARNING" not in service.log


def test_services_of_two_schemas_know_nothing_of_each_other(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    cluster.sql("CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE public.app (note TEXT)", url.rsplit("/", 1)[1])
    services = [
        serve(data=tmp_path / name, name=name, env=environment(f"{url}?options=-csearch_path%3D{name}"))
        for name in ("one", "two")
    ]
    both = [Reports(service, f"of-{service.name}") for service in services]
    for reports in both:
        reports.until(200, 5)
        reports.are_all_there()
    assert post(services[1].port, both[0].path, [(int(time.time()), 5, "web", "")], headers("k")).status == 401


def test_a_step_of_the_schema_may_take_long(serve: Started, tmp_path: Path, cluster: Cluster) -> None:
    """Longer than a statement otherwise may, as an index of a large table does."""
    url = cluster.database()
    cluster.sql(
        "CREATE SCHEMA slow; CREATE SEQUENCE slow.times; CREATE FUNCTION slow.down() RETURNS event_trigger"
        " LANGUAGE plpgsql AS 'BEGIN IF nextval(''slow.times'') = 1 THEN PERFORM pg_sleep(20); END IF; END';"
        "CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slow.down()",
        url.rsplit("/", 1)[1],
    )
    reports = Reports(serve(env=environment(url)))
    reports.until(200, 2)
    reports.are_all_there()


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_can_not_hold_every_text_is_refused(
    tmp_path: Path, cluster: Cluster, encoding: str
) -> None:
    url = cluster.database(f"TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    said = refused(tmp_path, url)
    assert encoding in said and "ENCODING 'UTF8'" in said
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", url.rsplit("/", 1)[1]) == "0"


def test_a_user_who_may_not_make_tables_is_refused_with_what_to_do(tmp_path: Path, cluster: Cluster) -> None:
    url = cluster.database()
    cluster.sql("CREATE ROLE powerless LOGIN")
    said = refused(tmp_path, url.replace(USER, "powerless"))
    assert "may not" in said and "GRANT" in said


def test_a_user_who_may_only_read_and_write_works_on_what_the_owner_made(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    owner = serve(data=tmp_path / "owner", name="owner", env=environment(url))
    owner.stop()
    cluster.sql(
        "CREATE ROLE writer LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer;"
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO writer",
        url.rsplit("/", 1)[1],
    )
    service = serve(data=tmp_path / "writer", name="writer", env=environment(url.replace(USER, "writer")))
    reports = Reports(service)
    reports.until(200, 5)
    reports.are_all_there()


def test_a_server_whose_certificate_names_another_host_is_refused(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    made = make_certificates(tmp_path)
    # verify-full asks for the name, and for an authority that is trusted.
    for name, (certificate, key) in (("right", made.valid), ("wrong", made.wrong_host)):
        with Cluster(tmp_path, name=name, durable=False) as secure:
            secure.start()
            for source, target in ((certificate, "server.crt"), (key, "server.key")):
                to = secure.data / target
                subprocess.run(["install", "-m", "600", *owner_of(secure.data), source, to], check=True)
            secure.sql("ALTER SYSTEM SET ssl = on")
            secure.sql("SELECT pg_reload_conf()")
            url = f"{secure.database()}?sslmode=verify-full&sslrootcert={made.authority}"
            if name == "right":
                until_encrypted(secure, url)
                Reports(serve(name=name, data=tmp_path / name, env=environment(url))).until(200, 3)
                untrusted = url.replace(made.authority, made.self_signed[0])
                assert "certificate verify failed" in refused(tmp_path, untrusted)
            else:
                until_encrypted(secure, url.replace("verify-full", "require"))
                said = refused(tmp_path, url)
                assert "does not match host name" in said and "127.0.0.1" in said


def owner_of(data: Path) -> List[str]:
    return ["-o", data.owner(), "-g", data.group()] if os.geteuid() == 0 else []


def until_encrypted(cluster: Cluster, url: str) -> None:
    """The server reads its settings anew in its own time."""
    line = ["psql", "-X", "-A", "-t", "-d", url, "-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"]
    cluster.wait_until(
        lambda: subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip() == "t",
        "speak TLS", PATIENCE,
    )  # fmt: skip


# ---- What happens to a service that runs ---------------------------------------------------------


def test_reports_wait_while_the_server_takes_no_more_connections(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    database = url.rsplit("/", 1)[1]
    cluster.sql("CREATE ROLE many LOGIN")
    cluster.sql("GRANT ALL ON SCHEMA public TO many", database)
    service = serve("--tick-s", "1", env=environment(url.replace(USER, "many")))
    reports = Reports(service)
    reports.until(200, 10)
    with contextlib.ExitStack() as stack:
        cluster.sql("ALTER ROLE many CONNECTION LIMIT 0")
        cut_connections(cluster, database)
        reports.until(503, 2)
        assert service.get("/healthz").status == 200
        service.wait_until(lambda: service.get("/readyz").status == 503, "say that it is not ready", PATIENCE)
        cluster.sql("ALTER ROLE many CONNECTION LIMIT -1")
        reports.until(200)
        # All that the server has, those too that the service had.
        until = time.monotonic() + PATIENCE
        while not all(reports.send() == 503 for _ in range(3)):
            assert time.monotonic() < until
            hold_connections(cluster, stack)
            for pid in backends(cluster, database):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            hold_connections(cluster, stack)
        assert service.get("/healthz").status == 200
    reports.until(200, 10)
    reports.are_all_there()
    service.wait_until(lambda: service.get("/readyz").status == 200, "be ready", PATIENCE)


def backends(cluster: Cluster, database: str) -> List[int]:
    """The server's processes for those who are connected, by their titles: it takes no one who asks it."""

    def title(pid: int) -> str:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_text()
        return ""

    return [pid for pid in cluster.processes() if f" {database} " in title(pid)]


def hold_connections(cluster: Cluster, stack: contextlib.ExitStack) -> None:
    """Takes all that there are: each counts while it has not said who it is."""
    for _ in range(60):
        stack.enter_context(socket.create_connection(("127.0.0.1", cluster.port)))


def test_reports_wait_while_the_database_has_another_name(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    database = url.rsplit("/", 1)[1]
    service = serve("--tick-s", "1", env=environment(url))
    reports = Reports(service)
    reports.until(200, 10)

    def rename(old: str, new: str) -> None:
        cluster.sql(f"ALTER DATABASE {old} WITH ALLOW_CONNECTIONS false")
        cut_connections(cluster, old)
        cluster.wait_until(
            lambda: cluster.sql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{old}'") == "0", "end all",
            PATIENCE,
        )  # fmt: skip
        cluster.sql(f"ALTER DATABASE {old} RENAME TO {new}")
        cluster.sql(f"ALTER DATABASE {new} WITH ALLOW_CONNECTIONS true")

    rename(database, "other_name")
    reports.until(503, 2)
    assert service.get("/healthz").status == 200
    service.wait_until(lambda: f'database "{database}" does not exist' in service.log, "say so", PATIENCE)
    rename("other_name", database)
    reports.until(200, 10)
    reports.are_all_there()


def test_reports_wait_while_the_tables_can_not_be_seen(serve: Started, tmp_path: Path, cluster: Cluster) -> None:
    """Somebody sets another search_path for the user: there is no table then, nor a token to be wrong."""
    url = cluster.database()
    database = url.rsplit("/", 1)[1]
    service = serve("--tick-s", "1", env=environment(url))
    reports = Reports(service)
    reports.until(200, 10)
    cluster.sql("CREATE SCHEMA elsewhere", database)
    cluster.sql(f"ALTER DATABASE {database} SET search_path = elsewhere")
    cut_connections(cluster, database)
    reports.until(503, 2)
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'elsewhere'", database) == "0"
    cluster.sql(f"ALTER DATABASE {database} RESET search_path")
    cut_connections(cluster, database)
    reports.until(200, 10)
    reports.are_all_there()


def test_reports_wait_while_the_user_may_not_write(serve: Started, tmp_path: Path, cluster: Cluster) -> None:
    url = cluster.database()
    database = url.rsplit("/", 1)[1]
    service = serve("--tick-s", "1", env=environment(url))
    reports = Reports(service)
    reports.until(200, 10)
    for begin, end in (
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
        ("SET statement_timeout = '1ms'", "RESET statement_timeout"),
    ):
        cluster.sql(f"ALTER DATABASE {database} {begin}")
        cut_connections(cluster, database)
        reports.until(503 if "read_only" in begin else 200)
        cluster.sql(f"ALTER DATABASE {database} {end}")
        cut_connections(cluster, database)
        reports.until(200, 10)
    reports.are_all_there()
