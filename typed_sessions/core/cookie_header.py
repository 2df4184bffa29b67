"""The values of one cookie in a `Cookie` header, without parsing all the others."""

from __future__ import annotations

__all__ = ["cookie_values"]


def cookie_values(header: str, name: str) -> tuple[str, ...] | None:
    """Return all values that a cookie has in a header, in order, as `werkzeug.sansio.http.parse_cookie` finds them.

    Browsers send several where paths or domains overlap (RFC 6265, section 5.4).

    Args:
        header: the text of the header; of several headers, joined by semicolons.
        name: of the cookie.

    Returns:
        None where only a parser tells: a value is quoted, or there is a tab.
    """
    if name not in header:
        return ()
    if '"' in header or "\t" in header:
        return None
    found: list[str] = []
    for part in header.split(";"):
        key, _, value = part.partition("=")
        if key.strip(" ") == name:
            value = value.strip(" ")
            if " " not in value:
                found.append(value)
    return tuple(found)
