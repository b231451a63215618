"""A request as gunicorn hands it to an app and to a hook, and uvicorn to an ASGI app."""

from __future__ import annotations

import itertools
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, Tuple

ANSWER = [b"hello"]


def app(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return ANSWER


def start_response(status: str, headers: List[Tuple[str, str]]) -> None:
    pass


def stamp() -> str:
    """20 ms ago, in the text that a server makes of a header: not interned."""
    return "".join(list(str(int(time.time() * 1000) - 20)))


STAMP = "HTTP_X_REQUEST_START"


def stamps() -> Iterator[str]:
    """For an environ that is used again: another one for each request, as from a server. So many that
    the wrapper, which keeps the last ones by their addresses, has forgotten each before it comes
    again: else it would mark all requests from then on."""
    return itertools.cycle([stamp() for _ in range(1024)])


def headers() -> List[Tuple[str, str]]:
    """15, the stamp last."""
    return [
        ("HOST", "example.com"),
        ("CONNECTION", "close"),
        ("USER-AGENT", "Mozilla/5.0"),
        ("ACCEPT", "text/html,application/xhtml+xml"),
        ("ACCEPT-ENCODING", "gzip, deflate"),
        ("ACCEPT-LANGUAGE", "en"),
        ("COOKIE", "session=0123456789abcdef"),
        ("CACHE-CONTROL", "max-age=0"),
        ("X-REQUEST-ID", "01234567-89ab-cdef"),
        ("X-FORWARDED-FOR", "192.0.2.1"),
        ("X-FORWARDED-PROTO", "https"),
        ("X-FORWARDED-PORT", "443"),
        ("VIA", "1.1 vegur"),
        ("CONNECT-TIME", "0"),
        ("X-REQUEST-START", stamp()),
    ]


def environ() -> Dict[str, Any]:
    server: Dict[str, Any] = {
        "wsgi.errors": None,
        "wsgi.version": (1, 0),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": None,
        "wsgi.input_terminated": True,
        "wsgi.input": None,
        "wsgi.url_scheme": "http",
        "SERVER_SOFTWARE": "gunicorn/20.1.0",
        "gunicorn.socket": None,
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "",
        "RAW_URI": "/",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "PATH_INFO": "/",
        "SCRIPT_NAME": "",
    }
    for name, value in headers():
        server["HTTP_" + name.replace("-", "_")] = value
    return server


def asgi_app(scope: Dict[str, Any], receive: Any, send: Any) -> Any:
    """What calling an ASGI app takes by itself: its steps are the server's to make."""
    return None


def scope() -> Dict[str, Any]:
    return {
        "type": "".join(["ht", "tp"]),
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers()],
    }


class Request:
    """What a hook sees of gunicorn's own."""

    def __init__(self) -> None:
        self.method = "GET"
        self.uri = "/"
        self.path = "/"
        self.query = ""
        self.fragment = ""
        self.version = (1, 1)
        self.headers = headers()
        self.trailers: List[Tuple[str, str]] = []
        self.body = None
        self.scheme = "https"
