"""HTTP dates (RFC 9110, section 5.6.7), in which tagged JSON writes the time."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["exact_http_date", "http_date", "parsed_http_date"]

_MIDNIGHT: Final = time()
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS: Final = {month: number for number, month in enumerate(_MONTHS, 1)}

_FORM: Final = re.compile(
    r"(...), ([0-9]{2}) (...) ([1-9][0-9]{3}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"  # a year of less is read as another
)


def http_date(value: date) -> str:
    """Return an HTTP date. Source: werkzeug.http.http_date."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, _MIDNIGHT)
    if moment.tzinfo is not UTC:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    return f"{day}, {moment.day:02} {month} {moment.year:04} {clock} GMT"


def exact_http_date(text: str) -> datetime:
    """Return the time of which `http_date` makes this text.

    Raises:
        ValueError: it makes no such text.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("not as http_date writes it")
    weekday, day, month, year, hour, minute, second = match.groups()
    number = _MONTH_NUMBERS.get(month, 0)  # which no calendar has
    moment = datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    if _DAYS[moment.weekday()] != weekday:
        raise ValueError("another day of the week")
    return moment


def parsed_http_date(text: str) -> datetime | None:
    """Return an aware datetime, or None for what is no date. Source: werkzeug.http.parse_date."""
    with suppress(TypeError, ValueError):
        return exact_http_date(text)  # nearly always, and the parser takes much longer
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
