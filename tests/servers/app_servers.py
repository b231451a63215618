"""The app servers under test: what each is started with, and how it is stopped gracefully.

A new kind of server is a class, a new way to run one is a line in BASIC, or in FRAMEWORKS where
that is not for `make test`. They run with the interpreters in PYTHON and RUBY, and with the agents
of this checkout, or with those found on TEST_PYTHONPATH and TEST_RUBYLIB (empty: those that are
installed).
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple, TypeVar

from gem_sets import GemSet, ruby_version
from processes import DidNotEnd, Process, find_nginx, repeated

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = Path(__file__).resolve().parent / "apps"

PYTHON = os.environ.get("PYTHON") or "/usr/bin/python3"
RUBY = os.environ.get("RUBY") or "/usr/bin/ruby"
PYTHONPATH = os.environ.get("TEST_PYTHONPATH", str(ROOT / "python"))
RUBYLIB = os.environ.get("TEST_RUBYLIB", str(ROOT / "ruby" / "lib"))

# Variables of the machine that would change what a test sees.
LEFT_OUT = frozenset(
    "DYNO HEROKU_APP_NAME SKIP_DYNOSCALE_AGENT PYTHONPATH RUBYLIB RUBYOPT RACK_ENV RAILS_ENV"
    " GUNICORN_CMD_ARGS WEB_CONCURRENCY PORT FLASK_APP FLASK_ENV FLASK_DEBUG"
    " HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split()
)

Result = TypeVar("Result")


class AppServer:
    """One way to run one server. Two workers where it has workers."""

    language = ""
    interpreter = ""
    package = ""  # Debian's
    stop_signal = signal.SIGTERM
    handles_term = True  # False: the default action ends it
    counts_bodies = True  # False: reads bodies first, and such requests give no sample
    subtracts_bodies = False  # the wait for a body, which a proxy in front of it may not see
    exit_statuses: Sequence[int] = (0,)

    def __init__(self, name: str) -> None:
        self.name = name

    def tries(self) -> int:
        """More than 1 for a server that sometimes does not end."""
        return 1

    def retried(self, run: Callable[[], Result]) -> Result:
        """The result of the first run in which the server ends."""
        for _ in range(self.tries() - 1):
            try:
                return run()
            except DidNotEnd as failure:
                repeated.append(f"{self.name}: {str(failure).splitlines()[0]}")
        return run()

    def missing(self) -> Optional[str]:
        """What must be installed first; None if nothing."""
        if find_nginx() is None:
            return "nginx is not installed; on Debian: apt-get install nginx"
        if not self.installed():
            where = f"for {self.interpreter}" if self.interpreter else "here"
            return f"no {self.name} {where}; on Debian: apt-get install {self.package}"
        return None

    def installed(self) -> bool:
        raise NotImplementedError

    def command(self, port: int, directory: Path) -> List[str]:
        """The server in the foreground on 127.0.0.1:`port`; may write to `directory`."""
        raise NotImplementedError

    def process(self, port: int, directory: Path, settings: Dict[str, str]) -> Process:
        """The server, not yet started, with the agent's `settings` in its environment."""
        command = self.command(port, directory)
        return Process(command, directory, "server", environment(settings), cwd=directory)


@functools.lru_cache(maxsize=None)
def output(*command: str) -> Optional[str]:
    """What a command prints; None if it fails or does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# Read once: pytest changes a variable of it for each test, also while another thread reads.
INHERITED = dict(os.environ)


def environment(settings: Dict[str, str]) -> Dict[str, str]:
    kept = {
        name: value
        for name, value in INHERITED.items()
        if name.upper() not in LEFT_OUT and not name.startswith("DYNOSCALE_")
    }
    paths = {"PYTHONPATH": PYTHONPATH, "RUBYLIB": RUBYLIB}
    kept.update({name: value for name, value in paths.items() if value})
    # Without .pyc files in the checkout.
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **settings}


# ---- Ruby ------------------------------------------------------------------------------------


def gem_program(gem: str, program: str) -> Optional[str]:
    """The path of a gem's program; None if this Ruby lacks the gem."""
    path = output(RUBY, "-e", f"puts Gem.bin_path({gem!r}, {program!r})")
    # Debian's unicorn has its programs in /usr/bin only.
    return path if path is None or os.path.exists(path) else shutil.which(program)


class RubyServer(AppServer):
    language = "ruby"
    interpreter = RUBY
    gem = ""
    program = ""

    def __init__(
        self,
        name: str,
        app: str = "config.ru",
        requires: str = "",
        gems: Optional[GemSet] = None,
    ) -> None:
        super().__init__(name)
        self.app = str(APPS / app)
        self._requires = requires
        self._gems = gems  # None: Debian's

    def missing(self) -> Optional[str]:
        reason = super().missing()
        return self._gems.missing() if self._gems and not reason else reason

    def installed(self) -> bool:
        if self._gems:
            return True
        if self._requires and output(RUBY, "-e", f"require {self._requires!r}") is None:
            return False
        return gem_program(self.gem, self.program) is not None

    def ruby(self, *arguments: str) -> List[str]:
        program = (
            self._gems.program(self.program)
            if self._gems
            else gem_program(self.gem, self.program) or self.program
        )
        return [RUBY, program, *arguments]

    def process(self, port: int, directory: Path, settings: Dict[str, str]) -> Process:
        places = self._gems.environment() if self._gems else {}
        return super().process(port, directory, {**places, **settings})


class Puma(RubyServer):
    subtracts_bodies = True
    package = gem = program = "puma"
    exit_statuses = (0, 128 + signal.SIGTERM, -signal.SIGTERM)  # it raises the signal again

    def __init__(
        self,
        name: str,
        workers: int = 0,
        preload: bool = False,
        app: str = "config.ru",
        requires: str = "",
        package: str = "puma",
        gems: Optional[GemSet] = None,
        more: Sequence[str] = (),
    ) -> None:
        super().__init__(name, app, requires, gems)
        self.package = package
        self._lines = ["threads 2, 2", f"workers {workers}"]
        # The default of preload_app! depends on the version.
        self._lines += [f"preload_app! {str(preload).lower()}"] if workers else []
        self._lines += more

    def tries(self) -> int:
        # It may wait for ever to close a pipe of its own: with Ruby 3.3 once in ten times, and as
        # often without the agent. https://github.com/puma/puma/issues/3677
        return 4 if ruby_version() >= "3.3" else 1

    def command(self, port: int, directory: Path) -> List[str]:
        config = directory / "puma.rb"
        lines = [f'bind "tcp://127.0.0.1:{port}"', 'environment "production"', *self._lines]
        config.write_text("\n".join(lines) + "\n")
        return self.ruby("-C", str(config), self.app)


class Unicorn(RubyServer):
    package = gem = program = "unicorn"
    stop_signal = signal.SIGQUIT

    def __init__(self, name: str, preload: bool) -> None:
        super().__init__(name)
        self._preload = preload

    def command(self, port: int, directory: Path) -> List[str]:
        config = directory / "unicorn.rb"
        lines = [f'listen "127.0.0.1:{port}"', "worker_processes 2"]
        lines += [f"preload_app {str(self._preload).lower()}"]
        config.write_text("\n".join(lines) + "\n")
        return self.ruby("-c", str(config), self.app)


class Webrick(RubyServer):
    """As `rackup` starts it: in development, and so behind Rack::Lint."""

    subtracts_bodies = True
    package = "ruby-webrick"
    gem = "rack"
    program = "rackup"
    stop_signal = signal.SIGINT

    def command(self, port: int, directory: Path) -> List[str]:
        return self.ruby("-q", "-s", "webrick", "-o", "127.0.0.1", "-p", str(port), self.app)


class Classic(RubyServer):
    """Sinatra's classic style, where the server lives in an at_exit block."""

    subtracts_bodies = True
    package = "ruby-sinatra"
    gem = "sinatra"

    def __init__(self, name: str, server: str) -> None:
        super().__init__(name, app="classic.rb")
        self.exit_statuses = Puma.exit_statuses if server == "puma" else (0,)
        self._server = server

    def installed(self) -> bool:
        return output(RUBY, "-e", f"require 'sinatra/base'; require {self._server!r}") is not None

    def command(self, port: int, directory: Path) -> List[str]:
        return [RUBY, self.app, str(port), self._server]


class Thin(RubyServer):
    """On EventMachine: one request at a time."""

    subtracts_bodies = True
    package = gem = program = "thin"

    def command(self, port: int, directory: Path) -> List[str]:
        address = ["--address", "127.0.0.1", "--port", str(port)]
        return self.ruby("start", *address, "--environment", "production", "--rackup", self.app)


class Rainbows(Unicorn):
    """Unicorn's processes, with threads or an event loop."""

    package = "rainbows"

    def __init__(self, name: str, model: str, preload: bool = True) -> None:
        super().__init__(name, preload)
        self._model = model
        self.subtracts_bodies = model == "EventMachine"

    def installed(self) -> bool:
        return shutil.which("rainbows") is not None

    def command(self, port: int, directory: Path) -> List[str]:
        command = super().command(port, directory)
        with (directory / "unicorn.rb").open("a") as config:
            config.write(f"Rainbows! {{ use :{self._model} }}\n")
        return [RUBY, shutil.which("rainbows") or "rainbows", *command[2:]]


class UwsgiForRuby(RubyServer):
    """Reads every body before it calls Ruby. Embeds its own Ruby."""

    package = "uwsgi-plugin-rack-ruby3.1"
    plugins = Path("/usr/lib/uwsgi/plugins")
    counts_bodies = False

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def _plugin(self) -> Optional[str]:
        major, minor = ruby_version().split(".")[:2]
        plugin = self.plugins / f"rack_ruby{major}{minor}_plugin.so"
        return str(plugin) if plugin.exists() else None

    def installed(self) -> bool:
        return shutil.which("uwsgi") is not None and self._plugin() is not None

    def command(self, port: int, directory: Path) -> List[str]:
        command = ["uwsgi", "--plugin", self._plugin() or "rack", "--master", "--processes", "2"]
        command += ["--http-socket", f"127.0.0.1:{port}", "--http-socket-modifier1", "7"]
        return [*command, "--die-on-term", "--rack", self.app, *self._arguments]


class Falcon(RubyServer):
    """A fiber a request."""

    package = "ruby-falcon"
    gem = program = "falcon"
    stop_signal = signal.SIGINT

    def command(self, port: int, directory: Path) -> List[str]:
        arguments = ["--bind", f"http://127.0.0.1:{port}", "--config", self.app]
        return self.ruby("serve", *arguments, "--forked", "--count", "2")


class Passenger(RubyServer):
    """Passenger Standalone, without nginx of its own: its C++ core starts processes of the app, by
    fork from one that has loaded it (`smart`) or each anew (`direct`)."""

    package = gem = program = "passenger"
    counts_bodies = False
    exit_statuses = (2,)  # always

    def __init__(self, name: str, spawn_method: str) -> None:
        super().__init__(name)
        self._spawn_method = spawn_method

    def installed(self) -> bool:
        return shutil.which(self.program) is not None

    def command(self, port: int, directory: Path) -> List[str]:
        command = [shutil.which(self.program) or self.program, "start", str(directory)]
        command += ["--address", "127.0.0.1", "--port", str(port), "--environment", "production"]
        command += ["--engine", "builtin", "--ruby", RUBY, "--rackup", self.app]
        command += ["--spawn-method", self._spawn_method]
        command += ["--max-pool-size", "2", "--min-instances", "2"]
        command += ["--instance-registry-dir", str(directory)]
        command += ["--disable-security-update-check", "--disable-anonymous-telemetry"]
        return [*command, "--pid-file", str(directory / "passenger.pid")]


# ---- Python ----------------------------------------------------------------------------------


Needing = TypeVar("Needing", bound="PythonServer")


class PythonServer(AppServer):
    language = "python"
    interpreter = PYTHON
    module = ""  # or several, as in an import statement
    variables: Dict[str, str] = {}

    def installed(self) -> bool:
        return output(PYTHON, "-c", f"import {self.module}") is not None

    def needing(self: Needing, *modules: str) -> Needing:
        """Also needs these modules; Debian's packages are named after them."""
        self.module = ", ".join([self.module, *modules])
        self.package = " ".join([self.package, *(f"python3-{module}" for module in modules)])
        return self

    def without_bodies(self: Needing) -> Needing:
        self.counts_bodies = False
        return self

    def with_django(self: Needing, **variables: str) -> Needing:
        """Serves the Django project, whose settings name the app."""
        self.variables = {
            "DJANGO_SETTINGS_MODULE": "django_project.settings",
            "HEROKU_APP_NAME": "not-this-one",
            **variables,
        }
        return self.needing("django")

    def process(self, port: int, directory: Path, settings: Dict[str, str]) -> Process:
        path = os.pathsep.join(path for path in (str(APPS), PYTHONPATH) if path)
        variables = {"PYTHONPATH": path, **settings, **self.variables}
        return super().process(port, directory, variables)


class Gunicorn(PythonServer):
    package = module = "gunicorn"

    def __init__(
        self, name: str, worker: str, preload: bool, wrapper: bool, hook: str, app: str = ""
    ) -> None:
        super().__init__(name)
        self._worker = worker
        self._arguments = ["--worker-class", worker, "--workers", "2"]
        self._arguments += ["--threads", "2"] if worker == "gthread" else []
        self._arguments += ["--preload"] if preload else []
        self._arguments += ["--config", str(APPS / hook)] if hook else []
        self._arguments += [app or ("wrapped_app:app" if wrapper else "bare_app:app")]

    def installed(self) -> bool:
        if not super().installed():
            return False
        known = output(PYTHON, "-c", "import gunicorn.workers as w; print(*w.SUPPORTED_WORKERS)")
        return "." in self._worker or self._worker in (known or "").split()

    def tries(self) -> int:
        # A worker loses a SIGTERM that comes between its fork and its handlers: told to end within
        # 20 ms of its start, one gunicorn of a hundred did not, with and without the agent.
        return 3

    def command(self, port: int, directory: Path) -> List[str]:
        return [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *self._arguments]


UWSGI = ("uwsgi", "--plugin", "python3")


class Uwsgi(PythonServer):
    """Without `enable-threads`, unless it is an argument. Embeds its own Python."""

    interpreter = ""
    package = "uwsgi-plugin-python3"

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def tries(self) -> int:
        # With threads it may lose a SIGTERM or wait for one of its locks: a few of a hundred did not
        # end, with the agent and without.
        return 4 if "--threads" in self._arguments else 1

    def installed(self) -> bool:
        return output(*UWSGI, "--python-version") is not None

    def missing(self) -> Optional[str]:
        reason = super().missing()
        if reason is not None:
            return reason
        embedded = output(*UWSGI, "--python-version")
        ours = output(PYTHON, "-c", "import platform; print(platform.python_version())")
        return None if ours == embedded else f"uWSGI embeds Python {embedded}, not {PYTHON}"

    def command(self, port: int, directory: Path) -> List[str]:
        command = [*UWSGI, "--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "2"]
        command += ["--die-on-term", "--need-app", "--module", "wrapped_app:app"]
        return [*command, *self._arguments]


class Flask(PythonServer):
    """`flask run`, which is werkzeug's server: a thread a request."""

    package = "python3-flask"
    module = "flask"
    handles_term = False
    stop_signal = signal.SIGINT

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "flask", "--app", "flask_app", "run"]
        return [*command, "--host", "127.0.0.1", "--port", str(port)]


class Waitress(PythonServer):
    package = "python3-waitress"
    module = "waitress"
    counts_bodies = False
    handles_term = False
    stop_signal = signal.SIGINT

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "waitress", "--host", "127.0.0.1", "--port", str(port)]
        return [*command, "wrapped_app:app"]


class Cheroot(PythonServer):
    """CherryPy's server: it reads headers and bodies in the threads that call the app."""

    package = "python3-cheroot"
    module = "cheroot"
    handles_term = False
    stop_signal = signal.SIGINT
    exit_statuses = (0, -signal.SIGINT)  # newer ones raise KeyboardInterrupt

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "cheroot", "--bind", f"127.0.0.1:{port}", "--threads", "2"]
        return [*command, "wrapped_app:app"]


class Twisted(PythonServer):
    """Its reactor reads the body, and its threads call the app."""

    package = "python3-twisted"
    module = "twisted"
    counts_bodies = False
    exit_statuses = (-signal.SIGTERM,)

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "twisted", "web", "--wsgi", "wrapped_app.app"]
        return [*command, "--listen", f"tcp:{port}:interface=127.0.0.1"]


class Uvicorn(PythonServer):
    package = "python3-uvicorn"
    module = "uvicorn"
    exit_statuses = (0, -signal.SIGTERM)  # newer ones raise the signal again

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port)]
        return [*command, *self._arguments]


class Hypercorn(PythonServer):
    package = "python3-hypercorn"
    module = "hypercorn"

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}"]
        return [*command, *self._arguments]


class Granian(PythonServer):
    """A server in Rust, which calls the app by its own `environ` or scope."""

    package = "nothing (pip install granian)"
    module = "granian"
    exit_statuses = (0, -signal.SIGTERM)

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "granian", "--host", "127.0.0.1", "--port", str(port)]
        return [*command, *self._arguments]


class Daphne(PythonServer):
    package = "daphne"
    module = "daphne"
    exit_statuses = (0, -signal.SIGTERM)
    counts_bodies = False

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def command(self, port: int, directory: Path) -> List[str]:
        command = [PYTHON, "-m", "daphne", "--bind", "127.0.0.1", "--port", str(port)]
        return [*command, *self._arguments]


MOD_WSGI = """
ServerRoot "{directory}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile "{directory}/apache.pid"
ErrorLog /dev/stderr
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
{lines}
# In an interpreter of its own, mod_wsgi 4.9 with Python 3.11 does not end, with or without us.
WSGIApplicationGroup %{{GLOBAL}}
WSGISocketPrefix "{directory}/wsgi"
WSGIScriptAlias / "{script}"
<Directory "{apps}">
    Require all granted
</Directory>
"""


# If root starts Apache, it serves as a user who can't read this checkout. In a user namespace it is
# not root.
NOT_ROOT = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


class ModWsgi(PythonServer):
    """Apache in the foreground, with its own configuration. Embeds its own Python."""

    interpreter = ""
    package = "apache2-bin libapache2-mod-wsgi-py3"
    modules = Path("/usr/lib/apache2/modules")

    def __init__(self, name: str, *lines: str) -> None:
        super().__init__(name)
        self._lines = lines

    def installed(self) -> bool:
        return shutil.which("apache2") is not None and (self.modules / "mod_wsgi.so").exists()

    def missing(self) -> Optional[str]:
        reason = super().missing()
        if reason is not None:
            return reason
        if os.geteuid() == 0 and output(*NOT_ROOT, "true") is None:
            return "root can't start Apache as somebody else here: unshare --user fails"
        ours = output(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        if (self.modules / f"mod_wsgi.so-{ours}").exists():
            return None
        return f"mod_wsgi embeds another Python than {PYTHON}"

    def command(self, port: int, directory: Path) -> List[str]:
        config = directory / "apache.conf"
        text = MOD_WSGI.format(
            directory=directory,
            port=port,
            modules=self.modules,
            lines="\n".join(self._lines),
            script=APPS / "mod_wsgi.wsgi",
            apps=APPS,
        )
        config.write_text(text)
        command = [shutil.which("apache2") or "apache2", "-f", str(config), "-D", "FOREGROUND"]
        return [*NOT_ROOT, *command] if os.geteuid() == 0 else command


class Wsgiref(PythonServer):
    """The standard library's server. One request at a time."""

    package = "python3"
    module = "wsgiref.simple_server"
    handles_term = False
    stop_signal = signal.SIGINT

    def command(self, port: int, directory: Path) -> List[str]:
        return [PYTHON, str(APPS / "wsgiref_server.py"), str(port)]


class PassengerForPython(PythonServer):
    """Passenger Standalone, which loads passenger_wsgi.py."""

    package = "passenger"
    module = "wsgiref"
    exit_statuses = (2,)  # always

    def installed(self) -> bool:
        return shutil.which("passenger") is not None

    def missing(self) -> Optional[str]:
        reason = super().missing()
        if reason is not None:
            return reason
        resources = output("passenger-config", "about", "resourcesdir") or ""
        loader = Path(resources, "helper-scripts", "wsgi-loader.py")
        if not loader.exists() or "imp.load_source" not in loader.read_text(encoding="utf-8"):
            return None
        if output(PYTHON, "-W", "ignore", "-c", "import imp") is not None:
            return None
        return f"this Passenger imports imp, which {PYTHON} does not have: Python 3.12 removed it"

    def command(self, port: int, directory: Path) -> List[str]:
        (directory / "passenger_wsgi.py").write_text("from wrapped_app import app as application\n")
        command = [shutil.which("passenger") or "passenger", "start", str(directory)]
        command += ["--address", "127.0.0.1", "--port", str(port), "--engine", "builtin"]
        command += ["--app-type", "wsgi", "--startup-file", "passenger_wsgi.py", "--python", PYTHON]
        command += ["--max-pool-size", "2", "--min-instances", "2"]
        command += ["--instance-registry-dir", str(directory)]
        command += ["--disable-security-update-check", "--disable-anonymous-telemetry"]
        return [*command, "--pid-file", str(directory / "passenger.pid")]


# ---- All of them -----------------------------------------------------------------------------


ENTRY_POINTS: Dict[str, Tuple[bool, str]] = {
    "wrapper": (True, ""),
    "hook": (False, "gunicorn_hook.py"),
}


def _gunicorns() -> List[AppServer]:
    servers: List[AppServer] = [
        Gunicorn(
            f"gunicorn {worker}{' preload' if preload else ''} {entry_point}",
            worker,
            preload,
            wrapper,
            hook,
        )
        for worker in ("sync", "gthread")
        for preload in (False, True)
        for entry_point, (wrapper, hook) in ENTRY_POINTS.items()
    ]
    return [
        *servers,
        Gunicorn("gunicorn sync wrapper and hook", "sync", False, True, "gunicorn_hook.py"),
        Gunicorn("gunicorn gthread preload both", "gthread", True, True, "gunicorn_hook.py"),
        Gunicorn("gunicorn sync own hook", "sync", False, False, "gunicorn_own_hook.py"),
    ]


WORKER = "dynoscale.uvicorn.DynoscaleUvicornWorker"


def _asgi() -> List[AppServer]:
    """gunicorn with uvicorn's workers, wrapped by one of ours, by the app, and by both."""
    workers = [
        Gunicorn(f"gunicorn uvicorn{' preload' if preload else ''} {how}", worker, preload, *rest)
        for preload in (False, True)
        for how, worker, rest in (
            ("worker", WORKER, (False, "", "bare_asgi_app:app")),
            ("wrapper", "uvicorn.workers.UvicornWorker", (True, "", "wrapped_asgi_app:app")),
            ("worker and wrapper", WORKER, (True, "", "wrapped_asgi_app:app")),
        )
    ]
    return [
        Uvicorn("uvicorn", "wrapped_asgi_app:app"),
        Uvicorn("uvicorn starlette", "starlette_app:app").needing("starlette"),
        *(worker.needing("uvicorn") for worker in workers),
    ]


DJANGO_WSGI = "django.core.wsgi:get_wsgi_application()"
BARE_DJANGO_ASGI = "django.core.asgi:get_asgi_application()"
DJANGO_PROJECT_ASGI = "django_project.asgi:application"
DJANGO_ASGI = ("--factory", "django.core.asgi:get_asgi_application")


def _django() -> List[AppServer]:
    return [
        Gunicorn("django wsgi.py", "sync", False, True, "", "django_project.wsgi").with_django(),
        Uvicorn("django asgi.py", DJANGO_PROJECT_ASGI).with_django(),
        Gunicorn("django middleware", "sync", False, False, "", DJANGO_WSGI).with_django(
            TEST_MIDDLEWARE="1"
        ),
        Uvicorn("django middleware async", *DJANGO_ASGI)
        .with_django(TEST_MIDDLEWARE="1", TEST_ASYNC_VIEW="1")
        .without_bodies(),
        Gunicorn("django uvicorn worker", WORKER, False, False, "", BARE_DJANGO_ASGI)
        .with_django()
        .needing("uvicorn"),
        Uvicorn("django asgi.py and middleware", DJANGO_PROJECT_ASGI).with_django(
            TEST_MIDDLEWARE="1"
        ),
    ]


BASIC: List[AppServer] = [
    Puma("puma single"),
    Puma("puma cluster", workers=2),
    Puma("puma cluster preload_app!", workers=2, preload=True),
    Puma("rails puma", app="rails.ru", requires="rails", package="ruby-rails"),
    Puma(
        "rails puma cluster preload_app!",
        workers=2,
        preload=True,
        app="rails.ru",
        requires="rails",
        package="ruby-rails",
    ),
    Unicorn("unicorn", preload=False),
    Unicorn("unicorn preload_app", preload=True),
    Webrick("webrick", requires="webrick"),
    *_gunicorns(),
    Uwsgi("uwsgi"),
    Uwsgi("uwsgi lazy-apps", "--lazy-apps"),
    Uwsgi("uwsgi enable-threads", "--enable-threads", "--threads", "2"),
    Flask("flask"),
    Wsgiref("wsgiref"),
    Waitress("waitress"),
    *_asgi(),
    *_django(),
]

NEWEST = GemSet("newest", "puma", "rackup", "rack", "sinatra", "roda")  # with Rack 3
NEWEST_RAILS = GemSet("railties", "railties", "puma")
HANAMI = GemSet("hanami", "hanami-router", "hanami-controller", "puma")  # with Rack 2
FALCON = GemSet("falcon", "falcon")

# Workers are forked from the first one, and again after that many requests of it (0: never). Puma 5
# sometimes loses a connection then, with and without the agent.
FORK_WORKER = "fork_worker {}".format

FRAMEWORKS: List[AppServer] = [
    Puma("puma fork_worker", workers=2, more=[FORK_WORKER(0)]),
    Puma("sinatra puma", app="sinatra.ru", requires="sinatra/base", package="ruby-sinatra"),
    Classic("sinatra classic puma", "puma"),
    Classic("sinatra classic webrick", "webrick"),
    Classic("sinatra classic thin", "thin"),
    Thin("thin"),
    Rainbows("rainbows thread pool", "ThreadPool"),
    Rainbows("rainbows thread spawn", "ThreadSpawn"),
    Rainbows("rainbows event loop", "EventMachine"),
    Rainbows("rainbows event loop without preload", "EventMachine", preload=False),
    UwsgiForRuby("uwsgi for ruby"),
    UwsgiForRuby("uwsgi for ruby lazy-apps", "--lazy-apps"),
    Passenger("passenger smart", "smart"),
    Passenger("passenger direct", "direct"),
    Puma("newest puma single", gems=NEWEST),
    Puma("newest puma cluster", workers=2, gems=NEWEST),
    Puma("newest puma cluster preload_app!", workers=2, preload=True, gems=NEWEST),
    Puma("newest puma fork_worker", workers=2, gems=NEWEST, more=[FORK_WORKER(50)]),
    Puma("newest sinatra", app="sinatra.ru", gems=NEWEST),
    Puma("roda", app="roda.ru", gems=NEWEST),
    Puma("hanami", app="hanami.ru", gems=HANAMI),
    Puma("newest rails", app="rails.ru", gems=NEWEST_RAILS),
    Puma(
        "newest rails cluster preload_app!",
        workers=2,
        preload=True,
        app="rails.ru",
        gems=NEWEST_RAILS,
    ),
    Falcon("falcon", gems=FALCON),
    *(
        Gunicorn(f"gunicorn {worker} {entry_point}", worker, False, wrapper, hook).needing(worker)
        for worker in ("gevent", "eventlet")
        for entry_point, (wrapper, hook) in ENTRY_POINTS.items()
    ),
    Uvicorn("uvicorn fastapi", "fastapi_app:app").needing("fastapi"),
    Uvicorn("uvicorn workers", "--workers", "2", "wrapped_asgi_app:app"),
    Hypercorn("hypercorn", "wrapped_asgi_app:app"),
    Hypercorn("hypercorn workers", "--workers", "2", "wrapped_asgi_app:app"),
    Hypercorn("hypercorn starlette", "starlette_app:app").needing("starlette"),
    Granian("granian asgi", "--interface", "asgi", "wrapped_asgi_app:app"),
    Granian("granian wsgi", "--interface", "wsgi", "wrapped_app:app"),
    Granian(
        "granian wsgi workers", "--interface", "wsgi", "--workers", "2", "wrapped_app:app"
    ),
    Daphne("daphne", "wrapped_asgi_app:app"),
    Daphne("daphne django", "django_project.asgi:application").with_django(),
    Cheroot("cheroot"),
    Twisted("twisted"),
    PassengerForPython("passenger for python"),
    ModWsgi("mod_wsgi embedded"),
    ModWsgi(
        "mod_wsgi daemon",
        "WSGIDaemonProcess served processes=2 threads=4",
        "WSGIProcessGroup served",
    ),
]
