"""HTTP dates (RFC 9110, section 5.6.7), in which tagged JSON writes the time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["exact_http_date", "http_date", "parsed_http_date"]

_MIDNIGHT: Final = time()
_DAYS: Final = ("Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, ", "Sun, ")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS_IN_ISO: Final = {f" {month} ": f"-{number:02}-" for number, month in enumerate(_MONTHS, 1)}


def http_date(value: date) -> str:
    """Return an HTTP date. Source: werkzeug.http.http_date."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, _MIDNIGHT)
    if moment.tzinfo is not UTC:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    return f"{day}{moment.day:02} {month} {moment.year:04} {clock} GMT"


def exact_http_date(text: str) -> datetime:
    """Return the time of which `http_date` makes this text.

    Raises:
        ValueError: it makes no such text.
    """
    month = _MONTHS_IN_ISO.get(text[7:12], "?")
    moment = datetime.fromisoformat(f"{text[12:16]}{month}{text[5:7]}T{text[17:25]}+00:00")  # read in C
    if not (
        text[25:] == " GMT"  # so there is all that comes before
        and text[:5] == _DAYS[moment.weekday()]
        and text[12] != "0"  # a year before 1000 is read as another
        and text[16:23:3] == " ::"
        and text[17:19] != "24"  # which some versions of Python read
    ):
        raise ValueError("not as http_date writes it")
    return moment


def parsed_http_date(text: str) -> datetime | None:
    """Return an aware datetime, or None for what is no date. Source: werkzeug.http.parse_date."""
    if type(text) is str:  # a payload may hold anything
        with suppress(ValueError):
            return exact_http_date(text)  # nearly always, and the parser takes much longer
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
