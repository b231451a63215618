"""Real servers under load. Each process of an app writes a byte to a file for each call, so the
number of calls is known even if the process is killed."""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path
from typing import Collection, Dict, List, NamedTuple, Sequence, Set

from app_servers import AppServer, Gunicorn, Puma, Unicorn, Uwsgi
from processes import PATIENCE, Process, free_port
from served import RACK_APP, SETTINGS, TOKEN

CONNECTIONS = 4
CALLS_EACH = 40  # of each process, before it gets a signal
LONG_INTERVAL = "60"  # so that what arrives was sent because the process ends


class Load:
    """Requests without a pause, several at a time. Errors are expected: a server that is told to
    stop at once closes its connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        ask = [threading.Thread(target=self._ask, daemon=True) for _ in range(CONNECTIONS)]
        self._threads = ask

    def _ask(self) -> None:
        while not self._ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            headers = {"X-Request-Start": str(int(time.time() * 1000)), "Connection": "close"}
            try:
                connection.request("GET", "/?0.005", headers=headers)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                self._ended.wait(0.02)
            finally:
                connection.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


class Run:
    """A server under load, and the signals that it can get."""

    def __init__(self, server: AppServer, directory: Path, url: str, **settings: str) -> None:
        self.directory = directory
        self._calls = directory / "calls"
        self._calls.mkdir()
        self._server = server
        self.port = free_port()
        self.process: Process = server.process(
            self.port,
            directory,
            {
                **SETTINGS,
                "DYNOSCALE_PUBLISH_FREQUENCY": LONG_INTERVAL,
                "DYNOSCALE_URL": f"{url}/{TOKEN}",
                "CALLS": str(self._calls),
                **settings,
            },
        )

    def calls(self) -> Dict[int, int]:
        """How often each process's app was called."""
        return {int(file.name): file.stat().st_size for file in self._calls.iterdir()}

    def wait_for_workers(self, count: int, other_than: Collection[int] = ()) -> List[int]:
        """Waits for that many processes with CALLS_EACH requests. Returns their ids."""
        busy: List[int] = []

        def all_are_busy() -> bool:
            calls = self.calls().items()
            busy[:] = [pid for pid, n in calls if n >= CALLS_EACH and pid not in other_than]
            return len(busy) >= count

        self.process.wait_until(all_are_busy, f"have {count} busy workers, new ones")
        return busy

    def wait_until_gone(self, pids: Sequence[int]) -> None:
        """Returns once none of the processes runs."""
        self.process.wait_until(lambda: not self.living(pids), f"end its processes {pids}")

    @staticmethod
    def living(pids: Sequence[int]) -> List[int]:
        return [pid for pid in pids if runs(pid)]

    def tell(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int) -> None:
        """Sends the signal and waits until the whole group has ended."""
        self.process.stop(number, expected=(0, -number, 128 + number))
        wait_for_group(self.process)


class Status(NamedTuple):
    """Of a process, from the kernel (man proc_pid_stat)."""

    state: str  # one letter
    parent: int
    group: int


def status_of(pid: int) -> Status:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Status("X", 0, 0)
    state, parent, group = text.rpartition(") ")[2].split()[:3]
    return Status(state, int(parent), int(group))


def runs(pid: int) -> bool:
    return status_of(pid).state not in "XZ"


def parent_of(pid: int) -> int:
    return status_of(pid).parent


def wait_for_group(process: Process) -> None:
    """Waits until no process of the group runs: workers may outlive their master."""
    deadline = time.monotonic() + PATIENCE
    while living := [pid for pid in group_of(process.pid) if runs(pid)]:
        assert time.monotonic() < deadline, f"{process.name}: {living} go on"
        time.sleep(0.01)


def group_of(leader: int) -> Set[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid for pid in pids if status_of(pid).group == leader}


# ---- The servers -----------------------------------------------------------------------------


class UnicornInProduction(Unicorn):
    def command(self, port: int, directory: Path) -> List[str]:
        return [*super().command(port, directory), "-E", "deployment"]


def puma(workers: int = 0, preload: bool = False) -> Puma:
    return Puma("puma", workers, preload, app=RACK_APP)


def unicorn(preload: bool = False) -> Unicorn:
    server = UnicornInProduction("unicorn", preload)
    server.app = RACK_APP
    return server


def gunicorn(worker: str = "sync", preload: bool = False) -> Gunicorn:
    return Gunicorn("gunicorn", worker, preload, wrapper=True, hook="")


class GunicornThatMayHang(Gunicorn):
    """Of gthread workers, for INT and QUIT: gunicorn's handler of these takes a lock of its thread
    pool, which the main thread may hold at that moment, and then waits for ever (seen without an
    agent in one of thirty servers). gunicorn kills such a worker after the graceful time-out; what
    was recorded there has been reported before."""

    def __init__(self) -> None:
        super().__init__("gunicorn", "gthread", preload=False, wrapper=True, hook="")
        self._arguments += ["--graceful-timeout", "10"]
        self.variables = {"DYNOSCALE_PUBLISH_FREQUENCY": "2"}


class UwsgiOfEitherTerm(Uwsgi):
    """TERM ends it with --die-on-term; without that, TERM reloads it and QUIT ends it."""

    def __init__(self, *arguments: str, die_on_term: bool = True) -> None:
        super().__init__("uwsgi", *arguments)
        self._die_on_term = die_on_term

    def command(self, port: int, directory: Path) -> List[str]:
        command = super().command(port, directory)
        return [part for part in command if self._die_on_term or part != "--die-on-term"]
