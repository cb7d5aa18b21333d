"""Bytes that are no HTTP/1.1, or that two servers might read in different ways; and a
few that are right, to send among them."""

from tests.support.raw_http import chunked
from tests.support.service import TOKEN

QUEUE_CHANGE = (
    "POST /sse/environments/limits/queue-change HTTP/1.1\r\nHost: x\r\n"
    f"Authorization: Token {TOKEN}\r\nContent-Type: application/json\r\n"
).encode()
UPDATE = b'{"updated_at":1}'
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"GET /sse/environments/limits/stream HTTP/1.1\r\nHost: x\r\n\r\n"

MALFORMED = {
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "both lengths": QUEUE_CHANGE
    + b"Content-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(UPDATE),
    "two lengths": QUEUE_CHANGE
    + b"Content-Length: 16\r\nContent-Length: 17\r\n\r\n"
    + UPDATE,
    "negative length": QUEUE_CHANGE + b"Content-Length: -1\r\n\r\n",
    "chunk size no number": QUEUE_CHANGE
    + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk size too large": QUEUE_CHANGE
    + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "chunk size negative": QUEUE_CHANGE
    + b"Transfer-Encoding: chunked\r\n\r\n-10\r\n{}\r\n0\r\n\r\n",
    "chunk longer than it says": QUEUE_CHANGE
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "chunked not last": QUEUE_CHANGE
    + b"Transfer-Encoding: chunked, identity\r\n\r\n"
    + chunked(UPDATE),
    "unknown coding": QUEUE_CHANGE
    + b"Transfer-Encoding: xchunked\r\n\r\n"
    + chunked(UPDATE),
    "space before the colon": b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded header": b"GET /livez HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "line feeds only": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "NUL in a header": b"GET /livez HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
}
