"""Sessions that are permanent from their first content on, where the adapter wants that."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any, Generic, TypeVar

import pytest
from attrs import Factory, define, field

from tests.bare_framework import App, Request, Response
from typed_sessions import SecureCookieSession
from typed_sessions.frameworks.interface import SecureCookieSessionInterface
from typed_sessions.serializers import SerializerName

S = TypeVar("S")


@define
class Visitor:
    user_id: int | None = None
    name: str = ""


class Lasting(SecureCookieSessionInterface[Visitor]):
    makes_permanent = True


@define
class Browser(Generic[S]):
    """Sends to an interface what it got from it."""

    interface: SecureCookieSessionInterface[S]
    app: App = field(factory=lambda: App({"SECRET_KEY": "a secret key that is long enough"}))
    cookies: dict[str, str] = field(factory=dict[str, str])
    opened: list[SecureCookieSession[S]] = Factory(list)

    async def open(self) -> SecureCookieSession[S]:
        session = await self.interface.open_session(self.app, Request(dict(self.cookies)))
        assert session is not None
        self.opened.append(session)
        return session

    async def save(self) -> str:
        """Save the session that was opened last, and return the header of its cookie, if there is one."""
        response = Response()
        await self.interface.save_session(self.app, self.opened[-1], response)
        header = response.headers.get("Set-Cookie", "")
        for name, morsel in SimpleCookie(header).items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                del self.cookies[name]
        return header


STORES = pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])


def browser(store: str | None) -> Browser[Visitor]:
    return Browser(Lasting(Visitor, store=store, refresh_fraction=0.1))


@STORES
async def test_the_first_content_makes_a_session_permanent(store: str | None) -> None:
    visitor = browser(store)
    (await visitor.open()).data.user_id = 7
    assert "Expires=" in await visitor.save()
    session = await visitor.open()
    assert session.permanent
    session["name"] = "Ada"
    assert "Expires=" in await visitor.save()
    assert dict(await visitor.open()) == {"user_id": 7, "_permanent": True, "name": "Ada"}


@STORES
@pytest.mark.parametrize("way", ["data", "key", "both"])
async def test_that_it_is_permanent_stands_before_what_was_stored(store: str | None, way: str) -> None:
    visitor = browser(store)
    session = await visitor.open()
    if way != "data":
        session.promote(user_id=7)
    if way != "key":
        session.data.name = "Ada"
    session["_flashes"] = []
    await visitor.save()
    keys = list(await visitor.open())
    assert keys[0] == "_permanent"
    assert set(keys[1:]) == {"_flashes", *(["user_id"] * (way != "data")), *(["name"] * (way != "key"))}
    assert visitor.opened[-1].popitem()[0] != "_permanent"


@STORES
async def test_without_content_nothing_is_stored(store: str | None) -> None:
    visitor = browser(store)
    session = await visitor.open()
    assert not session.permanent
    assert session.data.user_id is None
    assert await visitor.save() == ""


@STORES
async def test_a_session_that_came_keeps_what_it_says(store: str | None) -> None:
    visitor = browser(store)
    session = await visitor.open()
    session["user_id"], session.permanent = 7, False
    assert "Expires=" not in await visitor.save()
    (await visitor.open()).data.user_id = 8
    assert "Expires=" not in await visitor.save()
    session = await visitor.open()
    del session["_permanent"]
    await visitor.save()
    session = await visitor.open()
    session["name"] = "Ada"
    assert "Expires=" not in await visitor.save()
    assert dict(await visitor.open()) == {"user_id": 8, "name": "Ada"}


@STORES
@pytest.mark.parametrize("way", ["data", "del", "pop", "clear", "invalidate"])
async def test_a_session_without_content_is_deleted(store: str | None, way: str) -> None:
    visitor = browser(store)
    (await visitor.open()).data.user_id = 7
    await visitor.save()
    session = await visitor.open()
    if way == "data":
        session.data.user_id = None
    elif way == "del":
        del session["user_id"]
    elif way == "pop":
        session.pop("user_id")
    else:
        getattr(session, way)()
    header = await visitor.save()
    if store is None or way in ("clear", "invalidate"):
        assert header.startswith("session=; ")
        assert visitor.cookies == {}
    assert dict(await visitor.open()) == {}


@STORES
async def test_what_comes_after_a_log_out_is_a_new_session(store: str | None) -> None:
    visitor = browser(store)
    (await visitor.open()).data.user_id = 7
    await visitor.save()
    session = await visitor.open()
    session.clear()
    session["name"] = "Ada"
    assert "Expires=" in await visitor.save()
    assert (await visitor.open()).permanent


@STORES
async def test_a_flag_alone_that_came_is_left_alone_by_a_read(store: str | None) -> None:
    visitor = browser(store)
    visitor.interface.makes_permanent = False
    (await visitor.open()).permanent = True
    assert "Expires=" in await visitor.save()
    visitor.interface.makes_permanent = True
    assert (await visitor.open()).data.user_id is None
    assert await visitor.save() == ""
    assert (await visitor.open()).permanent


@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
async def test_without_a_schema_it_is_the_same(serializer: SerializerName) -> None:
    interface: SecureCookieSessionInterface[Any] = SecureCookieSessionInterface(
        refresh_fraction=0.1, serializer=serializer
    )
    interface.makes_permanent = True
    visitor: Browser[Any] = Browser(interface)
    (await visitor.open()).data["user_id"] = 7
    assert "Expires=" in await visitor.save()
    assert dict(await visitor.open()) == {"user_id": 7, "_permanent": True}
    (await visitor.open()).data["user_id"] = 8
    assert "Expires=" in await visitor.save()
    del (await visitor.open()).data["user_id"]
    assert (await visitor.save()).startswith("session=; ")
    assert visitor.cookies == {}


async def test_otherwise_a_program_says_what_is_permanent() -> None:
    visitor = Browser(SecureCookieSessionInterface(Visitor))
    (await visitor.open()).data.user_id = 7
    assert "Expires=" not in await visitor.save()
