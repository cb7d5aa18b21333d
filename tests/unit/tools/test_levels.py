"""The levels of the fault tests tell what there is more of than before."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.faults.levels import HELD, Levels

BEFORE = Levels(
    held=dict.fromkeys(HELD, 18),
    tasks=Counter(follow_stream=1),
    descriptors=50,
    memory=80_000,
)


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("count", [17, 19])
def test_excess__more_or_fewer_held__told(name: str, count: int) -> None:
    # Given
    after = replace(BEFORE, held={**BEFORE.held, name: count})
    # When / Then
    assert after.excess(BEFORE) == [f"{count} {name}, were 18"]


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (BEFORE, []),
        (replace(BEFORE, tasks=Counter(follow_stream=2)), ["more tasks"]),
        (replace(BEFORE, descriptors=51), ["51 files open"]),
        (replace(BEFORE, memory=200_000), ["200000 kB of memory"]),
        (replace(BEFORE, descriptors=40, memory=70_000), []),
    ],
)
def test_excess__of_the_process__told(after: Levels, found: list[str]) -> None:
    told = after.excess(BEFORE)
    assert [text.split(",")[0].split(":")[0] for text in told] == found
