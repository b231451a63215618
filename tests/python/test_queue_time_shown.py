"""The settings queue_time and server_timing: the app and the browser get the queue time."""

from __future__ import annotations

import re
from typing import Any, Optional

import agent_tools
import pytest

import dynoscale
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.wsgi import DynoscaleWsgiApp

KEY = "dynoscale.queue_time_ms"
NO_SAMPLE: list[Optional[str]] = [
    None,
    "x",
    "1",
    agent_tools.stamp(900_000),
    agent_tools.stamp(-1e9),
]
Headers = list[tuple[str, str]]


class Wsgi:
    """One request to a wrapped WSGI app."""

    def __init__(self, stamp: Optional[str] = None, headers: Any = ()) -> None:
        self.environ: dict[str, Any] = {"REQUEST_METHOD": "GET"}
        if stamp is not None:
            self.environ["HTTP_X_REQUEST_START"] = stamp
        self.own_headers = list(headers) if headers == () else headers
        self.seen: dict[str, Any] = {}
        self.answer: Any = None

    def app(self, environ: Any, start_response: Any) -> Any:
        self.seen = dict(environ)
        assert start_response("200 OK", self.own_headers) == "write"
        return agent_tools.BODY

    def start_response(self, status: Any, headers: Any, *more: Any) -> Any:
        self.answer = (status, headers, *more)
        return "write"

    def serve(self, wrap: Any = DynoscaleWsgiApp) -> Wsgi:
        assert wrap(self.app)(self.environ, self.start_response) is agent_tools.BODY
        return self

    @property
    def timing(self) -> list[str]:
        return [value for name, value in self.answer[1] if name.lower() == "server-timing"]


class Asgi(agent_tools.Asgi):
    """One request to a wrapped ASGI app."""

    def __init__(self, stamp: Optional[str] = None, headers: Any = ()) -> None:
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        super().__init__(encoded)
        pairs = [] if stamp is None else [(b"x-request-start", stamp.encode())]
        self.environ = agent_tools.asgi_scope(*pairs)

    def serve(self, wrap: Any = DynoscaleAsgiApp) -> Asgi:  # type: ignore[override]
        super().serve(wrap(self.app), self.environ)
        assert [message["type"] for message in self.sent] == [
            "http.response.start",
            "http.response.body",
        ]
        return self

    @property
    def seen(self) -> Any:
        return self.scope

    @property
    def timing(self) -> list[str]:
        headers = self.sent[0]["headers"]
        return [value.decode() for name, value in headers if name.lower() == b"server-timing"]


WRAPPERS = {Wsgi: DynoscaleWsgiApp, Asgi: DynoscaleAsgiApp}
both = pytest.mark.parametrize("kind", [Wsgi, Asgi], ids=["wsgi", "asgi"])


def metrics(receiver: Any) -> list[int]:
    assert dynoscale.flush()
    return [row["metric"] for row in receiver.rows()]


def milliseconds(entry: str) -> int:
    found = re.fullmatch(r"queue;dur=(\d+)", entry)
    assert found is not None, entry
    return int(found[1])


@both
def test_both_are_off_unless_asked_for(kind: Any, agent: None) -> None:
    request = kind(agent_tools.stamp())
    request.serve()
    assert KEY not in request.seen
    assert request.timing == []


def test_while_they_are_off_the_server_s_own_objects_reach_the_app(agent: None) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        return [environ, start_response]

    request = Wsgi(agent_tools.stamp())
    assert DynoscaleWsgiApp(app)(request.environ, request.start_response) == [
        request.environ,
        request.start_response,
    ]


@both
def test_the_app_gets_the_reported_queue_time(kind: Any, agent: None, receiver: Any) -> None:
    dynoscale.configure(queue_time=True)
    request = kind(agent_tools.stamp(2500)).serve()
    assert type(request.seen[KEY]) is int
    assert 2500 <= request.seen[KEY]
    assert [request.seen[KEY]] == metrics(receiver)
    assert request.timing == []


@both
@pytest.mark.parametrize("stamp", NO_SAMPLE, ids=["none", "junk", "no time", "stale", "future"])
def test_without_a_sample_there_is_nothing(kind: Any, stamp: Optional[str], agent: None) -> None:
    dynoscale.configure(queue_time=True, server_timing=True)
    request = kind(stamp).serve()
    assert KEY not in request.seen
    assert request.timing == []


@both
def test_a_request_used_again_does_not_keep_the_last_one_s(kind: Any, agent: None) -> None:
    dynoscale.configure(queue_time=True)
    request = kind()
    request.environ[KEY] = 5
    request.serve()
    assert KEY not in request.seen


@both
def test_nothing_is_shown_while_the_agent_is_off(kind: Any, agent: None) -> None:
    dynoscale.configure(skip=True, queue_time=True, server_timing=True)
    request = kind(agent_tools.stamp()).serve()
    assert KEY not in request.seen
    assert request.timing == []


@both
def test_the_browser_gets_the_reported_queue_time(kind: Any, agent: None, receiver: Any) -> None:
    dynoscale.configure(server_timing=True)
    request = kind(agent_tools.stamp(2500)).serve()
    assert KEY not in request.seen
    assert [milliseconds(entry) for entry in request.timing] == metrics(receiver)


@both
def test_both_settings_work_together(kind: Any, agent: None) -> None:
    dynoscale.configure(queue_time="on", server_timing="on")
    request = kind(agent_tools.stamp(250)).serve()
    assert request.timing == [f"queue;dur={request.seen[KEY]}"]


@both
def test_a_new_configuration_starts_or_stops_showing_the_queue_time(kind: Any, agent: None) -> None:
    told = []
    for on in (True, False, True, None):
        dynoscale.configure(queue_time=on)
        told.append(KEY in kind(agent_tools.stamp()).serve().seen)
    assert told == [True, False, True, False]


@both
@pytest.mark.parametrize("name", ["server-timing", "Server-Timing", "SERVER-TIMING"])
def test_the_app_s_own_value_is_kept(kind: Any, name: str, agent: None) -> None:
    dynoscale.configure(server_timing=True)
    own = [("x", "y"), (name, "db;dur=5"), ("z", "")]
    request = kind(agent_tools.stamp(), own).serve()
    (value,) = request.timing
    assert re.fullmatch(r"db;dur=5, queue;dur=\d+", value)
    (empty,) = kind(agent_tools.stamp(), [(name, "")]).serve().timing
    milliseconds(empty)


def test_the_app_s_answer_is_not_changed(agent: None) -> None:
    dynoscale.configure(server_timing=True)
    own = [("x", "y")]
    for _ in range(3):
        assert len(Wsgi(agent_tools.stamp(), own).serve().timing) == 1
    assert own == [("x", "y")]

    messages = []
    request = Asgi(agent_tools.stamp(), own)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = {"type": "http.response.start", "status": 200, "headers": ((b"x", b"y"),)}
        messages.append(message)
        await send(message)

    agent_tools.Asgi.serve(request, DynoscaleAsgiApp(app), request.environ)
    assert messages == [
        {"type": "http.response.start", "status": 200, "headers": ((b"x", b"y"),)}
    ]
    assert len(request.timing) == 1


def test_start_response_s_other_arguments_pass(agent: None) -> None:
    dynoscale.configure(server_timing=True)
    request = Wsgi(agent_tools.stamp())

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("500 Sorry", [("x", "y")], "exc_info")
        return []

    DynoscaleWsgiApp(app)(request.environ, request.start_response)
    assert (request.answer[0], request.answer[2]) == ("500 Sorry", "exc_info")
    assert len(request.timing) == 1


@pytest.mark.parametrize("headers", [None, 5, [()], [("a",)], [(1, 2)], iter([("a", "b")])])
def test_unusable_headers_are_left_to_the_server(headers: Any, agent: None) -> None:
    dynoscale.configure(server_timing=True)
    request = Wsgi(agent_tools.stamp(), headers).serve()
    assert request.answer == ("200 OK", headers)


@pytest.mark.parametrize(
    "message",
    [
        None,
        {},
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": 103, "headers": []},
        {"type": "http.response.start", "status": None, "headers": []},
        {"type": "http.response.start", "status": 200, "headers": [b"x"]},
        {"type": "http.response.body", "body": b"hello"},
        {"type": "http.response.debug", "info": {}},
    ],
)
def test_other_messages_pass_untouched(message: Any, agent: None) -> None:
    dynoscale.configure(server_timing=True)
    request = Asgi(agent_tools.stamp())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert receive == request.receive
        await send(message)

    agent_tools.Asgi.serve(request, DynoscaleAsgiApp(app), request.environ)
    assert len(request.sent) == 1
    assert request.sent[0] is message


def test_a_start_without_headers_gets_the_entry(agent: None) -> None:
    dynoscale.configure(server_timing=True)
    request = Asgi(agent_tools.stamp())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})

    agent_tools.Asgi.serve(request, DynoscaleAsgiApp(app), request.environ)
    assert len(request.timing) == 1


def test_the_server_s_awaitable_is_the_app_s(agent: None) -> None:
    dynoscale.configure(server_timing=True)
    awaitable = object()
    seen = []

    def app(scope: Any, receive: Any, send: Any) -> Any:
        seen.append(send({"type": "http.response.body"}))
        return awaitable

    request = Asgi(agent_tools.stamp())
    sent: Any = object()
    assert DynoscaleAsgiApp(app)(request.environ, None, lambda message: sent) is awaitable
    assert seen == [sent]


@both
def test_misuse_is_the_app_s_to_judge(kind: Any, agent: None) -> None:
    dynoscale.configure(queue_time=True, server_timing=True)
    seen = []
    wrapper = WRAPPERS[kind](lambda *args, **kwargs: seen.append((args, kwargs)))
    environ = kind(agent_tools.stamp()).environ
    wrapper(environ)
    wrapper(environ, x=1)
    wrapper(*[environ, *range(20)])
    wrapper(None, 1, 2)
    assert seen == [
        ((environ,), {}),
        ((environ,), {"x": 1}),
        ((environ, *range(20)), {}),
        ((None, 1, 2), {}),
    ]


def test_an_exception_of_the_app_passes_untouched(agent: None) -> None:
    dynoscale.configure(queue_time=True, server_timing=True)
    error = RuntimeError("the app's")

    def app(environ: Any, start_response: Any) -> Any:
        raise error

    with pytest.raises(RuntimeError) as caught:
        DynoscaleWsgiApp(app)(agent_tools.stamped(), agent_tools.start_response)
    assert caught.value is error
    assert dynoscale.stats()["recorded"] == 1


@both
def test_several_wrappers_show_it_once(kind: Any, agent: None) -> None:
    dynoscale.configure(queue_time=True, server_timing=True)
    wrap = WRAPPERS[kind]
    request = kind(agent_tools.stamp(250)).serve(lambda app: wrap(wrap(wrap(app))))
    assert request.timing == [f"queue;dur={request.seen[KEY]}"]
    assert dynoscale.stats()["recorded"] == 1


def test_the_wrapper_shows_the_hook_s_queue_time(receiver: Any) -> None:
    agent_tools.run(
        """
        import agent_tools
        from dynoscale.hooks.gunicorn import pre_request
        from dynoscale.wsgi import DynoscaleWsgiApp
        from test_queue_time_shown import KEY, Wsgi

        class Object: pass

        def serve(**attributes):
            stamp = agent_tools.stamp(2500)
            hooked = Object()
            hooked.headers, hooked.body = [("X-REQUEST-START", stamp)], Object()
            served = Wsgi(stamp)
            served.environ["wsgi.input"] = hooked.body
            wrapper = DynoscaleWsgiApp(served.app)
            pre_request(None, hooked)
            wrapper(served.environ, served.start_response)
            return served

        for _ in range(3):
            served = serve()
            assert served.timing == [f"queue;dur={served.seen[KEY]}"]
            assert served.seen[KEY] >= 2500
        """,
        agent_tools.reporting_to(
            receiver.url, DYNOSCALE_QUEUE_TIME="on", DYNOSCALE_SERVER_TIMING="on"
        ),
    )
    assert receiver.summary()["rows"] == 3


@both
def test_calls_leak_no_references(kind: Any, agent: None) -> None:
    import gc
    import sys

    dynoscale.configure(queue_time=True, server_timing=True)
    if kind is Wsgi:
        app: Any = lambda environ, start_response: start_response("200 OK", [])  # noqa: E731
        wrapper: Any = DynoscaleWsgiApp(app)
    else:
        app = lambda scope, receive, send: send({"type": "http.response.body"})  # noqa: E731
        wrapper = DynoscaleAsgiApp(app)
    last: Any = lambda *args: None  # noqa: E731
    environ = kind(agent_tools.stamp()).environ
    arguments = (environ, last) if kind is Wsgi else (environ, None, last)

    def counts() -> tuple[int, ...]:
        gc.collect()
        return tuple(map(sys.getrefcount, (app, wrapper, environ, last)))

    wrapper(*arguments)
    before = counts()
    for _ in range(1000):
        wrapper(*arguments)
    assert counts() == before
