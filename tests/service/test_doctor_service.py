"""`dynoscaled doctor`: each thing that can be wrong is told, with what to do, and nothing is changed."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from certificates import make_certificates
from conftest import Started, use_database, with_files
from dynoscaled import RULES, Command, report, wait_for, write_scale
from fronts import ShippedNginx
from postgresql import Cluster, programs
from processes import find_nginx
from service import PATIENCE, PROGRAM, Service

# What a sanitizer puts before the C library must come first.
not_sanitized = pytest.mark.skipif("TEST_DYNOSCALED" in os.environ, reason="a built program may not be preloaded into")
with_root = pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to be somebody else")


class Said:
    """What doctor said, by the thing that it looked at."""

    def __init__(self, code: int, answer: Dict[str, object]) -> None:
        self.code = code
        self.result = answer["result"]
        checks: List[Dict[str, str]] = answer["checks"]  # type: ignore[assignment]
        self.checks = [(one["check"], one["state"], one["words"]) for one in checks]

    def of(self, what: str) -> List[Tuple[str, str]]:
        return [(state, words) for check, state, words in self.checks if check == what]

    def one(self, what: str) -> Tuple[str, str]:
        (found,) = self.of(what)
        return found


def doctor(command: Command, *arguments: str, env: Optional[Dict[str, str]] = None) -> Said:
    run = command("doctor", "--json", *arguments, env=env)
    assert run.stdout, run.stderr
    assert not run.stderr
    return Said(run.returncode, json.loads(run.stdout))


def files(data: Path) -> Dict[str, Tuple[int, int]]:
    return {
        path.name: (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode))
        for path in data.iterdir()
        if not path.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Command]:
    """Data that a service has made, with an app; none runs."""
    service = Service(tmp_path)
    use_database(service.data)
    with service.start():
        service.stop()
    command = Command(service.data, tmp_path)
    command.done("app", "add", "shop")
    yield command


def test_a_service_that_works_gets_no_fail_and_exit_code_0(serve: Started, tmp_path: Path) -> None:
    service = serve("--tick-s", "1")
    command = Command(service.data, tmp_path)
    url = re.findall(r"DYNOSCALE_URL=(\S+)", command.done("app", "add", "shop"))[0]
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    command.done("rules", "put", "shop", str(rules))
    command.done("platform", "set", "shop", "command", "--", str(write_scale(tmp_path)))
    assert report(service, url, [(int(time.time()), 5, "web")]).status == 200

    wait_for(lambda: service.get("/readyz").status == 200, "the service is ready")
    said = doctor(command)
    assert said.code == 0, said.checks
    for what in ("folder", "data", "key", "service", "public address"):
        assert said.one(what)[0] == "ok", said.checks
    newest, platform = said.of("app shop")
    assert newest[0] == "ok" and "newest report is" in newest[1]
    assert platform[0] == "ok" and "command" in platform[1]

    text = command("doctor")
    assert text.returncode == 0
    assert re.search(r"^ok    data +the data in ", text.stdout, re.MULTILINE)


def test_without_a_service_it_says_what_it_could_not_try(stopped: Command) -> None:
    said = doctor(stopped)
    assert said.code == 0 and said.result == "warn"
    assert said.one("service") == ("warn", f"none runs on {stopped.data}: systemctl start dynoscaled")
    assert "not tried" in said.one("public address")[1]
    never, nothing = said.of("app shop")
    assert "no report has come yet" in never[1] and "platform set shop" in nothing[1]


def test_a_folder_that_is_not_there_is_a_fail_and_is_not_made(tmp_path: Path) -> None:
    said = doctor(Command(tmp_path / "none"))
    assert said.code == 1 and said.one("folder")[0] == "fail"
    assert not (tmp_path / "none").exists()


def test_what_others_may_read_is_told(stopped: Command) -> None:
    assert stopped.data
    stopped.data.chmod(0o755)
    assert said_of(stopped, "folder") == ("warn", f"others may look into {stopped.data}: chmod 700 {stopped.data}")
    (stopped.data / "key").chmod(0o644)
    state, words = said_of(stopped, "key")
    assert state == "fail" and "chmod 600" in words


def said_of(command: Command, what: str) -> Tuple[str, str]:
    return doctor(command).one(what)


@with_root
def test_a_file_of_another_user_is_told_and_root_looks_as_the_folders_owner(stopped: Command) -> None:
    assert stopped.data
    parent = stopped.data
    while parent != Path("/tmp") and parent != parent.parent:
        parent.chmod(parent.stat().st_mode | 0o11)
        parent = parent.parent
    stopped.data.chmod(0o700)
    for path in [stopped.data, *stopped.data.iterdir()]:
        os.chown(path, 12345, 12345)
    assert said_of(stopped, "folder")[0] == "ok"
    assert all(owner == 12345 for owner, _ in files(stopped.data).values())

    os.chown(stopped.data / "key", 0, 0)
    state, words = said_of(stopped, "folder")
    assert state == "fail" and f"chown -R 12345:12345 {stopped.data}" in words
    assert said_of(stopped, "key")[0] == "fail"


def test_a_key_that_is_missing_is_told_and_not_made(stopped: Command) -> None:
    assert stopped.data
    (stopped.data / "key").unlink()
    state, words = said_of(stopped, "key")
    assert state == "warn" and "DYNOSCALED_KEY" in words
    assert not (stopped.data / "key").exists()
    key = base64.b64encode(b"k" * 32).decode()
    file = stopped.data.parent / "env"
    file.write_text(f"# secrets\nDYNOSCALED_KEY='{key}'\n")
    # Of data that was sealed with the other key only a shared store knows it.
    state, words = doctor(stopped, "--env", str(file)).one("key")
    assert "DYNOSCALED_KEY" in words and (state == "ok" or "TEST_DATABASE" in os.environ)
    assert key not in words


@with_files
def test_damaged_data_is_a_fail(stopped: Command) -> None:
    assert stopped.data
    file = stopped.data / "dynoscaled.db"
    content = bytearray(file.read_bytes())
    for at in range(4096 * 3, len(content), 4096):
        content[at : at + 64] = b"\xa5" * 64
    file.write_bytes(content)
    said = doctor(stopped)
    assert said.code == 1
    state, words = said.one("data")
    assert state == "fail" and "damaged" in words and "backup" in words


@with_files
def test_data_of_another_version_is_told_and_stays_as_it_is(stopped: Command) -> None:
    assert stopped.data

    def run(sql: str) -> int:
        connection = sqlite3.connect(stopped.data / "dynoscaled.db")  # type: ignore[operator]
        with connection:
            done: int = connection.execute(sql).rowcount
        connection.close()
        return done

    run("INSERT INTO schema_step (number, name) VALUES (9999, '9999_later')")
    state, words = said_of(stopped, "data")
    assert state == "fail" and "newer version" in words
    assert run("DELETE FROM schema_step WHERE number = 9999") == 1
    assert run("DELETE FROM schema_step WHERE number = (SELECT max(number) FROM schema_step)") == 1
    state, words = said_of(stopped, "data")
    assert state == "warn" and "steps behind: 1" in words
    assert "steps behind: 1" in said_of(stopped, "data")[1]


def test_a_platform_that_refuses_is_a_fail_of_its_app(serve: Started, tmp_path: Path) -> None:
    service = serve()
    command = Command(service.data, tmp_path)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    scale = write_scale(tmp_path)
    for app in ("shop", "blog"):
        command.done("app", "add", app)
        command.done("rules", "put", app, str(rules))
    command.done("platform", "set", "shop", "command", "--", str(scale))
    scale.write_text("#!/bin/sh\necho the credential has expired >&2\nexit 1\n")
    said = doctor(command)
    assert said.code == 1
    found = next(words for state, words in said.of("app shop") if state == "fail")
    assert "the credential has expired" in found and "platform set shop" in found
    assert all(state == "warn" for state, _ in said.of("app blog"))


def test_an_address_that_does_not_lead_here_is_a_fail(serve: Started, tmp_path: Path) -> None:
    service = serve()
    other = {"DYNOSCALED_PUBLIC_URL": "http://127.0.0.1:1"}
    state, words = doctor(Command(service.data), env=other).one("public address")
    assert state == "fail" and "not reached" in words and "--public-url" in words


@pytest.mark.skipif(not find_nginx(), reason="nginx is not installed")
def test_the_public_addresss_certificate_is_looked_at(serve: Started, tmp_path: Path) -> None:
    service = serve()
    certificates = make_certificates(tmp_path)
    for pair, expected, part in (
        (certificates.valid, "ok", "by TLS; its certificate ends in"),
        (signed_until(tmp_path, time.time() + 3.5 * 86400), "warn", "its certificate ends in 3 days"),
        (certificates.expired, "fail", "expired"),
        (certificates.wrong_host, "fail", "name"),
    ):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        chosen = dataclasses.replace(certificates, valid=pair)
        with ShippedNginx(folder, service.port, chosen).start() as front:
            env = {
                "DYNOSCALED_PUBLIC_URL": f"https://127.0.0.1:{front.port}",
                "SSL_CERT_FILE": str(certificates.authority),
            }
            state, words = doctor(Command(service.data), env=env).one("public address")
            assert state == expected and part in words, words


def signed_until(folder: Path, end: float) -> Tuple[str, str]:
    """A certificate for loopback by the authority of the same folder."""
    name = "ends_soon"
    certificate, key, request = (str(folder / f"{name}.{kind}") for kind in ("pem", "key", "csr"))
    moment = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end))
    for arguments in (
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
         "-keyout", key, "-out", request, "-addext", "subjectAltName=IP:127.0.0.1"],
        ["ca", "-batch", "-notext", "-config", str(folder / "ca.cnf"), "-cert", str(folder / "authority.pem"),
         "-keyfile", str(folder / "authority.key"), "-in", request, "-out", certificate,
         "-startdate", "20200101000000Z", "-enddate", moment],
    ):  # fmt: skip
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=PATIENCE)
    return certificate, key


def test_the_last_backup_and_a_files_age_count(stopped: Command, tmp_path: Path) -> None:
    assert said_of(stopped, "backup")[0] == "warn"
    copy = tmp_path / "copy"
    if "TEST_DATABASE" in os.environ:
        copy.write_text("a dump")
    else:
        stopped.done("backup", str(copy))
        assert said_of(stopped, "backup")[0] == "ok"
    assert doctor(stopped, "--backup", str(copy)).one("backup")[0] == "ok"
    os.utime(copy, (time.time() - 9 * 86400,) * 2)
    state, words = doctor(stopped, "--backup", str(copy)).one("backup")
    assert state == "warn" and "9 days" in words
    for wrong in ("missing", "empty"):
        if wrong == "empty":
            (tmp_path / wrong).touch()
        said = doctor(stopped, "--backup", str(tmp_path / wrong))
        assert said.code == 1 and said.one("backup")[0] == "fail"


@with_files
def test_a_backup_that_is_damaged_is_a_fail(stopped: Command, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    stopped.done("backup", str(copy))
    shutil.copy(copy, tmp_path / "cut")
    os.truncate(tmp_path / "cut", 8192)
    said = doctor(stopped, "--backup", str(tmp_path / "cut"))
    assert said.code == 1 and "damaged" in said.one("backup")[1]


@with_files
def test_an_app_that_went_silent_is_told_with_how_long(serve: Started, tmp_path: Path) -> None:
    service = serve()
    command = Command(service.data, tmp_path)
    url = re.findall(r"DYNOSCALE_URL=(\S+)", command.done("app", "add", "shop"))[0]
    assert report(service, url, [(int(time.time()), 5, "web")]).status == 200
    service.stop()
    connection = sqlite3.connect(service.data / "dynoscaled.db")
    with connection:
        connection.execute("UPDATE report SET at_s = at_s - 3 * 3600")
        connection.execute("UPDATE part SET start_s = start_s - 3 * 3600")
    connection.close()
    state, words = doctor(command).of("app shop")[0]
    assert state == "warn" and re.search(r"newest report is (2|3) h old|newest report is 18\d min old", words)


@with_root
@with_files
def test_a_disk_without_room_is_a_fail(stopped: Command, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    script = 'mount -t tmpfs -o size=50m,mode=700 none "$0" && cp -p "$1"/* "$0" && shift && exec "$@"'
    program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(small), str(stopped.data),
         program, "doctor", "--json", "--data", str(small)],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    if not run.stdout:
        pytest.skip(f"nothing can be mounted here: {run.stderr.strip()}")
    state, words = Said(run.returncode, json.loads(run.stdout)).one("disk")
    assert run.returncode == 1 and state == "fail" and "make room" in words


DISK = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
int statvfs(const char *path, struct statvfs *disk) {
    int (*real)(const char *, struct statvfs *) = (int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs");
    int result = real(path, disk);
    disk->f_frsize = 1 << 20;
    disk->f_bavail = strtoull(getenv("FALSE_MB"), NULL, 10);
    disk->f_files = 1000;
    disk->f_favail = strtoull(getenv("FALSE_FILES"), NULL, 10);
    return result;
}
int adjtimex(struct timex *clock) {
    clock->status = getenv("FALSE_UNSYNC") ? STA_UNSYNC : 0;
    return clock->status ? TIME_ERROR : TIME_OK;
}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Dict[str, str]]:
    """machine(mb=, files=, unsync=): the environment of a doctor who finds so much room on the disk, and
    such a clock."""
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler")
    library = tmp_path / "machine.so"
    (tmp_path / "machine.c").write_text(DISK)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, tmp_path / "machine.c", "-ldl"], check=True, timeout=PATIENCE
    )

    def environment(mb: int = 50000, files: int = 900, unsync: bool = False) -> Dict[str, str]:
        false = {"FALSE_MB": str(mb), "FALSE_FILES": str(files), **({"FALSE_UNSYNC": "1"} if unsync else {})}
        return {"LD_PRELOAD": str(library), **false}

    return environment


@not_sanitized
def test_the_disk_is_well_low_full_or_out_of_files(stopped: Command, machine: Callable[..., Dict[str, str]]) -> None:
    for env, expected, part in (
        (machine(mb=50000), "ok", "50000 MB are free"),
        (machine(mb=500), "warn", "make room"),
        (machine(mb=50), "fail", "make room"),
        (machine(files=0), "fail", "remove some there"),
    ):
        state, words = doctor(stopped, env=env).one("disk")
        assert state == expected and part in words, words


@not_sanitized
def test_a_clock_that_nothing_keeps_in_time_is_told(stopped: Command, machine: Callable[..., Dict[str, str]]) -> None:
    state, words = doctor(stopped, env=machine()).one("clock")
    assert state == "ok" and "kept in time" in words
    state, words = doctor(stopped, env=machine(unsync=True)).one("clock")
    assert state == "warn" and "install chrony" in words


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed (apt-get install postgresql)")
def test_a_database_is_looked_at_with_its_clock(
    serve: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_DATABASE", raising=False)
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    with Cluster(tmp_path, durable=False) as cluster:
        cluster.start()
        env = {"DYNOSCALED_DATABASE": cluster.database()}
        service = serve("--tick-s", "1", env=env)
        command = Command(service.data)
        said = doctor(command, env=env)
        assert said.one("data") == ("ok", "the data in PostgreSQL is reached, its schema this version's")
        assert "agrees with the database's" in said.one("clock")[1] or said.one("clock")[0] == "warn"
        if libraries:
            ahead = {"LD_PRELOAD": str(libraries[0]), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            state, words = doctor(command, env={**env, **ahead}).one("clock")
            assert state == "warn" and "behind this machine's" in words and "by NTP" in words
        wrong = {"DYNOSCALED_DATABASE": cluster.url("none")}
        state, words = doctor(command, env=wrong).one("data")
        assert state == "fail" and 'database "none" does not exist' in words and "what the URL says" in words
        cluster.kill()
        state, words = doctor(command, env=env).one("data")
        assert state == "fail" and "see that it runs" in words
