"""The wrapped app under the standard library's own server, until Ctrl-C."""

import sys
from wsgiref.simple_server import make_server

from wrapped_app import app

with make_server("127.0.0.1", int(sys.argv[1]), app) as server:
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
