"""The command line of dynoscaled, the local socket, and reports, for the tests of this folder."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from service import PATIENCE, PROGRAM, Answer, Service

RULES = """\
# of the tests
zone: Europe/Berlin
processes:
  web:
    scaling: on
    rules:
      - {name: office, days: [mon, tue, wed, thu, fri], from: "08:00", to: "20:00",
         dynos: {min: 1, max: 6}, up: {threshold_ms: 100, step: 1, wait: 60}}
      - {name: default, dynos: {min: 1, max: 4}, down: {threshold_ms: 50, step: 1, wait: 300}}
  worker:
    scaling: off
    rules:
      - {name: default, queues: ["sidekiq:*"], dynos: {min: 0, max: 5}}
"""

# What `platform set APP command` calls: keeps a number for each process in a file.
SCALE = """\
#!/bin/sh
file="${0%/*}/formation-$2"
case $1 in
read) cat "$file" 2>/dev/null || echo 2 ;;
set) echo "$3" >"$file" ;;
esac
"""


class Command:
    """`dynoscaled` with a data folder: command("app", "add", "shop") → what it did."""

    def __init__(self, data: Optional[Path], cwd: Optional[Path] = None) -> None:
        self.data = data
        self.cwd = cwd

    def __call__(
        self, *arguments: str, stdin: str = "", env: Optional[Mapping[str, str]] = None
    ) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DYNOSCALED_")}
        clean.update(env or {})
        if self.data:
            clean["DYNOSCALED_DATA"] = str(self.data)
        return subprocess.run(
            [os.environ.get("TEST_DYNOSCALED") or str(PROGRAM), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=clean,
            cwd=self.cwd,
            timeout=PATIENCE,
        )

    def done(self, *arguments: str, stdin: str = "") -> str:
        """What it printed; it must have succeeded."""
        run = self(*arguments, stdin=stdin)
        assert run.returncode == 0, (arguments, run.stdout, run.stderr)
        return run.stdout

    def json(self, *arguments: str, stdin: str = "") -> Any:
        return json.loads(self.done(*arguments, "--json", stdin=stdin))


class _LocalConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self.path))


def local_request(
    data: Path, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str]
) -> Answer:
    """A request on the socket in the data folder, as the command line makes it."""
    connection = _LocalConnection(data / "control.sock")
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


def report(service: Service, url: str, rows: List[Tuple[int, int, str]]) -> Answer:
    """A report of rows (second, ms, source) as the agents send them."""
    body = "".join(f"{second},{ms},{source},\r\n" for second, ms, source in rows)
    headers: Dict[str, str] = {
        "Content-Type": "text/csv",
        "User-Agent": "dynoscale-python;2.0.0",
        "X_DYNO": "web.1",
        "HTTP_X_DYNO": "web.1",
        "X_REQUEST_START": f"t={int(time.time())}",
        "Idempotency-Key": uuid.uuid4().hex,
    }
    path = url[url.index("/api/") :]
    return service.request("POST", path, body.encode(), headers)


def wait_for(condition: Any, what: str) -> Any:
    """What `condition` gives once it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {PATIENCE:.0f} s")


def write_scale(folder: Path) -> Path:
    path = folder / "scale"
    path.write_text(SCALE)
    path.chmod(0o755)
    return path


def children(pid: int) -> List[int]:
    """The processes that a process has started and that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after_name[1]) == pid and after_name[0] != "Z":
            found.append(int(status.parent.name))
    return found


def keepers(service: Service) -> List[int]:
    """The one that waits, and the one that has the key."""
    (first,) = children(service.pid)
    (second,) = wait_for(lambda: children(first), "a second keeper")
    return [first, second]


def forms(secret: str) -> List[bytes]:
    """As it is, and as base64 and hex may show it."""
    plain = secret.encode()
    return [plain, base64.b64encode(plain).rstrip(b"=")[:-1], plain.hex().encode()]


def of_processes(service: Service) -> Dict[str, bytes]:
    """What others can see of the processes of a service: arguments and environment."""
    return {
        f"{name} of {pid}": Path(f"/proc/{pid}/{name}").read_bytes()
        for pid in (service.pid, *keepers(service))
        for name in ("cmdline", "environ")
    }


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
