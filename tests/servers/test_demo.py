"""The demo as `make demo` runs it, in less time."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import List

from processes import Process, find_nginx

import pytest

pytestmark = pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")

DEMO = Path(__file__).resolve().parent.parent.parent / "examples" / "demo" / "demo.py"


def command(seconds: int) -> List[str]:
    return [sys.executable, str(DEMO), "--seconds", str(seconds)]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's temporary directory is in here, to be looked into."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


def ports(temporary: Path) -> List[int]:
    configs = temporary.glob("*/nginx-*.conf")
    found = [re.findall(r"127\.0\.0\.1:(\d+)", config.read_text()) for config in configs]
    return [int(port) for some in found for port in some]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_demo_counts_every_request_once_and_says_what_was_decided(temporary: Path) -> None:
    # Too short for scaling to help, as its exit status says, but with ticks that know a queue time.
    demo = subprocess.run(command(35), stdout=subprocess.PIPE, text=True, timeout=300)
    sent = re.findall(r"^requests sent" + r" +(\d+)" * 4 + "$", demo.stdout, re.MULTILINE)
    counted = re.findall(r"^rows counted" + r" +(\d+)" * 4 + "$", demo.stdout, re.MULTILINE)
    assert len(sent) == 1 and sent == counted, demo.stdout
    assert min(int(number) for number in sent[0]) > 100
    lines = re.findall(r"^ *\d+ s +(.*?) +(?:Rack|Flask) +p95.* off: p95", demo.stdout, re.MULTILINE)
    assert set(lines) == {"calm", "3 times as many"}
    assert re.search(r"^ +(hold|up) \d.*: .*p95", demo.stdout, re.MULTILINE)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(
    tmp_path: Path, temporary: Path, number: signal.Signals
) -> None:
    with Process(command(60), tmp_path, "demo").start() as demo:
        demo.wait_until(lambda: "calm" in demo.log, "show a second", 120)
        used = ports(temporary)
        assert len(used) == 8 and all(listens(port) for port in used)
        demo.stop(number, seconds=60, expected=(128 + number,))
    assert not any(listens(port) for port in used)
    assert list(temporary.iterdir()) == []
