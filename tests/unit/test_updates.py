"""Parsing what is published and encoding what is stored and sent."""

import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.exceptions import InvalidUpdate
from realtime.updates import Update, parse_update
from tests.support.updates import ISO_STRINGS, NUMBERS, REFUSED_BODIES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
# A day from either end: the offset must not lead out of what a datetime can hold.
FIRST, LAST = datetime(1970, 1, 2), datetime(9999, 12, 30)
moments = st.datetimes(FIRST, LAST, timezones=offsets) | st.datetimes(FIRST, LAST)
digits = st.text("0123456789", min_size=1, max_size=30)
integers = st.just("0") | st.builds("".join, st.tuples(st.sampled_from("19"), digits))
fractions = st.just("") | digits.map(".".__add__)
exponents = st.just("") | st.builds(
    "{}{}{}".format,
    st.sampled_from("eE"),
    st.sampled_from(["", "+", "-"]),
    st.integers(0, 400),
)
# Any JSON number that is not negative, and those of them that a double can hold.
numbers = st.builds("".join, st.tuples(integers, fractions, exponents))
finite_numbers = numbers.filter(lambda number: math.isfinite(float(number)))
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def parsed(body: bytes) -> Update | None:
    """The update in `body`; None if it was refused as it should be."""
    try:
        return parse_update(body)
    except InvalidUpdate as error:
        # It becomes an answer's body.
        json.dumps(error.errors).encode()
        return None


@pytest.mark.parametrize(("text", "seconds"), ISO_STRINGS.items())
def test_parse_update__iso_string__float_seconds(text: str, seconds: str) -> None:
    # Given
    body = json.dumps({"updated_at": text}).encode()
    # When
    update = parse_update(body)
    # Then
    assert update == Update(seconds)


@pytest.mark.parametrize("number", NUMBERS)
def test_parse_update__number__as_written(number: str) -> None:
    # Given / When
    update = parse_update(b'{"updated_at":%s}' % number.encode())
    # Then
    assert update == Update(number)


@pytest.mark.parametrize("case", REFUSED_BODIES)
def test_parse_update__senseless_body__field_and_reason(case: str) -> None:
    # Given
    body, field, reason = REFUSED_BODIES[case]
    # When
    with pytest.raises(InvalidUpdate) as raised:
        parse_update(body)
    # Then
    assert list(raised.value.errors) == [field]
    assert isinstance(raised.value.errors[field], str if field == "detail" else list)
    assert str(raised.value).startswith(f"{field}: {reason}")


@given(moments, st.sampled_from(["T", " "]))
@example(datetime(2255, 6, 5, 23, 47, 34, 740993, UTC), "T")  # beyond 2 ** 53 µs
@example(datetime(9999, 12, 30, 0, 0, 0, 1), " ")
def test_parse_update__any_isoformat__exact_to_the_microsecond(
    moment: datetime, separator: str
) -> None:
    # Given
    body = json.dumps({"updated_at": moment.isoformat(separator)}).encode()
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # When
    text = parse_update(body).updated_at
    # Then
    seconds = Fraction(text)
    assert EPOCH + timedelta(microseconds=int(seconds * 1_000_000)) == aware
    assert (seconds * 1_000_000).denominator == 1
    # Dart takes a number without a decimal point for none.
    assert isinstance(json.loads(text), float)
    assert "." in text
    assert "e" not in text


@given(finite_numbers)
@example("123")
@example("1735229888.0")
@example("0e999")
def test_parse_update__any_number__verbatim(number: str) -> None:
    # Given / When
    update = parse_update(b'{"updated_at":%s}' % number.encode())
    # Then
    assert update == Update(number)


@given(
    st.builds("1{}{}e400".format, digits, fractions)
    | st.integers(309, 4000).map("9".__mul__)
)
def test_parse_update__any_number_that_no_double_holds__refused(number: str) -> None:
    # Given / When / Then
    assert parsed(b'{"updated_at":%s}' % number.encode()) is None


@given(st.binary(max_size=200))
def test_parse_update__any_bytes__update_or_invalid_update(body: bytes) -> None:
    # Given / When
    update = parsed(body)
    # Then
    assert update is None or json.loads(update.payload())["updated_at"] >= 0


@given(json_values | st.fixed_dictionaries({"updated_at": json_values}))
@example({"updated_at": "W"})
@example({"updated_at": "0001-01-01T00:00:00+23:59"})
@example({"updated_at": "9999-12-31T23:59:59-23:59"})
@example({"updated_at": "-" * 4000})
def test_parse_update__any_json__update_or_invalid_update(document: object) -> None:
    # Given / When
    update = parsed(json.dumps(document).encode())
    # Then
    assert update is None or json.loads(update.payload())["updated_at"] >= 0


@given(st.text("0123456789-:.,+TWZ \n\u0661\uff11", max_size=40))
@example("2023-01-12T18:06:42Z")
def test_parse_update__anything_like_a_date__a_number_or_invalid(text: str) -> None:
    # Given / When
    update = parsed(json.dumps({"updated_at": text}).encode())
    # Then
    if update is not None:
        assert Decimal(update.updated_at) >= 0
        assert "." in update.updated_at
        # ISO 8601 knows no other separator between date and time than T.
        date = re.split("[T ]", text)[0]
        assert len(date) <= 10
        assert ":" not in date


def test_update__payload__as_documented() -> None:
    # Given
    update = Update("1735229888.76")
    # When / Then
    assert update.payload() == b'{"updated_at":1735229888.76}'
