"""wsgi.py as Django makes it, wrapped as the README says."""

import os

from django.core.wsgi import get_wsgi_application
from dynoscale.wsgi import DynoscaleWsgiApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_project.settings")

application = DynoscaleWsgiApp(get_wsgi_application())
