"""Compiles C for other systems: `zig cc`, which brings the headers and the libraries of each."""

from __future__ import annotations

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterable, List, NamedTuple

import headers
import tools

CORE = sorted((tools.ROOT / "core" / "src").glob("*.c"))
FLAGS = ["-O2", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-fstack-protector-strong"]
FLAGS += ["-fno-sanitize=undefined", "-Wall", "-Werror"]
LINUX_FLAGS = ["-D_FORTIFY_SOURCE=2", "-flto"]
LINUX_LINK = ["-s", "-flto", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
# glibc of 2012 has threads and dlopen in libraries of their own. musl's one library is named by each
# system as it likes, and there already when an interpreter loads ours: it is not asked for by name.
LIBRARIES = {"gnu": ["-lpthread", "-ldl"], "musl": ["-nostdlib"]}
# Without a name of its own it holds the place where it was linked, without -s those of its sources.
MACOS_LINK = ["-s", "-undefined", "dynamic_lookup", "-install_name", "@rpath/_native.so"]


class Target(NamedTuple):
    name: str  # what zig calls it
    cpu: str
    system: str  # "gnu", "musl" or "macos"
    wheel: str  # the platform tag of a wheel


# glibc 2.17 is of 2012, the oldest that wheels of both processors are defined for; musl 1.2 of 2020.
TARGETS = [
    Target(f"{cpu}-linux-gnu.2.17", cpu, "gnu", f"manylinux_2_17_{cpu}.manylinux2014_{cpu}")
    for cpu in ("x86_64", "aarch64")
]
TARGETS += [
    Target(f"{cpu}-linux-musl", cpu, "musl", f"musllinux_1_2_{cpu}") for cpu in ("x86_64", "aarch64")
]
TARGETS += [
    Target("x86_64-macos.11.0", "x86_64", "macos", "macosx_11_0_x86_64"),
    Target("aarch64-macos.11.0", "aarch64", "macos", "macosx_11_0_arm64"),
]
# What was compiled before, by its content: a second run takes it from there.
os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(tools.BUILD / "zig-cache"))


class Compiler:
    """For one target. The core is compiled once, whatever it is linked with."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.command = [tools.python(), "-m", "ziglang", "cc", "-target", target.name]
        self.kept = tempfile.TemporaryDirectory(prefix=f"{target.name}-")
        self.folder = Path(self.kept.name)
        self.flags = FLAGS + (LINUX_FLAGS if target.system != "macos" else [])
        includes = [f"-I{tools.ROOT / 'core' / 'include'}", f"-isystem{headers.curl()}"]
        self.core = self.objects(CORE, "core", ["-std=c11", *includes])
        self.includes = includes

    def library(self, name: str, sources: List[Path], flags: List[str], output: Path) -> None:
        """Of the core and these sources, which may use what only the interpreter defines."""
        objects = self.core + self.objects(sources, name, [*self.includes, *flags])
        link = MACOS_LINK
        if self.target.system != "macos":
            link = LINUX_LINK + LIBRARIES[self.target.system]
        output.parent.mkdir(parents=True, exist_ok=True)
        paths = [str(path) for path in objects]
        tools.run([*self.command, "-shared", "-o", str(output), *paths, *link])

    def objects(self, sources: List[Path], name: str, flags: Iterable[str]) -> List[Path]:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        outputs = [folder / source.with_suffix(".o").name for source in sources]

        def compile_one(pair: "tuple[Path, Path]") -> None:
            source, output = pair
            files = ["-c", str(source), "-o", str(output)]
            tools.run([*self.command, *self.flags, *flags, *files])

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(compile_one, zip(sources, outputs)))
        return outputs


def check_defined(library: Path, interpreters: "tuple[str, ...]") -> None:
    """Stops where an ELF library takes a name that neither the libc nor an interpreter, by how its
    names begin, will define when it is loaded. musl's libc has no versions to tell its names by."""
    done = tools.run(["readelf", "--dyn-syms", "-W", str(library)])
    names = re.findall(r" (?:GLOBAL|WEAK) +DEFAULT +UND (\w+)$", done, re.M)
    ours = ("ds_", "dynoscale_")
    is_musl = "libc.so.6" not in tools.run(["readelf", "-d", "-W", str(library)])
    stray = [name for name in names if name.startswith(ours if is_musl else interpreters) == is_musl]
    if stray:
        raise SystemExit(f"{library}: nobody defines {', '.join(stray)}")
