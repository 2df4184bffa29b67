"""HTTP dates, beside werkzeug's: each is read as the time that it was made of, and no other text is."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from flask.json.tag import TaggedJSONSerializer as FlasksSerializer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug import http

from tests.strategies import edited
from typed_sessions.serializers import TaggedJSONSerializer
from typed_sessions.serializers.http_dates import exact_http_date, http_date

MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31, 23), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the time zone
TEXT = "Mon, 30 Nov 2026 10:00:00 GMT"


@settings(max_examples=500, deadline=None)
@given(
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=30)))).filter(
        lambda value: 1 < value.year < 9999
    )
    | st.dates(),
)
@example(datetime(999, 1, 2, 3, 4, 5, 678, UTC))
def test_a_date_is_written_as_by_werkzeug(value: date) -> None:
    assert http_date(value) == http.http_date(value)


@given(MOMENTS)
def test_what_was_written_is_read_exactly(moment: datetime) -> None:
    assert exact_http_date(http_date(moment)) == moment.replace(microsecond=0)
    assert exact_http_date(http_date(moment)).tzinfo is UTC


@settings(max_examples=2000, deadline=None)
@given(MOMENTS, st.data())
def test_only_what_is_written_so_is_read_exactly(moment: datetime, data: st.DataObject) -> None:
    text = data.draw(edited(http_date(moment), "0123456789 ,:.GMTWJanFeb-+Z\u0664é"))
    try:
        read = exact_http_date(text)
    except ValueError:
        return
    assert http_date(read) == text


@pytest.mark.parametrize("value", [{}, {"a": 1}, [1], 5, True, None, ""], ids=repr)
def test_what_is_no_text_ends_as_in_flask(value: object) -> None:
    payload = json.dumps({" d": value})

    def outcome(serializer: Any) -> object:
        try:
            return serializer.loads(payload)
        except AttributeError as error:
            return str(error)

    assert outcome(TaggedJSONSerializer()) == outcome(FlasksSerializer())


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("Mon", "Tue"),
        TEXT.replace("Nov", "nov"),
        TEXT.replace("30", "31"),
        TEXT.replace("2026", "0999"),
        "Tue" + TEXT.replace("10:00:00", "24:00:00")[3:],
        TEXT.replace("10:00:00", "10:00:60"),
        TEXT.replace("10:00:00", "100000.0"),
        TEXT.replace("10:00:00", "10:00.00"),
        TEXT.replace("10:00:00", "1000:00Z"),
        TEXT.replace(" 10", "T10"),
        TEXT.replace("GMT", "UTC"),
        TEXT + " ",
        " " + TEXT,
        *(TEXT[:size] for size in range(1, len(TEXT))),
    ],
)
def test_another_text_is_not_read_exactly(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|http_date|month|day|hour|minute|second"):
        exact_http_date(text)
