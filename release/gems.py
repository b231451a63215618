"""The precompiled gems, cross-compiled: one for each processor, with a library for each Ruby whose
headers are there, for glibc and for musl. The source gem serves everyone else.

    python3 release/gems.py [--ruby 3.3] [--to FOLDER]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Dict, List

import headers
import tools
import zig

BINDING = sorted((tools.ROOT / "ext" / "ruby").glob("*.c"))
DEBIANS = {"x86_64": "amd64", "aarch64": "arm64"}
RUBY = os.environ.get("RUBY", "ruby")
# What the gemspec reads or names beside ruby/.
ALONGSIDE = ["CHANGELOG.md", "LICENSE", "README.md", "dynoscale_ruby.gemspec"]
ALONGSIDE += ["core/include/dynoscale.h"]


def libraries(cpu: str, versions: List[str]) -> Dict[str, bytes]:
    """By their places below ruby/lib/dynoscale_ruby, where version.rb looks for them."""
    made = {}
    for target in zig.TARGETS:
        if target.cpu != cpu or target.system == "macos":
            continue
        compiler = zig.Compiler(target)
        for version in versions:
            output = compiler.folder / f"ruby{version}" / "dynoscale_ruby.so"
            includes = headers.ruby(version, DEBIANS[cpu]) or []
            flags = ["-std=gnu11", *[f"-isystem{path}" for path in includes]]
            compiler.library(f"ruby{version}", BINDING, flags, output)
            zig.check_defined(output, ("rb_", "ruby_"))
            made[f"{target.system}/{version}/dynoscale_ruby.so"] = output.read_bytes()
    return made


def build(cpu: str, versions: List[str], to: Path) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        gem = made_in(Path(folder), cpu, versions)
        to.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(gem, to))


def made_in(folder: Path, cpu: str, versions: List[str]) -> Path:
    """The gem, made by the gemspec from a folder that has nothing but what is to be in it."""
    ignored = shutil.ignore_patterns("*.so", "*.bundle")
    shutil.copytree(tools.ROOT / "ruby", folder / "ruby", ignore=ignored)
    (folder / "core" / "include").mkdir(parents=True)
    for name in ALONGSIDE:
        shutil.copy(tools.ROOT / name, folder / name)
    for place, library in libraries(cpu, versions).items():
        path = folder / "ruby" / "lib" / "dynoscale_ruby" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(library)
    # The gemspec takes the platform from the environment, and the Rubies from what it finds.
    variables = {"DYNOSCALE_GEM_PLATFORM": f"{cpu}-linux", "SOURCE_DATE_EPOCH": "315619200"}
    said = tools.run(
        [RUBY, "-S", "gem", "build", "--strict", "dynoscale_ruby.gemspec"],
        cwd=folder,
        env={**os.environ, **variables},
    )
    (gem,) = folder.glob("*.gem")
    if "WARNING" in said:
        raise SystemExit(said)
    return gem


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds the precompiled gems.")
    parser.add_argument("--to", type=Path, default=tools.ROOT / "build" / "packages")
    parser.add_argument("--ruby", action="append", choices=headers.RUBIES, metavar="VERSION")
    options = parser.parse_args()
    versions = options.ruby or [*headers.RUBIES]
    if headers.ruby(versions[0], "amd64") is None:
        raise SystemExit("Ruby's headers are Debian's: this needs apt-get and a mirror of Debian")
    for cpu in DEBIANS:
        print(f"{build(cpu, versions, options.to).name} for Ruby {', '.join(versions)}", flush=True)


if __name__ == "__main__":
    main()
