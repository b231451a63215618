"""A service that accepts every report and throws it away, with little CPU: nginx. The false service of
the tests reads each row, which would take CPU from what is measured."""

from __future__ import annotations

import tempfile
from pathlib import Path

from processes import Process, find_nginx, free_port
from workbench import Missing

CONFIG = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 100m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200; }}
    }}
}}
"""


class Sink:
    def __enter__(self) -> Sink:
        nginx = find_nginx()
        if nginx is None:
            raise Missing("not measured: needs nginx")
        self._directory = tempfile.TemporaryDirectory()
        directory = Path(self._directory.name)
        port = free_port()
        config = directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=directory, port=port))
        command = [nginx, "-p", str(directory), "-c", str(config), "-e", "stderr"]
        self._process = Process(command, directory, "sink").start()
        self._process.wait_for_port(port)
        self.url = f"http://127.0.0.1:{port}/token"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._directory.cleanup()
