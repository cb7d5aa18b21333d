"""Logging never waits for its reader, and loses nothing of a process that ends."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flagsmith_sse.background_log import QUEUED, BackgroundHandler, StderrWriter
from flagsmith_sse.logging import RepeatedFilter
from realtime import metrics

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import logging, logging.config, os, sys
from flagsmith_sse.logging import configure_structlog, logging_config
configure_structlog()
logging.config.dictConfig(logging_config(level="INFO", log_format="json"))
log = logging.getLogger("test")
for number in range(500):
    log.info("parent %d", number)
if os.fork() == 0:
    log.info("child")
    sys.exit()
os.wait()
log.info("last")
raise RuntimeError("the end")
"""


FAILING = """
import logging, logging.config, sys
import rich, structlog
from flagsmith_sse.logging import configure_structlog, logging_config

assert structlog.dev.rich is rich
configure_structlog()
logging.config.dictConfig(logging_config(level="INFO", log_format=sys.argv[1]))

def fail():
    token = "".join(reversed("terces"))
    raise RuntimeError("the reason")

try:
    fail()
except RuntimeError:
    logging.getLogger("django").exception("plain")
    structlog.get_logger("sse").exception("structured")
"""


def record(message: str, name: str = "sse", line: int = 1) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "file.py", line, message, (), None)


def dropped(reason: str) -> float:
    value: float = metrics.log_lines_dropped[reason]._value.get()
    return value


def test_handler__writer_is_stuck__drops_what_is_too_much_and_counts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    reads = threading.Event()
    written: list[bytes] = []

    def write(writer: StderrWriter, data: bytes) -> int:
        reads.wait()
        written.append(data)
        return len(data)

    monkeypatch.setattr(StderrWriter, "_write", write)
    before = dropped("full")
    handler = BackgroundHandler()

    # When: one may be with the writer already
    for number in range(QUEUED + 11):
        handler.handle(record(str(number)))
    lost = dropped("full") - before
    reads.set()
    handler.flush()

    # Then
    assert lost in (10, 11)
    assert len(written) == QUEUED + 11 - lost
    assert written[:2] == [b"0\n", b"1\n"]


def test_log__process_forks_and_dies_of_an_exception__every_line_is_there() -> None:
    # Given / When
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, check=False
    )

    # Then
    lines = ended.stderr.decode().splitlines()
    assert ended.returncode == 1
    assert sum('"parent ' in line for line in lines) == 500
    assert sum('"child"' in line for line in lines) == 1
    assert sum('"last"' in line for line in lines) == 1
    assert "RuntimeError: the end" in lines


@pytest.mark.parametrize("log_format", ["generic", "json"])
def test_log__exception_where_rich_is_installed__shows_no_variables(
    log_format: str,
) -> None:
    # When
    ended = subprocess.run(
        [sys.executable, "-c", FAILING, log_format],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    # Then
    assert ended.stderr.count("RuntimeError: the reason") == 2
    assert ended.stderr.count("Traceback (most recent call last)") == 2
    assert "secret" not in ended.stderr


def test_log__no_standard_error_output__nothing_breaks() -> None:
    # Given / When
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, PROGRAM],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )

    # Then: of the exception in it
    assert ended.returncode == 1


def test_repeated__of_one_line_of_code__logged_once_and_counted() -> None:
    # Given
    repeated = RepeatedFilter()
    before = dropped("repeated")

    # When
    lines = [record(f"Not Found: /{n}", "django.request") for n in range(10)]
    passed = [repeated.filter(line) for line in lines]

    # Then
    assert passed == [True] + [False] * 9
    assert dropped("repeated") == before + 9
    assert repeated.filter(record("another", "django.request", line=2))
    assert all(repeated.filter(record("ours")) for _ in range(10))
