"""The test client of Starlette, or the word on what it needs."""

try:
    from starlette.testclient import TestClient
except (ModuleNotFoundError, RuntimeError) as _missing:  # the latter is Starlette's own word on it
    raise ImportError(
        "Sessions.client_for needs the test client of Starlette: pip install 'typed_sessions[starlette]' httpx2",
        name=getattr(_missing, "name", None) or "httpx2",
    ) from _missing

__all__ = ["TestClient"]
