"""Files of Debian's packages, of any release and architecture, without installing them: fetched by
apt, with lists of its own, so that neither root nor this machine's sources are touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import List

import tools

MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
FETCHED = tools.BUILD / "debian"


def unpacked(release: str, architecture: str, packages: List[str]) -> Path:
    """A folder with the files of the packages, without those that they depend on. Kept."""
    folder = FETCHED / f"{release}-{architecture}"
    for package in packages:
        mark = folder / f".{package}"
        if not mark.exists():
            unpack(release, architecture, package, folder)
            mark.touch()
    return folder


def is_reachable() -> bool:
    return shutil.which("apt-get") is not None and Path(KEYS).exists()


def unpack(release: str, architecture: str, package: str, folder: Path) -> None:
    downloads = folder.with_suffix(".debs")
    downloads.mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-qq", *options(release, architecture)]
    tools.run([*apt, "download", package], cwd=downloads)
    (archive,) = downloads.glob(f"{package}_*.deb")
    folder.mkdir(exist_ok=True)
    tools.run(["dpkg-deb", "-x", str(archive), str(folder)])


def options(release: str, architecture: str) -> List[str]:
    """apt's, for a folder of its own, which is made and filled with the release's lists."""
    state = FETCHED / f"{release}-{architecture}.apt"
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "Dir::State": f"{state}/state",
        "Dir::State::status": f"{state}/status",
        "Dir::Cache": f"{state}/cache",
        "Dir::Etc::sourcelist": f"{state}/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": "-",
        "APT::Sandbox::User": "",
    }
    flags = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    if not (state / "status").exists():
        for name in ("state/lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        source = f"deb [signed-by={KEYS}] {MIRROR} {release} main\n"
        (state / "sources.list").write_text(source, encoding="utf-8")
        (state / "status").touch()
        try:
            tools.run(["apt-get", "-qq", *flags, "update"])
        except SystemExit:
            (state / "status").unlink()
            raise
    return flags
