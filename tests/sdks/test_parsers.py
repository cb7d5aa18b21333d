"""The parsers refuse what their clients refuse: otherwise they would prove nothing."""

import pytest

from tests.sdks.android import AndroidParser
from tests.sdks.flutter import FlutterParser
from tests.sdks.go import GoParser
from tests.sdks.ios import IosParser
from tests.sdks.parser import Parser
from tests.sdks.ruby import RubyParser
from tests.sdks.wire import payloads

FRAME = b'event: environment_updated\ndata: {"updated_at":12.5}\n\n'
WITHOUT_EVENT = b'data: {"updated_at":12.5}\n\n'
WITHOUT_SPACE = b'event: environment_updated\ndata:{"updated_at":12.5}\n\n'
INTEGER = b'event: environment_updated\ndata: {"updated_at":12}\n\n'
ZERO = b'event: environment_updated\ndata: {"updated_at":0.0}\n\n'
UNFINISHED = b'event: environment_updated\ndata: {"updated_at":12.5}\n'
OTHER_EVENT = b'event: message\ndata: {"updated_at":12.5}\n\n'
COMMENT_AND_RETRY = b": keep-alive\n\nretry: 3000\n\n"


@pytest.mark.parametrize(
    ("parser", "body", "updates"),
    [
        (AndroidParser, FRAME, [12.5]),
        (AndroidParser, COMMENT_AND_RETRY + FRAME, [12.5]),
        (AndroidParser, WITHOUT_SPACE, [12.5]),
        (AndroidParser, INTEGER, [12.0]),
        (AndroidParser, WITHOUT_EVENT, []),
        (AndroidParser, OTHER_EVENT, []),
        (AndroidParser, UNFINISHED, []),
        (FlutterParser, FRAME, [12.5]),
        (FlutterParser, COMMENT_AND_RETRY + FRAME, [12.5]),
        (FlutterParser, WITHOUT_SPACE, [12.5]),
        (FlutterParser, INTEGER, []),
        (FlutterParser, WITHOUT_EVENT, []),
        (FlutterParser, OTHER_EVENT, []),
        (FlutterParser, UNFINISHED, []),
        (IosParser, FRAME, [12.5]),
        (IosParser, COMMENT_AND_RETRY + FRAME, [12.5]),
        (IosParser, WITHOUT_SPACE, [12.5]),
        (IosParser, WITHOUT_EVENT, [12.5]),
        (IosParser, INTEGER, [12.0]),
        (GoParser, FRAME, [12.5]),
        (GoParser, COMMENT_AND_RETRY + FRAME, [12.5]),
        (GoParser, WITHOUT_EVENT, [12.5]),
        (GoParser, INTEGER, [12.0]),
        (GoParser, WITHOUT_SPACE, []),
        (GoParser, ZERO, []),
        (RubyParser, FRAME, []),
    ],
)
def test_parser__body_in_one_piece__finds_what_its_client_finds(
    parser: type[Parser], body: bytes, updates: list[float]
) -> None:
    # Given
    reader = parser()
    # When
    found = reader.feed(body)
    # Then
    assert found == updates


@pytest.mark.parametrize(
    ("body", "updates"),
    [
        (FRAME, [12.5]),
        (COMMENT_AND_RETRY + FRAME, [12.5]),
        (WITHOUT_EVENT, [12.5]),
        (WITHOUT_SPACE, []),
    ],
)
def test_ruby_parser__response_ended__looks_at_the_body(
    body: bytes, updates: list[float]
) -> None:
    # Given
    reader = RubyParser()
    reader.feed(body)
    # When
    found = reader.end()
    # Then
    assert found == updates


@pytest.mark.parametrize(
    ("parser", "updates"),
    [
        (AndroidParser, [12.5]),
        (FlutterParser, [12.5]),
        (GoParser, [12.5]),
        (IosParser, []),
    ],
)
def test_parser__data_line_in_two_pieces__lost_on_ios_only(
    parser: type[Parser], updates: list[float]
) -> None:
    # Given
    reader = parser()
    middle = FRAME.index(b"12.5")
    # When
    found = reader.feed(FRAME[:middle]) + reader.feed(FRAME[middle:])
    # Then
    assert found == updates


def test_flutter_parser__unknown_field__connects_once_more() -> None:
    # Given
    reader = FlutterParser()
    # When / Then
    with pytest.raises(ValueError, match="one more connection"):
        reader.feed(b"environment: x\n\n")


def test_payloads__chunk_in_two_reads__two_pieces() -> None:
    # Given
    reads = [
        b"HTTP/1.1 200 OK\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\nde",
        b"fg\r\n",
        b"0\r\n\r\n",
    ]
    # When
    pieces = payloads(reads)
    # Then
    assert pieces == [b"abcde", b"fg"]
