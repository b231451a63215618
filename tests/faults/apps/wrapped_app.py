"""The app in the agent's wrapper."""

from bare_app import app as bare_app
from dynoscale.wsgi import DynoscaleWsgiApp

app = DynoscaleWsgiApp(bare_app)
