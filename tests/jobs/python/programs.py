"""The programs that the tests start, and their environment."""

from __future__ import annotations

import os
from pathlib import Path

import dynoscale

HERE = Path(__file__).resolve().parent
PACKAGE = Path(dynoscale.__file__).resolve().parent


def environment(report_url: str = "", **variables: str) -> dict[str, str]:
    """This process's environment, without settings but those given, able to import dynoscale;
    with a URL that of the first worker dyno, which reports each second."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("DYNO")}
    path = os.pathsep.join([str(PACKAGE.parent), str(HERE)])
    given = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    if report_url:
        given["DYNOSCALE_URL"] = report_url
        given["DYNO"] = "worker.1"
        given["DYNOSCALE_PUBLISH_FREQUENCY"] = "1"
    return {**inherited, **given, **variables}
