"""Half an hour of real servers for validate.py: nginx as the router, a gunicorn for each dyno with our
agent in it, `dynoscaled` that scales them by the automatic method, and requests at the rates of a trace.

Each dyno has a socket of its own, so that requests queue in it, as on a platform. nginx chooses
among all sockets, and takes another where nothing listens: a dyno that starts or has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

from app_servers import PYTHON, environment
from loops import Loop, eventually
from processes import Process, find_nginx, free_port

SLOTS, MEAN_S, CV = 4, 0.15, 1.5
COMPUTED = 0.02  # the share of a request that takes a CPU: the machine is not to be the limit
LONGEST_S, LEAST, MOST = 10, 2, 12
BOOT_CHECKED_S, END_S = 0.1, 30
RULES = f"""
processes:
  web:
    rules:
      - name: default
        dynos: {{min: {LEAST}, max: {MOST}}}
        method: automatic
"""
APP = f'''
import json, math, os, random, time
from dynoscale.wsgi import DynoscaleWsgiApp

time.sleep(float(os.environ["BOOT_S"]))
SIGMA2 = math.log(1 + {CV} ** 2)
drawn = random.Random(os.getpid())

def work(environ, start_response):
    began = time.time()
    stamp = float(environ["HTTP_X_REQUEST_START"].lstrip("t="))
    takes = min(drawn.lognormvariate(math.log({MEAN_S}) - SIGMA2 / 2, SIGMA2 ** .5), {LONGEST_S})
    until = time.thread_time() + takes * {COMPUTED}
    while time.thread_time() < until:
        sum(range(1000))
    time.sleep(max(0, began + takes - time.time()))
    body = json.dumps({{"wait": began - stamp, "service": time.time() - began,
                        "dyno": os.environ["DYNO"]}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

app = DynoscaleWsgiApp(work)
'''
# The platform's program: the numbers are in a folder, Dynos below does what they say.
PLATFORM = """\
#!{python}
import json, sys
from pathlib import Path
folder = Path(__file__).parent
if sys.argv[1] == "read":
    print((folder / "formation").read_text())
else:
    (folder / "wanted.new").write_text(sys.argv[3])
    (folder / "wanted.new").rename(folder / "wanted")
"""
NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log /dev/null crit;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    upstream dynos {{
        {method};
{servers}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://dynos;
            proxy_set_header X-Request-Start "t=${{msec}}";
            proxy_next_upstream error;
            proxy_read_timeout 120s;
        }}
    }}
}}
"""


class Request(NamedTuple):
    arrival: float  # seconds from the beginning
    wait: float  # from nginx's stamp until the app has it
    service: float
    dyno: str


class Measured(NamedTuple):
    ordered: List[int]  # dynos, each second
    requests: List[Request]
    failed: List[float]  # arrivals that got no answer
    boots: List[float]  # seconds from an order until a dyno listened
    late: float  # 99th percentile of how late requests were sent, seconds: the machine's fault
    load: float  # of the machine, mean


class Router(Process):
    METHODS = {"random": "random", "lc": "least_conn"}

    def __init__(self, folder: Path, route: str) -> None:
        self.port = free_port()
        servers = "\n".join(f"        server unix:{socket(folder, number)} max_fails=0;"
                            for number in range(1, MOST + 1))
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, method=self.METHODS[route], servers=servers,
                                       port=self.port))
        super().__init__([find_nginx() or "nginx", "-p", str(folder), "-c", str(config),
                          "-e", "stderr"], folder, name="nginx")


def socket(folder: Path, number: int) -> Path:
    return folder / f"{number}.socket"


class Dynos(threading.Thread):
    """The platform: starts and ends dynos by the number in the file `wanted`, and writes to
    `formation` how many there are. The newest is the first to end."""

    def __init__(self, folder: Path, env: Dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.folder, self.env = folder, env
        self.running: List[Process] = []
        self.ending: List[Process] = []
        self.began: Dict[int, float] = {}  # of those that are not up yet
        self.boots: List[float] = []
        self.over = threading.Event()
        (folder / "wanted").write_text(str(LEAST))
        program = folder / "platform"
        program.write_text(PLATFORM.format(python=PYTHON))
        program.chmod(0o755)
        self.program = program
        self.look()

    @property
    def ordered(self) -> int:
        return len(self.running)

    @property
    def up(self) -> int:
        return len(self.running) - len(self.began)

    def start_one(self) -> None:
        number = len(self.running) + 1
        socket(self.folder, number).unlink(missing_ok=True)
        command = [PYTHON, "-m", "gunicorn", "--preload", "--workers", "1", "--worker-class",
                   "gthread", "--threads", str(SLOTS), "--worker-connections", str(SLOTS),
                   "--bind", f"unix:{socket(self.folder, number)}", "--backlog", "2048",
                   "--timeout", "600", "--graceful-timeout", str(END_S),
                   "--chdir", str(self.folder), "validated:app"]
        dyno = Process(command, self.folder, f"dyno-{number}",
                       {**self.env, "DYNO": f"web.{number}"}, self.folder)
        self.running.append(dyno.start())
        self.began[number] = time.monotonic()

    def end_one(self) -> None:
        self.began.pop(len(self.running), None)
        dyno = self.running.pop()
        dyno.send_signal(signal.SIGTERM)
        self.ending.append(dyno)

    def look(self) -> None:
        wanted = int((self.folder / "wanted").read_text())
        while len(self.running) < wanted:
            self.start_one()
        while len(self.running) > wanted:
            self.end_one()
        for number, began in list(self.began.items()):
            if socket(self.folder, number).exists():
                self.boots.append(time.monotonic() - began)
                del self.began[number]
        self.ending = [dyno for dyno in self.ending if dyno.running]
        written = self.folder / "formation.new"
        written.write_text(json.dumps({"ordered": self.ordered, "up": self.up}))
        written.rename(self.folder / "formation")

    def run(self) -> None:
        while not self.over.wait(BOOT_CHECKED_S):
            self.look()

    def __enter__(self) -> Dynos:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
        for dyno in self.running + self.ending:
            dyno.kill()


class Visitors:
    """Requests that come whether those before are answered or not."""

    def __init__(self, port: int, rates: Sequence[float]) -> None:
        self.port, self.rates = port, rates
        self.done: List[Request] = []
        self.failed: List[float] = []
        self.late: List[float] = []

    async def visit(self, arrival: float) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 120)
            writer.close()
            said = json.loads(answer.split(b"\r\n\r\n", 1)[1])
            self.done.append(Request(arrival, said["wait"], said["service"], said["dyno"]))
        except (OSError, ValueError, IndexError, asyncio.TimeoutError):
            self.failed.append(arrival)

    async def run(self) -> None:
        drawn, began, at = random.Random(7), time.monotonic(), 0.0
        visits = []
        while True:
            at += drawn.expovariate(self.rates[min(int(at), len(self.rates) - 1)])
            if at >= len(self.rates):
                break
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            self.late.append(time.monotonic() - began - at)
            visits.append(asyncio.ensure_future(self.visit(at)))
        await asyncio.gather(*visits)


class Counter(threading.Thread):
    """How many dynos are ordered, each second, and the machine's load."""

    def __init__(self, dynos: Dynos, seconds: int) -> None:
        super().__init__(daemon=True)
        self.dynos, self.seconds = dynos, seconds
        self.ordered: List[int] = []
        self.loads: List[float] = []

    def run(self) -> None:
        began = time.monotonic()
        for second in range(self.seconds):
            time.sleep(max(0.0, began + second - time.monotonic()))
            self.ordered.append(self.dynos.ordered)
            self.loads.append(os.getloadavg()[0])


def write_requests(path: Path, requests: Sequence[Request]) -> None:
    rows = "".join(f"{one.arrival:.3f},{one.wait:.4f},{one.service:.4f},{one.dyno}\n"
                   for one in sorted(requests))
    path.write_text("arrival,wait,service,dyno\n" + rows)


def run(folder: Path, rates: Sequence[float], boot_s: float, route: str) -> Measured:
    """`rates`: requests a second, one for each second."""
    folder.mkdir(parents=True)
    (folder / "validated.py").write_text(APP)
    with ExitStack() as stack:
        loop = stack.enter_context(Loop(folder))
        url = loop.add_app("validated", RULES)
        env = environment({"DYNOSCALE_URL": url, "DYNOSCALE_DYNOS": "all", "BOOT_S": str(boot_s),
                           "NO_PROXY": "127.0.0.1"})
        dynos = stack.enter_context(Dynos(folder, env))
        eventually(lambda: dynos.up == LEAST, f"all dynos are up; {folder}/dyno-1.log says more")
        router = stack.enter_context(Router(folder, route))
        router.start()
        router.wait_for_port(router.port)
        data = ["--data", str(loop.service.data)]
        subprocess.run([loop.service.program, "platform", "set", "validated", "command", *data, "--",
                        str(dynos.program)], check=True, timeout=60)  # fmt: skip
        counter, visitors = Counter(dynos, len(rates)), Visitors(router.port, rates)
        counter.start()
        asyncio.run(visitors.run())
        counter.join()
        (folder / "ledger.json").write_text(json.dumps(loop.ledger("validated")))
    write_requests(folder / "requests.csv", visitors.done)
    late = statistics.quantiles(visitors.late, n=100)[98]
    return Measured(counter.ordered, visitors.done, visitors.failed, dynos.boots, late,
                    statistics.fmean(counter.loads))
