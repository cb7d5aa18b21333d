"""docs/metrics.md names every metric of this app, and no other."""

import re
from pathlib import Path

from realtime.monitoring.exposition import exposition

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_reference__every_metric__with_its_type_and_labels() -> None:
    # Given
    table = dict(
        re.findall(
            r"^\| `(flagsmith_sse_\w+)[^|]*` \| (\w+) \|", REFERENCE.read_text(), re.M
        )
    )
    # When
    text = exposition().decode()
    exposed = dict(re.findall(r"^# TYPE (flagsmith_sse_\w+) (\w+)$", text, re.M))
    # Then
    assert table == exposed
