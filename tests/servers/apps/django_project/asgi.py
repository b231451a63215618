"""asgi.py as Django makes it, wrapped as the README says."""

import os

from django.core.asgi import get_asgi_application
from dynoscale.asgi import DynoscaleAsgiApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_project.settings")

application = DynoscaleAsgiApp(get_asgi_application())
