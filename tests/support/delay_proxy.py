#!/usr/bin/env python3
"""A hop between router and app that holds each request for a known time. Standard library only.

    python3 tests/support/delay_proxy.py --to PORT --delay-ms 40

prints `listening on 127.0.0.1:PORT` when it is ready, and ends with its standard input. It then
prints a JSON list with a pair for each request: the ms from the stamp in the request's
X-Request-Start to the moment before the request went on to the app, and to the moment when the
first byte of the answer was there. The app got the request between the two, however busy the
machine was. One request a connection, as nginx sends it without `keepalive`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional, Tuple

Pair = Tuple[float, float]

HOST = "127.0.0.1"
LARGEST_HEAD = 64 * 1024


class DelayProxy:
    """The hop as a child process, which ends with this one whatever happens.

    with DelayProxy(app_port, delay_ms=40) as hop:
        ...  # requests to 127.0.0.1:{hop.port}
        for sent_on_ms, answered_ms in hop.stop():
    """

    def __init__(self, to_port: int, delay_ms: float) -> None:
        self._arguments = ["--to", str(to_port), "--delay-ms", str(delay_ms)]
        self._process: Optional[subprocess.Popen[str]] = None
        self.port = 0

    def start(self) -> DelayProxy:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"the delaying hop did not start: {line!r}")
        self.port = int(line.rpartition(":")[2])
        return self

    def stop(self) -> List[Pair]:
        """The pair of each request, in the order of the answers; none at the second call."""
        if self._process is None:
            return []
        process, self._process = self._process, None
        try:
            printed, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return []
        return [(sent_on, answered) for sent_on, answered in json.loads(printed or "[]")]

    def __enter__(self) -> DelayProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Hop:
    def __init__(self, to_port: int, delay_ms: float) -> None:
        self._to_port = to_port
        self._delay = delay_ms / 1000
        self.pairs: List[Pair] = []

    async def handle(
        self, router_in: asyncio.StreamReader, router_out: asyncio.StreamWriter
    ) -> None:
        came = time.monotonic()
        app_out: Optional[asyncio.StreamWriter] = None
        try:
            request = await _read_request(router_in)
            await asyncio.sleep(max(0.0, came + self._delay - time.monotonic()))
            app_in, app_out = await asyncio.open_connection(HOST, self._to_port)
            sent_on_ms = _ms_since_stamp(request)
            app_out.write(request)
            data = await app_in.read(LARGEST_HEAD)
            self.pairs.append((sent_on_ms, _ms_since_stamp(request)))
            while data:
                router_out.write(data)
                await router_out.drain()
                data = await app_in.read(LARGEST_HEAD)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass  # either side hung up, or no stamp: nginx makes it a 502, which the load reports
        finally:
            for writer in (router_out, app_out):
                if writer is not None:
                    writer.close()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _header(head, b"content-length")
    return head + await reader.readexactly(int(length or 0))


def _ms_since_stamp(request: bytes) -> float:
    seconds = _header(request, b"x-request-start").replace(b"t=", b"")
    return (time.time_ns() - round(float(seconds) * 1000) * 1_000_000) / 1_000_000


def _header(request: bytes, wanted: bytes) -> bytes:
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == wanted:
            return value.strip()
    return b""


async def _serve(to_port: int, delay_ms: float) -> List[Pair]:
    hop = _Hop(to_port, delay_ms)
    server = await asyncio.start_server(hop.handle, HOST, 0, limit=LARGEST_HEAD, backlog=1024)
    print(f"listening on {HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()
    return hop.pairs


def main() -> None:
    parser = argparse.ArgumentParser(description="Holds each HTTP request for a known time.")
    parser.add_argument("--to", type=int, required=True, metavar="PORT", help="the app's port")
    parser.add_argument("--delay-ms", type=float, required=True)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_serve(options.to, options.delay_ms))))


if __name__ == "__main__":
    main()
