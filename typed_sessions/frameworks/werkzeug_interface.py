"""The session interface of frameworks that are built on werkzeug: Flask and Quart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypedDict, cast

from cattrs import Converter
from typing_extensions import TypeVar, override
from werkzeug.datastructures import Headers, ImmutableMultiDict
from werkzeug.sansio.request import Request

from typed_sessions.core.caching import OF_ALL_PAGES
from typed_sessions.core.cookie_header import cookie_values
from typed_sessions.core.framework import (
    ConfiguredApp,
    CookieRequest,
    CookieResponse,
    ResponseHeaders,
    values_of,
)
from typed_sessions.core.session import SecureCookieSession, state_of
from typed_sessions.core.settings import Encryption
from typed_sessions.core.state import UNSAVED
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks import interface
from typed_sessions.frameworks.applications import AppRules
from typed_sessions.sealing.base import Clock
from typed_sessions.serializers.base import AnySerializer, SerializerName
from typed_sessions.stores import SessionStore

__all__ = ["AllInterfaceOptions", "InterfaceOptions", "WerkzeugSessionInterface"]

S = TypeVar("S", default=dict[str, object])


class InterfaceOptions(TypedDict, total=False):
    """What `Sessions` of Flask and Quart are made with, beside the schema and an application."""

    serializer: SerializerName | AnySerializer | None
    converter: Converter | None
    store: str | SessionStore | None
    encryption: Encryption | None


class AllInterfaceOptions(InterfaceOptions, total=False):
    """What an interface is made with; see `SecureCookieSessionInterface`."""

    refresh_fraction: float
    report: interface.ReportHandler
    clock: Clock


_listed: Final = cast("Callable[[Mapping[str, object], str, tuple[()]], Iterable[str]]", dict.get)
"""What `MultiDict.getlist` does, which is written in Python."""


def _list_of(headers: Headers) -> list[tuple[str, str]]:
    """Return what headers hold. `Headers.add` looks for line breaks, by a regular expression: half of a save's time."""
    held: list[tuple[str, str]] = headers._list  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return held


def _knows_list() -> bool:
    """Return True if this release of werkzeug holds headers as known here."""
    headers = Headers([("Vary", "Cookie")])
    try:
        _list_of(headers).append(("Set-Cookie", "a=b"))
    except AttributeError:
        return False
    return [*headers] == [("Vary", "Cookie"), ("Set-Cookie", "a=b")] and headers.getlist("set-cookie") == ["a=b"]


_KNOWS_LIST: Final = _knows_list()


class WerkzeugSessionInterface(interface.SecureCookieSessionInterface[S]):
    """Finds the cookie in the header itself, where nobody has parsed the others.

    Where the store of the sessions does not answer in time, the response becomes the application's answer to that.
    """

    @override
    def cookie_values(self, request: CookieRequest, name: str) -> tuple[str, ...]:
        if not isinstance(request, Request):
            return super().cookie_values(request, name)
        cookies: Any = request.__dict__.get("cookies")
        if cookies.__class__ is ImmutableMultiDict:  # parsed before
            return tuple(_listed(cookies, name, ()))
        if cookies is None and type(request).cookies is Request.cookies:  # neither assigned nor a subclass's
            values = cookie_values(self._cookie_header(request), name)
            if values is not None:
                return values
        return values_of(request.cookies, name)

    @override
    def _vary_by_cookie(self, headers: ResponseHeaders) -> bool:
        if _KNOWS_LIST and type(headers) is Headers:
            held = _list_of(headers)
            for name, _ in held:
                if name not in OF_ALL_PAGES:
                    break
            else:
                held.append(("Vary", "Cookie"))
                return True
        return super()._vary_by_cookie(headers)

    @override
    def _add_cookie(self, headers: ResponseHeaders, text: str) -> None:
        if _KNOWS_LIST and type(headers) is Headers:
            _list_of(headers).append(("Set-Cookie", text))
        else:
            super()._add_cookie(headers, text)

    def _cookie_header(self, request: Request) -> str:
        """Return what a request has of cookies, as one header."""
        return ";".join(request.headers.getlist("Cookie"))

    @override
    async def _save_on_server(
        self, app: ConfiguredApp, session: SecureCookieSession[S], response: CookieResponse | None, rules: AppRules[S]
    ) -> None:
        try:
            await super()._save_on_server(app, session, response, rules)
        except StoreUnavailableError as error:
            if response is None or not await self._answers_instead(app, response, error):
                raise
            state_of(session).progress = UNSAVED
            self.add_stored_cookie(app, session, response)

    @abstractmethod
    async def _answers_instead(
        self, app: ConfiguredApp, response: CookieResponse, error: StoreUnavailableError
    ) -> bool:
        """Make of a response what the application answers to an error, and return True; False if it is no page of it.

        Called while the error is handled. Raises it if the application has no answer.
        """
