"""A request is counted once, through whichever entry points it came.

Each test has a process of its own: an entry point lives as long as its process.
"""

from __future__ import annotations

import textwrap
from typing import Any

import agent_tools
import pytest

PRELUDE = """
import io, sys, threading
import agent_tools, dynoscale
from agent_tools import app, start_response
from dynoscale.hooks.gunicorn import pre_request
from dynoscale.wsgi import DynoscaleWsgiApp

class Body:
    '''As gunicorn's: an object that takes attributes, handed on as wsgi.input.'''

class Request:
    def __init__(self, body=None, **headers):
        self.headers = [("HOST", "a")] + [(name, value) for name, value in headers.items()]
        self.body = body

def received(stamp=None, body=None):
    '''A request as the hook sees it, and then as the wrapper does.'''
    stamp = stamp or agent_tools.stamp()
    body = body or Body()
    request = Request(body)
    request.headers.append(("X-REQUEST-START", stamp))
    return request, {"REQUEST_METHOD": "GET", "HTTP_X_REQUEST_START": stamp, "wsgi.input": body}

def serve(application, hooked=True, **details):
    request, environ = received(**details)
    if hooked:
        pre_request(None, request)
    result = application(environ, start_response)
    assert not hasattr(environ["wsgi.input"], "_dynoscale_counted")
    return environ

def recorded():
    return dynoscale.stats()["recorded"]
"""


def run(code: str, receiver: Any, rows: int) -> None:
    agent_tools.run(PRELUDE + textwrap.dedent(code), agent_tools.reporting_to(receiver.url))
    assert receiver.summary()["rows"] == rows


def test_by_hook_and_wrapper(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        for _ in range(100):
            serve(application)
        assert recorded() == 100
        """,
        receiver,
        100,
    )


def test_if_the_hook_sees_only_some_requests(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        for n in range(100):
            serve(application, hooked=n % 3 == 0)
        assert recorded() == 100
        """,
        receiver,
        100,
    )


def test_if_the_wrapper_sees_only_some_requests(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        for n in range(100):
            if n % 3 == 0:
                serve(application)
            else:
                pre_request(None, received()[0])
        assert recorded() == 100
        """,
        receiver,
        100,
    )


def test_with_the_same_str_in_all_requests(receiver: Any) -> None:
    """As in a test with one literal: no two requests of a server share the object."""
    run(
        """
        application = DynoscaleWsgiApp(app)
        stamp = agent_tools.stamp()
        for n in range(30):
            serve(application, hooked=n % 3 == 0, stamp=stamp)
        assert recorded() == 30
        """,
        receiver,
        30,
    )


def test_with_the_same_str_in_requests_that_only_one_entry_point_sees(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        stamp = agent_tools.stamp()
        for n in range(30):
            request, environ = received(stamp)
            if n % 3 != 0:
                pre_request(None, request)
            if n % 3 != 1:
                application(environ, start_response)
        assert recorded() == 30
        """,
        receiver,
        30,
    )


@pytest.mark.parametrize("stamp", ["", "0", "\xff"])
def test_with_a_str_that_the_interpreter_has_one_of(stamp: str, receiver: Any) -> None:
    """Which is the same object in requests that have nothing to do with each other."""
    run(
        f"""
        application = DynoscaleWsgiApp(app)
        pre_request(None, Request(HOST="b", **{{"X-REQUEST-START": {stamp!r}}}))
        application({{"HTTP_X_REQUEST_START": {stamp!r}}}, start_response)
        counts = dynoscale.stats()
        assert counts["stamp_missing"] + counts["stamp_malformed"] == 2, counts
        """,
        receiver,
        0,
    )


def test_with_a_request_that_comes_again(receiver: Any) -> None:
    """A retry, a forward, also with a copy of environ and another body."""
    run(
        """
        application = DynoscaleWsgiApp(app)
        for n in range(30):
            request, environ = received()
            if n % 3 == 0:
                pre_request(None, request)
            application(environ, start_response)
            application(environ, start_response)
            application({**environ, "PATH_INFO": "/other", "wsgi.input": Body()}, start_response)
        assert recorded() == 30
        """,
        receiver,
        30,
    )


def test_with_a_request_that_comes_again_through_one_entry_point(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        for _ in range(30):
            environ = received()[1]
            for _ in range(3):
                application(environ, start_response)
            application(dict(environ), start_response)
        assert recorded() == 30
        """,
        receiver,
        30,
    )


def test_with_a_request_without_a_stamp_that_comes_again(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        environ = {"wsgi.input": Body()}
        application(environ, start_response)
        application(environ, start_response)
        assert dynoscale.stats()["stamp_missing"] == 1
        """,
        receiver,
        0,
    )


# Of a wrapper that has stopped marking requests.
KNOWN = """
application = DynoscaleWsgiApp(app)
for _ in range(200):
    serve(application, hooked=False)
before = recorded()
"""


def test_when_none_came_again_environ_is_left_alone(receiver: Any) -> None:
    run(
        KNOWN
        + """
environ = received()[1]
before = dict(environ)
application(environ, start_response)
assert environ == before
""",
        receiver,
        201,
    )


@pytest.mark.parametrize("after", [0, 20, 63, 64, 65, 200])
def test_with_requests_that_come_again_after_some_that_did_not(after: int, receiver: Any) -> None:
    """Also at the moment when the wrapper stops marking them."""
    run(
        f"""
        application = DynoscaleWsgiApp(app)
        for _ in range({after}):
            serve(application, hooked=False)
        for _ in range(3):
            environ = received()[1]
            for _ in range(3):
                application(environ, start_response)
            application({{**environ, "wsgi.input": Body()}}, start_response)
            application(received()[1], start_response)
        assert recorded() == {after} + 6, recorded()
        """,
        receiver,
        after + 6,
    )


@pytest.mark.parametrize("after", [0, 20, 62, 63, 64, 65, 200])
def test_with_a_copy_of_environ_for_each_attempt(after: int, receiver: Any) -> None:
    """As of a middleware that tries again, and keeps environ as it was for that."""
    run(
        f"""
        application = DynoscaleWsgiApp(app)
        for _ in range({after}):
            serve(application, hooked=False)
        for _ in range(3):
            environ = received()[1]
            for _ in range(3):
                application(dict(environ), start_response)
            application(received()[1], start_response)
        assert recorded() == {after} + 6, recorded()
        """,
        receiver,
        after + 6,
    )


def test_with_an_environ_that_is_emptied_for_each_attempt(receiver: Any) -> None:
    """As by repoze.retry."""
    run(
        """
        application = DynoscaleWsgiApp(app)
        for _ in range(100):
            environ = received()[1]
            original = dict(environ)
            for _ in range(3):
                application(environ, start_response)
                environ.clear()
                environ.update(original)
        assert recorded() == 100, recorded()
        """,
        receiver,
        100,
    )


def test_with_copies_of_environ_for_two_wrappers(receiver: Any) -> None:
    run(
        """
        first, second = DynoscaleWsgiApp(app), DynoscaleWsgiApp(app)
        for n in range(30):
            environ = received()[1]
            first(dict(environ), start_response)
            second(dict(environ), start_response)
        assert recorded() == 30, recorded()
        """,
        receiver,
        30,
    )


@pytest.mark.parametrize("marked", [True, False])
def test_with_one_input_for_all_requests_of_a_connection(marked: bool, receiver: Any) -> None:
    """As wsgiref's."""
    run(
        f"""
        application = DynoscaleWsgiApp(app)
        again = received()[1]
        for _ in range(2 if {marked} else 1):
            application(again, start_response)
        body = Body()
        for _ in range(100):
            application(received(body=body)[1], start_response)
        assert recorded() == 101, recorded()
        """,
        receiver,
        101,
    )


def test_with_an_input_that_has_no_weak_references(receiver: Any) -> None:
    run(
        """
        class Bare:
            __slots__ = ()

        application = DynoscaleWsgiApp(app)
        for _ in range(100):
            environ = received(body=Bare())[1]
            application(environ, start_response)
            application(environ, start_response)
        assert recorded() == 100, recorded()
        """,
        receiver,
        100,
    )


def test_with_an_environ_of_a_program_after_many_requests_of_a_server(receiver: Any) -> None:
    run(
        KNOWN
        + """
environ = agent_tools.stamped()
for _ in range(30):
    application(environ, start_response)
assert recorded() == before + 30
""",
        receiver,
        230,
    )


@pytest.mark.parametrize("strs", [1, 3])
def test_with_few_strs_in_environs_of_their_own(strs: int, receiver: Any) -> None:
    """As a program does that sends its requests itself."""
    run(
        f"""
application = DynoscaleWsgiApp(app)
stamps = [agent_tools.stamp() for _ in range({strs})]
for n in range(200):
    application(received(stamps[n % {strs}])[1], start_response)
assert recorded() == 200, recorded()
""",
        receiver,
        200,
    )


def test_with_one_str_in_environs_of_their_own_after_many_requests(receiver: Any) -> None:
    """The second is taken for the first, once in a process."""
    run(
        KNOWN
        + """
stamp = agent_tools.stamp()
for _ in range(30):
    application(received(stamp)[1], start_response)
assert recorded() == before + 29
""",
        receiver,
        229,
    )


@pytest.mark.parametrize("stamp", [None, "", "0", "no time"])
def test_with_no_time_that_comes_again_after_many_requests(stamp: Any, receiver: Any) -> None:
    run(
        KNOWN
        + f"""
for n in range(5):
    environ = {{"wsgi.input": Body()}}
    if {stamp!r} is not None:
        environ["HTTP_X_REQUEST_START"] = "".join(list({stamp!r}))
    application(environ, start_response)
    application(environ, start_response)
counts = dynoscale.stats()
assert counts["stamp_missing"] + counts["stamp_malformed"] == 5, counts
assert recorded() == before
""",
        receiver,
        200,
    )


def test_by_one_wrapper_after_the_other(receiver: Any) -> None:
    """A cascade: the first says that it knows nothing of it."""
    run(
        """
        first, second = DynoscaleWsgiApp(app), DynoscaleWsgiApp(app)
        for n in range(30):
            request, environ = received()
            if n % 2:
                del environ["wsgi.input"]
            first(environ, start_response)
            second(environ, start_response)
        assert recorded() == 30
        """,
        receiver,
        30,
    )


def test_with_one_str_in_environs_of_their_own(receiver: Any) -> None:
    """As clients of tests send it: each environ is a request."""
    run(
        """
        application = DynoscaleWsgiApp(app)
        stamp = agent_tools.stamp()
        for _ in range(30):
            application(received(stamp)[1], start_response)
            application({"HTTP_X_REQUEST_START": stamp}, start_response)
        assert recorded() == 60
        """,
        receiver,
        60,
    )


def test_with_an_environ_that_a_program_uses_for_all_its_requests(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        environ = agent_tools.stamped()
        for _ in range(30):
            application(environ, start_response)
        environ = received()[1]
        for _ in range(30):
            environ["HTTP_X_REQUEST_START"] = agent_tools.stamp()
            application(environ, start_response)
            dynoscale.stats()
            environ["HTTP_X_REQUEST_START"] = agent_tools.stamp(ms_ago=30)
            application(environ, start_response)
        assert recorded() == 90
        """,
        receiver,
        90,
    )


def test_with_a_wrapper_made_after_the_hook_was_used(receiver: Any) -> None:
    run(
        """
        for _ in range(20):
            pre_request(None, received()[0])
        application = DynoscaleWsgiApp(app)
        for _ in range(20):
            serve(application)
        assert recorded() == 40
        """,
        receiver,
        40,
    )


@pytest.mark.parametrize(
    "body", ["io.BytesIO()", "None", "object()"], ids=["BytesIO", "no body", "object"]
)
def test_with_a_body_that_can_not_be_marked(body: str, receiver: Any) -> None:
    run(
        f"""
        application = DynoscaleWsgiApp(app)
        for n in range(40):
            request, environ = received()
            request.body = {body}
            if request.body is None:
                del environ["wsgi.input"]
            else:
                environ["wsgi.input"] = request.body
            if n % 2:
                pre_request(None, request)
            application(environ, start_response)
        assert recorded() == 40
        """,
        receiver,
        40,
    )


def test_with_a_body_that_was_replaced(receiver: Any) -> None:
    run(
        """
        wrapper = DynoscaleWsgiApp(app)

        def application(environ, start_response):
            environ["wsgi.input"] = io.BytesIO(b"limited")
            return wrapper(environ, start_response)

        for n in range(40):
            serve(application, hooked=n % 2 == 0)
        assert recorded() == 40
        """,
        receiver,
        40,
    )


def test_if_gunicorn_joined_a_repeated_header(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        for _ in range(20):
            request, environ = received()
            request.headers.append(("X-REQUEST-START", agent_tools.stamp()))
            environ["HTTP_X_REQUEST_START"] += "," + request.headers[-1][1]
            pre_request(None, request)
            application(environ, start_response)
        assert recorded() == 20
        """,
        receiver,
        20,
    )


def test_without_a_stamp(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        for _ in range(20):
            body = Body()
            pre_request(None, Request(body))
            application({"wsgi.input": body}, start_response)
        assert dynoscale.stats()["stamp_missing"] == 20
        """,
        receiver,
        0,
    )


def test_by_nested_wrappers(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(DynoscaleWsgiApp(DynoscaleWsgiApp(app)))
        for _ in range(50):
            serve(application, hooked=False)
        for _ in range(50):
            serve(application)
        assert recorded() == 100
        """,
        receiver,
        100,
    )


def test_by_nested_wrappers_with_a_copy_of_environ_between(receiver: Any) -> None:
    run(
        """
        inner = DynoscaleWsgiApp(app)
        application = DynoscaleWsgiApp(lambda environ, start: inner(dict(environ), start))
        for n in range(50):
            serve(application, hooked=n % 2 == 0)
        assert recorded() == 50
        """,
        receiver,
        50,
    )


def test_by_a_wrapper_that_is_called_while_the_answer_is_iterated(receiver: Any) -> None:
    run(
        """
        inner = DynoscaleWsgiApp(app)

        def stream(environ, start_response):
            yield from inner(environ, start_response)

        application = DynoscaleWsgiApp(stream)
        for n in range(50):
            request, environ = received()
            assert list(application(environ, start_response)) == agent_tools.BODY
        assert recorded() == 50
        """,
        receiver,
        50,
    )


def test_by_two_wrappers_side_by_side(receiver: Any) -> None:
    run(
        """
        one, other = DynoscaleWsgiApp(app), DynoscaleWsgiApp(lambda *args: [])
        for n in range(50):
            one(received()[1], start_response)
            other(received()[1], start_response)
        assert recorded() == 100
        """,
        receiver,
        100,
    )


# As adapters do it: the inner app runs in another thread, with the context of the outer call.
ADAPTERS = """
import asyncio, contextvars
from dynoscale.asgi import DynoscaleAsgiApp
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()

def environ_of(scope):
    [(_, value)] = scope["headers"]
    return received(value.decode())[1]

def scope_of(environ):
    stamp = environ["HTTP_X_REQUEST_START"].encode()
    return agent_tools.asgi_scope((b"x-request-start", stamp), asgi={"version": "3.0"})

def wsgi_in_asgi(wsgi, scopes=[]):
    async def adapter(scope, receive, send):
        scopes.append(scope)
        call = contextvars.copy_context().run
        environ = environ_of(scope)
        await asyncio.get_running_loop().run_in_executor(None, call, wsgi, environ, start_response)
    return adapter

def asgi_in_wsgi(asgi):
    def adapter(environ, start_response):
        async def call():
            await asgi(scope_of(environ), None, None)
        asyncio.run_coroutine_threadsafe(call(), loop).result()
        yield b"hello"
    return adapter

async def asgi_app(scope, receive, send):
    pass

def serve_asgi(application, ms_ago=20):
    async def call():
        stamp = agent_tools.stamp(ms_ago)
        await application(scope_of(received(stamp)[1]), None, None)
    asyncio.run_coroutine_threadsafe(call(), loop).result()
"""


def test_by_a_wsgi_wrapper_inside_an_asgi_wrapper(receiver: Any) -> None:
    run(
        ADAPTERS
        + """
inner = DynoscaleWsgiApp(app)
application = DynoscaleAsgiApp(wsgi_in_asgi(inner))
for _ in range(30):
    serve_asgi(application)
assert recorded() == 30
for _ in range(10):
    inner(received()[1], start_response)
assert recorded() == 40
""",
        receiver,
        40,
    )


def test_by_an_asgi_wrapper_inside_a_wsgi_wrapper(receiver: Any) -> None:
    run(
        ADAPTERS
        + """
inner = DynoscaleAsgiApp(asgi_app)
application = DynoscaleWsgiApp(asgi_in_wsgi(inner))
for _ in range(30):
    assert list(application(received()[1], start_response)) == [b"hello"]
assert recorded() == 30
for _ in range(10):
    serve_asgi(inner, ms_ago=1000)  # from this context, whose last request has another stamp
assert recorded() == 40
""",
        receiver,
        40,
    )


def test_by_the_hook_and_an_asgi_wrapper_inside_an_adapter(receiver: Any) -> None:
    """As a2wsgi does it, whose scopes have the environ; also if the scope comes again."""
    run(
        ADAPTERS
        + """
async def twice(scope, receive, send):
    await inner(scope, receive, send)
    await inner(dict(scope), receive, send)

inner = DynoscaleAsgiApp(asgi_app)
for n in range(30):
    request, environ = received()
    if n % 3 != 0:
        contextvars.copy_context().run(pre_request, None, request)
    headers = [(b"x-request-start", environ["HTTP_X_REQUEST_START"].encode())]
    scope = {"type": "http", "asgi": {}, "headers": headers, "wsgi_environ": environ}
    asyncio.run(twice(scope, None, None))
assert recorded() == 30
""",
        receiver,
        30,
    )


def test_by_the_hook_and_an_asgi_wrapper(receiver: Any) -> None:
    """gunicorn's ASGI worker calls both in one task; an outer middleware may wait between."""
    run(
        ADAPTERS
        + """
application = DynoscaleAsgiApp(asgi_app)

async def answer(hooked):
    request, environ = received()
    if hooked:
        pre_request(None, request)
    await asyncio.sleep(0)  # another request's turn
    scope = scope_of(environ)
    await application(scope, None, None)
    await application(dict(scope), None, None)

async def serve_all():
    await asyncio.gather(*(answer(n % 3 != 0) for n in range(30)))

asyncio.run(serve_all())
assert recorded() == 30
""",
        receiver,
        30,
    )


def test_another_request_that_the_app_makes_to_a_wrapper_of_the_other_kind(receiver: Any) -> None:
    run(
        ADAPTERS
        + """
inner = DynoscaleWsgiApp(app)

async def outer(scope, receive, send):
    call = contextvars.copy_context().run
    other = received(agent_tools.stamp(1000))[1]
    await asyncio.get_running_loop().run_in_executor(None, call, inner, other, start_response)

application = DynoscaleAsgiApp(outer)
for _ in range(30):
    serve_asgi(application)
assert recorded() == 60
""",
        receiver,
        60,
    )


def test_the_inner_app_of_the_other_kind_gets_the_same_queue_time(receiver: Any) -> None:
    run(
        ADAPTERS
        + """
environs, scopes = [], []
inner = DynoscaleWsgiApp(lambda environ, start_response: environs.append(environ) or [])
application = DynoscaleAsgiApp(wsgi_in_asgi(inner, scopes), queue_time=True)
serve_asgi(application)
times = [request["dynoscale.queue_time_ms"] for request in (*environs, *scopes)]
assert len(times) == 2 and times[0] == times[1]
""",
        receiver,
        1,
    )


def test_if_the_app_raises_under_nested_wrappers(receiver: Any) -> None:
    run(
        """
        error = RuntimeError("the app's")

        def broken(environ, start_response):
            raise error

        application = DynoscaleWsgiApp(DynoscaleWsgiApp(broken))
        for n in range(50):
            request, environ = received()
            try:
                application(environ, start_response)
            except RuntimeError as caught:
                assert caught is error and caught.__context__ is None
            else:
                raise AssertionError("nothing was raised")
        assert recorded() == 50
        """,
        receiver,
        50,
    )


def test_in_many_threads(receiver: Any) -> None:
    run(
        """
        sys.setswitchinterval(1e-6)
        application = DynoscaleWsgiApp(DynoscaleWsgiApp(app))

        def work():
            for n in range(200):
                serve(application, hooked=n % 2 == 0)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorded() == 1600
        """,
        receiver,
        1600,
    )


def test_a_single_wrapper_leaves_the_stamp(receiver: Any) -> None:
    run(
        """
        application = DynoscaleWsgiApp(app)
        seen = []
        request, environ = received()
        DynoscaleWsgiApp(print)  # gone at once
        DynoscaleWsgiApp(lambda environ, start: seen.append(dict(environ)))
        before = dict(environ)
        application(environ, start_response)
        assert environ.pop("dynoscale.counted") is environ["HTTP_X_REQUEST_START"]
        assert environ == before
        del application
        pre_request(None, request)
        assert vars(request.body) == {}
        """,
        receiver,
        2,
    )


def test_while_off_nothing_is_marked(receiver: Any) -> None:
    code = """
        seen = []
        inner = DynoscaleWsgiApp(lambda environ, start: seen.append(environ))
        application = DynoscaleWsgiApp(inner)
        request, environ = received()
        before = dict(environ)
        pre_request(None, request)
        application(environ, start_response)
        assert seen == [before] and vars(request.body) == {}
        """
    agent_tools.run(PRELUDE + textwrap.dedent(code), agent_tools.child_environment())
