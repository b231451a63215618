"""Starts and stops real servers on loopback: for the tests, the demo and the benchmarks.

    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        with Process(["python3", "-m", "http.server", str(port)], directory).start() as app:
            app.wait_for_port(port)
            front = Nginx(directory, upstream_port=port)
            with front.start():
                ...  # requests to http://127.0.0.1:{front.port} reach the app with a stamp
            app.stop(signal.SIGINT)

Each process leads a process group of its own. A `with` block, also one that fails, leaves nothing
of the group behind; what the process printed is in `log` and in the error where it fails.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, List, Mapping, Optional, Sequence, Set, TypeVar, Union

Directory = Union[str, Path]
Started = TypeVar("Started", bound="Process")

POLL_SECONDS = 0.01
PATIENCE = 120.0  # what bounds a wait that would never end, on a machine with much else to do
LOG_TAIL_LINES = 40
# Below the ports that Linux and macOS give to outgoing connections, so that none takes one
# between `free_port` and the server's start.
PORTS = range(20000, 32000)

_given_ports: Set[int] = set()


class ProcessError(Exception):
    """A process did not start, did not end in time or ended badly; holds the end of its log."""


class DidNotEnd(ProcessError):
    """A process did not end in time."""


# What happened before a try was repeated, of a server that is known not to end now and then or of a
# test that failed once: tests/conftest.py prints it at the end, and suites.py counts it.
repeated: List[str] = []

# With which a Ruby ends that otherwise would not.
DEADLOCK = "No live threads left. Deadlock?"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses, and that this process has not given out before."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            # As servers do: a port that only has connections in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise ProcessError(f"no free port from {PORTS.start} to {PORTS.stop - 1} on 127.0.0.1")


class Process:
    """A program in the foreground.

    command    the program and its arguments
    directory  where its log goes; must exist
    name       what it is called in errors, and its log `NAME.log`; the program's name by default
    env        its whole environment; this process's by default
    cwd        its working directory; this process's by default
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Directory,
        name: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[Directory] = None,
    ) -> None:
        self.command: List[str] = [str(part) for part in command]
        self.name = name or Path(self.command[0]).name
        self.log_path = Path(directory) / f"{self.name}.log"
        self._env = env
        self._cwd = cwd
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too. ProcessError before the start."""
        if self._process is None:
            raise ProcessError(f"{self.name} has not been started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that it printed so far, on either stream."""
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def start(self: Started) -> Started:
        command = self.command
        if signal.SIG_IGN in map(signal.getsignal, (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)):
            # Started by a shell in the background, or with nohup; the servers are to know all three.
            command = ["env", "--default-signal=INT,QUIT,HUP", *command]
        with self.log_path.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessError(f"{self.name} can't be started: {error}") from None
        return self

    def wait_for_port(self, port: int, seconds: float = PATIENCE) -> None:
        """Returns once something on 127.0.0.1 accepts connections to the port."""

        def accepts() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=seconds).close()
            except OSError:
                return False
            return True

        self.wait_until(accepts, f"accept connections on port {port}", seconds)

    def wait_until(
        self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE
    ) -> None:
        """Returns once `condition()` holds; `what` completes "puma did not …" where it doesn't in
        time, or the process ends first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.running:
                raise self._failure(f"ended before it could {what}")
            if time.monotonic() > deadline:
                raise self._failure(f"did not {what} within {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def send_signal(self, number: int) -> None:
        """Sends a signal to the process, not to its group."""
        if self.running:
            os.kill(self.pid, number)

    def stop(
        self,
        number: int = signal.SIGTERM,
        seconds: float = PATIENCE,
        expected: Sequence[int] = (0,),
    ) -> float:
        """Sends the signal, waits for the end and gives the seconds that it took. ProcessError
        after `seconds`, or where the exit status is not `expected` (-15: ended by signal 15)."""
        assert self._process is not None
        started = time.monotonic()
        self.send_signal(number)
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            name = signal.Signals(number).name
            failure = self._failure(f"did not end within {seconds:g} s of {name}")
            raise DidNotEnd(str(failure)) from None
        if status not in expected:
            failure = self._failure(f"ended with status {status}")
            raise DidNotEnd(str(failure)) if DEADLOCK in self.log else failure
        return time.monotonic() - started

    def kill(self) -> None:
        """Ends the whole group at once. Nothing happens where it has ended."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def __enter__(self: Started) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _failure(self, what: str) -> ProcessError:
        tail = "\n".join(self.log.splitlines()[-LOG_TAIL_LINES:])
        command = " ".join(self.command)
        return ProcessError(f"{self.name} {what}.\nCommand: {command}\nEnd of its log:\n{tail}")


NGINX_CONFIG = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    client_max_body_size 100m;
    keepalive_requests 1000000;
    upstream app {{
        server 127.0.0.1:{upstream_port};
        {keepalive}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "{connection}";
            proxy_set_header X-Request-Start "t=${{msec}}";
            # One request here is one request there.
            proxy_next_upstream off;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


class Nginx(Process):
    """nginx on `port`, which stamps each request with `X-Request-Start: t=${msec}` and hands it to
    127.0.0.1:`upstream_port`, each on a connection of its own or, with `keepalive`, over that many
    lasting ones. `start` waits until it listens."""

    def __init__(
        self,
        directory: Directory,
        upstream_port: int,
        port: Optional[int] = None,
        keepalive: int = 0,
        name: str = "nginx",
    ) -> None:
        self.port = port or free_port()
        directory = Path(directory).resolve()
        self._config = directory / f"{name}.conf"
        self._config.write_text(
            NGINX_CONFIG.format(
                directory=directory,
                upstream_port=upstream_port,
                port=self.port,
                keepalive=f"keepalive {keepalive};" if keepalive else "",
                connection="" if keepalive else "close",
            )
        )
        command = [find_nginx() or "nginx", "-p", str(directory), "-c", str(self._config)]
        # Otherwise it also writes to the log that it was built with.
        command += ["-e", "stderr"]
        super().__init__(command, directory, name=name)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Nginx:
        super().start()
        self.wait_for_port(self.port)
        return self


def find_nginx() -> Optional[str]:
    """The path of nginx, None where it isn't installed. Debian's is not on a user's PATH."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
