#!/usr/bin/python3
"""bill.py PROGRAM VERSION: the bill of materials of a built dynoscaled, as CycloneDX 1.5 in JSON.

What the program is linked with, as Debian's packages of this system have it, what these need in turn,
libpq, which is loaded where there is a database, and what its pages took from npm. The same inputs give the same bytes: there is no time in it, and no
random number.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Set
from urllib.parse import quote

OPTIONAL = ["libpq5"]
LOCK = Path(__file__).resolve().parents[1] / "web" / "package-lock.json"


def run(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout


def release() -> Dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def needed(file: Path) -> List[str]:
    """What an object file itself is linked with."""
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", str(file)))


def loaded(program: Path) -> Dict[str, Path]:
    """All that the loader would load, by the names that are asked for."""
    found = re.findall(r"(?m)^\s*(\S+) => (/\S+)", run("ldd", str(program)))
    return {name: Path(path).resolve() for name, path in found}


def package_of(path: Path) -> str:
    """The package, by whichever of its names of old and new folders dpkg knows the file."""
    for one in (str(path), re.sub("^/usr", "", str(path)), "/usr" + str(path)):
        said = subprocess.run(["dpkg", "-S", one], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if said.returncode == 0:
            return said.stdout.decode().split(": ")[0].split(",")[0].strip()
    raise SystemExit(f"bill.py: {path} is of no package: a bill can be made of Debian's libraries alone")


def has(package: str) -> bool:
    said = subprocess.run(["dpkg-query", "-W", package], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return said.returncode == 0


def library(package: str) -> Dict[str, Any]:
    form = "${binary:Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
    name, version, architecture, source, source_version = (
        run("dpkg-query", "-W", f"-f={form}", package).strip().split("\t")
    )
    system, name = release(), name.split(":")[0]
    distribution = f"{system.get('ID', 'debian')}-{system.get('VERSION_ID', 'unknown')}"
    purl = f"pkg:deb/{system.get('ID', 'debian')}/{name}@{quote(version, safe='~')}?arch={architecture}&distro={distribution}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "properties": [
            {"name": "debian:source", "value": source},
            {"name": "debian:source-version", "value": source_version},
        ],
    }


def of_npm() -> List[Dict[str, Any]]:
    found = []
    for place, entry in sorted(json.loads(LOCK.read_text(encoding="utf-8"))["packages"].items()):
        if not place or entry.get("dev"):
            continue
        name = place.rpartition("node_modules/")[2]
        algorithm, _, digest = entry["integrity"].partition("-")
        purl = f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"
        found.append({
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": entry["version"],
            "purl": purl,
            "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}],
            "licenses": [{"license": {"id": entry["license"]}}],
        })  # fmt: skip
    return found


def bill(program: Path, version: str) -> Dict[str, Any]:
    files = loaded(program)
    packages = {name: package_of(path) for name, path in files.items()}
    components = {package: library(package) for package in sorted(set(packages.values()))}
    for package in OPTIONAL:
        if package not in components and has(package):
            components[package] = {**library(package), "scope": "optional"}
    pages = of_npm()
    own = f"dynoscaled@{version}"

    def references(file: Path) -> List[str]:
        wanted: Set[str] = {packages[name] for name in needed(file) if name in packages}
        return sorted(components[package]["bom-ref"] for package in wanted)

    depends: Dict[str, Set[str]] = {}
    for name, path in files.items():
        reference = components[packages[name]]["bom-ref"]
        depends.setdefault(reference, set()).update(one for one in references(path) if one != reference)
    dependencies = [{"ref": own, "dependsOn": references(program) + [page["bom-ref"] for page in pages]}]
    dependencies += [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(depends.items())]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "dynoscaled",
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(program.read_bytes()).hexdigest()}],
            }
        },
        "components": list(components.values()) + pages,
        "dependencies": dependencies,
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit((__doc__ or "").partition("\n")[0])
    json.dump(bill(Path(sys.argv[1]), sys.argv[2]), sys.stdout, indent=1)
    print()
