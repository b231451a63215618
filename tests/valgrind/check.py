"""Runs programs under valgrind's memcheck: `check.py LIFE TEST...`.

LIFE (life.c) must leave nothing behind at all but what the .supp files name, over http and https,
with a service that fails once and is slow. The tests of the core's suite must not touch memory
wrongly, nor lose any; their forked children end with _exit and may leave what is reachable, and what
tests.supp names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOM = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOM.parent / "support"))

from certificates import make_certificates  # noqa: E402
from receiver import ReceiverProcess  # noqa: E402

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--num-callers=40"]
STRICT = ["--show-leak-kinds=all", "--errors-for-leak-kinds=all", "--gen-suppressions=all"]
LENIENT = ["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"]


def run(title: str, command: list[str], **environment: str) -> bool:
    result = subprocess.run(
        [*VALGRIND, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        text=True,
        errors="replace",
    )
    print(f"{'ok    ' if result.returncode == 0 else 'FAILED'} {title}", flush=True)
    if result.returncode != 0:
        print(result.stdout)
    return result.returncode == 0


def live(title: str, receiver: ReceiverProcess, command: list[str], **environment: str) -> bool:
    receiver.clear()
    receiver.behave("status", status=503, times=1, then={"mode": "ok", "delay": 0.3})
    well = run(
        title,
        [*STRICT, *command],
        DYNOSCALE_URL=receiver.url + "/token",
        DYNO="web.1",
        HEROKU_APP_NAME="valgrind",
        DYNOSCALE_PUBLISH_FREQUENCY="1",
        **environment,
    )
    if well and receiver.summary()["malformed"]:
        print("FAILED the receiver found reports malformed")
        return False
    return well


def main() -> int:
    life, tests = sys.argv[1], sys.argv[2:]
    names = ("libcurl.supp", "fork.supp", "tests.supp")
    curl, fork, threads = (f"--suppressions={ROOM / name}" for name in names)
    well = []
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(folder)
        with ReceiverProcess() as receiver:
            well.append(live("a life over http", receiver, [curl, life]))
            well.append(live("a life with a child", receiver, [curl, fork, life, "fork"]))
        with ReceiverProcess(tls=certificates.valid) as receiver:
            trust = {"SSL_CERT_FILE": certificates.authority}
            well.append(live("a life over https", receiver, [curl, life], **trust))
    for test in tests:
        well.append(run(Path(test).name, [*LENIENT, threads, test], FORKS="5"))
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
