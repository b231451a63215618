"""What the container file says, done in chroots, since there is no container engine here: each RUN and
COPY of both stages in a new Debian, then the CMD as its USER, with a root that can't be written to."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from typing import Dict, Iterator, List, NamedTuple, Tuple

import pytest
from test_deb import ROOT, copy_sources, done

import chroot

FILE = ROOT / "service" / "dist" / "Containerfile"
# Root becomes unwritable, as with --read-only; the volume and /tmp are not a part of it.
RUN = """
mount --bind / /mnt
mount -t tmpfs -o mode=700,uid={uid},gid={gid} none /mnt{volume}
mount -t tmpfs none /mnt/tmp
mount --bind /proc /mnt/proc
mount -o remount,ro,bind /mnt
exec chroot /mnt setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs --bounding-set=-all \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin {environment} sh -c {script}
"""
TRY = """
! touch /usr/anything 2>/dev/null || exit 1
{command} >/tmp/log 2>&1 & service=$!
for try in $(seq 600); do grep -q 'has started' /tmp/log && break; kill -0 $service || break; sleep 0.1; done
cat /tmp/log; dynoscaled app add shop --zone UTC && dynoscaled doctor; kill $service; wait $service
"""


class Stage(NamedTuple):
    machine: chroot.Chroot
    settings: Dict[str, str]  # USER, CMD, VOLUME
    environment: List[str]


def instructions() -> List[Tuple[str, str]]:
    text = re.sub(r"(?m)^#.*\n", "", FILE.read_text()).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def copy(rest: str, stage: Stage, stages: Dict[str, Stage]) -> None:
    words = rest.split()
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0)[len("--from=") :]].machine.root
    name, to = words
    target = stage.machine.root / to.lstrip("/")
    if name == ".":
        copy_sources(target)
    elif (source / name.lstrip("/")).is_dir():
        shutil.copytree(source / name.lstrip("/"), target)
    else:
        shutil.copy(source / name.lstrip("/"), target)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if reason := chroot.missing():
        pytest.skip(reason)
    stages: Dict[str, Stage] = {}
    last = None
    try:
        for word, rest in instructions():
            if word == "FROM":
                release = re.match(r"debian:(\w+)-slim( AS (\w+))?$", rest)
                assert release, rest
                name = release.group(3) or "last"
                machine = chroot.Chroot(release.group(1), tmp_path_factory.mktemp(name) / "root").__enter__()
                last = stages[name] = Stage(machine, {}, [])
            assert last
            if word == "RUN":
                # What npm brings is copied; the rest is as it is written.
                done(last.machine, rest.replace(" npm ", " "))
            elif word == "COPY":
                copy(rest, last, stages)
            elif word == "ENV":
                last.environment.extend(rest.split())
            elif word != "FROM":
                last.settings[word] = rest
        assert last
        yield last
    except OSError as error:
        pytest.skip(str(error))
    finally:
        for stage in stages.values():
            stage.machine.remove()


def inside(image: Stage, script: str) -> str:
    uid, _, gid = image.settings["USER"].partition(":")
    assert int(uid) > 0 and int(gid) > 0
    values = {"uid": uid, "gid": gid, "volume": image.settings["VOLUME"], "script": shlex.quote(script)}
    return done(image.machine, RUN.format(environment=" ".join(map(shlex.quote, image.environment)), **values))


def test_it_runs_as_its_user_on_a_root_that_can_not_be_written_to(image: Stage) -> None:
    said = inside(image, TRY.format(command=shlex.join(json.loads(image.settings["CMD"]))))
    assert "DYNOSCALE_URL=" in said
    assert re.search(r"^ok +service +it runs", said, re.MULTILINE) or "first tick" in said
    assert re.search(r"^ok +folder +/data", said, re.MULTILINE)


def test_it_is_small_and_leaves_out_what_building_took(image: Stage) -> None:
    size = int(done(image.machine, "du -sxm --exclude=/proc / | cut -f1").splitlines()[-1])
    # Debian's own slim image is 75 MB, without the manuals that these chroots have.
    assert size < 400
    assert "none" in done(image.machine, "command -v gcc npm python3 || echo none")


def test_what_heroku_starts_is_in_it(image: Stage) -> None:
    heroku = (ROOT / "heroku.yml").read_text()
    assert "web: service/dist/Containerfile" in heroku
    command = re.search(r"(?m)^run:\n  web: (\S+)$", heroku)
    assert command and command.group(1) in done(image.machine, "ls /usr/bin")
