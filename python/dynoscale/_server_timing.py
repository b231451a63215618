"""The answer header of the setting server_timing, which browsers' developer tools show.

    Server-Timing: queue;dur=12

The extension module puts these in the place of start_response and send, where the setting is on
and the request had a usable stamp. An entry of the app's own is kept, what the app gave is not
changed, and what is no answer passes untouched.
"""

from __future__ import annotations

from typing import Any


class StartResponse:
    """A WSGI server's start_response, which adds the header."""

    __slots__ = ("_start_response", "entry")

    def __init__(self, start_response: Any, queue_time_ms: int) -> None:
        self._start_response = start_response
        self.entry = f"queue;dur={queue_time_ms}"

    def __call__(self, status: Any, headers: Any, *more: Any, **named: Any) -> Any:
        try:
            headers = _added(headers, "Server-Timing", self.entry, ", ")
        except Exception:  # the server raises for it
            pass
        return self._start_response(status, headers, *more, **named)


class Send:
    """An ASGI server's send, which adds the header."""

    __slots__ = ("_send", "entry")

    def __init__(self, send: Any, queue_time_ms: int) -> None:
        self._send = send
        self.entry = f"queue;dur={queue_time_ms}"

    def __call__(self, message: Any) -> Any:
        try:
            if message["type"] == "http.response.start" and message["status"] >= 200:
                headers = message.get("headers", ())
                headers = _added(headers, b"server-timing", self.entry.encode(), b", ")
                message = {**message, "headers": headers}
        except Exception:
            pass
        return self._send(message)


def _added(headers: Any, name: Any, entry: Any, separator: Any) -> Any:
    """A new list of the headers with the entry, added to an existing header of that name."""
    if not isinstance(headers, (list, tuple)):
        return headers  # reading it could consume it
    result = list(headers)
    for place, (own_name, own) in enumerate(result):
        if own_name.lower() == name.lower():
            result[place] = (own_name, separator.join([own, entry]) if own else entry)
            return result
    return [*result, (name, entry)]
