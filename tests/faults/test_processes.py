"""Processes that fork, run out of something, or end in unusual ways: each sends its own samples,
once. What the suites of one language (tests/ruby, tests/python) show is not shown again here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest
from namespaces import NoMounts, own_mounts
from program import LANGUAGES, Program, reporting_to
from receiver import ReceiverProcess

MANY_FORKS = 10_000
HOUR = 3600

both = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture
def receiver() -> Iterator[ReceiverProcess]:
    with ReceiverProcess() as receiver:
        yield receiver


def check(receiver: ReceiverProcess, rows: int) -> None:
    summary = receiver.summary()
    assert (summary["rows"], summary["repeated"], summary["malformed"]) == (rows, 0, 0)


# ---- Fork ------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("forks", [150, pytest.param(MANY_FORKS, marks=pytest.mark.slow)])
def test_forks_while_threads_record_and_send(
    language: str, forks: int, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    """Children that record, that do not, that fork again, that exec: each sends what is its own."""
    settings = reporting_to(receiver.url)
    program = Program(language, "forks", tmp_path, settings, [str(forks)])
    check(receiver, int(program.run(seconds=60 + forks / 5)))


DAEMON = {
    "ruby": """
        record(2); flush
        Process.daemon; record(3)
    """,
    # As PEP 3143 has it: two forks, a session, all files closed.
    "python": """
record(2); flush()
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.closerange(0, 256)
record(3)
    """,
}


@both
def test_a_daemon_reports(language: str, receiver: ReceiverProcess, tmp_path: Path) -> None:
    Program(language, DAEMON[language], tmp_path, reporting_to(receiver.url)).run()
    receiver.wait(rows=5)
    check(receiver, 5)


# ---- The end ---------------------------------------------------------------------------------


@both
def test_an_exit_during_a_report_waits_for_its_answer(
    language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    receiver.behave("ok", delay=1, times=1)
    code = "record(5); say(); record(2)"
    with Program(language, code, tmp_path, reporting_to(receiver.url)) as program:
        program.hear()
        assert receiver.wait(reports=1)["reached"]
        program.go_on()
        program.end()
    check(receiver, 7)


EXITS_OF_C = {
    "exit": {"ruby": "record(3); exit_of_c", "python": "record(3); exit_of_c()"},
    # The thread that is interrupted may be anywhere, for instance in malloc.
    "exit in a signal's handler": {
        "ruby": """
            handler = Fiddle.dlopen(nil)['exit']
            signal = Fiddle::Function.new(Fiddle.dlopen(nil)['signal'],
                                          [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP],
                                          Fiddle::TYPE_VOIDP)
            record(3)
            signal.call(10, handler)
            Process.kill(10, $$)
            loop { 'x' * rand(10_000) }
        """,
        "python": """
libc = ctypes.CDLL(None)
record(3)
libc.signal(10, ctypes.cast(libc.exit, ctypes.c_void_p))
import threading
threading.Timer(0.2, os.kill, (os.getpid(), 10)).start()
while True: bytearray(os.urandom(1)[0] * 1000)
        """,
    },
}


@both
@pytest.mark.parametrize("end", EXITS_OF_C)
def test_c_s_own_exit_sends_what_was_recorded(
    end: str, language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    """It leaves the interpreter's hooks out; uWSGI ends its busy workers so."""
    settings = reporting_to(receiver.url)
    with Program(language, EXITS_OF_C[end][language], tmp_path, settings) as program:
        program.end(status=0 if end == "exit" else 10)
    check(receiver, 3)


@both
def test_c_s_own_exit_is_not_held_up_by_a_service_that_hangs(
    language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    receiver.behave("stall")
    code = EXITS_OF_C["exit"][language]
    Program(language, code, tmp_path, reporting_to(receiver.url)).run()
    assert receiver.summary()["accepted"] == 0


SHORT_THREADS = {
    "ruby": "40.times { Array.new(50) { Thread.new { record } }.each(&:join) }",
    "python": """
import threading
for _ in range(40):
    threads = [threading.Thread(target=record) for _ in range(50)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    """,
}


@both
def test_thousands_of_short_lived_threads(
    language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    Program(language, SHORT_THREADS[language], tmp_path, reporting_to(receiver.url)).run()
    check(receiver, 2000)


# ---- Running out -----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("library", ["loaded", "not loaded yet"])
def test_a_process_without_a_file_to_open_reports_when_it_has_one(
    library: str, language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    program = Program(language, "files", tmp_path, reporting_to(receiver.url), [library])
    check(receiver, int(program.run()))


CLOSED = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
NOISE = """
import threading
done = threading.Event()

def write_to_standard_files():
    while not done.wait(0.001):
        for number in range(3):
            try:
                os.write(number, b"noise")
            except OSError:
                pass

threading.Thread(target=write_to_standard_files).start()
for _ in range(4):
    record(3)
    flush()
done.set()
"""


def test_what_an_app_with_closed_standard_files_writes_there_goes_into_no_report(
    receiver: ReceiverProcess, tmp_path: Path
) -> None:
    """Python leaves them closed, and so the next file or socket gets such a number."""
    receiver.behave("ok", delay=0.2)  # meanwhile the program goes on writing
    Program("python", NOISE, tmp_path, reporting_to(receiver.url), wrapper=CLOSED).run()
    check(receiver, 12)


BOUND_KB = 11 * 1024
LIBRARIES_KB = 10 * 1024


@both
def test_memory_is_bounded_when_nothing_can_be_sent(
    language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    receiver.behave("stall")
    program = Program(language, "flood", tmp_path, reporting_to(receiver.url))
    found = json.loads(program.run().splitlines()[0])
    stats = found["stats"]
    assert stats["dropped_full"] > 0
    assert stats["recorded"] == stats["pending"] + stats["dropped_full"] == 80 * 16_000
    assert stats["pending"] >= 1_000_000
    assert found["grown_kb"] <= BOUND_KB + LIBRARIES_KB


@both
def test_nothing_is_written_to_any_file(
    language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    """The kernel kills a process that writes to a file when it may not, as on a full disk it
    would be refused. Here are the folders that one may think of."""
    folders = [tmp_path / name for name in ("work", "home", "temporary")]
    for folder in folders:
        folder.mkdir()
    work, home, temporary = map(str, folders)
    settings = {"HOME": home, "TMPDIR": temporary, "XDG_CACHE_HOME": home}
    limit = ["sh", "-c", 'cd "$1"; shift; ulimit -f 0; exec "$@"', "sh", work]
    code = "record(3); flush(); record(2)"
    program = Program(
        language, code, tmp_path, reporting_to(receiver.url, **settings), wrapper=limit
    )
    program.run()
    check(receiver, 5)
    assert [list(folder.iterdir()) for folder in folders] == [[], [], []]


FULL = """\
mount -t tmpfs -o size=4k full "$1" && (cat /dev/zero >"$1/filler" 2>/dev/null; true) &&
cd "$1" && shift && exec "$@"
"""


@both
def test_a_full_disk_changes_nothing(
    language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    try:
        mounts = own_mounts()
    except NoMounts as reason:
        pytest.skip(f"no file system of its own: {reason}")
    full = tmp_path / "full"
    full.mkdir()
    settings = reporting_to(receiver.url, HOME=str(full), TMPDIR=str(full))
    wrapper = [*mounts, "sh", "-c", FULL, "sh", str(full)]
    Program(language, "record(3); flush(); record(2)", tmp_path, settings, wrapper=wrapper).run()
    check(receiver, 5)


# ---- Time ------------------------------------------------------------------------------------


def faketime() -> str:
    """The library that shifts a process's clock; "" where there is none."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else ""


@both
@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_the_wall_clock_may_step(
    step: int, language: str, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    if not faketime():
        pytest.skip("no libfaketime; on Debian: apt-get install libfaketime")
    shift = tmp_path / "shift"
    shift.write_text("+0\n")
    settings = reporting_to(
        receiver.url,
        LD_PRELOAD=faketime(),
        FAKETIME_TIMESTAMP_FILE=str(shift),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    code = "record(5); say('before'); record(5); say('after'); record(5)"
    began = time.monotonic()
    with Program(language, code, tmp_path, settings) as program:
        assert program.hear() == "before"
        assert receiver.wait(rows=5)["reached"]
        shift.write_text(f"{step:+d}\n")
        program.go_on()
        assert program.hear() == "after"
        # By itself, when it is due: neither an hour late nor without the second between two reports.
        assert receiver.wait(rows=10)["reached"]
        assert receiver.summary()["reports"] <= time.monotonic() - began + 2
        program.go_on()
        program.end()
    check(receiver, 15)
    rows = receiver.rows()
    assert all(row["metric"] < 20_000 for row in rows)
    steps = [row["timestamp"] - time.time() for row in rows]
    assert all(abs(seconds) < HOUR / 2 for seconds in steps[:5])
    assert all(abs(seconds - step) < HOUR / 2 for seconds in steps[5:])


# ---- Interpreters ----------------------------------------------------------------------------


def test_a_free_threaded_python(receiver: ReceiverProcess, tmp_path: Path) -> None:
    python = shutil.which("python3.14t") or shutil.which("python3.13t")
    if python is None:
        pytest.skip("no free-threaded Python (python3.13t, python3.14t) on the PATH")
    root = Path(__file__).resolve().parents[2]
    build = [python, "setup.py", "--quiet", "build", "--build-base", str(tmp_path / "build")]
    build += ["--build-lib", str(tmp_path / "lib")]
    subprocess.run(build, cwd=root, check=True)
    code = f"""
import threading
sys.path.insert(0, {str(tmp_path / "lib")!r})
from prelude import *
assert not sys._is_gil_enabled()
threads = [threading.Thread(target=record, args=[5000]) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    settings = {**os.environ, **reporting_to(receiver.url)}
    settings["PYTHONPATH"] = str(Path(__file__).resolve().parent / "programs")
    subprocess.run([python, "-c", code], env=settings, check=True, timeout=120)
    check(receiver, 20_000)
