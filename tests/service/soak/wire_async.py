"""HTTP over one lasting connection, for the many clients of a soak in one thread."""

from __future__ import annotations

import asyncio
from typing import Dict, Mapping, NamedTuple, Optional, Tuple

PATIENCE = 60.0


class Reply(NamedTuple):
    status: int
    headers: Dict[str, str]  # names in lower case
    body: bytes


class Broken(Exception):
    """There is no answer: refused, cut off, or too late."""


async def read_head(reader: asyncio.StreamReader) -> Tuple[str, Dict[str, str]]:
    """The first line and the headers of a request or an answer."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return first, {name.lower(): value.strip() for name, _, value in pairs}


class Client:
    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: Optional[asyncio.StreamReader] = None
        self._writer: Optional[asyncio.StreamWriter] = None

    def close(self) -> None:
        if self._writer:
            self._writer.close()
        self._reader = self._writer = None

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Optional[Mapping[str, str]] = None
    ) -> Reply:
        try:
            return await asyncio.wait_for(self._request(method, path, body, headers or {}), PATIENCE)
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self.close()
            raise Broken(f"{method} {path}: {error!r}") from None
        except asyncio.CancelledError:
            self.close()
            raise

    async def open(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> asyncio.StreamReader:
        """Sends; the answer is to be read from what is returned."""
        if not self._reader or not self._writer or self._reader.at_eof():
            self.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", "Host: soak", *(f"{name}: {value}" for name, value in headers.items())]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()
        return self._reader

    async def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        reader = await self.open(method, path, body, headers)
        first, answered = await read_head(reader)
        length = int(answered.get("content-length", "0"))
        content = await reader.readexactly(length)
        if answered.get("connection", "").lower() == "close":
            self.close()
        return Reply(int(first.split()[1]), answered, content)
