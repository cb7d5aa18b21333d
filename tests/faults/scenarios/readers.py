"""`python -m tests.faults.scenarios.readers PORT COUNT ENVIRONMENT LAST`: subscribe
COUNT clients, say so in a line, read until each has been told LAST, and say in another
how many events came to all of them together; then read on.

A process of its own, of low priority and without an event loop: the service must not be
starved by its own test.
"""

import os
import re
import selectors
import socket
import sys
from typing import NoReturn

KEPT_BYTES = 64
"""Of what was read, for an event that comes in two parts."""

EVENT = re.compile(rb'"updated_at":([^}]+)\}')


def main(port: int, count: int, environment: str, last: bytes) -> NoReturn:
    request = f"GET /sse/environments/{environment}/stream HTTP/1.1\r\nHost: x\r\n\r\n"
    selector = selectors.DefaultSelector()
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(request.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ, b"")
    print("subscribed", flush=True)
    os.nice(5)
    events = told = 0
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            received = key.fileobj.recv(65536)
            assert received, "a stream was ended"
            text = key.data + received
            found = EVENT.findall(text)
            events += len(found)
            selector.modify(
                key.fileobj,
                selectors.EVENT_READ,
                b"" if found and text.endswith(b"\n\n\r\n") else text[-KEPT_BYTES:],
            )
            if last in found:
                told += 1
                if told == count:
                    print(events, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4].encode())
