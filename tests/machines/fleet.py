"""A number of services on one database, HAProxy and pgbouncer as Debian has them, and senders that
behave as agents do."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from postgresql import Cluster, unprivileged
from processes import Process, free_port
from reports import Sender, add_app, counted, finish
from service import PROGRAM, Service

PATIENCE = 120.0
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

SCALE = """\
#!/bin/sh
# Keeps a number in a file, takes its time to set it, and notes when it began and ended.
folder="${0%/*}"
case $1 in
read) cat "$folder/formation-$2" 2>/dev/null || echo 1 ;;
set)
    echo "begin $3 $(date +%s.%N) $$" >>"$folder/calls"
    sleep "$(cat "$folder/takes" 2>/dev/null || echo 0)"
    echo "$3" >"$folder/formation-$2"
    echo "end $3 $(date +%s.%N) $$" >>"$folder/calls" ;;
esac
"""

RULES = """\
zone: UTC
processes:
  web:
    scaling: on
    rules:
      - {{name: default, dynos: {{min: {least}, max: 9}}}}
"""


class Fleet:
    """`count` services, each with a folder and a port of its own."""

    def __init__(
        self, directory: Path, url: str, count: int, *arguments: str, env: Optional[Dict[str, str]] = None
    ) -> None:
        self.directory = directory
        self.services: List[Service] = []
        self.arguments = arguments
        self.env = {"DYNOSCALED_DATABASE": url, "DYNOSCALED_KEY": KEY, **(env or {})}
        for _ in range(count):
            self.add()

    def add(self, *arguments: str, env: Optional[Dict[str, str]] = None, port: int = 0, **others: Any) -> Service:
        name = f"service-{len(self.services) + 1}"
        service = Service(
            self.directory, *self.arguments, *arguments,
            data=self.directory / name, name=name, env={**self.env, **(env or {})},
            listen=f"127.0.0.1:{port or free_port()}", **others,
        )  # fmt: skip
        self.services.append(service.start())
        return service

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for service in self.services:
            service.__exit__(None, None, None)

    def holder(self) -> Service:
        """The one that acts, by what each has logged last."""

        def acts(service: Service) -> bool:
            found = re.findall(r"acts from now on|stands by|has started", service.log)
            return service.running and bool(found) and found[-1] != "stands by" and self.is_holder(service)

        first = self.services[0]
        first.wait_until(lambda: any(acts(service) for service in self.services), "act", PATIENCE)
        return next(service for service in self.services if acts(service))

    def is_holder(self, service: Service) -> bool:
        return f"/{service.pid}/" in self.lease()

    def lease(self) -> str:
        line = ["psql", "-X", "-q", "-A", "-t", "-d", self.env["DYNOSCALED_DATABASE"]]
        run = subprocess.run(
            [*line, "-c", "SELECT '/' || split_part(holder, '/', 2) || '/', epoch FROM lease"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return run.stdout


class HAProxy(Process):
    """In front of services: asks each for /healthz, and gives a request whose service died to
    another one. That may repeat it, which is what a report's key is for."""

    def __init__(self, directory: Path, ports: List[int]) -> None:
        if not shutil.which("haproxy") and not Path("/usr/sbin/haproxy").exists():
            pytest.skip("HAProxy is not installed (apt-get install haproxy)")
        self.port = free_port()
        busy = directory / "503"
        busy.write_bytes(
            b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        )
        servers = "\n".join(
            f"    server s{port} 127.0.0.1:{port} check inter 200 fall 1 rise 1" for port in ports
        )
        path = directory / "haproxy.cfg"
        path.write_text(
            f"""\
global
    maxconn 2000
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
    retries 10
    option redispatch 1
    retry-on conn-failure empty-response response-timeout
    errorfile 502 {busy}
    errorfile 503 {busy}
    errorfile 504 {busy}
frontend all
    bind 127.0.0.1:{self.port}
    default_backend services
backend services
    balance roundrobin
    option httpchk GET /healthz
{servers}
"""
        )
        haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
        super().__init__([haproxy, "-db", "-f", str(path)], directory, name="haproxy")

    def start(self) -> HAProxy:
        super().start()
        self.wait_for_port(self.port)
        return self


class PgBouncer(Process):
    """In transaction mode: after each transaction the server's connection goes to somebody else."""

    def __init__(self, directory: Path, cluster: Cluster, connections: int = 6) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        if not Path(program).exists():
            pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
        self.port = free_port()
        folder = cluster.folder / "pgbouncer"
        folder.mkdir()
        path = folder / "pgbouncer.ini"
        path.write_text(
            f"""\
[databases]
* = host=127.0.0.1 port={cluster.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
"""
        )
        # With auth_type any the server's user is that of the database's line.
        path.write_text(path.read_text().replace(f"port={cluster.port}", f"port={cluster.port} user=dynoscale"))
        if unprivileged():
            shutil.chown(folder, "postgres")
        super().__init__([*unprivileged(), program, str(path)], directory, name="pgbouncer", cwd="/")

    def start(self) -> PgBouncer:
        super().start()
        self.wait_for_port(self.port)
        return self


class SmallDisk:
    """A file system of its own in memory, which can be filled."""

    def __init__(self, folder: Path, mib: int = 128) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.mib = mib

    def __enter__(self) -> SmallDisk:
        size = f"size={self.mib}m"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder)]
        if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            pytest.skip("a disk of one's own takes root")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def fill(self) -> None:
        with (self.folder / "filling").open("wb") as file:
            try:
                while True:
                    file.write(bytes(65536))
                    file.flush()
            except OSError as error:
                assert error.errno == errno.ENOSPC, error

    def clear(self) -> None:
        (self.folder / "filling").unlink()


class Senders:
    """`count` of them, until `finish`, which asks whether each row is there once."""

    def __init__(self, fleet: Fleet, port: int, count: int = 6, app: str = "shop") -> None:
        self.fleet, self.app = fleet, app
        self.began = time.time()
        self.end = threading.Event()
        self.path = add_app(fleet.services[0], app)
        self.all = [Sender(number, port, self.path, self.end) for number in range(count)]
        for sender in self.all:
            sender.start()

    @property
    def answered(self) -> int:
        return sum(sender.answered for sender in self.all)

    def wait_for_more(self, more: int = 20) -> None:
        wanted, until = self.answered + more, time.monotonic() + PATIENCE
        while self.answered < wanted:
            assert time.monotonic() < until, "no report was answered with 2xx for too long"
            time.sleep(0.05)

    def finish(self, unbroken: bool = False) -> str:
        self.end.set()
        sent = finish(self.all)
        for service in self.fleet.services:
            if service.running:
                assert counted(service, begin=self.began, app=self.app) == sent, service.name
        broken, busy = (sum(getattr(s, what) for s in self.all) for what in ("broken", "busy"))
        if unbroken:
            assert broken == 0
        return f"{sent} reports, each there once; 503 {busy} times, cut off {broken} times"


class Scaled:
    """An app whose dynos are a number in a file."""

    def __init__(self, fleet: Fleet, app: str = "scaled") -> None:
        self.fleet, self.app = fleet, app
        self.folder = fleet.directory / app
        self.folder.mkdir()
        self.program = self.folder / "scale"
        self.program.write_text(SCALE)
        self.program.chmod(0o755)
        self.command("app", "add", app)
        self.rules(1)
        self.command("platform", "set", app, "command", "--", str(self.program))

    def command(self, *arguments: str, stdin: str = "") -> str:
        env = {**os.environ, **self.fleet.env}
        program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
        run = subprocess.run(
            [program, *arguments[:3], "--data", str(self.fleet.directory / "nowhere"), *arguments[3:]],
            input=stdin, capture_output=True, text=True, env=env, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return run.stdout

    def rules(self, least: int, patience: float = 0) -> None:
        """Within `patience` it is tried again, as by somebody who is told that a database is away."""
        until = time.monotonic() + patience
        while True:
            try:
                self.command("rules", "put", self.app, "-", stdin=RULES.format(least=least))
                return
            except AssertionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def takes(self, seconds: float) -> None:
        (self.folder / "takes").write_text(f"{seconds}\n")

    def calls(self) -> List[List[str]]:
        path = self.folder / "calls"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_call(self, what: str, number: int) -> None:
        until = time.monotonic() + 2 * PATIENCE
        while not any(call[:2] == [what, str(number)] for call in self.calls()):
            assert time.monotonic() < until, f"no {what} of a call for {number}: {self.calls()}"
            time.sleep(0.05)

    def overlaps(self) -> List[str]:
        """Calls that began while another one had not ended."""
        under_way, found = "", []
        for what, number, _, pid in self.calls():
            if what == "begin":
                if under_way:
                    found.append(f"{number} began during {under_way}")
                under_way = number + " " + pid
            elif under_way == number + " " + pid:
                under_way = ""
        return found
