"""Real Redis, PostgreSQL and RabbitMQ servers on loopback, each in its own folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Optional, Sequence

from processes import Process, ProcessError, free_port


class Redis(Process):
    """redis-server with nothing stored on disk; `start` waits until it listens. With `tls`, the
    files of an authority, a certificate and its key, it speaks nothing but TLS."""

    def __init__(
        self,
        directory: Path,
        options: Sequence[str] = (),
        name: str = "redis-server",
        tls: Optional[tuple[Path, Path, Path]] = None,
    ) -> None:
        self.port = free_port()
        ports = ["--port", str(self.port)]
        if tls is not None:
            files = zip(("--tls-ca-cert-file", "--tls-cert-file", "--tls-key-file"), tls)
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            ports += [text for option, file in files for text in (option, str(file))]
        command = ["redis-server", *ports, "--bind", "127.0.0.1", "--dir", str(directory)]
        command += ["--save", "", "--appendonly", "no", *options]
        super().__init__(command, directory, name=name)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Redis:
        super().start()
        self.wait_for_port(self.port)
        return self


class Sentinel(Process):
    """redis-sentinel that watches one master under the name `mymaster`."""

    def __init__(self, directory: Path, master_port: int, password: str) -> None:
        self.port = free_port()
        config = directory / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor mymaster 127.0.0.1 {master_port} 1\n"
            f"sentinel auth-pass mymaster {password}\n"
        )
        super().__init__(["redis-server", str(config), "--sentinel"], directory, name="sentinel")

    def start(self) -> Sentinel:
        super().start()
        self.wait_for_port(self.port)
        return self


class RedisCluster(Redis):
    """A cluster of one server, which takes Redis 7; `start` waits until it answers for all keys.
    Without `keys` it has none of them, and refers to nobody."""

    def __init__(self, directory: Path, keys: bool = True) -> None:
        self._keys = keys
        options = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
        options += ["--cluster-port", str(free_port())]
        super().__init__(directory, options, name="redis-cluster")

    def start(self) -> RedisCluster:
        super().start()
        if self._keys:
            self._ask("CLUSTER ADDSLOTSRANGE 0 16383")
            self.wait_until(lambda: "cluster_state:ok" in self._ask("CLUSTER INFO"), "be a cluster")
        return self

    def _ask(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(4096).decode()


def find_postgresql() -> Optional[Path]:
    """The folder of its programs."""
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return path.parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


class PostgreSQL(Process):
    """postgres with an empty database `postgres` of the user `dynoscale`; `start` waits until it
    answers. It will not run as root: then it is the user `postgres`, whom Debian makes for it."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        programs = find_postgresql() or Path("/usr/bin")
        self._data = directory / "data"
        self._unprivileged = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._initdb = [programs / "initdb", "-D", self._data, "-U", "dynoscale", "-A", "trust"]
        self._ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        command = [*self._unprivileged, str(programs / "postgres"), "-D", str(self._data)]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._data), "-F"]
        super().__init__(command, directory, name="postgres", cwd="/")

    def start(self) -> PostgreSQL:
        self._data.mkdir()
        for folder in self._data.parents[:3]:  # pytest's, which are for their owner alone
            folder.chmod(folder.stat().st_mode | 0o011)
        if self._unprivileged:
            shutil.chown(self._data, "postgres")
        command = [*self._unprivileged, *map(str, self._initdb), "-N"]
        subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=True, timeout=60)
        super().start()
        self.wait_until(lambda: subprocess.run(self._ready, check=False).returncode == 0, "answer")
        return self


def find_rabbitmq() -> Optional[str]:
    """RabbitMQ's own script. Debian's on the PATH changes the user."""
    versions = Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")
    for version in sorted(versions, reverse=True):
        return str(version / "sbin" / "rabbitmq-server")
    return shutil.which("rabbitmq-server")


class RabbitMQ(Process):
    """rabbitmq-server with its management API, `guest`/`guest`, and no Erlang port of its own to
    the world; `start` waits until both listen."""

    def __init__(self, directory: Path) -> None:
        self.port, self.manager_port = free_port(), free_port()
        self._erlang_port, self._names_port = free_port(), free_port()
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.manager_port}\n"
            "collect_statistics_interval = 1000\n"
            "loopback_users.guest = true\n"
        )
        (directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        self._environment = {
            **os.environ,
            "HOME": str(directory),  # for Erlang's cookie
            "RABBITMQ_NODENAME": f"dynoscale{self.port}@localhost",
            "RABBITMQ_BASE": str(directory),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_DIST_PORT": str(self._erlang_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._names: Optional[Process] = None
        self._directory = directory
        command = [find_rabbitmq() or "rabbitmq-server"]
        super().__init__(command, directory, name="rabbitmq", env=self._environment)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> RabbitMQ:
        # Erlang's name server, which otherwise starts as a daemon and stays.
        epmd = shutil.which("epmd")
        if epmd is None:
            raise ProcessError("there is no epmd: install erlang-base")
        self._names = Process([epmd], self._directory, name="epmd", env=self._environment)
        self._names.start().wait_for_port(self._names_port)
        super().start()
        self.wait_for_port(self.port)
        self.wait_for_port(self.manager_port)
        return self

    def kill(self) -> None:
        super().kill()
        if self._names is not None:
            self._names.kill()

    def ctl(self, *arguments: str) -> str:
        """The output of rabbitmqctl."""
        command = [str(Path(self.command[0]).with_name("rabbitmqctl")), *arguments]
        return subprocess.run(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=60,
        ).stdout
