"""`Requirement`: a dependency of FastAPI that asks for a field of the session."""

# Annotations are read by FastAPI, whose older releases look for their names only where they are no text.

from collections.abc import Callable
from typing import Any, Final

from typed_sessions.core.mixin import Session
from typed_sessions.schema.schema import Schema

try:
    from fastapi import HTTPException
    from fastapi.openapi.models import APIKey, APIKeyIn
    from fastapi.openapi.models import SecurityBase as SecurityBaseModel
    from fastapi.security.base import SecurityBase
    from starlette.requests import HTTPConnection
except ModuleNotFoundError as _missing:
    raise ImportError(
        "Sessions.require needs FastAPI, which is an extra: pip install 'typed_sessions[fastapi]'", name=_missing.name
    ) from _missing

__all__ = ["Requirement"]

_UNAUTHORIZED: Final = 401


class Requirement(SecurityBase):
    """Gives the value of a field to an endpoint, and shows as a cookie in the OpenAPI description.

    Args:
        field: the name of the field.
        schema: what a session holds.
        session_of: returns the session of a request or a websocket.
        cookie_name: the name of the cookie.
    """

    model: SecurityBaseModel
    scheme_name: str

    def __init__(
        self, field: str, schema: Schema[Any], session_of: Callable[[HTTPConnection], Session[Any]], cookie_name: str
    ) -> None:
        self.model = APIKey.model_validate(
            {"in": APIKeyIn.cookie, "name": cookie_name, "description": f'A session that has "{field}".'}
        )
        self.scheme_name = f"session with {field}"
        self._field: Final = field
        self._schema: Final = schema
        self._session_of: Final = session_of

    async def __call__(self, request: HTTPConnection) -> object:
        """Return the value of the field.

        Raises:
            HTTPException: 401, the field has its default (RFC 9110, section 15.5.2).
            StoreUnavailableError: the store did not answer.
        """
        session = self._session_of(request)
        if self._schema.keyed:
            if self._field in session:
                return session[self._field]
        else:
            value: object = self._schema.read(session.data, self._field)
            if not self._schema.fields[self._field].is_default(value):
                return value
        raise HTTPException(_UNAUTHORIZED, "Not authenticated", {"WWW-Authenticate": "Cookie"})
