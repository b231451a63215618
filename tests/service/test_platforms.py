"""The smaller platforms: one real service on all their false APIs, with an app for each case.

A platform is read each 10 seconds, so the cases pass side by side and each test waits for its own.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import pytest

from certificates import make_certificates
from conftest import use_database
from dynoscaled import Command, forms, of_processes, wait_for
from platform_apis import Api, Ecs, Fly, Kubernetes, Railway, Render, Scalingo
from service import Service

CASES = ("plain", "lost", "denied", "fails", "busy", "locked", "hand")


class Kind(NamedTuple):
    api: Api
    arguments: List[str]  # of `platform set`, with {name} for the object
    lock: Dict[str, Any]  # how an order is answered while something else holds the app; {}: it can't be
    denied: Dict[str, Any] = {"status": 403}
    busy: Dict[str, Any] = {"status": 429}
    orders: int = 1  # calls that three dynos from one take


NOT_AUTHORIZED = {"status": 200, "body": {"errors": [{"message": "Not Authorized"}]}}
DENIED = {"status": 400, "body": {"__type": "com.amazonaws#AccessDeniedException", "Message": "no"}}
THROTTLED = {"status": 400, "body": {"__type": "ThrottlingException", "message": "Rate exceeded"}}
SCALING = {"status": 422, "body": {"error": "the application is scaling"}, "times": 1}


def make_kinds() -> Dict[str, Kind]:
    kubernetes, render, fly, scalingo, railway, ecs = (
        kind().start() for kind in (Kubernetes, Render, Fly, Scalingo, Railway, Ecs)
    )
    return {
        "kubernetes": Kind(
            kubernetes,
            ["web={name}", "--namespace", "prod", "--server", kubernetes.url],
            {"status": 409, "times": 3},
        ),
        "render": Kind(render, ["web=srv-{name}", "--api", render.url], {"status": 409, "times": 1}),
        "fly": Kind(
            fly, ["web={name}", "--app", "shop", "--api", fly.url], {"status": 409, "times": 1}, orders=2
        ),
        "scalingo": Kind(
            scalingo, ["web={name}", "--app", "shop", "--api", scalingo.url, "--auth", scalingo.url], SCALING
        ),
        "railway": Kind(
            railway,
            ["web={name}", "--environment", Railway.environment, "--api", railway.url],
            {},
            denied=NOT_AUTHORIZED,
        ),
        "ecs": Kind(
            ecs,
            ["web={name}", "--region", Ecs.region, "--cluster", Ecs.cluster, "--api", ecs.url],
            {},
            denied=DENIED,
            busy=THROTTLED,
        ),
    }


KINDS = ["kubernetes", "render", "fly", "scalingo", "railway", "ecs"]


class World:
    ticks_total = 0.0  # once all are connected

    def __init__(self, folder: Path) -> None:
        self.kinds = make_kinds()
        self.certificates = make_certificates(folder)
        self.own = self.start_own(folder)
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.own.port),
               "DYNOSCALED_KUBERNETES_ACCOUNT": str(folder / "account")}  # fmt: skip
        self.service = Service(folder, "--tick-s", "1", "--private-platforms", env=env)
        use_database(self.service.data)
        self.command = Command(self.service.data)

    def start_own(self, folder: Path) -> Kubernetes:
        """The cluster that the service itself runs in, with its service account's files."""
        account = folder / "account"
        account.mkdir()
        (account / "token").write_text(Kubernetes.token + "\n")
        (account / "namespace").write_text("prod")
        (account / "ca.crt").write_text(Path(self.certificates.authority).read_text())
        own: Kubernetes = Kubernetes().start(tls=self.certificates.valid)
        for name in ("shop", "queue"):
            own.place(name, 1)
        own.kinds["queue"] = "statefulsets"
        return own

    def set(self, app: str, kind: str, *arguments: str, secret: str = "") -> Any:
        more = ["--secret-stdin"] if secret else []
        return self.command("platform", "set", app, kind, *arguments, *more, stdin=secret)

    def rules(self, app: str, least: int, most: int = 20) -> None:
        path = self.service.data / "rules.yaml"
        range_ = f"{{scaling: on, rules: [{{name: default, dynos: {{min: {least}, max: {most}}}}}]}}"
        path.write_text(f"processes:\n  web: {range_}\n")
        self.command.done("rules", "put", app, str(path))

    def add(self, app: str, kind: str, *arguments: str, secret: str = "", least: int = 3) -> None:
        self.command.done("app", "add", app)
        self.rules(app, least)
        done = self.set(app, kind, *arguments, secret=secret)
        assert done.returncode == 0, (done.stdout, done.stderr)

    def connect(self, kind: str, case: str) -> None:
        one, name = self.kinds[kind], f"{kind}-{case}"
        one.api.place(name, 1)
        headers = {"Retry-After": "1"}
        behaviour: Dict[str, Dict[str, Any]] = {
            "lost": {"drop": True, "times": 1}, "denied": one.denied,
            "fails": {"status": 503, "times": 1}, "busy": {**one.busy, "times": 1, "headers": headers},
            "locked": one.lock,
        }  # fmt: skip
        if behaviour.get(case):
            one.api.behave("set", name, **behaviour[case])
        arguments = [part.format(name=name) for part in one.arguments]
        self.add(name, kind, *arguments, secret=one.api.token, least=1 if case == "hand" else 3)

    def health(self, app: str) -> Dict[str, Any]:
        shown = self.command.json("platform", "show", app)
        found: Dict[str, Any] = shown["health"][0]
        return found

    def says(self, pattern: str) -> None:
        wait_for(lambda: re.search(pattern, self.service.log), f"{pattern!r} in {self.service.log[-3000:]}")

    def settled(self, app: str, number: int) -> None:
        """The service knows that so many run, and has no trouble."""
        wait_for(
            lambda: (h := self.health(app))["ordered"] == number and h["trouble"] is None,
            f"{number} of {app}: {self.health(app)}",
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("platforms"))
    with made.service:
        made.service.start()
        for kind in made.kinds:
            for case in CASES:
                made.connect(kind, case)
        made.ticks_total = made.service.metric("ticks_total")
        made.add("own", "kubernetes", "web=shop")
        made.add("own-set", "kubernetes", "web=statefulset/queue", least=2)
        yield made
    for api in [made.own, *(one.api for one in made.kinds.values())]:
        api.stop()
        assert api.violations == []
    log = made.service.log  # of a service that was built with a sanitizer and named by TEST_DYNOSCALED
    assert "Sanitizer" not in log and "runtime error" not in log, log


each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_an_order_is_one_absolute_number_and_is_not_repeated(world: World, kind: str) -> None:
    api, name = world.kinds[kind].api, f"{kind}-plain"
    wait_for(lambda: api.quantity(name) == 3, "three dynos")
    world.settled(name, 3)
    assert api.asked("set", name) <= world.kinds[kind].orders


@each_kind
def test_an_order_whose_answer_is_lost_ends_with_the_right_number(world: World, kind: str) -> None:
    api, name = world.kinds[kind].api, f"{kind}-lost"
    wait_for(lambda: api.quantity(name) == 3, "three dynos")
    world.settled(name, 3)
    assert api.asked("set", name) <= world.kinds[kind].orders + 1


@each_kind
def test_a_refusal_is_told_and_waits_for_a_person(world: World, kind: str) -> None:
    api, name = world.kinds[kind].api, f"{kind}-denied"
    world.says(rf"{name} web: 3 dynos were not ordered: .*may not do this")
    wait_for(lambda: world.service.metric("ticks_total") >= world.ticks_total + 6, "ticks")
    assert api.quantity(name) == 1 and api.asked("set", name) == 1


@each_kind
def test_what_passes_is_told_and_the_order_made_again(world: World, kind: str) -> None:
    told = {"fails": "trouble of its own", "busy": "rate limit", "locked": "another change holds"}
    if not world.kinds[kind].lock:
        del told["locked"]
    for case, sentence in told.items():
        world.says(rf"{kind}-{case} web: 3 dynos were not ordered: .*{sentence}")
    api = world.kinds[kind].api
    for case in told:
        wait_for(lambda: api.quantity(f"{kind}-{case}") == 3, f"three dynos of {case}")
        world.settled(f"{kind}-{case}", 3)
        assert api.asked("set", f"{kind}-{case}") <= 3 + world.kinds[kind].orders, case


def test_a_person_who_scales_by_hand_is_adopted(world: World) -> None:
    names = {f"{kind}-hand": one.api for kind, one in world.kinds.items()}
    for name, api in names.items():
        world.settled(name, 1)
        api.change(name, 5)
    for name, api in names.items():
        world.settled(name, 5)
        world.says(rf"{name} web: somebody else changed the dynos: 1 → 5")
        assert api.asked("set", name) == 0


@each_kind
def test_a_credential_that_is_refused_is_not_set(world: World, kind: str) -> None:
    arguments = [part.format(name=f"{kind}-plain") for part in world.kinds[kind].arguments]
    world.command.done("app", "add", f"{kind}-wrong")
    done = world.set(f"{kind}-wrong", kind, *arguments, secret="AKID:of-somebody-else-0123456789")
    assert done.returncode == 1 and "refuses the credential" in done.stderr, done.stderr
    assert world.command("platform", "show", f"{kind}-wrong").returncode == 1


@each_kind
def test_no_credential_is_in_a_log_or_an_answer(world: World, kind: str) -> None:
    shown = world.command.done("platform", "show", f"{kind}-plain", "--json")
    shown += world.command.done("export", f"{kind}-plain")
    assert world.kinds[kind].api.token.split(":")[-1] not in shown + world.service.log


def test_no_credential_of_any_platform_is_in_a_file_an_argument_or_an_environment(world: World) -> None:
    """Nor what one was exchanged for; in the database as it is while the service runs."""
    secrets = {kind: one.api.token.split(":")[-1] for kind, one in world.kinds.items()}
    secrets["Scalingo's bearer token"] = "bearer-of-the-tests"
    world.settled("scalingo-plain", 3)  # it was exchanged
    written = {str(path): path.read_bytes() for path in world.service.data.rglob("*") if path.is_file()}
    assert any(b"scalingo-plain" in text for text in written.values()) or "TEST_DATABASE" in os.environ
    for where, text in {**written, **of_processes(world.service)}.items():
        for name, secret in secrets.items():
            assert not [form for form in forms(secret) if form in text], (name, where)


@each_kind
def test_a_kept_credential_is_not_sent_to_another_address(world: World, kind: str) -> None:
    other = type(world.kinds[kind].api)().start()
    other.place("x", 1)  # what it would find with the credential
    arguments = [part.format(name="x").replace(world.kinds[kind].api.url, other.url)
                 for part in world.kinds[kind].arguments]  # fmt: skip
    done = world.set(f"{kind}-plain", kind, *arguments)
    other.stop()
    assert done.returncode != 0
    assert not other.calls and world.kinds[kind].api.token not in str(other.violations)


# ---- Kubernetes


def test_a_service_in_a_cluster_scales_as_its_own_account(world: World) -> None:
    wait_for(lambda: (world.own.quantity("shop"), world.own.quantity("queue")) == (3, 2), "both")
    world.settled("own", 3)
    shown = world.command.json("platform", "show", "own")
    assert shown["has_secret"] is False and shown["settings"] == {"processes": {"web": "shop"}}


def test_a_server_of_another_authority_is_not_told_the_token(world: World, tmp_path: Path) -> None:
    own = str(tmp_path)
    other = make_certificates(own).authority
    world.command.done("app", "add", "authority")
    arguments = ["web=shop", "--namespace", "prod", "--server", world.own.url]
    refused = world.set("authority", "kubernetes", *arguments, "--ca-file", other, secret=Kubernetes.token)
    assert "certificate" in refused.stdout, refused
    right = ["--ca-file", world.certificates.authority]
    done = world.set("authority", "kubernetes", *arguments, *right, secret=Kubernetes.token)
    assert done.returncode == 0, done.stderr


def test_a_scale_that_only_changed_its_version_is_patched_again_at_once(world: World) -> None:
    api = world.kinds["kubernetes"].api
    assert isinstance(api, Kubernetes)
    api.place("versions", 1)
    touch = api.touch
    api.behave("scale", "versions", times=1, after=lambda: touch("versions"))
    arguments = ["--namespace", "prod", "--server", api.url]
    world.add("versions", "kubernetes", "web=versions", *arguments, secret=api.token)
    wait_for(lambda: api.quantity("versions") == 3, "three")
    world.settled("versions", 3)
    assert api.asked("set", "versions") == 2
    assert "versions web: 3 dynos were not ordered" not in world.service.log


def test_a_number_that_somebody_sets_at_the_same_time_is_not_overwritten_unseen(world: World) -> None:
    api = world.kinds["kubernetes"].api
    api.place("race", 1)
    api.behave("scale", "race", times=1, after=lambda: api.change("race", 7))
    arguments = ["--namespace", "prod", "--server", api.url]
    world.add("race", "kubernetes", "web=race", *arguments, secret=api.token)
    world.says("race web: 3 dynos were not ordered: somebody else set deployment race of prod from 1 to 7")
    world.settled("race", 7)
    assert api.quantity("race") == 7


def test_pods_that_start_and_a_rollout_are_known(world: World) -> None:
    api = world.kinds["kubernetes"].api
    assert isinstance(api, Kubernetes)
    api.place("rollout", 4)
    api.ready["rollout"], api.updated["rollout"] = 1, 2
    arguments = ["web=rollout", "--namespace", "prod", "--server", api.url]
    world.add("rollout", "kubernetes", *arguments, secret=api.token)

    def situation() -> Dict[str, int]:
        shown = world.command("explain", "rollout", "web", "--json")
        return {one["name"]: one["value"] for one in json.loads(shown.stdout)["situation"]} if shown.stdout else {}

    wait_for(lambda: {"up": 1, "booting": 3}.items() <= situation().items(), f"pods: {situation()}")


WRONG = {
    "server must be given": (["web=shop"], True),
    "ca: is for a server": (["--ca-file", "{authority}"], False),
    "without ?, # and a /": (["--server", "https://cluster.example/"], True),
    "must be a name": (["web=a/b/c"], False),
    "no such setting": (["--region", "eu"], False),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_settings_of_kubernetes_that_are_wrong_are_told(world: World, sentence: str) -> None:
    arguments, secret = WRONG[sentence]
    filled = [part.format(authority=world.certificates.authority) for part in arguments]
    done = world.set("own", "kubernetes", *filled, secret="a-token" if secret else "")
    assert done.returncode != 0 and sentence.split(" ")[0] in done.stderr, done.stderr
    assert sentence in done.stderr.replace("server: must", "server must")


# ---- The others


def test_render_that_scales_by_itself_is_told_and_left_alone(world: World) -> None:
    api = world.kinds["render"].api
    assert isinstance(api, Render)
    api.place("auto", 1)
    api.autoscaled.append("auto")
    world.add("auto", "render", "web=srv-auto", "--api", api.url, secret=api.token)
    world.says("auto web: 3 dynos were not ordered: Render's own autoscaling of service srv-auto is on")
    assert api.asked("set", "auto") == 0


def test_what_fly_has_too_few_machines_for_is_a_limit(world: World) -> None:
    api = world.kinds["fly"].api
    api.place("few", 9)
    world.add("few", "fly", "web=few", "--app", "shop", "--api", api.url, secret=api.token, least=14)
    wait_for(lambda: api.quantity("few") == 10, "ten machines")
    world.settled("few", 10)
    assert api.asked("set", "few") == 1


def test_of_fly_s_machines_the_one_that_fails_is_stopped_first(world: World) -> None:
    api = world.kinds["fly"].api
    assert isinstance(api, Fly)
    api.place("idle", 3)
    api.group("idle")[1]["checks"] = [{"name": "http", "status": "critical"}]
    world.command.done("app", "add", "idle")
    path = world.service.data / "idle.yaml"
    path.write_text("processes:\n  web: {scaling: on, rules: [{name: default, dynos: {min: 1, max: 2}}]}\n")
    world.command.done("rules", "put", "idle", str(path))
    done = world.set("idle", "fly", "web=idle", "--app", "shop", "--api", api.url, secret=api.token)
    assert done.returncode == 0, done.stdout
    wait_for(lambda: api.quantity("idle") == 2, "two machines")
    assert [m["state"] for m in api.group("idle")[:3]] == ["started", "stopped", "started"]


@pytest.mark.parametrize(
    "wrong", [None, {}, {"id": 1}, {"state": None}, {"state": 2}, {"config": None}, {"config": "web"}]
)
def test_a_machine_of_fly_that_is_not_understood_is_not_counted_as_stopped(world: World, wrong: Any) -> None:
    api = world.kinds["fly"].api
    assert isinstance(api, Fly)
    name = f"odd{abs(hash(json.dumps(wrong)))}"
    api.place(name, 2)
    arguments = (f"web={name}", "--app", "shop", "--api", api.url)
    world.add(name, "fly", *arguments, secret=api.token, least=1)
    whole = api.group(name)[0]
    at = api.machines.index(whole)
    api.machines[at] = {**whole, **wrong} if wrong else wrong
    try:
        tried = world.command("platform", "test", name)
        assert tried.returncode == 1 and "does not say how many" in tried.stdout, tried.stdout
    finally:
        api.machines[at] = whole
    assert world.command("platform", "test", name).returncode == 0


def test_scalingo_s_token_is_exchanged_once_and_kept(world: World) -> None:
    api = world.kinds["scalingo"].api
    world.settled("scalingo-plain", 3)
    apps = len(CASES) + 2  # and those of the tests of credentials
    assert api.calls.count(("exchange", "")) <= apps
    assert "bearer-of-the-tests" not in world.service.log + world.command.done("export", "scalingo-plain")


def test_a_session_token_of_aws_is_signed_too(world: World) -> None:
    api = world.kinds["ecs"].api
    api.place("session", 1)
    arguments = ["web=session", "--region", Ecs.region, "--cluster", Ecs.cluster, "--api", api.url]
    world.add("session", "ecs", *arguments, secret=api.token + ":session-token")
    wait_for(lambda: api.quantity("session") == 3, "three tasks")


MISSING: Dict[str, Tuple[List[str], str]] = {
    "render": (["--api", "https://api.example"], "processes: must say"),
    "ecs": ([], "region: must be given"),
    "railway": (["web=x"], "environment: must be given"),
    "fly": (["web=a b"], "processes.web: must be a name"),
    "scalingo": (["--region", "a/b"], "region: must be a name"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_settings_that_are_missing_or_wrong_are_told(world: World, kind: str) -> None:
    arguments, sentence = MISSING[kind]
    done = world.set("own", kind, *arguments, secret="a:token")
    assert done.returncode != 0 and sentence in done.stderr, done.stderr
