"""A Flask app, wrapped as the README says."""

from dynoscale.wsgi import DynoscaleWsgiApp
from flask import Flask, request

app = Flask(__name__)
app.wsgi_app = DynoscaleWsgiApp(app.wsgi_app)


@app.route("/", methods=["GET", "POST"])
def hello() -> str:
    request.get_data()
    return "hello\n"
