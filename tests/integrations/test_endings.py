"""What ends a session, ends it: on each store, whatever came with the request, and whatever this release can read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import uuid4

import pytest
from attrs import Factory, define, evolve
from quart import Quart, websocket
from quart.testing.connections import WebsocketDisconnectError
from typing_extensions import override

from tests.faults.running import running
from typed_sessions import Essential, Subject, migration
from typed_sessions.quart import Sessions
from typed_sessions.stores import Found, MemoryStore, Record, SessionStore, open_store

KEY = "k" * 32


@define
class Before:
    """The release before."""

    user_id: Annotated[int | None, Subject] = None
    role: str = "guest"
    cart: list[str] = Factory(list[str])


@define
class After:
    """A release that cannot read a role that is text."""

    user_id: Annotated[int | None, Subject] = None
    role: Annotated[int, Essential] = 0
    cart: list[str] = Factory(list[str])


@define
class Migrating:
    """A release whose step refuses what there was."""

    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


@migration(Migrating, 1)
def refuse(_stored: dict[str, object]) -> dict[str, object]:
    raise ValueError("not today")


class Site:
    """An application on a store, and what a browser gets of it."""

    def __init__(self, store: SessionStore, schema: Any = Before, **config: Any) -> None:
        self.app = Quart("site")
        self.app.config.update({"SECRET_KEY": KEY} | config)
        self.sessions = sessions = Sessions(schema, self.app, store=store)

        @self.app.get("/<path:steps>")
        async def do(steps: str) -> str:
            session: Any = sessions.current
            for step in steps.split("/"):
                match step.split("="):
                    case ["add", item]:
                        session.data.cart.append(item)
                    case ["user", number]:
                        session.data.user_id = int(number) or None
                    case ["promote", number]:
                        session.promote(user_id=int(number))
                    case ["role"]:
                        session["role"] = "admin"
                    case ["flash"]:
                        session["_flashes"] = [("message", "bye")]
                    case ["read"]:
                        return f"{session.data.user_id} {session.data.cart} {'_flashes' in session}"
                    case [method]:
                        getattr(session, method)()
            return ""

    async def get(self, path: str, *cookies: str) -> tuple[str, list[str]]:
        """Return the page, and the values of the cookies that it sets; a deleted one is empty."""
        headers = {"Cookie": "; ".join(f"session={cookie}" for cookie in cookies)}
        response = await self.app.test_client(use_cookies=False).get(path, headers=headers)
        assert response.status_code == 200, path
        set_cookies = [header.partition(";")[0].partition("=")[2] for header in response.headers.getlist("Set-Cookie")]
        return str(await response.get_data(as_text=True)), set_cookies

    async def begin(self, path: str) -> str:
        _, [cookie] = await self.get(path)
        return cookie

    async def read(self, cookie: str) -> str:
        return (await self.get("/read", cookie))[0]


@pytest.fixture(scope="module", params=["memory", "sqlite", "redis", "postgresql"])
def url(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        yield "memory://"
        return
    with running(request.param) as store:
        yield store.url


@pytest.fixture
async def store(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[SessionStore]:
    monkeypatch.setattr(f"{__name__}.KEY", uuid4().hex)  # each test has a namespace of its own
    store = open_store(url)
    yield store
    await store.close()


UNREADABLE: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "an essential field of another type": ("/promote=7/role/add=tea", After, {}),
    "a step that refuses": ("/promote=7/add=tea", Migrating, {}),
    "any field, where the setting says so": (
        "/promote=7/role/add=tea",
        define(
            type("Strict", (), {"__annotations__": {"user_id": int | None, "role": int}, "user_id": None, "role": 0})
        ),
        {"SESSION_ON_BAD_FIELD": "session"},
    ),
}

ENDING = {
    "clear": "/clear",
    "invalidate": "/invalidate",
    "clear and a message": "/clear/flash",
    "invalidate and a message": "/invalidate/flash",
    "regenerate": "/regenerate",
    "regenerate and a message": "/regenerate/flash",
    "promote nobody": "/promote",
    "promote": "/promote=8",
    "another subject": "/user=8",
}


@pytest.mark.parametrize("ending", ENDING.values(), ids=ENDING)
@pytest.mark.parametrize(("begun", "schema", "config"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_this_release_cannot_read_it_can_end(
    store: SessionStore, begun: str, schema: Any, config: dict[str, Any], ending: str
) -> None:
    before, after = Site(store), Site(store, schema, **config)
    cookie = await before.begin(begun)
    if ending == "/user=8" and schema not in (After, Migrating):
        ending = "/promote=8"  # it marks no Subject
    _, [given] = await after.get(ending, cookie)
    assert given != cookie
    assert await before.read(cookie) == "None [] False"
    assert await before.sessions.of(7) == []


async def test_a_log_out_replaces_what_another_release_has_written_meanwhile(store: SessionStore) -> None:
    before, after = Site(store), Site(store, After)
    cookie = await before.begin("/promote=7")

    @after.app.get("/slow-logout")
    async def slow_logout() -> str:
        bool(after.sessions.current)
        await before.get("/role", cookie)
        session: Any = after.sessions.current
        session.clear()
        session["_flashes"] = [("message", "bye")]
        return ""

    await after.get("/slow-logout", cookie)
    assert await before.read(cookie) == "None [] False"
    assert await before.sessions.of(7) == []


async def test_what_this_release_cannot_read_is_left_alone_by_all_else(store: SessionStore) -> None:
    before, after = Site(store), Site(store, After)
    cookie = await before.begin("/promote=7/role/add=tea")
    await after.get("/read", cookie)
    await after.get("/add=book", cookie)
    assert await before.read(cookie) == "7 ['tea'] False"


@pytest.mark.parametrize(
    "payload", [b"", b"nonsense", b"msgspec-json\ntoken\n0\n{", b"unheard-of\ntoken\n0\n{}"], ids=repr
)
@pytest.mark.parametrize("ending", ENDING.values(), ids=ENDING)
async def test_what_nobody_can_read_can_be_ended(payload: bytes, ending: str) -> None:
    class Corrupt(MemoryStore):
        @override
        async def load(self, key: str) -> Found:
            found = await super().load(key)
            return evolve(found, payload=payload) if key in corrupt and isinstance(found, Record) else found

    store, corrupt = Corrupt(), list[str]()
    site = Site(store, SESSION_NAMESPACE="site")
    cookie = await site.begin("/promote=7")
    [listed] = await store.ids_of("site:7")
    corrupt.append(listed.key)
    await site.get(ending, cookie)
    assert await store.load(listed.key) is None


MOVING = ["/regenerate", "/promote=7", "/user=8"]
LOGOUTS = ["/clear", "/invalidate", "/clear/flash", "/invalidate/flash"]


@pytest.mark.parametrize("logout", LOGOUTS)
@pytest.mark.parametrize("moving", MOVING)
async def test_a_log_out_with_the_identifier_of_a_moment_ago_ends_the_session(
    store: SessionStore, moving: str, logout: str
) -> None:
    site = Site(store)
    former = await site.begin("/promote=7/add=tea")
    _, [middle] = await site.get(moving, former)
    _, [present] = await site.get("/regenerate", middle)
    assert await site.read(present) != "None [] False"
    _, given = await site.get(logout, former)
    assert len(given) == 1
    assert await site.read(present) == "None [] False"
    assert await site.sessions.of(7) == await site.sessions.of(8) == []


async def test_a_late_log_out_of_a_session_that_has_ended_leaves_the_next_login_alone(store: SessionStore) -> None:
    site = Site(store)
    former = await site.begin("/promote=7")
    _, [present] = await site.get("/regenerate", former)
    await site.get("/invalidate", present)
    assert await site.get("/invalidate", former) == ("", [])


@pytest.mark.parametrize("login", ["/promote=7", "/user=7", "/regenerate/promote=7"])
async def test_a_login_with_the_identifier_of_a_moment_ago_goes_through(store: SessionStore, login: str) -> None:
    """Somebody plants an identifier that they have just renewed: that must not keep anybody from logging in."""
    site = Site(store)
    planted = await site.begin("/add=planted")
    _, [kept] = await site.get("/regenerate", planted)
    _, [cookie] = await site.get(login, planted)
    assert await site.read(cookie) == "7 [] False"
    assert await site.read(kept) == "None ['planted'] False"


async def test_a_login_whose_session_is_renewed_meanwhile_goes_through(store: SessionStore) -> None:
    site = Site(store)
    planted = await site.begin("/add=tea")

    @site.app.get("/slow-login")
    async def slow_login() -> str:
        bool(site.sessions.current)
        await site.get("/regenerate", planted)
        site.sessions.current.promote(user_id=7)
        return ""

    _, [cookie] = await site.get("/slow-login", planted)
    assert await site.read(cookie) == "7 ['tea'] False"


async def test_a_late_request_that_logs_nobody_in_changes_nothing(
    store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(store)
    former = await site.begin("/promote=7")
    _, [present] = await site.get("/regenerate", former)
    assert await site.get("/add=late", former) == ("", [])
    assert "just before it came" in caplog.text
    assert await site.read(present) == "7 [] False"


async def test_a_log_out_of_a_session_that_is_renewed_meanwhile_ends_it(store: SessionStore) -> None:
    site = Site(store)
    former = await site.begin("/promote=7")
    renewed: list[str] = []

    @site.app.get("/slow-logout")
    async def slow_logout() -> str:
        bool(site.sessions.current)
        renewed.extend((await site.get("/regenerate", former))[1])
        site.sessions.current.invalidate()
        return ""

    await site.get("/slow-logout", former)
    assert await site.read(renewed[0]) == "None [] False"


async def test_of_several_genuine_identifiers_the_one_issued_last_counts(store: SessionStore) -> None:
    site = Site(store)
    first = await site.begin("/promote=7/add=old")
    second = await site.begin("/promote=8/add=new")
    for cookies in ((first, second), (second, first), (first, "x" * 43, second, first)):
        assert (await site.get("/read", *cookies))[0] == "8 ['new'] False"
    _, [moved] = await site.get("/regenerate", first)
    assert (await site.get("/read", moved, second))[0] == "7 ['old'] False"
    await site.get("/add=touched", second)
    assert (await site.get("/read", moved, second))[0] == "7 ['old'] False"


@pytest.mark.parametrize("logout", LOGOUTS)
async def test_a_log_out_ends_every_genuine_session_that_came(store: SessionStore, logout: str) -> None:
    site = Site(store)
    cookies = [await site.begin(f"/promote={number}") for number in (7, 8, 9)]
    await site.get(logout, *cookies)
    assert [await site.read(cookie) for cookie in cookies] == ["None [] False"] * 3


async def test_junk_before_it_does_not_shut_a_session_out(store: SessionStore) -> None:
    site = Site(store)
    cookie = await site.begin("/promote=7")
    junk = [f"{number:043}" for number in range(19)]
    assert (await site.get("/read", *junk, cookie))[0] == "7 [] False"
    assert (await site.get("/read", *junk, "y" * 43, cookie))[0] == "None [] False"
    malformed = [f"junk{number}" for number in range(60)]
    assert (await site.get("/read", *malformed, *junk, cookie))[0] == "7 [] False"


@pytest.mark.parametrize("steps", ["clear/flash", "invalidate/flash", "clear/promote=8", "clear/add=tea/save"])
async def test_a_log_out_in_a_websocket_ends_the_session_whatever_is_stored_after_it(
    store: SessionStore, steps: str
) -> None:
    """There is no response for what is stored, which is lost."""
    site = Site(store)
    cookie = await site.begin("/promote=7")

    @site.app.websocket("/ws")
    async def ws() -> None:
        await websocket.accept()
        session = site.sessions.current
        for step in steps.split("/"):
            match step:
                case "flash":
                    session["_flashes"] = [("message", "bye")]
                case "promote=8":
                    session.promote(user_id=8)
                case "add=tea":
                    session.data.cart.append("tea")
                case "save":
                    assert not await site.sessions.save()
                case _:
                    getattr(session, step)()

    headers = {"Cookie": f"session={cookie}"}
    async with site.app.test_client(use_cookies=False).websocket("/ws", headers=headers) as socket:
        with pytest.raises(WebsocketDisconnectError):  # when it has been saved
            await socket.receive()
    assert await site.read(cookie) == "None [] False"
    assert [await site.sessions.of(number) for number in (7, 8)] == [[], []]


@pytest.mark.parametrize(
    ("path", "value_set"),
    [("/promote=9", True), ("/invalidate", False), ("/read", None)],
    ids=["login", "logout", "read"],
)
async def test_what_tells_the_browser_expires_the_other_cookies(path: str, value_set: bool | None) -> None:
    site = Site(MemoryStore())
    first, second = await site.begin("/promote=7"), await site.begin("/promote=8")
    site.app.config.update(SESSION_COOKIE_DOMAIN="example.com", SESSION_COOKIE_PATH="/app", SESSION_COOKIE_SECURE=True)
    headers = {"Cookie": f"session={first}; session={second}"}
    response = await site.app.test_client(use_cookies=False).get(path, headers=headers)
    *expired, own = response.headers.getlist("Set-Cookie") or [""]
    assert (own == "") == (value_set is None)
    assert bool(own.partition(";")[0].removeprefix("session=")) == bool(value_set)
    assert sorted(header.partition("Max-Age=0; ")[2] for header in expired) == (
        []
        if value_set is None
        else ["Secure; HttpOnly; Path=/", "Secure; HttpOnly; Path=/", "Secure; HttpOnly; Path=/app"]
    )
    assert [header for header in expired if "Domain=example.com" in header and "Path=/app" in header] == []
    alone = await site.app.test_client(use_cookies=False).get(
        "/add=tea/regenerate", headers={"Cookie": f"session={first}"}
    )
    assert len(alone.headers.getlist("Set-Cookie")) <= 1
