"""A Django project in one file that says how long each request waited, under WSGI and ASGI.

The agent needs the line of MIDDLEWARE.
"""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path


def hello(request: HttpRequest) -> HttpResponse:
    found = getattr(request, "scope", request.META)
    waited = found.get("dynoscale.queue_time_ms", "an unknown number of")
    return HttpResponse(f"This request waited {waited} ms\n", content_type="text/plain")


urlpatterns = [path("", hello)]

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="only for an example",
    MIDDLEWARE=["dynoscale.django.DynoscaleMiddleware"],
    # Both are off unless asked for: the app finds the ms, and browsers' tools in the answer.
    DYNOSCALE={"queue_time": True, "server_timing": True},
)

wsgi = get_wsgi_application()
asgi = get_asgi_application()
