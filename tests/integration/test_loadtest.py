"""`manage.py loadtest` and its k6 script against running services."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from realtime.http.url import HttpUrl
from realtime.loadtest import connections
from realtime.loadtest.connections import Connector
from realtime.server.embedded_nats import EmbeddedNats
from tests.integration.test_commands import ctrl_c, manage, one_line, running
from tests.support.certificates import make_certificates
from tests.support.service import ROOT, TOKEN, Service, running_service
from tests.support.waiting import eventually

SECRET = {"SSE_AUTHENTICATION_TOKEN": TOKEN}
K6_SCRIPT = ROOT / "realtime" / "loadtest" / "loadtest.k6.js"
NOBODY = "http://127.0.0.1:1"
PNG = b"\x89PNG\r\n\x1a\n"


def load(
    url: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a load test of a moment on the service at `url`."""
    arguments = ["--url", url, "--interval", "0.25", "--duration", "1", *options]
    return manage("loadtest", *arguments, environment={**SECRET, **environment})


def test_loadtest__200_subscribers__each_gets_each_update_once(
    service: Service, environment: str
) -> None:
    # Given: an update of before, which everybody is told when connecting
    assert service.publish(environment, time.time()).status_code == 202

    # When
    options = ("--subscribers=200", "--processes=2", f"--environment={environment}")
    done = load(service.url, *options, "--json")

    # Then
    assert done.returncode == 0, done
    assert done.stderr == ""
    told = json.loads(done.stdout)
    latency, rate = told.pop("latency_ms"), told["deliveries"].pop("per_second")
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert latency["max"] < 5000
    assert rate > 0
    assert told.pop("client_cpu_us_per_delivery") > 0
    assert 1 <= told.pop("seconds") < 10
    assert told == {
        "ok": True,
        "interrupted": False,
        "subscribers": 200,
        "processes": 2,
        "environments": 1,
        "connected": 200,
        "rejected": 0,
        "dropped": 0,
        "reasons": {},
        "updates": {"published": 4, "failed": 0, "reasons": {}},
        "deliveries": {
            "expected": 800,
            "received": 800,
            "superseded": 0,
            "missing": 0,
            "duplicate": 0,
        },
    }


@pytest.mark.parametrize(
    "which",
    [["--environments=3"], ["--environment=a", "--environment=b", "--environment=c"]],
    ids=["number", "keys"],
)
def test_loadtest__three_environments__each_update_to_its_own_subscribers(
    served: Service, which: list[str]
) -> None:
    # When: four updates in turn, to 4 subscribers of the first and 3 of the others
    done = load(served.url, "--subscribers=10", "--processes=2", *which)

    # Then
    assert done.returncode == 0, done
    assert "10 connected of 10 in 2 processes and 3 environments" in done.stdout
    assert "4 published" in done.stdout
    assert "14 received of 14 expected, 0 missing" in done.stdout


def test_loadtest__without_a_terminal__a_line_now_and_then(
    served: Service, environment: str, tmp_path: Path
) -> None:
    # Given
    output = tmp_path / "output"
    arguments = ("--url", served.url, "--subscribers=20", "--environment", environment)
    with running("loadtest", *arguments, environment=SECRET, output=output) as process:
        # When
        eventually(lambda: "20 of 20 connected" in output.read_text(), seconds=40)

        # Then
        assert "\x1b" not in output.read_text()
        assert ctrl_c(process) == 0


def test_loadtest__service_without_nats__reports_the_rejected(tmp_path: Path) -> None:
    # Given
    with running_service(
        "serve", "nats://127.0.0.1:1", tmp_path, SSE_REJECT_DELAY_SECONDS="0.1"
    ) as service:
        service.expected_errors.add("nats.connection_failed")

        # When
        done = load(service.url, "--subscribers=20", "--processes=1")

        # Then
        assert done.returncode == 1
        assert "0 connected of 20 in 1 process, 20 rejected (20 x 503)" in done.stdout
        assert "0 published" in done.stdout


def test_loadtest__service_stops__reports_the_dropped(
    shared_nats: EmbeddedNats, environment: str, tmp_path: Path
) -> None:
    # Given
    output = tmp_path / "output"
    with running_service("serve", shared_nats.url, tmp_path) as service:
        service.await_ready()
        with running(
            *("loadtest", f"--url={service.url}", f"--environment={environment}"),
            *("--subscribers=20", "--interval=0.1", "--json"),
            environment=SECRET,
            output=output,
        ) as process:
            eventually(lambda: connected(service) > 20, what="the publisher too")

            # When
            assert service.stop() == 0

            # Then
            assert process.wait(20) == 1
    told = json.loads(output.read_text())
    assert (told["connected"], told["dropped"]) == (20, 20)


def connected(service: Service) -> int:
    """How many connections to its port there are."""
    with open("/proc/net/tcp") as table:
        port = f":{service.port:04X}"
        rows = [line.split()[1:4] for line in table]
    return sum(local.endswith(port) and state == "01" for local, _, state in rows)


def test_loadtest__ctrl_c__prints_the_summary(
    served: Service, environment: str, tmp_path: Path
) -> None:
    # Given
    output = tmp_path / "output"
    arguments = ("--url", served.url, "--subscribers=20", "--environment", environment)
    with running(
        "loadtest", *arguments, "--json", environment=SECRET, output=output
    ) as process:
        eventually(lambda: connected(served) > 20, what="the publisher too")
        time.sleep(0.5)

        # When
        code = ctrl_c(process)

        # Then
        told = json.loads(output.read_text())
        assert code == 0
        assert told["interrupted"] is True
        assert told["connected"] == 20
        assert told["deliveries"]["received"] == told["deliveries"]["expected"] > 0


def test_loadtest__killed__leaves_no_process_behind(
    served: Service, tmp_path: Path
) -> None:
    # Given
    arguments = ("--url", served.url, "--subscribers=20", "--processes=2")
    with running(
        "loadtest", *arguments, environment=SECRET, output=tmp_path / "output"
    ) as process:
        eventually(lambda: connected(served) >= 20, what="subscribers")

        # When
        process.send_signal(signal.SIGKILL)
        process.wait(10)

        # Then: it was the leader of a session of its own
        def left() -> bool:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return False
            return True

        eventually(lambda: not left(), what="the processes to end")


def test_loadtest__plot__draws_a_picture(
    served: Service, environment: str, tmp_path: Path
) -> None:
    # Given
    picture = tmp_path / "latency.png"

    # When: for the first time on a machine, as far as matplotlib can tell
    options = (f"--environment={environment}", f"--plot={picture}", "--processes=auto")
    fonts = str(tmp_path / "matplotlib")
    done = load(served.url, "--subscribers=50", *options, MPLCONFIGDIR=fonts)

    # Then
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert "200 received of 200 expected, 0 missing" in done.stdout
    assert "latency      p50 " in done.stdout
    assert picture.read_bytes().startswith(PNG)


def test_loadtest__plot_without_matplotlib__says_what_to_install(
    tmp_path: Path,
) -> None:
    # Given
    (tmp_path / "matplotlib.py").write_text("raise ImportError('matplotlib')")

    # When
    done = load(NOBODY, f"--plot={tmp_path / 'x.png'}", PYTHONPATH=str(tmp_path))

    # Then
    assert "pip install matplotlib" in one_line(done)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([f"--url={NOBODY}"], f"Cannot reach {NOBODY}/sse/environments/load_test/str"),
        (["--url=ftp://x"], "--url ftp://x: takes an http:// or https:// URL"),
        (["--subscribers=9000000", "--processes=1"], "do not fit into 1 process of"),
        (["--plot=/nowhere/x.png"], "Cannot write /nowhere/x.png: No such file"),
    ],
    ids=["unreachable", "scheme", "too many", "no folder"],
)
def test_loadtest__mistake__is_told_in_one_line(
    options: list[str], message: str
) -> None:
    assert message in one_line(manage("loadtest", *options, environment=SECRET))


@pytest.mark.parametrize(
    "option",
    ["--subscribers=0", "--duration=nan", "--ramp=x/s"],
)
def test_loadtest__senseless_option__says_what_it_takes(option: str) -> None:
    # When
    done = manage("loadtest", option, environment=SECRET)

    # Then
    assert done.returncode == 2
    assert f"argument {option.partition('=')[0]}: takes" in done.stderr


def test_loadtest__wrong_token__says_so(served: Service) -> None:
    # When
    done = load(served.url, SSE_AUTHENTICATION_TOKEN="s3cret")

    # Then
    line = one_line(done)
    assert "answered 401" in line
    assert "s3cret" not in line


def test_loadtest__no_token__names_the_variable() -> None:
    done = load(NOBODY, SSE_AUTHENTICATION_TOKEN="")
    assert "SSE_AUTHENTICATION_TOKEN is not set" in one_line(done)


def test_loadtest__help__tells_the_exit_codes() -> None:
    # When
    done = manage("loadtest", "--help")

    # Then
    assert done.returncode == 0
    assert "exit code is 0" in " ".join(done.stdout.split())
    assert "(default: 15000)" in done.stdout


def test_loadtest__over_tls__works_the_same(
    served: Service, environment: str, tmp_path: Path
) -> None:
    # Given
    made = make_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    with tls_proxy(context, served.port) as url:
        # When
        options = ("--subscribers=20", f"--environment={environment}", "--json")
        done = load(url, *options, SSL_CERT_FILE=str(made.authority))

    # Then
    assert done.returncode == 0, done
    deliveries = json.loads(done.stdout)["deliveries"]
    assert (deliveries["expected"], deliveries["received"]) == (80, 80)


@contextmanager
def tls_proxy(context: ssl.SSLContext, port: int) -> Iterator[str]:
    """Takes TLS off connections to the URL, on their way to `port`."""

    def forward(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def start(*arguments: Any) -> None:
        threading.Thread(target=forward, args=arguments, daemon=True).start()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                secured = context.wrap_socket(connection, server_side=True)
            except (ssl.SSLError, ConnectionError):
                continue
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", port))
            opened.extend((secured, behind))
            start(secured, behind)
            start(behind, secured)

    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in opened:
        one.close()


def test_connector__very_many_on_loopback__uses_more_source_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    monkeypatch.setattr(connections, "PER_SOURCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = HttpUrl.parse(f"http://x:{listener.getsockname()[1]}/")
        connector = Connector([url], "127.0.0.1", subscribers=3)

        # When
        sources = []
        for number in range(3):
            with closing(connector.start(number, 0).socket):
                connection, (source, _) = listener.accept()
                connection.close()
                sources.append(source)

    # Then
    assert sources == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]


def test_k6_script__on_the_service__passes_its_thresholds(
    served: Service, environment: str, tmp_path: Path
) -> None:
    # Given
    options = {
        **{"BASE_URL": served.url, "TOKEN": TOKEN, "ENVIRONMENT": environment},
        **{"SUBSCRIBERS": "50", "INTERVAL": "0.25", "DURATION": "1", "GRACE": "1"},
    }

    # When
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("k6"), "run", "--no-usage-report", "-q"),
            *("--log-output=none", "--address=", f"--summary-export={report}"),
            *(f"--env={name}={value}" for name, value in options.items()),
            K6_SCRIPT,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    # Then
    assert done.returncode == 0, done
    metrics = json.loads(report.read_text())["metrics"]
    assert metrics["deliveries"]["count"] == 200
    assert metrics["missing"]["count"] == metrics["duplicates"]["count"] == 0
    assert metrics["checks"]["fails"] == 0
    assert metrics["checks"]["passes"] == 54
