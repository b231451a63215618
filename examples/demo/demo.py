#!/usr/bin/env python3
"""The loop, closed: nginx in front of a Rack app under puma and of a Flask app under gunicorn, both
with our agents; a real dynoscaled that hears them and adds and removes workers; visitors who come
calmly, then three times as many, then calmly again. Beside each app stands a twin with the same
visitors and its scaling off. `make demo` runs it, and installs and builds what it needs.

    demo.py [--seconds 90] [--keep]

Everything listens on loopback only, and is stopped at the end, also by Ctrl-C. With --keep it goes
on, calmly, until Ctrl-C. Exit status 0 if the service counted every request exactly once, and the
apps that it scaled had fewer slow seconds than their twins.
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
from typing import Any, Dict, Iterator, List, Optional, Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from processes import DidNotEnd, Nginx, Process, ProcessError, free_port  # noqa: E402
from scaling import Scaling  # noqa: E402
from traffic import Phase, Traffic, phase_at  # noqa: E402
from view import Moment, PlainLines, Plots, Track, View, duration  # noqa: E402

# Of each app. A request keeps a worker busy for 50 ms, so that each can do 20 a second.
LEAST_WORKERS, MOST_WORKERS = 2, 8
CALM_RATE, BUSY_RATE = 15, 45
SLOW_MS = 100  # a second is slow if more than 1 request in 20 waited longer
REDRAW_S = 0.5
COUNTED_WITHIN_S = 60  # after the last request

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
    """An app in its server, with nginx in front of it and its visitors; scaled or not."""

    def __init__(self, name: str, pids: Path, server: Process, port: int) -> None:
        self.name = name  # the service's
        self.pids = pids  # where the server's id is
        self.server = server
        self.port = port
        self.traffic: Traffic
        self.worker_seconds = 0.0
        self.rows = 0
        self.slow_seconds = 0
        self.worst_p95_ms = 0
        self.status: Dict[str, Any] = {}

    def look(self, service: Scaling, seconds: float) -> None:
        """Reads what the service knows, `seconds` after it was last read."""
        self.status = service.status(self.name)
        self.worker_seconds += (self.workers or 0) * seconds

    @property
    def workers(self) -> Optional[int]:
        return (self.status.get("dynos") or {}).get("ordered")

    @property
    def p95_ms(self) -> Optional[int]:
        return (self.status.get("queue_time") or {}).get("ms")

    def stop(self) -> None:
        """As a platform does: the server finishes its requests, the agent sends what is left. Puma
        6.6 under Ruby 3.3 now and then waits for ever, also without the agent; the agent has sent
        by then what it had, and the platform ends it."""
        try:
            self.server.stop(signal.SIGTERM, seconds=30, expected=(0, -signal.SIGTERM))
        except DidNotEnd as error:
            print(f"It was killed, as a platform does: {error}", file=sys.stderr)

    def count(self, service: Scaling, start: int, end: int) -> None:
        """Asks the service what it has counted, until it is all that was sent or time is up."""
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            points = service.points(self.name, start, end)
            self.rows = sum(point["count"] for point in points)
            if self.rows >= self.traffic.sent or time.monotonic() > deadline:
                break
            time.sleep(REDRAW_S)
        p95s_ms = [point.get("p95", 0) for point in points]
        self.slow_seconds = 10 * sum(ms > SLOW_MS for ms in p95s_ms)
        self.worst_p95_ms = max(p95s_ms, default=0)

    def fault(self) -> Optional[str]:
        sent, rows = self.traffic.sent, self.rows
        if self.traffic.failed:
            return f"{self.traffic.failed} of {sent} requests failed: {self.traffic.first_failure}"
        return None if rows == sent else f"{sent} requests were sent, but {rows} rows counted"


class Pair:
    """An app that the service scales, and its twin that it only watches."""

    def __init__(self, title: str, app: App, twin: App) -> None:
        self.title, self.app, self.twin = title, app, twin
        self.track = Track(title)

    def look(self, service: Scaling, now: float, seconds: float) -> None:
        for app in (self.app, self.twin):
            app.look(service, seconds)
        self.track.sentence = self.app.status.get("sentence") or ""
        self.track.add(
            math.floor(now),
            Moment(self.app.p95_ms, self.app.workers, self.twin.p95_ms, self.twin.workers),
        )

    def fault(self) -> Optional[str]:
        for app in (self.app, self.twin):
            if fault := app.fault():
                return f"{app.name}: {fault}"
        if self.app.slow_seconds >= self.twin.slow_seconds:
            return (
                f"{self.title}: {self.app.slow_seconds} slow seconds with scaling, "
                f"{self.twin.slow_seconds} without"
            )
        return None


def environment(address: str) -> Dict[str, str]:
    """What a user sets: where reports go, and which dyno this is. The rest is for the demo."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_HANDED_ON and not name.startswith("DYNOSCALE_")
    }
    env.update(DYNOSCALE_URL=address, DYNOSCALE_DYNOS="all", DYNO="web.1")
    env.update(
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
        PYTHONPATH=str(ROOT / "python"),
        RACK_ENV="production",
    )
    return env


def puma(port: int, pid_file: Path) -> List[str]:
    # Not by the name `puma`, which may belong to another Ruby.
    command = [os.environ.get("RUBY", "ruby"), "-I", str(ROOT / "ruby" / "lib"), "-rpuma/cli"]
    command += ["-e", "Puma::CLI.new(ARGV).run", "--", "--config", "-"]
    command += ["--workers", str(LEAST_WORKERS), "--threads", "1:1", "--pidfile", str(pid_file)]
    return [*command, "--bind", f"tcp://127.0.0.1:{port}", str(HERE / "config.ru")]


def gunicorn(port: int, pid_file: Path) -> List[str]:
    command = [sys.executable, "-m", "gunicorn", "--workers", str(LEAST_WORKERS)]
    command += ["--pid", str(pid_file), "--graceful-timeout", "30"]
    return [*command, "--bind", f"127.0.0.1:{port}", "--chdir", str(HERE), "flask_app:app"]


class Stage:
    """Starts what the demo shows, each thing so that an interruption leaves nothing behind."""

    def __init__(
        self, directory: str, service: Scaling, stack: ExitStack, interruption: Interruption
    ) -> None:
        self._directory, self._service = directory, service
        self._stack, self._interruption = stack, interruption

    def app(self, name: str, command: Any, scaling: bool) -> App:
        pids = Path(self._directory) / name
        pids.mkdir()
        address = self._service.add_app(name, pids, scaling, LEAST_WORKERS, MOST_WORKERS)
        port = free_port()
        server = Process(
            command(port, pids / "web.pid"), self._directory, name, environment(address), pids
        )
        with self._interruption.held():
            self._stack.enter_context(server).start()
        return App(name, pids, server, port)

    def visitors(self, app: App, phases: Sequence[Phase], seed: int) -> None:
        app.server.wait_for_port(app.port, seconds=60)
        self._service.set_platform(app.name, app.pids)
        with self._interruption.held():
            front = Nginx(self._directory, app.port, name=f"nginx-{app.name}")
            self._stack.enter_context(front).start()
        app.traffic = Traffic(front.url, phases, seed)
        self._stack.callback(app.traffic.stop)


def start(stage: Stage, phases: Sequence[Phase]) -> List[Pair]:
    pairs = [
        Pair(title, stage.app(name, command, True), stage.app(f"{name}-off", command, False))
        for title, name, command in (
            ("Rack on puma", "rack", puma),
            ("Flask on gunicorn", "flask", gunicorn),
        )
    ]
    for seed, pair in enumerate(pairs):
        for app in (pair.app, pair.twin):  # the same visitors
            stage.visitors(app, phases, seed)
    return pairs


def summary(pairs: Sequence[Pair]) -> str:
    apps = [app for pair in pairs for app in (pair.app, pair.twin)]

    def line(what: str, *values: object) -> str:
        return f"{what:17}" + "".join(f"{value!s:>13}" for value in values)

    return "\n".join(
        (
            line("", *(app.name for app in apps)),
            line("requests sent", *(app.traffic.sent for app in apps)),
            line("rows counted", *(app.rows for app in apps)),
            line("slow seconds", *(app.slow_seconds for app in apps)),
            line("worst p95", *(duration(app.worst_p95_ms) for app in apps)),
            line("worker-seconds", *(round(app.worker_seconds) for app in apps)),
        )
    )


def decisions(service: Scaling, pair: Pair, begin: int) -> Iterator[str]:
    yield f"{pair.title}:"
    for tick in service.changes(pair.app.name, begin):
        yield f"  {tick['t'] - begin:3} s  {tick['sentence']}"


class Show:
    """Draws, and reads the service, until a condition holds."""

    def __init__(self, service: Scaling, pairs: Sequence[Pair], view: View, begin: float) -> None:
        self._service, self._pairs, self._view, self._begin = service, pairs, view, begin
        self._looked = begin

    def until(self, over: Any, status: Any) -> None:
        while not over():
            time.sleep(REDRAW_S)
            now = time.time()
            for pair in self._pairs:
                pair.look(self._service, now - self._begin, now - self._looked)
            self._looked = now
            self._view.show(now - self._begin, status(now - self._begin))


def run(seconds: float, keep: bool, interruption: Interruption) -> int:
    phases = [
        Phase("calm", 0.25 * seconds, CALM_RATE, 1),
        Phase("3 times as many", 0.35 * seconds, BUSY_RATE, 3),
        Phase("calm", 0.4 * seconds, CALM_RATE, 1),
    ]
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="dynoscale-demo-"))
        with interruption.held():
            service = stack.enter_context(Scaling(directory))
            service.start()
        pairs = start(Stage(directory, service, stack, interruption), phases)
        apps = [app for pair in pairs for app in (pair.app, pair.twin)]

        time.sleep(-time.time() % 1)
        begin = round(time.time())
        view: View = (Plots if Plots.suit(sys.stdout) else PlainLines)(
            sys.stdout, [pair.track for pair in pairs], phases, math.ceil(seconds)
        )
        show = Show(service, pairs, view, begin)

        def status(now: float) -> str:
            phase = phase_at(phases, now)
            return f"{now:2.0f} s  {phase.name}: {phase.rate} requests a second for each app"

        with view:
            for app in apps:
                app.traffic.start()
            show.until(lambda: all(app.traffic.over() for app in apps), status)
        view.close()

        if keep:
            link = service.first_link or service.url
            print(f"\nLook at {link}\nCtrl-C ends it.", flush=True)
            calm = [Phase("calm", 10 * 365 * 86400, CALM_RATE, 1)]
            for pair in pairs:
                for app in (pair.app, pair.twin):
                    app.traffic = Traffic(app.traffic.url, calm, 0)
                    stack.callback(app.traffic.stop)
                    app.traffic.start()
            while True:
                time.sleep(3600)

        for app in apps:  # so that nobody scales what is being stopped
            service.run("pause", app.name, "web")
        for app in apps:
            app.stop()
        end = math.ceil(time.time()) + 10
        for app in apps:
            app.count(service, begin - begin % 10, end + -end % 10)
        print(f"\n{summary(pairs)}\n")
        for pair in pairs:
            print("\n".join(decisions(service, pair, begin)))
        faults = [fault for pair in pairs if (fault := pair.fault())]
        for app in apps if faults else ():
            print(f"{app.name} printed:\n{app.server.log}", file=sys.stderr)
        if faults:
            print(f"dynoscaled printed:\n{service.log}", file=sys.stderr)
    print("\n".join(["", *faults]) if faults else "\nEvery request was counted exactly once.")
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Shows real apps being scaled by their queue time.")
    parser.add_argument("--seconds", type=float, default=90, help="of traffic; default 90")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C, to look at it")
    options = parser.parse_args()
    try:
        return run(options.seconds, options.keep, Interruption())
    except ProcessError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
