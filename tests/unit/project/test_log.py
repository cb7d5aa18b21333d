"""Logging never waits for its reader, and loses nothing of a process that ends."""

import logging
import threading

import pytest

from flagsmith_sse.background_log import QUEUED, BackgroundHandler, StderrWriter
from flagsmith_sse.logging import RepeatedFilter
from realtime import metrics


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
