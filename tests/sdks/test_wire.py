"""What each client's parser makes of the bytes that the server really sends, in the
pieces in which it sends them."""

import pytest

from tests.sdks.android import AndroidParser
from tests.sdks.flutter import FlutterParser
from tests.sdks.go import GoParser
from tests.sdks.ios import IosParser
from tests.sdks.parser import Parser
from tests.sdks.ruby import RubyParser
from tests.sdks.timestamps import TIMESTAMPS, Timestamp
from tests.sdks.wire import payloads
from tests.support.service import Service
from tests.support.streams import Stream

PARSERS = [AndroidParser, FlutterParser, IosParser, GoParser, RubyParser]
PARSERS_OF_OPEN_STREAMS = [p for p in PARSERS if p is not RubyParser]


def by_name(value: type[Parser] | Timestamp) -> str:
    return value.published if isinstance(value, Timestamp) else value.__name__


def parse(parser: type[Parser], stream: Stream) -> list[list[float]]:
    """The updates that are found in the HTTP chunks, and in the network's reads."""
    found = []
    for pieces in (stream.chunks, payloads(stream.reads)):
        reader = parser()
        updates = [update for piece in pieces for update in reader.feed(piece)]
        found.append([*updates, *(reader.end() if stream.ended else [])])
    return found


@pytest.mark.parametrize("timestamp", TIMESTAMPS, ids=by_name)
@pytest.mark.parametrize("parser", PARSERS_OF_OPEN_STREAMS, ids=by_name)
async def test_stream__open_when_published__parsed_as_float_seconds(
    service: Service, environment: str, parser: type[Parser], timestamp: Timestamp
) -> None:
    # Given
    url = service.stream_url(environment)
    async with Stream(url, headers=parser.headers) as stream:
        # When
        service.publish(environment, timestamp.published).raise_for_status()
        await stream.next_event()
    # Then
    assert parse(parser, stream) == [[timestamp.seconds]] * 2


@pytest.mark.parametrize("parser", PARSERS, ids=by_name)
async def test_stream__opened_after_publish_and_read_to_its_end__parsed_once(
    ageing_service: Service, environment: str, parser: type[Parser]
) -> None:
    # Given
    timestamp = TIMESTAMPS[0]
    ageing_service.publish(environment, timestamp.published).raise_for_status()
    # When
    url = ageing_service.stream_url(environment)
    async with Stream(url, headers=parser.headers) as stream:
        await stream.until_end()
    # Then
    assert stream.ended
    assert parse(parser, stream) == [[timestamp.seconds]] * 2
