"""Every wheel, cross-compiled: each CPython that is supported, on each system of zig.TARGETS.

    python3 release/wheels.py [--python 3.13] [--python 3.13t] [--only x86_64-linux] [--to FOLDER]

They take libcurl from the system that they are installed on, when there is something to report.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, List

import headers
import tools
import zig

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t", "3.15", "3.15t"]
PACKAGE = tools.ROOT / "python" / "dynoscale"
BINDING = sorted((tools.ROOT / "ext" / "python").glob("*.c"))
MOMENT = (1980, 1, 1, 0, 0, 0)  # so that two builds are the same to the byte


def metadata() -> "tuple[str, Dict[str, bytes]]":
    """The version, and the files that say what the package is, by their names in a wheel."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "setup.py", "-q", "dist_info"]
        tools.run([*command, "--output-dir", folder], cwd=tools.ROOT)
        (information,) = Path(folder).glob("dynoscale-*.dist-info")
        files = {
            f"{information.name}/{path.relative_to(information)}": path.read_bytes()
            for path in sorted(information.rglob("*"))
            if path.is_file()
        }
    return information.name[len("dynoscale-") : -len(".dist-info")], files


def sources() -> Dict[str, bytes]:
    kinds = {".py", ".pyi", ".typed"}
    files = [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in kinds]
    files.append(PACKAGE / "py.typed")
    return {f"dynoscale/{path.relative_to(PACKAGE)}": path.read_bytes() for path in files}


def extension_name(version: str, target: zig.Target) -> str:
    number = version.replace(".", "")
    if target.system == "gnu":
        return f"_native.cpython-{number}-{target.cpu}-linux-gnu.so"
    if target.system == "macos":
        return f"_native.cpython-{number}-darwin.so"
    return "_native.so"  # older Pythons call themselves gnu on musl, too


def tag(version: str, target: zig.Target) -> "tuple[str, str, str]":
    number = "cp" + version.rstrip("t").replace(".", "")
    return number, number + ("t" if version.endswith("t") else ""), target.wheel


def compiled(compiler: zig.Compiler, version: str) -> bytes:
    include = headers.python(version.rstrip("t"))
    flags = ["-std=c11", f"-isystem{include}"]
    if version.endswith("t"):
        flags.append("-DPy_GIL_DISABLED=1")
    output = compiler.folder / f"python{version}" / "_native.so"
    compiler.library(f"python{version}", BINDING, flags, output)
    if compiler.target.system != "macos":
        zig.check_defined(output, ("Py", "_Py"))
    return output.read_bytes()


def write(wheel: Path, files: Dict[str, bytes], information: str, tags: List[str]) -> None:
    lines = ["Wheel-Version: 1.0", "Generator: dynoscale", "Root-Is-Purelib: false"]
    lines += [f"Tag: {tag}" for tag in tags]
    files = {**files, f"{information}/WHEEL": "\n".join([*lines, ""]).encode()}
    record = "".join(f"{name},{digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def digest(data: bytes) -> str:
    hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + hashed.rstrip(b"=").decode()


def build(versions: List[str], targets: List[zig.Target], to: Path) -> List[Path]:
    version, information = metadata()
    package = sources()
    to.mkdir(parents=True, exist_ok=True)
    made = []
    for target in targets:
        compiler = zig.Compiler(target)
        for python in versions:
            interpreter, abi, platforms = tag(python, target)
            wheel = to / f"dynoscale-{version}-{interpreter}-{abi}-{platforms}.whl"
            extension = f"dynoscale/{extension_name(python, target)}"
            files = {**package, extension: compiled(compiler, python), **information}
            tags = [f"{interpreter}-{abi}-{platform}" for platform in platforms.split(".")]
            write(wheel, files, f"dynoscale-{version}.dist-info", tags)
            print(wheel.name, flush=True)
            made.append(wheel)
    return made


def judge(wheels: List[Path]) -> None:
    """auditwheel has to find that each runs where its name says, and that it takes nothing along."""
    for wheel in wheels:
        if "linux" not in wheel.name:
            continue
        said = tools.run([tools.python(), "-m", "auditwheel", "show", str(wheel)])
        name = wheel.stem.rpartition("-")[2].split(".")[0]
        if f'"{name}"' not in " ".join(said.split()):
            raise SystemExit(f"auditwheel on {wheel.name}:\n{said}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds every wheel.")
    parser.add_argument("--python", action="append", choices=VERSIONS, metavar="VERSION")
    parser.add_argument("--only", default="", help="what the targets' names begin with")
    parser.add_argument("--to", type=Path, default=tools.ROOT / "build" / "packages")
    options = parser.parse_args()
    versions = options.python or VERSIONS
    lacking = sorted({v.rstrip("t") for v in versions if headers.python(v.rstrip("t")) is None})
    if lacking:
        raise SystemExit(
            f"There are no headers of CPython {', '.join(lacking)}: install each as python3.X on "
            "the PATH or with pyenv or uv, or name those to build for with --python"
        )
    targets = [target for target in zig.TARGETS if target.name.startswith(options.only)]
    wheels = build(versions, targets, options.to)
    judge(wheels)
    print(f"{len(wheels)} wheels in {options.to}")


if __name__ == "__main__":
    main()
