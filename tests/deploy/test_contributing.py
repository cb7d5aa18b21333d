"""The files for contributors: valid, and true to the Makefile and the version."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import realtime
from tests.deploy.schemas import violations
from tests.support.service import ROOT

GITHUB = ROOT / ".github"
SCHEMAS = {
    "workflows/test.yml": "vendor.github-workflows",
    "ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/feature.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
}


def targets() -> set[str]:
    """The Makefile's."""
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items(), ids=SCHEMAS.keys())
def test_github__file__valid_by_its_schema(name: str, schema: str) -> None:
    # When / Then
    assert violations(schema, GITHUB / name) == ""


def test_github__every_file__has_a_schema_here() -> None:
    # Given
    files = {str(f.relative_to(GITHUB)) for f in GITHUB.rglob("*") if f.is_file()}
    # Then
    assert files == SCHEMAS.keys()


def test_workflow__steps__the_same_command_as_everybody() -> None:
    # Given
    workflow = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text())
    # Then
    assert workflow["jobs"]["test"]["steps"][-1] == {"run": "make test"}


def test_pre_commit__configuration__valid_and_runs_what_make_check_runs() -> None:
    # Given
    program = Path(sys.executable).with_name("pre-commit")
    file = ROOT / ".pre-commit-config.yaml"
    # When
    subprocess.run([program, "validate-config", file], check=True)
    # Then
    [repository] = yaml.safe_load(file.read_text())["repos"]
    hooks = {hook["id"] for hook in repository["hooks"]}
    assert hooks == {"ruff-check", "ruff-format", "mypy"}


def test_contributing__commands__are_targets_of_the_makefile() -> None:
    # Given
    text = (ROOT / "CONTRIBUTING.md").read_text()
    # Then
    named = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert len(named) > 5
    assert named <= targets()


def test_changelog__form__keep_a_changelog_and_this_version() -> None:
    # Given
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    # Then
    assert headings[0] == "[Unreleased]"
    released = [heading for heading in headings if heading.startswith("[")][1:]
    assert not released or released[0].startswith(f"[{realtime.__version__}] - ")
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
