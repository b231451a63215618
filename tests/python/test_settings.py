"""Settings: where they come from, what is wrong with them, and why an agent is off."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import agent_tools
import pytest

import dynoscale
from dynoscale.config import Config
from dynoscale.wsgi import DynoscaleWsgiApp

TOKEN = "s3cr3t-t0k3n"
URL = f"https://user:passw0rd@collector.example/api/{TOKEN}?key={TOKEN}"


def shown(**variables: str) -> str:
    code = "from dynoscale.config import Config; print(Config())"
    return agent_tools.run(code, agent_tools.child_environment(**variables)).stdout


def test_config_shows_each_setting_its_value_and_where_it_came_from() -> None:
    lines = shown(
        DYNOSCALE_URL=URL, DYNO="web.1", HEROKU_APP_NAME="shop", DYNOSCALE_PUBLISH_FREQUENCY="12.5"
    ).splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert found["url"] == ["https://collector.example/[hidden]", "from", "DYNOSCALE_URL"]
    assert found["dyno"] == ["web.1", "from", "DYNO"]
    assert found["app_name"] == ["shop", "from", "HEROKU_APP_NAME"]
    assert found["publish_frequency"] == ["12.5", "from", "DYNOSCALE_PUBLISH_FREQUENCY"]
    assert found["dynos"][:2] == ["first", "default;"]
    assert tuple(found) == dynoscale._native.SETTING_NAMES
    assert lines[0].startswith(f"dynoscale {dynoscale.__version__}, Python 3.")
    assert lines[-1] == "On: this process reports."


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "DYNOSCALE_URL is not set"),
        ({"DYNO": "web.1"}, "DYNOSCALE_URL is not set"),
        ({"DYNOSCALE_URL": URL}, "DYNO is not set"),
        ({"DYNOSCALE_URL": "ftp://a/b", "DYNO": "web.1"}, "not an http or https address"),
        ({"DYNOSCALE_URL": URL, "DYNO": "web.2"}, "only the first dyno"),
        ({"DYNOSCALE_URL": URL, "DYNO": "run.1"}, "one-off"),
        ({"DYNOSCALE_URL": URL, "DYNO": "web.1", "SKIP_DYNOSCALE_AGENT": "1"}, "SKIP_DYNOSCALE"),
    ],
)
def test_config_says_why_the_agent_stays_off(variables: dict[str, str], reason: str) -> None:
    last = shown(**variables).splitlines()[-1]
    assert last.startswith("Off: ") and reason in last


@pytest.mark.parametrize(
    "variables",
    [
        {"DYNO": "web.2", "DYNOSCALE_DYNOS": "all"},
        {"DYNOSCALE_DEV_MODE": "1"},
        {"DYNOSCALE_DEV": "true"},
        {"DYNO": "worker.1", "SKIP_DYNOSCALE_AGENT": "false"},
    ],
    ids=lambda variables: ",".join(variables),
)
def test_config_says_when_the_agent_is_on(variables: dict[str, str]) -> None:
    assert shown(DYNOSCALE_URL=URL, **variables).endswith("On: this process reports.\n")


def test_config_shows_warnings() -> None:
    text = shown(DYNOSCALE_PUBLISH_FREQUENCY="often")
    assert 'Warning: DYNOSCALE_PUBLISH_FREQUENCY is "often"' in text


def test_config_opens_and_logs_nothing() -> None:
    done = agent_tools.run(
        """
        import sys
        from dynoscale.config import Config
        from dynoscale import _native
        Config()
        assert not _native.is_decided()
        assert "logging" not in sys.modules
        """,
        agent_tools.child_environment(DYNOSCALE_PUBLISH_FREQUENCY="often"),
    )
    assert done.stderr == ""


def test_config_can_be_asked_in_code(monkeypatch: pytest.MonkeyPatch, settings: None) -> None:
    monkeypatch.setenv("DYNO", "web.7")
    dynoscale.configure(app_name="given")
    config = Config()
    assert (config["dyno"], config["app_name"], config["url"]) == ("web.7", "given", None)
    assert {setting.name: setting.source for setting in config.settings} == {
        **dict.fromkeys(dynoscale._native.SETTING_NAMES, "default"),
        "dyno": "environment",
        "app_name": "code",
    }
    assert config.off_reason is not None and config.warnings == ()
    assert repr(config) == "<Config off>"
    with pytest.raises(KeyError):
        config["no_such_setting"]


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"http://{TOKEN}@collector.example/",
        f"http:///{TOKEN}",
        TOKEN,
        f"ftp://collector.example/{TOKEN}",
        f"https://collector.example/{TOKEN}/\u00e9",
        f" {URL}",
    ],
)
def test_no_output_shows_the_token(url: str) -> None:
    done = agent_tools.run(
        """
        import logging, os, sys
        logging.basicConfig(level=1, stream=sys.stdout)
        import agent_tools, dynoscale
        from dynoscale.config import Config
        from dynoscale.wsgi import DynoscaleWsgiApp

        wrapper = DynoscaleWsgiApp(agent_tools.app)
        wrapper(agent_tools.stamped(), agent_tools.start_response)
        dynoscale.configure(url=os.environ["DYNOSCALE_URL"], log_level="debug")
        dynoscale.flush(0)
        config = Config()
        print(config, repr(config), config.settings, config.warnings, dynoscale.stats())
        dynoscale.stop(0)
        """,
        agent_tools.child_environment(DYNOSCALE_URL=url, DYNO="web.1", DYNOSCALE_LOG_LEVEL="debug"),
    )
    assert TOKEN not in done.stdout + done.stderr
    assert "passw0rd" not in done.stdout + done.stderr


# ---- In code ----


def test_settings_in_code_win_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, settings: None
) -> None:
    monkeypatch.setenv("DYNOSCALE_PUBLISH_FREQUENCY", "10")
    dynoscale.configure(publish_frequency=20)
    assert Config()["publish_frequency"] == "20"
    dynoscale.configure(dyno="web.1")
    assert Config()["publish_frequency"] == "20"
    dynoscale.configure(publish_frequency=None)
    assert Config()["publish_frequency"] == "10"


@pytest.mark.parametrize(
    ("given", "value"),
    [(7, "7"), (7.5, "7.5"), ("7", "7"), (b"7", "7"), (True, None), ("7s", None), (-1, None)],
)
def test_numbers_and_text_are_both_accepted(given: Any, value: Any, settings: None) -> None:
    dynoscale.configure(publish_frequency=given)
    assert Config()["publish_frequency"] == (value or "30")
    assert (Config().warnings == ()) == (value is not None)


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, "true"), (False, "false"), ("0", "false"), ("1", "true"), (1, "true")],
)
def test_switches_take_booleans(given: Any, value: str, settings: None) -> None:
    dynoscale.configure(skip=given)
    assert Config()["skip"] == value


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("the agent must not ask")

    __repr__ = __bool__ = __len__ = __iter__ = __format__ = __str__


class HostileText(str):
    __str__ = __repr__ = Hostile.__str__


WRONG = {
    "object": Hostile(),
    "list": ["web.1"],
    "dict": {},
    "surrogate": "\ud800",
    "not UTF-8": b"\xff",
    "thousands of digits": 10**5000,
}


@pytest.mark.parametrize("name", dynoscale._native.SETTING_NAMES)
@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_a_value_of_a_wrong_type_is_one_warning(name: str, value: Any, settings: None) -> None:
    before = Config()[name]
    dynoscale.configure(**{name: value})
    assert Config()[name] == before
    (warning,) = Config().warnings
    assert warning.startswith(f"{name} is an object of type {type(value).__name__}, which is not ")
    assert warning.endswith(f"using {before or 'none'} instead")
    dynoscale.configure(**{name: None})
    assert Config().warnings == ()


def test_a_subclass_of_str_is_its_text(settings: None) -> None:
    dynoscale.configure(dyno=HostileText("web.1"))
    assert Config()["dyno"] == "web.1"


def test_a_wrong_value_leaves_the_one_before(settings: None) -> None:
    dynoscale.configure(publish_frequency=10)
    for wrong in ("often", 0, 3601, "1e999"):
        dynoscale.configure(publish_frequency=wrong)
        assert Config()["publish_frequency"] == "10"
        (warning,) = Config().warnings
        assert warning.startswith("publish_frequency is ") and warning.endswith("using 10 instead")
    dynoscale.configure(publish_frequency=11)
    assert (Config()["publish_frequency"], Config().warnings) == ("11", ())


def test_an_unknown_setting_is_one_warning(settings: None) -> None:
    dynoscale.configure(frequency=10)
    (warning,) = Config().warnings
    assert "'frequency'" in warning and "publish_frequency" in warning


def test_a_wrong_url_says_so_as_the_reason(settings: None) -> None:
    dynoscale.configure(url="collector.example", dyno="web.1")
    assert "not an http or https address" in str(Config().off_reason)


def test_a_dyno_without_a_name_is_one_warning_and_other_reasons_are_none(receiver: Any) -> None:
    code = "import dynoscale; dynoscale.configure(); dynoscale.configure()"
    for variables, lines in [
        ({"DYNO": ""}, 1),
        ({"DYNO": "web-12a34b56d-e78f9"}, 0),
        ({"DYNO": "run-12a34b56d-e78f9"}, 0),
        ({"DYNO": "web.2"}, 0),
        ({"DYNO": "", "RENDER_INSTANCE_ID": "srv-1"}, 0),
    ]:
        done = agent_tools.run(code, {**agent_tools.reporting_to(receiver.url), **variables})
        assert done.stderr.count("off: DYNO is not set") == lines, done.stderr
        assert len(done.stderr.splitlines()) == lines, done.stderr


# ---- What configure does to an agent ----


def record() -> None:
    wrapper = DynoscaleWsgiApp(agent_tools.app)
    wrapper(agent_tools.stamped(), agent_tools.start_response)


def test_new_settings_take_effect_at_once(receiver: Any, settings: None) -> None:
    dynoscale.configure(url=f"{receiver.url}/a", dyno="web.1", app_name="one")
    record()
    dynoscale.configure(app_name="two")
    record()
    assert dynoscale.flush()
    assert receiver.wait(rows=2)["rows"] == 2  # the first agent's thread sends by itself
    names = [report["headers"]["x_app_name"] for report in receiver.reports()]
    assert sorted(names) == ["one", "two"]


def test_the_same_settings_keep_the_agent(agent: None) -> None:
    record()
    dynoscale.configure()
    dynoscale.configure(dyno="web.1")
    assert dynoscale.stats()["recorded"] == 1


def test_the_agent_can_be_turned_off_and_on(receiver: Any, agent: None) -> None:
    record()
    dynoscale.configure(skip=True)
    record()
    assert set(dynoscale.stats().values()) == {0}
    assert dynoscale.flush() and dynoscale.stop()
    dynoscale.configure(skip=None)
    record()
    assert dynoscale.flush()
    assert receiver.wait(rows=2)["rows"] == 2


def test_configure_starts_a_stopped_agent_again(receiver: Any, agent: None) -> None:
    assert dynoscale.stop()
    record()
    assert dynoscale.stats()["dropped_stopped"] == 1
    dynoscale.configure()
    record()
    assert dynoscale.flush()
    assert len(receiver.rows()) == 1


def test_configure_while_threads_record(receiver: Any, agent: None) -> None:
    ended = threading.Event()

    errors = []

    def work() -> None:
        try:
            while not ended.is_set():
                record()
                dynoscale.flush(5)  # of an agent that is replaced meanwhile
                dynoscale.stats()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(200):
        dynoscale.configure(app_name=f"app{n}", skip=n % 5 == 0)
    ended.set()
    for thread in threads:
        thread.join()
    assert errors == []
    dynoscale.configure(skip=None)
    record()
    assert dynoscale.flush(10)


# ---- Off ----


def test_an_agent_that_is_off_starts_and_says_nothing() -> None:
    done = agent_tools.run(
        """
        import os, threading
        import agent_tools, dynoscale
        from dynoscale.hooks.gunicorn import pre_request
        from dynoscale.wsgi import DynoscaleWsgiApp
        from types import SimpleNamespace

        wrapper = DynoscaleWsgiApp(agent_tools.app)
        for _ in range(100):
            assert wrapper(agent_tools.stamped(), agent_tools.start_response) is agent_tools.BODY
            pre_request(None, SimpleNamespace(headers=[]))
        assert dynoscale.flush() and dynoscale.stop()
        assert set(dynoscale.stats().values()) == {0}
        assert not dynoscale.job_queue_time("rq", "default", 1)
        if os.path.isdir("/proc/self/task"):
            assert len(os.listdir("/proc/self/task")) == 1
            assert "libcurl" not in open("/proc/self/maps").read()
        """,
        agent_tools.child_environment(),
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_import_starts_and_loads_next_to_nothing(receiver: Any) -> None:
    agent_tools.run(
        """
        import sys
        before = set(sys.modules)
        import dynoscale.wsgi, dynoscale.hooks.gunicorn
        new = {name for name in set(sys.modules) - before if not name.startswith("dynoscale")}
        assert new <= {"__future__", "atexit"}, new
        if sys.platform == "linux":
            import os
            assert len(os.listdir("/proc/self/task")) == 1
            assert "libcurl" not in open("/proc/self/maps").read()
        """,
        agent_tools.reporting_to(receiver.url),
    )
    assert receiver.summary()["reports"] == 0


def test_an_import_off_the_main_thread_works(receiver: Any) -> None:
    agent_tools.run(
        """
        import threading

        def work():
            import agent_tools
            from dynoscale.wsgi import DynoscaleWsgiApp
            DynoscaleWsgiApp(agent_tools.app)(agent_tools.stamped(), agent_tools.start_response)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
        agent_tools.reporting_to(receiver.url),
    )
    assert len(receiver.rows()) == 1


def test_the_version_is_the_core_s() -> None:
    code = "import dynoscale as ds; print(ds.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=agent_tools.child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == f"{dynoscale._native.VERSION}\n" == "2.1.0\n"
