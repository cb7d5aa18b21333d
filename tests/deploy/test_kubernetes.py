"""docs/kubernetes.md: its manifests against Kubernetes's schemas, and its Helm values
against the keys that the charts' templates read.

Neither chart has a schema of its own. The keys were read from the charts' templates:
Flagsmith/flagsmith-charts, 0.80.0 (`deployment-sse.yaml`, `ingress-sse.yaml`, its
values) and nats-io/k8s, 1.x.
"""

from typing import Any

import kubernetes_validate
import pytest
import yaml

import realtime
from tests.deploy.markdown import blocks
from tests.deploy.variables import unknown
from tests.support.service import ROOT

KUBERNETES = "1.36"
PROBE = {
    *("path", "failureThreshold", "initialDelaySeconds", "periodSeconds"),
    *("successThreshold", "timeoutSeconds"),
}
SSE = {
    *("enabled", "image", "replicaCount", "deploymentStrategy", "podAnnotations"),
    *("podLabels", "resources", "extraEnv", "extraEnvFromSecret", "nodeSelector"),
    *("tolerations", "affinity", "podSecurityContext", "defaultPodSecurityContext"),
    *("livenessProbe", "readinessProbe", "authenticationTokenFromExistingSecret"),
    *("shareProcessNamespace", "serviceAccountName", "extraInitContainers"),
    *("extraContainers", "extraVolumes", "volumeMounts", "extraSpec"),
    *("lifecycle", "terminationGracePeriodSeconds"),
}
IMAGE = {"repository", "tag", "imagePullPolicy", "imagePullSecrets"}
INGRESS = {"enabled", "ingressClassName", "annotations", "hosts", "tls"}
NATS = {"config", "promExporter", "podTemplate", "podDisruptionBudget", "container"}


def documents() -> list[Any]:
    """Every YAML document of the guide."""
    return [
        document
        for block in blocks("yaml")
        if block.document.name == "kubernetes.md"
        for document in yaml.safe_load_all(block.text)
    ]


MANIFESTS = [document for document in documents() if "apiVersion" in document]


def values(key: str) -> Any:
    """The Helm values that have `key` at their top, and only these."""
    [found] = [d for d in documents() if key in d and "apiVersion" not in d]
    return found


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: m["kind"])
def test_manifest__kubernetes_schema__valid(manifest: Any) -> None:
    # When / Then
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_manifest__with_a_mistake__refused_by_the_schema() -> None:
    # Given
    manifest = {**MANIFESTS[0], "spce": {}}
    # When / Then
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_flagsmith_values__keys__those_the_chart_reads() -> None:
    # Given
    sse = values("sse")["sse"]

    # Then
    assert sse.keys() <= SSE
    assert sse["image"].keys() <= IMAGE
    # The template writes every one of them, so all have to be there.
    assert sse["livenessProbe"].keys() == sse["readinessProbe"].keys() == PROBE
    assert values("ingress")["ingress"]["sse"].keys() <= INGRESS


def test_flagsmith_values__service__as_this_version_needs_it() -> None:
    # Given
    found = values("sse")
    sse = found["sse"]
    environment = sse["extraEnv"]

    # Then
    assert not unknown(environment)
    assert all(isinstance(value, str) for value in environment.values())
    assert environment["LISTEN_ADDR"] == f":{found['service']['sse']['port']}"
    assert (
        f":{sse['podAnnotations']['prometheus.io/port']}"
        == (environment["METRICS_ADDR"])
    )
    _, pause = sse["lifecycle"]["preStop"]["exec"]["command"]
    needed = int(pause) + int(environment["SSE_DRAIN_SECONDS"]) + 10
    assert needed < sse["terminationGracePeriodSeconds"]
    assert sse["image"]["tag"] == realtime.__version__
    assert sse["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("replicas", [{}, {"replicas": 2}], ids=["null", "2"])
def test_flagsmith_values__pod__valid_by_the_kubernetes_schema(
    replicas: dict[str, int],
) -> None:
    # Given: the Deployment that the chart makes of what it copies from the values
    sse = values("sse")["sse"]
    labels = {"app.kubernetes.io/component": "sse"}

    def probe(given: dict[str, Any]) -> dict[str, Any]:
        path = {"path": given["path"], "port": 8000, "scheme": "HTTP"}
        return {"httpGet": path, **{k: v for k, v in given.items() if k != "path"}}

    container = {
        "name": "flagsmith-sse",
        "image": f"{sse['image']['repository']}:{sse['image']['tag']}",
        "imagePullPolicy": sse["image"]["imagePullPolicy"],
        "args": ["serve"],
        "env": [{"name": k, "value": v} for k, v in sse["extraEnv"].items()],
        "livenessProbe": probe(sse["livenessProbe"]),
        "readinessProbe": probe(sse["readinessProbe"]),
        "resources": sse["resources"],
        "lifecycle": sse["lifecycle"],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "flagsmith-sse"},
        "spec": {
            **replicas,  # the chart leaves it out where `replicaCount` is null
            "strategy": sse["deploymentStrategy"],
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": sse["podAnnotations"]},
                "spec": {
                    "securityContext": sse["podSecurityContext"],
                    "affinity": sse["affinity"],
                    "terminationGracePeriodSeconds": (
                        sse["terminationGracePeriodSeconds"]
                    ),
                    "containers": [container],
                },
            },
        },
    }

    # When / Then
    kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def test_autoscaler__number_of_pods__left_to_it_by_the_values() -> None:
    # Given
    [autoscaler] = [m for m in MANIFESTS if m["kind"] == "HorizontalPodAutoscaler"]
    text = (ROOT / "docs" / "kubernetes.md").read_text()

    # Then: it asks for the metric that the adapter is told of, and the chart is told
    # to leave `replicas` out
    [metric] = autoscaler["spec"]["metrics"]
    [rule] = values("rules")["rules"]["custom"]
    assert rule["seriesQuery"].startswith(metric["pods"]["metric"]["name"] + "{")
    assert values("sse")["sse"]["replicaCount"] == autoscaler["spec"]["minReplicas"]
    assert "replicaCount: 2 # null with the autoscaler" in text


def test_publishing__service__reaches_pods_that_are_not_ready() -> None:
    # Given
    [service] = [m for m in MANIFESTS if m["kind"] == "Service"]
    [budget] = [m for m in MANIFESTS if m["kind"] == "PodDisruptionBudget"]
    found = values("sse")
    port = found["service"]["sse"]["port"]

    # Then: while NATS is away no pod is ready
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"]
    assert [(p["port"], p["targetPort"]) for p in service["spec"]["ports"]] == [
        (port, port)
    ]
    assert found["taskProcessor"]["extraEnv"] == {
        "SSE_SERVER_BASE_URL": f"http://{service['metadata']['name']}:{port}"
    }


def test_image__pushed__the_one_that_the_values_name() -> None:
    # Given
    image = values("sse")["sse"]["image"]
    [pushing] = [block.text for block in blocks("sh") if "docker push" in block.text]
    # Then
    assert f"docker push {image['repository']}:{image['tag']}\n" in pushing


def test_nats_values__keys__those_the_chart_reads() -> None:
    # Given
    found = values("config")

    # Then
    assert found.keys() <= NATS
    assert found["config"]["jetstream"].keys() <= {
        "enabled",
        "fileStore",
        "memoryStore",
        "merge",
    }
    assert found["config"]["jetstream"]["merge"] == {"sync_interval": "always"}
    replicas = values("sse")["sse"]["extraEnv"]["NATS_STREAM_REPLICAS"]
    assert found["config"]["cluster"] == {"enabled": True, "replicas": int(replicas)}
