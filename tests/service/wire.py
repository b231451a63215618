"""Raw bytes to a service and back."""

from __future__ import annotations

import re
import socket
from typing import List, Optional

PATIENCE = 60.0


class Wire:
    """One connection; `received` is all that came so far."""

    def __init__(self, port: int, path: Optional[str] = None) -> None:
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.received = b""

    def send(self, data: bytes) -> Wire:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent; the answer says why
        return self

    def until(self, part: bytes) -> bytes:
        """All that was received, once `part` is in it."""
        while part not in self.received:
            more = self.socket.recv(65536)
            assert more, f"closed without {part!r} after {self.received[-500:]!r}"
            self.received += more
        return self.received

    def end(self) -> bytes:
        """All that was received, once the service has closed."""
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                break
            if not more:
                break
            self.received += more
        self.close()
        return self.received

    def close(self) -> None:
        self.socket.close()


def ask(port: int, data: bytes) -> bytes:
    """All that is answered to these bytes, until the service closes."""
    return Wire(port).send(data).end()


def statuses(answers: bytes) -> List[int]:
    """Of each answer in a stream of them whose bodies do not look like one."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
