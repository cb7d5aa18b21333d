"""A TCP proxy on loopback, to cut one connection while others go on."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

Downstream = Callable[[], Callable[[bytes], bytes]]


def _everything() -> Callable[[bytes], bytes]:
    return bytes


class Proxy:
    """Forwards to `target` (a URL), unless it is cut or frozen; `url` is its own.
    `downstream` makes, for each connection, what chooses the bytes that are forwarded
    of those that come from the target.

    It runs on an event loop of its own, so that a test may block.
    """

    def __init__(self, target: str, downstream: Downstream = _everything) -> None:
        parts = urlsplit(target)
        self._downstream = downstream
        self._target = (parts.hostname, parts.port)
        self._scheme = parts.scheme
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.url = ""

    def cut(self) -> None:
        """Close every connection and take no new ones."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._close_all)

    def refuse(self) -> None:
        """Take no new connections; those that are open go on."""
        self._cut = True

    def restore(self) -> None:
        self._cut = False

    def freeze(self) -> None:
        """Forward nothing more, and close nothing, as a network that is down."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    def run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        port = server.sockets[0].getsockname()[1]
        self.url = f"{self._scheme}://127.0.0.1:{port}"
        started.set()
        self._loop.run_forever()
        server.close()
        self._flows.set()
        self._close_all()
        rest = asyncio.all_tasks(self._loop)
        self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _close_all(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._cut:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        if self._cut:
            # It was cut while the far end was being reached.
            writer.close()
            far_writer.close()
            return
        both = {writer, far_writer}
        self._writers |= both
        await asyncio.gather(
            self._pipe(reader, far_writer, bytes),
            self._pipe(far_reader, writer, self._downstream()),
        )
        self._writers -= both

    async def _pipe(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        chosen: Callable[[bytes], bytes],
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(chosen(data))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextmanager
def running_proxy(target: str, downstream: Downstream = _everything) -> Iterator[Proxy]:
    proxy = Proxy(target, downstream)
    started = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(started,))
    thread.start()
    started.wait()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
