"""Two processes: what hears the network has no credential, what has them hears no network; and what
becomes of each where the other is killed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any, Dict

import pytest

from conftest import Started
from dynoscaled import Command, is_there, keepers, wait_for
from platform_apis import Render
from service import PROGRAM, Service

RULES = "processes: {web: {scaling: on, rules: [{name: default, dynos: {min: 3, max: 5}}]}}\n"


def memory(pid: int) -> bytes:
    """All that a process could write to at this moment, as a core would have it."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()  # type: ignore[union-attr]
            if not rights.startswith("rw"):
                continue
            try:
                file.seek(int(begin, 16))
                while file.tell() < int(end, 16):
                    part = file.read(int(end, 16) - file.tell())
                    if not part:
                        break
                    parts.append(part)
            except OSError:
                continue  # a thread's guard, or gone meanwhile
    return b"".join(parts)


def put_platform(service: Service, app: str, api: Render, name: str) -> Dict[str, Any]:
    """As a person does in the pages: over the network, with the credential in the body."""
    token = Command(service.data).done("token", "add", "--scope", "admin").strip()
    body = {"kind": "render", "settings": {"processes": {"web": "srv-" + name}, "api": api.url}, "secret": api.token}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = service.request("PUT", f"/api/v1/apps/{app}/platform", json.dumps(body).encode(), headers)
    assert answer.status == 200, answer.text
    shown: Dict[str, Any] = json.loads(answer.text)
    return shown


def test_the_process_that_hears_the_network_holds_no_credential_and_no_key(serve: Started, tmp_path: Path) -> None:
    api = Render().start()
    api.token = "rnd_" + os.urandom(16).hex()
    api.place("shop", 1)
    key = os.urandom(32)
    secrets = {"smtp": os.urandom(16).hex(), "heroku": os.urandom(16).hex(), "key": base64.b64encode(key).decode()}
    service = serve(
        "--tick-s", "1", "--private-platforms", "--smtp", "smtp://a@127.0.0.1:1", "--mail-from", "a@example.com",
        env={"DYNOSCALED_KEY": secrets["key"], "DYNOSCALED_SMTP_PASSWORD": secrets["smtp"],
             "DYNOSCALED_HEROKU_ADDON_JSON": json.dumps({"client_secret": secrets["heroku"]})},
    )  # fmt: skip
    Command(service.data).done("app", "add", "shop-of-the-test")
    (tmp_path / "rules.yaml").write_text(RULES)
    Command(service.data).done("rules", "put", "shop-of-the-test", str(tmp_path / "rules.yaml"))
    assert put_platform(service, "shop-of-the-test", api, "shop")["result"] == "ok"
    wait_for(lambda: api.quantity("shop") == 3, "an order with this credential")
    readings = api.asked("read", "shop")
    wait_for(lambda: api.asked("read", "shop") > readings, "one more reading")

    seen = memory(service.pid)
    assert b"shop-of-the-test" in seen  # so it is read as a whole
    assert key not in seen
    for name, secret in {**secrets, "credential": api.token}.items():
        assert secret.encode() not in seen, name
    # What it was started with is of the same memory, and shown to other programs of this user.
    environment = Path(f"/proc/{service.pid}/environ").read_bytes()
    assert not [name for name, secret in secrets.items() if secret.encode() in environment]
    api.stop()


# All that a program of the service's user can get hold of: files, environments, memory, descriptors. It
# is what a process that was taken over can have run, without the filters that it has itself.
THIEF = """\
#!/usr/bin/python3
import glob, os, re, sys
if sys.argv[2:3] != ["read"]:
    sys.exit(1)
found = open(sys.argv[1] + "/found.part", "wb")
def take(path, size=-1):
    try:
        with open(path, "rb", buffering=0) as file:
            found.write(path.encode() + b": " + file.read(size) + b"\\n")
    except (OSError, ValueError):
        pass
for place, _, names in os.walk(sys.argv[1]):
    for name in names:
        if not name.startswith("found") and os.path.isfile(os.path.join(place, name)):
            take(os.path.join(place, name))
for process in glob.glob("/proc/[0-9]*"):
    try:
        if int(re.search(r"Uid:.(\\d+)", open(process + "/status").read())[1]) != os.getuid():
            continue
    except OSError:
        continue
    for name in ("environ", "cmdline", "auxv"):
        take(process + "/" + name)
    for name in glob.glob(process + "/fd/*"):
        if os.path.isfile(name):
            take(name)
    try:
        with open(process + "/mem", "rb", buffering=0) as memory:
            for line in open(process + "/maps"):
                begin, end, rights = re.match(r"(\\w+)-(\\w+) (\\S+)", line).groups()
                if not rights.startswith("rw") or process == "/proc/%d" % os.getpid():
                    continue
                try:
                    memory.seek(int(begin, 16))
                    found.write(memory.read(int(end, 16) - int(begin, 16)))
                except (OSError, ValueError):
                    pass
    except OSError:
        pass
found.close()
os.rename(found.name, sys.argv[1] + "/found")
print(1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to be two users")
@pytest.mark.parametrize("place", ["environment", "folder"])
def test_the_services_user_can_not_get_a_key_that_root_gave_it(tmp_path: Path, place: str) -> None:
    user = 12345
    key = base64.b64encode(os.urandom(32)).decode()
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and Path("/tmp") in folder.parents:
            folder.chmod(folder.stat().st_mode | 0o11)
    tmp_path.chmod(0o755)
    program, start = tmp_path / "dynoscaled", tmp_path / "start"
    shutil.copy(os.environ.get("TEST_DYNOSCALED") or PROGRAM, program)
    start.write_text(f'#!/bin/sh\nexec setpriv --reuid {user} --regid {user} --clear-groups "{program}" "$@"\n')
    thief = tmp_path / "thief"
    thief.write_text(THIEF)
    for path in (start, thief):
        path.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    file = (tmp_path if place == "environment" else data) / "key"
    file.write_text(f"DYNOSCALED_KEY={key}\n")
    file.chmod(0o600)
    if place == "environment":
        (data / "key").symlink_to(file)  # as the package does it, for commands of root's
    for path in (data, data / "key"):
        os.chown(path, user, user, follow_symlinks=False)
    env = {"DYNOSCALED_KEY": key} if place == "environment" else {}
    with Service(tmp_path, "--tick-s", "1", data=data, program=start, env=env).start() as service:
        command = Command(data, cwd=tmp_path)  # a folder that the user may enter, unlike root's
        command.done("app", "add", "shop-of-the-test")
        command.done("platform", "set", "shop-of-the-test", "command", "--", str(thief), str(data))
        wait_for((data / "found").exists, "what it found")
        found = (data / "found").read_bytes()
        assert b"shop-of-the-test" in found  # so files and memory were read
        assert f"/proc/{service.pid}/environ".encode() in found
        known = key.encode() in found or base64.b64decode(key) in found
        assert known == (place == "folder")
        service.stop()


def test_the_keepers_listen_to_nothing_and_the_service_starts_nothing(serve: Started) -> None:
    service = serve()
    first, second = keepers(service)
    for pid in (first, second):
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        assert name == "keeper"
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0  # others of the same user can't look into it
    if "SANITIZER" not in os.environ:
        status = Path(f"/proc/{service.pid}/status").read_text()
        assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE), status
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE), status


def test_a_keeper_that_is_killed_is_replaced_and_its_order_is_not_given_twice_at_once(
    serve: Started, tmp_path: Path
) -> None:
    # The first order hangs until it is let go, as that of a platform that does not answer.
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    scale = tmp_path / "scale"
    scale.write_text(
        "#!/bin/sh\ncd '" + str(tmp_path) + "'\n"
        "case $1 in\n"
        "read) cat number 2>/dev/null || echo 1 ;;\n"
        "set) echo begins >>orders; mkdir under-way || echo twice >>orders\n"
        "    [ -e opened ] || read line <gate\n"
        '    echo "$3" >number; rmdir under-way; echo ends >>orders ;;\n'
        "esac\n"
    )
    scale.chmod(0o755)
    orders = tmp_path / "orders"
    service = serve("--tick-s", "1", "--act-timeout-s", "5")
    command = Command(service.data)
    command.done("app", "add", "shop")
    (tmp_path / "rules.yaml").write_text(RULES)
    command.done("rules", "put", "shop", str(tmp_path / "rules.yaml"))
    command.done("platform", "set", "shop", "command", "--", str(scale))
    wait_for(orders.exists, "an order")
    _, second = keepers(service)
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: "another takes its place" in service.log, "its end is told")
    wait_for(lambda: "whether it was done is not known" in service.log, "its order is told")
    # What it had started goes on by itself, and is over before another order begins.
    (tmp_path / "opened").touch()
    with gate.open("w") as file:
        file.write("go\n")
    wait_for(lambda: (tmp_path / "number").exists(), "the order's end")
    assert command.json("platform", "test", "shop")["result"] == "ok"
    wait_for(lambda: command.json("platform", "show", "shop")["health"][0]["ordered"] == 3, "three dynos")
    assert "twice" not in orders.read_text()
    assert service.running


def test_without_the_keepers_the_service_ends_and_says_why(serve: Started) -> None:
    service = serve()
    first, second = keepers(service)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not service.running, "the end of the service")
    assert "the process that keeps the credentials has ended" in service.log
    wait_for(lambda: not is_there(second), "the end of the second keeper")
    service.stop(expected=(1,))
    service.start()  # on the same data, at once
    service.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_keepers_end_with_the_service(serve: Started, number: signal.Signals) -> None:
    service = serve()
    pids = keepers(service)
    service.stop(number, expected=(0, -signal.SIGKILL))
    wait_for(lambda: not any(map(is_there, pids)), "the end of both keepers")


def test_a_signal_for_the_whole_group_ends_them_in_order(serve: Started) -> None:
    service = serve()
    pids = keepers(service)
    os.killpg(service.pid, signal.SIGINT)
    wait_for(lambda: not service.running, "the end of the service")
    service.stop(expected=(0,))
    assert "another takes its place" not in service.log
    wait_for(lambda: not any(map(is_there, pids)), "the end of both keepers")


def test_a_key_that_is_none_ends_the_start_with_what_to_do(tmp_path: Path) -> None:
    service = Service(tmp_path, env={"DYNOSCALED_KEY": "not a key"})
    with pytest.raises(Exception, match="head -c 32 /dev/urandom"):
        service.start()
    service.kill()
