#!/usr/bin/env python3
"""Mounts of one's own (man unshare): for a test that changes what a program finds at a path.

    namespaces.py COMMAND...    runs it with a /proc that has its processes under their own numbers

In a container or a chroot that shares /proc with a system of other numbers, that is the only way
for a test to look at the processes it started. Where there is none, COMMAND runs as it is.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from typing import List, Optional


class NoMounts(Exception):
    """There are no mounts of one's own here; says why."""


@functools.lru_cache(maxsize=None)
def own_mounts() -> List[str]:
    """The words before a command that give it mounts of its own. NoMounts where that can't be."""
    if os.geteuid() != 0:
        raise NoMounts("mounts of one's own take root")
    # The root of a chroot is not mounted itself, so that nobody can make it private; but mostly
    # what it lies on is.
    unchanged = ["unshare", "--mount", "--propagation", "unchanged"]
    for words in (["unshare", "--mount"], unchanged):
        with tempfile.TemporaryDirectory() as there:
            command = [*words, "mount", "-t", "tmpfs", "none", there]
            try:
                trial = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
            except FileNotFoundError:
                raise NoMounts("no unshare; on Debian: apt-get install util-linux") from None
            reason = trial.stderr.strip()
            if os.path.ismount(there):
                subprocess.run(["umount", there], check=True)
                reason = "what is mounted here is seen by the whole system"
            elif trial.returncode == 0:
                return words
    raise NoMounts(reason)


def own_pids() -> List[str]:
    """The words before a command that make it the first process of a namespace of its own, with a
    /proc of that. NoMounts where that can't be."""
    return [*own_mounts(), "--pid", "--fork", "--kill-child", "--mount-proc"]


def why_no_pids() -> Optional[str]:
    """Why own_pids() can't be; None: it can."""
    try:
        own_pids()
    except NoMounts as reason:
        return f"no PID namespace of one's own here: {reason}"
    return None


def proc_has_our_numbers() -> bool:
    """Whether /proc has processes under the numbers that they have here."""
    return os.readlink("/proc/self") == str(os.getpid())


def main(command: List[str]) -> None:
    if sys.platform.startswith("linux") and not proc_has_our_numbers():
        try:
            command = [*own_mounts(), "sh", "-c", 'mount -t proc proc /proc; exec "$@"', "sh", *command]
        except NoMounts as reason:
            print(f"/proc has other processes' numbers, and stays so: {reason}", flush=True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
