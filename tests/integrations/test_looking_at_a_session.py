"""What copies, shows or pickles a session: none of it leaks what is in the cookie, or changes the session."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, TypedDict

import msgspec
import pytest
from attrs import Factory, define
from pydantic import BaseModel
from quart import Quart, Response, websocket
from quart import session as quart_session
from typing_extensions import override

from typed_sessions import NullSession, SecureCookieSession, StoreUnavailableError
from typed_sessions.core.session import session_from, state_of
from typed_sessions.core.state import Binding
from typed_sessions.quart import Sessions
from typed_sessions.stores import Found, MemoryStore

SECRET = "a secret key that is long enough"


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@define(frozen=True)
class FrozenVisitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])


@dataclass
class DataVisitor:
    user_id: int | None = None
    cart: list[str] = dataclass_field(default_factory=list[str])


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[str] = []


class ModelVisitor(BaseModel):
    user_id: int | None = None
    cart: list[str] = []


class KeyedVisitor(TypedDict, total=False):
    user_id: int | None
    cart: list[str]


def made() -> Visitor:
    return Visitor(cart=["made"])


SCHEMAS: dict[str, Any] = {
    "attrs": Visitor,
    "frozen": FrozenVisitor,
    "dataclass": DataVisitor,
    "struct": StructVisitor,
    "model": ModelVisitor,
    "typeddict": KeyedVisitor,
    "function": made,
    "no-schema": None,
}
COPIES: dict[str, Callable[[Any], Any]] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
cookies_and_stores = pytest.mark.parametrize("store", [None, "memory://"], ids=["cookie", "store"])

STORED: dict[str, Any] = {"user_id": 7, "cart": ["a"], "_flashes": [["message", "hi"]]}


async def looked_at(
    look: Callable[[Any], object], *, schema: Any = Visitor, store: str | MemoryStore | None = None, **config: Any
) -> tuple[Response, str, str]:
    """Return the response and the page of a view that looks at a session, and what is stored after it."""
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, **config)
    sessions: Sessions[Any] = Sessions(schema, app, store=store)

    @app.get("/begin")
    async def begin() -> str:
        sessions.current.update(STORED)
        return ""

    @app.get("/look")
    async def page() -> str:
        return str(look(quart_session))

    @app.get("/after")
    async def after() -> str:
        return str(dict(quart_session))

    client = app.test_client()
    await client.get("/begin")
    response: Any = await client.get("/look")
    text = await response.get_data(as_text=True)
    return response, text, await (await client.get("/after")).get_data(as_text=True)


@cookies_and_stores
@every_schema
@every_copy
async def test_a_copy_is_an_access_and_a_session_of_its_own(
    copied: Callable[[Any], Any], schema: Any, store: str | None
) -> None:
    def look(session: Any) -> object:
        other = copied(session)
        assert type(other) is SecureCookieSession
        shown = dict(other)
        other.update(user_id=8, more=1)
        other.data  # noqa: B018 -- of its own
        other.invalidate()
        assert not dict(other)
        return shown

    response, text, after = await looked_at(look, schema=schema, store=store)
    assert response.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in response.headers
    assert (text, after) == (str(STORED), str(STORED))


@every_schema
@every_copy
def test_a_copy_shares_neither_data_nor_flags(copied: Callable[[Any], Any], schema: Any) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession(STORED, schema=schema)
    other = copied(session)
    assert other == session == STORED
    assert other.data is not session.data
    assert type(other.data) is type(session.data)
    assert (other["cart"] is session["cart"]) is (copied is copy.copy)
    assert (other["_flashes"] is session["_flashes"]) is (copied is copy.copy)
    assert (other.modified, session.modified) == (False, False)
    other["user_id"] = 8
    other.modified = True
    session["more"] = 1
    session.modified = False
    assert (other.modified, session.modified) == (True, False)
    assert (dict(other), dict(session)) == ({**STORED, "user_id": 8}, {**STORED, "more": 1})
    session.regenerate()
    assert state_of(session).wants_writing
    other.modified = False
    assert not state_of(other).wants_writing


@cookies_and_stores
@every_schema
@every_copy
@pytest.mark.parametrize("key", ["cart", "_flashes"])
async def test_what_is_changed_in_a_value_is_saved_where_the_copy_shares_it(
    copied: Callable[[Any], Any], schema: Any, store: str | None, key: str
) -> None:
    _, _, after = await looked_at(lambda session: copied(session)[key].append("b"), schema=schema, store=store)
    shared: list[object] = ["b"] if copied is copy.copy else []
    assert after == str({**STORED, key: [*STORED[key], *shared]})


@every_copy
def test_a_copy_keeps_what_a_subclass_has_added(copied: Callable[[Any], Any]) -> None:
    class Tenanted(SecureCookieSession[Visitor]):
        def __init__(self, tenant: list[str]) -> None:
            super().__init__({"user_id": 7}, schema=Visitor)
            self.tenant = tenant
            self.me = self

    session = Tenanted(["shop"])
    other = copied(session)
    assert (type(other), other.tenant, dict(other)) == (Tenanted, ["shop"], {"user_id": 7})
    assert (other.tenant is session.tenant) is (copied is copy.copy)
    assert other.me is (session if copied is copy.copy else other)


@every_copy
def test_a_null_session_is_copied_as_one(copied: Callable[[Any], Any]) -> None:
    session = NullSession(schema=Visitor)
    other = copied(session)
    assert type(other) is NullSession
    assert session.accessed
    assert dict(other) == {}
    with pytest.raises(RuntimeError, match="SECRET_KEY"):
        other["user_id"] = 7


@every_copy
async def test_a_copy_that_is_changed_after_the_response_is_no_lost_change(
    copied: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    kept = list[Any]()
    await looked_at(lambda session: kept.append(copied(session)))
    caplog.clear()
    kept[0]["user_id"] = 9
    kept[0].data.cart.append("late")
    assert not caplog.records


@cookies_and_stores
async def test_a_session_of_a_websocket_is_copied(store: str | None) -> None:
    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSION_STORE=store)
    sessions = Sessions(Visitor, app)

    @app.websocket("/ws")
    async def served() -> None:
        other = copy.deepcopy(sessions.current)
        other["user_id"] = 8
        await websocket.send(str((dict(other), dict(sessions.current))))

    async with app.test_client().websocket("/ws") as socket:
        assert await socket.receive() == str(({"user_id": 8}, {}))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "session",
    [
        pytest.param(SecureCookieSession({"user_id": 7}, schema=Visitor), id="opened"),
        pytest.param(SecureCookieSession(schema=Visitor), id="unopened"),
        pytest.param(NullSession(), id="null"),
        pytest.param(SecureCookieSession({"user_id": 7}, schema=Visitor).extras, id="extras"),
    ],
)
def test_a_session_is_not_pickled_and_says_what_to_pickle(session: object, protocol: int) -> None:
    with pytest.raises(TypeError, match=r"session\.copy\(\)"):
        pickle.dumps(session, protocol)


SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda session: f"{session}",
    "extras": lambda session: repr(session.extras),
}
every_show = pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)


@cookies_and_stores
@pytest.mark.parametrize("refresh_after", [0, 3600], ids=["opened-for-a-refresh", "unopened"])
@every_schema
@every_show
async def test_to_show_a_session_is_no_use(
    show: Callable[[Any], str], schema: Any, store: str | None, refresh_after: int
) -> None:
    config: dict[str, Any] = {"SESSION_REFRESH_AFTER": refresh_after}
    response, text, _ = await looked_at(show, schema=schema, store=store, **config)
    assert "Vary" not in response.headers
    assert text in ("<SecureCookieSession, not opened>", "<Extras, not opened>")


@every_schema
@every_show
def test_a_session_that_was_opened_and_not_used_shows_nothing(show: Callable[[Any], str], schema: Any) -> None:
    session = cookie_session(schema)
    state_of(session).open()
    assert "not opened" in show(session)
    assert not session.accessed


def cookie_session(schema: Any) -> SecureCookieSession[Any]:
    """Return a session as a request with a cookie has it."""
    held: SecureCookieSession[Any] = SecureCookieSession(STORED, schema=schema)
    return session_from(Binding(state_of(held).open, sealed=("a cookie",)), SecureCookieSession[Any])


@every_schema
def test_a_session_that_was_used_shows_what_is_stored(schema: Any) -> None:
    session = cookie_session(schema)
    assert session["user_id"] == 7
    assert repr(session) == f"<SecureCookieSession {STORED}>"
    extras = {} if schema is None else {"_flashes": STORED["_flashes"]}
    assert repr(session.extras) == f"<Extras {extras}>"


def test_to_show_a_session_leaves_its_explicit_defaults_alone() -> None:
    session = SecureCookieSession({"user_id": None, "cart": []}, schema=Visitor)
    session.data.user_id = 7
    assert repr(session) == "<SecureCookieSession {'user_id': 7, 'cart': []}>"
    session.data.user_id = None
    assert dict(session) == {"user_id": None, "cart": []}


def test_a_null_session_shows_that_it_is_empty() -> None:
    session = NullSession(schema=Visitor)
    assert (repr(session), repr(session.extras)) == ("<NullSession {}>", "<Extras {}>")
    assert not session.accessed


class Down(MemoryStore):
    """A store that does not answer once it is down."""

    is_down = False

    @override
    async def load(self, key: str) -> Found:
        if self.is_down:
            raise StoreUnavailableError("no answer")
        return await super().load(key)


@every_show
async def test_a_session_whose_store_has_failed_is_shown_all_the_same(show: Callable[[Any], str]) -> None:
    store = Down()

    app = Quart(__name__)
    app.config.update(SECRET_KEY=SECRET)
    sessions = Sessions(Visitor, app, store=store)

    @app.get("/begin")
    async def begin() -> str:
        sessions.data.user_id = 7
        return ""

    @app.get("/")
    async def page() -> str:
        with pytest.raises(StoreUnavailableError):
            sessions.data  # noqa: B018 -- a use
        return show(quart_session)

    client = app.test_client()
    await client.get("/begin")
    store.is_down = True
    assert "not opened" in await (await client.get("/")).get_data(as_text=True)


USES: dict[str, Callable[[Any], object]] = {
    "bool": bool,
    "in": lambda session: "user_id" in session,
    "eq": lambda session: session == {},
    "ne": lambda session: session != {},
    "or": lambda session: session | {},
    "ror": lambda session: {} | session,
    "keys": lambda session: list(session.keys()),
    "copy": lambda session: session.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "extras-in": lambda session: "_flashes" in session.extras,
    "extras-declared": lambda session: "user_id" in session.extras,
    "extras-get": lambda session: session.extras.get("user_id"),
    "extras-len": lambda session: len(session.extras),
    "extras-bool": lambda session: bool(session.extras),
    "extras-iter": lambda session: list(session.extras),
    "extras-eq": lambda session: session.extras == {},
    "extras-deepcopy": lambda session: copy.deepcopy(session.extras),
}


@pytest.mark.parametrize("schema", [Visitor, KeyedVisitor, None], ids=["class", "typeddict", "no-schema"])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_whatever_depends_on_the_contents_is_a_use(use: Callable[[Any], object], schema: Any) -> None:
    session = cookie_session(schema)
    assert not session.accessed
    use(session)
    assert session.accessed


def test_the_extras_of_a_session_alone_are_no_use() -> None:
    session = cookie_session(Visitor)
    assert session.extras is not None
    assert not session.accessed


def test_what_came_with_the_request_is_not_among_the_names_of_a_session() -> None:
    assert not hasattr(cookie_session(Visitor), "sealed")
