"""Clients that nobody here wrote check the false Kubernetes: kubectl from Debian, and `kubernetes`
from PyPI. `make test-kubernetes-clients` fetches both and runs this; where one is missing, its tests
skip."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from certificates import Certificates, make_certificates  # noqa: E402
from platform_apis import Kubernetes  # noqa: E402

PYTHON = ROOT / "build" / "kubernetes-clients" / "bin" / "python"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


@pytest.fixture
def kubernetes(certificates: Certificates) -> Iterator[Kubernetes]:
    false = Kubernetes(strict=False).start(tls=certificates.valid)
    false.place("shop", 2)
    false.place("queue", 1)
    false.kinds["queue"] = "statefulsets"
    yield false
    false.stop()
    assert false.violations == []


Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def kubectl(kubernetes: Kubernetes, certificates: Certificates, tmp_path: Path) -> Kubectl:
    program = shutil.which("kubectl")
    if not program:
        pytest.skip("there is no kubectl: apt-get install kubernetes-client")

    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [
            str(program), "--kubeconfig=/dev/null", f"--server={kubernetes.url}", f"--token={kubernetes.token}",
            f"--certificate-authority={certificates.authority}", f"--cache-dir={tmp_path / 'cache'}",
            f"--namespace={kubernetes.name_space}", *arguments,
        ]  # fmt: skip
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300)

    return run


def test_kubectl_shows_and_scales(kubernetes: Kubernetes, kubectl: Kubectl) -> None:
    def shown(name: str) -> str:
        return kubectl("get", name, "-o", "jsonpath={.spec.replicas}").stdout

    assert kubectl("scale", "deployment/shop", "--replicas=3").returncode == 0
    assert kubernetes.quantity("shop") == 3 and shown("deployment/shop") == "3"
    assert kubectl("scale", "statefulset/queue", "--current-replicas=1", "--replicas=2").returncode == 0
    assert kubernetes.quantity("queue") == 2 and shown("statefulset/queue") == "2"
    late = kubectl("scale", "deployment/shop", "--resource-version=1", "--replicas=5")
    assert late.returncode != 0 and "resource version" in late.stderr
    assert kubectl("scale", "deployment/none", "--replicas=1").returncode != 0
    assert (kubernetes.quantity("shop"), kubernetes.quantity("queue")) == (3, 2)


def json_patch(*operations: Tuple[str, int]) -> str:
    return json.dumps([{"op": op, "path": "/spec/replicas", "value": value} for op, value in operations])


def test_kubectl_sends_json_patches(kubernetes: Kubernetes, kubectl: Kubectl) -> None:
    patch = ("patch", "deployment/shop", "--type=json", "-p")
    assert kubectl(*patch, json_patch(("test", 2), ("replace", 4))).returncode == 0
    assert kubernetes.quantity("shop") == 4
    late = kubectl(*patch, json_patch(("test", 2), ("replace", 9)))
    assert late.returncode != 0 and "invalid" in late.stderr and kubernetes.quantity("shop") == 4
    if "--subresource" in kubectl("patch", "--help").stdout:  # from 1.24
        scale = (*patch[:2], "--subresource=scale", *patch[2:])
        assert kubectl(*scale, json_patch(("replace", 5))).returncode == 0
        assert kubernetes.quantity("shop") == 5


def test_kubectl_reads_the_schema(kubernetes: Kubernetes, kubectl: Kubectl) -> None:
    if "--subresource" not in kubectl("patch", "--help").stdout:
        pytest.skip("this kubectl asks for OpenAPI 2 as protobuf, which the false Kubernetes has not")
    explained = kubectl("explain", "deployment.spec.replicas").stdout
    assert "FIELD: replicas <integer>" in explained and "desired pods" in explained
    labels = {"app": "shop"}
    spec: Dict[str, Any] = {
        "replicas": 3, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop"}]}},
    }  # fmt: skip
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}
    applied = kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert applied.returncode == 0 and kubernetes.quantity("shop") == 3, applied.stderr
    spec["replicaz"] = 7
    wrong = kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert wrong.returncode != 0 and 'unknown field "spec.replicaz"' in wrong.stderr
    assert kubernetes.quantity("shop") == 3


SCRIPT = """
import sys
from kubernetes import client
url, token, authority = sys.argv[1:]
settings = client.Configuration(host=url)
settings.api_key, settings.ssl_ca_cert = {"authorization": "Bearer " + token}, authority
apps = client.AppsV1Api(client.ApiClient(settings))
assert apps.read_namespaced_deployment("shop", "prod").spec.replicas == 2
read = apps.read_namespaced_deployment_scale("shop", "prod")
assert (read.spec.replicas, read.status.selector) == (2, "app=shop")
patch = {"metadata": {"resourceVersion": read.metadata.resource_version}, "spec": {"replicas": 4}}
assert apps.patch_namespaced_deployment_scale("shop", "prod", patch).spec.replicas == 4
read.spec.replicas = 9  # of the version before
try:
    apps.replace_namespaced_deployment_scale("shop", "prod", read)
except client.ApiException as refused:
    assert (refused.status, refused.reason) == (409, "Conflict")
else:
    raise AssertionError("an old version was taken")
read = apps.read_namespaced_deployment_scale("shop", "prod")
read.spec.replicas = 5
assert apps.replace_namespaced_deployment_scale("shop", "prod", read).spec.replicas == 5
assert apps.read_namespaced_stateful_set("queue", "prod").kind == "StatefulSet"
apps.patch_namespaced_stateful_set_scale("queue", "prod", {"spec": {"replicas": 2}})
def steps(number):  # as a list, the client sends a JSON Patch
    return [{"op": op, "path": "/spec/replicas", "value": value} for op, value in (("test", number), ("replace", 6))]
assert apps.patch_namespaced_deployment_scale("shop", "prod", steps(5)).spec.replicas == 6
try:
    apps.patch_namespaced_deployment_scale("shop", "prod", steps(5))
except client.ApiException as refused:
    assert refused.status == 422
else:
    raise AssertionError("a test that does not hold was passed over")
"""


def test_the_python_client_reads_patches_and_replaces_scales(
    kubernetes: Kubernetes, certificates: Certificates
) -> None:
    if not PYTHON.exists():
        pytest.skip(f"there is no {PYTHON}: `make test-kubernetes-clients` fetches it")
    command = [str(PYTHON), "-c", SCRIPT, kubernetes.url, kubernetes.token, certificates.authority]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert (kubernetes.quantity("shop"), kubernetes.quantity("queue")) == (6, 2)
