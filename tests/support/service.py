"""A real `dynoscaled` for the tests, the demo and the benchmarks.

    with Service(directory, "--tick-s", "1").start() as service:
        service.get("/healthz").status

`start` waits until it listens. Its address, its data folder and the link of the first user are in
`port`, `url`, `data` and `first_link`; its whole log in `log`.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
from pathlib import Path
from typing import Dict, Mapping, NamedTuple, Optional

from processes import Directory, Process

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "dynoscaled"
PATIENCE = 60.0


class Answer(NamedTuple):
    status: int
    headers: Dict[str, str]  # names in lower case
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Service(Process):
    """`dynoscaled serve` on a port of the system's choice.

    directory   where its log goes, and its data folder `data` unless it is said
    arguments   further ones of `serve`
    listen      what it listens on; None: only what `arguments` says
    env         added to this process's environment, without its DYNOSCALED_*
    """

    def __init__(
        self,
        directory: Directory,
        *arguments: str,
        data: Optional[Directory] = None,
        listen: Optional[str] = "127.0.0.1:0",
        env: Optional[Mapping[str, str]] = None,
        program: Optional[Directory] = None,
        name: str = "dynoscaled",
    ) -> None:
        self.data = Path(data) if data else Path(directory) / "data"
        self.program = str(program or os.environ.get("TEST_DYNOSCALED") or PROGRAM)
        command = [self.program, "serve", "--data", str(self.data)]
        if listen:
            command += ["--listen", listen]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DYNOSCALED_")}
        clean.update(env or {})
        super().__init__([*command, *arguments], directory, name=name, env=clean)
        self._begins_at = 0

    def start(self) -> Service:
        self._begins_at = len(self.log)
        super().start()
        self.wait_until(lambda: "has started" in self.printed, "start", PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        """A program that was built or wrapped to say at its end what it lost or reached has one of its own."""
        try:
            if self.running and "TEST_DYNOSCALED" in os.environ:
                self.stop(seconds=PATIENCE)
        finally:
            self.kill()

    @property
    def printed(self) -> str:
        """What it printed since its last start."""
        return self.log[self._begins_at :]

    @property
    def port(self) -> int:
        found = re.search(r"^Listening on http://.*:(\d+)$", self.printed, re.MULTILINE)
        assert found, self.printed
        return int(found.group(1))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def first_link(self) -> Optional[str]:
        found = re.search(r"first one here: (\S+)", self.printed)
        return found.group(1) if found else None

    def request(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Optional[Mapping[str, str]] = None) -> Answer:
        return self.request("GET", path, headers=headers)

    def local_get(self, path: str) -> Answer:
        """On the socket in the data folder, as the command line comes: for it nothing is closed."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(str(self.data / "control.sock"))
            connection.request("GET", path)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """One number of the service's own at /metrics: "http_requests_total"."""
        found = re.search(rf"^dynoscaled_{name} (\S+)$", self.local_get("/metrics").text, re.MULTILINE)
        assert found, name
        return float(found.group(1))
