"""What a session needs of a framework, and what a framework asks of whatever keeps its sessions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol

from typing_extensions import TypeVar

from typed_sessions.core.caching import OF_ALL_PAGES, private
from typed_sessions.core.cookies import varying_by_cookie
from typed_sessions.core.null_session import NullSession
from typed_sessions.core.settings import DEFAULT_LIFETIME, flag_of, lifetime_of
from typed_sessions.sealing.base import Clock

__all__ = [
    "ConfiguredApp",
    "CookieRequest",
    "CookieResponse",
    "ResponseHeaders",
    "SessionInterface",
    "make_private",
    "values_of",
    "vary_by_cookie",
]


class ConfiguredApp(Protocol):
    """What a session needs of an application. Quart's and Flask's applications fill it."""

    @property
    def config(self) -> Mapping[str, Any]: ...


class CookieRequest(Protocol):
    """What a session needs of a request or a websocket."""

    @property
    def cookies(self) -> Mapping[str, str]: ...


class ResponseHeaders(Protocol):
    """Headers, several of one name, whose names are found in any case."""

    def __iter__(self) -> Iterator[tuple[str, str]]: ...
    def add(self, key: str, value: str, /) -> object: ...
    def getlist(self, key: str, /) -> list[str]: ...
    def set(self, key: str, value: str, /) -> object: ...


class CookieResponse(Protocol):
    """What a session needs of a response."""

    @property
    def headers(self) -> ResponseHeaders: ...


AppT_contra = TypeVar("AppT_contra", bound=ConfiguredApp, contravariant=True)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_contra = TypeVar("ResponseT_contra", contravariant=True)
SessionT = TypeVar("SessionT", bound="FlaggedSession")


class FlaggedSession(Protocol):
    """What decides whether a session is written, and for how long."""

    @property
    def modified(self) -> bool: ...
    @property
    def permanent(self) -> bool: ...


class SessionInterface(Protocol[AppT_contra, RequestT_contra, ResponseT_contra, SessionT]):
    """What a framework asks of whatever keeps its sessions; `quart.sessions.SessionInterface` fills it, too.

    A class that inherits from it gets the cookie helpers, and has to say how a session is opened and saved.
    """

    @property
    def null_session_class(self) -> type[MutableMapping[str, object]]:
        """The class of the session of an application that cannot have one."""
        return NullSession

    @property
    def pickle_based(self) -> bool:
        """Always False: no session of this library is pickled."""
        return False

    async def make_null_session(self, app: AppT_contra) -> MutableMapping[str, object]:  # noqa: ARG002 -- Quart's
        """Return the session of an application that cannot have one: `open_session` returned None."""
        return self.null_session_class()

    def is_null_session(self, instance: object) -> bool:
        """Return True if an object is such a session. It is not saved."""
        return isinstance(instance, self.null_session_class)

    def get_cookie_name(self, app: AppT_contra) -> str:
        """Return the name of the cookie: `SESSION_COOKIE_NAME`."""
        name: str | bool | None = app.config.get("SESSION_COOKIE_NAME")
        return name if isinstance(name, str) else "session"

    def get_cookie_domain(self, app: AppT_contra) -> str | None:
        """Return the domain of the cookie, None for the host alone: `SESSION_COOKIE_DOMAIN`."""
        domain: str | None = app.config.get("SESSION_COOKIE_DOMAIN")
        return domain or None

    def get_cookie_path(self, app: AppT_contra) -> str:
        """Return the path of the cookie: `SESSION_COOKIE_PATH`, or `APPLICATION_ROOT`."""
        path: str = app.config.get("SESSION_COOKIE_PATH") or app.config.get("APPLICATION_ROOT") or "/"
        return path

    def get_cookie_httponly(self, app: AppT_contra) -> bool:
        """Return True if scripts cannot read the cookie: `SESSION_COOKIE_HTTPONLY`."""
        return flag_of("SESSION_COOKIE_HTTPONLY", app.config.get("SESSION_COOKIE_HTTPONLY", True))

    def get_cookie_secure(self, app: AppT_contra) -> bool:
        """Return True if the cookie goes over HTTPS only: `SESSION_COOKIE_SECURE`."""
        return flag_of("SESSION_COOKIE_SECURE", app.config.get("SESSION_COOKIE_SECURE", False))

    def get_cookie_samesite(self, app: AppT_contra) -> str | None:
        """Return which requests of other sites carry the cookie: `SESSION_COOKIE_SAMESITE`."""
        samesite: str | None = app.config.get("SESSION_COOKIE_SAMESITE")
        return samesite or None

    def get_cookie_partitioned(self, app: AppT_contra) -> bool:
        """Return True if the cookie is kept apart for each embedding site: `SESSION_COOKIE_PARTITIONED`."""
        partitioned: object = app.config.get("SESSION_COOKIE_PARTITIONED", False)  # Quart knows it from 0.21 on
        return flag_of("SESSION_COOKIE_PARTITIONED", partitioned)

    def get_expiration_time(self, app: AppT_contra, session: SessionT) -> datetime | None:
        """Return when the browser drops the cookie of a permanent session, as an aware time; else None."""
        if not session.permanent:
            return None
        return datetime.now(UTC) + lifetime_of(app.config.get("PERMANENT_SESSION_LIFETIME", DEFAULT_LIFETIME))

    def should_set_cookie(self, app: AppT_contra, session: SessionT) -> bool:
        """Return True if the session is to be written: it changed, or it is permanent and refreshed each time."""
        refreshes = flag_of("SESSION_REFRESH_EACH_REQUEST", app.config.get("SESSION_REFRESH_EACH_REQUEST", True))
        return session.modified or (refreshes and session.permanent)

    @abstractmethod
    async def open_session(self, app: AppT_contra, request: RequestT_contra) -> SessionT | None:
        """Return the session of a request, or None if the application cannot have one."""

    @abstractmethod
    async def save_session(self, app: AppT_contra, session: SessionT, response: ResponseT_contra | None) -> None:
        """Put the session on the response, which is None after a websocket has been served."""


def values_of(cookies: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return all values of a cookie; browsers send several where paths or domains overlap (RFC 6265, 5.4)."""
    getlist = getattr(cookies, "getlist", None)
    if getlist is not None:
        return tuple(getlist(name))
    return (cookies[name],) if name in cookies else ()


def vary_by_cookie(headers: ResponseHeaders) -> bool:
    """Keep shared caches from answering one visitor with another's page (RFC 9110, section 12.5.5).

    Returns:
        True if there are no headers but those that nearly all pages have: nothing is said of caches.
    """
    is_usual = True
    for name, _ in headers:
        if name not in OF_ALL_PAGES:
            is_usual = False
            if name.lower() == "vary":
                headers.set("Vary", varying_by_cookie(headers.getlist("Vary")))
                return False
    headers.add("Vary", "Cookie")
    return is_usual


def make_private(headers: ResponseHeaders, clock: Clock) -> bool:
    """Keep shared caches from a response that sets a session's cookie: True if they would have kept it."""
    changed = private(headers, clock())
    for name, value in changed.items():
        headers.set(name, value)
    return len(changed) > 0
