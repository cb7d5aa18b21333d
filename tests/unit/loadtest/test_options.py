"""How many processes a load test has, and who is in which."""

import pytest

from realtime.http.url import HttpUrl
from realtime.loadtest.options import LoadTestFailed, LoadTestOptions, processes_for


@pytest.mark.parametrize(
    ("subscribers", "wanted", "limit", "expected"),
    [(100, 3, 20_000, 3), (2, 3, 20_000, 2), (40_000, 3, 20_000, 3), (9, 1, -1, 1)],
)
def test_processes_for__enough_of_them__are_taken(
    subscribers: int, wanted: int, limit: int, expected: int
) -> None:
    assert processes_for(subscribers, wanted, limit) == expected


def test_processes_for__auto__is_as_many_as_open_files_ask_for() -> None:
    assert processes_for(1_000_000, None, 1064) == 1000


def test_processes_for__too_few__says_how_many() -> None:
    with pytest.raises(LoadTestFailed, match="use --processes 3 or raise the limit"):
        processes_for(45_000, 2, 20_000)


def test_shares__that_do_not_divide__differ_by_one() -> None:
    # Given
    url = HttpUrl.parse("http://localhost/")

    # When
    shares = LoadTestOptions(
        streams=(url,),
        queue_changes=(url,),
        token="secret",
        subscribers=10,
        processes=3,
        ramp=1,
        interval=1,
        duration=1,
        grace=1,
    ).shares()

    # Then
    assert shares == [range(3), range(3, 6), range(6, 10)]
