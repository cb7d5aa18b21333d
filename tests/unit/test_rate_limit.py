"""What anybody can cause is told once in a while."""

import pytest

from realtime.rate_limit import RateLimit


def test_count__many_within_the_time__told_once_for_each_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    limit = RateLimit(60)

    # When / Then
    assert [limit.count("a"), limit.count("a"), limit.count("b")] == [1, 0, 1]
    now += 59
    assert limit.count("a") == 0
    now += 1
    assert [limit.count("a"), limit.count("a")] == [3, 0]
