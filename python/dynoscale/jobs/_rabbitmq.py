"""RabbitMQ's management API, where the app has settings for it.

Kombu reads the same ones for its own ``Connection.get_manager()``: ``manager_hostname``,
``manager_port``, ``manager_userid`` and ``manager_password`` in the transport's options, and the
broker's own for what is not given.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any
from urllib.parse import quote

from dynoscale.jobs._redis import TIMEOUT

_TLS_PORTS = (443, 15671)
_MOST_BYTES = 4_000_000


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: the password goes along."""


def queues_of(connection: Any) -> list[dict[str, Any]]:
    """The queues of the connection's virtual host: ``name``, ``messages_ready``, and
    ``head_message_timestamp``, in epoch seconds, which is None where the server does not know."""
    given = connection.transport_options
    host = given.get("manager_hostname") or connection.hostname or "localhost"
    port = int(given.get("manager_port") or 15672)
    user = given.get("manager_userid") or connection.userid or "guest"
    password = given.get("manager_password") or connection.password or "guest"
    scheme = "https" if connection.ssl or port in _TLS_PORTS else "http"
    return queues_at(f"{scheme}://{host}:{port}", user, password, connection.virtual_host or "/")


def queues_at(address: str, user: str, password: str, virtual_host: str) -> list[dict[str, Any]]:
    """The same, of the API at this address, ``https://HOST:PORT``."""
    request = urllib.request.Request(
        f"{address}/api/queues/{quote(virtual_host, safe='')}"
        "?columns=name,messages_ready,consumers,head_message_timestamp"
        "&disable_stats=false"
    )
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request.add_header("Authorization", f"Basic {token}")
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=TIMEOUT) as answer:
        rows = json.loads(answer.read(_MOST_BYTES))
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)]
