"""What the settings ask of the cookie of a session, and where else a browser may have kept it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from attrs import evolve

from typed_sessions.errors import ConfigurationError
from typed_sessions.sealing.set_cookie import CookieAttributes, SameSite

__all__ = ["BROWSERS_LIMIT", "checked_attributes", "is_sent_to", "rivals_of", "varying_by_cookie"]

BROWSERS_LIMIT: Final = 4093
"""In bytes, of the whole header: what browsers keep at least (RFC 6265, section 6.1)."""

_SAME_SITES: Final[dict[str, SameSite]] = {"Strict": "Strict", "Lax": "Lax", "None": "None"}
_PATH_SAFE: Final = "%!$&'()*+,/:=@"
"""What a path keeps unquoted: the URL path characters and the percent sign of what is quoted already."""
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A cookie name (RFC 6265, section 4.1.1)."""
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
"""What a host name in ASCII is made of; a semicolon, say, would begin another attribute."""


def checked_attributes(
    *, name: str, path: str, domain: str | None, secure: bool, httponly: bool, samesite: str | None, partitioned: bool
) -> CookieAttributes:
    """Return the attributes that the settings ask for, in the form that goes into the header.

    Raises:
        ConfigurationError: browsers would drop such a cookie, or it would break the header; the message names the
            setting.
    """
    if not _TOKEN.fullmatch(name):
        raise ConfigurationError("SESSION_COOKIE_NAME must be made of letters, digits and !#$%&'*+-.^_`|~")
    for setting, value in (("SESSION_COOKIE_PATH", path), ("SESSION_COOKIE_DOMAIN", domain)):
        if value and not value.isprintable():
            raise ConfigurationError(f"{setting} holds a line break or another control character")
    if not path.startswith("/"):
        raise ConfigurationError(
            'SESSION_COOKIE_PATH (or APPLICATION_ROOT, where that is not set) must begin with "/": browsers take any '
            "other for the directory of the page"
        )
    secure = secure or partitioned  # a partitioned cookie is always a secure one
    if name.lower().startswith("__host-") and (domain or not secure or path != "/"):
        raise ConfigurationError(
            'a cookie named "__Host-..." needs SESSION_COOKIE_SECURE = True, SESSION_COOKIE_PATH = "/" and no '
            "SESSION_COOKIE_DOMAIN; browsers drop it otherwise"
        )
    if name.lower().startswith("__secure-") and not secure:
        raise ConfigurationError(
            'a cookie named "__Secure-..." needs SESSION_COOKIE_SECURE = True; browsers drop it otherwise'
        )
    if name.lower().startswith(("__http-", "__host-http-")) and not (secure and httponly):
        raise ConfigurationError(
            'a cookie named "__Http-..." (SESSION_COOKIE_NAME) needs SESSION_COOKIE_SECURE = True and '
            "SESSION_COOKIE_HTTPONLY = True; "
            "browsers drop it otherwise"
        )
    return CookieAttributes(
        name=name,
        path=quote(path, safe=_PATH_SAFE),
        domain=_checked_domain(domain),
        secure=secure,
        httponly=httponly,
        samesite=_checked_samesite(samesite, secure=secure),
        partitioned=partitioned,
    )


def rivals_of(attributes: CookieAttributes, root: object) -> tuple[CookieAttributes, ...]:
    """Return where a browser may have kept the same cookie before its path or its domain was set as it is now.

    Args:
        attributes: where it is kept now. That is not among them.
        root: `APPLICATION_ROOT`, which was the path if none was set.
    """
    if attributes.name.lower().startswith("__host-"):
        return ()  # it has one place
    paths = ["/", attributes.path]
    if isinstance(root, str) and root.startswith("/"):
        paths.append(quote(root, safe=_PATH_SAFE))
    places = dict.fromkeys((domain, path) for domain in (None, attributes.domain) for path in paths)
    del places[attributes.domain, attributes.path]
    return tuple(evolve(attributes, domain=domain, path=path) for domain, path in places)


def varying_by_cookie(vary: Sequence[str]) -> str:
    """Return the value of a `Vary` header that names Cookie beside what the given values name."""
    names = [name.strip() for value in vary for name in value.split(",") if name.strip()]
    if not {"*", "cookie"} & {name.lower() for name in names}:
        names.append("Cookie")
    return ", ".join(names)


def _checked_domain(domain: str | None) -> str | None:
    """Return a domain in ASCII, without the leading dot and the port that older settings carry."""
    if not domain:
        return None
    if "/" in domain:
        raise ConfigurationError("SESSION_COOKIE_DOMAIN is a host name alone, with neither a scheme nor a path")
    try:
        ascii_domain = domain.partition(":")[0].lstrip(".").encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ConfigurationError("SESSION_COOKIE_DOMAIN is no domain name") from error
    if not _DOMAIN.fullmatch(ascii_domain):
        raise ConfigurationError("SESSION_COOKIE_DOMAIN is no domain name; it is written without a dot at its end")
    return ascii_domain


def is_sent_to(domain: str, host: str) -> bool:
    """Return True if browsers take a cookie of a domain from a host, perhaps with a port (RFC 6265, section 5.1.3)."""
    name = re.sub(r":[0-9]*$", "", host).lower()
    return f".{name}".endswith(f".{domain.lower()}")


def _checked_samesite(samesite: str | None, *, secure: bool) -> SameSite | None:
    if samesite is None:
        return None
    known = _SAME_SITES.get(samesite.title())
    if known is None:
        raise ConfigurationError('SESSION_COOKIE_SAMESITE must be "Strict", "Lax", "None" or None')
    if known == "None" and not secure:
        raise ConfigurationError(
            'SESSION_COOKIE_SAMESITE = "None" needs SESSION_COOKIE_SECURE = True; browsers drop it otherwise'
        )
    return known
