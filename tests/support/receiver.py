#!/usr/bin/env python3
"""A false Dynoscale service: speaks the server's side of the protocol, keeps what arrives,
and misbehaves when told to. Standard library only.

    python3 tests/support/receiver.py [--host 127.0.0.1] [--port 0] [--tls CERT KEY]
                                      [--store FILE] [--control] [--until-eof]

prints `listening on http://127.0.0.1:PORT` when it is ready. `--control` opens a second, plain
HTTP port for the `/_/` paths, which answers whatever happens to the first one, and prints
`control on http://127.0.0.1:PORT` as a second line. `--until-eof` ends with its standard input,
and so with the process that holds the other end. `--store` appends each report as a JSON line.

    POST /<any other path>  a report
    GET  /_/reports         all attempts: [{"path", "headers": {lower-case name: value}, "body",
                            "rows", "status", "received_at", "error"}]; status 0: none was sent
    GET  /_/rows[?from=N]   rows of the reports answered with 2xx, each Idempotency-Key once, in
                            order: [{"timestamp", "metric", "source", "metadata", "user_agent"}]
    GET  /_/summary         {"reports", "accepted", "rows", "malformed", "repeated"}
    GET  /_/wait?rows=N&reports=N&accepted=N&seconds=S
                            the summary, with "reached", once all numbers are reached or time is up
    POST /_/behave          how reports are answered from now on, see below
    POST /_/clear           forgets what was stored

A report that breaks the protocol is kept with its "error" and answered with 400 and that text.

Behaviour is a JSON object with a "mode". Every mode takes "times": N (it holds for N reports) and
"then": {...} (what comes after; a service that is well, unless given), and "delay": seconds
before the answer. Where an answer is sent it takes "status", "body" and "headers" as well.

    ok          200; "publish_frequency": N makes the body, and so do "signals": [names],
                "jobs": false and "heartbeat": N; "lenient": true accepts any report;
                "checks": true accepts one without rows, which else breaks the protocol
    status      "status": 503, for example with "headers": {"Retry-After": "1"}
    refuse      the port refuses connections, open ones are cut; "seconds": S ends it (the port
                stays reserved meanwhile). Only the control port answers now.
    stall       never answers. "at": "answer" (default; the request is read), "body" (the head of
                the answer is sent) or "connect" (not even the TLS handshake is made)
    drip        one byte of the answer each "seconds" (default 1)
    close       closes the connection "at": "request" (before its body is read), "answer" (default;
                in the middle of the answer)
    reset       as close, with a TCP reset
    garbage     something that is not HTTP
    huge        an answer of "size" bytes (default 100 MB); "chunked": true without its length
    gzip_bomb   "size" bytes (default 100 MB) compressed, with Content-Encoding: gzip
    deep        JSON nested "depth" (default 100,000) times
    redirect    "status" (default 301) to "location" (default: the same path, a loop)
    random      for each report one of "of": [{...}, ...], drawn with "seed"
"""

from __future__ import annotations

import argparse
import csv
import functools
import http.client
import io
import json
import random
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import parse_qs, urlencode, urlsplit

Behaviour = Dict[str, Any]
Row = Dict[str, Any]

MODES = frozenset(
    "ok status refuse stall drip close reset garbage huge gzip_bomb deep redirect random".split()
)
WELL: Behaviour = {"mode": "ok"}
HUNDRED_MB = 100 * 1024 * 1024
CHUNK = 64 * 1024
LARGEST_REPORT = 256 * 1024 * 1024
SIGNALS_OF_WEB = frozenset("busy slots unstamped begin".split())
SIGNALS_OF_JOBS = frozenset("depth working".split())
ASKED = frozenset("publish_frequency signals jobs heartbeat".split())
LONGEST_QUEUE_TIME_MS = 10 * 60 * 1000  # an older stamp is not plausible
PATIENCE = 120.0  # what bounds a wait that would never end, on a machine with much else to do

HEADER_RULES: Tuple[Tuple[str, str, str], ...] = (
    ("content-type", r"text/csv", "text/csv"),
    ("user-agent", r"dynoscale-(ruby|python);\d+\.\d+\.\d+\S*", "dynoscale-LANGUAGE;VERSION"),
    ("x_dyno", r"\S+", "the value of DYNO"),
    ("http_x_dyno", r"\S+", "the value of DYNO"),
    ("x_request_start", r"t=\d{9,10}", "t=EPOCH_SECOND"),
    ("idempotency-key", r"[0-9a-fA-F]{32}", "32 hexadecimal digits"),
)


class ProtocolError(Exception):
    """What a report did wrong, in one sentence."""


@dataclass
class Report:
    """One attempt to report. `status` is that of the answer, 0 as long as none was sent."""

    path: str
    headers: Dict[str, str]
    body: bytes
    received_at: float
    error: Optional[str] = None
    row_count: int = 0
    status: int = 0

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def key(self) -> str:
        """What a repetition is known by; unique where the report has no key."""
        return self.headers.get("idempotency-key", "").lower() or f"none, {id(self)}"

    def rows(self) -> List[Row]:
        """The rows, none where they can't be read. Bodies are kept and read anew each time: a
        long soak then costs the memory of its text only."""
        try:
            return read_rows(self.body)
        except ProtocolError:
            return []

    def as_json(self) -> Dict[str, Any]:
        return {
            "path": self.path,
            "headers": self.headers,
            "body": self.body.decode("utf-8", "replace"),
            "rows": self.rows(),
            "status": self.status,
            "received_at": self.received_at,
            "error": self.error,
        }


# ---- The protocol ----------------------------------------------------------------------------


def read_rows(body: bytes) -> List[Row]:
    """Parses the body of a report; raises ProtocolError for what PROTOCOL.md doesn't allow."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the body is not UTF-8: {error}") from None
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ProtocolError(f"the body is not CSV: {error}") from None
    if not records:
        raise ProtocolError("the body is empty; an empty batch is not sent")
    rows = [_read_row(number, record) for number, record in enumerate(records, 1)]
    # Encoding the rows again shows line ends, quotes and blanks that were read leniently.
    if not any(_encode(records, end) in (text, text + end) for end in ("\r\n", "\n")):
        raise ProtocolError("the body is not plain RFC 4180: mixed line ends or needless quotes")
    return rows


def _read_row(number: int, record: List[str]) -> Row:
    if len(record) != 4:
        raise ProtocolError(f"row {number} has {len(record)} fields instead of 4: {record}")
    timestamp, metric, source, metadata = record
    if not re.fullmatch(r"[0-9]{9,10}", timestamp):
        raise ProtocolError(f"row {number}: the timestamp {timestamp!r} is not an epoch second")
    if not re.fullmatch(r"[0-9]{1,15}", metric):
        raise ProtocolError(f"row {number}: the metric {metric!r} is not whole milliseconds")
    if source != "web" and not re.fullmatch(r"[a-z0-9_]{1,32}:.+", source, re.DOTALL):
        raise ProtocolError(f"row {number}: the source {source!r} is neither web nor BACKEND:QUEUE")
    if source == "web" and not metadata and int(metric) > LONGEST_QUEUE_TIME_MS:
        raise ProtocolError(f"row {number}: {metric} ms are no plausible queue time of a request")
    if metadata and metadata not in (SIGNALS_OF_WEB if source == "web" else SIGNALS_OF_JOBS):
        raise ProtocolError(f"row {number}: the metadata {metadata!r} is no signal of {source}")
    return {
        "timestamp": int(timestamp),
        "metric": int(metric),
        "source": source,
        "metadata": metadata,
    }


def _encode(records: List[List[str]], line_end: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=line_end).writerows(records)
    return out.getvalue()


def _check_headers(method: str, headers: Dict[str, str]) -> None:
    if method != "POST":
        raise ProtocolError(f"the method is {method} instead of POST")
    for name, pattern, expected in HEADER_RULES:
        value = headers.get(name)
        if value is None:
            raise ProtocolError(f"the header {name} is missing; expected {expected}")
        if not re.fullmatch(pattern, value):
            raise ProtocolError(f"the header {name} is {value!r}; expected {expected}")
    if headers["x_dyno"] != headers["http_x_dyno"]:
        raise ProtocolError("X_DYNO and HTTP_X_DYNO differ")
    if headers.get("x_app_name") == "":
        raise ProtocolError("X_APP_NAME is empty; it is left out when unset")


# ---- The service -----------------------------------------------------------------------------


class Receiver:
    """The service in threads of this process. `ReceiverProcess` is the same in a process of its
    own, which keeps it from the interpreter's lock of what is being measured."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Optional[Tuple[str, str]] = None,
        store: Optional[str] = None,
        control: bool = False,
    ) -> None:
        self._host = host
        self._tls = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        self._store = Path(store) if store is not None else None
        self._changed = threading.Condition(threading.RLock())
        self._behaviour = WELL
        self._left: Optional[int] = None
        self._random = random.Random()
        self._refusal_ends: Optional[threading.Timer] = None
        self._reports: List[Report] = []
        self._bodies: Dict[str, bytes] = {}
        self._accepted: Dict[str, Report] = {}
        self._row_count = 0
        self.stopping = threading.Event()
        self._port = _Port(host, port, self._serve)
        self._control = _Port("127.0.0.1", 0, self._serve_control) if control else None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port.number}"

    @property
    def control_url(self) -> Optional[str]:
        return f"http://127.0.0.1:{self._control.number}" if self._control else None

    def start(self) -> Receiver:
        for port in self._ports():
            port.start()
        return self

    def stop(self) -> None:
        with self._changed:
            self.stopping.set()
            self._cancel_refusal()
            self._changed.notify_all()
        for port in self._ports():
            port.stop()

    def _ports(self) -> List[_Port]:
        return [self._port] + ([self._control] if self._control else [])

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- What arrived --

    def reports(self) -> List[Dict[str, Any]]:
        with self._changed:
            reports = list(self._reports)
        return [report.as_json() for report in reports]

    def rows(self, start: int = 0) -> List[Row]:
        with self._changed:
            reports = list(self._accepted.values())
        rows: List[Row] = []
        for report in reports:
            if start >= report.row_count:
                start -= report.row_count
                continue
            agent = report.headers.get("user-agent", "")
            rows += [dict(row, user_agent=agent) for row in report.rows()[start:]]
            start = 0
        return rows

    def summary(self) -> Dict[str, int]:
        with self._changed:
            accepted = sum(report.accepted for report in self._reports)
            return {
                "reports": len(self._reports),
                "accepted": accepted,
                "rows": self._row_count,
                "malformed": sum(report.error is not None for report in self._reports),
                "repeated": accepted - len(self._accepted),
            }

    def wait(self, seconds: float = PATIENCE, **numbers: int) -> Dict[str, Any]:
        """Waits until each named number of the summary is reached; "reached" says whether."""

        def reached() -> bool:
            summary = self.summary()
            return all(summary[name] >= number for name, number in numbers.items())

        with self._changed:
            self._changed.wait_for(lambda: self.stopping.is_set() or reached(), seconds)
            return dict(self.summary(), reached=reached())

    def clear(self) -> None:
        with self._changed:
            self._reports.clear()
            self._bodies.clear()
            self._accepted.clear()
            self._row_count = 0

    # -- How it answers --

    def behave(self, mode: str = "ok", **details: Any) -> None:
        behaviour = _checked(dict(details, mode=mode))
        with self._changed:
            self._cancel_refusal()
            self._take_on(behaviour)

    def _take_on(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._left = behaviour.get("times")
        if behaviour["mode"] == "random":
            self._random.seed(behaviour.get("seed"))
        if behaviour["mode"] != "refuse":
            self._port.listen()
            return
        self._port.refuse()
        if "seconds" in behaviour:
            then = behaviour.get("then", WELL)
            timer = threading.Timer(behaviour["seconds"], lambda: self.behave(**then))
            timer.daemon = True
            self._refusal_ends = timer
            timer.start()

    def _cancel_refusal(self) -> None:
        if self._refusal_ends is not None:
            self._refusal_ends.cancel()
            self._refusal_ends = None

    def next_behaviour(self) -> Behaviour:
        """The behaviour for one report, counted down."""
        with self._changed:
            behaviour = self._behaviour
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    self._take_on(behaviour.get("then", WELL))
            while behaviour["mode"] == "random":
                behaviour = self._random.choice(behaviour["of"])
            return behaviour

    # -- What the handler tells --

    def check(self, method: str, report: Report, lenient: bool, checks: bool) -> None:
        """Finds out what the report did wrong, and how many rows it has."""
        try:
            if report.body or not checks:
                report.row_count = len(read_rows(report.body))
            _check_headers(method, report.headers)
            with self._changed:
                if self._bodies.setdefault(report.key, report.body) != report.body:
                    raise ProtocolError("the Idempotency-Key came before with another body")
        except ProtocolError as error:
            report.error = None if lenient else str(error)

    def keep(self, report: Report) -> None:
        with self._changed:
            self._reports.append(report)
            self._changed.notify_all()

    def answered(self, report: Report, status: int) -> None:
        """Called just before the status line leaves: whoever has read it finds the rows here."""
        with self._changed:
            report.status = status
            if report.accepted and report.key not in self._accepted:
                self._accepted[report.key] = report
                self._row_count += report.row_count
            if self._store is not None:
                with self._store.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(report.as_json()) + "\n")
            self._changed.notify_all()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        with self._changed:
            silent = self._behaviour["mode"] == "stall" and self._behaviour.get("at") == "connect"
            if silent:
                self.next_behaviour()
        if silent:
            _hold(connection)
            return
        if self._tls is not None:
            connection.settimeout(30)
            connection = self._tls.wrap_socket(connection, server_side=True)
            connection.settimeout(None)
        with connection:
            _Handler(connection, address, self)

    def _serve_control(self, connection: socket.socket, address: Any) -> None:
        _Handler(connection, address, self, control_only=True)


def _checked(behaviour: Behaviour) -> Behaviour:
    """The behaviour with all that follow it; raises ValueError for one that doesn't exist."""
    if behaviour.get("mode") not in MODES:
        raise ValueError(f"no mode {behaviour.get('mode')!r}; there are: {' '.join(sorted(MODES))}")
    checked = dict(behaviour)
    if "then" in behaviour:
        checked["then"] = _checked(behaviour["then"])
    if behaviour["mode"] == "random":
        checked["of"] = [_checked(one) for one in behaviour["of"]]
        if any(one["mode"] in ("refuse", "random") for one in checked["of"]):
            raise ValueError("random can draw neither refuse nor random")
    return checked


class _Port:
    """A listening socket, a thread that accepts, and a thread a connection."""

    def __init__(self, host: str, number: int, serve: Callable[[socket.socket, Any], None]) -> None:
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._host = host
        self._serve = serve
        self._lock = threading.Lock()
        self._connections: Dict[socket.socket, None] = {}
        self._wake, self._woken = socket.socketpair()
        self._socket = self._bound(number)
        self.number: int = self._socket.getsockname()[1]
        self._listening = False
        self._stopped = False

    def _bound(self, number: int) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((self._host, number))
        return bound

    def start(self) -> None:
        self.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def listen(self) -> None:
        with self._lock:
            if self._listening or self._stopped:
                return
            self._socket.listen(128)
            self._listening = True
            self._wake.send(b"!")

    def refuse(self) -> None:
        with self._lock:
            if not self._listening:
                return
            self._listening = False
            self._close()
            # Bound and not listening refuses connections, and nobody else gets the port.
            self._socket = self._bound(self.number)
            self._cut()
            self._wake.send(b"!")

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._listening = False
            self._close()
            self._cut()
        self._wake.close()

    def _close(self) -> None:
        try:
            # A close alone leaves the port listening for as long as `_accept` is in select.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not listening, or a system where close is enough
        self._socket.close()

    def _cut(self) -> None:
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was faster

    def _accept(self) -> None:
        while True:
            with self._lock:
                if self._stopped:
                    self._woken.close()
                    return
                waited = [self._woken] + ([self._socket] if self._listening else [])
            try:
                ready = select.select(waited, [], [])[0]
            except (OSError, ValueError):
                continue  # closed meanwhile by refuse or stop
            if self._woken in ready:
                self._woken.recv(64)
                continue
            with self._lock:
                if self._socket not in ready:
                    continue
                try:
                    connection, address = self._socket.accept()
                except OSError:
                    continue
                self._connections[connection] = None
            threading.Thread(target=self._run, args=(connection, address), daemon=True).start()

    def _run(self, connection: socket.socket, address: Any) -> None:
        try:
            # A duplicate, as TLS takes the socket over while `_cut` has to reach the connection.
            with connection.dup() as own:
                self._serve(own, address)
        except (OSError, ValueError):
            pass  # the agent hung up, or refused our certificate
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()


def _hold(connection: socket.socket) -> None:
    """Says nothing until the other side, or `_cut`, ends the connection."""
    while connection.recv(CHUNK):
        pass


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    raw_requestline: bytes
    server: Receiver  # type: ignore[assignment]

    def __init__(
        self,
        connection: socket.socket,
        address: Any,
        receiver: Receiver,
        control_only: bool = False,
    ) -> None:
        self._control_only = control_only
        super().__init__(connection, address, receiver)  # type: ignore[arg-type]

    def handle(self) -> None:
        try:
            super().handle()
        finally:
            self.finish()  # the files hold the socket open

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _dispatch(self) -> None:
        if self.path.startswith("/_/"):
            self._command()
        elif self._control_only:
            self._send_json(404, {"error": "this port takes commands only, below /_/"})
        else:
            self._report()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _dispatch

    def send_error(self, code: int, message: Any = None, explain: Any = None) -> None:
        """What http.server could not read as a request is kept as a malformed report."""
        if not self._control_only:
            line = self.raw_requestline.decode("latin-1").rstrip("\r\n")
            report = Report(line, {}, b"", time.time(), f"not an HTTP request: {message or code}")
            self.server.keep(report)
            self.server.answered(report, code)
        self.close_connection = True
        super().send_error(code, message, explain)

    # -- Commands --

    def _command(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        body = self._read_body()
        receiver = self.server
        commands: Dict[Tuple[str, str], Callable[[], Any]] = {
            ("GET", "reports"): receiver.reports,
            ("GET", "rows"): lambda: receiver.rows(int(query.get("from", "0"))),
            ("GET", "summary"): receiver.summary,
            ("GET", "wait"): lambda: receiver.wait(
                float(query.pop("seconds", PATIENCE)),
                **{name: int(number) for name, number in query.items()},
            ),
            ("POST", "behave"): lambda: receiver.behave(**json.loads(body or b"{}")),
            ("POST", "clear"): receiver.clear,
        }
        command = commands.get((self.command, address.path[len("/_/") :]))
        if command is None:
            self._send_json(404, {"error": f"no command {self.command} {address.path}"})
            return
        try:
            self._send_json(200, command())
        except (ValueError, TypeError, KeyError) as error:
            self._send_json(400, {"error": f"{type(error).__name__}: {error}"})

    def _send_json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self.wfile.write(self._head(status, head) + body)

    # -- Reports --

    def _report(self) -> None:
        behaviour = self.server.next_behaviour()
        headers: Dict[str, str] = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        report = Report(self.path, headers, b"", time.time())
        mode = behaviour["mode"]
        if mode in ("close", "reset") and behaviour.get("at") == "request":
            self.server.keep(report)
            self._cut(mode)
            return
        report.body = self._read_body()
        lenient = bool(behaviour.get("lenient"))
        checks = bool(behaviour.get("checks") or "heartbeat" in behaviour)
        self.server.check(self.command, report, lenient, checks)
        self.server.keep(report)
        self.server.stopping.wait(behaviour.get("delay", 0))
        if mode == "ok" and report.error:
            behaviour = {"mode": "status", "status": 400, "body": report.error + "\n"}
        self._answer(behaviour, report)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 <= length <= LARGEST_REPORT:
            raise ValueError(f"a body of {length} bytes")
        return self._read_exactly(length)

    def _read_exactly(self, length: int) -> bytes:
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionError(f"the body ended after {len(data)} of {length} bytes")
        return data

    def _chunks(self) -> Iterator[bytes]:
        while True:
            length = int(self.rfile.readline(80).split(b";")[0], 16)
            if length == 0:
                break
            yield self._read_exactly(length)
            self.rfile.readline(80)
        while self.rfile.readline(CHUNK).strip():
            pass  # trailers

    # -- Answers --

    def _answer(self, behaviour: Behaviour, report: Report) -> None:
        mode = behaviour["mode"]
        if mode == "stall" and behaviour.get("at") != "body":
            _hold(self.connection)
            self.close_connection = True
            return
        if mode == "garbage":
            self.wfile.write(behaviour.get("body", "\x00\x01 no HTTP at all\r\n\r\n").encode())
            self.close_connection = True
            return
        status, headers, body = self._composed(behaviour)
        head = self._head(status, headers)
        if mode == "drip":
            self._drip(head, body, behaviour.get("seconds", 1.0), report, status)
            return
        self.server.answered(report, status)
        if mode == "stall":
            self.wfile.write(head)
            _hold(self.connection)
            self.close_connection = True
        elif mode in ("close", "reset"):
            self.wfile.write(head + body[: len(body) // 2])
            self._cut(mode)
        elif mode == "huge":
            self.wfile.write(head)
            self._stream(behaviour.get("size", HUNDRED_MB), bool(behaviour.get("chunked")))
        else:
            self.wfile.write(head + body)

    def _composed(self, behaviour: Behaviour) -> Tuple[int, Dict[str, str], bytes]:
        mode = behaviour["mode"]
        status = behaviour.get("status", 200)
        headers: Dict[str, str] = {"Date": self.date_time_string()}
        text = behaviour.get("body")
        body = text.encode() if text is not None else b""
        if mode == "ok" and ASKED & behaviour.keys():
            asked = {key: behaviour[key] for key in ASKED & behaviour.keys()}
            body = json.dumps({"config": asked}).encode()
        elif mode in ("stall", "close", "reset", "drip") and text is None:
            body = b'{"config": {}}'
        elif mode == "gzip_bomb":
            body = _gzip_bomb(behaviour.get("size", HUNDRED_MB))
            headers["Content-Encoding"] = "gzip"
        elif mode == "deep":
            depth = behaviour.get("depth", 100_000)
            body = b'{"config":' * depth + b"1" + b"}" * depth
        elif mode == "redirect":
            status = behaviour.get("status", 301)
            headers["Location"] = behaviour.get("location", self.path)
        if mode == "huge" and behaviour.get("chunked"):
            headers["Transfer-Encoding"] = "chunked"
        elif status not in (204, 304):
            length = behaviour.get("size", HUNDRED_MB) if mode == "huge" else len(body)
            headers["Content-Length"] = str(length)
        if body or mode == "huge":
            headers["Content-Type"] = "application/json"
        headers.update(behaviour.get("headers", {}))
        return status, headers, body

    def _head(self, status: int, headers: Dict[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _drip(self, head: bytes, body: bytes, pause: float, report: Report, status: int) -> None:
        status_line_end = head.index(b"\n")
        for index, byte in enumerate(head + body):
            if index == status_line_end:
                self.server.answered(report, status)
            self.wfile.write(bytes([byte]))
            if self.server.stopping.wait(pause):
                self.close_connection = True
                return

    def _stream(self, size: int, chunked: bool) -> None:
        block = b" " * CHUNK
        for start in range(0, size, CHUNK):
            part = block[: min(CHUNK, size - start)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _cut(self, mode: str) -> None:
        if mode == "reset":
            no_linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.close_connection = True


@functools.lru_cache(maxsize=4)
def _gzip_bomb(size: int) -> bytes:
    """A small valid answer with blanks up to `size` bytes behind it, compressed. A block of blanks is
    compressed once and repeated: on a busy machine all of them take longer than a client waits."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)

    def packed(data: bytes) -> bytes:  # on its own: a full flush forgets what was before
        return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)

    answer, block = b'{"config": {"publish_frequency": 1}}', b" " * (1024 * 1024)
    whole, rest = divmod(max(0, size - len(answer)), len(block))
    check = zlib.crc32(answer)
    for _ in range(whole):
        check = zlib.crc32(block, check)
    check = zlib.crc32(block[:rest], check)
    body = packed(answer) + packed(block) * whole + packed(block[:rest]) + packer.flush()
    length = len(answer) + whole * len(block) + rest
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"  # RFC 1952: no name, no time, system unknown
    return header + body + struct.pack("<II", check, length % 2**32)


# ---- In a process of its own -----------------------------------------------------------------


class ReceiverProcess:
    """A Receiver as a child process. It ends with this process, whatever happens to that.

    with ReceiverProcess() as receiver:
        start_an_app(DYNOSCALE_URL=receiver.url + "/token")
        receiver.wait(rows=300, seconds=10)
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Optional[Tuple[str, str]] = None,
        store: Optional[str] = None,
    ) -> None:
        self._arguments = ["--host", host, "--port", str(port), "--control", "--until-eof"]
        self._arguments += ["--tls", *tls] if tls else []
        self._arguments += ["--store", store] if store else []
        self._process: Optional[subprocess.Popen[str]] = None
        self.url = ""
        self.control_url = ""

    def start(self) -> ReceiverProcess:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._read_address("listening on ")
        self.control_url = self._read_address("control on ")
        return self

    def _read_address(self, before: str) -> str:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(before):
            self.stop()
            raise RuntimeError(f"the receiver did not start: {line!r} instead of {before!r}")
        return line[len(before) :].strip()

    def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def __enter__(self) -> ReceiverProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reports(self) -> List[Dict[str, Any]]:
        reports: List[Dict[str, Any]] = self._ask("GET", "reports")
        return reports

    def rows(self, start: int = 0) -> List[Row]:
        rows: List[Row] = self._ask("GET", f"rows?from={start}")
        return rows

    def summary(self) -> Dict[str, int]:
        summary: Dict[str, int] = self._ask("GET", "summary")
        return summary

    def wait(self, seconds: float = PATIENCE, **numbers: int) -> Dict[str, Any]:
        query = urlencode(dict(numbers, seconds=seconds))
        summary: Dict[str, Any] = self._ask("GET", f"wait?{query}", seconds)
        return summary

    def behave(self, mode: str = "ok", **details: Any) -> None:
        self._ask("POST", "behave", body=json.dumps(dict(details, mode=mode)))

    def clear(self) -> None:
        self._ask("POST", "clear")

    def _ask(
        self, method: str, command: str, patience: float = 0.0, body: Optional[str] = None
    ) -> Any:
        address = urlsplit(self.control_url)
        assert address.hostname is not None
        connection = http.client.HTTPConnection(address.hostname, address.port, 30 + patience)
        try:
            connection.request(method, f"/_/{command}", body)
            answer = connection.getresponse()
            value = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"the receiver refused {method} {command}: {value['error']}")
        return value


def _until_eof(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A false Dynoscale service for tests and demonstrations.",
        epilog="The commands and the ways to misbehave are described at the top of the source.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files; speak HTTPS")
    parser.add_argument("--store", metavar="FILE", help="append each report as a line of JSON")
    parser.add_argument("--control", action="store_true", help="a second port for commands")
    parser.add_argument("--until-eof", action="store_true", help="end with the standard input")
    options = parser.parse_args()
    try:
        receiver = Receiver(
            options.host, options.port, options.tls, options.store, options.control
        )
    except OSError as error:
        parser.exit(1, f"receiver: can't listen on {options.host} port {options.port}: {error}\n")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with receiver:
        if not options.control:  # for a person, who tries the doctor, too
            receiver.behave("ok", checks=True)
        print(f"listening on {receiver.url}", flush=True)
        if options.control:
            print(f"control on {receiver.control_url}", flush=True)
        if options.until_eof:
            threading.Thread(target=_until_eof, args=(ended,), daemon=True).start()
        ended.wait()


if __name__ == "__main__":
    main()
