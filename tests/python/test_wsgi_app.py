"""The wrapper is transparent: what server and app exchange is theirs."""

from __future__ import annotations

import gc
import inspect
import pickle
import sys
import weakref
from typing import Any

import agent_tools
import pytest

import dynoscale
from dynoscale.config import Config
from dynoscale.wsgi import DynoscaleWsgiApp


@pytest.fixture
def state(request: pytest.FixtureRequest) -> None:
    """Asks for an agent where the test runs with one that is on."""
    if request.param == "on":
        request.getfixturevalue("agent")


both = pytest.mark.parametrize("state", ["on", "off"], indirect=True)


def recorded() -> int:
    return dynoscale.stats()["recorded"]


# ---- The call ----


@both
def test_app_and_server_see_each_other_s_objects(state: None) -> None:
    seen = []
    answer = iter([b"one", b"two"])

    def app(*args: Any, **kwargs: Any) -> Any:
        seen.append((args, kwargs))
        return answer

    environ = agent_tools.stamped()
    before = dict(environ)
    result = DynoscaleWsgiApp(app)(environ, agent_tools.start_response)
    assert result is answer
    assert seen == [((environ, agent_tools.start_response), {})]
    assert seen[0][0][0] is environ
    environ.pop("dynoscale.counted", None)
    assert environ == before


@both
def test_an_exception_of_the_app_is_the_server_s_untouched(state: None) -> None:
    error = RuntimeError("the app's")

    def app(environ: Any, start_response: Any) -> Any:
        raise error

    with pytest.raises(RuntimeError) as caught:
        DynoscaleWsgiApp(app)(agent_tools.stamped(), agent_tools.start_response)
    assert caught.value is error
    assert [frame.name for frame in caught.traceback][-1] == "app"
    assert error.__context__ is None


def test_a_request_whose_app_raises_is_counted(agent: None) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        DynoscaleWsgiApp(app)(agent_tools.stamped(), agent_tools.start_response)
    assert recorded() == 1


@both
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (({},), {}),
        (({}, 1, 2), {}),
        ((), {"environ": {}, "start_response": None}),
        (({},), {"start_response": None, "other": 1}),
        ((None, None), {}),
        (([], "x"), {}),
    ],
)
def test_misuse_is_the_app_s_to_judge(
    state: None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    def app(*args: Any, **kwargs: Any) -> Any:
        return (args, kwargs)

    assert DynoscaleWsgiApp(app)(*args, **kwargs) == (args, kwargs)

    def strict(environ: Any, start_response: Any) -> Any:
        return agent_tools.BODY

    try:
        expected = strict(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError, match="strict") as caught:
            DynoscaleWsgiApp(strict)(*args, **kwargs)
        assert str(caught.value) == str(error)
    else:
        assert DynoscaleWsgiApp(strict)(*args, **kwargs) is expected


def test_other_calls_than_requests_are_not_counted(agent: None) -> None:
    wrapper = DynoscaleWsgiApp(lambda *args, **kwargs: None)
    before = dynoscale.stats()
    wrapper()
    wrapper(None, None)
    wrapper([("HTTP_X_REQUEST_START", agent_tools.stamp())], None)
    assert dynoscale.stats() == before


class Environ(dict):
    def __getitem__(self, key: object) -> Any:
        raise RuntimeError("the agent must not ask")

    get = __contains__ = __getitem__


def test_a_subclass_of_dict_is_read_as_a_dict(agent: None) -> None:
    environ = Environ(agent_tools.stamped())
    DynoscaleWsgiApp(agent_tools.app)(environ, agent_tools.start_response)
    assert recorded() == 1


@both
def test_an_app_that_can_not_be_called_raises_when_called(state: None) -> None:
    wrapper = DynoscaleWsgiApp(None)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        wrapper({}, agent_tools.start_response)


@both
def test_any_kind_of_callable_can_be_wrapped(state: None) -> None:
    class Application:
        def __call__(self, environ: Any, start_response: Any) -> Any:
            return ["object"]

        def method(self, environ: Any, start_response: Any) -> Any:
            return ["method"]

    def call(app: Any) -> Any:
        return DynoscaleWsgiApp(app)(agent_tools.stamped(), agent_tools.start_response)

    assert call(Application()) == ["object"]
    assert call(Application().method) == ["method"]
    assert call(lambda environ, start_response: ["function"]) == ["function"]
    assert call(DynoscaleWsgiApp(agent_tools.app)) is agent_tools.BODY
    assert call(lambda *args: args[0]["REQUEST_METHOD"]) == "GET"


# ---- Attributes ----


class Application:
    """An application with a name."""

    debug = False

    def __init__(self) -> None:
        self.config = {"a": 1}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return agent_tools.BODY

    @property
    def broken(self) -> Any:
        raise LookupError("the app's")


def test_attributes_are_the_app_s() -> None:
    application = Application()
    wrapper = DynoscaleWsgiApp(application)
    assert wrapper.config is application.config
    assert wrapper.debug is False
    wrapper.debug = True
    assert application.debug is True
    del wrapper.debug
    assert application.debug is False
    assert not hasattr(wrapper, "missing")
    with pytest.raises(AttributeError, match="'Application' object has no attribute 'missing'"):
        wrapper.missing  # noqa: B018
    with pytest.raises(AttributeError):
        del wrapper.missing
    with pytest.raises(LookupError, match="the app's"):
        wrapper.broken  # noqa: B018
    assert vars(wrapper) is vars(application)
    assert {"config", "debug", "broken"} <= set(dir(wrapper))


def test_descriptions_are_the_app_s() -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app)
    assert wrapper.__doc__ == agent_tools.app.__doc__
    assert wrapper.__name__ == "app"
    assert wrapper.__module__ == "agent_tools"
    assert wrapper.__wrapped__ is agent_tools.app
    assert inspect.signature(wrapper) == inspect.signature(agent_tools.app)
    assert inspect.unwrap(wrapper) is agent_tools.app


def test_the_wrapper_says_what_it_is() -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app)
    assert repr(wrapper) == f"<DynoscaleWsgiApp of {agent_tools.app!r}>"
    assert isinstance(wrapper, DynoscaleWsgiApp)
    assert DynoscaleWsgiApp.__module__ == "dynoscale.wsgi"
    if sys.version_info >= (3, 10):  # 3.9 does not understand ** there
        assert str(inspect.signature(DynoscaleWsgiApp)) == "(app, /, **settings)"


def test_the_wrapper_of_an_app_that_shows_its_wrapper_can_be_shown() -> None:
    class Loop:
        def __repr__(self) -> str:
            return f"<Loop {self.wrapper!r}>"

    loop = Loop()
    loop.wrapper = DynoscaleWsgiApp(loop)
    assert repr(loop) == "<Loop <DynoscaleWsgiApp of <Loop <DynoscaleWsgiApp ...>>>>"


def test_the_documented_line_for_flask_wraps_a_method(agent: None) -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    app.route("/")(lambda: "hello")
    app.wsgi_app = DynoscaleWsgiApp(app.wsgi_app)
    for _ in range(3):
        answer = app.test_client().get("/", headers={"X-Request-Start": agent_tools.stamp()})
        assert (answer.status_code, answer.data) == (200, b"hello")
    assert recorded() == 3


def test_a_flask_app_can_be_wrapped_whole(agent: None) -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    app.route("/")(lambda: "hello")
    wrapper = DynoscaleWsgiApp(app)
    assert wrapper.url_map is app.url_map
    answer = wrapper.test_client().get("/")  # past the wrapper, as before
    assert answer.status_code == 200
    headers: list[Any] = []
    environ = agent_tools.stamped(PATH_INFO="/", SERVER_NAME="a", SERVER_PORT="80")
    environ["wsgi.url_scheme"] = "http"
    body = wrapper(environ, lambda *args: headers.append(args))
    assert b"".join(body) == b"hello"
    assert headers[0][0] == "200 OK"
    assert recorded() == 1


# ---- Settings ----


def test_flask_s_configuration_is_given_by_the_documented_line(settings: None) -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    app.config.update(DYNOSCALE_PUBLISH_FREQUENCY=60, DYNOSCALE_APP_NAME="given", OTHER=1)
    dynoscale.configure(**app.config.get_namespace("DYNOSCALE_"))
    config = Config()
    assert (config["publish_frequency"], config["app_name"]) == ("60", "given")
    assert config.warnings == ()


def test_settings_can_be_given_by_keyword(receiver: Any, settings: None) -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app, url=f"{receiver.url}/keyword", dyno="web.1")
    wrapper(agent_tools.stamped(), agent_tools.start_response)
    assert dynoscale.flush()
    assert len(receiver.rows()) == 1


def test_the_app_can_be_given_by_keyword() -> None:
    assert DynoscaleWsgiApp(app=agent_tools.app).__wrapped__ is agent_tools.app


@pytest.mark.parametrize(
    "value",
    [object(), [], b"\xff", "\ud800", 10**5000, float("nan"), "?"],
    ids=["object", "list", "bytes", "surrogate", "huge", "nan", "text"],
)
def test_a_wrong_setting_leaves_the_app_alone(value: object, settings: None) -> None:
    settings_given = {"url": value, "publish_frequency": value, "no_such_setting": value}
    wrapper = DynoscaleWsgiApp(agent_tools.app, **settings_given)
    assert wrapper(agent_tools.stamped(), agent_tools.start_response) is agent_tools.BODY


@pytest.mark.parametrize("args", [(), (agent_tools.app, 1)])
def test_a_wrapper_takes_one_app(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        DynoscaleWsgiApp(*args)


# ---- Objects ----


def test_a_subclass_works_with_an_init_of_its_own(agent: None) -> None:
    class Wrapper(DynoscaleWsgiApp):
        def __init__(self, app: Any, name: str) -> None:
            super().__init__(app)
            self.name = name

    def app(environ: Any, start_response: Any) -> Any:
        return [app.name]

    wrapper = Wrapper(app, "given")
    assert wrapper(agent_tools.stamped(), agent_tools.start_response) == ["given"]
    assert recorded() == 1


def test_a_subclass_can_have_a_call_of_its_own(agent: None) -> None:
    class Wrapper(DynoscaleWsgiApp):
        def __call__(self, environ: Any, start_response: Any) -> Any:
            return [*super().__call__(environ, start_response), b"more"]

    wrapper = Wrapper(agent_tools.app)
    assert wrapper(agent_tools.stamped(), agent_tools.start_response) == [b"hello", b"more"]
    assert recorded() == 1


def test_a_wrapper_without_an_app_says_so() -> None:
    class Wrapper(DynoscaleWsgiApp):
        def __init__(self) -> None:
            pass

    wrapper = Wrapper()
    with pytest.raises(RuntimeError, match="no app"):
        wrapper({}, agent_tools.start_response)
    assert repr(wrapper) == "<DynoscaleWsgiApp of no app>"
    assert not hasattr(wrapper, "config")


def test_a_wrapper_keeps_the_app_that_it_has() -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app)
    with pytest.raises(RuntimeError, match="already"):
        wrapper.__init__(print)
    assert wrapper.__wrapped__ is agent_tools.app


def test_a_wrapper_does_not_keep_its_app_alive_in_a_cycle() -> None:
    application = Application()
    application.wrapper = DynoscaleWsgiApp(application)
    seen = weakref.ref(application.wrapper), weakref.ref(application)
    del application
    gc.collect()
    assert [reference() for reference in seen] == [None, None]


def test_calls_leak_no_references(agent: None) -> None:
    environ = agent_tools.stamped()
    stamp = environ["HTTP_X_REQUEST_START"]
    wrapper = DynoscaleWsgiApp(agent_tools.app)
    wrapper(environ, agent_tools.start_response)  # which keeps the stamp as its mark
    watched = [environ, stamp, wrapper, agent_tools.app, agent_tools.start_response]
    before = [sys.getrefcount(thing) for thing in watched]
    for _ in range(1000):
        wrapper(environ, agent_tools.start_response)
    assert [sys.getrefcount(thing) for thing in watched] == before


def test_wrappers_may_be_in_each_other_as_deep_as_one_likes() -> None:
    """They are freed one after the other, and what would need the stack is a RecursionError."""
    code = """
        import sys
        from dynoscale.asgi import DynoscaleAsgiApp
        from dynoscale.wsgi import DynoscaleWsgiApp

        def expect_recursion_error(function, *args):
            try:
                function(*args)
            except RecursionError:
                return
            raise AssertionError(function)

        for wrapper, args in ((DynoscaleWsgiApp, ({}, None)), (DynoscaleAsgiApp, ({}, None, None))):
            app = print
            for _ in range(300_000):
                app = wrapper(app)
            expect_recursion_error(app, *args)
            expect_recursion_error(getattr, app, "anything")
            expect_recursion_error(setattr, app, "anything", 1)
            expect_recursion_error(dir, app)
            expect_recursion_error(repr, app)
            del app
        """
    agent_tools.run(code, agent_tools.child_environment())
    agent_tools.run(code, agent_tools.reporting_to("http://127.0.0.1:9"))


def test_a_wrapper_is_not_copied_by_half() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(DynoscaleWsgiApp(agent_tools.app))
