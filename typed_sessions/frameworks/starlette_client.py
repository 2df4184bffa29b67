"""`client_after`: a test client of Starlette's that has made a request before."""

from __future__ import annotations

from typing import Final

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.frameworks.session_middleware import ASGIApp

try:
    from starlette.testclient import TestClient
except (ModuleNotFoundError, RuntimeError) as _missing:  # the latter is Starlette's own word on it
    raise ImportError(
        "Sessions.client_for needs the test client of Starlette: pip install 'typed_sessions[starlette]' httpx2",
        name=getattr(_missing, "name", None) or "httpx2",
    ) from _missing

__all__ = ["client_after"]

_UNAVAILABLE: Final = 503


def client_after(first: ASGIApp, app: ASGIApp, base_url: str, path: str) -> TestClient:
    """Return a client of an application that has the cookies of a response of another one.

    Args:
        first: answers one request.
        app: whose client it is.
        base_url: where both are, for the client.
        path: what is asked for.

    Raises:
        StoreUnavailableError: the store did not answer.
    """
    visit = TestClient(first, base_url)
    if visit.get(path).status_code == _UNAVAILABLE:
        raise StoreUnavailableError("the store did not answer, and the session of the test client is not kept")
    return TestClient(app, base_url, cookies=visit.cookies)
