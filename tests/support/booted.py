"""A Debian of chroot.py with its own systemd running in it, in namespaces: for what only a service
manager can show. Takes root, and Linux with cgroups of version 2.

    with Booted(machine) as system:
        system.run("systemctl start something")

It has a network of its own with nothing but loopback. When it ends, every process of it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Optional

from chroot import Chroot

PATIENCE = 300.0

# In a mount namespace: joins a cgroup of its own, which systemd then takes for the root of all.
JOIN = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$1/mnt"
mkdir -p "$1/mnt/$2"
echo $$ >"$1/mnt/$2/cgroup.procs"
umount "$1/mnt"
exec unshare --mount --pid --fork --cgroup --uts --ipc --net --kill-child sh -ec "$3" boot "$1"
"""
# A user namespace, which PrivateUsers= takes, can't be made in a chroot: so the root is exchanged.
BOOT = """
mount --make-rprivate /
ip link set lo up
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm run/before
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
pivot_root . run/before
cd /
umount -l run/before
exec env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
    --unit=multi-user.target --log-target=console
"""
REMOVE = """
mount -t cgroup2 cgroup2 "$1/mnt"
# Until the last process in it has ended.
for try in $(seq 300); do
    find "$1/mnt/$2" -depth -type d -exec rmdir {} + && exit
    sleep 0.1
done
"""


class Booted:
    def __init__(self, machine: Chroot) -> None:
        self.machine = machine
        self.group = f"tests-{os.getpid()}-{time.monotonic_ns()}"
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._first = 0

    def __enter__(self) -> Booted:
        log_path = self.machine.root.parent / "boot.log"
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-ec", JOIN, "join", str(self.machine.root), self.group, BOOT],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not self._has_booted():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > end:
                why = log_path.read_text(encoding="utf-8", errors="replace").strip()
                self.__exit__()
                raise OSError(f"systemd does not boot here: {why[-500:] or 'it takes too long'}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        # Its first process ends, and with it all of them.
        self._process.kill()
        self._process.wait()
        subprocess.run(
            ["unshare", "--mount", "sh", "-ec", REMOVE, "remove", str(self.machine.root), self.group],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _has_booted(self) -> bool:
        self._first = self._first or self._find_first()
        if not self._first:
            return False
        return self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def _find_first(self) -> int:
        """systemd's process id out here; 0 while it has not started."""
        assert self._process is not None
        process = self._process.pid
        children = Path(f"/proc/{process}/task/{process}/children")
        for child in children.read_text().split() if children.exists() else []:
            name = Path(f"/proc/{child}/comm")
            if name.exists() and name.read_text().strip() == "systemd":
                return int(child)
        return 0

    def run(self, script: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        environment = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
                       "SYSTEMD_PAGER=", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]  # fmt: skip
        return subprocess.run(
            ["nsenter", "-t", str(self._first), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup",
             *environment, "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=timeout, check=False,
        )  # fmt: skip


def missing() -> Optional[str]:
    """Why there can be none here, None where there can."""
    if shutil.which("nsenter") is None:
        return "there is no nsenter; on Debian: apt-get install util-linux"
    if "cgroup2" not in Path("/proc/filesystems").read_text():
        return "this system has no cgroups of version 2"
    return None
