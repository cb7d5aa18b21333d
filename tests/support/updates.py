"""What may be published and what not, and what becomes of it: for the parser and for
the running service alike."""

ISO_STRINGS = {
    # text: the JSON number that is sent
    "2023-01-12T18:06:42.028060+00:00": "1673546802.02806",
    "2023-01-12T18:06:42+00:00": "1673546802.0",
    "2023-01-12T20:06:42.5+02:00": "1673546802.5",
    "2023-01-12T12:36:42.000001-05:30": "1673546802.000001",
    "2023-01-12T18:06:42.028060": "1673546802.02806",
    "2023-01-12T18:06:42": "1673546802.0",
    "2023-01-12T18:06:42.028Z": "1673546802.028",
    "2023-01-12T18:06:42Z": "1673546802.0",
    "2023-01-12 18:06:42+00:00": "1673546802.0",
    "2023-01-12": "1673481600.0",
    "1970-01-01T00:00:00+00:00": "0.0",
    "9999-12-31T23:59:59.999999+00:00": "253402300799.999999",
}

NUMBERS = [
    "123",
    "0",
    "1735229888.76",
    "1735229888.0",
    "1735229888.760000",
    "1e9",
    "1.735E+9",
    "17352298887600e-4",
    "12345678901234567890",
    "1.7976931348623157e308",
]

PARSE_ERROR = "JSON parse error - "
NO_OBJECT = "Invalid data. Expected a JSON object."
NO_DATE = "Not an ISO 8601 date and time"
NO_TIME = "Must be a number of Unix seconds or an ISO 8601 date and time."

REFUSED_BODIES: dict[str, tuple[bytes, str, str]] = {
    # what it is: the body, the field at fault, how the reason begins
    "empty": (b"", "detail", PARSE_ERROR),
    "form": (b"updated_at=1", "detail", PARSE_ERROR),
    "cut short": (b'{"updated_at":1', "detail", PARSE_ERROR),
    "followed by more": (b'{"updated_at":1}{}', "detail", PARSE_ERROR),
    "invalid UTF-8": (b'{"updated_at":1,"by":"\xff"}', "detail", PARSE_ERROR),
    "UTF-16": ('{"updated_at":1}'.encode("utf-16"), "detail", PARSE_ERROR),
    "NaN elsewhere": (b'{"updated_at":1,"by":NaN}', "detail", PARSE_ERROR),
    "leading zero": (b'{"updated_at":0123}', "detail", PARSE_ERROR),
    "plus sign": (b'{"updated_at":+1}', "detail", PARSE_ERROR),
    "list": (b"[]", "non_field_errors", NO_OBJECT),
    "number": (b"1", "non_field_errors", NO_OBJECT),
    "text": (b'"2023-01-12"', "non_field_errors", NO_OBJECT),
    "null": (b"null", "non_field_errors", NO_OBJECT),
    "missing": (b"{}", "updated_at", "This field is required."),
    "other case": (b'{"Updated_at":1}', "updated_at", "This field is required."),
    "twice": (b'{"updated_at":1,"updated_at":1}', "updated_at", "This field was given"),
    "twice, escaped": (
        b'{"updated_at":1,"\\u0075pdated_at":2}',
        "updated_at",
        "This field was given more than once.",
    ),
    "null time": (b'{"updated_at":null}', "updated_at", "This field may not be null."),
    "true": (b'{"updated_at":true}', "updated_at", NO_TIME),
    "false": (b'{"updated_at":false}', "updated_at", NO_TIME),
    "list time": (b'{"updated_at":[1]}', "updated_at", NO_TIME),
    "object time": (b'{"updated_at":{"at":1}}', "updated_at", NO_TIME),
    "negative": (b'{"updated_at":-1}', "updated_at", "Must not be negative."),
    "negative fraction": (b'{"updated_at":-0.5}', "updated_at", "Must not be negative"),
    "NaN": (b'{"updated_at":NaN}', "updated_at", "NaN is not a JSON number."),
    "Infinity": (b'{"updated_at":Infinity}', "updated_at", "Infinity is not a JSON"),
    "-Infinity": (b'{"updated_at":-Infinity}', "updated_at", "-Infinity is not a JSON"),
    "no double": (b'{"updated_at":1e400}', "updated_at", "Too large for a number."),
    "long integer": (
        b'{"updated_at":%s}' % (b"9" * 400),
        "updated_at",
        "Too large for a number.",
    ),
    "empty text": (b'{"updated_at":""}', "updated_at", NO_DATE),
    "words": (b'{"updated_at":"yesterday"}', "updated_at", NO_DATE),
    "number in text": (b'{"updated_at":"1735229888.76"}', "updated_at", NO_DATE),
    "no such month": (b'{"updated_at":"2023-13-01T00:00:00Z"}', "updated_at", NO_DATE),
    "no such day": (b'{"updated_at":"2023-02-30"}', "updated_at", NO_DATE),
    "time only": (b'{"updated_at":"18:06:42"}', "updated_at", NO_DATE),
    "line end": (b'{"updated_at":"2023-01-12T18:06:42Z\\n"}', "updated_at", NO_DATE),
    "odd separator": (b'{"updated_at":"2023-01-12-18:06"}', "updated_at", NO_DATE),
    "digit separator": (b'{"updated_at":"2012121212121"}', "updated_at", NO_DATE),
    "wide digits": (
        '{"updated_at":"\uff12\uff10\uff12\uff13-01-12"}'.encode(),
        "updated_at",
        NO_DATE,
    ),
    "half a surrogate pair": (b'{"updated_at":"\\ud800"}', "updated_at", NO_DATE),
    "before 1970": (
        b'{"updated_at":"1969-12-31T23:59:59.999999Z"}',
        "updated_at",
        "Must not be before 1970.",
    ),
    "before 1970 in UTC": (
        b'{"updated_at":"1970-01-01T00:00:00+00:01"}',
        "updated_at",
        "Must not be before 1970.",
    ),
}
