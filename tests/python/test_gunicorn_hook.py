"""gunicorn's hook: pre_request(worker, req)."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import agent_tools
import pytest

import dynoscale
from dynoscale.hooks.gunicorn import pre_request


def request(*headers: Any) -> SimpleNamespace:
    return SimpleNamespace(headers=list(headers))


def counted() -> dict[str, int]:
    names = ["recorded", "stamp_missing", "stamp_malformed", "stamp_stale", "stamp_future"]
    stats = dynoscale.stats()
    return {name: stats[name] for name in names if stats[name]}


def test_gunicorn_takes_it_as_a_hook() -> None:
    config = pytest.importorskip("gunicorn.config").Config()
    config.set("pre_request", pre_request)
    assert config.pre_request is pre_request
    assert str(inspect.signature(pre_request)) == "(worker, req)"


def test_gunicorn_s_own_request_is_counted(agent: None) -> None:
    pytest.importorskip("gunicorn")
    from gunicorn.config import Config
    from gunicorn.http.message import Request
    from gunicorn.http.unreader import IterUnreader

    text = f"GET / HTTP/1.1\r\nHost: a\r\nx-request-start: {agent_tools.stamp()}\r\n\r\n"
    unreader = IterUnreader([text.encode()])
    pre_request(None, Request(Config(), unreader, ("127.0.0.1", 1)))
    assert counted() == {"recorded": 1}


@pytest.mark.parametrize(
    "name",
    ["X-REQUEST-START", "x-request-start", "X-Request-Start", "X-QUEUE-START", "x-Queue-sTART"],
)
def test_a_stamp_is_found_in_any_case_and_place(name: str, agent: None) -> None:
    others = [(f"X-OTHER-{n}", "v") for n in range(7)]
    for place in range(len(others) + 1):
        headers = [*others[:place], (name, agent_tools.stamp()), *others[place:]]
        pre_request(None, request(*headers))
        pre_request(None, SimpleNamespace(headers=tuple(headers)))
    assert counted() == {"recorded": 2 * (len(others) + 1)}


@pytest.mark.parametrize(
    "name",
    [
        "X-REQUEST-STARX",
        "Y-REQUEST-START",
        "X_REQUEST_START",
        "X-QUEUE-STARTED",
        "XX-QUEUE-START",
        "X-REQUEST-STAR",
        "ACCEPT-ENCODING",
        "AUTHORIZATION",
        "X-QUEUE-STARX",
        "X-REQUEST-STARÉ",
        "",
    ],
)
def test_other_headers_are_passed_over(name: str, agent: None) -> None:
    pre_request(None, request((name, agent_tools.stamp())))
    assert counted() == {"stamp_missing": 1}


def test_a_header_that_came_twice_is_one_list(agent: None, receiver: Any) -> None:
    names = ["X-REQUEST-START", "x-request-start", "X-REQUEST-START"]
    stamps = [agent_tools.stamp(250), agent_tools.stamp(5000), agent_tools.stamp(400)]
    pre_request(None, request(*zip(names, stamps)))
    assert counted() == {"recorded": 1}
    assert dynoscale.flush()
    (row,) = receiver.rows()
    assert 5000 <= row["metric"] < 7000


@pytest.mark.parametrize("first", [True, False])
def test_a_client_s_header_never_wins_over_the_router_s(
    first: bool, agent: None, receiver: Any
) -> None:
    own = ("X-REQUEST-START", agent_tools.stamp(250))
    for name in ("X-QUEUE-START", "X_REQUEST_START", "X-REQUEST_START"):
        others = [(name, agent_tools.stamp(590_000))]
        pre_request(None, request(*(others + [own] if first else [own] + others)))
    assert dynoscale.flush()
    assert all(250 <= row["metric"] < 60_000 for row in receiver.rows())
    assert counted() == {"recorded": 3}


def test_a_repeated_header_of_wrong_types_raises_nothing(agent: None) -> None:
    pre_request(None, request(("X-REQUEST-START", 1), ("X-REQUEST-START", agent_tools.stamp())))
    pre_request(None, request(("X-REQUEST-START", "\ud800"), ("X-REQUEST-START", "1")))
    assert counted() == {"stamp_malformed": 2}


class Raising:
    @property
    def headers(self) -> Any:
        raise RuntimeError("the agent must bear it")


@pytest.mark.parametrize(
    "req",
    [
        None,
        object(),
        Raising(),
        SimpleNamespace(headers=None),
        SimpleNamespace(headers="X-REQUEST-START"),
        SimpleNamespace(headers={"X-REQUEST-START": "1"}),
        SimpleNamespace(headers=iter([("X-REQUEST-START", "1")])),
        request(None, 1, "text", (), ("X-REQUEST-START",), ("X-REQUEST-START", "1", "2")),
        request(["X-REQUEST-START", "1"]),
        request((b"X-REQUEST-START", b"1"), (None, "1"), (1, "1")),
    ],
    ids=lambda req: type(getattr(req, "headers", None)).__name__
    if not isinstance(req, Raising)
    else "raising",
)
def test_wrong_shapes_have_no_stamp_and_raise_nothing(req: Any, agent: None) -> None:
    assert pre_request(None, req) is None
    assert counted() == {"stamp_missing": 1}


class Interrupted:
    @property
    def headers(self) -> Any:
        raise SystemExit("a signal's handler, by chance just here")


def test_exceptions_from_outside_are_propagated(agent: None) -> None:
    with pytest.raises(SystemExit):
        pre_request(None, Interrupted())


def test_it_can_be_called_by_keyword(agent: None) -> None:
    req = request(("X-REQUEST-START", agent_tools.stamp()))
    pre_request(worker=None, req=req)
    pre_request(None, req=req)
    assert counted() == {"recorded": 2}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1,), {}), ((1, 2, 3), {}), ((1, 2), {"req": 1}), ((1,), {"x": 1})],
)
def test_wrong_arguments_are_a_type_error(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError, match="worker and req"):
        pre_request(*args, **kwargs)


def test_calls_leak_no_references(receiver: Any) -> None:
    """In a process of its own: beside a wrapper, one of an earlier test for instance, the hook keeps
    the stamps of the last requests."""
    agent_tools.run(
        """
        import sys
        import agent_tools
        from types import SimpleNamespace
        from dynoscale.hooks.gunicorn import pre_request
        from dynoscale.wsgi import DynoscaleWsgiApp

        stamp = agent_tools.stamp()
        req = SimpleNamespace(headers=[("HOST", "a"), ("X-REQUEST-START", stamp)], body=None)
        watched = [req, req.headers, req.headers[1], stamp]

        def references():
            return [sys.getrefcount(thing) for thing in watched]

        pre_request(None, req)
        before = references()
        for _ in range(1000):
            pre_request(None, req)
        assert references() == before, references()

        wrapper = DynoscaleWsgiApp(agent_tools.app)
        for _ in range(1000):
            pre_request(None, req)
        assert references() == [*before[:3], before[3] + 16], references()
        """,
        agent_tools.reporting_to(receiver.url),
    )


def test_the_agent_opens_with_the_first_request(receiver: Any) -> None:
    done = agent_tools.run(
        """
        import agent_tools, dynoscale
        from types import SimpleNamespace
        from dynoscale.hooks.gunicorn import pre_request

        assert not dynoscale._native.is_decided()
        pre_request(None, SimpleNamespace(headers=[("X-REQUEST-START", agent_tools.stamp())]))
        print(dynoscale.stats()["recorded"])
        """,
        agent_tools.reporting_to(receiver.url),
    )
    assert done.stdout == "1\n"
    assert len(receiver.rows()) == 1
