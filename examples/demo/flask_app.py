"""The Flask app of the demo: a page that takes 50 ms, as if it waited for a database."""

import time

from dynoscale.wsgi import DynoscaleWsgiApp
from flask import Flask

app = Flask(__name__)
app.wsgi_app = DynoscaleWsgiApp(app.wsgi_app)


@app.get("/")
def hello() -> str:
    time.sleep(0.05)
    return "Hello from Flask\n"
