"""The session interface of frameworks whose requests are werkzeug's: Flask and Quart."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypeVar, override
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.sansio.request import Request

from typed_sessions import interface
from typed_sessions.core.cookie_header import cookie_values
from typed_sessions.core.framework import CookieRequest, values_of

__all__ = ["WerkzeugSessionInterface"]

S = TypeVar("S", default=dict[str, object])


class WerkzeugSessionInterface(interface.SecureCookieSessionInterface[S]):
    """Finds the cookie in the header itself, where nobody has parsed the others."""

    @override
    def cookie_values(self, request: CookieRequest, name: str) -> tuple[str, ...]:
        if not isinstance(request, Request):
            return super().cookie_values(request, name)
        cookies: Any = request.__dict__.get("cookies")
        if cookies.__class__ is ImmutableMultiDict:  # parsed before
            return tuple(cookies.getlist(name))
        if cookies is None and type(request).cookies is Request.cookies:  # neither assigned nor a subclass's
            values = cookie_values(";".join(request.headers.getlist("Cookie")), name)
            if values is not None:
                return values
        return values_of(request.cookies, name)
