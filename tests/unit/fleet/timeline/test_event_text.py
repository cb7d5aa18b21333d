"""Events in sentences."""

from typing import Any

import pytest

from realtime.fleet.timeline.events import (
    StreamChanged,
)
from tests.unit.fleet.timeline.made_up import NOW, answer, texts


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ({"change": "created"}, "The stream was created."),
        (
            {"change": "updated"},
            "The stream's configuration was brought up to date.",
        ),
        ({"change": "replaced"}, "The stream was replaced by another one."),
        (
            {"change": "differs", "settings": ("max_age is 1 instead of 2",)},
            "Somebody changed the stream's configuration: max_age is 1 instead of 2.",
        ),
        (
            {"change": "differs"},
            "The stream's configuration is as it should be again.",
        ),
    ],
)
def test_texts_of__stream_changed__by_whom(event: dict[str, Any], title: str) -> None:
    # Given
    seen = [StreamChanged(seen_by=one, at=NOW, **event) for one in ("one", "two")]

    # When
    [story] = texts(*(answer(one.seen_by, one) for one in seen))

    # Then
    assert story.title == title
    assert story.until is None
    assert not story.going_on
