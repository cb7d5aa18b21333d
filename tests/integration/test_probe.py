"""`manage.py probe` in a terminal: it works, or which hop does not and what to do."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from realtime.conf import RealtimeSettings
from realtime.probing.probe import Plan
from realtime.probing.read_survey import probe_and_ask_instances
from tests.integration.test_commands import (
    ctrl_c,
    manage,
    one_line,
    running,
    variables,
)
from tests.support.nats import NatsServer
from tests.support.proxy import running_proxy
from tests.support.service import ROOT, TOKEN, Service, running_service
from tests.support.waiting import eventually, eventually_async

SECRET = {"SSE_AUTHENTICATION_TOKEN": TOKEN}
NOWHERE = "nats://127.0.0.1:1"
TIME = r"\d+(\.\d)? m?s"


def probe(
    url: str, *options: str, nats_url: str = NOWHERE, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**SECRET, "NATS_URL": nats_url, **variables}
    return manage("probe", "--url", url, *options, environment=environment)


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """What it says of the hop that failed."""
    assert done.returncode == 1, done
    assert "CommandError" not in done.stderr
    return one_line(done)


def test_probe__it_works__each_hop_with_its_time(service: Service) -> None:
    # When
    done = probe(service.url)

    # Then: from where NATS is out of reach, too
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        f"stream open in {TIME} · 202 in {TIME} · NATS cannot be asked from here · "
        f"received at 127\\.0\\.0\\.1:{service.port} in {TIME}\n",
        done.stdout,
    ), done.stdout


def test_probe__three_instances__all_have_read_it(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with (
        running_service("workers", nats.url, tmp_path) as workers,
        running_service("daphne", nats.url, tmp_path) as daphne,
    ):
        workers.await_logged("nats.connected", 2)
        daphne.await_ready()

        # When
        done = probe(daphne.url, nats_url=nats.url)

        # Then
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(
            f"stream open in {TIME} · 202 in {TIME} · "
            f"read by 3 of 3 instances in {TIME} · "
            f"received at 127\\.0\\.0\\.1:{daphne.port} in {TIME}\n",
            done.stdout,
        ), done.stdout


async def test_probe__instance_that_hangs__is_what_fails(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with (
        running_service("serve", nats.url, tmp_path) as hanging,
        running_service("daphne", nats.url, tmp_path) as daphne,
    ):
        await asyncio.to_thread(hanging.await_ready)
        await asyncio.to_thread(daphne.await_ready)
        plan = Plan(url=daphne.url, token=TOKEN, environment="probe-test")
        settings = RealtimeSettings(nats_servers=(nats.url,))
        async with asyncio.timeout(10):
            while "2 of 2" not in str(await probe_and_ask_instances(settings, plan)):
                pass  # they have not heard of each other

        # When: a moment ago it was alive, as the other knows
        hanging.process.send_signal(signal.SIGSTOP)
        try:
            await eventually_async(
                lambda: is_stopped(hanging.process.pid), what="the signal"
            )
            result = await probe_and_ask_instances(settings, plan)
        finally:
            hanging.process.send_signal(signal.SIGCONT)

    # Then: the event came all the same
    assert [hop.name for hop in result.hops][-1] == "received"
    assert result.fault is not None
    assert result.fault.hop == "read"
    assert "The update was read by 1 of 2 instances" in result.fault.what


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has reached the process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0] == "T"


def test_probe__json__the_same_for_a_machine(served: Service) -> None:
    # When
    done = probe(served.url, "--json")

    # Then
    told = json.loads(done.stdout)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert (told["ok"], told["fault"], told["url"]) == (True, None, served.url)
    assert told["environment"].startswith("probe-")
    hops = {hop["name"]: hop["ok"] for hop in told["hops"]}
    assert hops == {"stream": True, "publish": True, "read": None, "received": True}
    assert 0 < told["seconds"] < 10
    assert TOKEN not in done.stdout


def test_probe__twice__same_environment_so_that_the_stream_keeps_one_update(
    served: Service,
) -> None:
    first, second = (json.loads(probe(served.url, "--json").stdout) for _ in range(2))
    assert first["environment"] == second["environment"]


def test_probe__wrong_token__says_so_and_does_not_print_it(served: Service) -> None:
    # When
    done = probe(served.url, "--token", "s3cret")

    # Then
    assert "The update was answered with 401" in failure(done)
    assert "another SSE_AUTHENTICATION_TOKEN" in done.stderr
    assert re.fullmatch(f"stream open in {TIME} · 401 in {TIME}\n", done.stdout)
    assert "s3cret" not in done.stdout + done.stderr


def test_probe__json_and_a_failure__exit_code_1_and_the_fault(served: Service) -> None:
    # When
    done = probe(served.url, "--json", "--token", "s3cret")

    # Then
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["ok"]) == (1, "", False)
    assert told["fault"]["hop"] == "publish"
    assert "401" in told["fault"]["what"]


def test_probe__nothing_listens__says_so() -> None:
    line = failure(probe("http://127.0.0.1:1"))
    assert "Nothing listens at 127.0.0.1:1: the connection was refused." in line


def test_probe__name_that_is_none__says_so() -> None:
    assert "DNS does not know nobody.invalid" in failure(probe("http://nobody.invalid"))


def test_probe__no_tls_there__says_so(served: Service) -> None:
    line = failure(probe(served.url.replace("http:", "https:")))
    assert f"There is no TLS at 127.0.0.1:{served.port}" in line
    assert "http:// instead of https://" in line


def test_probe__path_prefix_that_is_none__says_so(served: Service) -> None:
    line = failure(probe(served.url + "/realtime"))
    assert "The stream was answered with 404" in line
    assert "a prefix in front of /sse/" in line


def test_probe__nats_away__the_reason_and_what_to_do(
    nats: NatsServer, tmp_path: Path
) -> None:
    # Given
    with running_service("serve", nats.url, tmp_path) as service:
        service.await_ready()
        nats.kill()
        service.await_ready(False)

        # When
        done = probe(service.url)

    # Then
    assert "The stream was answered with 503: " in failure(done)
    assert "NATS" in done.stderr
    assert "manage.py fleet" in done.stderr


class Other(BaseHTTPRequestHandler):
    """A server that is not ours; answers as `respond` does."""

    respond: Callable[[BaseHTTPRequestHandler], None]

    def do_GET(self) -> None:
        type(self).respond(self)

    def log_message(self, format: str, *args: object) -> None:
        """Not to the tests' output."""


@contextmanager
def another_server(status: int, body: bytes = b"", **headers: str) -> Iterator[str]:
    """The URL of a server that gives everybody the same answer."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    kind = type("Handler", (Other,), {"respond": staticmethod(respond)})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (301, {"Location": "https://x.example/"}, b"", "Redirects are not followed"),
        (200, {"Content_Type": "text/html"}, b"<h1>Hi</h1>", "Another server answers"),
        (403, {}, b"<html>Blocked</html>", "a proxy or a firewall"),
        (502, {}, b"<h1>Bad gateway</h1>", "cannot reach the service"),
        (500, {}, b"\x1b[2J\x07", "?[2J?"),
    ],
)
def test_probe__something_else_answers__says_what(
    status: int, headers: dict[str, str], body: bytes, said: str
) -> None:
    # Given
    with another_server(status, body, **headers) as url:
        # When
        line = failure(probe(url))

    # Then
    assert str(status) in line
    assert said in line
    assert "<" not in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (0, "Nothing of the stream's response came from"),
        (b"\r\n\r\n", "The head of the stream's response, but none of its bytes, came"),
        (b"\n\n\r\n", "No event came within 1.5 s of the 202."),
    ],
    ids=["all", "body", "events"],
)
def test_probe__proxy_that_buffers__says_so(
    served: Service, passed: bytes | int, said: str
) -> None:
    # Given: it passes a stream on up to somewhere, and everything else
    def downstream() -> Callable[[bytes], bytes]:
        so_far = b""

        def chosen(data: bytes) -> bytes:
            nonlocal so_far
            before, so_far = so_far, so_far + data
            if b"text/event-stream" not in so_far:
                return data
            end = so_far.find(passed) + len(passed) if isinstance(passed, bytes) else 0
            return so_far[len(before) : max(end, len(before))]

        return chosen

    with running_proxy(served.url, downstream) as proxy:
        # When
        line = failure(probe(proxy.url, "--timeout", "1.5"))

    # Then
    assert said in line
    assert "turn buffering and compression off for /sse/" in line


def test_probe__server_that_never_answers__ctrl_c_ends_it_at_once(
    served: Service, tmp_path: Path
) -> None:
    # Given
    output = tmp_path / "output"
    with running_proxy(served.url, lambda: lambda _: b"") as proxy:
        arguments = ("probe", "--url", proxy.url, "--timeout", "60")
        with running(*arguments, environment=SECRET, output=output) as process:
            eventually(lambda: served.metric("flagsmith_sse_subscribers") == 1)

            # When
            code = ctrl_c(process)

    # Then
    assert code == 130
    assert output.read_text() == ""


def test_probe__output_that_nobody_reads__no_traceback(served: Service) -> None:
    # When
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} manage.py probe --url {served.url} | true"],
        cwd=ROOT,
        env=variables(SECRET),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    # Then
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:28088", "takes an http:// or https:// URL: http://localhost:28088"),
        ("ftp://localhost", "takes an http:// or https:// URL"),
        ("http://localhost:99999", "Port out of range"),
        ("http://localhost/?a", "takes a URL without ? and #"),
        ("http://local host", "takes a URL without white space"),
        ("http://", "takes an http:// or https:// URL"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "watch x", "publish_update x"])
def test_command__url_that_is_none__one_sentence(
    command: str, url: str, said: str
) -> None:
    # When
    line = one_line(manage(*command.split(), "--url", url, environment=SECRET))
    # Then
    assert said in line
    assert url in line


def test_probe__no_token__names_the_variable(served: Service) -> None:
    done = manage("probe", "--url", served.url)
    assert "SSE_AUTHENTICATION_TOKEN is not set" in one_line(done)
