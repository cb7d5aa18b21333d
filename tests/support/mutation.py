"""Requests spoilt at random, from a seed."""

from collections.abc import Callable, Sequence
from random import Random

FRAGMENTS = (
    *(b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b"/", b"..", b"//", b"?", b"#"),
    *(b"*", b">", b"%", b"%00", b"%0d%0a", b"%2e", b"%2F", b"%ff", b"%", b"$JS", b"."),
    *(b"\xff", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"{", b"}", b"[" * 500),
    *(b"HTTP/1.0", b"HTTP/9.9", b"http://x/", b"HEAD ", b"OPTIONS ", b"TRACE ", b"-1"),
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 99999999999999999999999\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Type: application/json; charset=utf-7\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"Origin: null\r\nAccess-Control-Request-Method: \xff\r\n",
    b"X-Forwarded-For: \r\nForwarded: for=\r\n",
    b"Root-Path: /x\r\nDaphne-Root-Path: /x\r\n",
    b"Host: [::\r\n",
    b"Cookie: " + b"a=b; " * 200 + b"\r\n",
    *(b"1e999", b"NaN", b"0" * 400, b'"updated_at":', b"\\ud800", b"1" * 5000),
)


def mutated(originals: Sequence[bytes], rng: Random) -> bytes:
    """One of `originals`, changed in one to five places."""
    data = rng.choice(originals)
    for _ in range(rng.randint(1, 5)):
        data = rng.choice(CHANGES)(data, rng)
        if rng.random() < 0.1:
            data += rng.choice(originals)
    return data


def _flip(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(FRAGMENTS) + data[at:]


def _insert_line(data: bytes, rng: Random) -> bytes:
    """A fragment where a header begins: most of them are headers."""
    lines = data.split(b"\r\n")
    at = rng.randrange(len(lines) + 1)
    lines.insert(at, rng.choice(FRAGMENTS).removesuffix(b"\r\n"))
    return b"\r\n".join(lines)


def _delete(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 10) :]


def _repeat(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = at + rng.randint(1, 30)
    return data[:end] + data[at:end] * rng.choice((1, 2, 50)) + data[end:]


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


CHANGES: Sequence[Callable[[bytes, Random], bytes]] = (
    *(_flip, _insert, _insert_line, _delete, _repeat, _cut),
)
