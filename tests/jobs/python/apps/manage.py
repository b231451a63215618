"""A Django site, with django-rq and Django-Q where they are installed."""

import os
import sys

import dynoscale
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    SECRET_KEY="secret",
    USE_TZ=True,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=os.environ["INSTALLED_APPS"].split(),
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}
    },
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    RQ_QUEUES={"default": {"URL": os.environ.get("REDIS_URL", "")}},
    Q_CLUSTER={"name": "cluster", "orm": "default", "workers": 1, "timeout": 60, "retry": 120},
)
urlpatterns = []

assert dynoscale.__version__

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
    if "--threads" in os.environ.get("TELL", ""):
        import threading

        print([thread.name for thread in threading.enumerate()])
