"""Between agents and a real service: hands reports on as they are, and keeps what they held."""

from __future__ import annotations

import csv
import http.client
import http.server
import io
import threading
from typing import List, NamedTuple
from urllib.parse import urlsplit

from loops import PATIENCE


class Row(NamedTuple):
    second: int
    ms: int
    source: str
    signal: str  # "": a wait


class Report(NamedTuple):
    dyno: str
    rows: List[Row]


class Tee(http.server.ThreadingHTTPServer):
    """`url` is what agents report to, for the service's own address. With `times` above 1 each
    report is handed on so often, as where an answer was lost; the last answer is given."""

    daemon_threads = True

    def __init__(self, service: str, times: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.service, self.times = urlsplit(service), times
        self.reports: List[Report] = []  # those that were answered with 200
        self.refused: List[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}{self.service.path}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self) -> Tee:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def rows(self) -> List[Row]:
        return [row for report in list(self.reports) for row in report.rows]

    def waits(self, source: str = "web") -> List[int]:
        return [row.ms for row in self.rows if row.source == source and not row.signal]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Tee

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for _ in range(self.server.times):
            to = http.client.HTTPConnection(self.server.service.netloc, timeout=PATIENCE)
            to.request("POST", self.path, body, dict(self.headers))
            answer = to.getresponse()
            said = answer.read()
            to.close()
        if answer.status == 200:
            rows = csv.reader(io.StringIO(body.decode(), newline=""))
            kept = [Row(int(second), int(ms), *rest) for second, ms, *rest in rows]
            dyno = self.headers["X_DYNO"] or self.headers["HTTP_X_DYNO"] or ""
            self.server.reports.append(Report(dyno, kept))
        else:
            self.server.refused.append(f"{answer.status} {said!r}")
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
