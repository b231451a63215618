"""The Debian package in new Debians: built in one that has what building takes, installed in one that
has nothing, upgraded, removed and purged. Takes root, debootstrap and a mirror."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple, Set

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import booted  # noqa: E402
import chroot  # noqa: E402

RELEASES = os.environ.get("RELEASES", "bookworm trixie").split()
INSTALL = "apt-get install -q -y --no-install-recommends"
# Whatever the mirror's last hour was like.
UPDATE = "apt-get update -q"

# Starts the service as its unit does: as its user, with the environment of its file.
SERVE = """
serve() {
    rm -f /tmp/serve.log; touch /tmp/serve.log
    ( set -a; . /etc/dynoscaled.key; . /etc/dynoscaled.env; DYNOSCALED_DATA=/var/lib/dynoscaled
      # Somebody else may have the usual port.
      DYNOSCALED_LISTEN=127.0.0.1:0; umask 077
      exec setpriv --reuid dynoscaled --regid dynoscaled --clear-groups --no-new-privs \
          /usr/bin/dynoscaled serve ) >/tmp/serve.log 2>&1 &
    service=$!
    for try in $(seq 600); do
        ! grep -q 'has started' /tmp/serve.log || return 0
        kill -0 $service || { cat /tmp/serve.log; exit 1; }
        sleep 0.1
    done
    cat /tmp/serve.log; exit 1
}
end() { kill $service; wait $service; }
"""


class Built(NamedTuple):
    release: str
    first: Path
    second: Path  # a later package of the same


def sources() -> List[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def copy_sources(to: Path) -> None:
    for name in sources():
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    # What the pages take from npm is the same everywhere.
    if (ROOT / "build" / "web").is_dir():
        shutil.copytree(ROOT / "build" / "web", to / "build" / "web", symlinks=True)
        (to / "build/web/node_modules/.installed").touch()


def done(machine: chroot.Chroot, script: str) -> str:
    run = machine.run("set -e\n" + script)
    assert run.returncode == 0, run.stdout[-6000:]
    return run.stdout


@pytest.fixture(scope="module", params=RELEASES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    if reason := chroot.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(request.param)
    groups = dict(re.findall(r'(?m)^(service|deb)="([^"]*)"', (ROOT / "tests/support/deps").read_text()))
    wanted = " ".join(f"{groups['service']} {groups['deb']}".split()).replace(" npm ", " ")
    try:
        with chroot.Chroot(request.param, folder / "build") as machine:
            copy_sources(machine.root / "source")
            done(machine, f"{UPDATE} && {INSTALL} {wanted}")
            done(machine, "cd /source && make deb DEPS=skip && make deb DEPS=skip DEB_REVISION=2")
            packages = sorted((machine.root / "source/build/packages").glob("*.deb"), key=lambda p: len(p.name))
            copies = [Path(shutil.copy(package, folder)) for package in packages]
    except OSError as error:
        pytest.skip(str(error))
    yield Built(request.param, *copies)


@pytest.fixture
def machine(built: Built, tmp_path: Path) -> Iterator[chroot.Chroot]:
    with chroot.Chroot(built.release, tmp_path / "root") as system:
        done(system, UPDATE)
        (system.root / "packages").mkdir()
        shutil.copy(built.first, system.root / "packages/first.deb")
        shutil.copy(built.second, system.root / "packages/second.deb")
        yield system


def traces(machine: chroot.Chroot) -> Set[str]:
    """What is named after the service, but for the packages themselves and logs of installing."""
    found = done(machine, "find / -xdev -name '*dynoscaled*' ! -path '/proc/*'; getent passwd dynoscaled || true")
    return set(found.split())


def test_it_installs_runs_upgrades_with_its_data_and_goes_without_a_trace(
    built: Built, machine: chroot.Chroot
) -> None:
    done(machine, f"{INSTALL} /packages/first.deb")
    assert done(machine, "stat -c '%U:%G %a' /var/lib/dynoscaled /etc/dynoscaled.env").split("\n")[:2] == [
        "dynoscaled:dynoscaled 700",
        "root:root 600",
    ]
    assert done(machine, "stat -c '%U:%G %a' /etc/dynoscaled.key").split("\n")[0] == "root:root 600"
    assert "multi-user.target.wants/dynoscaled.service" in " ".join(traces(machine))
    assert "dynoscaled 2." in done(machine, "dynoscaled --version")
    assert "CycloneDX" in done(machine, "cat /usr/share/doc/dynoscaled/dynoscaled.cdx.json")

    # As root, every command works on the service's data, and does not take it away from the service.
    done(machine, f"{SERVE}\nserve; dynoscaled user link; dynoscaled app add shop --zone UTC; end")
    done(machine, "dynoscaled app add other --zone UTC; dynoscaled backup /tmp/copy")
    done(machine, "sed -i 's/^#DYNOSCALED_PUBLIC_URL.*/DYNOSCALED_PUBLIC_URL=https:\\/\\/a.example/' /etc/dynoscaled.env")

    # As versions before had it: the key in the folder. It is taken over, and gone from there.
    done(machine, "cut -d= -f2- /etc/dynoscaled.key >/tmp/key; rm /etc/dynoscaled.key /var/lib/dynoscaled/key")
    done(machine, "install -m 600 -o dynoscaled -g dynoscaled /tmp/key /var/lib/dynoscaled/key")
    done(machine, f"{INSTALL} -o Dpkg::Options::=--force-confold /packages/second.deb")
    assert done(machine, "stat -c '%U:%G %a' /etc/dynoscaled.key").split("\n")[0] == "root:root 600"
    assert done(machine, "readlink /var/lib/dynoscaled/key").strip() == "/etc/dynoscaled.key"
    done(machine, '[ "$(cut -d= -f2- /etc/dynoscaled.key)" = "$(cat /tmp/key)" ]; rm /tmp/key')
    done(machine, "! setpriv --reuid dynoscaled --regid dynoscaled --clear-groups cat /var/lib/dynoscaled/key")
    assert "leads to a key that only root reads" in done(machine, "dynoscaled doctor || true")
    assert built.second.name.split("_")[1] in done(machine, "dpkg-query -W dynoscaled")
    listed = done(machine, f"{SERVE}\nserve; dynoscaled app list; end")
    assert "shop" in listed and "other" in listed
    assert "a.example" in done(machine, "cat /etc/dynoscaled.env")

    done(machine, "apt-get remove -q -y dynoscaled")
    assert (machine.root / "var/lib/dynoscaled/dynoscaled.db").exists()
    assert not (machine.root / "usr/bin/dynoscaled").exists()
    done(machine, f"{INSTALL} /packages/second.deb")
    assert "shop" in done(machine, "dynoscaled app list")

    done(machine, "apt-get purge -q -y dynoscaled; rm -rf /tmp/copy")
    assert not traces(machine)


def test_its_manual_page_has_every_setting(machine: chroot.Chroot) -> None:
    done(machine, f"{INSTALL} /packages/first.deb groff-base man-db")
    # Debian's own minimal systems leave manuals out; the package has it all the same.
    page = done(
        machine,
        "dpkg-deb --fsys-tarfile /packages/first.deb | tar -xO ./usr/share/man/man8/dynoscaled.8.gz |"
        " gunzip >/tmp/page.8; MANWIDTH=100 man --warnings -l /tmp/page.8 2>&1 | col -b",
    )
    for setting in re.findall(r"(?m)^  (--[a-z-]+)", done(machine, "dynoscaled serve --help")):
        assert setting in page
    assert "warning" not in page


RULES = """\
zone: UTC
processes:
  web:
    scaling: on
    rules:
      - {name: default, dynos: {min: 1, max: 5}}
"""
# Where the sandbox lets nothing be written but the service's own folder.
SCALE = """\
#!/bin/sh
case $1 in
read) cat /var/lib/dynoscaled/formation 2>/dev/null || echo 2 ;;
set) echo "$3" >/var/lib/dynoscaled/formation ;;
esac
"""


def test_its_unit_runs_in_its_sandbox_under_a_real_systemd(built: Built, machine: chroot.Chroot) -> None:
    if reason := booted.missing():
        pytest.skip(reason)
    # What it depends on, since there is no mirror afterwards.
    done(machine, f"{INSTALL} systemd dbus /packages/first.deb && apt-get purge -q -y dynoscaled")
    # From here on, packages may start what they bring.
    (machine.root / "usr/sbin/policy-rc.d").unlink()
    (machine.root / "root/rules.yaml").write_text(RULES)
    scale = machine.root / "usr/local/bin/scale"
    scale.write_text(SCALE)
    scale.chmod(0o755)
    try:
        system = booted.Booted(machine).__enter__()
    except OSError as error:
        pytest.skip(str(error))
    with contextlib.ExitStack() as stack:
        stack.push(system)

        def run(script: str) -> str:
            ran = system.run(script)
            assert ran.returncode == 0, ran.stdout[-6000:]
            return ran.stdout

        def until(script: str, what: str) -> None:
            end = time.monotonic() + 120
            while system.run(script).returncode != 0:
                status = "systemctl status -l --no-pager dynoscaled; journalctl -n 50 --no-pager"
                assert time.monotonic() < end, f"{what}: not within 120 s\n{system.run(status).stdout}"
                time.sleep(0.2)

        printed = run(f"{INSTALL} /packages/first.deb")
        assert "dynoscaled user link" in printed
        until("dynoscaled doctor --env /etc/dynoscaled.env | grep -q '^ok .*it runs, and is ready'", "it starts")
        process = int(run("systemctl show -p MainPID --value dynoscaled"))
        status = run(f"cat /proc/{process}/status")
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"):
            assert line in status
        assert run(f"stat -c %U /proc/{process}").strip() == "dynoscaled"
        # The process that hears the network was given the key, and neither has it still nor can get it.
        assert "DYNOSCALED_KEY" in run("cat /etc/dynoscaled.key")
        run(f'key=$(cut -d= -f2- /etc/dynoscaled.key); ! grep -qaF "$key" /proc/{process}/environ')
        run("! setpriv --reuid dynoscaled --regid dynoscaled --clear-groups cat /var/lib/dynoscaled/key")

        run("dynoscaled app add shop --zone UTC && dynoscaled rules put shop /root/rules.yaml")
        run("dynoscaled platform set shop command -- /usr/local/bin/scale")
        run("dynoscaled boost shop web 4 --until +1h")
        until("[ \"$(cat /var/lib/dynoscaled/formation)\" = 4 ]", "the platform's program is run")

        run(f"{INSTALL} /packages/second.deb")
        until("dynoscaled doctor | grep -q '^ok .*it runs, and is ready'", "it starts again")
        assert int(run("systemctl show -p MainPID --value dynoscaled")) != process
        assert "shop" in run("dynoscaled app list")
        run("! dynoscaled doctor | grep ^fail")

        run("systemctl disable --now dynoscaled")
        run(f"{INSTALL} --reinstall /packages/second.deb")
        assert system.run("systemctl is-enabled dynoscaled").stdout.strip() == "disabled"
        run("systemctl enable --now dynoscaled")
        run("apt-get purge -q -y dynoscaled")
        assert "could not be found" in system.run("systemctl status dynoscaled").stdout
        assert not run("getent passwd dynoscaled || true; find /var/lib /etc -name '*dynoscaled*'").split()
