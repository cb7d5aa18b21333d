"""What a process logs reaches its standard error output, however the process ends."""

import re
import subprocess
import sys

import pytest

from tests.support.service import ROOT

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
    # Two threads write: a line of the log may come in the middle of the traceback.
    others = re.sub(r'\{"event[^\n]*\}\n', "", ended.stderr.decode())
    assert "RuntimeError: the end\n" in others


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
