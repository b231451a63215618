"""The lines of docs/elsewhere.md have a proxy stamp requests as the agent reads them."""

from __future__ import annotations

import http.client
import re
import shutil
from pathlib import Path
from typing import List

import pytest
from app_servers import PYTHON, ROOT, environment
from processes import Process, free_port

SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
APP = """
import sys
from wsgiref.simple_server import make_server
from dynoscale.wsgi import DynoscaleWsgiApp

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("HTTP_X_REQUEST_START", "").encode()]

make_server("127.0.0.1", int(sys.argv[1]), DynoscaleWsgiApp(app)).serve_forever()
"""
NGINX = """daemon off; pid {folder}/pid; error_log stderr; events {{}}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{app}; {line} }} }}
}}
"""
HAPROXY = """defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 60s
listen shop
  bind 127.0.0.1:{port}
  {line}
  server app 127.0.0.1:{app}
"""
APACHE = """ServerRoot /usr/lib/apache2
ServerName localhost
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog /dev/stderr
Listen 127.0.0.1:{port}
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule headers_module modules/mod_headers.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
{line}
ProxyPass / http://127.0.0.1:{app}/
"""


def line_of(proxy: str) -> str:
    text = (ROOT / "docs/elsewhere.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^```{proxy}\n(.*)\n```$", text, re.MULTILINE)
    return str(line)


def command_of(program: str, folder: Path, config: str) -> List[str]:
    path = folder / "proxy.conf"
    path.write_text(config, encoding="utf-8")
    if program.endswith("nginx"):
        return [program, "-p", str(folder), "-c", str(path), "-e", "stderr"]
    if program.endswith("haproxy"):
        return [program, "-db", "-f", str(path)]
    return [program, "-f", str(path), "-DFOREGROUND"]


@pytest.mark.parametrize(
    "name, program, config",
    [("nginx", "nginx", NGINX), ("haproxy", "haproxy", HAPROXY), ("apache", "apache2", APACHE)],
    ids=["nginx", "haproxy", "apache"],
)
def test_the_line_for_a_proxy_stamps_requests(
    name: str, program: str, config: str, tmp_path: Path
) -> None:
    found = shutil.which(program, path=SBIN)
    if not found:
        pytest.skip(f"there is no {program}: apt-get install {program}")
    app_port, port = free_port(), free_port()
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    settings = {"DYNO": "web.1", "DYNOSCALE_URL": "http://127.0.0.1:1/", "DYNOSCALE_SERVER_TIMING": "on"}
    command = [PYTHON, str(tmp_path / "app.py"), str(app_port)]
    app = Process(command, tmp_path, name="app", env=environment(settings))
    text = config.format(folder=tmp_path, port=port, app=app_port, line=line_of(name))
    proxy = Process(command_of(found, tmp_path, text), tmp_path, name=name)
    with app.start(), proxy.start():
        app.wait_for_port(app_port)
        proxy.wait_for_port(port)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/", headers={"X-Request-Start": "t=1"})
        answer = client.getresponse()
        timing, stamp = answer.getheader("Server-Timing"), answer.read().decode()
        client.close()
    assert re.fullmatch(r"queue;dur=\d+", timing or ""), f"{stamp}: {timing}"
    assert re.fullmatch(r"t=[\d.]{13,}", stamp), stamp
