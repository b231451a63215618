"""A Flask app that says how long each request waited. The agent needs the line with wsgi_app."""

from dynoscale.wsgi import DynoscaleWsgiApp
from flask import Flask, request

app = Flask(__name__)
# Both are off unless asked for: the app finds the ms in environ, browsers' tools in the answer.
app.wsgi_app = DynoscaleWsgiApp(app.wsgi_app, queue_time=True, server_timing=True)


@app.get("/")
def hello() -> str:
    waited = request.environ.get("dynoscale.queue_time_ms", "an unknown number of")
    return f"This request waited {waited} ms\n"
