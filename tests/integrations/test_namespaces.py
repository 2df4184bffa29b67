"""Several applications on one store: none meets another's sessions by accident, and a new key loses nobody's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import Factory, define
from quart import Quart, websocket

from tests.placed_store import PlacedMemoryStore
from typed_sessions import ConfigurationError, Subject
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore, SessionStore, SQLiteStore

KEY, FORMER, OFFICE_KEY = "k" * 32, "f" * 32, "o" * 32


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


class Site:
    """An application on a store, and what a browser gets of it."""

    def __init__(self, store: SessionStore, **config: Any) -> None:
        self.app = Quart("site")
        self.app.config.update({"SECRET_KEY": KEY} | config)
        self.sessions = sessions = Sessions(Visitor, self.app, store=store)

        @self.app.get("/read")
        async def read() -> str:
            return f"{sessions.data.user_id} {sessions.data.cart}"

        @self.app.get("/login")
        async def login() -> str:
            sessions.current.promote(user_id=7)
            return ""

        @self.app.get("/add/<item>")
        async def add(item: str) -> str:
            sessions.data.cart.append(item)
            return ""

        @self.app.get("/logout")
        async def logout() -> str:
            sessions.current.invalidate()
            return ""

        @self.app.get("/nothing")
        async def nothing() -> str:
            return ""

        @self.app.websocket("/ws")
        async def ws() -> None:
            await websocket.accept()
            await websocket.send(f"{sessions.data.user_id}")

    async def get(self, path: str, cookie: str = "") -> tuple[str, str]:
        """Return the page, and the cookie that the browser has then."""
        name = self.app.config.get("SESSION_COOKIE_NAME") or "session"
        headers = {"Cookie": f"{name}={cookie}"} if cookie else {}
        response = await self.app.test_client(use_cookies=False).get(path, headers=headers)
        assert response.status_code == 200
        for header in response.headers.getlist("Set-Cookie"):
            cookie = header.partition(";")[0].partition("=")[2]
        return str(await response.get_data(as_text=True)), cookie


STORES: dict[str, Callable[[Path], SessionStore]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda directory: SQLiteStore(directory / "sessions.db"),
    "places": lambda _: PlacedMemoryStore(),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[SessionStore]:
    store = STORES[request.param](tmp_path)
    yield store
    await store.close()


@pytest.fixture(params=["memory", "sqlite"])
async def one_place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[SessionStore]:
    """One in which a new key means no other place."""
    store = STORES[request.param](tmp_path)
    yield store
    await store.close()


OTHERS: dict[str, dict[str, Any]] = {
    "another key": {"SECRET_KEY": OFFICE_KEY},
    "another cookie": {"SESSION_COOKIE_NAME": "office"},
    "another name": {"SESSION_NAMESPACE": "office"},
}


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
async def test_an_identifier_of_one_application_opens_nothing_in_another(
    store: SessionStore, config: dict[str, Any]
) -> None:
    shop, office = Site(store), Site(store, **config)
    _, cookie = await shop.get("/login")
    assert await office.get("/read", cookie) == ("None []", cookie)
    await office.get("/logout", cookie)
    assert (await shop.get("/read", cookie))[0] == "7 []"
    async with office.app.test_client().websocket("/ws", headers={"Cookie": f"session={cookie}"}) as socket:
        assert await socket.receive() == "None"


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
async def test_one_application_neither_lists_nor_ends_the_sessions_of_another(
    store: SessionStore, config: dict[str, Any]
) -> None:
    shop, office = Site(store), Site(store, **config)
    _, cookie = await shop.get("/login")
    assert await office.sessions.of(7) == []
    await office.sessions.revoke(7)
    assert (await shop.get("/read", cookie))[0] == "7 []"
    assert len(await shop.sessions.of(7)) == 1


async def test_the_same_key_and_cookie_are_the_same_sessions_whatever_the_application_is_called(
    store: SessionStore,
) -> None:
    one, other = Site(store), Site(store)
    other.app.name = "other"
    _, cookie = await one.get("/login")
    assert (await other.get("/read", cookie))[0] == "7 []"
    await other.sessions.revoke(7)
    assert (await one.get("/read", cookie))[0] == "None []"


@pytest.mark.parametrize("path", ["/add/tea", "/login", "/logout"])
async def test_after_a_new_key_nobody_is_logged_out_and_the_next_write_moves_the_session(
    store: SessionStore, path: str
) -> None:
    before = Site(store, SECRET_KEY=FORMER)
    after = Site(store, SECRET_KEY_FALLBACKS=[FORMER])
    _, cookie = await before.get("/login")
    assert await after.get("/read", cookie) == ("7 []", cookie)
    assert len(await after.sessions.of(7)) == 1
    _, cookie = await after.get(path, cookie)
    without_fallback = Site(store)
    expected = {"/add/tea": "7 ['tea']", "/login": "7 []", "/logout": "None []"}[path]
    assert (await without_fallback.get("/read", cookie))[0] == expected
    assert len(await without_fallback.sessions.of(7)) == (path != "/logout")
    assert await before.sessions.of(7) == []


async def test_a_change_that_meets_the_move_to_a_new_key_is_not_lost(one_place: SessionStore) -> None:
    slow, fast = (Site(one_place, SECRET_KEY_FALLBACKS=[FORMER]) for _ in range(2))
    _, cookie = await Site(one_place, SECRET_KEY=FORMER).get("/login")

    @slow.app.get("/slow")
    async def slowly() -> str:
        slow.sessions.data.cart.append("tea")
        await fast.get("/locale", cookie)
        return ""

    @fast.app.get("/locale")
    async def locale() -> str:
        fast.sessions.current["locale"] = "de"
        return ""

    @slow.app.get("/all")
    async def everything() -> str:
        return str(sorted(slow.sessions.current))

    await slow.get("/slow", cookie)
    assert (await slow.get("/all", cookie))[0] == "['cart', 'locale', 'user_id']"
    assert (await Site(one_place).get("/read", cookie))[0] == "7 ['tea']"


@pytest.mark.parametrize("moves", [1, 2, 3])
async def test_a_change_is_not_lost_whichever_key_the_instances_of_a_fleet_write_with(
    one_place: SessionStore, moves: int
) -> None:
    """First each instance reads the new key, then one after the other writes with it."""
    first = Site(one_place, SECRET_KEY_FALLBACKS=[FORMER])
    last = Site(one_place, SECRET_KEY=FORMER, SECRET_KEY_FALLBACKS=[KEY])
    _, cookie = await first.get("/login")

    @first.app.get("/slow")
    async def slowly() -> str:
        first.sessions.data.cart.append("tea")
        for number in range(moves):
            await (first if number % 2 else last).get("/visit", cookie)
        return ""

    for site in (first, last):

        def visit(site: Site = site) -> str:
            site.sessions.current["visits"] = f"{site.sessions.current.get('visits', '')}x"
            return ""

        site.app.add_url_rule("/visit", "visit", visit)

    @last.app.get("/all")
    async def everything() -> str:
        return f"{last.sessions.data.cart} {last.sessions.current['visits']}"

    assert await first.get("/slow", cookie) == ("", cookie)
    assert (await last.get("/all", cookie))[0] == f"['tea'] {'x' * moves}"
    await last.get("/logout", cookie)
    assert [(await site.get("/read", cookie))[0] for site in (first, last)] == ["None []"] * 2


async def test_where_a_new_key_is_another_place_a_session_gets_another_identifier_with_a_response() -> None:
    store = PlacedMemoryStore()
    after = Site(store, SECRET_KEY_FALLBACKS=[FORMER], SESSION_REFRESH_AFTER=timedelta(0))
    _, cookie = await Site(store, SECRET_KEY=FORMER).get("/login")

    @after.app.websocket("/add")
    async def add_late() -> None:
        await websocket.accept()
        after.sessions.data.cart.append("tea")
        await websocket.send(f"{await after.sessions.save()}")

    async with after.app.test_client().websocket("/add", headers={"Cookie": f"session={cookie}"}) as socket:
        assert await socket.receive() == "True"
    assert (await Site(store, SECRET_KEY=FORMER).get("/read", cookie))[0] == "7 ['tea']"
    _, moved = await after.get("/read", cookie)  # a refresh is due
    assert moved != cookie
    assert (await Site(store).get("/read", moved))[0] == "7 ['tea']"
    assert (await after.get("/read", cookie))[0] == "None []"


async def test_a_revocation_goes_over_all_keys(store: SessionStore) -> None:
    before, after = Site(store, SECRET_KEY=FORMER), Site(store, SECRET_KEY_FALLBACKS=[FORMER])
    _, old = await before.get("/login")
    _, new = await after.get("/login")
    assert len(await after.sessions.of(7)) == 2
    await after.sessions.revoke(7)
    assert [(await after.get("/read", cookie))[0] for cookie in (old, new)] == ["None []"] * 2
    assert await after.sessions.of(7) == []


async def test_without_the_former_key_its_sessions_are_gone(store: SessionStore) -> None:
    _, cookie = await Site(store, SECRET_KEY=FORMER).get("/login")
    assert (await Site(store).get("/read", cookie))[0] == "None []"


async def test_a_named_namespace_outlives_the_key(store: SessionStore) -> None:
    _, cookie = await Site(store, SESSION_NAMESPACE="shop", SECRET_KEY=FORMER).get("/login")
    assert (await Site(store, SESSION_NAMESPACE="shop").get("/read", cookie))[0] == "7 []"
    assert (await Site(store, SESSION_NAMESPACE="shop", SECRET_KEY=None).get("/read", cookie))[0] == "7 []"


async def test_a_store_without_key_and_namespace_is_refused_before_serving() -> None:
    app = Quart("keyless")
    Sessions(Visitor, app, store="memory://")
    with pytest.raises(ConfigurationError, match="SESSION_NAMESPACE"):
        await app.startup()


@pytest.mark.parametrize("name", ["", "a b", "a:b", "~" + "0" * 32, "x" * 65, 7, b"shop"], ids=repr)
async def test_what_is_no_name_is_refused_before_serving(name: object) -> None:
    app = Quart("site")
    app.config.update(SECRET_KEY=KEY, SESSION_NAMESPACE=name)
    Sessions(Visitor, app, store="memory://")
    with pytest.raises(ConfigurationError, match="SESSION_NAMESPACE"):
        await app.startup()


async def test_the_url_of_a_store_names_a_namespace(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"

    shop = Site(MemoryStore(), SESSION_STORE=f"{url}?namespace=shop")
    _, cookie = await shop.get("/login")
    for config, expected in (
        ({"SESSION_STORE": f"{url}?namespace=shop", "SECRET_KEY": FORMER}, "7 []"),
        ({"SESSION_STORE": f"{url}?namespace=shop", "SESSION_NAMESPACE": "shop"}, "7 []"),
        ({"SESSION_STORE": url, "SESSION_NAMESPACE": "shop"}, "7 []"),
        ({"SESSION_STORE": f"{url}?namespace=office"}, "None []"),
        ({"SESSION_STORE": url}, "None []"),
    ):
        other = Site(MemoryStore(), **config)
        assert (await other.get("/read", cookie))[0] == expected
        await other.sessions._interface.close()
    await shop.sessions._interface.close()


async def test_a_namespace_that_differs_from_that_of_the_url_is_refused_before_serving() -> None:
    app = Quart("site")
    app.config.update(SECRET_KEY=KEY, SESSION_NAMESPACE="shop")
    Sessions(Visitor, app, store="memory://?namespace=office")
    with pytest.raises(ConfigurationError, match="SESSION_NAMESPACE is another one"):
        await app.startup()
