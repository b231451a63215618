#!/usr/bin/env python3
"""Both agents at work: nginx in front of a Rack app under puma and of a Flask app under gunicorn;
visitors who come calmly, then too many at once, then calmly again; and the queue time that the
agents report, live. `make demo` runs it, and installs and builds what it needs.

    demo.py [--seconds 30]

Everything listens on loopback only, and is stopped at the end, also by Ctrl-C. Exit status 0 if
the agents reported every request exactly once.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Dict, Iterator, List, Optional, Sequence

from traffic import Phase, Traffic, phase_at
from view import PlainLines, Plots, Series, View, duration

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from processes import Nginx, Process, ProcessError, free_port  # noqa: E402
from receiver import ReceiverProcess  # noqa: E402

WORKERS = 2  # of each app. A request keeps one busy for 50 ms, so they can do 40 a second
CALM_RATE, BUSY_RATE = 12, 44
TAIL_S = 2  # for the last answers
REDRAW_S = 0.25

# What could make the servers or the agents work in another way than the demo means.
NOT_HANDED_ON = ("DYNO", "SKIP_DYNOSCALE_AGENT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "PORT")


class Interruption:
    """Ctrl-C and its like end the demo by SystemExit: at once, or after a `held` block. Only the
    first one counts, so that a second one doesn't cut the cleaning up short."""

    def __init__(self) -> None:
        self._number: Optional[int] = None
        self._held = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    def _take(self, number: int, _: Optional[FrameType]) -> None:
        if self._number is None:
            self._number = number
            self._act()

    def _act(self) -> None:
        if self._number is not None and not self._held:
            raise SystemExit(128 + self._number)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._act()


class App:
    """An app in its server, nginx in front of it, its visitors, and what its agent reports."""

    def __init__(self, title: str, language: str, server: Process, port: int) -> None:
        self.language = language
        self.server = server
        self.port = port
        self.series = Series(title)
        self.traffic: Traffic

    def stop(self) -> None:
        """As a platform does: the server finishes its requests, the agent sends what is left."""
        self.server.stop(signal.SIGTERM, expected=(0, -signal.SIGTERM))

    def fault(self) -> Optional[str]:
        sent, rows = self.traffic.sent, self.series.rows
        if self.traffic.failed:
            return f"{self.traffic.failed} of {sent} requests failed: {self.traffic.first_failure}"
        return None if rows == sent else f"{sent} requests were sent, but {rows} rows received"


def environment(service: str) -> Dict[str, str]:
    """What a user sets: where reports go, and which dyno this is. The rest is for the demo."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_HANDED_ON and not name.startswith("DYNOSCALE_")
    }
    env.update(DYNOSCALE_URL=f"{service}/demo-token", DYNO="web.1")
    env.update(
        DYNOSCALE_PUBLISH_FREQUENCY="1",
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
        PYTHONPATH=str(ROOT / "python"),
        RACK_ENV="production",
    )
    return env


def puma(directory: str, env: Dict[str, str]) -> App:
    port = free_port()
    # Not by the name `puma`, which may belong to another Ruby.
    command = [os.environ.get("RUBY", "ruby"), "-I", str(ROOT / "ruby" / "lib"), "-rpuma/cli"]
    command += ["-e", "Puma::CLI.new(ARGV).run", "--", "--config", "-"]
    command += ["--threads", f"{WORKERS}:{WORKERS}", "--bind", f"tcp://127.0.0.1:{port}"]
    command += [str(HERE / "config.ru")]
    return App("Rack on puma", "ruby", Process(command, directory, "puma", env, directory), port)


def gunicorn(directory: str, env: Dict[str, str]) -> App:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS)]
    command += ["--bind", f"127.0.0.1:{port}", "--chdir", str(HERE), "flask_app:app"]
    server = Process(command, directory, "gunicorn", env, directory)
    return App("Flask on gunicorn", "python", server, port)


def start(
    directory: str,
    phases: Sequence[Phase],
    service: str,
    stack: ExitStack,
    interruption: Interruption,
) -> List[App]:
    env = environment(service)
    apps = [puma(directory, env), gunicorn(directory, env)]
    for app in apps:
        with interruption.held():
            stack.enter_context(app.server).start()
    for seed, app in enumerate(apps):
        app.server.wait_for_port(app.port)
        with interruption.held():
            front = Nginx(directory, app.port, name=f"nginx-{app.language}")
            stack.enter_context(front).start()
        app.traffic = Traffic(front.url, phases, seed)
        stack.callback(app.traffic.stop)
    return apps


class Reports:
    """Hands what the receiver has got to the app that it is about."""

    def __init__(self, receiver: ReceiverProcess, apps: Sequence[App], begin: int) -> None:
        self._receiver = receiver
        self._apps = {app.language: app.series for app in apps}
        self._begin = begin
        self._read = 0

    def read(self) -> None:
        rows = self._receiver.rows(self._read)
        self._read += len(rows)
        for row in rows:
            language = row["user_agent"].partition(";")[0].replace("dynoscale-", "")
            self._apps[language].add(row["timestamp"] - self._begin, row["metric"])


def summary(apps: Sequence[App]) -> str:
    def line(what: str, *values: object) -> str:
        return f"{what:15}" + "".join(f"{value!s:>12}" for value in values)

    return "\n".join(
        (
            line("", *(app.series.short_name for app in apps)),
            line("requests sent", *(app.traffic.sent for app in apps)),
            line("rows received", *(app.series.rows for app in apps)),
            line("peak p95", *(duration(app.series.peak_p95()) for app in apps)),
        )
    )


def run(seconds: float, interruption: Interruption) -> int:
    phases = (
        Phase("calm", 0.3 * seconds, CALM_RATE, 1),
        Phase("too much", 0.3 * seconds, BUSY_RATE, BUSY_RATE),
        Phase("calm", 0.4 * seconds, CALM_RATE, 1),
    )
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="dynoscale-demo-"))
        with interruption.held():
            receiver = stack.enter_context(ReceiverProcess())
        apps = start(directory, phases, receiver.url, stack, interruption)

        time.sleep(-time.time() % 1)  # a second of the plots is a second of the reports
        begin = round(time.time())
        reports = Reports(receiver, apps, begin)
        view: View = (Plots if Plots.suit(sys.stdout) else PlainLines)(
            sys.stdout, [app.series for app in apps], phases, math.ceil(seconds) + TAIL_S
        )
        with view:
            for app in apps:
                app.traffic.start()
            while not all(app.traffic.over() for app in apps):
                time.sleep(REDRAW_S)
                reports.read()
                now = time.time() - begin
                phase = phase_at(phases, now)
                view.show(
                    now, f"{now:2.0f} s  {phase.name}: {phase.rate}/s, {phase.together} at once"
                )
            view.show(now, f"{now:2.0f} s  stopping: the agents send what is left")
            for app in apps:
                app.stop()
            reports.read()
        view.close()

        print(f"\n{summary(apps)}\n")
        faults = [f"{app.series.name}: {fault}" for app in apps if (fault := app.fault())]
        for app in apps if faults else ():
            print(f"{app.series.name} printed:\n{app.server.log}", file=sys.stderr)
    print("\n".join(faults) or "Every request was reported exactly once.")
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Shows both agents at work on real servers.")
    parser.add_argument("--seconds", type=float, default=30, help="of traffic; default 30")
    options = parser.parse_args()
    try:
        return run(options.seconds, Interruption())
    except ProcessError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
