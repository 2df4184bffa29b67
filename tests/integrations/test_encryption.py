"""Encrypted sessions: turned on and off in a fleet, in cookies and in stores, and nobody is logged out."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import flask
import httpx
import litestar
import pytest
import quart
from attrs import Factory, define
from itsdangerous import URLSafeTimedSerializer
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from typing_extensions import override

from typed_sessions import (
    ConfigurationError,
    SecureCookieSessionInterface,
    SessionConflictError,
    StoreUnavailableError,
    Subject,
)
from typed_sessions import asgi as typed_asgi
from typed_sessions import flask as typed_flask
from typed_sessions import litestar as typed_litestar
from typed_sessions import quart as typed_quart
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.keys import key_id
from typed_sessions.server.records import read, resealed
from typed_sessions.stores import MemoryStore, Record, SessionStore, SQLiteStore, WriteRequest
from typed_sessions.testing import ManualClock

KEY, FORMER = "k" * 32, "f" * 32
SERIALIZERS = ("tagged-json", "msgspec-json", "msgspec-msgpack")
SECRET = "a-present-for-grandma"


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    note: str = ""


Ask: TypeAlias = Callable[[str, str], Awaitable[tuple[str, list[str]]]]
"""Asks for a path, with a cookie, and returns the page and the `Set-Cookie` headers."""


def use(sessions: Any, path: str) -> str:
    """Do what a path says with the session, and return what is in it."""
    match path.split("/")[1:]:
        case ["add", item]:
            sessions.data.cart.append(item)
            sessions.current.permanent = True
        case ["login"]:
            sessions.current.promote(user_id=7)
        case ["leave"]:
            return ""
    return f"{sessions.data.user_id} {','.join(sessions.data.cart)}"


def on_quart(config: dict[str, Any], _closing: ExitStack) -> Ask:
    app = quart.Quart("shop")
    app.config.update({"PROPAGATE_EXCEPTIONS": True} | config)
    sessions = typed_quart.Sessions(Visitor, app)

    @app.get("/<path:path>")
    async def view(path: str) -> str:
        return use(sessions, f"/{path}")

    async def ask(path: str, cookie: str) -> tuple[str, list[str]]:
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = await app.test_client(use_cookies=False).get(path, headers=headers)
        return str(await response.get_data(as_text=True)), response.headers.getlist("Set-Cookie")

    return ask


def on_flask(config: dict[str, Any], closing: ExitStack) -> Ask:
    app = flask.Flask("shop")
    app.config.update({"PROPAGATE_EXCEPTIONS": True} | config)
    sessions = closing.enter_context(typed_flask.Sessions(Visitor, app))

    @app.get("/<path:path>")
    def view(path: str) -> str:
        return use(sessions, f"/{path}")

    async def ask(path: str, cookie: str) -> tuple[str, list[str]]:
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = app.test_client(use_cookies=False).get(path, headers=headers)
        return response.get_data(as_text=True), response.headers.getlist("Set-Cookie")

    return ask


def on_asgi(config: dict[str, Any], _closing: ExitStack) -> Ask:
    sessions = typed_asgi.Sessions.from_config(Visitor, config)

    async def view(request: Request) -> Response:
        return PlainTextResponse(use(sessions, request.url.path))

    return asking(sessions.middleware(Starlette(routes=[Route("/{path:path}", view)])))


def on_litestar(config: dict[str, Any], _closing: ExitStack) -> Ask:
    sessions = typed_litestar.Sessions.from_config(Visitor, config)

    @litestar.get("/{path:path}", media_type="text/plain")
    async def view(path: FromPath[Path]) -> str:
        return use(sessions, str(path))

    return asking(litestar.Litestar([view], plugins=[sessions], logging_config=None))


def asking(app: Any) -> Ask:
    """Return what asks an ASGI application."""

    async def ask(path: str, cookie: str) -> tuple[str, list[str]]:
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            response = await client.get(path, headers=headers)
        return response.text, response.headers.get_list("set-cookie")

    return ask


FRAMEWORKS = {"quart": on_quart, "flask": on_flask, "asgi": on_asgi, "litestar": on_litestar}


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def value(set_cookie: list[str], cookie: str) -> str:
    """The cookie that the browser has after a response."""
    for header in set_cookie:
        cookie = header.partition(";")[0].partition("=")[2]
    return cookie


def is_encrypted(cookie: str, key: str = KEY) -> bool:
    return cookie.endswith(f".{key_id(key.encode())}")


FLEET = (("off",), ("off", "read"), ("read",), ("read", "on"), ("on",), ("on", "read"), ("read",), ("read", "off"))
"""What the instances of a fleet have, from deploy to deploy."""


@pytest.mark.parametrize(
    ("place", "serializers"),
    [*(("cookie", (each,)) for each in SERIALIZERS), ("cookie", SERIALIZERS), ("store", SERIALIZERS)],
    ids=str,
)
async def test_a_fleet_turns_encryption_on_and_off_again(
    closing: ExitStack, tmp_path: Path, place: str, serializers: tuple[str, ...]
) -> None:
    cookie, items, made = "", list[str](), dict[Any, Ask]()
    store = {"SESSION_STORE": f"sqlite:///{tmp_path}/sessions.db"} if place == "store" else {}
    for number, settings in enumerate(FLEET):
        for name, encryption in product(FRAMEWORKS, settings):
            serializer = serializers[len(items) % len(serializers)]
            if (name, encryption, serializer) not in made:
                config = {"SECRET_KEY": KEY, "SESSION_ENCRYPTION": encryption, "SESSION_SERIALIZER": serializer}
                made[name, encryption, serializer] = FRAMEWORKS[name](config | store, closing)
            ask = made[name, encryption, serializer]
            page, set_cookie = await ask("/read", cookie)
            assert page == f"{7 if items else None} {','.join(items)}"
            assert set_cookie == []  # a read writes nothing, whatever the cookie is
            items.append(f"{name[0]}{number}")
            page, set_cookie = await ask(f"/add/{items[-1]}", cookie)
            assert page.endswith(items[-1])
            cookie = value(set_cookie, cookie)
            if len(items) == 1:
                cookie = value((await ask("/login", cookie))[1], cookie)
            if place == "cookie":
                assert is_encrypted(cookie) is (encryption == "on")


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_a_refresh_that_is_due_reseals_and_none_other(
    closing: ExitStack, session_clock: ManualClock, name: str, serializer: str
) -> None:
    def ask(encryption: str) -> Ask:
        config = {"SECRET_KEY": KEY, "SESSION_ENCRYPTION": encryption, "SESSION_SERIALIZER": serializer}
        return FRAMEWORKS[name](config, closing)

    cookie = value((await ask("off")("/add/tea", ""))[1], "")
    for encryption in ("on", "read", "on"):
        is_before = is_encrypted(cookie)
        assert is_before is (encryption == "read")
        for path in ("/read", "/leave"):
            assert (await ask(encryption)(path, cookie))[1] == []
        session_clock.forward(timedelta(days=4))
        assert is_encrypted(value((await ask(encryption)("/leave", cookie))[1], "")) is not is_before
        page, set_cookie = await ask(encryption)("/read", cookie)
        cookie = value(set_cookie, "")
        assert (page, is_encrypted(cookie)) == ("None tea", not is_before)


async def test_a_refresh_keeps_what_the_configured_format_cannot_hold_and_encrypts_it(
    session_clock: ManualClock,
) -> None:
    before = quart.Quart("before")
    before.config.update(SECRET_KEY=KEY, SESSION_SERIALIZER="msgspec-json")
    cookie = typed_quart.Sessions(app=before).cookie_for({"marks": {1, 2}, "_permanent": True})
    after = quart.Quart("after")
    after.config.update(SECRET_KEY=KEY, SESSION_SERIALIZER="tagged-json", SESSION_ENCRYPTION="on")
    sessions = typed_quart.Sessions(app=after)
    after.add_url_rule("/", view_func=lambda: repr(sessions.data["marks"]))
    session_clock.forward(timedelta(days=10))
    for _ in range(2):
        response = await after.test_client().get("/", headers={"Cookie": f"session={cookie}"})
        assert await response.get_data(as_text=True) == "{1, 2}"
        cookie = value(response.headers.getlist("Set-Cookie"), cookie)
        assert is_encrypted(cookie)


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_a_key_is_renewed_and_taken_out(closing: ExitStack, name: str) -> None:
    def ask(key: str, *fallbacks: str) -> Ask:
        config = {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": fallbacks, "SESSION_ENCRYPTION": "on"}
        return FRAMEWORKS[name](config, closing)

    cookie = value((await ask(FORMER)("/add/tea", ""))[1], "")
    assert (await ask(KEY)("/read", cookie))[0] == "None "
    page, set_cookie = await ask(KEY, FORMER)("/read", cookie)
    assert (page, set_cookie) == ("None tea", [])
    page, set_cookie = await ask(KEY, FORMER)("/add/milk", cookie)
    assert is_encrypted(value(set_cookie, ""))
    assert (await ask(KEY)("/read", value(set_cookie, "")))[0] == "None tea,milk"


async def test_an_instance_without_encryption_does_not_log_out_who_comes_with_an_encrypted_cookie(
    closing: ExitStack,
) -> None:
    on, off = ({"SECRET_KEY": KEY, "SESSION_ENCRYPTION": each} for each in ("on", "off"))
    cookie = value((await on_quart(on, closing)("/add/tea", ""))[1], "")
    assert await on_quart(off, closing)("/read", cookie) == ("None ", [])
    assert (await on_quart(on, closing)("/read", cookie))[0] == "None tea"


async def test_a_cookie_is_for_its_name(closing: ExitStack) -> None:
    config = {"SECRET_KEY": KEY, "SESSION_ENCRYPTION": "on"}
    cookie = value((await on_quart(config | {"SESSION_COOKIE_NAME": "admin"}, closing)("/add/tea", ""))[1], "")
    assert (await on_quart(config, closing)("/read", cookie))[0] == "None "


def test_contents_cannot_be_read_in_the_cookie() -> None:
    app = quart.Quart("shop")
    app.config.update(SECRET_KEY=KEY)
    sessions = typed_quart.Sessions(Visitor, app, encryption="on")
    for serializer in SERIALIZERS:
        app.config["SESSION_SERIALIZER"] = serializer
        for note in (SECRET, SECRET * 300):
            cookie = sessions.cookie_for(Visitor(7, note=note))
            assert is_encrypted(cookie)
            for salt in ("cookie-session", f"cookie-session.{serializer}"):
                safe, payload = URLSafeTimedSerializer(KEY, salt=salt).loads_unsafe(cookie)
                assert (safe, payload) == (False, None)
    app.config["SESSION_ENCRYPTION"] = "off"
    assert not is_encrypted(sessions.cookie_for(Visitor(7)))


async def test_the_argument_turns_it_on_in_each_framework() -> None:
    quart_app, flask_app = quart.Quart("shop"), flask.Flask("shop")
    quart_app.secret_key = flask_app.secret_key = KEY
    on_quart, on_flask = (
        typed_quart.Sessions(Visitor, quart_app, encryption="on"),
        typed_flask.Sessions(Visitor, flask_app, encryption="on"),
    )
    on_asgi = typed_asgi.Sessions(Visitor, secret_key=KEY, encryption="on")
    on_litestar = typed_litestar.Sessions(Visitor, secret_key=KEY, encryption="on")
    clients: list[Any] = [await on_quart.client_for(Visitor(7)), on_flask.client_for(Visitor(7))]
    cookies = [each.cookie_for(Visitor(7)) for each in (on_quart, on_flask, on_asgi, on_litestar)]
    cookies.append(next(cookie.value for cookie in clients[0].cookie_jar if cookie.name == "session"))
    cookies.append(clients[1].get_cookie("session").value)

    async def view(request: Request) -> Response:
        return PlainTextResponse(f"{on_asgi.on(request).data.user_id}")

    app = on_asgi.middleware(Starlette(routes=[Route("/", view)]))
    client = on_asgi.client_for(Visitor(7), app)
    cookies.append(client.cookies["session"])
    assert client.get("/").text == "7"
    assert all(is_encrypted(cookie) for cookie in cookies)
    for cookie in cookies:
        client.cookies.clear()
        assert client.get("/", headers={"Cookie": f"session={cookie}"}).text == "7"


@pytest.mark.parametrize("encryption", ["read", "on"])
async def test_a_missing_extra_is_said_at_set_up(monkeypatch: pytest.MonkeyPatch, encryption: Any) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    app = quart.Quart("shop")
    app.config.update(SECRET_KEY=KEY, SESSION_ENCRYPTION=encryption)
    typed_quart.Sessions(Visitor, app)
    with pytest.raises(ConfigurationError, match=r"SESSION_ENCRYPTION.*typed_sessions\[encryption\]"):
        await app.startup()
    for make in (
        lambda: typed_quart.Sessions(Visitor, quart.Quart("shop"), encryption=encryption),
        lambda: typed_flask.Sessions(Visitor, flask.Flask("shop"), encryption=encryption),
        lambda: SecureCookieSessionInterface(Visitor, encryption=encryption),
        lambda: typed_asgi.Sessions(Visitor, secret_key=KEY, encryption=encryption),
        lambda: typed_litestar.Sessions(Visitor, secret_key=KEY, encryption=encryption),
        lambda: typed_asgi.Sessions.from_config(Visitor, {"SECRET_KEY": KEY, "SESSION_ENCRYPTION": encryption}),
    ):
        with pytest.raises(ConfigurationError, match=r"encryption.*typed_sessions\[encryption\]"):
            make()


@pytest.mark.parametrize("encryption", ["yes", True, "", "ON"])
def test_what_says_nothing_of_encryption_is_refused(encryption: Any) -> None:
    with pytest.raises(ConfigurationError, match="encryption"):
        typed_quart.Sessions(Visitor, quart.Quart("shop"), encryption=encryption)
    with pytest.raises(ConfigurationError, match=r"encryption \(SESSION_ENCRYPTION\)"):
        typed_asgi.Sessions(Visitor, secret_key=KEY, encryption=encryption)


async def test_a_store_without_a_key_cannot_encrypt() -> None:
    app = quart.Quart("shop")
    app.config.update(SESSION_NAMESPACE="shop", SESSION_ENCRYPTION="on")
    typed_quart.Sessions(Visitor, app, store="memory://")
    with pytest.raises(ConfigurationError, match=r"SESSION_ENCRYPTION .* needs a SECRET_KEY"):
        await app.startup()


# Stores.


class Site:
    """An application on a store, and the browser of one visitor."""

    def __init__(self, store: SessionStore, **config: Any) -> None:
        self.store = store
        self.app = quart.Quart("site")
        self.app.config.update({"SECRET_KEY": KEY, "SESSION_ENCRYPTION": "on", "PROPAGATE_EXCEPTIONS": True} | config)
        self.sessions = sessions = typed_quart.Sessions(Visitor, self.app, store=store)
        self.began, self.goes_on = asyncio.Event(), asyncio.Event()

        @self.app.get("/<path:path>")
        async def view(path: str) -> str:
            page = use(sessions, f"/{path}")
            if path.startswith("add/slow"):
                self.began.set()
                await self.goes_on.wait()
            return page

    async def get(self, path: str, cookie: str = "") -> tuple[str, str]:
        """Return the page, and the cookie that the browser has then."""
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = await self.app.test_client(use_cookies=False).get(path, headers=headers)
        page = str(await response.get_data(as_text=True))
        return page, value(response.headers.getlist("Set-Cookie"), cookie)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncGenerator[SessionStore]:
    store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "sessions.db")
    yield store
    await store.close()


async def the_record(site: Site) -> tuple[str, Record]:
    """The key and the record of the one session of user 7."""
    side = site.sessions._interface.server_side(site.app)
    found = [each for name in side.repository.subjects_of("7") for each in await site.store.ids_of(name or "")]
    (listed,) = found
    record = await site.store.load(listed.key)
    assert isinstance(record, Record)
    return listed.key, record


def is_sealed(record: Record, key: str = KEY) -> bool:
    """Whether nothing of the contents shows in a record, which is under this key."""
    shows = SECRET.encode() in record.payload or b"user_id" in record.payload
    assert shows is not record.payload.startswith(b"\\encrypted ")
    return record.payload.startswith(b"\\encrypted %s " % key_id(key.encode()).encode())


@pytest.mark.parametrize("serializer", SERIALIZERS)
async def test_a_record_does_not_show_what_is_in_the_session(store: SessionStore, serializer: str) -> None:
    site = Site(store, SESSION_SERIALIZER=serializer)
    _, cookie = await site.get("/login")
    page, cookie = await site.get(f"/add/{SECRET}", cookie)
    assert page == f"7 {SECRET}"
    _, record = await the_record(site)
    assert is_sealed(record)
    assert (await site.get("/read", cookie))[0] == page


async def replaced(site: Site, key: str, payload: bytes) -> None:
    """Write something into a record behind the application's back."""
    record = await site.store.load(key)
    assert isinstance(record, Record)
    side = site.sessions._interface.server_side(site.app)
    write = WriteRequest(payload, side.repository.lifetime, record.subject)
    assert isinstance(await site.store.update(key, record.version, write), Record)


async def test_a_payload_in_the_row_of_another_session_is_refused(
    store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(store)
    _, mine = await site.get("/login")
    _, mine = await site.get("/add/tea", mine)
    key, record = await the_record(site)
    _, other = await site.get("/add/gold")
    side = site.sessions._interface.server_side(site.app)
    opened = await side.open([other], site.sessions._interface._applications.rules_of(site.app), lambda _: None)
    assert opened.located is not None
    await replaced(site, key, opened.located.record.payload)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        assert (await site.get("/read", mine))[0] == "None "
    assert [record.message for record in caplog.records] == [
        "session cookie refused: its record is not as it was encrypted, or is that of another session"
    ]
    await replaced(site, key, record.payload)
    assert (await site.get("/read", mine))[0] == "7 tea"


async def test_what_is_not_as_it_was_encrypted_is_refused(store: SessionStore) -> None:
    site = Site(store)
    _, cookie = await site.get("/login")
    _, cookie = await site.get("/add/tea", cookie)
    key, record = await the_record(site)
    name, token, stamp, sealed = record.payload.split(b"\n", 3)
    encrypted, key_name, format_name = name.split(b" ")
    flips = [sealed[:place] + bytes((sealed[place] ^ 1,)) + sealed[place + 1 :] for place in (0, 11, 12, 20, -16)]
    changed = [
        *((name, token, stamp, each) for each in (*flips, sealed[:-1], sealed + b"\0", b"", sealed[12:])),
        *((name, token, each, sealed) for each in (b"0", b"", b"-1", b"\xb2", b"1" * 5_000, b"%d" % (int(stamp) + 1))),
        (name, token[::-1], stamp, sealed),
        (b" ".join((encrypted, key_name, b"msgspec-json")), token, stamp, sealed),
        (b" ".join((encrypted, key_id(b"another").encode(), format_name)), token, stamp, sealed),
        (encrypted, token, stamp, sealed),
        (encrypted + b" ", token, stamp, sealed),
        (format_name, token, stamp, sealed),
    ]
    for parts in changed:
        await replaced(site, key, b"\n".join(parts))
        assert (await site.get("/read", cookie))[0] == "None ", parts
    await replaced(site, key, record.payload)
    assert (await site.get("/read", cookie))[0] == "7 tea"


async def test_encryption_is_turned_on_and_off_over_a_live_store(store: SessionStore) -> None:
    cookie, items = "", list[str]()
    for encryption in ("off", "read", "on", "read", "on", "on", "read", "off"):
        site = Site(store, SESSION_ENCRYPTION=encryption)
        if not cookie:
            _, cookie = await site.get("/login")
        items.append(f"{encryption}{len(items)}")
        await site.get(f"/add/{items[-1]}", cookie)
        assert is_sealed((await the_record(site))[1]) is (encryption == "on")
        assert (await site.get("/read", cookie))[0] == f"7 {','.join(items)}"
        assert (await Site(store, SESSION_ENCRYPTION="read").get("/read", cookie))[0] == f"7 {','.join(items)}"


async def test_without_encryption_an_encrypted_record_is_left_alone(store: SessionStore) -> None:
    site, off = Site(store), Site(store, SESSION_ENCRYPTION="off")
    _, cookie = await site.get("/login")
    assert (await off.get("/read", cookie)) == ("None ", cookie)
    assert (await site.get("/read", cookie))[0] == "7 "


@pytest.mark.parametrize("namespace", [None, "shop"], ids=["derived", "named"])
async def test_a_session_that_is_only_read_outlives_its_key(
    store: SessionStore, session_clock: ManualClock, namespace: str | None
) -> None:
    """Its refresh seals it anew, under the key that the record has by then."""
    _, cookie = await Site(store, SECRET_KEY=FORMER, SESSION_NAMESPACE=namespace).get("/login")
    await Site(store, SECRET_KEY=FORMER, SESSION_NAMESPACE=namespace).get(f"/add/{SECRET}", cookie)
    rotated = Site(store, SECRET_KEY_FALLBACKS=[FORMER], SESSION_NAMESPACE=namespace)
    key, record = await the_record(rotated)
    assert is_sealed(record, FORMER)
    assert (await rotated.get("/read", cookie))[0] == f"7 {SECRET}"
    assert (await the_record(rotated))[1].payload == record.payload
    session_clock.forward(timedelta(days=4))
    assert (await rotated.get("/read", cookie))[0] == f"7 {SECRET}"
    moved, record = await the_record(rotated)
    assert is_sealed(record)
    assert (moved == key) is (namespace is not None)
    without = Site(store, SESSION_NAMESPACE=namespace)
    assert (await without.get("/read", cookie))[0] == f"7 {SECRET}"
    session_clock.forward(timedelta(days=4))
    assert (await without.get("/read", cookie))[0] == f"7 {SECRET}"
    assert (await the_record(without))[1].payload == record.payload  # it is as it would be written


@pytest.mark.parametrize(("before", "after"), [("off", "on"), ("on", "read")])
async def test_a_refresh_encrypts_what_is_not_and_the_other_way_round(
    store: SessionStore, session_clock: ManualClock, before: str, after: str
) -> None:
    _, cookie = await Site(store, SESSION_ENCRYPTION=before).get("/login")
    site = Site(store, SESSION_ENCRYPTION=after)
    assert is_sealed((await the_record(site))[1]) is (before == "on")
    session_clock.forward(timedelta(days=4))
    assert (await site.get("/leave", cookie))[0] == ""
    assert is_sealed((await the_record(site))[1]) is (after == "on")
    assert (await site.get("/read", cookie))[0] == "7 "


async def test_a_login_seals_anew_under_the_new_key(store: SessionStore) -> None:
    site = Site(store)
    _, cookie = await site.get("/login")
    _, cookie = await site.get("/add/tea", cookie)
    before = await the_record(site)
    _, other = await site.get("/login", cookie)
    after = await the_record(site)
    assert (other != cookie, after[0] != before[0]) == (True, True)
    assert (await site.get("/read", other))[0] == "7 tea"
    await replaced(site, after[0], before[1].payload)
    assert (await site.get("/read", other))[0] == "None "


@pytest.mark.parametrize("key", [KEY, FORMER], ids=["present key", "earlier namespace"])
async def test_two_changes_at_once_are_merged(store: SessionStore, key: str) -> None:
    sites = [Site(store, SECRET_KEY_FALLBACKS=[FORMER]) for _ in range(2)]
    _, cookie = await Site(store, SECRET_KEY=key).get("/login")
    await Site(store, SECRET_KEY=key).get("/add/first", cookie)
    slow = asyncio.create_task(sites[0].get("/add/slow", cookie))
    await sites[0].began.wait()
    async with sites[1].app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        sites[1].sessions.data.note = "from another request"
        assert await sites[1].sessions.save()
    sites[0].goes_on.set()
    assert (await slow)[0] == "7 first,slow"
    async with sites[1].app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        assert sites[1].sessions.data == Visitor(7, ["first", "slow"], "from another request")
    assert is_sealed((await the_record(sites[1]))[1])


@pytest.mark.parametrize("key", [KEY, FORMER], ids=["present key", "earlier namespace"])
async def test_many_requests_of_one_process_take_turns(store: SessionStore, key: str) -> None:
    _, cookie = await Site(store, SECRET_KEY=key).get("/login")
    site = Site(store, SECRET_KEY_FALLBACKS=[FORMER])
    contexts = [site.app.test_request_context("/", headers={"Cookie": f"session={cookie}"}) for _ in range(3)]

    async def change(number: int) -> None:
        async with contexts[number]:
            data = site.sessions.data
            await asyncio.sleep(0.01)
            if number == 0:
                data.note = "noted"
            elif number == 1:
                data.cart.append("tea")
            else:
                site.sessions.current["_extra"] = 1
            assert await site.sessions.save()

    await asyncio.gather(*map(change, range(3)))
    async with site.app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        assert site.sessions.data == Visitor(7, ["tea"], "noted")
        assert site.sessions.current["_extra"] == 1


async def test_what_moves_is_sealed_anew_for_its_new_place_under_the_same_key_too() -> None:
    site = Site(MemoryStore())
    await site.get("/login")
    key, record = await the_record(site)
    rules = site.sessions._interface._applications.rules_of(site.app)
    assert resealed(record.payload, key, rules, move_to=key) is record.payload
    moved = resealed(record.payload, key, rules, move_to="another")
    assert not isinstance(read(moved, "another", rules), Refused)
    assert read(moved, key, rules) == read(record.payload, "another", rules) == Refused(Reason.TAMPERED)


async def test_sessions_are_listed_and_revoked(store: SessionStore) -> None:
    site = Site(store)
    cookies = [(await site.get("/login"))[1] for _ in range(3)]
    assert len(await site.sessions.of(7)) == 3
    await site.sessions.revoke(7)
    assert [(await site.get("/read", cookie))[0] for cookie in cookies] == ["None "] * 3
    assert await site.sessions.of(7) == []


class Unanswering(MemoryStore):
    """A store whose next answer to a write is lost."""

    loses = False

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Any:
        answer = await super().update(key, version, write, move_to=move_to)
        if self.loses:
            self.loses = False
            raise StoreUnavailableError("lost")
        return answer


async def test_a_write_that_was_not_answered_is_known_again() -> None:
    store = Unanswering()
    site = Site(store)
    _, cookie = await site.get("/login")
    async with site.app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        site.sessions.data.cart.append("tea")
        store.loses = True
        with pytest.raises(StoreUnavailableError):
            await site.sessions.save()
        site.sessions.data.cart.append("milk")
        assert await site.sessions.save()
    assert (await site.get("/read", cookie))[0] == "7 tea,milk"


async def test_a_change_cannot_be_merged_into_what_cannot_be_decrypted(store: SessionStore) -> None:
    site = Site(store)
    _, cookie = await site.get("/login")
    key, record = await the_record(site)
    async with site.app.test_request_context("/", headers={"Cookie": f"session={cookie}"}):
        site.sessions.data.cart.append("tea")
        await replaced(site, key, record.payload[:-1] + b"\0")
        with pytest.raises(SessionConflictError):
            await site.sessions.save()


async def test_encrypted_cookies_are_adopted_by_a_store(store: SessionStore) -> None:
    before = quart.Quart("before")
    before.config.update(SECRET_KEY=KEY, SESSION_ENCRYPTION="on")
    cookie = typed_quart.Sessions(Visitor, before).cookie_for(Visitor(7, ["tea"]))
    site = Site(store, SESSION_ADOPT_SIGNED_BEFORE=datetime.now(UTC) + timedelta(hours=1))
    page, adopted = await site.get("/read", cookie)
    assert page == "7 tea"
    assert adopted != cookie
    assert (await site.get("/read", adopted))[0] == "7 tea"
    assert (await Site(store).get("/read", cookie))[0] == "None "
    await site.get("/add/milk", adopted)
    for spelling in (cookie, cookie + "=", cookie.replace(".", "=.", 1)):  # once is enough, however it is spelled
        assert "milk" not in (await site.get("/read", spelling))[0]
        assert len(await site.sessions.of(7)) == 1


async def test_each_write_has_a_stamp_and_a_nonce_of_its_own(store: SessionStore, session_clock: ManualClock) -> None:
    site = Site(store)
    _, cookie = await site.get("/login")
    seen = set[tuple[bytes, bytes]]()
    for number in range(5):
        await site.get(f"/add/{number}", cookie)
        _, record = await the_record(site)
        *_, stamp, sealed = record.payload.split(b"\n", 3)
        assert int(stamp) == int(session_clock())
        seen.add((stamp, sealed[:12]))
        session_clock.forward(timedelta(days=1))
    assert len({stamp for stamp, _ in seen}) == len({nonce for _, nonce in seen}) == 5
