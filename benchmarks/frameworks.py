"""Whole requests in five frameworks, with each one's own sessions, with other libraries', and with ours, in one run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib import import_module, metadata
from io import BytesIO
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final, TypeAlias

from attrs import Factory, define, frozen

from benchmarks.contenders import BrokenContender
from benchmarks.table import Table
from tests.valkey_servers import valkey, valkey_url

__all__ = ["FRAMEWORKS", "framework_table", "write_page"]

USES: Final = ("untouched", "read", "one change")
FRAMEWORKS: Final = ("Quart", "Flask", "Starlette", "FastAPI", "Litestar")
PAGE: Final = Path(__file__).parent.parent / "docs" / "explanation" / "speed.md"
_BEGIN: Final = "<!-- written by python -m benchmarks --frameworks -->"
_END: Final = "<!-- end -->"
_SECRET: Final = "a secret key that is long enough!"  # noqa: S105 -- no secret
_BATCH: Final = 20
_OK: Final = range(200, 300)

Request: TypeAlias = Callable[[str, str], Awaitable[str | None]]
"""Asks for a path with a cookie, and returns the cookie that the response sets, if it sets any."""


@define
class Visitor:
    user_id: int | None = None
    token: str = ""
    visits: int = 0
    cart: list[str] = Factory(list[str])


def _use(path: str, session: Any) -> str:
    """Do with a session what a path says. The first visit fills it."""
    if path == "fill":
        session.update(user_id=7, token="t" * 24, visits=0, cart=["tea", "milk"])
    elif path == "read":
        return str(session["user_id"])
    elif path == "change":
        session["visits"] += 1
    return ""


def _use_data(path: str, sessions: Any) -> str:
    """Do the same in the way of ours."""
    if path == "fill":
        sessions.replace(Visitor(7, "t" * 24, 0, ["tea", "milk"]))
    elif path == "read":
        return str(sessions.data.user_id)
    elif path == "change":
        sessions.data.visits += 1
    return ""


@frozen
class _Server:
    """A Redis server; an empty URL is none, for sessions in cookies."""

    url: str
    closing: AsyncExitStack = Factory(AsyncExitStack)

    @property
    def store(self) -> str | None:
        return self.url or None

    def client(self) -> Any:
        client = import_module("redis.asyncio").Redis.from_url(self.url)
        self.closing.push_async_callback(client.aclose)
        return client

    def blocking_client(self) -> Any:
        return self.closing.enter_context(import_module("redis").Redis.from_url(self.url))


_COOKIES: Final = _Server("")


# One application of each


def _quart(kind: str, redis: _Server) -> Request:
    quart = import_module("quart")
    app = quart.Quart("benchmark")
    app.secret_key = _SECRET
    if kind == "own":

        async def view(path: str) -> str:
            return _use(path, quart.session)
    else:
        sessions = import_module("typed_sessions.quart").Sessions(Visitor, app, store=redis.store)

        async def view(path: str) -> str:
            return _use_data(path, sessions)

    app.get("/<path>")(view)
    return _by_asgi(app)


def _flask(kind: str, redis: _Server) -> Request:
    flask = import_module("flask")
    app = flask.Flask("benchmark")
    app.secret_key = _SECRET
    if kind == "flask-session":
        interface = import_module("flask_session.redis").RedisSessionInterface
        app.session_interface = interface(app, redis.blocking_client())
    if kind == "ours":
        sessions = import_module("typed_sessions.flask").Sessions(Visitor, app, store=redis.store)
        redis.closing.callback(sessions.close)
        app.get("/<path>")(lambda path: _use_data(path, sessions))
    else:
        app.get("/<path>")(lambda path: _use(path, flask.session))
    return _by_wsgi(app)


def _starlette(kind: str, redis: _Server) -> Request:
    responses, requests = import_module("starlette.responses"), import_module("starlette.requests")
    middleware, sessions = _middleware(kind, redis)

    async def view(request: Any) -> Any:
        path = request.path_params["path"]
        return responses.PlainTextResponse(
            _use(path, request.session) if sessions is None else _use_data(path, sessions)
        )

    view.__annotations__["request"] = requests.Request
    route = import_module("starlette.routing").Route("/{path}", view)
    return _by_asgi(import_module("starlette.applications").Starlette(routes=[route], middleware=middleware))


def _fastapi(kind: str, redis: _Server) -> Request:
    fastapi = import_module("fastapi")
    middleware, sessions = _middleware(kind, redis)
    app = fastapi.FastAPI(middleware=middleware)

    async def view(path: str, request: Any) -> str:
        return _use(path, request.session) if sessions is None else _use_data(path, sessions)

    view.__annotations__.update(path=str, request=fastapi.Request)
    app.get("/{path}")(view)
    return _by_asgi(app)


def _middleware(kind: str, redis: _Server) -> tuple[list[Any], Any]:
    """Return the middleware of a Starlette application, and our sessions, if they are ours."""
    middleware = import_module("starlette.middleware").Middleware
    if kind == "own":
        return [middleware(import_module("starlette.middleware.sessions").SessionMiddleware, secret_key=_SECRET)], None
    if kind == "starsessions":
        library, stores = import_module("starsessions"), import_module("starsessions.stores.redis")
        store = stores.RedisStore(connection=redis.client())
        options = {"store": store, "lifetime": 3600, "cookie_https_only": False}
        return [middleware(library.SessionMiddleware, **options), middleware(library.SessionAutoloadMiddleware)], None
    sessions = import_module("typed_sessions.asgi").Sessions(Visitor, secret_key=_SECRET, store=redis.store)
    return [middleware(sessions.middleware)], sessions


def _litestar(kind: str, redis: _Server) -> Request:
    litestar, params = import_module("litestar"), import_module("litestar.params")
    plugins: list[Any] = []
    middleware: list[Any] = []
    options: dict[str, Any] = {}
    sessions: Any = None
    if kind == "ours":
        sessions = import_module("typed_sessions.litestar").Sessions(Visitor, secret_key=_SECRET, store=redis.store)
        plugins.append(sessions)
    elif redis.url:
        options["stores"] = {"sessions": import_module("litestar.stores.redis").RedisStore(redis.client())}
        middleware.append(import_module("litestar.middleware.session.server_side").ServerSideSessionConfig().middleware)
    else:
        backend = import_module("litestar.middleware.session.client_side").CookieBackendConfig(_SECRET[:32].encode())
        middleware.append(backend.middleware)

    async def view(path: str, request: Any) -> str:
        return _use(path, request.session) if sessions is None else _use_data(path, sessions)

    view.__annotations__.update(path=params.FromPath[str], request=litestar.Request)
    handler = litestar.get("/{path:str}", media_type="text/plain")(view)
    settings = {"plugins": plugins, "middleware": middleware, "logging_config": None, "openapi_config": None}
    return _by_asgi(litestar.Litestar([handler], **settings, **options))


_CONTENDERS: Final[tuple[tuple[str, str, str, Callable[[_Server], Request]], ...]] = (
    ("Quart", "its own", "cookie", lambda _: _quart("own", _COOKIES)),
    ("Quart", "typed_sessions", "cookie", lambda _: _quart("ours", _COOKIES)),
    ("Quart", "typed_sessions", "Redis", lambda redis: _quart("ours", redis)),
    ("Flask", "its own", "cookie", lambda _: _flask("own", _COOKIES)),
    ("Flask", "typed_sessions", "cookie", lambda _: _flask("ours", _COOKIES)),
    ("Flask", "Flask-Session", "Redis", lambda redis: _flask("flask-session", redis)),
    ("Flask", "typed_sessions", "Redis", lambda redis: _flask("ours", redis)),
    ("Starlette", "its own", "cookie", lambda _: _starlette("own", _COOKIES)),
    ("Starlette", "typed_sessions", "cookie", lambda _: _starlette("ours", _COOKIES)),
    ("Starlette", "starsessions", "Redis", lambda redis: _starlette("starsessions", redis)),
    ("Starlette", "typed_sessions", "Redis", lambda redis: _starlette("ours", redis)),
    ("FastAPI", "its own", "cookie", lambda _: _fastapi("own", _COOKIES)),
    ("FastAPI", "typed_sessions", "cookie", lambda _: _fastapi("ours", _COOKIES)),
    ("FastAPI", "starsessions", "Redis", lambda redis: _fastapi("starsessions", redis)),
    ("FastAPI", "typed_sessions", "Redis", lambda redis: _fastapi("ours", redis)),
    ("Litestar", "its own", "cookie", lambda _: _litestar("own", _COOKIES)),
    ("Litestar", "typed_sessions", "cookie", lambda _: _litestar("ours", _COOKIES)),
    ("Litestar", "its own", "Redis", lambda redis: _litestar("own", redis)),
    ("Litestar", "typed_sessions", "Redis", lambda redis: _litestar("ours", redis)),
)
"""Whose sessions are compared: framework, library, where they are kept, and what makes the application."""


# Requests


def _by_asgi(app: Any) -> Request:
    received = {"type": "http.request", "body": b"", "more_body": False}

    async def request(path: str, cookie: str) -> str | None:
        sent: list[Any] = []
        asked = False

        async def receive() -> Any:
            nonlocal asked
            if asked:  # as of a client that waits for its answer
                await asyncio.Event().wait()
            asked = True
            return received

        async def send(message: Any) -> None:
            sent.append(message)

        await app(_scope(path, cookie), receive, send)
        begin = sent[0]
        if begin["status"] not in _OK:
            raise BrokenContender(f"{path}: {begin['status']}")
        return _set_cookie((name.decode(), value.decode()) for name, value in begin["headers"])

    return request


def _by_wsgi(app: Any) -> Request:
    async def request(path: str, cookie: str) -> str | None:
        begun: list[Any] = []
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": f"/{path}", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "x",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0), "wsgi.input": BytesIO(), "wsgi.errors": BytesIO(), "wsgi.multithread": False,
            "wsgi.multiprocess": False, "wsgi.run_once": False,
        }  # fmt: skip
        if cookie:
            environ["HTTP_COOKIE"] = cookie
        body = app(environ, lambda status, headers, _=None: begun.append((int(status[:3]), headers)))
        b"".join(body)
        body.close()
        status, headers = begun[0]
        if status not in _OK:
            raise BrokenContender(f"{path}: {status}")
        return _set_cookie(headers)

    return request


def _set_cookie(headers: Any) -> str | None:
    found = [value for name, value in headers if name.lower() == "set-cookie"]
    return found[-1].partition(";")[0] if found else None


def _scope(path: str, cookie: str) -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"user-agent", b"x"), (b"accept", b"*/*")]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": f"/{path}", "raw_path": f"/{path}".encode(), "root_path": "", "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "extensions": {}, "state": {},
    }  # fmt: skip


# The table


def framework_table(*, seconds: float, redis: str | None = None) -> Table:
    """Return how long whole requests take, in microseconds, waiting for Redis included.

    Args:
        seconds: how long to measure, in all.
        redis: the URL of a server; one is started if there is none.

    Raises:
        BrokenContender: a session does not do its work.
    """
    with _server(redis) as url, asyncio.Runner() as runner:
        found = runner.run(_measured(url, seconds))
    rows = tuple((name, *(f"{found[name, use]:.0f}" for use in USES)) for name in _names())
    return Table("Whole requests", ("microseconds", *USES), rows)


def _names() -> list[str]:
    return [f"{framework}, {sessions}, {kept}" for framework, sessions, kept, _ in _CONTENDERS]


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as directory, valkey(Path(directory)):
        yield valkey_url(Path(directory))


async def _measured(url: str, seconds: float) -> dict[tuple[str, str], float]:
    """Return the best of batches, each in turn with those of all others: what slows the machine down, slows all."""
    redis = _Server(url)
    async with redis.closing:
        paths = {"untouched": "nothing", "read": "read", "one change": "change"}
        work: dict[tuple[str, str], tuple[Request, str]] = {}
        for name, (_, _, _, make) in zip(_names(), _CONTENDERS, strict=True):
            request = make(redis)
            cookie = await request("fill", "")
            if cookie is None or (await request("change", cookie) is None and "Redis" not in name):
                raise BrokenContender(f"{name} keeps nothing")
            work |= {(name, use): (request, cookie) for use in USES}
        times: dict[tuple[str, str], list[float]] = {each: [] for each in work}
        until = perf_counter_ns() + seconds * 1e9
        while perf_counter_ns() < until or not all(times.values()):
            for each, (request, cookie) in work.items():
                path, started = paths[each[1]], perf_counter_ns()
                for _ in range(_BATCH):
                    await request(path, cookie)
                times[each].append((perf_counter_ns() - started) / _BATCH / 1_000)
        return {each: min(found) for each, found in times.items()}


def write_page(table: Table, page: Path = PAGE) -> None:
    """Put the table into its page, with the versions that it is of."""
    names = ("quart", "flask", "starlette", "fastapi", "litestar", "flask-session", "starsessions", "redis")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    if not begin:
        raise BrokenContender(f"{page} has no place for the table")
    lines = table.as_markdown().partition("\n\n")[2].rstrip()
    page.write_text(f"{before}{_BEGIN}\n\n{lines}\n\n{versions}.\n\n{_END}{after}", encoding="utf-8")
