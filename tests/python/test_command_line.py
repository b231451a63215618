"""`python -m dynoscale`, with every kind of fault."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator, Optional

import agent_tools
import pytest
from certificates import Certificates, make_certificates
from receiver import ReceiverProcess

import dynoscale
from dynoscale import _native

SECRET = "s3cret-token"
PASSWORD = "s3cret-password"
CHECKS = ["version", "settings", "reporting", "name", "connection", "tls", "service", "clock"]
CERTIFICATES = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
COLOUR = "\33["


def environment(url: Optional[str], **variables: str) -> dict[str, str]:
    given = agent_tools.child_environment(DYNO="web.1", **variables)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", *CERTIFICATES):
        if name not in variables:
            given.pop(name, None)
            given.pop(name.upper(), None)
    given.pop("PYTHONUNBUFFERED", None)
    if url is not None:
        given["DYNOSCALE_URL"] = f"{url}/{SECRET}"
    return given


def run(
    *arguments: str, env: dict[str, str], timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "dynoscale", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )
    for secret in (SECRET, PASSWORD):
        assert secret not in done.stdout + done.stderr
    assert COLOUR not in done.stdout + done.stderr
    return done


def examine(env: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The findings, by check; of several the last one."""
    done = run("doctor", "--json", *arguments, env=env)
    assert done.stderr == ""
    result = json.loads(done.stdout)
    check_schema(result)
    assert done.returncode == (0 if result["well"] else 1)
    return {finding["check"]: finding for finding in result["findings"]}


def check_schema(result: dict[str, Any]) -> None:
    assert list(result) == ["language", "version", "well", "verdict", "findings"]
    assert (result["language"], result["version"]) == ("python", dynoscale.__version__)
    order = [finding["check"] for finding in result["findings"]]
    assert list(dict.fromkeys(order)) == [*CHECKS, "stamp"]
    troubles = 0
    for finding in result["findings"]:
        assert list(finding)[:4] == ["check", "health", "text", "remedy"]
        assert set(list(finding)[4:]) <= {"ms", "status", "offset_ms", "queue_time_ms"}
        assert finding["health"] in ("ok", "warn", "fail", "skip") and finding["text"]
        trouble = finding["health"] in ("warn", "fail")
        assert (finding["remedy"] is not None) == trouble
        troubles += trouble
    assert result["well"] == (troubles == 0)
    assert result["verdict"] == (
        "All is well." if troubles == 0 else f"{troubles} thing{'s' * (troubles > 1)} to mend."
    )


def expect(findings: dict[str, Any], check: str, health: str, text: str) -> None:
    """This check is the first that fails, and those after it are not made."""
    assert findings[check]["health"] == health, findings
    assert text in findings[check]["text"]
    assert findings[check]["remedy"]
    place = CHECKS.index(check)
    assert all(findings[name]["health"] != "fail" for name in CHECKS[:place])
    if check in ("name", "connection", "tls"):
        assert all(findings[name]["health"] == "skip" for name in CHECKS[place + 1 :])


# ---- All is well ----


def test_all_is_well(receiver: ReceiverProcess) -> None:
    receiver.behave("ok", checks=True)
    done = run("doctor", env=environment(receiver.url))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nAll is well.\n")
    assert f"dynoscale {dynoscale.__version__} for Python {sys.version.split()[0]}" in done.stdout
    assert "libcurl" in done.stdout
    [report] = receiver.reports()
    assert (report["body"], report["error"], report["path"]) == ("", None, f"/{SECRET}")
    assert report["headers"]["user-agent"] == f"dynoscale-python;{dynoscale.__version__}"
    assert receiver.rows() == []


def test_all_is_well_over_tls(tls: ReceiverProcess, certificates: Certificates) -> None:
    env = environment(tls.url, SSL_CERT_FILE=certificates.authority)
    findings = examine(env)
    assert findings["tls"]["health"] == "ok" and findings["tls"]["ms"] >= 0
    assert findings["service"]["status"] == 200
    assert findings["connection"]["text"].startswith("connected to 127.0.0.1 port ")


def test_it_neither_starts_nor_locks_nor_sends_anything_of_the_agents(
    receiver: ReceiverProcess, tmp_path: Path
) -> None:
    receiver.behave("ok", checks=True)
    code = """
        import dynoscale, threading
        from dynoscale._cli import main
        assert main(["doctor"]) == 0
        stats = dynoscale.stats()
        assert set(stats.values()) == {0}, stats
        assert threading.active_count() == 1
        assert not dynoscale._native.is_decided()
        print("threads:", len(__import__("os").listdir("/proc/self/task")))
    """
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("there is no /proc")
    done = agent_tools.run(code, environment(receiver.url, TMPDIR=str(tmp_path)))
    assert done.stdout.endswith("threads: 1\n")
    assert list(tmp_path.iterdir()) == []
    assert receiver.summary()["reports"] == 1


# ---- Trouble on the way ----


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates: Certificates) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tls=certificates.valid) as receiver:
        receiver.behave("ok", checks=True)
        yield receiver


def test_a_name_that_does_not_exist() -> None:
    findings = examine(environment("https://no-such-host.invalid"))
    expect(findings, "name", "fail", "no-such-host.invalid")


def test_a_connection_refused() -> None:
    findings = examine(environment("https://127.0.0.1:1"))
    expect(findings, "connection", "fail", "connect to 127.0.0.1")
    # As older versions of libcurl have it, and newer ones.
    assert re.search(r"127\.0\.0\.1( port |:)1\b", findings["connection"]["text"])


@pytest.mark.parametrize("kind", ["wrong_host", "self_signed", "expired"])
def test_a_certificate_that_is_not_valid(kind: str, certificates: Certificates) -> None:
    with ReceiverProcess(tls=getattr(certificates, kind)) as receiver:
        env = environment(receiver.url, SSL_CERT_FILE=certificates.authority)
        expect(examine(env), "tls", "fail", "")
        assert receiver.summary()["reports"] == 0


def test_certificates_that_are_not_there(tls: ReceiverProcess) -> None:
    expect(examine(environment(tls.url, SSL_CERT_FILE="/nowhere")), "tls", "fail", "")


@pytest.mark.parametrize(
    ("status", "health", "text"),
    [
        (401, "fail", "token"),
        (403, "fail", "token"),
        (404, "fail", "token"),
        (400, "warn", "without samples"),
        (429, "warn", "too much"),
        (500, "fail", "in trouble"),
        (302, "fail", "elsewhere"),
    ],
)
def test_an_answer_without_success(
    receiver: ReceiverProcess, status: int, health: str, text: str
) -> None:
    receiver.behave("status", status=status)
    findings = examine(environment(receiver.url))
    expect(findings, "service", health, text)
    assert findings["service"]["status"] == status
    assert findings["clock"]["health"] == "ok"


@pytest.mark.parametrize("mode", ["garbage", "close", "reset"])
def test_an_answer_that_is_not_http(receiver: ReceiverProcess, mode: str) -> None:
    receiver.behave(mode, at="request")
    expect(examine(environment(receiver.url)), "service", "fail", "does not answer")


def test_a_service_that_stalls(receiver: ReceiverProcess) -> None:
    receiver.behave("stall")
    findings = examine(environment(receiver.url), "--timeout", "0.3")
    expect(findings, "service", "fail", "does not answer")


def test_tls_that_stalls(tls: ReceiverProcess) -> None:
    tls.behave("stall", at="connect")
    expect(examine(environment(tls.url), "--timeout", "0.3"), "tls", "fail", "")


@pytest.mark.parametrize(
    ("date", "health", "text"),
    [
        ("Tue, 19 Jan 2038 03:14:07 GMT", "fail", "stamp_future"),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "fail", "stamp_stale"),
        ("yesterday", "skip", "no Date"),
    ],
)
def test_a_clock_that_is_wrong(
    receiver: ReceiverProcess, date: str, health: str, text: str
) -> None:
    receiver.behave("ok", checks=True, headers={"Date": date})
    clock = examine(environment(receiver.url))["clock"]
    assert clock["health"] == health and text in clock["text"]


# ---- Proxies ----


class Proxy:
    """Answers each CONNECT, and each request, with the same bytes; keeps the first lines."""

    def __init__(self, answer: bytes) -> None:
        self.lines: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(4096)
                    if not data:
                        break
                    head += data
                self.lines.append(head.partition(b"\r\n")[0])
                connection.sendall(self._answer)


def test_a_proxy_that_refuses() -> None:
    proxy = Proxy(b"HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n")
    address = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
    findings = examine(environment("https://service.example", https_proxy=address))
    expect(findings, "connection", "fail", "407")
    assert f"127.0.0.1:{proxy.port}" in findings["settings"]["text"]
    assert proxy.lines == [b"CONNECT service.example:443 HTTP/1.1"]


def test_a_proxy_that_no_proxy_passes_by(certificates: Certificates) -> None:
    with ReceiverProcess(tls=certificates.wrong_host) as receiver:
        proxies = {"https_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}
        env = environment(receiver.url, SSL_CERT_FILE=certificates.authority, **proxies)
        expect(examine(env), "tls", "fail", "")


def test_a_proxy_that_is_not_there() -> None:
    address = f"http://user:{PASSWORD}@no-such-proxy.invalid:3128"
    findings = examine(environment("https://service.example", https_proxy=address))
    expect(findings, "name", "fail", "no-such-proxy.invalid")


def test_a_proxy_that_is_no_address() -> None:
    address = f"http://user:{PASSWORD}@proxy:port"
    examine(environment("https://service.example", https_proxy=address))


def test_a_proxy_is_not_asked_for_the_app(receiver: ReceiverProcess) -> None:
    proxy = Proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    env = environment("http://service.example", http_proxy=f"http://127.0.0.1:{proxy.port}")
    receiver.behave("status", status=404)
    findings = examine(env, "--url", f"{receiver.url}/{SECRET}")
    assert findings["service"]["health"] == "ok"
    assert [line.split()[0] for line in proxy.lines] == [b"POST"]
    assert "status 404" in findings["stamp"]["text"]
    assert receiver.summary()["reports"] == 1


# ---- Off ----


@pytest.mark.parametrize(
    ("variables", "health", "text"),
    [
        ({"DYNOSCALE_URL": ""}, "fail", "DYNOSCALE_URL is not set"),
        ({"DYNOSCALE_URL": f"gopher://x/{SECRET}"}, "fail", "not an http or https address"),
        ({"DYNO": ""}, "fail", "DYNO is not set"),
        ({"SKIP_DYNOSCALE_AGENT": "1"}, "fail", "SKIP_DYNOSCALE_AGENT is set"),
        ({"DYNO": "run.1234"}, "warn", "one-off"),
        ({"DYNO": "web.2"}, "warn", "only the first dyno"),
    ],
)
def test_an_agent_that_is_off(
    receiver: ReceiverProcess, variables: dict[str, str], health: str, text: str
) -> None:
    receiver.behave("ok", checks=True)
    findings = examine({**environment(receiver.url), **variables})
    assert findings["reporting"]["health"] == health and text in findings["reporting"]["text"]
    asked = "DYNOSCALE_URL" not in variables
    assert findings["service"]["health"] == ("ok" if asked else "skip")
    assert receiver.summary()["accepted"] == int(asked)


def test_settings_are_shown_with_their_source_and_their_warnings(receiver: ReceiverProcess) -> None:
    receiver.behave("ok", checks=True)
    env = environment(receiver.url, DYNOSCALE_DYNOS="all", DYNOSCALE_PUBLISH_FREQUENCY="0")
    done = run("doctor", env=env)
    host = receiver.url.replace("http://", "")
    assert f"DYNOSCALE_URL is http://{host}/[hidden], from the environment" in done.stdout
    assert "DYNOSCALE_DYNOS is all, from the environment" in done.stdout
    assert "warn  settings    DYNOSCALE_PUBLISH_FREQUENCY is" in done.stdout
    assert done.stdout.endswith("\n1 thing to mend.\n") and done.returncode == 1


def test_a_value_with_odd_bytes_is_printed_and_does_not_move_the_cursor(
    receiver: ReceiverProcess,
) -> None:
    env: Any = {os.fsencode(k): os.fsencode(v) for k, v in environment(receiver.url).items()}
    env[b"DYNOSCALE_JOB_QUEUES"] = b"a\33[31m\xff\xe2\x82" + "€".encode() * 300
    for locale in (b"C", b"C.UTF-8"):
        done = run("doctor", env={**env, b"LC_ALL": locale, b"PYTHONIOENCODING": b"ascii"})
        assert "a?[31m" in done.stdout and done.stderr == ""


# ---- Without libcurl ----


def test_libcurl_that_is_missing(tmp_path: Path) -> None:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("needs LD_PRELOAD and a compiler")
    source = tmp_path / "none.c"
    source.write_text(NO_CURL, encoding="utf-8")
    library = tmp_path / "none.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    preloaded = os.pathsep.join(filter(None, [os.environ.get("LD_PRELOAD"), str(library)]))
    env = environment("http://127.0.0.1:1", LD_PRELOAD=preloaded)
    findings = examine(env, "--url", "http://127.0.0.1:1")
    assert findings["version"]["health"] == "fail"
    assert "libcurl can't be loaded" in findings["version"]["text"]
    assert "apt-get install libcurl4" in findings["version"]["remedy"]
    assert findings["service"]["health"] == findings["stamp"]["health"] == "skip"


NO_CURL = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
void *dlopen(const char *name, int flags) {
    void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return real(name && strstr(name, "libcurl") ? "/nowhere" : name, flags);
}
"""


# ---- The terminal ----


def in_terminal(env: dict[str, str]) -> str:
    """What is printed to a terminal."""
    main, side = pty.openpty()
    command = [sys.executable, "-m", "dynoscale", "doctor"]
    with subprocess.Popen(command, env=env, stdin=side, stdout=side, stderr=side) as process:
        os.close(side)
        output = b""
        while True:
            try:
                data = os.read(main, 4096)
            except OSError:  # EIO: the other end is closed
                break
            if not data:
                break
            output += data
    os.close(main)
    assert process.returncode in (0, 1)
    return output.decode()


def test_colours_are_for_terminals_that_want_them(receiver: ReceiverProcess) -> None:
    receiver.behave("ok", checks=True)
    env = environment(receiver.url, TERM="xterm")
    assert "\33[32mok    \33[0mservice" in in_terminal(env)
    assert COLOUR not in in_terminal({**env, "NO_COLOR": "1"})
    assert COLOUR not in in_terminal({**env, "TERM": "dumb"})


def test_an_interrupt_ends_it_at_once_and_without_a_traceback(receiver: ReceiverProcess) -> None:
    receiver.behave("stall")
    command = [sys.executable, "-m", "dynoscale", "doctor", "--timeout", "60"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(receiver.url), text=True, **pipes) as process:
        assert receiver.wait(reports=1)["reached"]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=50)  # the time-out of a report is longer
    assert process.returncode == 130
    assert errors == "" and "service" not in output


def test_findings_are_printed_as_they_come(receiver: ReceiverProcess) -> None:
    receiver.behave("stall")
    command = [sys.executable, "-m", "dynoscale", "doctor"]
    with subprocess.Popen(
        command, env=environment(receiver.url), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        seen = b""
        while b"reporting" not in seen:
            assert select.select([process.stdout], [], [], 30)[0]
            seen += os.read(process.stdout.fileno(), 4096)
        process.kill()
    assert b"service" not in seen


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_has_seen_enough_is_no_error(
    receiver: ReceiverProcess, options: list[str]
) -> None:
    receiver.behave("ok", checks=True)
    command = [sys.executable, "-m", "dynoscale", "doctor", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(receiver.url), **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# ---- Arguments ----


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["stats"],
        ["--nonsense"],
        ["doctor", "more"],
        ["doctor", "--nonsense"],
        ["doctor", "--jso"],
        ["doctor", "--url"],
        ["doctor", "--url", "localhost:3000"],
        ["doctor", "--timeout", "0"],
        ["doctor", "--timeout", "nan"],
        ["doctor", "--timeout", "61"],
        ["doctor", "--timeout", "long"],
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str]) -> None:
    done = run(*arguments, env=environment(None))
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"python -m dynoscale.*; see python -m dynoscale.* --help\n", done.stderr)


def test_the_version() -> None:
    done = run("--version", env=environment(None))
    assert (done.stdout, done.returncode) == (f"dynoscale {dynoscale.__version__}\n", 0)


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--help"]])
def test_help_lists_all_settings_and_their_precedence(arguments: list[str]) -> None:
    done = run(*arguments, env=environment(None))
    assert (done.returncode, done.stderr) == (0, "")
    assert _native.TEXTS["settings"] in done.stdout
    for row in _native.Options().rows():
        assert f"  {row[1]}  (in code: {row[0]})\n      {row[5]}\n      default: {row[4]}\n" in (
            done.stdout
        )
    assert "Code wins over a framework's configuration" in done.stdout


def test_the_document_of_settings_says_the_same() -> None:
    readme = agent_tools.HERE.parents[1] / "docs" / "settings.md"
    if not readme.exists():
        pytest.skip("the sources are not here")
    text = readme.read_text(encoding="utf-8").replace("`", "")
    table = re.findall(r"^\| (\w+)[^|]* \| (\w+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    rows = [(row[1], row[0], row[5], row[4]) for row in _native.Options().rows()]
    assert [row for row in table if row[0] != "variable"] == rows
    who_wins = _native.TEXTS["settings"].partition("\n\n")[2]
    assert " ".join(who_wins.split()) in " ".join(text.split())
