"""One page, by a view of the stack's kind."""

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path


def hello(request: HttpRequest) -> HttpResponse:
    len(request.body)
    return HttpResponse("hello\n", content_type="text/plain")


async def hello_async(request: HttpRequest) -> HttpResponse:
    return hello(request)


urlpatterns = [path("", hello_async if os.environ.get("TEST_ASYNC_VIEW") else hello)]
