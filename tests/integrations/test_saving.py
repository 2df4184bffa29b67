"""`save()` tells the truth, and `reload()` brings what is there: in requests, tasks, streams, websockets, teardowns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict, cast
from uuid import uuid4

import attrs
import msgspec
import pytest
from attrs import Factory, define
from pydantic import BaseModel
from quart import Quart, ResponseReturnValue, abort, stream_with_context, websocket
from typing_extensions import override

from typed_sessions import (
    Merge,
    SecureCookieSession,
    SerializationError,
    SessionConflictError,
    StoreUnavailableError,
    Subject,
)
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore
from typed_sessions.stores.base import Found, SessionStore


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    visits: Annotated[int, Merge("add")] = 0
    step: Annotated[int, Merge("fail")] = 0


View = Callable[[], Awaitable[ResponseReturnValue]]
Step = Callable[[], Awaitable[None]]


class Site:
    """An application whose views are given by the test."""

    def __init__(self, store: str | SessionStore | None = None, schema: Any = Visitor, **config: Any) -> None:
        self.app = Quart("site")
        self.app.config.update({"SECRET_KEY": "k" * 32} | config)
        self.sessions = Sessions[Any](schema, self.app, store=store)
        self.on_store = store is not None
        self.found: list[Any] = []
        """What the test was told in there."""
        self.views: list[View] = []

        @self.app.route("/<int:number>")
        async def view(number: int) -> ResponseReturnValue:
            return await self.views[number]()

        @self.app.websocket("/<int:number>")
        async def serve(number: int) -> None:
            await self.views[number]()

    def path_of(self, view: View) -> str:
        self.views.append(view)
        return f"/{len(self.views) - 1}"

    async def get(self, view: View, cookie: str = "") -> str:
        """Return the cookie that the browser has after a request."""
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = await self.app.test_client(use_cookies=False).get(self.path_of(view), headers=headers)
        await response.get_data()
        for header in response.headers.getlist("Set-Cookie"):
            cookie = header.partition(";")[0].partition("=")[2]
        return cookie

    async def act(self, cookie: str, act: Callable[[Any], object]) -> str:
        """Have a request of the visitor's do something to the session."""

        async def view() -> str:
            act(self.sessions.current)
            return ""

        return await self.get(view, cookie)

    async def begin(self) -> str:
        return await self.act("", lambda session: session.update(visits=1))

    async def held(self, cookie: str) -> dict[str, object]:
        """Return what a session holds in a request of its own."""
        held: dict[str, object] = {}
        await self.act(cookie, held.update)
        return held

    async def saves(self) -> None:
        self.found.append(await self.sessions.save())


@pytest.fixture(params=["cookie", "memory", "sqlite", "redis", "postgresql"])
async def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose sessions are in cookies, or on one of the stores."""
    store: str | None = None
    match request.param:
        case "memory":
            store = "memory://"
        case "sqlite":
            store = f"sqlite:///{tmp_path}/sessions.db"
        case "redis":
            store = request.getfixturevalue("redis_url")
        case "postgresql":
            url, table = (request.getfixturevalue(f"postgresql_{each}") for each in ("url", "table"))
            store = f"{url}{'&' if '?' in url else '?'}table={table}"
        case _:
            pass
    site = Site(store, **({} if store is None else {"SESSION_NAMESPACE": uuid4().hex}))
    yield site
    await site.sessions._interface.close()


@pytest.fixture(params=["cookie", "store"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(MemoryStore() if request.param == "store" else None)


@pytest.fixture
def stored() -> Site:
    return Site(MemoryStore())


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "typed_sessions"]


async def in_stream(site: Site, cookie: str, late: Step) -> str:
    async def view() -> ResponseReturnValue:
        @stream_with_context
        async def body() -> AsyncGenerator[str]:
            yield "first"
            await late()
            yield "last"

        bool(site.sessions.current)
        return body(), 200

    return await site.get(view, cookie)


async def in_websocket(site: Site, cookie: str, late: Step) -> str:
    async def serve() -> str:
        await websocket.accept()
        await late()
        return ""

    headers = {"Cookie": f"session={cookie}"} if cookie else {}
    async with site.app.test_client().websocket(site.path_of(serve), headers=headers) as socket:
        with suppress(Exception):  # it has nothing to say
            await socket.receive()
    return cookie


async def in_task(site: Site, cookie: str, late: Step) -> str:
    answered = asyncio.Event()

    async def later() -> None:
        await answered.wait()
        await late()

    async def view() -> str:
        bool(site.sessions.current)
        site.app.add_background_task(later)
        return ""

    cookie = await site.get(view, cookie)
    answered.set()
    await asyncio.gather(*site.app.background_tasks)
    return cookie


async def in_teardown(site: Site, cookie: str, late: Step) -> str:
    calls = [late]

    async def teardown(_error: BaseException | None) -> None:
        while calls:
            await calls.pop()()

    site.app.teardown_request_funcs[None].append(teardown)

    async def view() -> str:
        bool(site.sessions.current)
        return ""

    return await site.get(view, cookie)


LATE: Final = {"stream": in_stream, "websocket": in_websocket, "task": in_task, "teardown": in_teardown}
late_places = pytest.mark.parametrize("place", LATE.values(), ids=LATE)


def by_key(session: Any) -> None:
    session["visits"] = 7


def by_attribute(session: Any) -> None:
    session.data.visits = 7


def in_place(session: Any) -> None:
    session.data.cart.append("tea")


CHANGES: Final = pytest.mark.parametrize("change", [by_key, by_attribute, in_place])


# save


@CHANGES
async def test_before_the_response_a_save_is_kept(
    anywhere: Site, change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site = anywhere

    async def view() -> str:
        await site.saves()
        change(site.sessions.current)
        await site.saves()
        site.found.append(dict(site.sessions.current))
        return ""

    cookie = await site.get(view)
    assert site.found[:2] == [True, True]
    assert await site.held(cookie) == site.found[2]
    assert said(caplog) == []


@late_places
@CHANGES
async def test_after_the_response_a_save_says_whether_the_change_is_kept(
    site: Site, place: Any, change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()

    async def late() -> None:
        await site.saves()
        change(site.sessions.current)
        await site.saves()
        await site.saves()
        site.found.append(dict(site.sessions.current))

    cookie = await place(site, cookie, late)
    kept = site.on_store
    assert site.found[:3] == [True, kept, kept]
    assert await site.held(cookie) == (site.found[3] if kept else {"visits": 1})
    if not kept:
        assert len(said(caplog)) == 1


async def test_every_store_keeps_what_a_stream_saves(anywhere: Site, caplog: pytest.LogCaptureFixture) -> None:
    site = anywhere
    cookie = await site.begin()

    async def late() -> None:
        site.sessions.data.visits += 1
        await site.saves()
        await site.act(cookie, lambda session: session.invalidate())
        await site.saves()

    await in_stream(site, cookie, late)
    assert site.found == [site.on_store, False]
    assert len(said(caplog)) == 1


@late_places
async def test_a_new_session_without_a_response_is_lost(
    site: Site, place: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def late() -> None:
        await site.saves()
        site.sessions.data.visits = 7
        await site.saves()
        await site.saves()

    await place(site, "", late)
    assert site.found == [True, False, False]
    assert len(said(caplog)) == 1


@late_places
@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("act", [lambda s: s.invalidate(), lambda s: s.promote(user_id=7), lambda s: s.regenerate()])
async def test_a_session_that_has_ended_or_moved_elsewhere_is_not_kept(
    stored: Site, place: Any, changes: bool, act: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        bool(stored.sessions.current)
        await stored.act(cookie, act)
        if changes:
            stored.sessions.data.visits = 7
        await stored.saves()
        await stored.saves()
        stored.found += [await stored.sessions.reload(), stored.sessions.data.visits]
        await stored.saves()

    await place(stored, cookie, late)
    assert stored.found == [False, False, False, 7 if changes else 1, False]
    assert len(said(caplog)) == 1


async def test_a_log_out_is_noticed_when_a_refresh_is_due(stored: Site, caplog: pytest.LogCaptureFixture) -> None:
    stored.app.config["SESSION_REFRESH_AFTER"] = timedelta()
    cookie = await stored.begin()

    async def late() -> None:
        await stored.act(cookie, lambda session: session.invalidate())
        await stored.saves()

    await in_websocket(stored, cookie, late)
    assert stored.found == [False]
    assert len(said(caplog)) == 1


async def test_what_a_view_has_saved_is_true_in_its_stream(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever became of the cookie: written, deleted, or left alone after a login that changed nothing."""

    async def stream(act: Callable[[Any], object]) -> ResponseReturnValue:
        act(site.sessions.current)

        @stream_with_context
        async def body() -> AsyncGenerator[str]:
            await site.saves()
            yield ""

        return body(), 200

    cookie = await site.get(lambda: stream(lambda session: session.promote(user_id=7)))
    cookie = await site.get(lambda: stream(lambda session: session.promote(user_id=7)), cookie)
    await site.get(lambda: stream(lambda session: session.invalidate()))
    await site.get(lambda: stream(lambda session: session.invalidate()), cookie)
    assert site.found == [True] * 4
    assert said(caplog) == []


async def test_a_cookie_is_kept_until_it_expires() -> None:
    now = [1_790_000_000.0]
    site = Site()
    site.sessions._interface._applications.clock = lambda: now[0]
    cookie = await site.begin()

    async def late() -> None:
        await site.saves()
        site.found.append(await site.sessions.reload())
        now[0] += 32 * 86_400
        await site.saves()
        site.found.append(await site.sessions.reload())

    await in_websocket(site, cookie, late)
    assert site.found == [True, True, False, False]


async def test_a_cookie_that_was_written_anew_is_the_one_that_counts() -> None:
    now = [1_790_000_000.0]
    site = Site()
    site.sessions._interface._applications.clock = lambda: now[0]
    cookie = await site.begin()
    now[0] += 20 * 86_400

    async def view() -> ResponseReturnValue:
        site.sessions.data.visits = 7

        @stream_with_context
        async def body() -> AsyncGenerator[str]:
            now[0] += 20 * 86_400  # the first cookie has expired
            await site.saves()
            site.found.append(await site.sessions.reload())
            yield ""

        return body(), 200

    await site.get(view, cookie)
    assert site.found == [True, True]


async def test_what_is_kept_from_being_written_is_not_kept(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    cookie = await site.begin()

    async def view() -> str:
        site.sessions.data.visits = 7
        site.sessions.current.modified = False
        await site.saves()
        return ""

    await site.get(view, cookie)
    assert site.found == [False]
    assert len(said(caplog)) == 1
    assert await site.held(cookie) == {"visits": 1}


async def test_a_session_that_could_not_be_saved_is_not_kept_by_the_error_page(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Its cookie is not tried again; a store is asked, and answers."""

    @site.app.errorhandler(500)
    async def sorry(_error: Exception) -> str:
        del site.sessions.current["odd"]
        await site.saves()
        return "sorry"

    async def view() -> str:
        site.sessions.data.visits = 7
        site.sessions.current["odd"] = object()
        if not site.on_store:
            await site.saves()
        return ""

    cookie = await site.begin()
    await site.get(view, cookie)
    assert site.found == ([True] if site.on_store else [True, False])
    assert await site.held(cookie) == {"visits": 7 if site.on_store else 1}
    assert len(said(caplog)) == 1


async def test_a_later_failure_of_a_cookie_raises() -> None:
    site = Site(PROPAGATE_EXCEPTIONS=True)

    async def view() -> str:
        site.sessions.current["odd"] = object()
        await site.saves()
        return ""

    with pytest.raises(SerializationError):
        await site.get(view)
    assert site.found == [True]


@pytest.mark.parametrize("rejects", [False, True])
async def test_a_websocket_has_a_response_only_if_it_is_refused(
    site: Site, rejects: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()

    async def serve() -> ResponseReturnValue:
        site.sessions.data.visits = 7
        await site.saves()
        if rejects:
            abort(403)
        await websocket.accept()
        await site.saves()
        return ""

    async with site.app.test_client().websocket(site.path_of(serve), headers={"Cookie": f"session={cookie}"}) as socket:
        with suppress(Exception):
            await socket.receive()
    assert site.found == [site.on_store] * (1 if rejects else 2)
    assert len(said(caplog)) == (not site.on_store)


async def test_a_login_without_a_response_is_lost(stored: Site, caplog: pytest.LogCaptureFixture) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        stored.sessions.current.promote()
        await stored.saves()

    await in_websocket(stored, cookie, late)
    assert stored.found == [False]
    assert len(said(caplog)) == 1


class Unsteady(MemoryStore):
    """A store that does not answer when it is told so."""

    fails = False

    @override
    async def load(self, key: str) -> Found:
        if self.fails:
            raise StoreUnavailableError("away")
        return await super().load(key)


@pytest.mark.parametrize("policy", ["raise", "anonymous"])
async def test_a_save_that_cannot_find_out_says_so(policy: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Unsteady()
    site = Site(store, SESSION_ON_STORE_ERROR=policy)
    cookie = await site.begin()

    async def late() -> None:
        bool(site.sessions.current)
        store.fails = True
        try:
            await site.saves()
        except StoreUnavailableError:
            site.found.append("raised")
        with pytest.raises(StoreUnavailableError):
            await site.sessions.reload()
        store.fails = False
        site.found.append(await site.sessions.reload())

    await in_websocket(site, cookie, late)
    assert site.found == (["raised", True] if policy == "raise" else [False, True])
    assert len(said(caplog)) == (policy != "raise")


async def test_a_session_that_was_not_found_out_about_is_not_said_to_be_kept() -> None:
    store = Unsteady()
    site = Site(store)
    cookie = await site.begin()
    store.fails = True

    async def view() -> str:
        with pytest.raises(StoreUnavailableError):
            await site.sessions.save()
        site.found.append("raised")
        return ""

    await site.get(view, cookie)
    assert site.found == ["raised"]


# reload


@pytest.mark.parametrize("place", [*LATE.values(), None], ids=[*LATE, "view"])
async def test_a_reload_brings_what_others_have_saved_and_keeps_what_was_not(stored: Site, place: Any) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        data = stored.sessions.data
        data.cart.append("mine")
        data.visits += 1
        await stored.act(cookie, lambda session: session.update(visits=5, locale="de"))
        stored.found.append(await stored.sessions.reload())
        stored.found += [stored.sessions.data is data, data.visits, data.cart, stored.sessions.current["locale"]]
        await stored.saves()

    async def view() -> str:
        await late()
        return ""

    await (stored.get(view, cookie) if place is None else place(stored, cookie, late))
    assert stored.found == [True, True, 6, ["mine"], "de", True]
    assert await stored.held(cookie) == {"visits": 6, "cart": ["mine"], "locale": "de"}


async def test_every_store_reloads(anywhere: Site) -> None:
    site = anywhere
    cookie = await site.begin()

    async def late() -> None:
        data = site.sessions.data
        await site.act(cookie, lambda session: session.update(visits=5, cart=["tea"]))
        site.found += [await site.sessions.reload(), data.visits, data.cart]
        await site.act(cookie, lambda session: session.invalidate())
        site.found += [await site.sessions.reload(), data.visits]

    await in_websocket(site, cookie, late)
    assert site.found == ([True, 5, ["tea"], False, 5] if site.on_store else [True, 1, [], True, 1])


@attrs.frozen
class Frozen:
    visits: Annotated[int, Merge("add")] = 0
    cart: tuple[str, ...] = ()


@dataclass
class Data:
    visits: Annotated[int, Merge("add")] = 0
    cart: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FrozenData:
    visits: Annotated[int, Merge("add")] = 0
    cart: tuple[str, ...] = ()


class Struct(msgspec.Struct):
    visits: Annotated[int, Merge("add")] = 0
    cart: list[str] = []


class FrozenStruct(msgspec.Struct, frozen=True):
    visits: Annotated[int, Merge("add")] = 0
    cart: tuple[str, ...] = ()


class Model(BaseModel):
    visits: Annotated[int, Merge("add")] = 0
    cart: list[str] = []


class FrozenModel(BaseModel, frozen=True):
    visits: Annotated[int, Merge("add")] = 0
    cart: tuple[str, ...] = ()


class Keyed(TypedDict, total=False):
    visits: Annotated[int, Merge("add")]
    cart: list[str]


@define
class Bounded:
    """The class looks at two fields together."""

    visits: Annotated[int, Merge("add")] = 0
    most: int = attrs.field(default=10)
    cart: list[str] = Factory(list[str])

    @most.validator
    def _check(self, _attribute: object, most: int) -> None:
        if self.visits > most:
            raise ValueError("too many")


def made() -> Visitor:
    return Visitor(step=0)


KINDS: Final = [Visitor, Frozen, Data, FrozenData, Struct, FrozenStruct, Model, FrozenModel, Keyed, made, Bounded, None]


@pytest.mark.parametrize("schema", KINDS)
@pytest.mark.parametrize("serializer", ["tagged-json", "msgspec-json", "msgspec-msgpack"])
async def test_every_kind_of_schema_reloads(schema: Any, serializer: str) -> None:
    site = Site(MemoryStore(), schema, SESSION_SERIALIZER=serializer)
    cookie = await site.act("", lambda session: session.update(visits=1, left=1))
    frozen = schema in (Frozen, FrozenData, FrozenStruct, FrozenModel)

    def elsewhere(session: Any) -> None:
        session["visits"] = 5
        session["cart"] = ("tea",) if frozen else ["tea"]
        session["came"] = [1]
        del session["left"]

    async def late() -> None:
        data, session = site.sessions.data, site.sessions.current
        session["visits"] = 2
        await site.act(cookie, elsewhere)
        expected = {"visits": 6 if schema else 2, "cart": ("tea",) if frozen else ["tea"], "came": [1]}
        assert await site.sessions.reload()
        assert dict(session) == expected
        assert (site.sessions.data is data) is not frozen
        assert [session.modified, await site.sessions.save(), session.modified] == [True, True, False]
        cast("list[int]", session["came"]).append(2)  # what came is watched, too
        assert [session.modified, await site.sessions.reload()] == [True, True]
        assert await site.sessions.save()
        site.found.append(dict(session) == {**expected, "came": [1, 2]})

    await in_websocket(site, cookie, late)
    assert site.found == [True]


async def test_a_reload_without_changes_leaves_nothing_to_save(stored: Site) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        session, cart = stored.sessions.current, stored.sessions.data.cart
        await stored.act(cookie, lambda session: session.update(visits=5, locale="de"))
        stored.found += [await stored.sessions.reload(), session.modified, stored.sessions.data.cart is cart]
        await stored.act(cookie, lambda session: session.pop("visits"))
        stored.found += [await stored.sessions.reload(), session.modified, dict(session), stored.sessions.data.visits]

    await in_websocket(stored, cookie, late)
    assert stored.found == [True, False, True, True, False, {"locale": "de"}, 0]


async def test_a_reload_brings_what_the_class_would_refuse_one_by_one() -> None:
    site = Site(MemoryStore(), Bounded)
    cookie = await site.begin()

    async def late() -> None:
        bool(site.sessions.current)
        await site.act(cookie, lambda session: session.update(most=30, visits=20))
        site.found += [await site.sessions.reload(), site.sessions.data.visits, site.sessions.data.most]

    await in_websocket(site, cookie, late)
    assert site.found == [True, 20, 30]


async def test_a_conflict_raises_and_changes_nothing(stored: Site, caplog: pytest.LogCaptureFixture) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        stored.sessions.data.step, stored.sessions.data.visits = 3, 2
        await stored.act(cookie, lambda session: session.update(step=4, visits=9, locale="de"))
        with pytest.raises(SessionConflictError):
            await stored.sessions.reload()
        stored.found += [dict(stored.sessions.current), stored.sessions.current.modified]
        stored.sessions.data.step = 0  # it gives way
        stored.found += [await stored.sessions.reload(), dict(stored.sessions.current)]

    await in_websocket(stored, cookie, late)
    together = {"visits": 10, "step": 4, "locale": "de"}
    assert stored.found == [{"visits": 2, "step": 3}, True, True, together]
    assert await stored.held(cookie) == together
    assert said(caplog) == []


async def test_what_the_class_refuses_of_two_requests_is_a_conflict() -> None:
    site = Site(MemoryStore(), Bounded)
    cookie = await site.act("", lambda session: session.update(visits=4))

    async def late() -> None:
        site.sessions.data.visits += 4
        await site.act(cookie, lambda session: session.update(visits=8))
        with pytest.raises(SessionConflictError):
            await site.sessions.reload()
        site.found += [dict(site.sessions.current)]
        site.sessions.data.visits = 4

    await in_websocket(site, cookie, late)
    assert site.found == [{"visits": 8}]


async def test_a_write_that_was_not_answered_is_not_counted_twice() -> None:
    class Silent(MemoryStore):
        answers = True

        @override
        async def update(self, *args: Any, **kwargs: Any) -> Any:
            outcome = await super().update(*args, **kwargs)
            if not self.answers:
                raise StoreUnavailableError("no answer")
            return outcome

    store = Silent()
    site = Site(store)
    cookie = await site.begin()

    async def late() -> None:
        site.sessions.data.visits += 1
        store.answers = False
        with pytest.raises(StoreUnavailableError):
            await site.sessions.save()
        store.answers = True
        site.found += [await site.sessions.reload(), dict(site.sessions.current), site.sessions.current.modified]

    await in_websocket(site, cookie, late)
    assert site.found == [True, {"visits": 2}, False]


async def test_a_session_that_was_cleared_takes_nothing_in(stored: Site) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        stored.sessions.current.clear()
        stored.sessions.data.cart.append("mine")
        await stored.act(cookie, lambda session: session.update(visits=5))
        stored.found += [await stored.sessions.reload(), dict(stored.sessions.current)]
        await stored.saves()

    await in_websocket(stored, cookie, late)
    assert stored.found == [True, {"cart": ["mine"]}, True]
    assert await stored.held(cookie) == {"cart": ["mine"]}


async def test_a_reload_says_nothing_of_a_change_again(stored: Site, caplog: pytest.LogCaptureFixture) -> None:
    cookie = await stored.begin()

    async def late() -> None:
        stored.sessions.current["step"] = 3
        await stored.act(cookie, lambda session: session.update(visits=5))
        await stored.sessions.reload()

    await in_stream(stored, cookie, late)
    assert len(said(caplog)) == 1


async def test_a_reload_is_a_use(stored: Site) -> None:
    async def view() -> str:
        await stored.sessions.reload()
        return ""

    response = await stored.app.test_client().get(stored.path_of(view))
    assert response.headers["Vary"] == "Cookie"


async def test_an_application_without_a_key_has_nothing_to_lose() -> None:
    site = Site()
    site.app.secret_key = None

    async def view() -> str:
        site.found += [await site.sessions.save(), await site.sessions.reload()]
        return ""

    await site.get(view)
    assert site.found == [True, True]


async def test_a_session_class_of_ones_own_tells_the_truth() -> None:
    class Own(SecureCookieSession[Visitor]):
        pass

    site = Site(MemoryStore())
    site.sessions._interface.session_class = Own
    cookie = await site.begin()

    async def late() -> None:
        site.sessions.data.visits = 7
        site.found += [await site.sessions.save(), await site.sessions.reload()]

    await in_stream(site, cookie, late)
    assert site.found == [True, True]
