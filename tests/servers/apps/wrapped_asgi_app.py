"""The bare ASGI app in the agent's wrapper."""

from bare_asgi_app import app as bare_app
from dynoscale.asgi import DynoscaleAsgiApp

app = DynoscaleAsgiApp(bare_app)
