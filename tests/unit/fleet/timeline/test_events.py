"""Events as they come over NATS."""

import pytest

from realtime.fleet.timeline.events import (
    MOST_BYTES,
    decode_event,
)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"kind":"died","seen_by":"a b","at":1,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":1e99,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":1e400,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":-1,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":NaN,"instance":"x","host":"h","pid":1}',
        b'{"kind":"nats_away","seen_by":"a","at":1,"kept":-1}',
        b'{"kind":"nats_away","seen_by":"a","at":1,"marks":[%s]}'
        % b",".join([b"1"] * 101),
        b'{"kind":"nats_away","seen_by":"a","at":1,"waiting_marks":[-1]}',
        b'{"kind":"stream_changed","seen_by":"a","at":1,"change":"exploded"}',
        b'{"kind":"rejections","seen_by":"a","at":1,"reason":"x","rejected":1}',
        b'{"kind":"died","seen_by":"a","at":1}' + b" " * MOST_BYTES,
    ],
)
def test_decode_event__what_is_none__passed_over(payload: bytes) -> None:
    assert decode_event(payload) is None
