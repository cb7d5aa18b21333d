"""The load test's arithmetic: shares, tallies, percentiles, texts."""

from array import array
from collections import Counter
from dataclasses import replace

import pytest

from realtime.http.url import HttpUrl
from realtime.loadtest.delivery_tally import KEPT_UPDATES, DeliveryTally
from realtime.loadtest.messages import Progress, UpdateResult
from realtime.loadtest.options import LoadTestFailed, LoadTestOptions, processes_for
from realtime.loadtest.ramp import MOST_AT_ONCE, Ramp
from realtime.loadtest.report import percentile, progress_line, summary, text
from realtime.loadtest.results import Results
from realtime.loadtest.stream_decoder import StreamDecoder
from realtime.updates import KEEPALIVE, Update, retry_frame

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FOUR_CONNECTED = bytearray([1, 1, 1, 1])


def results(
    *settled: UpdateResult, received: int = 0, rejected: int = 0, dropped: int = 0
) -> Results:
    found = Results(subscribers=4, processes=2, published=len(settled))
    for one in settled:
        found.add(one)
    found.progress = Progress(
        connected=4, received=received, rejected=rejected, dropped=dropped
    )
    return found


def settled(*latencies: float, value: float = 1000, missing: int = 0) -> UpdateResult:
    count = len(latencies)
    return UpdateResult(
        value, count + missing, count, 0, missing, array("d", latencies)
    )


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (0.5, 5), (0.9, 9), (0.91, 10), (1, 10)]
)
def test_percentile__of_ten_values__is_one_of_them(
    share: float, expected: float
) -> None:
    assert percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], share) == expected


def test_summary__all_delivered__is_exact() -> None:
    # Given: one update in two processes, and another
    found = results(
        settled(0.001, 0.003),
        settled(0.002, 0.004),
        settled(0.005, 0.006, value=1001),
    )
    found.published = 2
    found.progress = replace(found.progress, cpu=0.0006)
    found.seconds = 20

    # When
    told = summary(found)

    # Then
    assert told["ok"] is True
    assert told["deliveries"] == {
        "expected": 6,
        "received": 6,
        "superseded": 0,
        "missing": 0,
        "duplicate": 0,
        "per_second": 600,  # 6 in 4 ms and 6 ms
    }
    assert told["latency_ms"] == {"p50": 3, "p90": 6, "p99": 6, "max": 6}
    assert told["client_cpu_us_per_delivery"] == 100


def test_text__large_numbers__with_separators_of_thousands() -> None:
    # Given
    found = Results(subscribers=40_000, processes=2, environments=1000)
    found.progress = Progress(connected=33_953, received=1_234_567)

    # Then
    assert "33,953 connected of 40,000 in 2 processes and 1,000 environments" in text(
        summary(found)
    )
    assert "33,953 of 40,000 connected" in progress_line(found, 12)
    assert "1,234,567 deliveries" in progress_line(found, 12)


def test_summary__nobody_connected__has_no_latency() -> None:
    # Given
    found = Results(subscribers=4, processes=1)
    found.progress = Progress(rejected=4, reasons=Counter({"503": 4}))

    # When
    told = summary(found)

    # Then
    assert told["ok"] is False
    assert told["latency_ms"] == {"p50": None, "p90": None, "p99": None, "max": None}
    assert "0 connected of 4 in 1 process, 4 rejected (4 x 503), 0 dr" in text(told)
    assert "latency" not in text(told)


@pytest.mark.parametrize(
    "found",
    [
        results(settled(0.1, missing=1)),
        results(settled(0.1), dropped=1),
        results(settled(0.1), rejected=1),
    ],
    ids=["missing", "dropped", "rejected"],
)
def test_summary__something_went_wrong__is_not_ok(found: Results) -> None:
    assert summary(found)["ok"] is False


def test_summary__update_refused__is_not_ok() -> None:
    # Given
    found = results(settled(0.1))
    found.failures["503"] += 1

    # When
    told = summary(found)

    # Then
    assert told["ok"] is False
    assert "1 failed (1 x 503)" in text(told)


def test_progress_line__one_update__counts_what_has_come() -> None:
    # Given
    parts = [Progress(received=1, reasons=Counter(a=1)), Progress(received=2)]
    found = results(settled(0.1), received=sum(parts, Progress()).received)

    # When
    line = progress_line(found, 12.3)

    # Then
    assert line.startswith("12 s · 4 of 4 connected")
    assert line.endswith("1 update · 3 deliveries")


def test_tally__everybody_got_it__is_settled_at_once_and_only_once() -> None:
    # Given
    tally = DeliveryTally(4)
    tally.announce(10.0, 15.0, FOUR_CONNECTED)
    update = tally.update(10.0)
    for number in range(4):
        update.got[number] = 1
        update.times.append(10.5)

    # When
    [first], again = tally.settle(11), tally.settle(11)

    # Then
    assert first == UpdateResult(10.0, 4, 4, 0, 0, array("d", [0.5] * 4))
    assert again == []
    assert tally.received == 4


def test_tally__due__tells_superseded_from_missing() -> None:
    # Given: of four, one got both updates, one the later one only, two neither
    tally = DeliveryTally(4)
    earlier, later = tally.update(10.0), tally.update(11.0)
    earlier.got[0] = later.got[0] = later.got[1] = 1
    earlier.times, later.times = [10.1], [11.1, 11.2]
    tally.announce(10.0, 15.0, FOUR_CONNECTED)

    # When
    before, [at_last] = tally.settle(14.9), tally.settle(15.0)

    # Then
    assert before == []
    assert (at_last.expected, at_last.received) == (4, 1)
    assert (at_last.superseded, at_last.missing) == (1, 2)


def test_tally__got_it_and_left__was_expected_to() -> None:
    # Given
    tally = DeliveryTally(4)
    update = tally.update(10.0)
    update.got[3], update.times = 1, [10.1]

    # When
    tally.announce(10.0, 15.0, bytearray(4))

    # Then
    [settled] = tally.settle(10.2)
    assert (settled.expected, settled.received, settled.missing) == (1, 1, 0)


def test_tally__somebody_elses_update__counts_for_nothing() -> None:
    # Given
    tally = DeliveryTally(4)

    # When
    tally.update(9.0).times.append(10)
    tally.update(9.0).duplicates += 1

    # Then
    assert tally.settle(1e9) == []
    assert tally.is_settled
    assert (tally.received, tally.duplicates) == (0, 0)


def test_tally__many_updates__keeps_the_counts_and_forgets_the_rest() -> None:
    # Given
    tally = DeliveryTally(1)

    # When
    for value in range(3 * KEPT_UPDATES):
        update = tally.update(value)
        update.got[0], update.times, update.duplicates = 1, [value + 0.5], 1
        tally.announce(value, value + 5, bytearray([1]))
        tally.settle(value + 1)

    # Then
    assert (tally.received, tally.duplicates) == (3 * KEPT_UPDATES, 3 * KEPT_UPDATES)
    assert len(tally._updates) == KEPT_UPDATES


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_decoder__chunks_cut_anywhere__finds_every_update(size: int) -> None:
    # Given
    frames = [retry_frame(3000), Update("1.5").frame(), KEEPALIVE, Update("2").frame()]
    stream = CHUNKED + b"".join(frame.chunk for frame in frames) + b"0\r\n\r\n"
    decoder = StreamDecoder()

    # When
    values = [
        value
        for start in range(0, len(stream), size)
        for value in decoder.feed(stream[start : start + size])
    ]

    # Then
    assert values == [1.5, 2.0]
    assert decoder.status == 200
    assert decoder.ended


def test_decoder__not_chunked__reads_to_the_end_of_the_connection() -> None:
    # Given
    decoder = StreamDecoder()

    # When
    values = decoder.feed(HEAD + b"\r\n" + Update("1.5").frame().body)

    # Then
    assert values == [1.5]
    assert decoder.is_between_events
    assert not decoder.ended


def test_decoder__half_an_event__is_not_between_events() -> None:
    # Given
    decoder = StreamDecoder()
    decoder.feed(CHUNKED)
    assert decoder.is_between_events

    # When
    decoder.feed(Update("1.5").frame().chunk[:20])

    # Then
    assert not decoder.is_between_events


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 503 Busy\r\n\r\n{}", 503), (b"SSH-2.0-x\r\n\r\n", 599)],
)
def test_decoder__no_stream__tells_the_status(answer: bytes, status: int) -> None:
    # Given
    decoder = StreamDecoder()

    # When
    decoder.feed(answer)

    # Then
    assert decoder.status == status


def test_decoder__no_chunk__ends() -> None:
    # Given
    decoder = StreamDecoder()

    # When
    decoder.feed(CHUNKED + b"what?\r\n")

    # Then
    assert decoder.ended


def test_ramp__over_time__each_is_due_once() -> None:
    # Given
    ramp = Ramp(range(10, 20), 4, now=100)

    # When
    due = [list(ramp.due(now)) for now in (100, 100.1, 101, 110, 111)]

    # Then
    assert due == [[10], [], [11, 12, 13, 14], [15, 16, 17, 18, 19], []]
    assert not ramp.left


def test_ramp__late__opens_no_more_than_a_few_at_once() -> None:
    # Given
    ramp = Ramp(range(10_000), 10_000, now=0)

    # When / Then
    assert len(ramp.due(1)) == MOST_AT_ONCE


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
