"""The wrapped app under the name that mod_wsgi looks for."""

from wrapped_app import app as application  # noqa: F401
