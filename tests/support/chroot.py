"""Debian releases in folders, each as new as debootstrap makes it: for what a machine lacks, and
for what other releases have. Needs root, debootstrap and a mirror.

    with Chroot("trixie", Path("build/trixie")) as machine:
        machine.run("apt-get install -y make", timeout=600)

What runs in one has a namespace of its own for processes and mounts: when the command ends, nothing
of it is left, and there is nothing to unmount.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, List, Optional, Union

MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")
# Kept, so that a release is fetched once; remove it to have a newer one.
BASES = Path(__file__).resolve().parents[2] / "build" / "chroots"
INCLUDED = "ca-certificates"
MIRROR_SETTINGS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-")

# A mount itself, so that what runs in there can have namespaces of its own again.
ENTER = """
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" env -i HOME=/root LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$1"
"""


def missing() -> Optional[str]:
    """Why there can be none here, None where there can."""
    if os.geteuid() != 0:
        return "a chroot takes root"
    for program in ("debootstrap", "unshare"):
        if shutil.which(program) is None:
            return f"there is no {program}; on Debian: apt-get install debootstrap util-linux"
    return None


class Chroot:
    def __init__(self, release: str, root: Path) -> None:
        self.release = release
        self.root = root.resolve()

    def __enter__(self) -> Chroot:
        base = BASES / f"{self.release}.tar"
        if not base.exists():
            make_base(self.release, base)
        self.remove()
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-C", str(self.root), "-xf", str(base)], check=True)
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(file, f"{self.root}{file}")
        # How this machine reaches its mirrors, and whose certificates it takes.
        for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
            (self.root / certificate.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy(certificate, f"{self.root}{certificate}")
        dump = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True).stdout
        kept = [line for line in dump.splitlines() if line.startswith(MIRROR_SETTINGS)]
        (self.root / "etc/apt/apt.conf.d/99host").write_text("\n".join([*kept, ""]))
        # No service comes up by itself.
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        self.run("update-ca-certificates")
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        if self.root.exists():
            subprocess.run(["rm", "-rf", "--one-file-system", str(self.root)], check=True)

    def command(self, script: str) -> List[str]:
        """The command, for here, that runs the script in there."""
        namespaces = ["--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child"]
        return ["unshare", *namespaces, "sh", "-ec", ENTER, str(self.root), script]

    def run(
        self, script: str, log: Union[int, IO[str]] = subprocess.PIPE, timeout: float = 3600
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(script),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )


def make_base(release: str, base: Path) -> None:
    unfinished, log = base.with_suffix(".new"), base.with_suffix(".log")
    base.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    with open(log, "w", encoding="utf-8") as out:
        command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", release]
        done = subprocess.run([*command, str(unfinished), MIRROR], stdout=out, stderr=out)
    if done.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
        raise OSError(f"debootstrap {release}: {' / '.join(lines)}")
    tar = base.with_suffix(".tar.new")
    packages = "--exclude=./var/cache/apt/archives/*.deb"
    subprocess.run(["tar", "-C", str(unfinished), packages, "-cf", str(tar), "."], check=True)
    tar.rename(base)
    subprocess.run(["rm", "-rf", "--one-file-system", str(unfinished)], check=True)
