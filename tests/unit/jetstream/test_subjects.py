"""The NATS subjects that environment keys become."""

import pytest
from hypothesis import example, given

from realtime.jetstream.subjects import ALL_SUBJECTS, environment_of, subject_of
from tests.unit.test_environments import keys


@given(keys.filter(lambda key: not key.endswith(".")))
@example("flagsmith.environment.x")
def test_subject_of__valid_key__round_trip(key: str) -> None:
    # Given
    prefix = ALL_SUBJECTS.removesuffix(">")
    # When
    subject = subject_of(key)
    # Then
    assert prefix == "flagsmith.environment."
    assert subject == prefix + key
    assert environment_of(subject.encode()) == key


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "abc",
        "flagsmith",
        "flagsmith.environment",
        "flagsmith.environment.",
        "flagsmith.environment..",
        "flagsmith.environment.a..b",
        "flagsmith.environment.caf\xe9",
        "flagsmith.environment." + "k" * 101,
        "flagsmith.environments.abc",
        "other.flagsmith.environment.abc",
        "Flagsmith.environment.abc",
    ],
)
def test_environment_of__other_subject__none(subject: str) -> None:
    # Given / When / Then
    assert environment_of(subject.encode()) is None
