"""Reports as agents send them, and what the service says that it counted."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
import time
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from service import Answer, Service
from wire import Wire

PATIENCE = 60.0

Row = Tuple[int, int, str, str]  # second, metric, source, metadata


def command(service: Service, *arguments: str) -> str:
    """What a command of the program prints."""
    line = [service.program, *arguments, "--data", str(service.data)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def add_app(service: Service, name: str = "shop") -> str:
    """The path of its reports."""
    printed = command(service, "app", "add", name)
    found = re.search(r"DYNOSCALE_URL=\S*?(/api/v1/report/\S+)", printed)
    assert found, printed
    return found.group(1)


def csv(rows: List[Row], end: str = "\r\n") -> bytes:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text

    lines = [f"{second},{metric},{quoted(source)},{metadata}" for second, metric, source, metadata in rows]
    return "".join(line + end for line in lines).encode()


def headers(
    key: Optional[str], dyno: Optional[str] = "web.1", agent: str = "dynoscale-ruby;2.0.0",
    sent: Optional[float] = None,
) -> Dict[str, str]:  # fmt: skip
    lines = {"Content-Type": "text/csv", "User-Agent": agent}
    lines["X_REQUEST_START"] = f"t={int(time.time() if sent is None else sent)}"
    if dyno is not None:
        lines.update({"X_DYNO": dyno, "HTTP_X_DYNO": dyno})
    if key is not None:
        lines["Idempotency-Key"] = key
    return lines


def post(
    port: int, path: str, body: Union[bytes, List[Row]], lines: Mapping[str, str]
) -> Answer:
    """One report on a connection of its own; OSError or HTTPException where there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body if isinstance(body, bytes) else csv(body), dict(lines))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


class Sender(threading.Thread):
    """Reports, each sent again under its key until it is answered with 2xx, as agents do; until
    `end` is set, or `most` were answered."""

    def __init__(
        self, number: int, port: int, path: str, end: threading.Event, most: Optional[int] = None
    ) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.path, self.end, self.most = number, port, path, end, most
        self.sent = self.answered = self.busy = self.broken = 0
        self.wrong: List[str] = []

    def report(self) -> Union[bytes, List[Row]]:
        return [(int(time.time()), self.number, "web", "")]

    def try_once(self, key: str, body: Union[bytes, List[Row]]) -> bool:
        try:
            answer = post(self.port, self.path, body, headers(key, f"web.{self.number + 1}"))
        except (OSError, http.client.HTTPException):
            self.broken += 1
            return False
        if answer.status == 503:
            self.busy += 1
            if not int(answer.headers.get("retry-after", "0")):
                self.wrong.append("503 without Retry-After")
            return False
        if answer.status != 200:
            self.wrong.append(f"{answer.status} {answer.text}")
        return True

    def run(self) -> None:
        while not self.end.is_set() and not self.wrong and self.sent != self.most:
            key, body = f"{self.number:016x}{self.sent:016x}", self.report()
            self.sent += 1
            while not self.try_once(key, body):
                time.sleep(0.02)
            self.answered += 1


def finish(senders: Sequence[Sender]) -> int:
    """Waits for their end. How many reports there were, each of which was answered."""
    for sender in senders:
        sender.join(2 * PATIENCE)
        assert not sender.is_alive()
    assert [sender.wrong for sender in senders] == [[]] * len(senders)
    sent = sum(sender.sent for sender in senders)
    assert sum(sender.answered for sender in senders) == sent
    return sent


def local(service: Service, path: str) -> object:
    """JSON of the API, asked for on the machine itself."""
    wire = Wire(0, str(service.data / "control.sock"))
    answer = wire.send(f"GET {path} HTTP/1.0\r\n\r\n".encode()).end()
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b" 200 " in head.split(b"\r\n", 1)[0], answer
    return json.loads(body)


def points(
    service: Service, source: str, begin: float, end: float, step: int = 10, app: str = "shop",
    signal: str = "wait",
) -> List[Dict[str, int]]:  # fmt: skip
    begin, end = int(begin) // step * step, -(-int(end) // step) * step
    path = f"/api/v1/apps/{app}/series?source={source}&signal={signal}&from={begin}&to={end}&step={step}"
    answer = local(service, path)
    assert isinstance(answer, dict)
    found: List[Dict[str, int]] = answer["points"]
    return found


def counted(
    service: Service, source: str = "web", begin: Optional[float] = None, app: str = "shop",
    signal: str = "wait",
) -> int:  # fmt: skip
    now = time.time()
    steps = points(service, source, now - 900 if begin is None else begin, now + 10, 60, app, signal)
    return sum(point["count"] for point in steps)
