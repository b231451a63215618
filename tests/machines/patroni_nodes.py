"""Two PostgreSQL servers that Patroni (as Debian has it) makes one primary and one replica of, with
etcd between them, and HAProxy for those who want one address of the primary."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest

from postgresql import PATIENCE, USER, programs, unprivileged
from processes import Process, free_port

# Patroni's defaults: shorter times make a busy machine look like one that is lost.
TTL_S = 30
CONFIG = """\
scope: shop
name: {name}
restapi: {{listen: '127.0.0.1:{rest}', connect_address: '127.0.0.1:{rest}'}}
etcd: {{host: '127.0.0.1:{etcd}'}}
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: 2
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    # Only a replica that has all that was committed becomes the primary.
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{max_connections: 200, wal_log_hints: 'on', wal_keep_size: 256MB}}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, no-sync]
  pg_hba: ['host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust']
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {folder}/{name}
  bin_dir: {programs}
  pgpass: {folder}/{name}.pgpass
  authentication:
    superuser: {{username: {user}, password: none}}
    replication: {{username: replicator, password: none}}
  parameters: {{unix_socket_directories: ''}}
"""


class Etcd(Process):
    def __init__(self, directory: Path, folder: Path) -> None:
        self.port, peers = free_port(), free_port()
        command = [shutil.which("etcd") or "/usr/bin/etcd", "--enable-v2", "--data-dir", str(folder / "etcd")]
        for what, port in (("client", self.port), ("peer", peers)):
            command += [f"--listen-{what}-urls", f"http://127.0.0.1:{port}"]
        command += ["--advertise-client-urls", f"http://127.0.0.1:{self.port}"]
        command += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{peers}"]
        command += ["--initial-cluster", f"default=http://127.0.0.1:{peers}"]
        super().__init__(command, directory, name="etcd")

    def start(self) -> Etcd:
        super().start()
        self.wait_for_port(self.port, PATIENCE)
        return self


class Node(Process):
    """One machine of the two: Patroni, and the server that it starts."""

    def __init__(self, directory: Path, folder: Path, name: str, etcd: int) -> None:
        self.port, self.rest = free_port(), free_port()
        self.data = folder / name
        config = folder / f"{name}.yml"
        config.write_text(
            CONFIG.format(
                name=name, rest=self.rest, etcd=etcd, port=self.port, folder=folder, user=USER,
                programs=programs(), ttl=TTL_S,
            )
        )  # fmt: skip
        patroni = shutil.which("patroni") or "/usr/bin/patroni"
        super().__init__([*unprivileged(), patroni, str(config)], directory, name=name, cwd="/")

    def status(self, path: str) -> int:
        """What Patroni's API answers; 0: nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Optional[Dict[str, Any]] = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest, timeout=PATIENCE)
        try:
            connection.request(method, path, json.dumps(body) if body else None)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    @property
    def is_primary(self) -> bool:
        return self.status("/primary") == 200

    @property
    def is_in_step(self) -> bool:
        """Whether it is the replica that each commit waits for."""
        return self.status("/synchronous") == 200

    def processes(self) -> List[int]:
        """Patroni's and the server's, each parent before its children."""
        found = [self.pid] if self.running else []
        try:
            found.append(int((self.data / "postmaster.pid").read_text().split()[0]))
        except (OSError, IndexError, ValueError):
            pass
        for process in found:
            run = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False)
            found += [child for child in map(int, run.stdout.split()) if child not in found]
        return found

    def signal_all(self, number: int) -> None:
        for process in self.processes():
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The whole machine stands still meanwhile."""
        self.signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """As a machine ends that loses its power."""
        self.signal_all(signal.SIGKILL)
        super().kill()


class Patroni:
    def __init__(self, directory: Path) -> None:
        for program, package in (("patroni", "patroni"), ("etcd", "etcd-server")):
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed (apt-get install {package})")
        self.folder = Path(tempfile.mkdtemp(prefix="dynoscale-patroni-"))
        self.etcd = Etcd(directory, self.folder)
        # "first" would be a word of PostgreSQL in synchronous_standby_names.
        self.nodes = [Node(directory, self.folder, name, self.etcd.port) for name in ("east", "west")]
        if unprivileged():
            shutil.chown(self.folder, "postgres")

    def __enter__(self) -> Patroni:
        self.etcd.start()
        first, second = self.nodes
        first.start()
        first.wait_until(lambda: first.is_primary, "be the primary", PATIENCE)
        second.start()
        self.wait_until_in_step()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.nodes, self.etcd):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def primary(self) -> Node:
        until = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < until:
            for node in self.nodes:
                if node.is_primary:
                    return node
            time.sleep(0.1)
        raise AssertionError("neither is the primary: " + self.nodes[0].log[-2000:])

    def other(self, node: Node) -> Node:
        return next(other for other in self.nodes if other is not node)

    def wait_until_in_step(self) -> None:
        """Both run, and the primary's commits wait for the replica."""
        until = time.monotonic() + 2 * PATIENCE
        while not any(node.is_in_step for node in self.nodes):
            assert time.monotonic() < until, "no replica is in step: " + self.nodes[1].log[-2000:]
            time.sleep(0.1)

    def database(self, name: str) -> str:
        """Its URL, with both machines in it."""
        run = [str(programs() or "/usr/bin") + "/createdb", "-h", "127.0.0.1", "-p", str(self.primary.port), "-U", USER]
        subprocess.run([*run, name], check=True, capture_output=True)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{USER}@{hosts}/{name}?target_session_attrs=read-write"


class PrimaryProxy(Process):
    """HAProxy as Patroni's documents have it: one address, which leads to the primary."""

    def __init__(self, directory: Path, nodes: List[Node]) -> None:
        self.port, self.nodes = free_port(), nodes
        servers = "\n".join(
            f"    server {node.name} 127.0.0.1:{node.port} check port {node.rest} inter 1s fall 2 rise 1"
            " on-marked-down shutdown-sessions"
            for node in nodes
        )
        path = directory / "primary.cfg"
        path.write_text(
            "defaults\n    mode tcp\n    timeout connect 4s\n    timeout client 30m\n    timeout server 30m\n"
            "    timeout check 5s\n"
            f"listen primary\n    bind 127.0.0.1:{self.port}\n    option httpchk OPTIONS /primary\n"
            f"    http-check expect status 200\n{servers}\n"
        )
        haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
        super().__init__([haproxy, "-db", "-f", str(path)], directory, name="primary-proxy")

    def start(self) -> PrimaryProxy:
        super().start()
        # Until its first checks it takes each for the primary.
        self.wait_until(lambda: self.log.count("is DOWN") >= len(self.nodes) - 1, "find the replica", PATIENCE)
        return self
