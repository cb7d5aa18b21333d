"""NATS's wire protocol, read in pieces of any size."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError
from structlog.testing import capture_logs

from realtime.jetstream.parser import MessageParser

Message = tuple[bytes, bytes, bytes, bytes]


@dataclass(frozen=True)
class Line:
    """A message as it is handed over, and as it comes over the wire."""

    subject: bytes
    reply: bytes
    payload: bytes
    headers: bytes

    @property
    def message(self) -> Message:
        return self.subject, self.reply, self.payload, self.headers

    @property
    def wire(self) -> bytes:
        reply = self.reply + b" " if self.reply else b""
        size = len(self.headers) + len(self.payload)
        sizes = b"%d %d" % (len(self.headers), size) if self.headers else b"%d" % size
        kind = b"HMSG" if self.headers else b"MSG"
        return b"%b %b 7 %b%b\r\n%b%b\r\n" % (
            *(kind, self.subject, reply, sizes),
            *(self.headers, self.payload),
        )


# All that NATS takes: anything but a space, a tab and the end of a line.
names = st.binary(min_size=1, max_size=12).filter(
    lambda name: not set(name) & set(b" \t\r\n")
)
lines = st.builds(
    Line,
    subject=names,
    reply=st.just(b"") | names,
    payload=st.binary(max_size=40),
    headers=st.just(b"") | st.just(b"NATS/1.0\r\nA: b\r\n\r\n"),
)


async def parsed(pieces: list[bytes]) -> list[Message]:
    """What the handler of subscription 7 is given."""
    given: list[Message] = []

    def handler(*message: bytes) -> None:
        subject, reply, payload, headers = message
        given.append((subject, reply, payload, headers))

    parser = MessageParser(Client(), {7: handler})
    for piece in pieces:
        await parser.parse(piece)
    return given


@given(messages=st.lists(lines, max_size=6), data=st.data())
async def test_parse__cut_anywhere__every_message_whole(
    messages: list[Line], data: st.DataObject
) -> None:
    # Given
    stream = b"".join(line.wire for line in messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(edges)]

    # When
    given = await parsed(pieces)

    # Then
    assert given == [line.message for line in messages]


async def test_parse__other_lines_between__left_to_nats_py() -> None:
    # Given
    line = Line(b"a", b"", b"1", b"")

    # When
    given = await parsed(
        [b"+OK\r\n" + line.wire + b"+OK\r\n", line.wire + b"+O", b"K\r\n"]
    )

    # Then
    assert given == [line.message, line.message]


async def test_parse__subscription_without_handler__left_to_nats_py() -> None:
    # Given
    client = Client()
    parser = MessageParser(client, {})

    # When
    await parser.parse(Line(b"a", b"", b"12345", b"").wire)

    # Then
    assert client.stats["in_bytes"] == 5


@pytest.mark.parametrize(
    "line",
    [
        *(b"MSG a\r\n", b"MSG a 7\r\n", b"MSG a 7 b c 1\r\n", b"MSG a x 1\r\n"),
        *(b"HMSG a 7 1\r\n", b"HMSG a 7 x 1\r\n", b"HELLO\r\n"),
    ],
)
async def test_parse__malformed__protocol_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await parsed([line])


async def test_parse__handler_raises__logged_and_read_on() -> None:
    # Given
    seen: list[bytes] = []

    def handler(subject: bytes, reply: bytes, payload: bytes, headers: bytes) -> None:
        seen.append(payload)
        raise ValueError

    parser = MessageParser(Client(), {7: handler})
    first, second = (Line(b"a", b"", payload, b"") for payload in (b"1", b"2"))

    # When
    with capture_logs() as logs:
        await parser.parse(first.wire + second.wire)

    # Then
    assert seen == [b"1", b"2"]
    assert [entry["event"] for entry in logs] == ["nats.handler_failed"] * 2
