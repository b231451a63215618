"""What openapi.yaml describes, and the table of routes behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, NamedTuple, Tuple

import yaml

API = Path(__file__).resolve().parents[2] / "service/src/api"
TEXT = (API / "openapi.yaml").read_text()
DESCRIPTION = yaml.safe_load(TEXT)
# Who may, by how much. "local" is the command line on the service's machine.
RANKS = ["nobody", "read", "operate", "write", "admin", "local"]
METHODS = {"get", "post", "put", "patch", "delete"}

Operation = Tuple[str, str]


class Route(NamedTuple):
    least: str
    of_one_app: bool


def routes() -> Dict[Operation, Route]:
    """Method and path of each line of the table in routes.c."""
    source = (API / "routes.c").read_text()
    macros = dict(re.findall(r'^#define (\w+) +(?:\w+ )?"([^"]*)"$', source, re.MULTILINE))
    macros["PROCESS"] = macros["APP"] + macros["PROCESS"]
    found = {}
    row = re.compile(r'\{HTTP_(\w+), (?:(\w+) ?)?(?:"([^"]*)")?, API_(\w+), \w+,\s(\w+)')
    for method, macro, text, least, of_one_app in row.findall(source):
        found[method, macros.get(macro, "") + text] = Route(least.lower(), of_one_app == "true")
    return found


def described() -> Dict[Operation, Any]:
    return {
        (method.upper(), path): operation
        for path, item in DESCRIPTION["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def operations() -> Dict[Operation, Any]:
    """Those of the table of routes."""
    return {key: operation for key, operation in described().items() if not key[1].startswith("/heroku/")}


def heroku_operations() -> Dict[Operation, Any]:
    """Those that Heroku calls."""
    return {key: operation for key, operation in described().items() if key[1].startswith("/heroku/")}


def resolve(value: Any) -> Any:
    while isinstance(value, dict) and "$ref" in value:
        found: Any = DESCRIPTION
        for part in value["$ref"].split("/")[1:]:
            found = found[part]
        value = found
    return value
