"""`save()` tells the truth, `reload()` brings what is there, and each loss is told once: in cookies and on a store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, TypedDict

import attrs
import msgspec
import pytest
from attrs import Factory, define
from quart import Quart, ResponseReturnValue, flash, stream_with_context, websocket
from quart import session as quart_session

from typed_sessions import Merge, SessionConflictError, Subject
from typed_sessions.quart import Sessions
from typed_sessions.stores import MemoryStore


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    visits: Annotated[int, Merge("add")] = 0
    step: Annotated[int, Merge("fail")] = 0


@attrs.frozen
class Frozen:
    visits: Annotated[int, Merge("add")] = 0


class Struct(msgspec.Struct):
    visits: Annotated[int, Merge("add")] = 0


class Keyed(TypedDict, total=False):
    visits: Annotated[int, Merge("add")]


class Site:
    """An application whose views are given by the test."""

    def __init__(self, store: MemoryStore | None, schema: Any = Visitor, **config: Any) -> None:
        self.app = Quart("site")
        self.app.config.update({"SECRET_KEY": "k" * 32, "PROPAGATE_EXCEPTIONS": True} | config)
        self.sessions = Sessions[Any](schema, self.app, store=store)
        self.do: Callable[[], Awaitable[ResponseReturnValue]]
        self.found: list[Any] = []

        @self.app.route("/")
        async def view() -> ResponseReturnValue:
            return await self.do()

        @self.app.websocket("/ws")
        async def ws() -> None:
            await websocket.accept()
            await self.do()

    async def get(self, do: Callable[[], Awaitable[ResponseReturnValue]], cookie: str = "") -> str:
        """Return the cookie that the browser has after a request."""
        former, self.do = getattr(self, "do", None), do
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        response = await self.app.test_client(use_cookies=False).get("/", headers=headers)
        await response.get_data()
        if former is not None:
            self.do = former
        for header in response.headers.getlist("Set-Cookie"):
            cookie = header.partition(";")[0].partition("=")[2]
        return cookie

    async def talk(self, do: Callable[[], Awaitable[ResponseReturnValue]], cookie: str) -> None:
        self.do = do
        async with self.app.test_client().websocket("/ws", headers={"Cookie": f"session={cookie}"}) as socket:
            with suppress(Exception):  # it has nothing to say
                await socket.receive()

    async def begin(self) -> str:
        async def begin() -> str:
            self.sessions.current["visits"] = 1
            return ""

        return await self.get(begin)

    async def act(self, cookie: str, act: Callable[[Any], object]) -> None:
        """Have another request of the visitor's do something."""

        async def do() -> str:
            act(self.sessions.current)
            return ""

        await self.get(do, cookie)


@pytest.fixture(params=["cookie", "store"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(MemoryStore() if request.param == "store" else None)


def is_on_store(site: Site) -> bool:
    return site.sessions._interface._store is not None


def losses(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "lost" in record.getMessage()]


async def test_before_the_response_a_save_is_kept(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async def view() -> str:
        site.found.append(await site.sessions.save())
        site.sessions.data.cart.append("tea")
        site.found.append(await site.sessions.save())
        return ""

    cookie = await site.get(view)
    await site.act(cookie, lambda session: site.found.append(session.data.cart))
    assert site.found == [True, True, ["tea"]]
    assert losses(caplog) == []


async def streamed(site: Site, then: Callable[[], Awaitable[None]]) -> ResponseReturnValue:
    @stream_with_context
    async def body() -> AsyncGenerator[str]:
        yield "first"
        await then()
        yield "last"

    bool(site.sessions.current)
    return body(), 200


async def in_stream(site: Site, cookie: str, then: Callable[[], Awaitable[None]]) -> None:
    async def view() -> ResponseReturnValue:
        return await streamed(site, then)

    await site.get(view, cookie)


async def in_websocket(site: Site, cookie: str, then: Callable[[], Awaitable[None]]) -> None:
    async def serve() -> str:
        await then()
        return ""

    await site.talk(serve, cookie)


async def in_task(site: Site, cookie: str, then: Callable[[], Awaitable[None]]) -> None:
    tasks: list[asyncio.Task[None]] = []
    answered = asyncio.Event()

    async def later() -> None:
        await answered.wait()
        await then()

    async def view() -> str:
        bool(site.sessions.current)
        tasks.append(asyncio.create_task(later()))
        return ""

    await site.get(view, cookie)
    answered.set()
    await asyncio.gather(*tasks)


LATE = {"stream": in_stream, "websocket": in_websocket, "task": in_task}


@pytest.mark.parametrize("place", LATE.values(), ids=LATE)
@pytest.mark.parametrize("by_key", [False, True], ids=["data", "key"])
async def test_after_the_response_a_save_says_whether_the_change_is_kept(
    site: Site, place: Any, by_key: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()

    async def late() -> None:
        site.found.append(await site.sessions.save())
        if by_key:
            site.sessions.current["visits"] = 7
        else:
            site.sessions.data.visits = 7
        site.found.append(await site.sessions.save())
        site.found.append(await site.sessions.save())

    await place(site, cookie, late)
    kept = is_on_store(site)
    assert site.found == [True, kept, kept]
    await site.act(cookie, lambda session: site.found.append(session["visits"]))
    assert site.found[-1] == (7 if kept else 1)
    if not kept:
        assert len(losses(caplog)) == 1


@pytest.mark.parametrize("place", LATE.values(), ids=LATE)
@pytest.mark.parametrize("changes", [False, True])
async def test_after_a_log_out_elsewhere_a_save_is_not_kept(
    place: Any, changes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(MemoryStore())
    cookie = await site.begin()

    async def late() -> None:
        bool(site.sessions.current)
        await site.act(cookie, lambda session: session.invalidate())
        if changes:
            site.sessions.data.visits += 1
        site.found += [await site.sessions.save() for _ in range(3)]
        site.found.append(await site.sessions.reload())

    await place(site, cookie, late)
    assert site.found == [False] * 4
    assert len(losses(caplog)) == 1


async def test_a_session_that_has_moved_is_neither_saved_nor_reloaded(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(MemoryStore())
    cookie = await site.begin()

    async def late() -> None:
        site.sessions.data.visits = 7
        await site.act(cookie, lambda session: session.regenerate())
        site.found += [await site.sessions.reload(), site.sessions.data.visits, await site.sessions.save()]

    await in_websocket(site, cookie, late)
    assert site.found == [False, 7, False]
    assert len(losses(caplog)) == 1


@pytest.mark.parametrize("place", LATE.values(), ids=LATE)
async def test_a_reload_brings_what_others_have_saved_and_keeps_what_was_not(place: Any) -> None:
    site = Site(MemoryStore())
    cookie = await site.begin()

    async def late() -> None:
        data = site.sessions.data
        data.cart.append("mine")
        data.visits += 1
        await site.act(cookie, lambda session: session.update(visits=5, locale="de"))
        site.found.append(await site.sessions.reload())
        site.found += [site.sessions.data is data, data.visits, data.cart, site.sessions.current["locale"]]
        site.found.append(await site.sessions.save())

    await place(site, cookie, late)
    assert site.found == [True, True, 6, ["mine"], "de", True]
    await site.act(cookie, lambda session: site.found.append(session.copy()))
    assert site.found[-1] == {"visits": 6, "cart": ["mine"], "locale": "de"}


@pytest.mark.parametrize("schema", [Visitor, Frozen, Struct, Keyed, None])
async def test_every_kind_of_schema_reloads(schema: Any) -> None:
    site = Site(MemoryStore(), schema)
    cookie = await site.begin()

    async def late() -> None:
        data = site.sessions.data
        await site.act(cookie, lambda session: session.__setitem__("visits", 5))
        assert await site.sessions.reload()
        site.found += [site.sessions.current["visits"], site.sessions.current.modified]
        site.found.append(schema is Frozen or site.sessions.data is data)

    await in_websocket(site, cookie, late)
    assert site.found == [5, False, True]


async def test_a_conflict_leaves_everything_as_it_was() -> None:
    site = Site(MemoryStore())
    cookie = await site.begin()

    async def late() -> None:
        site.sessions.data.step, site.sessions.data.visits = 3, 2
        await site.act(cookie, lambda session: session.update(step=4, visits=9))
        with pytest.raises(SessionConflictError):
            await site.sessions.reload()
        site.found.append(site.sessions.current.copy())
        site.sessions.data.step = 0  # or the save at the end meets the same conflict

    await in_websocket(site, cookie, late)
    assert site.found == [{"visits": 2, "step": 3}]


async def test_a_cookie_reloads_until_it_expires() -> None:
    now = [1_790_000_000.0]
    site = Site(None)
    site.sessions._interface._clock = lambda: now[0]
    cookie = await site.begin()

    async def late() -> None:
        site.found += [await site.sessions.reload(), await site.sessions.save()]
        now[0] += 32 * 86_400
        site.found += [await site.sessions.reload(), await site.sessions.save()]

    await in_websocket(site, cookie, late)
    assert site.found == [True, True, False, False]


@pytest.mark.parametrize("reads", [False, True])
async def test_a_task_that_only_reads_warns_of_nothing(
    site: Site, reads: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()
    tasks: list[asyncio.Task[None]] = []
    answered = asyncio.Event()

    async def later() -> None:
        await answered.wait()
        site.found.append(site.sessions.data.visits)

    async def view() -> str:
        if reads:
            bool(site.sessions.current)
        tasks.append(asyncio.create_task(later()))
        return ""

    await site.get(view, cookie)
    answered.set()
    await asyncio.gather(*tasks)
    assert (site.found, caplog.records) == ([1], [])


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("used_before", [False, True])
async def test_a_change_in_a_teardown_is_told_once(
    site: Site, change: bool, used_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()
    tears = [True]

    @site.app.teardown_request
    async def teardown(_error: BaseException | None) -> None:
        if tears.pop() if tears else False:
            data = site.sessions.data
            if change:
                data.cart.append("late")

    async def view() -> str:
        if used_before:
            site.sessions.data.visits += 1
        return ""

    await site.get(view, cookie)
    assert len(losses(caplog)) == change
    if not change:
        assert caplog.records == []


async def test_a_refresh_of_an_untouched_session_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    now = [1_790_000_000.0]
    site = Site(MemoryStore(clock=lambda: now[0]))

    async def stay() -> str:
        site.sessions.current.permanent = True
        return ""

    async def nothing() -> str:
        return ""

    cookie = await site.get(stay)
    now[0] += 20 * 86_400
    await site.get(nothing, cookie)
    assert caplog.records == []


async def test_a_message_under_plain_json_is_nobodys_to_declare(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.app.config["SESSION_SERIALIZER"] = json

    async def view() -> str:
        await flash("Hello", "greeting")
        quart_session["pair"] = (1, 2)
        return ""

    await site.get(view)
    assert "_flashes" not in caplog.text
    assert "'pair' will read back as another value; declare a field" in caplog.text
