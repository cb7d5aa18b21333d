"""Environment keys as they are shown."""

import pytest

from realtime.fleet.key_shortening import shortened


@pytest.mark.parametrize(
    ("key", "short"),
    [
        ("AbCdEfGhIjKlMnOpQr0123", "AbCdEf…0123"),
        ("production", "production"),
        ("exactly12chr", "exactly12chr"),
        ("exactly13char", "exactl…char"),
    ],
)
def test_shortened__key__recognisable_and_not_given_away(key: str, short: str) -> None:
    assert shortened(key) == short
