"""What a page becomes where the store of the sessions does not answer: 503 (RFC 9110, section 15.6.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from typed_sessions.core.cookies import varying_by_cookie

__all__ = ["RETRY_AFTER", "headers_instead"]

RETRY_AFTER: Final = 5
"""In seconds: when a client may try again after the store did not answer."""

_OF_ANY_PAGE: Final = frozenset(
    {
        "content-security-policy",
        "cross-origin-embedder-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
        "referrer-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
    }
)
"""The headers that protect whatever page they come with, in lower case."""


def headers_instead(page: Iterable[tuple[str, str]], answer: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of an answer that goes out instead of a page, of which nothing else goes out.

    Args:
        page: the headers of the page that could not be saved.
        answer: those of the answer.
    """
    answers = list(answer)
    named = {name.lower() for name, _ in answers}
    headers = [each for each in answers if each[0].lower() != "vary"]
    headers += [each for each in page if each[0].lower() in _OF_ANY_PAGE - named]
    if "cache-control" not in named:
        headers.append(("Cache-Control", "no-store"))
    varies = [value for name, value in answers if name.lower() == "vary"]
    return [*headers, ("Vary", varying_by_cookie(varies))]
