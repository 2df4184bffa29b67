"""Sessions on the server where there is no event loop: each request in a thread that blocks, many at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event, local
from typing import Annotated, Any, Final

import pytest
from attrs import define, field
from typing_extensions import override

from tests.bare_framework import App, Request, Response
from tests.postgresql_servers import postgresql_schema
from typed_sessions import (
    Essential,
    Merge,
    SecureCookieSession,
    SecureCookieSessionInterface,
    StoreUnavailableError,
    Subject,
)
from typed_sessions.core.session import state_of
from typed_sessions.core.session_request import session_from
from typed_sessions.core.state import LoadResult
from typed_sessions.reports import log_report
from typed_sessions.server import THREAD, StoredContext
from typed_sessions.stores import (
    Found,
    MemoryStore,
    SessionStore,
    Updated,
    WriteRequest,
    open_store,
    time_left,
    with_table,
)

THREADS: Final = 8


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    visits: Annotated[int, Merge("add")] = 0


SETTINGS: Final = {"SESSION_NAMESPACE": "threads", "PERMANENT_SESSION_LIFETIME": timedelta(days=1)}


class Site:
    """An application without a framework."""

    def __init__(self, store: SessionStore | None = None, **config: Any) -> None:
        self.store = store or MemoryStore()
        self.app = App({**SETTINGS})
        self.app.config |= config
        self.interface = SecureCookieSessionInterface(Visitor, store=self.store)
        self.interface._applications.runtime = THREAD

    def answer(self, cookie: str | None, view: Callable[[SecureCookieSession[Visitor]], object]) -> str | None:
        """Handle a request in this thread, and return the cookie that the browser has then."""

        async def handled() -> str | None:
            request, response = Request({} if cookie is None else {"session": cookie}), Response()
            session = await self.interface.open_session(self.app, request)
            assert session is not None
            view(session)
            await self.interface.save_session(self.app, session, response)
            told = response.headers.get("Set-Cookie")
            return cookie if told is None else told.partition(";")[0].partition("=")[2] or None

        return THREAD.run(handled(), self.store)

    def visits(self, cookie: str | None) -> int:
        seen = list[int]()
        self.answer(cookie, lambda session: seen.append(session.data.visits))
        return seen[0]


def visit(session: SecureCookieSession[Visitor]) -> None:
    session.data.visits += 1


@pytest.fixture
def nervous_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], object], count: int = THREADS) -> list[object]:
    begin = Barrier(count)

    def run(number: int) -> object:
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.fixture(params=["memory", "sqlite", "redis", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionStore]:
    with ExitStack() as schemas:
        match request.param:
            case "memory":
                url = "memory://"
            case "sqlite":
                url = f"sqlite:///{tmp_path}/sessions.db"
            case "redis":
                url = request.getfixturevalue("redis_url")
            case _:
                server = request.getfixturevalue("postgresql_url")
                url = with_table(server, f"{schemas.enter_context(postgresql_schema(server))}.sessions")
        store = open_store(url, blocking=True)
        yield store
        THREAD.run(store.close(), store)


@pytest.mark.usefixtures("nervous_threads")
def test_threads_that_change_one_session_lose_nothing(store: SessionStore) -> None:
    site, rounds = Site(store, SESSION_STORE_TIMEOUT=timedelta(seconds=60)), 25
    cookie = site.answer(None, visit)
    in_threads(lambda _: [site.answer(cookie, visit) for _ in range(rounds)])
    assert site.visits(cookie) == 1 + THREADS * rounds


@pytest.mark.usefixtures("nervous_threads")
def test_threads_without_turns_lose_nothing(store: SessionStore) -> None:
    """As processes: each one has an interface of its own over the same store."""
    rounds = 10
    sites = [Site(store, SESSION_STORE_TIMEOUT=timedelta(seconds=60)) for _ in range(THREADS)]
    cookie = sites[0].answer(None, visit)
    in_threads(lambda number: [sites[number].answer(cookie, visit) for _ in range(rounds)])
    assert sites[0].visits(cookie) == 1 + THREADS * rounds


@pytest.mark.usefixtures("nervous_threads")
def test_of_threads_that_log_in_with_one_session_all_are_logged_in(store: SessionStore) -> None:
    site = Site(store)
    cookie = site.answer(None, visit)
    cookies = in_threads(lambda number: site.answer(cookie, lambda session: session.promote(user_id=number)))
    assert len(set(cookies)) == THREADS
    assert cookie not in cookies
    assert site.visits(cookie) == 0
    seen = list[int | None]()
    for each in cookies:
        site.answer(str(each), lambda session: seen.append(session.data.user_id))
    assert seen == list(range(THREADS))


@pytest.mark.usefixtures("nervous_threads")
def test_no_login_in_flight_in_another_thread_outlives_a_revocation(store: SessionStore) -> None:
    site = Site(store)
    server_side = site.interface.server_side(site.app)
    for _ in range(20):
        opened = Barrier(THREADS)

        def log_in(session: SecureCookieSession[Visitor], opened: Barrier = opened) -> None:
            session.promote(user_id=7)
            opened.wait()

        def work(number: int, opened: Barrier = opened, log_in: Any = log_in) -> object:
            if number:
                return site.answer(None, log_in)
            opened.wait()
            time.sleep(0.001)  # later than all of them have begun, by the clock, too
            return THREAD.run(server_side.revoke(7, server_side.new_deadline()), site.store)

        in_threads(work)
        assert THREAD.run(server_side.listed(7, server_side.new_deadline()), site.store) == []


class Doubt(local):
    """What the validator of `Doubtful` does in this thread."""

    meets: Barrier | None = None
    rejects = False


doubt = Doubt()


def validate(_instance: object, _attribute: object, value: int) -> None:
    meeting, doubt.meets = doubt.meets, None
    if meeting is not None:
        meeting.wait(5)  # would never come to its end if a thread that opens the session kept others from that
    if doubt.rejects and value:
        raise ValueError


@define
class Doubtful:
    visits: Annotated[int, Essential] = field(default=0, validator=validate)


@pytest.mark.parametrize("rejecting", [(), (0,), (1,), (0, 1)], ids=str)
def test_threads_that_touch_a_session_first_find_the_same(rejecting: tuple[int, ...]) -> None:
    """Also where the class refuses what is stored, in all of them or in some."""
    store, app = MemoryStore(), App({**SETTINGS})
    interface = SecureCookieSessionInterface(Doubtful, store=store)
    interface._applications.runtime = THREAD
    server_side, policy = interface.server_side(app), interface._applications.rules_of(app)

    async def stored() -> str:
        session = session_from(await server_side.open([], policy, log_report), interface.session_class)
        session.data.visits = 1
        context = state_of(session).source
        assert isinstance(context, StoredContext)
        await server_side.save(session, context, wanted=None, answers=True)
        assert context.located is not None
        return context.located.identifier.text

    context = THREAD.run(server_side.open([THREAD.run(stored(), store)], policy, log_report), store)
    key, meeting = context.key, Barrier(2)

    def touch(number: int) -> object:
        doubt.meets, doubt.rejects = meeting, number in rejecting
        return context.open()

    one, other = in_threads(touch, 2)
    assert one is other
    assert isinstance(one, LoadResult)
    assert (context.key, context.unreadable) == ((None, key) if one.new else (key, None))
    assert one.new == (len(rejecting) > 1) or len(rejecting) == 1


class Waiting(MemoryStore):
    """Says that it never waits for an event loop, and does, in one of its methods."""

    waits = ""

    @override
    async def load(self, key: str) -> Found:
        await self.wait("load")
        return await super().load(key)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        await self.wait("update")
        return await super().update(key, version, write, move_to=move_to)

    @override
    async def delete(self, key: str, *, version: int | None = None) -> bool:
        await self.wait("update")  # as the save that is broken off would have it, to tidy up
        return await super().delete(key, version=version)

    async def wait(self, method: str) -> None:
        if self.waits == method:
            await asyncio.sleep(0)


@pytest.mark.parametrize("method", ["load", "update"])
def test_a_store_that_waits_for_an_event_loop_is_named(method: str) -> None:
    store = Waiting()
    site = Site(store)
    cookie = site.answer(None, visit)
    store.waits = method
    with pytest.raises(RuntimeError, match="Waiting waits for an event loop"):
        site.answer(cookie, visit)
    assert time_left() is None
    store.waits = ""
    site.answer(cookie, visit)  # no lock is held, and no turn
    assert site.visits(cookie) == 2


class Blocking(MemoryStore):
    """Blocks until it may go on, for as long as it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.free = Event()
        self.free.set()

    def block(self) -> None:
        if not self.free.wait(time_left()):
            raise StoreUnavailableError("it blocks")

    @override
    async def load(self, key: str) -> Found:
        self.block()
        return await super().load(key)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        self.block()
        return await super().update(key, version, write, move_to=move_to)


def test_a_store_that_blocks_is_given_what_is_left_of_the_time() -> None:
    site = Site(Blocking(), SESSION_STORE_TIMEOUT=timedelta(milliseconds=100))
    cookie = site.answer(None, visit)
    assert isinstance(site.store, Blocking)
    site.store.free.clear()
    start = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        site.answer(cookie, visit)
    assert 0.1 <= time.monotonic() - start < 1
    site.store.free.set()
    assert site.visits(cookie) == 1
    assert time_left() is None


def test_a_thread_has_its_own_time() -> None:
    async def asks() -> tuple[float | None, object]:
        with ThreadPoolExecutor(1) as pool:
            return time_left(), pool.submit(time_left).result()

    left, elsewhere = THREAD.run(THREAD.within(60, asks()), None)
    assert left is not None
    assert 59 < left <= 60
    assert elsewhere is None


def test_a_lock_is_waited_for_no_longer_than_there_is_time() -> None:
    async def locks() -> None:
        lock = THREAD.lock()
        async with lock:
            await THREAD.within(0.01, lock.acquire())

    with pytest.raises(TimeoutError):
        THREAD.run(locks(), None)


def test_nothing_is_begun_when_there_is_no_time_left() -> None:
    async def late() -> None:
        pytest.fail("there was no time for this")

    work = late()
    with pytest.raises(TimeoutError):
        THREAD.run(THREAD.within(0, work), None)
    work.close()
