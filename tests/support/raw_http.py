"""HTTP on a plain socket: nothing normalises a target, adds a header, follows a
redirect or hides how a connection ends."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.service import TOKEN, Service

WAIT_SECONDS = 10
PUBLISHER = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
"""The headers that Flagsmith's task processor sends with an update."""


@dataclass(frozen=True)
class Answer:
    """A whole response; the names of `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)


class Connection:
    """One connection to the server at `url`, for any number of requests."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection(
            (parts.hostname or "", parts.port or 80), WAIT_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(
        self,
        method: str,
        target: str | bytes,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        version: str = "1.1",
    ) -> None:
        """Send a request whose body, if it has one, is declared by its length unless
        `headers` say otherwise."""
        fields = {"Host": self._host, **(headers or {})}
        if body and not {"Content-Length", "Transfer-Encoding"} & fields.keys():
            fields["Content-Length"] = str(len(body))
        lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
        target = target.encode() if isinstance(target, str) else target
        self._socket.sendall(
            b"%s %s HTTP/%s\r\n" % (method.encode(), target, version.encode())
            + "".join(lines).encode("latin-1")
            + b"\r\n"
            + body
        )

    def receive(self, method: str = "GET") -> Answer:
        """The response to the request with `method` that was sent, to its end."""
        response = http.client.HTTPResponse(self._socket, method=method)
        try:
            response.begin()
            headers: dict[str, str] = {}
            for name, value in response.getheaders():
                known = headers.get(name.lower())
                headers[name.lower()] = f"{known}, {value}" if known else value
            return Answer(response.status, headers, response.read())
        finally:
            response.close()

    def request(
        self,
        method: str,
        target: str | bytes,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        self.send(method, target, headers, body)
        return self.receive(method)

    def received_until(self, end: bytes) -> bytes:
        """What comes until `end` has come; empty if the connection ends before."""
        received = b""
        while end not in received:
            if not (data := self._socket.recv(65536)):
                return b""
            received += data
        return received

    def closed_by_server(self, seconds: float = 2) -> bool:
        """Whether the server ends the connection, which it may take `seconds` for."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self._socket.settimeout(WAIT_SECONDS)


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    """A socket, for what no request says well."""
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        yield client


def ask(
    service: Service,
    method: str,
    target: str | bytes,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """The answer to one request on a connection of its own."""
    with Connection(service.url) as connection:
        return connection.request(method, target, headers, body)


def queue_change(
    service: Service,
    environment: str,
    body: bytes,
    headers: dict[str, str] | None = None,
) -> Answer:
    """The answer to a publish with exactly this body; as the task processor sends it,
    unless `headers` are given."""
    target = f"/sse/environments/{environment}/queue-change"
    return ask(service, "POST", target, PUBLISHER if headers is None else headers, body)


def chunked(*parts: bytes, end: bool = True) -> bytes:
    """`parts` in HTTP/1.1's chunked transfer coding; the final chunk only if `end`."""
    framed = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]
    return b"".join([*framed, b"0\r\n\r\n" if end else b""])


def padded(body: bytes, size: int) -> bytes:
    """The JSON text `body`, made `size` bytes long by white space."""
    return body + b" " * (size - len(body))


def names(header: str) -> set[str]:
    """The items of a header that is a list, in lower case."""
    return {item.strip().lower() for item in header.split(",")}
