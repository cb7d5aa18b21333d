"""Environment keys."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.environments import (
    is_environment_key,
    is_probe_environment,
    probe_environment,
    without_probes,
)
from realtime.jetstream.subjects import subject_of
from tests.support.environments import INVALID_KEYS, VALID_KEYS

tokens = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
    min_size=1,
    max_size=20,
)
keys = st.lists(tokens, min_size=1, max_size=8).map(".".join).map(lambda key: key[:100])
suspicious = st.text("a0_-.*>$ \t\r\n\0/%\u0661\xe9\xa0", max_size=12)


@pytest.mark.parametrize("name", VALID_KEYS)
def test_is_environment_key__documented_key__accepted(name: str) -> None:
    # Given / When / Then
    assert is_environment_key(VALID_KEYS[name])


@pytest.mark.parametrize("name", INVALID_KEYS)
def test_is_environment_key__anything_else__refused(name: str) -> None:
    # Given / When / Then
    assert not is_environment_key(INVALID_KEYS[name])


@given(st.text() | suspicious | keys)
@example("a\n")
@example("a" * 101)
def test_is_environment_key__accepted__is_harmless_in_a_subject(key: str) -> None:
    # Given
    accepted = is_environment_key(key)
    # When
    subject = subject_of(key)
    # Then
    if accepted:
        assert len(key) <= 100
        assert key.isascii()
        assert not set("*>$/%\\ \t\r\n\0\v\f") & set(subject)
        assert not any(letter.isspace() for letter in subject)
        assert subject.isprintable()
        assert all(subject.split("."))


@given(keys.filter(lambda key: not key.endswith(".")))
def test_is_environment_key__tokens_and_single_dots__accepted(key: str) -> None:
    # Given / When / Then
    assert is_environment_key(key)


def test_probe_environment__of_somebody__a_key_that_is_always_the_same() -> None:
    # Given
    key = probe_environment("canary", "host-1", 8088)

    # Then
    assert is_environment_key(key)
    assert is_probe_environment(key)
    assert key == probe_environment("canary", "host-1", 8088)
    assert key != probe_environment("canary", "host-1", 8089)


def test_without_probes__one_alone__left_out_but_not_what_hides_behind_its_name() -> (
    None
):
    # Given
    busiest = [("probe-flood", 500), ("customer", 1), ("probe-1f2e", 1)]

    # Then
    assert without_probes(busiest) == [("probe-flood", 500), ("customer", 1)]
