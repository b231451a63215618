"""Ten requests through an installed package, to a service of its own: all have to arrive.

    python release/try.py
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

rows = []


class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        rows.extend(self.rfile.read(int(self.headers["Content-Length"])).splitlines())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:{}/token".format(server.server_address[1])
dynoscale.configure(url=url, dyno="web.1")
app = DynoscaleWsgiApp(lambda environ, start_response: [b"hello"])
for _ in range(10):
    environ = {"HTTP_X_REQUEST_START": str(int(time.time() * 1000) - 20)}
    if app(environ, None) != [b"hello"]:
        sys.exit("the app was not called, or its answer was changed")
# No assert, which python -O leaves out.
if not dynoscale.flush(30) or len(rows) != 10:
    sys.exit("of 10 requests {} arrived: {}".format(len(rows), dynoscale.stats()))
print("dynoscale", dynoscale.__version__, "on", sys.version.split()[0], sys.platform, "reports")
