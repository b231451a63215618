"""logging: the logger dynoscale, without handlers of its own."""

from __future__ import annotations

import logging
from typing import Any

import agent_tools
import pytest

REQUESTS = """
import agent_tools, dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

wrapper = DynoscaleWsgiApp(agent_tools.app)

def request():
    wrapper(agent_tools.stamped(), agent_tools.start_response)
"""


def run(code: str, environment: dict[str, str], *, setup: str = "") -> Any:
    import textwrap

    return agent_tools.run(textwrap.dedent(setup) + REQUESTS + textwrap.dedent(code), environment)


def test_a_process_in_which_all_is_well_prints_nothing(receiver: Any) -> None:
    done = run("request(); assert dynoscale.flush()", agent_tools.reporting_to(receiver.url))
    assert (done.stdout, done.stderr) == ("", "")


def test_a_wrong_setting_is_one_warning(receiver: Any) -> None:
    environment = agent_tools.reporting_to(receiver.url, DYNOSCALE_PUBLISH_FREQUENCY="often")
    done = run(
        """
        request()
        dynoscale.configure(dyno="web.1")
        dynoscale.configure(app_name="another")
        DynoscaleWsgiApp(agent_tools.app, app_name="third")
        request()
        """,
        environment,
    )
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    line = done.stderr
    assert line.startswith('dynoscale: DYNOSCALE_PUBLISH_FREQUENCY is "often"')
    assert "using 30 instead" in line


def test_a_failed_report_is_one_warning(receiver: Any) -> None:
    receiver.behave("status", status=503)
    done = run(
        """
        for _ in range(3):
            request()
            assert not dynoscale.flush(0.3)
        dynoscale.stop(0)
        """,
        agent_tools.reporting_to(receiver.url),
    )
    lines = [line for line in done.stderr.splitlines() if "503" in line]
    assert len(lines) == 1 and lines[0].startswith("dynoscale: a report to ")


def test_events_are_logged_at_the_next_request(receiver: Any) -> None:
    receiver.behave("status", status=404)
    done = run(
        """
        import time
        request()
        deadline = time.monotonic() + 20
        while dynoscale._native.counters()["reports_failed"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        request()
        dynoscale.configure(skip=True)
        """,
        agent_tools.reporting_to(receiver.url, DYNOSCALE_DEV="1"),
    )
    assert "refused a report with status 404" in done.stderr


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING"]),
        ("info", ["INFO", "WARNING"]),
        ("warn", ["WARNING"]),
        ("error", []),
    ],
)
def test_log_level_is_the_lowest_that_is_logged(
    level: str, expected: list[str], receiver: Any
) -> None:
    done = run(
        """
        request()
        assert dynoscale.flush()
        dynoscale.configure(publish_frequency="often")
        """,
        agent_tools.reporting_to(receiver.url, DYNOSCALE_LOG_LEVEL=level),
        setup="""
        import logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
        """,
    )
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert {name for name, *_ in lines} <= {"dynoscale"}
    assert sorted({found for _, found, _ in lines}) == expected
    assert done.stderr == ""


def test_a_level_that_the_app_chose_for_the_logger_stays(receiver: Any) -> None:
    run(
        """
        request()
        assert logging.getLogger("dynoscale").level == logging.CRITICAL
        """,
        agent_tools.reporting_to(receiver.url, DYNOSCALE_LOG_LEVEL="debug"),
        setup="""
        import logging
        logging.getLogger("dynoscale").setLevel(logging.CRITICAL)
        """,
    )


def test_other_loggers_and_handlers_are_left_alone(receiver: Any) -> None:
    run(
        """
        request()
        dynoscale.configure(log_level="debug", publish_frequency="often", nothing=1)
        dynoscale.flush()
        root = logging.getLogger()
        assert (root.level, root.handlers) == (logging.WARNING, [])
        assert logging.getLogger("dynoscale").handlers == []
        assert logging.getLogger("dynoscale").propagate
        assert set(logging.root.manager.loggerDict) == {"dynoscale"}
        """,
        agent_tools.reporting_to(receiver.url),
        setup="import logging",
    )


def test_a_handler_that_raises_does_not_reach_the_app(receiver: Any) -> None:
    receiver.behave("status", status=404)
    run(
        """
        for _ in range(3):
            request()
            dynoscale.flush(1)
            dynoscale.configure(publish_frequency="often", nothing=1)
        assert seen
        """,
        agent_tools.reporting_to(receiver.url),
        setup="""
        import logging
        seen = []

        class Broken(logging.Handler):
            def handle(self, record):
                seen.append(record)
                raise RuntimeError("of the app's handler")

        logging.getLogger().addHandler(Broken())
        """,
    )


def test_the_app_s_own_use_of_the_logger_is_untouched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="dynoscale"):
        logging.getLogger("dynoscale.something").debug("the app's own")
    assert caplog.messages == ["the app's own"]


def test_an_error_while_looking_for_job_queues_breaks_nothing(receiver: Any) -> None:
    done = run(
        "request(); assert dynoscale.flush()",
        agent_tools.reporting_to(receiver.url),
        setup="import sys; sys.modules['dynoscale.jobs'] = None\n",
    )
    line = "dynoscale: job queues are not measured: looking for them raised ModuleNotFoundError\n"
    assert set(done.stderr.splitlines(keepends=True)) == {line}
    assert len(receiver.rows()) == 1
