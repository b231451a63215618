"""The command line. Only reads arguments and prints: the checks and texts are the core's."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys

from dynoscale import _agent, _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_COLOURS = {"ok": "32", "warn": "33", "fail": "31", "skip": "2"}
_SEEN_BY_THE_APP = "In the app, print(dynoscale.config.Config()) shows the settings that it has.\n"
_INTERRUPTED = 130  # as in a shell: 128 + SIGINT


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit status: 0 all is well, 1 something to mend, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser, doctor_parser = _parsers()
    given = parser.parse_args(arguments)
    try:
        return _doctor(given, doctor_parser)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parsers() -> tuple[_Parser, _Parser]:
    texts = _native.TEXTS
    started = os.path.basename(sys.argv[0])
    program = "python -m dynoscale" if started == "__main__.py" else "dynoscale"
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(program, formatter_class=raw, allow_abbrev=False)
    parser.description, parser.epilog = texts["about"], texts["settings"]
    parser.add_argument("--version", action="version", version=f"dynoscale {_native.VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    doctor = commands.add_parser(
        "doctor", help=texts["doctor"], formatter_class=raw, allow_abbrev=False
    )
    doctor.description = texts["details"]
    doctor.epilog = f"{_SEEN_BY_THE_APP}\n{texts['settings']}"
    doctor.add_argument("--url", help=texts["url"])
    doctor.add_argument("--timeout", metavar="SECONDS", type=_seconds, help=texts["timeout"])
    doctor.add_argument("--json", action="store_true", help=texts["json"])
    return parser, doctor


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 60:
        raise argparse.ArgumentTypeError(f"it is {text}, which is not from 0 to 60 s")
    return seconds


def _doctor(given: argparse.Namespace, parser: _Parser) -> int:
    runtime = f"{platform.python_implementation()} {platform.python_version()}"
    runtime = runtime.replace("CPython", "Python")
    try:
        doctor = _native.Doctor(_agent.gather(), runtime, given.url, given.timeout or 0.0)
    except ValueError as error:
        parser.error(str(error))
    return _print_json(doctor) if given.json else _print_lines(doctor)


def _print_lines(doctor: _native.Doctor) -> int:
    coloured = _is_coloured()
    for check, health, text, remedy, _, _ in doctor:
        print(f"{_shown(health, coloured)}{check:<11} {text}", flush=True)
        if remedy:
            print(f"{'':<17} to do: {remedy}", flush=True)
    well, verdict = doctor.verdict()
    print(verdict, flush=True)
    return 0 if well else 1


def _is_coloured() -> bool:
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def _shown(health: str, coloured: bool) -> str:
    word = f"{health:<6}"
    return f"\33[{_COLOURS[health]}m{word}\33[0m" if coloured else word


def _print_json(doctor: _native.Doctor) -> int:
    findings = []
    for check, health, text, remedy, measure, value in doctor:
        finding: dict[str, object] = {"check": check, "health": health, "text": text}
        finding["remedy"] = remedy or None
        if measure:
            finding[measure] = value
        findings.append(finding)
    well, verdict = doctor.verdict()
    result = {
        "language": "python",
        "version": _native.VERSION,
        "well": well,
        "verdict": verdict,
        "findings": findings,
    }
    print(json.dumps(result, indent=2), flush=True)
    return 0 if well else 1
