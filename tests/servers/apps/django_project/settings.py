"""The settings of a project without a database."""

import os
from typing import List

SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_project.urls"
INSTALLED_APPS: List[str] = []
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
if os.environ.get("TEST_MIDDLEWARE"):
    MIDDLEWARE.insert(0, "dynoscale.django.DynoscaleMiddleware")
DYNOSCALE = {"app_name": "tested"}  # in place of the environment's
USE_TZ = True
