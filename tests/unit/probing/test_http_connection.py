"""A response as it comes, from servers that are not ours, too."""

import asyncio

import pytest

from realtime.probing.http_connection import LONGEST_BODY, NO_HTTP, HttpResponse

CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"


def response(head: str, data: bytes) -> HttpResponse:
    """One with this head, after which the connection brings `data` and ends."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return HttpResponse(head, reader)


async def pieces(response: HttpResponse) -> bytes:
    return b"".join([piece async for piece in response.pieces()])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("HTTP/1.1 503 Busy\r\nServer: a", 503),
        ("HTTP/1.0 200", 200),
        ("SSH-2.0-OpenSSH", NO_HTTP),
        ("HTTP/1.1 99999999999 No", NO_HTTP),
        ("", NO_HTTP),
    ],
)
async def test_response__head__status_or_no_http(head: str, status: int) -> None:
    assert response(head, b"").status == status


async def test_response__header__found_by_any_case_and_without_blanks() -> None:
    # When
    found = response("HTTP/1.1 302 Found\r\nLOCATION:  /here \r\nX: \xfc", b"")

    # Then
    assert found.header("location") == "/here"
    assert found.header("x") == "\xfc"
    assert found.header("server") == ""


async def test_response__chunks__joined() -> None:
    data = b"3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nnext"
    assert await pieces(response(CHUNKED, data)) == b"abc0123456789"


@pytest.mark.parametrize("data", [b"5\r\nab", b"2\r\nab", b"2", b""])
async def test_response__connection_ends_within_chunks__raises(data: bytes) -> None:
    with pytest.raises(EOFError):
        await pieces(response(CHUNKED, data))


@pytest.mark.parametrize("size", [b"x", b"-1", b"0"])
async def test_response__no_chunk__ends(size: bytes) -> None:
    assert await pieces(response(CHUNKED, size + b"\r\nabc")) == b""


async def test_response__chunk_size_without_end__refused() -> None:
    with pytest.raises(ConnectionResetError, match="it is no HTTP"):
        await pieces(response(CHUNKED, b"1" * 100_000))


@pytest.mark.parametrize(
    ("length", "data", "expected"),
    [
        ("2", b"ab", b"ab"),
        ("0", b"ab", b""),
        ("9", b"ab", b"ab"),
        ("9" * 5000, b"ab", b"ab"),
        ("", b"x" * 2 * LONGEST_BODY, b"x" * LONGEST_BODY),
    ],
)
async def test_body__content_length__read_so_far_within_bounds(
    length: str, data: bytes, expected: bytes
) -> None:
    head = f"HTTP/1.1 500 No\r\nContent-Length: {length}"
    assert await response(head, data).body() == expected
