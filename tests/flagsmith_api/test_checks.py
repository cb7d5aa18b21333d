"""`manage.py check` says why updates would not go straight to NATS, or not at all."""

import dataclasses
from pathlib import Path

import pytest

from tests.flagsmith_api.flagsmith import Flagsmith

CHECK = ("check", "--tag", "realtime", "--fail-level", "WARNING")

TASKS = """
from task_processor.decorators import register_task_handler

@register_task_handler()
def {environment_task}(environment_key, {time}): ...

@register_task_handler()
def send_environment_update_message_for_project(project_id): ...
"""

HANDLER = """
from sse import tasks
answer = tasks.send_environment_update_message.unwrapped.__module__
"""


def test_check__all_in_place__no_issues(configured: Flagsmith) -> None:
    # When
    done = configured.manage(*CHECK)
    # Then
    assert done.returncode == 0, done.stderr
    assert configured.run(HANDLER) == "realtime.flagsmith.sender"


def test_commands__of_the_integration__none(configured: Flagsmith) -> None:
    """Above all no `serve`: Flagsmith has its own."""
    # When
    listed = configured.manage("help").stdout
    # Then
    assert "[django]" in listed
    assert "[realtime" not in listed


@pytest.mark.parametrize("method", ["SEPARATE_THREAD", "SYNCHRONOUSLY"])
def test_check__no_task_processor__says_so_and_leaves_flagsmiths_own(
    configured: Flagsmith, method: str
) -> None:
    # Given
    flagsmith = dataclasses.replace(
        configured, variables=configured.variables | {"TASK_RUN_METHOD": method}
    )
    # When
    done = flagsmith.manage(*CHECK)
    # Then
    assert done.returncode == 1
    assert "W001" in done.stderr
    assert "TASK_RUN_METHOD is not TASK_PROCESSOR" in done.stderr
    assert flagsmith.run(HANDLER) == "sse.tasks"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (
            {"environment_task": "send_update", "time": "updated_at"},
            "no task sse.tasks.send_environment_update_message",
        ),
        (
            {"environment_task": "send_environment_update_message", "time": "version"},
            "takes environment_key, version instead of environment_key, updated_at",
        ),
    ],
    ids=["renamed", "other arguments"],
)
def test_check__flagsmith_has_changed__says_what(
    configured: Flagsmith, tmp_path: Path, names: dict[str, str], reason: str
) -> None:
    # Given
    package = tmp_path / "sse"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(TASKS.format(**names))
    flagsmith = dataclasses.replace(configured, path=(tmp_path, *configured.path))

    # When
    done = flagsmith.manage(*CHECK)
    started = flagsmith.manage("check")

    # Then: it is no reason for Flagsmith not to start
    assert done.returncode == 1
    assert reason in done.stderr
    assert started.returncode == 0


@pytest.mark.parametrize(
    "name", ["SSE_SERVER_BASE_URL", "SSE_AUTHENTICATION_TOKEN", "NATS_URL"]
)
def test_check__setting_missing__named(configured: Flagsmith, name: str) -> None:
    # Given
    variables = {k: v for k, v in configured.variables.items() if k != name}
    flagsmith = dataclasses.replace(configured, variables=variables)
    # When
    done = flagsmith.manage(*CHECK)
    # Then
    assert done.returncode == 1
    assert f"{name} is not set" in done.stderr
    assert "1 issue" in done.stderr
