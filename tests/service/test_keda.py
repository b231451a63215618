"""KEDA, by its documentation: the ScaledObject of docs/platforms.md is read strictly, and the service asked and
obeyed as KEDA's metrics-api scaler and the HorizontalPodAutoscaler do. What is inferred stands in that page."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import pytest
import yaml
from conftest import Started
from dynoscaled import Command, report, wait_for
from service import Service

PAGE = Path(__file__).resolve().parents[2] / "docs/platforms.md"
KINDS = ("Secret", "TriggerAuthentication", "ScaledObject")
HPA_S, COOLDOWN_S, TOLERANCE = 15, 300, 0.1


def manifests() -> Dict[str, Any]:
    """By kind, the block of YAML in the page that has a ScaledObject."""
    (block,) = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "ScaledObject" in text]
    found = {one["kind"]: one for one in yaml.safe_load_all(block)}
    assert set(found) == set(KINDS)
    return found


def only(given: Dict[str, Any], known: Set[str]) -> Dict[str, Any]:
    assert set(given) <= known, set(given) - known
    return given


class Keda:
    """One ScaledObject and the replicas of what it scales. Time passes by `sync` alone, 15 s each."""

    def __init__(self, service: Service, token: str, **changes: Any) -> None:
        found = manifests()
        spec = only(found["ScaledObject"]["spec"], {"scaleTargetRef", "pollingInterval", "minReplicaCount",
                    "maxReplicaCount", "fallback", "advanced", "triggers"})  # fmt: skip
        (trigger,) = spec["triggers"]
        only(trigger, {"type", "metricType", "metadata", "authenticationRef"})
        assert (trigger["type"], trigger["metricType"]) == ("metrics-api", "AverageValue")
        metadata = only(trigger["metadata"], {"url", "valueLocation", "targetValue", "activationTargetValue", "authMode"})
        assert all(isinstance(value, str) for value in metadata.values()), "KEDA takes texts alone"
        self.service, self.path = service, metadata["url"].replace("https://dynoscale.example.com", "")
        assert self.path.startswith("/api/v1/")
        self.location, self.target = metadata["valueLocation"], float(metadata["targetValue"])
        self.activation = float(metadata.get("activationTargetValue", "0"))
        self.token = self.find_token(found, trigger, metadata, token)
        self.least = int(changes.get("least", spec.get("minReplicaCount", 0)))
        self.most, self.fallback = int(spec.get("maxReplicaCount", 100)), spec["fallback"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behavior["scaleUp"] == {"stabilizationWindowSeconds": 0}  # and the usual policies
        down = only(behavior["scaleDown"], {"stabilizationWindowSeconds", "policies"})
        assert down["stabilizationWindowSeconds"] == 0, "no further wait than that of the rules"
        assert down["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]
        self.replicas, self.failures, self.idle_s = int(changes.get("replicas", 1)), 0, 0

    @staticmethod
    def find_token(found: Dict[str, Any], trigger: Any, metadata: Any, token: str) -> str:
        """The way from the trigger to the secret's text."""
        authentication, secret = found["TriggerAuthentication"], found["Secret"]
        assert metadata["authMode"] == "bearer" and trigger["authenticationRef"] == {
            "name": authentication["metadata"]["name"]
        }
        (reference,) = authentication["spec"]["secretTargetRef"]
        assert reference == {"parameter": "token", "name": secret["metadata"]["name"], "key": "token"}
        names = {one["metadata"]["namespace"] for one in found.values()}
        assert len(names) == 1, "all of it is in one namespace"
        return str(secret["stringData"][reference["key"]]).replace("THE-TOKEN", token)

    def ask(self) -> Optional[float]:
        """The value; None where KEDA takes the answer for an error."""
        try:
            answer = self.service.get(self.path, {"Authorization": f"Bearer {self.token}"})
        except OSError:
            return None
        if answer.status != 200:
            return None
        value = json.loads(answer.text)
        for part in self.location.split("."):
            value = value[part]
        assert isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value)

    def sync(self) -> int:
        value = self.ask()
        self.failures = 0 if value is not None else self.failures + 1
        if self.replicas == 0:  # KEDA alone goes from 0, and an error is no reason to
            self.replicas = max(self.least, 1) if value is not None and value > self.activation else 0
            return self.replicas
        self.idle_s = self.idle_s + HPA_S if value is not None and value <= self.activation else 0
        if self.least == 0 and self.idle_s >= COOLDOWN_S:
            self.replicas = 0
            return 0
        if value is None and self.failures >= self.fallback["failureThreshold"]:
            value = self.fallback["replicas"] * self.target
        if value is not None:
            self.autoscale(value)
        return self.replicas

    def autoscale(self, value: float) -> None:
        """HorizontalPodAutoscaler, an external metric of the type AverageValue."""
        if abs(value / (self.target * self.replicas) - 1) <= TOLERANCE:
            return
        wanted = min(max(math.ceil(value / self.target), self.least, 1), self.most)
        self.replicas = min(wanted, self.replicas + max(4, self.replicas))

    def reaches(self, number: int) -> None:
        wait_for(lambda: self.sync() == number, f"{number} replicas")


class World:
    def __init__(self, service: Service) -> None:
        self.service, self.command = service, Command(service.data)
        self.url = self.command.json("app", "add", "shop")["report_url"]
        self.command.done("platform", "set", "shop", "pull")
        self.token = self.command.json("token", "add", "--scope", "read", "--app", "shop", "--name", "keda")["token"]

    def rules(self, least: int, most: int, scaling: str = "on") -> None:
        rule = f"{{name: default, dynos: {{min: {least}, max: {most}}}, window: 10, up: {{step: 3, wait: 1}}}}"
        text = f"processes:\n  web: {{scaling: {scaling}, rules: [{rule}]}}\n"
        self.command.done("rules", "put", "shop", "-", stdin=text)

    def slow(self) -> None:
        now = int(time.time())
        rows = [(now - 1, 500, "web")] * 5 + [(now, 500, "web")] * 5
        assert report(self.service, self.url, rows).status == 200

    def shown(self) -> Any:
        return self.command.json("platform", "show", "shop")


@pytest.fixture
def world(serve: Started) -> World:
    return World(serve("--tick-s", "1"))


def test_keda_runs_as_many_as_the_rules_want(world: World) -> None:
    keda = Keda(world.service, world.token)
    world.rules(2, 5)
    keda.reaches(2)

    def more() -> bool:
        world.slow()
        return keda.sync() == 5

    wait_for(more, "slow requests add 3")
    world.rules(1, 3)
    keda.reaches(3)
    # Off: what would be done is shown, and the number stays.
    world.rules(4, 4, scaling="off")
    before = world.service.metric("ticks_total")
    wait_for(lambda: world.service.metric("ticks_total") >= before + 2, "two ticks")
    assert keda.sync() == 3
    (health,) = world.shown()["health"]
    assert (health["ordered"], health["trouble"]) == (3, None)
    assert world.command.json("platform", "test", "shop")["test"] == [
        {"process": "web", "result": "ok", "ordered": 3, "trouble": None}
    ]


def test_a_service_that_is_away_is_stood_in_for_and_goes_on_where_it_was(world: World) -> None:
    keda = Keda(world.service, world.token)
    world.rules(2, 5)
    keda.reaches(2)
    world.service.stop()
    assert [keda.sync() for _ in range(keda.fallback["failureThreshold"] - 1)][-1] == 2
    assert keda.sync() == keda.fallback["replicas"] == 4
    world.service.start()
    keda.reaches(2)
    log = world.service.printed
    assert "somebody else" not in log and "were not ordered" not in log, log


def test_from_0_and_to_0(world: World) -> None:
    keda = Keda(world.service, world.token, least=0)
    world.rules(0, 0)
    keda.reaches(0)
    world.rules(1, 5)
    keda.reaches(1)


def test_a_token_of_another_app_or_none_is_an_error_and_changes_nothing(world: World) -> None:
    world.rules(3, 5)
    Keda(world.service, world.token).reaches(3)
    world.command.done("app", "add", "other")
    other = world.command.json("token", "add", "--scope", "read", "--app", "other", "--name", "keda")["token"]
    for token in (other, "", "x"):
        keda = Keda(world.service, token)
        assert (keda.sync(), keda.failures) == (1, 1)


def test_a_step_of_one_above_ten_replicas_is_within_kubernetes_tolerance(world: World) -> None:
    """As the page says."""
    reached: List[int] = []
    for replicas, value in ((9, 10), (10, 11), (10, 12), (2, 10), (10, 2)):
        keda = Keda(world.service, world.token, replicas=replicas)
        keda.autoscale(value)
        reached.append(keda.replicas)
    assert reached == [10, 10, 10, 6, 2]


def test_pull_takes_no_settings_and_no_secret(world: World) -> None:
    done = world.command("platform", "set", "shop", "pull", "web=shop")
    assert done.returncode == 1 and "no settings and no secret" in done.stderr
    done = world.command("platform", "set", "shop", "pull", "--secret-stdin", stdin="a-secret\n")
    assert done.returncode == 1 and "no settings and no secret" in done.stderr
