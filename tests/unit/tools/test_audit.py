"""What `make check` makes of pip-audit's answer."""

import json

import pytest

from tests.audit import judge

UNKNOWN = {
    "name": "here",
    "skip_reason": "Dependency not found on PyPI and could not be audited: here (1.0)",
}
SAFE = {"name": "safe", "version": "2.0", "vulns": []}
VULNERABLE = {"name": "bad", "version": "1.0", "vulns": [{"id": "PYSEC-2026-1"}]}


def test_judge__vulnerability__fails_whatever_else_is_unknown() -> None:
    answer = json.dumps({"dependencies": [UNKNOWN, VULNERABLE, SAFE]})
    assert list(judge(answer, "")) == ["bad 1.0: PYSEC-2026-1"]


def test_judge__skipped_for_another_reason__fails() -> None:
    skipped = {"name": "odd", "skip_reason": "cannot be parsed"}
    answer = json.dumps({"dependencies": [skipped]})
    assert list(judge(answer, "")) == ["odd: cannot be parsed"]


def test_judge__release_unknown__passes_and_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = json.dumps({"dependencies": [UNKNOWN, SAFE]})
    assert list(judge(answer, "")) == []
    assert capsys.readouterr().out.startswith("NOT AUDITED: 1 of 2 packages")


@pytest.mark.parametrize(
    "errors",
    [
        "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed",
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org')",
    ],
)
def test_judge__service_out_of_reach__passes_and_is_said(
    errors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(judge("", errors)) == []
    assert capsys.readouterr().out.startswith("NOT AUDITED")


def test_judge__nothing_said_and_no_known_reason__fails() -> None:
    assert list(judge("", "No module named pip_audit")) != []


def test_judge__all_known_and_safe__passes_in_silence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(judge(json.dumps({"dependencies": [SAFE]}), "")) == []
    assert capsys.readouterr().out == ""
