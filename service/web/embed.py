#!/usr/bin/env python3
"""Turns the pages into C: each file of this folder, and what they take from npm, gzipped, as a table
for service/src/pages.h.

    embed.py NODE_MODULES OUT.c

Assets get one folder, named by a hash of them all; `@/` in the pages stands for it. Files of npm
lie in `vendor/` of it. What a page's script imports is linked for preloading. The same input gives
the same output.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from pathlib import Path
from typing import Dict, Iterator, Set

HERE = Path(__file__).resolve().parent
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
# Each with what is put behind it, and what stands in for it where npm could not be reached. Of
# uPlot's builds only the one for old browsers is minified.
VENDOR = {
    "vendor/uplot.js": (
        "uplot/dist/uPlot.iife.min.js",
        b"export default uPlot;\n",
        (HERE / "no-charts.js.in").read_bytes(),
    ),
    "vendor/uplot.css": ("uplot/dist/uPlot.min.css", b"", b""),
}


def files(node_modules: Path) -> Dict[str, bytes]:
    found = {p.name: p.read_bytes() for p in sorted(HERE.iterdir()) if p.suffix in TYPES}
    for name, (path, behind, stand_in) in VENDOR.items():
        file = node_modules / path
        found[name] = file.read_bytes() + behind if file.exists() else stand_in
    return found


def modules(found: Dict[str, bytes], name: str, seen: Set[str]) -> Set[str]:
    """The scripts that a script imports, and those that these import."""
    for imported in re.findall(rb"^import [^;]*?'\./([^']+)';", found[name], re.MULTILINE):
        other = imported.decode()
        if other not in seen:
            seen.add(other)
            modules(found, other, seen)
    return seen


def preloads(found: Dict[str, bytes], page: bytes) -> bytes:
    """The page with links to all that its script imports, so that the browser asks at once and not
    one import after the other."""
    script = re.search(rb'<script type="module" src="@/([^"]+)"></script>\n', page)
    if not script:
        return page
    names = sorted(modules(found, script[1].decode(), set()))
    links = "".join(f'<link rel="modulepreload" href="@/{name}">\n' for name in names)
    return page[: script.start()] + links.encode() + page[script.start() :]


def c_bytes(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), 24):
        yield "    " + "".join(f"{byte}," for byte in content[start : start + 24])


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = files(Path(sys.argv[1]))
    assets = {name: content for name, content in found.items() if not name.endswith(".html")}
    mark = hashlib.sha256()
    for name, content in sorted(assets.items()):
        mark.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    folder = f"/assets/{mark.hexdigest()[:16]}"

    lines = ["/* Made by service/web/embed.py. */", '#include "pages.h"', ""]
    table = []
    for number, (name, content) in enumerate(sorted(found.items())):
        path = name if name.endswith(".html") else f"{folder}/{name}"
        if name.endswith(".html"):
            content = preloads(found, content).replace(b"@/", folder.encode() + b"/")
        packed = gzip.compress(content, 9, mtime=0)
        lines += [f"static const unsigned char file_{number}[] = {{", *c_bytes(packed), "};"]
        kind = TYPES[Path(name).suffix]
        table.append(f'    {{"{path}", "{kind}", file_{number}, {len(packed)}, {len(content)}}},')
    lines += ["const struct pages_file pages_files[] = {", *table, "};"]
    lines += [f"const size_t pages_file_count = {len(table)};", ""]
    Path(sys.argv[2]).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
