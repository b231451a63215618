"""The walls between the service's rooms: what each includes, and what its object files call."""

from __future__ import annotations

import os
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import FrozenSet, Iterable, List, Set

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "service" / "src"
CORE = ROOT / "core"
OBJECTS = Path(os.environ.get("TEST_OBJECTS") or ROOT / "build" / "cc")

# These decide alike in the service, in a replay and in the tests: they see what they are given,
# and nothing else.
PURE = ["decide/**/*.c", "replay/*.c", "rules/*.c", "series/sketch.c", "ingest/rows.c"]
NOT_PURE = {"rules/zone.c"}  # reads the system's time zones
HELPERS = ["text.c", "ingest/signal.c", "ingest/jobs.c"]  # that they may call; as pure as they are

MAY_INCLUDE = {
    "decide": {"decide/", "rules/rule.h", "text.h"},
    "replay": {"replay/", "decide/", "rules/", "ingest/jobs.h", "text.h"},
    "rules": {"rules/", "text.h"},
    "series": {"series/sketch.h", "series/varint.h"},
    "ingest": {"ingest/jobs.h", "ingest/rows.h", "ingest/signal.h", "text.h"},
    "": {"text.h"},
}
PURE_HEADERS = set(
    "ctype errno float inttypes limits math stdarg stdbool stddef stdint stdio stdlib string strings".split()
)
OF_YAML = "yaml.h"  # rules/tree.c alone

# Of the C library: no clock, no file, no environment, no lock, no thread.
MAY_CALL = re.compile(
    r"mem(chr|cmp|cpy|move|set)|str(chr|cmp|cpy|dup|len|spn|cspn|str|casecmp|ncasecmp|ncmp|rchr|to[a-z]+)"
    r"|v?snprintf|malloc|calloc|realloc|free|qsort|bsearch|errno_location|abort|assert_fail"
    r"|yaml_(document|event|parser)_(?!set_input_file)\w+"
    r"|zone_\w+"  # by rules/zone.h
    r"|sqrt"  # which IEEE 754 rounds alike everywhere, unlike the rest of libm
    r"|_GLOBAL_OFFSET_TABLE_|stack_chk_fail"
)

# A trial is an estimate, made anew each time: it need not be the same to the bit on all machines.
OF_ESTIMATES = re.compile(r"exp2?|log2?|pow|cos|floor|ceil|fmax|fmin")

# Who alone may use a library, and by which beginnings of its functions it is known.
LIBRARIES = {
    "libevent": (r"event_|ev(buffer|http|util|thread|timer|signal|connlistener)|bufferevent", "http/ loop.c"),
    "SQLite": (r"sqlite3_", "store/"),
    "libcurl": (r"curl_", "platforms/ api/cli_call.c"),  # the command line is a client of the API
    "processes": (r"posix_spawn|v?fork$|exec[vl]|popen$|system$", "platforms/ keeper/process.c"),
    "passwords": (r"crypto_pwhash", "people/"),
    "codes": (r"oath_|QRcode_", "people/factor.c"),
    "time zones": (r"g_|tzset$|localtime|mktime$", "rules/zone.c"),
    "YAML": (r"yaml_", "rules/tree.c"),
    "reading JSON": (r"json_load", "json_read.c"),  # what it guards against: json_read.h
}


def sources(patterns: Iterable[str]) -> List[str]:
    found = {str(path.relative_to(SOURCES)) for one in patterns for path in SOURCES.glob(one)}
    return sorted(found - NOT_PURE)


def includes(path: Path) -> List[str]:
    """As they stand: with the quotes or the brackets."""
    return re.findall(r'^\s*#\s*include\s+(["<][^">]+[">])', path.read_text(encoding="utf-8"), re.M)


@lru_cache(maxsize=None)
def symbols(path: Path, defined: bool) -> FrozenSet[str]:
    """Functions of an object file, without what the compiler makes of their names."""
    if not path.exists():
        pytest.skip(f"there is no {path}: `make build-service` makes it")
    command = ["nm", "--defined-only" if defined else "--undefined-only", "--extern-only", str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    names = {line.split()[-1] for line in lines if line.strip()}
    return frozenset(re.sub(r"^__(?:isoc\d+_)?(\w+?)(?:_chk)?$", r"\1", name) for name in names)


def object_of(source: str, under: str = "service/src") -> Path:
    return OBJECTS / under / Path(source).with_suffix(".o")


def all_sources() -> List[str]:
    return sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.c"))


def allowed(include: str, room: str, source: str) -> bool:
    if include[0] == "<":
        name = include[1:-1]
        return name[:-2] in PURE_HEADERS or (name == OF_YAML and source == "rules/tree.c")
    return any(
        include[1:-1] == one or (one.endswith("/") and include[1:-1].startswith(one))
        for one in MAY_INCLUDE[room]
    )


@pytest.mark.parametrize("source", sources([*PURE, *HELPERS]))
def test_what_is_pure_includes_nothing_of_other_rooms_and_calls_no_clock_file_or_environment(
    source: str,
) -> None:
    room = source.partition("/")[0] if "/" in source else ""
    own = SOURCES / source
    for file in [own, own.with_suffix(".h")]:
        for include in includes(file) if file.exists() else []:
            assert allowed(include, room, source), f"{file.name} includes {include}"
    defined: Set[str] = set()
    for one in sources([*PURE, *HELPERS]):
        defined |= symbols(object_of(one), True)
    for name in symbols(object_of(source), False) - defined:
        estimate = room == "replay" and OF_ESTIMATES.fullmatch(name)
        assert estimate or MAY_CALL.fullmatch(name), f"{source} calls {name}"


@pytest.mark.parametrize("header", sources(["decide/**/*.h", "replay/*.h", "rules/*.h"]))
def test_a_header_of_a_pure_room_includes_nothing_of_other_rooms(header: str) -> None:
    for include in includes(SOURCES / header):
        assert allowed(include, header.partition("/")[0], header), f"{header} includes {include}"


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_only_one_room_uses(library: str) -> None:
    beginnings, rooms = LIBRARIES[library]
    own: Set[str] = set()
    for source in all_sources():
        own |= symbols(object_of(source), True)
    users = set()
    for source in all_sources():
        calls = symbols(object_of(source), False) - own
        if any(re.match(beginnings, name) for name in calls):
            users.add(source)
    assert users, f"nobody uses {library}: its functions have other names now"
    strangers = {one for one in users if not any(one.startswith(room) for room in rooms.split())}
    assert not strangers, f"{library} is for {rooms}"


# Whoever hears the network has no key, and sends nothing by itself. The command line looks at the key
# in its own process.
KEEPERS = {
    r"vault_(?!wipe$)": "people/ keeper/answer.c api/cli_doctor.c",
    r"channel_(send|pack)$|mail_send$": "keeper/answer.c notify/channel.c platforms/",
    r"heroku_(api|renew|read_credential|code_credential)$": "addon/grant.c platforms/",
    r"grant_": "addon/grant.c keeper/answer.c",
    r"client_call$": "platforms/ notify/channel.c addon/check.c api/cli_doctor.c",
    r"answer(er_\w+|_starts_program)?$": "keeper/",
}


@pytest.mark.parametrize("functions", sorted(KEEPERS))
def test_only_the_keeper_opens_what_is_sealed_and_sends(functions: str) -> None:
    rooms = KEEPERS[functions].split()
    users = {
        source
        for source in all_sources()
        if any(re.match(functions, name) for name in symbols(object_of(source), False))
    }
    assert users, f"nobody calls {functions}: they have other names now"
    assert not {one for one in users if not any(one.startswith(room) for room in rooms)}


def test_only_the_store_writes_sql() -> None:
    sql = re.compile(r'"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|PRAGMA) [a-zA-Z(*]')
    for source in all_sources():
        if not source.startswith("store/"):
            assert not sql.search((SOURCES / source).read_text(encoding="utf-8")), source


def test_the_core_never_includes_or_calls_the_service() -> None:
    for file in sorted([*CORE.rglob("*.c"), *CORE.rglob("*.h")]):
        for include in includes(file):
            if include[0] == '"':
                places = [file.parent, CORE / "src", CORE / "include"]
                assert any((place / include[1:-1]).exists() for place in places), (file, include)
    of_service: Set[str] = set()
    for source in all_sources():
        of_service |= symbols(object_of(source), True)
    objects = sorted((OBJECTS / "core" / "src").glob("*.o"))
    assert objects or not OBJECTS.exists()
    of_core: Set[str] = set()
    for one in objects:
        of_core |= symbols(one, True)
    for one in objects:
        assert not (symbols(one, False) - of_core) & of_service, one.name


def test_platforms_are_known_by_name_in_their_room_alone() -> None:
    """Each has a file in platforms/; the others see platform.h and the list, and what calls and
    mails without knowing whom. Heroku's add-on is Heroku's too."""
    of_addon = {'"platforms/heroku_api.h"'}
    of_none = {'"platforms/client.h"', '"platforms/mail.h"'}
    for source in all_sources():
        if source.startswith("platforms/"):
            continue
        for include in includes(SOURCES / source):
            known = of_none | (of_addon if source.startswith("addon/") else set())
            if include.startswith('"platforms/') and include not in known:
                assert include == '"platforms/platform.h"', (source, include)
