"""A stream's response, in whatever pieces it comes."""

import pytest

from realtime.loadtest.stream_decoder import StreamDecoder
from realtime.sse.frames import KEEPALIVE, retry_frame, update_frame
from realtime.updates import Update

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_decoder__chunks_cut_anywhere__finds_every_update(size: int) -> None:
    # Given
    frames = [
        retry_frame(3000),
        update_frame(Update("key", "1.5")),
        KEEPALIVE,
        update_frame(Update("key", "2")),
    ]
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
    values = decoder.feed(HEAD + b"\r\n" + update_frame(Update("key", "1.5")).body)

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
    decoder.feed(update_frame(Update("key", "1.5")).chunk[:20])

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
