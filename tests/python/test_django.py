"""The middleware for Django, and our settings in Django's.

Each test has a process of its own: Django has settings once.
"""

from __future__ import annotations

import importlib.util
import subprocess
import textwrap
from typing import Any

import agent_tools
import pytest

from dynoscale.config import Config

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("django") is None, reason="Django is not installed"
)

PRELUDE = """
import asyncio, io, sys, types
import agent_tools, dynoscale
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

KEY = "dynoscale.queue_time_ms"
seen = []

def view(request):
    seen.append(dict(request.scope) if hasattr(request, "scope") else dict(request.META))
    response = HttpResponse("hello")
    if "own" in request.GET:
        response["Server-Timing"] = "db;dur=5"
    return response

async def async_view(request):
    return view(request)

urls = types.ModuleType("urls")
urls.urlpatterns = [path("sync", view), path("async", async_view)]
sys.modules["urls"] = urls

def set_up(**more):
    middleware = ["dynoscale.django.DynoscaleMiddleware"]
    given = dict(ROOT_URLCONF="urls", MIDDLEWARE=middleware, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    settings.configure(**{**given, **more})
    django.setup()

def wsgi_app(**more):
    from django.core.wsgi import get_wsgi_application
    set_up(**more)
    return get_wsgi_application()

def asgi_app(**more):
    from django.core.asgi import get_asgi_application
    set_up(**more)
    return get_asgi_application()

def serve_wsgi(app, path="/sync", query=""):
    '''The answer's header Server-Timing.'''
    environ = agent_tools.stamped(2500, PATH_INFO=path, QUERY_STRING=query, SERVER_NAME="a")
    environ.update({"SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http"})
    answers = []
    body = app(environ, lambda *answer: answers.append(answer))
    assert (answers[0][0], b"".join(body)) == ("200 OK", b"hello")
    return dict(answers[0][1]).get("Server-Timing")

def serve_asgi(app, path="/async", query=""):
    request = agent_tools.Asgi()
    scope = agent_tools.stamped_scope(2500, query_string=query.encode(), root_path="")
    scope["path"] = path
    request.serve(app, scope)
    assert request.sent[0]["status"] == 200 and request.sent[1]["body"] == b"hello"
    headers = {name.lower(): value for name, value in request.sent[0]["headers"]}
    return headers.get(b"server-timing", b"").decode() or None

def recorded():
    return dynoscale.stats()["recorded"]
"""


def run(code: str, receiver: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    program = PRELUDE + textwrap.dedent(code)
    return agent_tools.run(program, agent_tools.reporting_to(receiver.url, **variables))


stacks = pytest.mark.parametrize(
    ("kind", "path"),
    [("wsgi", "/sync"), ("wsgi", "/async"), ("asgi", "/sync"), ("asgi", "/async")],
)


@stacks
def test_each_request_is_counted_once(kind: str, path: str, receiver: Any) -> None:
    done = run(
        f"""
        app = {kind}_app()
        for _ in range(5):
            assert serve_{kind}(app, "{path}") is None
        assert recorded() == 5
        assert all(KEY not in request for request in seen)
        """,
        receiver,
    )
    assert receiver.summary()["rows"] == 5
    assert done.stderr == ""


@stacks
def test_app_and_browser_get_the_queue_time_if_set(kind: str, path: str, receiver: Any) -> None:
    run(
        f"""
        app = {kind}_app(DYNOSCALE={{"queue_time": True, "server_timing": True}})
        timing = serve_{kind}(app, "{path}")
        assert timing == f"queue;dur={{seen[0][KEY]}}" and seen[0][KEY] >= 2500
        timing = serve_{kind}(app, "{path}", "own=1")
        assert timing == f"db;dur=5, queue;dur={{seen[1][KEY]}}"
        """,
        receiver,
    )


@pytest.mark.parametrize("telling", [False, True])
def test_an_async_stack_stays_async(telling: bool, receiver: Any) -> None:
    """Django would put a thread between the middleware and what is no coroutine function."""
    run(
        f"""
        import threading
        inside = []

        async def view(request):
            inside.append(threading.current_thread() is threading.main_thread())
            return HttpResponse("hello")

        urls.urlpatterns = [path("async", view)]
        app = asgi_app(DYNOSCALE={{"server_timing": {telling}}})
        import django.core.handlers.base as base
        def never(*args, **kwargs):
            raise AssertionError("a thread in between")
        base.sync_to_async = base.async_to_sync = never
        serve_asgi(app)
        assert inside == [True]
        """,
        receiver,
    )


def test_in_an_async_stack_the_awaitable_is_the_next_one_s(receiver: Any) -> None:
    run(
        """
        set_up()
        from dynoscale.django import DynoscaleMiddleware

        async def get_response(request):
            return "response"

        class Request:
            scope = agent_tools.stamped_scope()

        middleware = DynoscaleMiddleware(get_response)
        assert asyncio.iscoroutinefunction(middleware)
        coroutine = middleware(Request)
        assert coroutine.cr_code is get_response.__code__
        assert asyncio.run(agent_tools.until_done(coroutine)) == "response"
        """,
        receiver,
    )


@pytest.mark.parametrize(
    ("kind", "wrapper"), [("wsgi", "DynoscaleWsgiApp"), ("asgi", "DynoscaleAsgiApp")]
)
def test_middleware_and_wrapper_together_count_once(
    kind: str, wrapper: str, receiver: Any
) -> None:
    run(
        f"""
        from dynoscale.{kind} import {wrapper}
        inner = {kind}_app(DYNOSCALE={{"queue_time": True, "server_timing": True}})
        app = {wrapper}(inner)
        for _ in range(10):
            assert serve_{kind}(app) == f"queue;dur={{seen[-1][KEY]}}"
        for _ in range(5):
            assert serve_{kind}(inner) == f"queue;dur={{seen[-1][KEY]}}"
        assert recorded() == 15
        """,
        receiver,
    )
    assert receiver.summary()["rows"] == 15


def test_the_middleware_twice_counts_once(receiver: Any) -> None:
    run(
        """
        app = wsgi_app(MIDDLEWARE=["dynoscale.django.DynoscaleMiddleware"] * 2)
        serve_wsgi(app)
        assert recorded() == 1
        """,
        receiver,
    )


def test_an_exception_of_the_view_reaches_django(receiver: Any) -> None:
    run(
        """
        set_up()
        from dynoscale.django import DynoscaleMiddleware
        from django.test import RequestFactory
        error = RuntimeError("the view's")
        def get_response(request):
            raise error
        try:
            DynoscaleMiddleware(get_response)(RequestFactory().get("/"))
        except RuntimeError as caught:
            assert caught is error
        else:
            raise AssertionError
        """,
        receiver,
    )


# ---- Settings ----


SHOW = """
from dynoscale.config import Config
config = Config()
print({s.name: (s.value, s.source) for s in config.settings if s.source != "default"})
print(*config.warnings, sep="\\n")
"""


def test_django_s_settings_win_over_the_environment_and_code_over_them(receiver: Any) -> None:
    run(
        """
        from dynoscale.config import Config
        def shown(name):
            return next((s.value, s.source) for s in Config().settings if s.name == name)

        assert shown("publish_frequency") == ("10", "environment")
        wsgi_app(DYNOSCALE={"PUBLISH_FREQUENCY": 20, "app_name": "given"})
        assert shown("publish_frequency") == ("20", "framework")
        assert shown("app_name") == ("given", "framework")
        assert dynoscale.stats()["publish_frequency_ms"] == 20_000
        dynoscale.configure(publish_frequency=30)
        assert shown("publish_frequency") == ("30", "code")
        assert shown("app_name") == ("given", "framework")
        """,
        receiver,
        DYNOSCALE_PUBLISH_FREQUENCY="10",
    )


def test_a_wrapper_made_after_django_s_set_up_finds_them(receiver: Any) -> None:
    run(
        """
        from dynoscale.wsgi import DynoscaleWsgiApp
        app = DynoscaleWsgiApp(wsgi_app(MIDDLEWARE=[], DYNOSCALE={"publish_frequency": 20}))
        serve_wsgi(app)
        assert dynoscale.stats()["publish_frequency_ms"] == 20_000
        assert recorded() == 1
        """,
        receiver,
    )


def test_the_middleware_finds_them_where_the_agent_was_opened_before(receiver: Any) -> None:
    run(
        """
        dynoscale.configure(app_name="early")
        serve_wsgi(wsgi_app(DYNOSCALE={"publish_frequency": 20}))
        assert dynoscale.stats()["publish_frequency_ms"] == 20_000
        """,
        receiver,
    )


def test_a_wrong_setting_is_one_warning_and_the_app_goes_on(receiver: Any) -> None:
    done = run(
        """
        given = {"publish_frequency": "often", "no_such": 1, 5: 6, "app_name": object()}
        app = wsgi_app(DYNOSCALE=given)
        for _ in range(3):
            serve_wsgi(app)
            dynoscale.configure()
        assert recorded() == 3
        """,
        receiver,
    )
    lines = sorted(done.stderr.splitlines())
    assert len(lines) == 4
    for line, text in zip(
        lines,
        [
            "dynoscale: DYNOSCALE in Django's settings: app_name is an object of type object",
            "dynoscale: DYNOSCALE in Django's settings: there is no setting 'no_such'",
            "dynoscale: DYNOSCALE in Django's settings: there is no setting 5",
            "dynoscale: ",
        ],
    ):
        assert line.startswith(text)
    assert "often" in lines[3]


@pytest.mark.parametrize("given", ["[]", "5", "'url'"])
def test_settings_that_are_not_a_dict_are_one_warning(given: str, receiver: Any) -> None:
    done = run(f"serve_wsgi(wsgi_app(DYNOSCALE={given})); assert recorded() == 1", receiver)
    (line,) = done.stderr.splitlines()
    assert line.startswith("dynoscale: DYNOSCALE in Django's settings is an object of type ")


def test_settings_that_are_not_set_up_are_left_alone(receiver: Any) -> None:
    run(
        """
        from dynoscale.config import Config
        sys.modules["early"] = types.SimpleNamespace(DYNOSCALE={"dyno": "web.7"}, __file__=None)
        assert Config()["dyno"] == "web.1"
        dynoscale.configure(publish_frequency=5)
        assert not settings.configured
        """,
        receiver,
        DJANGO_SETTINGS_MODULE="early",
    )


def test_without_django_there_is_nothing_to_find() -> None:
    assert {setting.source for setting in Config().settings} <= {"default", "environment"}
