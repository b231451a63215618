"""The ASGI wrapper: counts each HTTP request, and changes nothing between server and app."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import weakref
from typing import Any

import agent_tools
import pytest
from agent_tools import asgi_scope, stamp, stamped_scope

import dynoscale
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.wsgi import DynoscaleWsgiApp


@pytest.fixture
def state(request: pytest.FixtureRequest) -> None:
    """Asks for an agent where the test runs with one that is on."""
    if request.param == "on":
        request.getfixturevalue("agent")


on_and_off = pytest.mark.parametrize("state", ["on", "off"], indirect=True)


def recorded() -> int:
    return dynoscale.stats()["recorded"]


def echo(*args: Any, **kwargs: Any) -> Any:
    """An app that tells what it was called with."""
    return (args, kwargs)


def count(scope: Any) -> dict[str, int]:
    """The counters of a process that had only this request, but those that are 0."""
    before = dynoscale.stats()
    DynoscaleAsgiApp(echo)(scope, None, None)
    after = dynoscale.stats()
    names = ["recorded", "stamp_missing", "stamp_malformed", "stamp_stale", "stamp_future"]
    return {name: after[name] - before[name] for name in names if after[name] > before[name]}


RECORDED, MISSING, MALFORMED = {"recorded": 1}, {"stamp_missing": 1}, {"stamp_malformed": 1}


# ---- The call ----


@on_and_off
@pytest.mark.parametrize("kind", ["http", "websocket", "something new"])
def test_app_and_server_see_each_other_s_objects(state: None, kind: str) -> None:
    awaitable = object()
    scope, receive, send = stamped_scope(type=kind), object(), object()
    before = dict(scope)
    seen = []

    def app(*args: Any, **kwargs: Any) -> Any:
        seen.append((args, kwargs))
        return awaitable

    assert DynoscaleAsgiApp(app)(scope, receive, send) is awaitable
    assert seen == [((scope, receive, send), {})]
    assert seen[0][0][0] is scope
    scope.pop("dynoscale.counted", None)
    assert scope == before


@pytest.mark.parametrize("names", [("scope", "receive", "send"), ("send", "scope", "receive")])
def test_a_server_may_name_what_it_calls_with(names: Any, agent: None) -> None:
    """As Daphne does."""
    given = {"scope": stamped_scope(), "receive": object(), "send": object()}
    args, kwargs = DynoscaleAsgiApp(echo)(**{name: given[name] for name in names})
    assert (args, kwargs) == ((given["scope"], given["receive"], given["send"]), {})
    assert recorded() == 1
    assert DynoscaleAsgiApp(echo)(scope=1, receive=2, other=3)[1] == {
        "scope": 1,
        "receive": 2,
        "other": 3,
    }


def test_the_awaitable_is_the_app_s_coroutine(agent: None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> str:
        return "done"

    coroutine = DynoscaleAsgiApp(app)(stamped_scope(), None, None)
    assert inspect.iscoroutine(coroutine) and coroutine.cr_code is app.__code__
    assert recorded() == 1  # measured by the call, not by a step of the coroutine
    assert asyncio.run(agent_tools.until_done(coroutine)) == "done"
    assert recorded() == 1


@on_and_off
def test_an_exception_of_the_app_is_the_server_s_untouched(state: None) -> None:
    error = RuntimeError("the app's")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    def broken(scope: Any, receive: Any, send: Any) -> Any:
        raise error

    with pytest.raises(RuntimeError) as caught:
        agent_tools.Asgi().serve(DynoscaleAsgiApp(app), stamped_scope())
    assert caught.value is error and error.__context__ is None
    with pytest.raises(RuntimeError) as caught:
        DynoscaleAsgiApp(broken)(stamped_scope(), None, None)
    assert caught.value is error and error.__context__ is None


@on_and_off
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (({},), {}),
        (({"type": "http"},), {}),
        (({"type": "http"}, 1, 2, 3), {"x": 1}),
        ((), {"scope": {"type": "http"}, "receive": None}),
        ((None, None, None), {}),
        (([], "x"), {}),
    ],
)
def test_misuse_is_the_app_s_to_judge(
    state: None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    assert DynoscaleAsgiApp(echo)(*args, **kwargs) == (args, kwargs)


# ---- What is counted ----


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "HTTP", "", None, b"http", 5, object()])
def test_only_http_is_counted(kind: Any, agent: None) -> None:
    assert count(stamped_scope(type=kind)) == {}


def test_a_scope_without_a_type_is_not_counted(agent: None) -> None:
    scope = stamped_scope()
    del scope["type"]
    assert count(scope) == {}


def test_the_type_may_be_another_object_of_the_same_text(agent: None) -> None:
    assert count(stamped_scope(type="".join(["ht", "tp"]))) == RECORDED


@pytest.mark.parametrize(
    "name", [b"x-request-start", b"X-Request-Start", b"X-REQUEST-START", b"x-queue-start"]
)
def test_a_stamp_is_found_in_any_case(name: bytes, agent: None) -> None:
    assert count(asgi_scope((b"host", b"a"), (name, stamp().encode()))) == RECORDED


@pytest.mark.parametrize(
    "name", [b"x-request-stars", b"x-request-star", b"x_request_start", b"x-queue-starts", b""]
)
def test_other_names_are_passed_over(name: bytes, agent: None) -> None:
    assert count(asgi_scope((name, stamp().encode()))) == MISSING


def test_both_headers_and_a_repeated_one_are_lists(agent: None, receiver: Any) -> None:
    for headers in [
        [(b"x-request-start", stamp(100).encode()), (b"x-request-start", stamp(2500).encode())],
        [(b"x-request-start", stamp(2500).encode()), (b"x-queue-start", stamp(100).encode())],
    ]:
        assert count(asgi_scope(*headers)) == RECORDED
    assert dynoscale.flush()
    assert all(row["metric"] >= 2500 for row in receiver.rows())


@pytest.mark.parametrize("first", [True, False])
def test_a_client_s_header_never_wins_over_the_router_s(
    first: bool, agent: None, receiver: Any
) -> None:
    own = (b"x-request-start", stamp(250).encode())
    for name in (b"x-queue-start", b"x_request_start", b"x-request_start"):
        other = (name, stamp(590_000).encode())
        assert count(asgi_scope(*((other, own) if first else (own, other)))) == RECORDED
    assert dynoscale.flush()
    assert all(250 <= row["metric"] < 60_000 for row in receiver.rows())


class Headers:
    """An iterable that is neither list nor tuple, as h11's."""

    def __iter__(self) -> Any:
        return iter([(b"host", b"a"), (b"x-request-start", stamp().encode())])


class Sequence(list):
    """A list of its own kind."""


@pytest.mark.parametrize(
    "kind",
    [list, tuple, Sequence, lambda pairs: Headers()],
    ids=["list", "tuple", "subclass", "iterable"],
)
@pytest.mark.parametrize("pair", [tuple, list])
def test_headers_are_any_iterable_of_pairs(kind: Any, pair: Any, agent: None) -> None:
    pairs = [pair([b"host", b"a"]), pair([b"x-request-start", stamp().encode()])]
    assert count(asgi_scope() | {"headers": kind(pairs)}) == RECORDED


class Broken:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Any:
        yield (b"host", b"a")
        raise self.error


@pytest.mark.parametrize(
    "headers",
    [
        None,
        5,
        "text",
        [5, None, (), (b"x-request-start",), [b"x-request-start"], [None, None]],
        [("x-request-start", "1700000000000")],
        [(b"x-request-start", b"1", b"2")],
        Broken(ValueError("the server's")),
    ],
)
def test_wrong_shapes_have_no_stamp_and_raise_nothing(headers: Any, agent: None) -> None:
    assert count(asgi_scope() | {"headers": headers}) == MISSING


@pytest.mark.parametrize("value", ["text", 5, object(), b"\xff", b"x" * 100_000])
def test_a_value_that_is_no_time_is_malformed(value: Any, agent: None) -> None:
    expected = MALFORMED
    assert count(asgi_scope((b"x-request-start", value))) == expected
    assert count(asgi_scope((b"x-request-start", value), (b"x-request-start", value))) == expected


def test_an_iterator_is_left_for_the_app_to_read(agent: None) -> None:
    pairs = iter([(b"x-request-start", stamp().encode())])
    assert count(asgi_scope() | {"headers": pairs}) == MISSING
    assert len(list(pairs)) == 1


def test_exceptions_from_outside_are_propagated(agent: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        count(asgi_scope() | {"headers": Broken(KeyboardInterrupt())})


class Scope(dict):
    def __getitem__(self, key: object) -> Any:
        raise RuntimeError("the agent must not ask")

    get = __contains__ = __getitem__


def test_a_subclass_of_dict_is_read_as_a_dict(agent: None) -> None:
    assert count(Scope(stamped_scope())) == RECORDED


# ---- What servers look at ----


async def plain_function(scope: Any, receive: Any, send: Any) -> None:
    pass


class Application:
    """An app that is an object, as Starlette's and Django's."""

    name = "application"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


@pytest.mark.parametrize("app", [plain_function, Application(), Application().__call__])
def test_servers_see_that_it_is_of_asgi_3(app: Any) -> None:
    wrapper = DynoscaleAsgiApp(app)
    assert not inspect.isclass(wrapper) and not inspect.isfunction(wrapper)
    assert inspect.iscoroutinefunction(wrapper.__call__)
    assert asyncio.iscoroutinefunction(wrapper.__call__)
    assert asyncio.iscoroutinefunction(DynoscaleAsgiApp(wrapper).__call__)


def test_the_attribute_call_works_too(agent: None) -> None:
    request = agent_tools.Asgi()
    request.serve(DynoscaleAsgiApp(request.app).__call__, stamped_scope())
    assert len(request.sent) == 2
    assert recorded() == 1


def test_uvicorn_takes_it_for_asgi_3() -> None:
    uvicorn = pytest.importorskip("uvicorn")
    for app in (plain_function, Application()):
        config = uvicorn.Config(DynoscaleAsgiApp(app), lifespan="off", log_config=None)
        config.load()
        assert config.interface == "asgi3"


def test_starlette_takes_it_as_a_middleware(agent: None) -> None:
    applications = pytest.importorskip("starlette.applications")
    responses = pytest.importorskip("starlette.responses")
    app = applications.Starlette()

    async def hello(request: Any) -> Any:
        return responses.PlainTextResponse("hello")

    app.add_route("/", hello)
    app.add_middleware(DynoscaleAsgiApp, queue_time=True)
    scope = {**stamped_scope(), "query_string": b"", "root_path": ""}
    request = agent_tools.Asgi()
    for _ in range(3):
        request.serve(app, dict(scope))
    assert [message.get("body") for message in request.sent] == [None, b"hello"] * 3
    assert recorded() == 3


# ---- Attributes and objects ----


def test_attributes_are_the_app_s() -> None:
    application = Application()
    wrapper = DynoscaleAsgiApp(application)
    assert wrapper.name == "application"
    wrapper.name = "other"
    assert application.name == "other"
    assert wrapper.__wrapped__ is application
    assert wrapper.__doc__ == Application.__doc__
    assert not hasattr(wrapper, "missing")
    assert repr(wrapper) == f"<DynoscaleAsgiApp of {application!r}>"
    assert DynoscaleAsgiApp.__module__ == "dynoscale.asgi"
    assert repr(DynoscaleAsgiApp.__new__(DynoscaleAsgiApp)) == "<DynoscaleAsgiApp of no app>"


def test_app_and_settings_can_be_given_by_keyword(receiver: Any, settings: None) -> None:
    wrapper = DynoscaleAsgiApp(app=echo, url=f"{receiver.url}/keyword", dyno="web.1")
    assert wrapper.__wrapped__ is echo
    wrapper(stamped_scope(), None, None)
    assert dynoscale.flush()
    assert len(receiver.rows()) == 1


@pytest.mark.parametrize("args", [(), (echo, 1)])
def test_a_wrapper_takes_one_app(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="DynoscaleAsgiApp takes one app"):
        DynoscaleAsgiApp(*args)


def test_a_subclass_can_have_an_init_and_a_call_of_its_own(agent: None) -> None:
    class Wrapper(DynoscaleAsgiApp):
        def __init__(self, app: Any, more: str) -> None:
            super().__init__(app)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)

    request = agent_tools.Asgi()
    wrapper = Wrapper(request.app, "more")
    assert wrapper.__call__.__func__ is Wrapper.__call__
    request.serve(wrapper, stamped_scope())
    assert len(request.sent) == 2
    assert recorded() == 1


def test_a_wrapper_without_an_app_says_so() -> None:
    class Wrapper(DynoscaleAsgiApp):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="DynoscaleAsgiApp has no app"):
        Wrapper()({}, None, None)


def test_a_wrapper_does_not_keep_its_app_alive_in_a_cycle() -> None:
    application: Any = Application()
    application.wrapper = DynoscaleAsgiApp(application)
    application.call = application.wrapper.__call__
    seen = weakref.ref(application.wrapper), weakref.ref(application)
    del application
    gc.collect()
    assert [reference() for reference in seen] == [None, None]


@pytest.mark.parametrize("pair", [tuple, list])
def test_calls_leak_no_references(pair: Any, agent: None) -> None:
    value, name = stamp().encode(), b"x-request-start"
    scope = asgi_scope() | {"headers": [pair([b"host", b"a"]), pair([name, value])] * 2}
    wrapper = DynoscaleAsgiApp(lambda *args: None)
    objects = (scope, scope["headers"], scope["headers"][1], value, name, wrapper)

    def counts() -> tuple[int, ...]:
        gc.collect()
        return tuple(map(sys.getrefcount, objects))

    wrapper(scope, None, None)
    before = counts()
    for _ in range(1000):
        wrapper(scope, None, None)
    assert counts() == before


# ---- Lifespan ----


class Lifespan(agent_tools.Asgi):
    """A server that starts and stops an app."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        assert receive == self.receive
        for message in self.messages:
            assert await receive() is message
            await send({"type": f"{message['type']}.complete"})

    async def receive(self) -> Any:
        return self.messages[len(self.sent)]


def lifespan_scope() -> Any:
    return {"type": "lifespan", "asgi": {"version": "3.0"}}


@on_and_off
@pytest.mark.parametrize("wrappers", [1, 3])
def test_an_app_is_started_and_stopped(state: None, wrappers: int) -> None:
    server = Lifespan()
    app: Any = server.app
    for _ in range(wrappers):
        app = DynoscaleAsgiApp(app)
    scope = lifespan_scope()
    server.serve(app, scope)
    assert [message["type"] for message in server.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert scope == lifespan_scope()


def test_samples_are_reported_before_the_app_has_stopped(receiver: Any) -> None:
    """Servers may end the process by a signal right then."""
    agent_tools.run(
        """
        import os, signal
        import agent_tools
        from test_asgi_app import DynoscaleAsgiApp, Lifespan, lifespan_scope

        class Killed(Lifespan):
            async def send(self, message):
                await super().send(message)
                if message["type"] == "lifespan.shutdown.complete":
                    os.kill(os.getpid(), signal.SIGKILL)

        child = os.fork()
        if child == 0:
            request = agent_tools.Asgi()
            for _ in range(5):
                request.serve(DynoscaleAsgiApp(request.app), agent_tools.stamped_scope())
            server = Killed()
            server.serve(DynoscaleAsgiApp(server.app), lifespan_scope())
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        """,
        agent_tools.reporting_to(receiver.url),
    )
    assert receiver.summary()["rows"] == 5


def test_a_service_that_hangs_is_not_waited_for_twice(receiver: Any) -> None:
    receiver.behave("stall")
    agent_tools.run(
        """
        import atexit, os, time
        import agent_tools

        @atexit.register  # before the agent's own, so it runs after it
        def compare():
            exiting = time.monotonic() - stopped
            if exiting > (stopped - began) / 2:
                print(f"{stopped - began} s to stop, {exiting} s to exit", flush=True)
                os._exit(1)

        from test_asgi_app import DynoscaleAsgiApp, Lifespan, lifespan_scope

        request = agent_tools.Asgi()
        request.serve(DynoscaleAsgiApp(request.app), agent_tools.stamped_scope())
        server = Lifespan()
        began = time.monotonic()
        server.serve(DynoscaleAsgiApp(server.app), lifespan_scope())
        stopped = time.monotonic()
        """,
        agent_tools.reporting_to(receiver.url),
    )


@pytest.mark.parametrize("message", [None, {}, [], {"type": "lifespan.startup.failed"}])
def test_messages_of_an_app_that_starts_pass_untouched(message: Any, agent: None) -> None:
    sent: Any = object()
    seen = []

    def send(given: Any) -> Any:
        seen.append(given)
        return sent

    answers = DynoscaleAsgiApp(lambda scope, receive, send: send(message))
    assert answers(lifespan_scope(), None, send) is sent
    assert seen[0] is message


def test_an_app_without_lifespan_raises_as_before(agent: None) -> None:
    error = ValueError("the app's")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(ValueError) as caught:
        agent_tools.Asgi().serve(DynoscaleAsgiApp(app), lifespan_scope())
    assert caught.value is error


# ---- Counted once; in a process of its own, without other entry points ----

PRELUDE = '''
import agent_tools, dynoscale
from dynoscale.asgi import DynoscaleAsgiApp

request = agent_tools.Asgi()

class Copies:
    """A middleware that hands a copy of scope on."""

    def __init__(self, app):
        self.app = app

    def __call__(self, scope, receive, send):
        return self.app(dict(scope), receive, send)
'''


@pytest.mark.parametrize(
    "app",
    [
        "DynoscaleAsgiApp(request.app)",
        "DynoscaleAsgiApp(DynoscaleAsgiApp(DynoscaleAsgiApp(request.app)))",
        "copies = DynoscaleAsgiApp(Copies(DynoscaleAsgiApp(request.app)))",
    ],
)
def test_a_request_is_counted_once(app: str, receiver: Any) -> None:
    agent_tools.run(
        f"""{PRELUDE}
app = {app}
for _ in range(50):
    request.serve(app, agent_tools.stamped_scope())
assert dynoscale.stats()["recorded"] == 50
""",
        agent_tools.reporting_to(receiver.url),
    )
    assert receiver.summary()["rows"] == 50


def test_a_single_wrapper_leaves_the_stamp(receiver: Any) -> None:
    agent_tools.run(
        f"""{PRELUDE}
scope = agent_tools.stamped_scope()
before = dict(scope)
request.serve(DynoscaleAsgiApp(request.app), scope)
assert scope.pop("dynoscale.counted") is scope["headers"][1][1]
assert scope == before
""",
        agent_tools.reporting_to(receiver.url),
    )


def test_a_request_that_comes_again_is_counted_once(agent: None) -> None:
    """A retry, a mount that copies the scope, one wrapper after the other."""
    request = agent_tools.Asgi()
    one, other = DynoscaleAsgiApp(request.app), DynoscaleAsgiApp(request.app)
    for _ in range(10):
        scope = stamped_scope(asgi={"version": "3.0"})
        for wrapper in (one, one, other):
            request.serve(wrapper, scope)
            request.serve(wrapper, {**scope, "path": "/other"})
    assert recorded() == 10


def test_a_repeated_header_is_the_same_when_it_comes_again(agent: None) -> None:
    request = agent_tools.Asgi()
    app = DynoscaleAsgiApp(request.app)
    header = (b"x-request-start", agent_tools.stamp().encode())
    scope = asgi_scope(header, header, asgi={"version": "3.0"})
    request.serve(app, scope)
    request.serve(app, scope)
    assert recorded() == 1


def test_wrappers_of_both_kinds_count_their_own(agent: None) -> None:
    request = agent_tools.Asgi()
    wsgi, asgi = DynoscaleWsgiApp(agent_tools.app), DynoscaleAsgiApp(request.app)
    for _ in range(10):
        wsgi(agent_tools.stamped(), agent_tools.start_response)
        request.serve(asgi, stamped_scope())
    assert recorded() == 20
