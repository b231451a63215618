"""Both proxies as service/dist ships them, by the very files with only names of files, ports and the
certificate replaced."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import ssl
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import pytest
from certificates import Certificates
from conftest import Started
from processes import Process, find_nginx, free_port
from service import PATIENCE, Answer, Service

DIST = Path(__file__).resolve().parents[2] / "service" / "dist"
HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def replaced(text: str, changes: Dict[str, str]) -> str:
    for before, after in changes.items():
        assert before in text, f"the file no longer has {before!r}"
        text = text.replace(before, after)
    return text


class Front(Process):
    """A proxy as it is shipped, on ports of its own, before the service on 127.0.0.1:`upstream`."""

    def __init__(self, folder: Path, upstream: int, certificates: Certificates) -> None:
        self.port, self.plain = free_port(), free_port()
        self.trust = ssl.create_default_context(cafile=certificates.authority)
        super().__init__(self.prepare(folder, upstream, certificates.valid), folder)

    def prepare(self, folder: Path, upstream: int, pair: Tuple[str, str]) -> List[str]:
        raise NotImplementedError

    def start(self) -> Front:
        super().start()
        self.wait_for_port(self.port, PATIENCE)
        return self

    def open(self, source: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """A connection from an address of loopback, not made before its first request."""
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, context=self.trust, source_address=(source, 0)
        )

    def request(
        self, method: str, path: str, body: Optional[bytes] = None, lines: Optional[Dict[str, str]] = None
    ) -> Answer:
        connection = self.open()
        try:
            connection.request(method, path, body, lines or {})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()


class ShippedNginx(Front):
    def prepare(self, folder: Path, upstream: int, pair: Tuple[str, str]) -> List[str]:
        site = folder / "site.conf"
        site.write_text(
            replaced(
                re.sub(r"(?m)^ *listen \[::\].*\n", "", (DIST / "nginx.conf").read_text()),
                {
                    "127.0.0.1:8080": f"127.0.0.1:{upstream}",
                    "listen 80;": f"listen 127.0.0.1:{self.plain};",
                    "listen 443": f"listen 127.0.0.1:{self.port}",
                    "/etc/letsencrypt/live/scale.example.com/fullchain.pem": pair[0],
                    "/etc/letsencrypt/live/scale.example.com/privkey.pem": pair[1],
                },
            )
        )
        temporary = "\n".join(
            f"{kind}_temp_path {folder}/nginx-{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = folder / "nginx.conf"
        main.write_text(
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{\n{temporary}\ninclude {site};\n}}\n"
        )
        return [find_nginx() or "nginx", "-p", str(folder), "-c", str(main), "-e", "stderr"]


class ShippedHAProxy(Front):
    def prepare(self, folder: Path, upstream: int, pair: Tuple[str, str]) -> List[str]:
        both = folder / "both.pem"
        both.write_text(Path(pair[0]).read_text() + Path(pair[1]).read_text())
        path = folder / "haproxy.cfg"
        path.write_text(
            replaced(
                (DIST / "haproxy.cfg").read_text(),
                {
                    # More files than a test may open.
                    "maxconn 10000": "maxconn 1000",
                    "server one 127.0.0.1:8080": f"server one 127.0.0.1:{upstream}",
                    "bind :80\n": f"bind 127.0.0.1:{self.plain}\n",
                    "bind :443": f"bind 127.0.0.1:{self.port}",
                    "/etc/haproxy/certs/scale.example.com.pem": str(both),
                },
            )
        )
        return [HAPROXY or "haproxy", "-db", "-f", str(path)]


FRONTS = [
    pytest.param(
        ShippedNginx,
        id="nginx",
        marks=pytest.mark.skipif(not find_nginx(), reason="nginx is not installed"),
    ),
    pytest.param(
        ShippedHAProxy,
        id="haproxy",
        marks=pytest.mark.skipif(not HAPROXY, reason="HAProxy is not installed"),
    ),
]


def behind(serve: Started, *arguments: str) -> Service:
    return serve(
        "--trusted-proxy", "127.0.0.1", "--public-url", "https://127.0.0.1", "--tick-s", "1",
        "--stream-ms", "500", *arguments,
    )  # fmt: skip
