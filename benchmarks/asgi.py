"""The middleware beside Starlette's own, around an application that does nothing but use the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import thread_time_ns
from typing import Any, Final, TypeAlias

from attrs import frozen
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request

from benchmarks.contenders import CHANGED_USER, SECRET_KEY, SERIALIZERS, BrokenContender, finished
from benchmarks.measure import Timed, compare
from benchmarks.payloads import SIZES, Size, declared_values, plain_values, schema_class
from benchmarks.table import Table
from typed_sessions.asgi import Sessions

__all__ = ["asgi_table"]

Use: TypeAlias = Callable[[Any], object]
"""What an application does with the session of a scope."""

USES: Final = ("untouched", "read only", "one change")
_HEADERS: Final = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"0")]


@frozen
class _Contender:
    name: str
    middleware: Callable[[Any], Any]
    fill: Use
    uses: Mapping[str, Use]


def asgi_table(*, seconds: float, sizes: tuple[Size, ...] = SIZES) -> Table:
    """Return how many times as fast as Starlette's middleware ours is, with each way to the session.

    Args:
        seconds: how long to measure, in all.
        sizes: of what the sessions hold.

    Raises:
        BrokenContender: a session does not do its work.
    """
    rows: list[tuple[str, ...]] = []
    names: list[str] = []
    for use in USES:
        for size in sizes:
            base, *ours = _starlette(size), *_ours(size)
            found = compare(
                _timed(base, use),
                {each.name: _timed(each, use) for each in ours},
                seconds=seconds / len(USES) / len(sizes),
            )
            names = [each.name for each in ours]
            figures = (f"{found.ratios[name].median:.2f}" for name in names)
            rows.append((f"{use}, {size}", f"{found.base_microseconds:.1f}", *figures))
    return Table("ASGI", ("times as fast as Starlette's middleware", "Starlette, us", *names), tuple(rows))


def _starlette(size: Size) -> _Contender:
    return _by_request("Starlette", lambda app: SessionMiddleware(app, SECRET_KEY), size)


def _ours(size: Size) -> list[_Contender]:
    schema: Any = schema_class("attrs", size)
    typed = [
        _by_data(f"attrs, {serializer}", Sessions(schema, secret_key=SECRET_KEY, serializer=serializer), size)
        for serializer in SERIALIZERS
    ]
    by_request = {
        "request.session, attrs": Sessions(schema, secret_key=SECRET_KEY).middleware,
        "request.session, no schema": Sessions(secret_key=SECRET_KEY).middleware,
    }
    return [*typed, *(_by_request(name, middleware, size) for name, middleware in by_request.items())]


def _by_request(name: str, middleware: Callable[[Any], Any], size: Size) -> _Contender:
    def fill(scope: Any) -> None:
        held = declared_values("attrs", size) if name.endswith("attrs") else plain_values(size)
        Request(scope).session.update(held)

    def change(scope: Any) -> None:
        Request(scope).session["user_id"] = CHANGED_USER

    uses: dict[str, Use] = {
        "untouched": lambda _scope: None,
        "read only": lambda scope: Request(scope).session["user_id"],
        "one change": change,
    }
    return _Contender(name, middleware, fill, uses)


def _by_data(name: str, sessions: Sessions[Any], size: Size) -> _Contender:
    def fill(_scope: Any) -> None:
        sessions.current.update(declared_values("attrs", size))

    def change(_scope: Any) -> None:
        sessions.data.user_id = CHANGED_USER

    uses: dict[str, Use] = {
        "untouched": lambda _scope: None,
        "read only": lambda _scope: sessions.data.user_id,
        "one change": change,
    }
    return _Contender(name, sessions.middleware, fill, uses)


def _timed(contender: _Contender, use: str) -> Timed:
    """Return requests that bring a contender's cookie to an application that uses the session in one way.

    Raises:
        BrokenContender: no cookie comes, or one comes of what nobody changed.
    """
    cookie = _cookie_sent(contender.middleware(_application(contender.fill)), b"other=1")
    app = contender.middleware(_application(contender.uses[use]))
    if cookie is None or (_cookie_sent(app, cookie) is not None) is not (use == "one change"):
        raise BrokenContender(f"{contender.name} does not do its work: {use}")

    async def run(count: int) -> int:
        scopes = [_scope(cookie) for _ in range(count)]
        started = thread_time_ns()
        for scope in scopes:
            await app(scope, _nothing, _nothing)
        return thread_time_ns() - started

    return lambda count: finished(run(count))


def _application(use: Use) -> Any:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        use(scope)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS[:]})
        await send({"type": "http.response.body", "body": b""})

    return app


def _cookie_sent(app: Any, cookie: bytes) -> bytes | None:
    """Return the cookie that a response sets."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    finished(app(_scope(cookie), _nothing, send))
    texts = [value for name, value in sent[0]["headers"] if name == b"set-cookie"]
    return texts[0].partition(b";")[0] if texts else None


async def _nothing(*_: Any) -> Any:
    """Stand for both directions of a connection on which nothing comes or goes."""


def _scope(cookie: bytes) -> Any:
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"user-agent", b"x"), (b"accept", b"*/*"), (b"cookie", cookie)],
    }
