"""PostgreSQL as Debian has it, on loopback in a temporary folder, for the service's tests.

    with Cluster(directory) as cluster:
        cluster.start()
        url = cluster.database()     # postgresql://…, a new and empty one

As a program it runs one for a command, which finds its address in TEST_DATABASE:

    postgresql.py COMMAND...

With ODD=1 in the environment it is one that is set up in other ways than usual.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Optional, Sequence

from processes import Directory, Process, free_port

PATIENCE = 120.0
USER = "dynoscale"
ODD = {
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "3s",
    "idle_session_timeout": "4s",
    "enable_hashjoin": "off",
    "enable_seqscan": "off",
    "array_nulls": "off",
    "default_statistics_target": "1",
}


def programs() -> Optional[Path]:
    """The folder of its programs: $POSTGRESQL_BIN, else that of the newest version; None where there is none."""
    if os.environ.get("POSTGRESQL_BIN"):
        return Path(os.environ["POSTGRESQL_BIN"])
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(found, key=lambda path: int(path.parent.parent.name.split(".")[0]), reverse=True)
    return newest[0].parent if newest else None


def unprivileged() -> List[str]:
    """The words before a command that PostgreSQL refuses to root: Debian makes its user."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


class Cluster(Process):
    """A server that keeps what it was told through `kill` and `start`.

    settings    "name=value", for its command line
    durable     with fsync, where a test ends the server hard
    """

    def __init__(
        self,
        directory: Directory,
        *settings: str,
        name: str = "postgres",
        durable: bool = True,
        port: Optional[int] = None,
    ) -> None:
        self.programs = programs() or Path("/usr/bin")
        self.port = port or free_port()
        # Not below pytest's folders, which another run of it closes to others than their owner.
        self.folder = Path(tempfile.mkdtemp(prefix="dynoscale-postgres-"))
        self.data = self.folder / "data"
        self._numbers = itertools.count(1)
        command = [*unprivileged(), str(self.programs / "postgres"), "-D", str(self.data)]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        for setting in ["max_connections=200", *settings]:
            command += ["-c", setting]
        super().__init__(command if durable else [*command, "-F"], directory, name=name, cwd="/")

    def prepare(self) -> None:
        """The empty folder is for the server's user."""
        if unprivileged():
            shutil.chown(self.folder, "postgres")

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        line = [*unprivileged(), str(self.programs / program), *arguments]
        return subprocess.run(
            line, cwd="/", capture_output=True, text=True, check=check, timeout=PATIENCE
        )

    def start(self) -> Cluster:
        if not self.data.exists():
            self.prepare()
            self.run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-N", "--locale=C.UTF-8")
        super().start()
        self.wait_until(self.answers, "answer", PATIENCE)
        return self

    def answers(self) -> bool:
        arguments = ["-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return self.run("pg_isready", *arguments, check=False).returncode == 0

    def sql(self, text: str, database: str = "postgres") -> str:
        """What psql prints, without titles."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        return self.run("psql", *where, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text).stdout.strip()

    def url(self, database: str, port: Optional[int] = None) -> str:
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}"

    def database(self, how: str = "", **settings: str) -> str:
        """The URL of a new and empty one, made `how`, with what it sets for those who connect."""
        name = f"d{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} {how}")
        for setting, value in settings.items():
            self.sql(f"ALTER DATABASE {name} SET {setting} = '{value}'")
        return self.url(name)

    def odd_database(self) -> str:
        """One that is set up in all the ways that a server may be, and that must not matter."""
        locale = "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'"
        return self.database(f"TEMPLATE template0 ENCODING 'UTF8' {locale}", **ODD)

    def end(self, how: str) -> None:
        """`fast`: connections are cut, what was committed stays. `immediate`: as after a loss of
        power, the next start recovers from the log."""
        self.run("pg_ctl", "stop", "-m", how, "-D", str(self.data))
        # What runs the server for its user may still be ending, and then ends by stop's signal.
        self.stop(expected=(0, 1, 2, -15))

    def processes(self) -> List[int]:
        """Of the server, its own first."""
        first = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        found = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)
        return [first, *map(int, found.stdout.split())]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """All of it stands still meanwhile: nobody is answered, nothing is closed."""
        processes = self.processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def replica(self, directory: Directory, name: str) -> Cluster:
        """A server that follows this one, once it is started."""
        other = Cluster(directory, name=name)
        other.prepare()
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        self.run("pg_basebackup", *where, "-D", str(other.data), "-R", "-X", "stream")
        return other

    def give(self, folder: Path) -> None:
        """Lets the server write there."""
        if unprivileged():
            shutil.chown(folder, "postgres")

    def log_on(self, folder: Path) -> None:
        """What is committed is written into this folder from now on."""
        self.end("fast")
        self.give(folder)
        run = [*unprivileged(), "sh", "-c", 'mv pg_wal "$0" && ln -s "$0/pg_wal" pg_wal', str(folder)]
        subprocess.run(run, cwd=self.data, check=True)
        self.start()


def main(command: Sequence[str]) -> int:
    if not programs():
        print("PostgreSQL is not installed (on Debian: apt-get install postgresql): nothing is tested")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        with Cluster(directory, durable=False) as cluster:
            cluster.start()
            url = cluster.odd_database() if os.environ.get("ODD") else cluster.database()
            return subprocess.run(command, env={**os.environ, "TEST_DATABASE": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
