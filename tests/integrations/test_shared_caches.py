"""No shared cache keeps a response that sets the session's cookie: it would give one visitor's session to others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import Factory, define
from quart import Quart, Response, request, session
from werkzeug.datastructures import Headers

from typed_sessions.quart import Sessions
from typed_sessions.stores.memory import MemoryStore

SECRET = "a secret key that is long enough"
REPORT = (
    "a response with a session cookie was for shared caches, which would give the session to others; it was sent as "
    "private"
)


@define
class Visitor:
    cart: list[str] = Factory(list[str])


KEPT: list[Callable[[], MemoryStore | None]] = [lambda: None, MemoryStore]
everywhere = pytest.mark.parametrize("store", KEPT, ids=["cookies", "store"])


class Site:
    """An application whose responses have the headers that a request asks for."""

    def __init__(self, store: MemoryStore | None) -> None:
        self.app = Quart("site")
        self.app.config["SECRET_KEY"] = SECRET
        self.sessions = Sessions(Visitor, self.app, store=store)

        @self.app.get("/<what>")
        async def act(what: str) -> Response:
            match what:
                case "write":
                    self.sessions.data.cart.append("book")
                case "stay":
                    session.permanent = True
                case "log out":
                    session.clear()
                case "read":
                    bool(session)
                case _:
                    pass
            return Response(
                "", headers=Headers([(name[2:], value) for name, value in request.headers if name[:2] == "X-"])
            )


async def get(client: Any, what: str, *headers: tuple[str, str]) -> Response:
    response: Response = await client.get(f"/{what}", headers=[(f"X-{name}", value) for name, value in headers])
    assert response.status_code == 200
    return response


@everywhere
@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("public", "private"),
        ("public, max-age=600", "private, max-age=600"),
        ("Public,MAX-AGE=600", "private, max-age=600"),
        ("max-age=600, public, immutable", "max-age=600, private, immutable"),
        ("s-maxage=600", "private"),
        ("max-age=0, s-maxage=600, must-revalidate", "max-age=0, private, must-revalidate"),
        ("public, private", "private"),
        ("private, s-maxage=600", "private"),
        ("public, no-store", "private, no-store"),
        ("no-cache, public", "no-cache, private"),
        ("max-age=600", "max-age=600, private"),
        ('max-age="600"', 'max-age="600", private'),
        ("max-age=0, stale-while-revalidate=600", "max-age=0, stale-while-revalidate=600, private"),
        ('max-age=600, private="X-One, X-Two"', "max-age=600, private"),
        ('max-age=600, no-cache="Set-Cookie, public"', 'max-age=600, no-cache="Set-Cookie, public", private'),
    ],
)
async def test_what_is_for_shared_caches_is_sent_as_private(
    store: Callable[[], MemoryStore | None], said: str, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = await get(Site(store()).app.test_client(), "write", ("Cache-Control", said))
    assert "Set-Cookie" in response.headers
    assert response.headers.getlist("Cache-Control") == [sent]
    assert response.headers["Vary"] == "Cookie"
    assert [record.getMessage() for record in caplog.records] == [REPORT]


@everywhere
@pytest.mark.parametrize(
    "said",
    [
        "private",
        "private, max-age=600",
        "no-store",
        "no-cache",
        "no-cache, max-age=600",
        "max-age=0",
        "must-revalidate",
    ],
)
async def test_what_no_shared_cache_keeps_is_left_as_it_is(
    store: Callable[[], MemoryStore | None], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = await get(Site(store()).app.test_client(), "write", ("Cache-Control", said))
    assert response.headers.getlist("Cache-Control") == [said]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ([("Cache-Control", "no-cache"), ("Cache-Control", "public")], {"Cache-Control": "no-cache, private"}),
        (
            [("Cache-Control", "private"), ("CDN-Cache-Control", "max-age=600")],
            {"CDN-Cache-Control": "max-age=600, private"},
        ),
        ([("Shop-CDN-Cache-Control", "public")], {"Shop-CDN-Cache-Control": "private"}),
        ([("Surrogate-Control", "max-age=600")], {"Surrogate-Control": "no-store"}),
        ([("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], {"Cache-Control": "private"}),
        (
            [("Cache-Control", "must-revalidate"), ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")],
            {"Cache-Control": "must-revalidate, private"},
        ),
        ([("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")], {"Cache-Control": None}),
        ([("Expires", "0")], {"Cache-Control": None}),
        ([("Cache-Control", "no-store"), ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], {"Cache-Control": "no-store"}),
        (
            [("Cache-Control", "max-age=0"), ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")],
            {"Cache-Control": "max-age=0"},
        ),
        ([("CDN-Cache-Control", "no-store")], {"CDN-Cache-Control": "no-store", "Cache-Control": None}),
    ],
    ids=str,
)
async def test_other_headers_that_let_caches_keep_a_response_count(
    said: list[tuple[str, str]], sent: dict[str, str | None]
) -> None:
    response = await get(Site(None).app.test_client(), "write", *said)
    assert "Set-Cookie" in response.headers
    assert {name: response.headers.get(name) for name in sent} == sent


@everywhere
@pytest.mark.parametrize("what", ["write", "stay", "nothing", "log out"])
async def test_each_response_that_sets_the_cookie_is_private(
    store: Callable[[], MemoryStore | None], what: str
) -> None:
    """A refresh and a log-out, too: a cache would log others out."""
    site = Site(store())
    site.app.config["SESSION_REFRESH_AFTER"] = timedelta(0)
    client = site.app.test_client()
    if what in {"nothing", "log out"}:
        await get(client, "stay")
    response = await get(client, what, ("Cache-Control", "public"))
    assert "Set-Cookie" in response.headers
    assert response.headers["Cache-Control"] == "private"


@everywhere
@pytest.mark.parametrize("what", ["nothing", "read"])
async def test_a_response_that_sets_no_cookie_is_left_as_it_is(
    store: Callable[[], MemoryStore | None], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = await get(Site(store()).app.test_client(), what, ("Cache-Control", "public"))
    assert response.headers["Cache-Control"] == "public"
    assert caplog.records == []


@everywhere
async def test_it_is_said_once_for_each_application(
    store: Callable[[], MemoryStore | None], caplog: pytest.LogCaptureFixture
) -> None:
    site, other = Site(store()), Quart("other")
    other.config["SECRET_KEY"] = SECRET
    site.sessions.init_app(other)

    @other.get("/write")
    async def write() -> Response:
        site.sessions.data.cart.append("book")
        return Response("", headers={"Cache-Control": "public"})

    for app in (site.app, other):
        for _ in range(3):
            response = await get(app.test_client(), "write", ("Cache-Control", "public"))
            assert response.headers["Cache-Control"] == "private"
    assert [record.getMessage() for record in caplog.records] == [REPORT] * 2
    assert {record.name for record in caplog.records} == {"typed_sessions"}
