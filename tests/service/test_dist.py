"""What service/dist ships: the unit's sandbox, and both proxies in front of a real service, by the
very files with only names of files, ports and the certificate replaced."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import postgresql
import pytest
from certificates import Certificates, make_certificates
from conftest import Started
from dynoscaled import RULES, Command, wait_for, write_scale
from fronts import DIST, FRONTS, Front, behind, replaced
from processes import Process, free_port
from reports import add_app, command, counted, csv, headers, local
from service import PATIENCE, PROGRAM, Service

UNIT = DIST / "dynoscaled.service"
ANALYZE = shutil.which("systemd-analyze")

# ---- What it is made of ---------------------------------------------------------------------------


def made_of(program: Path) -> str:
    command = [str(DIST / "bill.py"), str(program), "2.0.0"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="a bill names Debian's packages")
def test_the_bill_of_materials_names_what_is_linked_and_what_the_pages_took(tmp_path: Path) -> None:
    printed = made_of(PROGRAM)
    assert printed == made_of(PROGRAM)  # to the byte
    bill = json.loads(printed)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    components = {one["bom-ref"]: one for one in bill["components"]}
    assert len(components) == len(bill["components"])
    own, *others = bill["dependencies"]
    needed = subprocess.run(["readelf", "-d", str(PROGRAM)], stdout=subprocess.PIPE, universal_newlines=True).stdout
    names = {components[ref]["name"] for ref in own["dependsOn"]}
    for library in re.findall(r"Shared library: \[(lib[a-z]+)", needed):
        assert any(name.startswith(library.rstrip("0123456789")) for name in names - {"libc6"}) or library in ("libc", "libm")
    assert {"libsodium23", "libc6", "uplot"} <= names
    for one in components.values():
        if one["purl"].startswith("pkg:deb/"):
            version = subprocess.run(["dpkg-query", "-W", "-f=${Version}", one["name"]], stdout=subprocess.PIPE).stdout
            assert one["version"] == version.decode(), one
    lock = json.loads((DIST.parent / "web" / "package-lock.json").read_text())["packages"]["node_modules/uplot"]
    page = next(one for one in components.values() if one["name"] == "uplot")
    assert page["version"] == lock["version"] and page["hashes"][0]["alg"] == "SHA-512"
    # Each of what these need in turn is there, too: libcurl brings TLS.
    assert {ref for one in others for ref in [one["ref"], *one["dependsOn"]]} <= set(components)
    assert any(one["name"].startswith(("libssl3", "libgnutls30")) for one in components.values())


# ---- Proxies -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def dynos_heard(service: Service) -> Optional[int]:
    """Of the app's one process, at its last tick."""
    app: Any = local(service, "/api/v1/apps/shop")
    dynos = app["processes"][0]["dynos"]
    return dynos and dynos["heard"]  # type: ignore[no-any-return]


def read_token(service: Service) -> str:
    found = re.search(r"^ds_\S+", command(service, "token", "add", "--scope", "read"), re.MULTILINE)
    assert found
    return found.group(0)


@pytest.mark.parametrize("kind", FRONTS)
def test_pages_reports_and_streams_pass_the_proxy(
    kind: type[Front], serve: Started, tmp_path: Path, certificates: Certificates
) -> None:
    service = behind(serve)
    path, token = add_app(service), read_token(service)
    with kind(tmp_path, service.port, certificates).start() as front:
        wait_for(lambda: front.request("GET", "/healthz").status == 200, "the proxy finds the service")
        page = front.request("GET", "/signin")
        assert page.status == 200 and "text/html" in page.headers["content-type"]
        assert "max-age" in page.headers["strict-transport-security"]

        now = int(time.time())
        rows = csv([(now, wait, "web", "") for wait in range(300)])
        assert front.request("POST", path, rows, headers("1" * 32)).status == 200
        # The dyno's name stands in a header with underscores.
        wait_for(lambda: dynos_heard(service) == 1, "the dyno is known by its name")
        assert counted(service) == 300

        large = b"x" * (512 << 10)
        assert front.request("POST", path, large, headers("2" * 32)).status == 400
        assert front.request("POST", path, large + b"x", headers("3" * 32)).status == 413

        stream = front.open()
        stream.request("GET", "/api/v1/events?app=shop", headers={"Authorization": f"Bearer {token}"})
        answer = stream.getresponse()
        assert "text/event-stream" in (answer.getheader("content-type") or "")
        # The stream has not ended: a proxy that keeps events back would let this wait in vain.
        assert wait_for(lambda: answer.readline() == b"event: app\n", "an event")
        stream.close()


@pytest.mark.parametrize("kind", FRONTS)
def test_the_visitors_address_is_what_the_proxy_says_and_not_what_they_say(
    kind: type[Front], serve: Started, tmp_path: Path, certificates: Certificates
) -> None:
    service = behind(serve)
    with kind(tmp_path, service.port, certificates).start() as front:
        wait_for(lambda: front.request("GET", "/healthz").status == 200, "the proxy finds the service")
        lines = {"Content-Type": "application/json", "Origin": "https://127.0.0.1"}
        body = json.dumps({"name": "nobody", "password": "wrong-password"}).encode()
        told = {"X-Forwarded-For": "203.0.113.9", "X_Forwarded_For": "203.0.113.8", "Forwarded": "for=203.0.113.7"}
        connection = front.open("127.0.0.5")
        connection.request("POST", "/api/v1/session", body, {**lines, **told})
        assert connection.getresponse().status == 401
        connection.close()
        assert "a sign-in from 127.0.0.5 was refused" in service.log


@pytest.mark.parametrize("kind", FRONTS)
def test_plain_http_is_led_to_https_and_a_restart_is_503_with_retry_after(
    kind: type[Front], serve: Started, tmp_path: Path, certificates: Certificates
) -> None:
    service = behind(serve)
    path = add_app(service)
    with kind(tmp_path, service.port, certificates).start() as front:
        front.wait_for_port(front.plain, PATIENCE)
        plain = http.client.HTTPConnection("127.0.0.1", front.plain, timeout=PATIENCE)
        plain.request("GET", "/apps?a=1", headers={"Host": "scale.example.com"})
        led = plain.getresponse()
        assert (led.status, led.getheader("location")) == (308, "https://scale.example.com/apps?a=1")
        plain.close()

        wait_for(lambda: front.request("GET", "/healthz").status == 200, "the proxy finds the service")
        service.stop()
        answer = front.request("POST", path, csv([(int(time.time()), 1, "web", "")]), headers("4" * 32))
        assert answer.status == 503 and int(answer.headers["retry-after"]) > 0


# ---- Heroku --------------------------------------------------------------------------------------


def on_heroku(tmp_path: Path, **variables: str) -> Process:
    """The command of heroku.yml with what a dyno's environment has."""
    programs = tmp_path / "programs"
    programs.mkdir(exist_ok=True)
    real = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    if not (programs / "dynoscaled").exists():
        (programs / "dynoscaled").symlink_to(real)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "DYNOSCALED_DATA": "/nowhere", **variables}
    return Process([str(DIST / "heroku")], tmp_path, env=environment)


@pytest.mark.skipif(not postgresql.programs(), reason="PostgreSQL is not installed")
def test_on_heroku_a_dyno_takes_its_port_its_database_and_a_key_that_outlives_it(tmp_path: Path) -> None:
    data = tmp_path / "dyno"
    data.mkdir(mode=0o700)
    with postgresql.Cluster(tmp_path, durable=False) as cluster:
        cluster.start()
        url = cluster.database()
        url += ("&" if "?" in url else "?") + "sslmode=disable"  # the tests' server has no TLS
        variables = {
            "DATABASE_URL": url, "DYNOSCALED_SECRET": "ab" * 32, "DYNOSCALED_DATA": str(data),
            "HEROKU_APP_DEFAULT_DOMAIN_NAME": "scale.herokuapp.example",
        }  # fmt: skip
        # Each dyno begins with an empty folder; the key must be the same all the same.
        for number, name in enumerate(("shop", "other"), 1):
            port = free_port()
            with on_heroku(tmp_path, PORT=str(port), **variables).start() as dyno:
                dyno.wait_until(lambda: dyno.log.count("has started") == number, "start", PATIENCE)
                dyno.wait_for_port(port, PATIENCE)
                assert "PostgreSQL" in dyno.log
                told = Command(data)("app", "add", name)
                assert "https://scale.herokuapp.example/api/" in told.stdout, told.stderr
                assert "shop" in Command(data).done("app", "list")
                dyno.stop(seconds=PATIENCE)
            shutil.rmtree(data)
            data.mkdir(mode=0o700)


def test_on_heroku_what_is_missing_is_said(tmp_path: Path) -> None:
    cases: List[Tuple[Dict[str, str], str]] = [
        ({}, "PORT"),
        ({"PORT": "5000"}, "heroku addons:create"),
        ({"PORT": "5000", "DATABASE_URL": "postgres://a@localhost:1/a"}, "DYNOSCALED_KEY"),
    ]
    for given, missing in cases:
        dyno = on_heroku(tmp_path, **given).start()
        wait_for(lambda: not dyno.running, "it ends")
        assert missing in dyno.log


# ---- The unit ------------------------------------------------------------------------------------


@pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed")
def test_the_units_sandbox_leaves_little_open(tmp_path: Path) -> None:
    unit = shutil.copy(UNIT, tmp_path)
    run = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    if "unrecognized option" in run.stderr:
        pytest.skip("this systemd-analyze knows no --offline")
    found = re.search(r"exposure level for dynoscaled.service: ([\d.]+)", run.stdout)
    assert found, run.stdout + run.stderr
    assert float(found.group(1)) <= 2.0


@pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "dynoscaled"
    program.symlink_to("/bin/true")
    unit = tmp_path / UNIT.name
    unit.write_text(replaced(UNIT.read_text(), {"/usr/bin/dynoscaled": str(program)}))
    drop_in = tmp_path / f"{UNIT.name}.d" / "programs.conf"
    drop_in.parent.mkdir()
    shutil.copy(DIST / "dynoscaled-programs.conf", drop_in)
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert "dynoscaled" not in run.stderr, run.stderr


def allowed_calls() -> List[str]:
    """The system calls that the unit's SystemCallFilter leaves, as systemd itself lists them."""
    sets: Dict[str, List[str]] = {}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True
    )
    name = ""
    for line in listed.stdout.splitlines():
        if line.startswith("@"):
            name = line.strip()
            sets[name] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            sets[name].append(line.strip())

    def flat(word: str) -> List[str]:
        return [call for part in sets[word] for call in flat(part)] if word in sets else [word]

    allowed = set(flat("@default"))
    for line in re.findall(r"(?m)^SystemCallFilter=(.*)$", UNIT.read_text()):
        calls = {call for word in line.lstrip("~").split() for call in flat(word)}
        allowed = allowed - calls | set(flat("@default")) if line[0] == "~" else allowed | calls
    return sorted(allowed)


class Comparison(ctypes.Structure):
    """libseccomp's struct scmp_arg_cmp."""

    _fields_ = [
        ("argument", ctypes.c_uint),
        ("how", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    ]


# Applies the filter to itself, with what MemoryDenyWriteExecute adds, and becomes the service.
CONFINE = """\
import ctypes, json, os, sys
sys.path.insert(0, {here!r})
from test_dist import Comparison
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
EPERM, ALLOW, MASKED = 0x00050000 | 1, 0x7FFF0000, 7
WRITE, EXECUTE = 2, 4
filter = ctypes.c_void_p(seccomp.seccomp_init(EPERM))
assert filter
def allow(number, *comparisons):
    array = (Comparison * len(comparisons))(*comparisons)
    assert seccomp.seccomp_rule_add_array(filter, ALLOW, number, len(comparisons), array) == 0
for name in json.loads(sys.argv[1]):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        continue
    if name == "mmap":
        for both in (0, WRITE, EXECUTE):
            allow(number, Comparison(2, MASKED, WRITE | EXECUTE, both))
    elif name in ("mprotect", "pkey_mprotect"):
        allow(number, Comparison(2, MASKED, EXECUTE, 0))
    else:
        allow(number)
assert seccomp.seccomp_load(filter) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def has_seccomp() -> bool:
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    return True


@pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed")
@pytest.mark.skipif(not has_seccomp(), reason="libseccomp is not installed")
def test_the_service_and_a_platforms_program_work_with_the_calls_that_the_unit_leaves(
    serve: Started, tmp_path: Path
) -> None:
    script = tmp_path / "confine.py"
    script.write_text(CONFINE.format(here=str(Path(__file__).parent)))
    real = os.environ.get("TEST_DYNOSCALED") or str(DIST.parents[1] / "build" / "dynoscaled")
    program = tmp_path / "confined"
    path = ":".join(sys.path)
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH='{path}' exec '{sys.executable}' '{script}' '{json.dumps(allowed_calls())}'"
        f" '{real}' \"$@\"\n"
    )
    program.chmod(0o755)
    service = serve("--tick-s", "1", "--connections", "100", program=program)
    service.program = real
    # Confined, and not only started by something that meant to.
    status = Path(f"/proc/{service.pid}/status").read_text()
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE), status

    path = add_app(service)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    command(service, "rules", "put", "shop", str(rules))
    Command(service.data).done("platform", "set", "shop", "command", "--", str(write_scale(tmp_path)))
    assert service.request("POST", path, csv([(int(time.time()), 1, "web", "")]), headers("5" * 32)).status == 200
    if "TEST_DATABASE" not in os.environ:  # PostgreSQL has pg_dump
        command(service, "backup", str(tmp_path / "copy"))
    command(service, "boost", "shop", "web", "3", "--until", "+1h")
    formation = tmp_path / "formation-web"
    wait_for(lambda: formation.exists() and formation.read_text() == "3\n", "the program is run")
    assert socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
    service.stop(seconds=PATIENCE)
