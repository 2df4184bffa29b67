"""What other libraries have written becomes ours: the real libraries write, and each framework adopts."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pickle
import sqlite3
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import product
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import Annotated, Any, Final, cast
from uuid import UUID

import flask
import litestar
import msgspec
import pytest
import quart
import redis as redis_py
import time_machine
from attrs import Factory, asdict, define
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, FastAPI
from flask_session.redis import RedisSessionInterface  # type: ignore[import-untyped]  # it has no types
from itsdangerous import TimestampSigner
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.testing import TestClient as LitestarsClient
from redis.asyncio import Redis as AsyncRedis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starsessions import SessionAutoloadMiddleware
from starsessions import SessionMiddleware as StarsessionsMiddleware
from starsessions.stores.redis import RedisStore as StarsessionsStore
from typing_extensions import override

from typed_sessions import ConfigurationError, Essential, Subject
from typed_sessions import asgi as typed_asgi
from typed_sessions import flask as typed_flask
from typed_sessions import litestar as typed_litestar
from typed_sessions import quart as typed_quart
from typed_sessions.adopting import (
    FlaskSessionRedis,
    FlaskSessionSQLAlchemy,
    LitestarCookies,
    Predecessor,
    StarletteCookies,
    StarsessionsRedis,
)
from typed_sessions.stores import MemoryStore
from typed_sessions.tools.cli import main

SECRET: Final = "a secret key that is long enough"
THEIRS: Final = "another secret, that of the old one"
AES: Final = b"0123456789abcdef"
FUTURE: Final = datetime.now(UTC) + timedelta(days=1)
PAST: Final = datetime.now(UTC) - timedelta(days=1)
VALUES: Final = {"user_id": 7, "cart": ["tea"], "theme": "dark"}


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    visits: int = 0


# What others write


def in_starlette(values: dict[str, Any]) -> str:
    async def view(request: Request) -> JSONResponse:
        request.session.update(values)
        return JSONResponse(None)

    app = Starlette(routes=[Route("/", view)], middleware=[Middleware(SessionMiddleware, secret_key=THEIRS)])
    return cookies_of(TestClient(app).get("/"))["session"]


def in_litestar(values: dict[str, Any]) -> dict[str, str]:
    @litestar.get("/")
    async def view(request: litestar.Request[Any, Any, Any]) -> None:
        request.session.update(values)

    app = litestar.Litestar([view], middleware=[CookieBackendConfig(AES).middleware], logging_config=None)
    return cookies_of(LitestarsClient(app).get("/"))


def cookies_of(response: Any) -> dict[str, str]:
    headers = response.headers.get_list("set-cookie")
    return dict(each.partition(";")[0].partition("=")[::2] for each in headers)


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(redis_url) as client:
        yield client


def in_flask(client: Any, values: dict[str, Any], serializer: str = "msgpack", **options: Any) -> str:
    """Have Flask-Session keep a session in Redis, and return its cookie."""
    app = flask.Flask("old")
    app.config.update(SECRET_KEY=THEIRS)
    app.session_interface = RedisSessionInterface(app, client, serialization_format=serializer, **options)

    @app.get("/")
    def view() -> str:
        flask.session.update(values)
        return ""

    header = app.test_client().get("/").headers["Set-Cookie"]
    return header.partition(";")[0].partition("=")[2]


def in_starsessions(url: str, values: dict[str, Any]) -> str:
    async def view(request: Request) -> JSONResponse:
        request.session.update(values)
        return JSONResponse(None)

    connection = AsyncRedis.from_url(url)
    store = StarsessionsStore(connection=connection)
    middleware = [
        Middleware(StarsessionsMiddleware, store=store, cookie_https_only=False, lifetime=3600),
        Middleware(SessionAutoloadMiddleware),
    ]
    app = Starlette(routes=[Route("/", view)], middleware=middleware)
    with TestClient(app) as client:
        text = cookies_of(client.get("/"))["session"]
        assert client.portal is not None
        client.portal.call(connection.aclose)
    return text


# Who adopts it


Visit = Callable[[str, dict[str, str]], tuple[dict[str, Any], str | None]]
"""Makes a request with cookies: returns what is in the session, and what its own cookie becomes."""


def work(sessions: Any, path: str) -> dict[str, Any]:
    if path == "out":
        sessions.current.invalidate()
    elif path == "add":
        sessions.data.visits += 1
    shown: dict[str, Any] = sessions.current.copy()
    shown.pop("_permanent", None)
    return shown


def on_quart(**settings: Any) -> Visit:
    app = quart.Quart("new")
    app.config.update({"SECRET_KEY": SECRET, "PROPAGATE_EXCEPTIONS": True}, **config(settings))
    sessions = typed_quart.Sessions(Visitor, app)

    @app.get("/<path>")
    async def view(path: str) -> dict[str, Any]:
        return work(sessions, path)

    return visits_by(TestClient(cast("Any", app)))


def on_flask(**settings: Any) -> Visit:
    app = flask.Flask("new")
    app.config.update({"SECRET_KEY": SECRET, "PROPAGATE_EXCEPTIONS": True}, **config(settings))
    sessions = typed_flask.Sessions(Visitor, app)
    app.get("/<path>")(lambda path: work(sessions, path))

    def visit(path: str, cookies: dict[str, str]) -> tuple[dict[str, Any], str | None]:
        response = app.test_client(use_cookies=False).get(f"/{path}", headers=cookie_header(cookies))
        headers = response.headers.getlist("Set-Cookie")
        return response.get_json(), ours(headers)

    return visit


def on_starlette(**settings: Any) -> Visit:
    sessions = typed_asgi.Sessions(Visitor, secret_key=SECRET, **settings)

    async def view(request: Request) -> JSONResponse:
        return JSONResponse(work(sessions, request.path_params["path"]))

    client = TestClient(Starlette(routes=[Route("/{path}", view)], middleware=[Middleware(sessions.middleware)]))
    return visits_by(client)


def on_fastapi(**settings: Any) -> Visit:
    sessions = typed_asgi.Sessions(Visitor, secret_key=SECRET, **settings)
    app = FastAPI()
    app.add_middleware(sessions.middleware)

    given = Depends(sessions.get_data)

    async def view(path: str, visitor: Visitor = given) -> dict[str, Any]:
        shown = work(sessions, path)
        assert visitor.visits == shown.get("visits", 0)
        return shown

    app.get("/{path}")(view)
    return visits_by(TestClient(app))


def on_litestar(**settings: Any) -> Visit:
    sessions = typed_litestar.Sessions(Visitor, secret_key=SECRET, **settings)

    @litestar.get("/{path:str}")
    async def view(path: litestar.params.FromPath[str]) -> dict[str, Any]:
        return work(sessions, path)

    return visits_by(LitestarsClient(litestar.Litestar([view], plugins=[sessions], logging_config=None)))


def visits_by(client: Any) -> Visit:
    def visit(path: str, cookies: dict[str, str]) -> tuple[dict[str, Any], str | None]:
        client.cookies.clear()
        response = client.get(f"/{path}", headers=cookie_header(cookies))
        client.cookies.clear()
        assert response.status_code == 200, response.text
        return response.json(), ours(response.headers.get_list("set-cookie"))

    return visit


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def ours(headers: list[str]) -> str | None:
    found = [each.partition(";")[0].partition("=")[2] for each in headers if each.startswith("session=")]
    return found[-1] if found else None


def config(settings: dict[str, Any]) -> dict[str, Any]:
    return {f"SESSION_{name.upper()}": value for name, value in settings.items()}


ALL: Final = (on_flask, on_quart, on_starlette, on_fastapi, on_litestar)

KINDS: Final = (
    "starlette",
    "litestar",
    "litestar-split",
    "flask-msgpack",
    "flask-json",
    "flask-signed",
    "flask-sql",
    "starsessions",
)

FORMS: Final = [*product(("tagged-json", "msgspec-json", "msgspec-msgpack"), ("off", "on"))]


def through_all(kinds: tuple[str, ...], first_form: int = 0) -> pytest.MarkDecorator:
    """Take what each kind has left through each framework, which writes it in one form after the other."""
    rounds = [
        (
            framework,
            kind,
            dict(zip(("serializer", "encryption"), FORMS[(first_form + i + j) % len(FORMS)], strict=True)),
        )
        for i, framework in enumerate(ALL)
        for j, kind in enumerate(kinds)
    ]
    names = [f"{framework.__name__}-{kind}-{'-'.join(form.values())}" for framework, kind, form in rounds]
    return pytest.mark.parametrize(("framework", "old", "form"), rounds, indirect=["old"], ids=names)


FRAMEWORKS: Final = pytest.mark.parametrize("framework", ALL, ids=lambda framework: framework.__name__)


@define
class Old:
    """What another library has kept: its cookies, and what reads it now."""

    cookies: dict[str, str]
    predecessor: Callable[..., Predecessor]
    is_there: Callable[[], bool] | None = None


@pytest.fixture(params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    kind: str = request.param
    if kind == "starlette":
        return Old({"session": in_starlette(VALUES)}, lambda **options: StarletteCookies(THEIRS, **options))
    if kind.startswith("litestar"):
        values = VALUES | ({"_note": os.urandom(2_000).hex()} if "split" in kind else {})
        cookies = in_litestar(values)
        assert ("session-0" in cookies) is ("split" in kind)
        return Old(cookies, lambda **options: LitestarCookies(AES, **options))
    if kind == "flask-sql":
        return in_database(tmp_path / "old.db", VALUES)
    url: str = request.getfixturevalue("redis_url")
    client: redis_py.Redis = request.getfixturevalue("redis")
    prefix = f"{os.urandom(4).hex()}:"
    if kind == "starsessions":
        text = in_starsessions(url, VALUES)
        name = f"starsessions.{text}"
        return Old(
            {"session": text}, lambda **options: StarsessionsRedis(url, **options), lambda: client.exists(name) == 1
        )
    with pytest.MonkeyPatch.context() as patch:
        options: dict[str, Any] = {"key_prefix": prefix}
        if kind == "flask-signed":
            options["use_signer"] = True
            patch.setattr("warnings.warn", lambda *_, **__: None)  # that it will go
        text = in_flask(client, VALUES, "json" if kind == "flask-json" else "msgpack", **options)
    key: dict[str, Any] = {"secret_key": THEIRS} if kind == "flask-signed" else {}
    name = f"{prefix}{text.rpartition('.')[0] or text}"
    assert client.exists(name)
    return Old(
        {"session": text},
        lambda **options: FlaskSessionRedis(client, key_prefix=prefix, **key, **options),
        lambda: client.exists(name) == 1,
    )


def in_database(path: Path, values: dict[str, Any]) -> Old:
    """Have Flask-Session keep a session in a database."""
    pytest.importorskip("flask_sqlalchemy")
    interface: Any = import_module("flask_session.sqlalchemy").SqlAlchemySessionInterface
    sqlalchemy: Any = import_module("flask_sqlalchemy")

    app = flask.Flask("old")
    app.config.update(SECRET_KEY=THEIRS, SQLALCHEMY_DATABASE_URI=f"sqlite:///{path}")
    client = sqlalchemy.SQLAlchemy(app)
    app.session_interface = interface(app, client)

    @app.get("/")
    def view() -> str:
        flask.session.update(values)
        return ""

    text = app.test_client().get("/").headers["Set-Cookie"].partition(";")[0].partition("=")[2]

    def is_there() -> bool:
        with closing(sqlite3.connect(path)) as database:
            found: int = database.execute("SELECT count(*) FROM sessions").fetchone()[0]
        return found == 1

    assert is_there()
    return Old({"session": text}, lambda **options: FlaskSessionSQLAlchemy(f"sqlite:///{path}", **options), is_there)


@through_all(KINDS)
def test_a_session_is_adopted_once_and_opens_nothing_any_more(
    framework: Callable[..., Visit], old: Old, form: dict[str, str]
) -> None:
    visit = framework(store="memory://", adopt=[old.predecessor(before=FUTURE)], **form)
    shown, own = visit("show", old.cookies)
    assert {key: shown[key] for key in VALUES} == VALUES
    assert own is not None
    assert own != old.cookies.get("session")
    assert visit("add", {"session": own})[0]["visits"] == 1
    assert visit("show", old.cookies)[0] == {}
    if old.is_there is not None:
        assert not old.is_there()
    assert visit("show", {"session": own})[0]["visits"] == 1
    assert visit("out", {"session": own}) == ({}, "")
    assert visit("show", {"session": own})[0] == visit("show", old.cookies)[0] == {}


@through_all(KINDS, 3)
def test_a_log_out_ends_it_in_the_old_store_too(
    framework: Callable[..., Visit], old: Old, form: dict[str, str]
) -> None:
    visit = framework(store="memory://", adopt=[old.predecessor(before=FUTURE)], **form)
    assert visit("out", old.cookies)[0] == {}
    if old.is_there is not None:
        assert not old.is_there()
    assert visit("show", old.cookies)[0] == {}


def test_what_was_written_later_is_not_adopted(old: Old) -> None:
    visit = on_starlette(store="memory://", adopt=[old.predecessor(before=PAST)])
    assert visit("show", old.cookies) == ({}, None)
    if old.is_there is not None:
        assert old.is_there()


def test_a_log_out_ends_what_came_beside_ours(old: Old) -> None:
    """A browser may have both: it has logged in here before the other one could be adopted."""
    visit = on_starlette(
        store="memory://", cookie_name="session", adopt=[old.predecessor(before=FUTURE, cookie_name="old")]
    )
    renamed = {name.replace("session", "old"): value for name, value in old.cookies.items()}
    own = visit("add", {})[1]
    assert own is not None
    assert visit("show", {"session": own, **renamed})[0] == {"visits": 1}
    assert visit("out", {"session": own, **renamed})[0] == {}
    assert visit("show", renamed)[0] == {}


@through_all(("starlette", "litestar"))
def test_cookies_become_cookies(framework: Callable[..., Visit], old: Old, form: dict[str, str]) -> None:
    visit = framework(adopt=[old.predecessor(before=FUTURE)], **form)
    shown, own = visit("show", old.cookies)
    assert shown == VALUES
    assert own is not None
    assert visit("add", {"session": own})[0] == VALUES | {"visits": 1}
    assert visit("out", old.cookies) == ({}, "")
    assert framework(adopt=[old.predecessor(before=PAST)], **form)("show", old.cookies) == ({}, None)


def test_two_requests_at_once_make_one_session_of_it(redis: Any, redis_url: str) -> None:
    text = in_flask(redis, VALUES)
    found: list[Any] = []
    predecessor = FlaskSessionRedis(redis, before=FUTURE)
    load = type(predecessor).load

    def meanwhile(self: Any, text: str, now: datetime) -> Any:
        loaded = load(self, text, now)
        if not found:
            found.append(None)
            found.append(visit("show", {"session": text})[0])
        return loaded

    visit = on_flask(store=redis_url, namespace=os.urandom(4).hex(), adopt=[predecessor])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlaskSessionRedis, "load", meanwhile)
        _, own = visit("show", {"session": text})
    assert found[1]["user_id"] == 7
    assert own is None  # the faster one has it


@define
class Crowd:
    """Requests of one visitor's, in threads: each has opened its session before the first of them saves."""

    visit: Callable[[str], tuple[dict[str, Any], str | None]]

    def comes(self, paths: list[str]) -> list[tuple[dict[str, Any], str | None]]:
        with ThreadPoolExecutor(len(paths)) as threads:
            return [*threads.map(self.visit, paths)]


@pytest.fixture(params=["starlette", "flask"])
def crowd(request: pytest.FixtureRequest, redis: Any, place: str) -> Iterator[Crowd]:
    adopt: list[Predecessor]
    if request.param == "flask":
        text, adopt = in_flask(redis, VALUES), [FlaskSessionRedis(redis, before=FUTURE)]
    else:
        text, adopt = in_starlette(VALUES), [StarletteCookies(THEIRS, before=FUTURE)]
    settings = config({"store": place, "namespace": os.urandom(4).hex(), "adopt": adopt})
    app = flask.Flask("new")
    app.config.update(SECRET_KEY=SECRET, **settings)
    sessions = typed_flask.Sessions(Visitor, app)
    all_have_opened = Barrier(CROWD, timeout=20)

    @app.get("/<path>")
    def view(path: str) -> dict[str, Any]:
        path, _, alone = path.partition("-")
        shown = work(sessions, path)
        if not alone:
            all_have_opened.wait()
        return shown

    def visit(path: str) -> tuple[dict[str, Any], str | None]:
        response = app.test_client(use_cookies=False).get(f"/{path}", headers=cookie_header({"session": text}))
        assert response.status_code == 200
        return response.get_json(), ours(response.headers.getlist("Set-Cookie"))

    with sessions:
        yield Crowd(visit)


CROWD: Final = 6

PLACES: Final = pytest.mark.parametrize("place", ["memory://", "redis"], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("redis_url") if request.param == "redis" else request.param
    return url


@PLACES
def test_of_readers_at_once_one_adopts_it_and_the_others_have_lost_nothing(
    crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    found = crowd.comes(["show"] * CROWD)
    assert [shown for shown, _ in found] == [VALUES] * CROWD
    assert sum(own is not None for _, own in found) == 1
    assert "lost" not in caplog.text


@PLACES
def test_of_writers_at_once_one_adopts_it_and_each_of_the_others_says_that_it_lost(
    crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    found = crowd.comes(["show", *["add"] * (CROWD - 1)])
    winners = [shown for shown, own in found if own is not None]
    assert len(winners) == 1
    assert caplog.text.count("lost") == CROWD - 1 - winners[0].get("visits", 0)


@PLACES
def test_a_request_that_comes_late_does_not_take_the_adopted_session_away(
    crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    """Its cookie leads nowhere any more. A cookie of its own would replace that which the browser has got since."""
    crowd.comes(["show"] * CROWD)
    assert crowd.visit("add-alone") == ({"visits": 1}, None)
    assert caplog.text.count("lost") == 1


# What is refused


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ({"user_id": "seven", "cart": ["tea"]}, {"cart": ["tea"]}),
        ({"user_id": 7, "cart": "tea"}, {"user_id": 7}),
        ({"user_id": 7, "cart": [1]}, {"user_id": 7}),
    ],
)
def test_a_value_that_does_not_fit_is_reset(
    values: dict[str, Any], read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for settings in ({}, {"store": "memory://"}):
        visit = on_starlette(adopt=[StarletteCookies(THEIRS, before=FUTURE)], **settings)
        caplog.clear()
        assert visit("show", {"session": in_starlette(values)})[0] == read
        assert "reset" in caplog.text
        strict = on_starlette(adopt=[StarletteCookies(THEIRS, before=FUTURE)], on_bad_field="session", **settings)
        assert strict("show", {"session": in_starlette(values)})[0] == {}


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_what_is_no_text_here_may_have_been_one_there(serializer: str, redis: Any) -> None:
    """msgspec writes a moment, or bytes, into JSON as a text."""

    @define
    class Rich:
        seen: datetime | None = None
        day: date | None = None
        key: UUID | None = None
        price: Decimal | None = None
        raw: bytes = b""
        tags: set[str] = Factory(set[str])

    values = Rich(datetime(2026, 1, 2, 3, 4, 5, 678, UTC), date(2026, 1, 2), UUID(int=7), Decimal("1.50"), b"x", {"a"})
    text = in_flask(redis, asdict(values), serializer)
    sessions = typed_asgi.Sessions(
        Rich, secret_key=SECRET, store="memory://", adopt=[FlaskSessionRedis(redis, before=FUTURE)]
    )

    async def view(_request: Request) -> JSONResponse:
        return JSONResponse(sessions.data == values)

    client = TestClient(Starlette(routes=[Route("/", view)], middleware=[Middleware(sessions.middleware)]))
    assert client.get("/", headers=cookie_header({"session": text})).json() is True


def test_an_essential_field_refuses_all() -> None:
    @define
    class Careful:
        user_id: Annotated[int | None, Essential] = None
        cart: list[str] = Factory(list[str])

    sessions = typed_asgi.Sessions(Careful, secret_key=SECRET, adopt=[StarletteCookies(THEIRS, before=FUTURE)])

    async def view(_request: Request) -> JSONResponse:
        return JSONResponse(sessions.data.cart)

    client = TestClient(Starlette(routes=[Route("/", view)], middleware=[Middleware(sessions.middleware)]))
    text = in_starlette({"user_id": "seven", "cart": ["tea"]})
    assert client.get("/", headers=cookie_header({"session": text})).json() == []


@define
class Harm:
    path: str

    @override
    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_refused(protocol: int, redis: Any, tmp_path: Path) -> None:
    for name, predecessor in (
        ("session:" + "p" * 43, FlaskSessionRedis(redis, before=FUTURE)),
        ("starsessions." + "p" * 43, StarsessionsRedis(redis, before=FUTURE)),
    ):
        for value in ({"user_id": 7}, Harm(f"{tmp_path}/harmed")):
            redis.set(name, pickle.dumps(value, protocol), ex=60)
            assert on_starlette(store="memory://", adopt=[predecessor])("show", {"session": "p" * 43})[0] == {}
        redis.delete(name)
    assert not (tmp_path / "harmed").exists()


def test_what_is_refused_for_its_pickle_is_ended_by_a_log_out_all_the_same(redis: Any) -> None:
    """An instance with the old library, which reads it, may still be there."""
    name = f"session:{'r' * 43}"
    redis.set(name, pickle.dumps({"user_id": 7}), ex=60)
    visit = on_starlette(store="memory://", adopt=[FlaskSessionRedis(redis, before=FUTURE)])
    assert visit("show", {"session": "r" * 43}) == ({}, None)
    assert redis.exists(name)
    visit("out", {"session": "r" * 43})
    assert not redis.exists(name)


HOSTILE: Final = {
    "nothing": b"",
    "no-dict": b"[1]",
    "keys-that-are-no-texts": msgspec.msgpack.encode({1: 2}),
    "two-of-a-key": b"\x82\xa7user_id\x01\xa7user_id\x02",
    "too-large": msgspec.msgpack.encode({"user_id": 7, "theme": "x" * 2_000_000}),
    "too-deep": b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "an-extension": msgspec.msgpack.encode({"theme": msgspec.msgpack.Ext(5, b"x")}),
    "tags": msgspec.msgpack.encode({"theme": {" t": [1]}, " d": "x"}),
    "reserved": msgspec.msgpack.encode({"_version": 99, "_created": -5, "_sid": "x" * 43, "user_id": 7}),
    "a-flag-that-is-none": msgspec.msgpack.encode({"_permanent": {"a": 1}, "user_id": 7}),
    "names-of-ours": msgspec.msgpack.encode({"data": 5, "extras": {}, "__class__": "x", "user_id": 7}),
    "surrogate": b'{"theme": "\\ud800", "user_id": 7}',
    "long-number": b'{"user_id": ' + b"9" * 5_000 + b"}",
    "no-metadata": b'{"user_id": 7, "__metadata__": [1]}',
    "metadata-of-never": b'{"user_id": 7, "__metadata__": {"last_access": 1e300}}',
    "metadata-of-no-time": b'{"user_id": 7, "__metadata__": {"last_access": NaN}}',
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_contents_are_no_error(payload: bytes, redis: Any) -> None:
    """Whatever of it is adopted goes on as a session does: it is read, written, and ended."""
    text, made = "h" * 43, TimestampSigner(THEIRS)
    old: list[tuple[str, Any, dict[str, Any]]] = [
        (text, FlaskSessionRedis(redis, before=FUTURE), {"store": "memory://"}),
        (text, StarsessionsRedis(redis, before=FUTURE), {"store": "memory://"}),
        (made.sign(b64encode(payload)).decode(), StarletteCookies(THEIRS, before=FUTURE), {}),
        (sealed_as_litestar(payload, time.time() + 60), LitestarCookies(AES, before=FUTURE), {}),
    ]
    for cookie, predecessor, settings in old:
        for name in (f"session:{text}", f"starsessions.{text}"):
            redis.set(name, payload, ex=60)
        visit = on_flask(adopt=[predecessor], **settings)
        shown, own = visit("show", {"session": cookie})
        assert shown.get("user_id") in (None, 2, 7)
        assert visit("add", {"session": own or cookie})[0].get("visits") == 1
        assert visit("out", {"session": own or cookie})[0] == {}


def sealed_as_litestar(payload: bytes, expires_at: float) -> str:
    data, nonce = json.dumps({"expires_at": round(expires_at)}).encode(), os.urandom(12)
    return b64encode(
        nonce + AESGCM(AES).encrypt(nonce, payload, data) + b"additional_authenticated_data=" + data
    ).decode()


@pytest.mark.parametrize("expires_at", [-1e14, 1e11, 1e17, 9e18])
def test_a_time_that_is_none_is_no_error(expires_at: float) -> None:
    text = sealed_as_litestar(b'{"user_id": 7}', expires_at)
    assert on_starlette(adopt=[LitestarCookies(AES, before=FUTURE)])("show", {"session": text})[0] in (
        {},
        {"user_id": 7},
    )


@pytest.mark.parametrize("text", ["", "x", ".", "a.b.c", "YQ==", "p" * 43, "../" * 10, "*" * 43, "x" * 5_000, "null"])
def test_nonsense_is_no_error(text: str, redis: Any) -> None:
    for settings in ({}, {"store": "memory://"}):
        old: list[Any] = [StarletteCookies(THEIRS, before=FUTURE), LitestarCookies(AES, before=FUTURE)]
        if settings:
            old += [FlaskSessionRedis(redis, before=FUTURE), StarsessionsRedis(redis, before=FUTURE)]
        visit = on_starlette(adopt=old, **settings)
        for path in ("show", "out"):
            assert visit(path, {"session": text, "session-0": text})[0] == {}


@pytest.mark.parametrize("change", range(0, 60, 7))
def test_a_changed_cookie_is_refused(change: int) -> None:
    for text, predecessor in (
        (in_starlette(VALUES), StarletteCookies(THEIRS, before=FUTURE)),
        (in_litestar(VALUES)["session"], LitestarCookies(AES, before=FUTURE)),
    ):
        other = text[:change] + ("A" if text[change] != "A" else "B") + text[change + 1 :]
        visit = on_starlette(adopt=[predecessor])
        assert visit("show", {"session": other})[0] == {}
        assert on_starlette(adopt=[type(predecessor)(AES[::-1], before=FUTURE)])("show", {"session": text})[0] == {}


def test_an_expired_one_is_refused() -> None:
    text = in_starlette(VALUES)
    predecessor = StarletteCookies(THEIRS, before=datetime.now(UTC) + timedelta(days=60), max_age=60)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=True):
        assert on_starlette(adopt=[predecessor])("show", {"session": text})[0] == {}
        assert on_starlette(store="memory://", adopt=[predecessor])("show", {"session": text})[0] == {}


def test_another_spelling_of_a_cookie_is_the_same_cookie() -> None:
    visit = on_starlette(store="memory://", adopt=[LitestarCookies(AES, before=FUTURE)])
    text = in_litestar(VALUES)["session"]
    assert visit("show", {"session": text})[0] == VALUES
    for other in (text + "=", text[:8] + "-" + text[8:], "!" + text):
        assert visit("show", {"session": other})[0] == {}


@FRAMEWORKS
def test_a_revocation_covers_what_was_not_adopted_yet(framework: Any) -> None:
    text = in_starlette(VALUES)
    adopt = [StarletteCookies(THEIRS, before=FUTURE)]
    store = MemoryStore()
    sessions = typed_asgi.Sessions(Visitor, secret_key=SECRET, store=store, adopt=adopt)
    asyncio.run(sessions.revoke(7))
    assert framework(store=store, adopt=adopt)("show", {"session": text})[0] == {}


def test_an_old_store_that_does_not_answer_is_a_503() -> None:
    predecessor = FlaskSessionRedis("redis://127.0.0.1:1/0", before=FUTURE)
    sessions = typed_asgi.Sessions(Visitor, secret_key=SECRET, store="memory://", adopt=[predecessor])

    async def view(_request: Request) -> JSONResponse:
        return JSONResponse(sessions.data.cart)

    client = TestClient(Starlette(routes=[Route("/", view)], middleware=[Middleware(sessions.middleware)]))
    assert client.get("/", headers=cookie_header({"session": "a" * 43})).status_code == 503
    assert client.get("/").status_code == 200


def test_what_is_of_before_not_before_is_over(old: Old) -> None:
    now, predecessor = datetime.now(UTC) + timedelta(seconds=2), old.predecessor(before=FUTURE)
    if isinstance(predecessor, FlaskSessionRedis):  # the server's clock, by which it is reckoned, stays
        predecessor = old.predecessor(before=FUTURE, lifetime=predecessor.lifetime + timedelta(seconds=3))
    with time_machine.travel(now, tick=True):
        over = on_starlette(store="memory://", adopt=[predecessor], not_before=now)
        assert over("show", old.cookies) == ({}, None)
        there = on_starlette(store="memory://", adopt=[predecessor], not_before=now - timedelta(minutes=1))
        shown, _ = there("show", old.cookies)
        assert {key: shown[key] for key in VALUES} == VALUES


@pytest.mark.parametrize("kind", ["starlette", "litestar"])
@FRAMEWORKS
def test_so_it_is_where_cookies_become_cookies(framework: Any, kind: str) -> None:
    cookies = {"session": in_starlette(VALUES)} if kind == "starlette" else in_litestar(VALUES)
    adopt: list[Any] = [StarletteCookies(THEIRS, before=FUTURE), LitestarCookies(AES, before=FUTURE)]
    now = datetime.now(UTC) + timedelta(seconds=2)
    with time_machine.travel(now, tick=True):
        assert framework(adopt=adopt, not_before=now)("show", cookies) == ({}, None)
        assert framework(adopt=adopt, not_before=now - timedelta(minutes=1))("show", cookies)[0] == VALUES


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
def test_an_adopted_session_is_encrypted(serializer: str) -> None:
    store, cookies = MemoryStore(), {"session": in_starlette(VALUES)}
    adopt = [StarletteCookies(THEIRS, before=FUTURE)]
    visit = on_starlette(store=store, adopt=adopt, encryption="on", serializer=serializer)
    shown, own = visit("show", cookies)
    assert shown == VALUES
    assert own is not None
    assert visit("add", {"session": own})[0]["visits"] == 1
    assert visit("add", {"session": own})[0]["visits"] == 2
    assert b"tea" not in b"".join(row.payload for row in vars(store)["_records"].values())
    assert visit("out", {"session": own}) == ({}, "")
    assert visit("show", cookies)[0] == {}


def test_what_the_format_cannot_hold_is_no_error(redis: Any) -> None:
    for store in ("memory://", None):
        for value in ({1: 2}, float("nan"), msgspec.msgpack.Ext(5, b"x")):
            redis.set("session:" + "n" * 43, msgspec.msgpack.encode({"user_id": 7, "theme": value}), ex=60)
            adopt: Any = FlaskSessionRedis(redis, before=FUTURE) if store else StarletteCookies(THEIRS, before=FUTURE)
            text = "n" * 43 if store else in_starlette({"theme": float("nan")})
            settings = {"store": store} if store else {}
            visit = on_flask(adopt=[adopt], serializer="msgspec-json", **settings)
            assert visit("add", {"session": text})[0] == {"visits": 1}


def test_ours_may_be_in_the_same_redis(redis: Any) -> None:
    """Under the same prefix, which both have by default."""
    redis.hset("session:" + "0" * 64, "payload", "x")
    redis.set("session:" + "s" * 43, msgspec.msgpack.encode(VALUES), ex=60)
    old = FlaskSessionRedis(redis, before=FUTURE)
    assert any(getattr(found, "values", None) == VALUES for found in old.sample(1_000))
    assert on_flask(store="memory://", adopt=[old])("show", {"session": "0" * 64})[0] == {}
    assert redis.hlen("session:" + "0" * 64) == 1
    redis.delete("session:" + "0" * 64, "session:" + "s" * 43)


def test_a_row_without_data_is_no_session(tmp_path: Path) -> None:
    old = in_database(tmp_path / "old.db", VALUES)
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute("UPDATE sessions SET data = NULL")
        database.commit()
    predecessor: Any = old.predecessor(before=FUTURE)
    assert on_flask(store="memory://", adopt=[predecessor])("show", old.cookies)[0] == {}
    assert [*predecessor.sample(10)] == []


@pytest.mark.parametrize(
    ("data", "expiry", "read"),
    [
        (b"\x81\xa7user_id\x07", "2999-01-01 00:00:00.000000", {"user_id": 7}),
        ('{"user_id": 7}', "2999-01-01 00:00:00.000000", {"user_id": 7}),
        ("nonsense", "2999-01-01 00:00:00.000000", {}),
        (5, "2999-01-01 00:00:00.000000", {}),
        (b"\x81\xa7user_id\x07", "nonsense", {}),
        (b"\x81\xa7user_id\x07", 5, {}),
        (b"\x81\xa7user_id\x07", b"x", {}),
        (b"\x81\xa7user_id\x07", "0001-01-01 00:00:00.000000", {}),
    ],
)
def test_a_row_of_other_types_is_no_error(tmp_path: Path, data: object, expiry: object, read: object) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY, session_id, data, expiry)")
        row = (f"session:{'a' * 43}", data, expiry)
        database.execute("INSERT INTO sessions (session_id, data, expiry) VALUES (?, ?, ?)", row)
        database.commit()
    old = FlaskSessionSQLAlchemy(f"sqlite:///{tmp_path}/old.db", before=datetime(3000, 1, 1, tzinfo=UTC))
    assert len([*old.sample(10)]) == 1
    assert on_flask(store="memory://", adopt=[old])("show", {"session": "a" * 43})[0] == read


# Set-up


def test_cookies_of_another_name_need_a_store() -> None:
    adopt = [StarletteCookies(THEIRS, before=FUTURE, cookie_name="old")]
    with pytest.raises(ConfigurationError, match="cookie_name"):
        typed_asgi.Sessions(Visitor, secret_key=SECRET, adopt=adopt)
    typed_asgi.Sessions(Visitor, secret_key=SECRET, adopt=adopt, cookie_name="old")
    assert on_starlette(store="memory://", adopt=adopt)("show", {"old": in_starlette(VALUES)})[0] == VALUES


def test_records_need_a_store(redis: Any) -> None:
    with pytest.raises(ConfigurationError, match="SESSION_STORE"):
        typed_asgi.Sessions(Visitor, secret_key=SECRET, adopt=[FlaskSessionRedis(redis, before=FUTURE)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: StarletteCookies(THEIRS, before="2026-12-01"),
        lambda: StarletteCookies("", before=FUTURE),
        lambda: StarletteCookies(7, before=FUTURE),
        lambda: LitestarCookies(b"short", before=FUTURE),
        lambda: FlaskSessionRedis("nonsense", before=FUTURE),
        lambda: FlaskSessionRedis("redis://user:short/er@host/0", before=FUTURE),
        lambda: FlaskSessionRedis(7, before=FUTURE),  # type: ignore[arg-type]
        lambda: FlaskSessionRedis(AsyncRedis(), before=FUTURE),  # type: ignore[arg-type,unused-ignore]
        lambda: StarsessionsRedis(redis_py.Redis(decode_responses=True), before=FUTURE),
        lambda: FlaskSessionSQLAlchemy("no://user:short@host", before=FUTURE),
        lambda: FlaskSessionSQLAlchemy("sqlite://", before=FUTURE, table=None),  # type: ignore[arg-type]
        lambda: FlaskSessionRedis("redis://host", before=FUTURE, key_prefix=b"shop:"),  # type: ignore[arg-type]
        lambda: StarsessionsRedis("redis://host", before=FUTURE, prefix=7),  # type: ignore[arg-type]
        lambda: StarletteCookies(THEIRS, before=FUTURE, cookie_name=b"old"),  # type: ignore[arg-type]
        lambda: typed_asgi.Sessions(Visitor, secret_key=SECRET, adopt=[SessionMiddleware]),  # type: ignore[list-item]
        lambda: typed_asgi.Sessions(Visitor, secret_key=SECRET, adopt=["starlette"]),  # type: ignore[list-item]
        lambda: typed_asgi.Sessions(Visitor, secret_key=SECRET, adopt="starlette"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_said_at_set_up(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert "short" not in str(refused.value)


def test_no_key_is_shown() -> None:
    for each in (StarletteCookies(THEIRS, before=FUTURE), LitestarCookies(AES, before=FUTURE)):
        assert THEIRS not in repr(each)
        assert AES.decode() not in repr(each)


# Before a deploy


BROKEN: Final = [VALUES, {"user_id": "seven"}, {"cart": [1], "_token": "x"}, {}]


def test_the_command_says_what_would_fit(
    redis: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"{os.urandom(4).hex()}[*]?:"
    for number, values in enumerate(BROKEN):
        redis.set(f"{prefix}{number}", msgspec.msgpack.encode(values), ex=60)
    redis.set(f"{prefix}pickle", pickle.dumps({"user_id": 7}), ex=60)
    module = ModuleType("moving")
    vars(module).update(
        Visitor=Visitor,
        old=FlaskSessionRedis(redis, before=FUTURE, key_prefix=prefix),
        cookies=StarletteCookies(THEIRS, before=FUTURE),
        encrypted=LitestarCookies(AES, before=FUTURE),
        down=FlaskSessionRedis("redis://127.0.0.1:1/0", before=FUTURE),
    )
    monkeypatch.setitem(sys.modules, "moving", module)
    assert main(["adopt", "moving:Visitor", "moving:old", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "sessions": 5,
        "adopted": 4,
        "fields": {
            "user_id": {"fits": 1, "user_id is not int | None": 1},
            "cart": {"fits": 1, "cart[0] is not str": 1},
            "visits": {},
        },
        "undeclared": {"theme": 1, "_token": 1},
        "lossy": {},
        "unwritable": {},
        "refused": said["refused"],
    }
    assert sum(said["refused"].values()) == 1
    assert main(["adopt", "moving:Visitor", "moving:old"]) == 1
    text = capsys.readouterr().out
    assert "4 of 5 sessions would be adopted" in text
    assert "seven" not in text
    assert main(["adopt", "moving:Visitor", "moving:old", "--on-bad-field", "session", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["adopted"] == 2
    assert len([*redis.scan_iter(f"{prefix[:8]}*")]) == 5  # nothing is written
    found = [in_starlette(VALUES | {"theme": "x" * length}) for length in range(3)]
    assert sorted(text.count("=") for text in found) == [0, 1, 2]  # how base64 is padded
    given = [*found, *(f"session={text}; Path=/" for text in found), *(f'"{text}"' for text in found)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(given)))
    assert main(["adopt", "moving:Visitor", "moving:cookies"]) == 0
    assert "9 of 9" in capsys.readouterr().out
    (text,) = in_litestar(VALUES).values()
    monkeypatch.setattr("sys.stdin", io.StringIO(f'session="{text}"\nsession={text}\n{text}\n'))
    assert main(["adopt", "moving:Visitor", "moving:encrypted"]) == 0
    assert "3 of 3" in capsys.readouterr().out
    assert main(["adopt", "moving:Visitor", "moving:down"]) == 2
    assert main(["adopt", "moving:Visitor", "moving:Visitor"]) == 2


def test_the_command_says_what_the_format_cannot_hold(
    redis: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of these is adopted, or not, as the command says."""
    held = (VALUES, {"sizes": {1: "a"}}, {"ratio": float("nan")}, {"seen": datetime(2026, 1, 2, tzinfo=UTC)})
    texts = [in_flask(redis, values) for values in held]
    prefix = f"{os.urandom(4).hex()}:"
    for text in texts:
        redis.rename(f"session:{text}", f"{prefix}{text}")
    old = FlaskSessionRedis(redis, before=FUTURE, key_prefix=prefix)
    module = ModuleType("moving")
    vars(module).update(Visitor=Visitor, old=old)
    monkeypatch.setitem(sys.modules, "moving", module)
    found: dict[str, Any] = {}
    for serializer in ("tagged-json", "msgspec-json", "msgspec-msgpack"):
        main(["adopt", "moving:Visitor", "moving:old", "--json", "--serializer", serializer])
        found[serializer] = json.loads(capsys.readouterr().out)
        visit = on_flask(store="memory://", adopt=[old], serializer=serializer)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FlaskSessionRedis, "end", lambda *_: None)  # for the next round
            opened = sum(visit("add", {"session": text})[0].keys() != {"visits"} for text in texts)
        assert opened == found[serializer]["adopted"], found
    assert [said["lossy"] for said in found.values()] == [{"sizes": 1}, {}, {}]
    for name in ("JSON", "Msgpack"):
        said = found[f"msgspec-{name.lower()}"]["unwritable"]
        assert said == {
            f"session key {key} cannot be written by Msgspec{name}Serializer": 1 for key in ("sizes", "ratio")
        }
    assert main(["adopt", "moving:Visitor", "moving:old", "--serializer", "msgspec-json"]) == 1
    assert "session key ratio cannot be written" in capsys.readouterr().out
    assert main(["adopt", "moving:Visitor", "moving:old"]) == 1
    assert "sizes                would read back as another value in 1" in capsys.readouterr().out
    assert main(["adopt", "moving:Visitor", "moving:old", "--serializer", "pickle"]) == 2
    redis.delete(*redis.keys(f"{prefix}*"))
