"""The bytes that clients get."""

from hypothesis import example, given
from hypothesis import strategies as st

from realtime.sse.frames import KEEPALIVE, Frame, retry_frame, update_frame
from realtime.updates import Update, parse_update
from tests.unit.test_updates import finite_numbers


def test_update_frame__update__as_documented() -> None:
    # Given / When
    frame = update_frame(Update("1735229888.76"))
    # Then
    assert (
        frame.body
        == b'event: environment_updated\ndata: {"updated_at":1735229888.76}\n\n'
    )


@given(finite_numbers)
def test_update__frame__one_event_that_reads_back(number: str) -> None:
    # Given / When
    body = update_frame(Update(number)).body
    # Then
    event, data, *rest = body.decode().split("\n")
    assert event == "event: environment_updated"
    assert rest == ["", ""]
    assert parse_update(data.removeprefix("data: ").encode()).updated_at == number


@given(st.binary(min_size=1, max_size=70_000))
@example(b"x" * 15)
@example(b"x" * 16)
@example(b"\r\n0\r\n\r\n")
def test_frame__chunk__size_body_and_line_ends(body: bytes) -> None:
    # Given / When
    frame = Frame.of(body)
    # Then
    size, _, rest = frame.chunk.partition(b"\r\n")
    assert frame.body == body
    assert int(size, 16) == len(body)
    assert rest == body + b"\r\n"


def test_keepalive__frame__comment() -> None:
    # Given / When / Then
    assert KEEPALIVE.body == b": keep-alive\n\n"
    assert KEEPALIVE.chunk == b"e\r\n: keep-alive\n\n\r\n"


def test_retry_frame__milliseconds__documented_field() -> None:
    # Given / When / Then
    assert retry_frame(3000).body == b"retry: 3000\n\n"
