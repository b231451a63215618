"""The tools of release/requirements.txt, in an environment of their own: build/release/tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "release"
REQUIREMENTS = ROOT / "release" / "requirements.txt"


def python() -> str:
    """The environment's interpreter. Installs what is missing or has another version."""
    environment = BUILD / "tools"
    interpreter, installed = environment / "bin" / "python", environment / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        print("Installing the tools of release/requirements.txt", flush=True)
        run([sys.executable, "-m", "venv", "--clear", str(environment)])
        run([str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])
        installed.write_text(wanted, encoding="utf-8")
    return str(interpreter)


def run(command: List[str], **options: object) -> str:
    """What it printed; stops with that where it failed."""
    done = subprocess.run(  # type: ignore[call-overload]
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}failed: {done.returncode}")
    return str(done.stdout)
