"""Sessions that are kept on the server, through a real Quart application."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict, cast

import pytest
from attrs import Factory, define
from quart import Quart, Response, got_request_exception, redirect, stream_with_context, websocket
from quart import session as quart_session
from typing_extensions import override
from werkzeug.datastructures import Headers

from typed_sessions import (
    ConfigurationError,
    FieldTypeError,
    Merge,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionConflictError,
    StoreUnavailableError,
    Subject,
    migration,
)
from typed_sessions.core.settings import read_settings
from typed_sessions.frameworks.interface import ConfiguredApp
from typed_sessions.quart import Sessions
from typed_sessions.server import EVENT_LOOP, THREAD, Runtime
from typed_sessions.server.records import Attempt
from typed_sessions.stores import (
    Conflict,
    Created,
    Exists,
    Found,
    Lifetime,
    Record,
    SessionStore,
    Updated,
    WriteRequest,
    time_left,
)
from typed_sessions.stores.identifiers import Identifier, Namespace
from typed_sessions.stores.memory import MemoryStore


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])
    visits: Annotated[int, Merge("add")] = 0
    locale: str = "en"
    step: Annotated[int, Merge("fail")] = 0


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


View = Callable[[], Awaitable[str]]


def key_of(text: str) -> str:
    return Namespace("site").key_of(Identifier(text))


class Site:
    """An application whose views are given by the test, and its store."""

    runtime: Runtime = EVENT_LOOP

    def __init__(self, store: SessionStore | None = None, **config: Any) -> None:
        self.clock = Clock()
        self.store = store or MemoryStore(clock=self.clock)
        self.app = Quart("site")
        self.app.config.update({"SESSION_NAMESPACE": "site"} | config)
        self.sessions = Sessions(Visitor, self.app, store=self.store)
        self.views: dict[str, View] = {}
        self.failures: list[AssertionError] = []
        """Of views and websockets, which an application answers with 500, or by closing."""

        @self.app.route("/<name>")
        async def view(name: str) -> str:
            with self.failing():
                return await self.views[name]()

    def view(self, function: View) -> View:
        self.views[getattr(function, "__name__")] = function  # noqa: B009 -- a function has one
        return function

    @contextmanager
    def failing(self) -> Generator[None]:
        """Keep what an assertion says in there, for the end of the test."""
        try:
            yield
        except AssertionError as failure:
            self.failures.append(failure)
            raise

    async def talk(self, cookie: str | None, serve: Callable[[], Awaitable[None]]) -> None:
        """Let a websocket be served from its opening to its end."""

        async def served() -> None:
            await websocket.accept()
            with self.failing():
                await serve()

        self.app.add_websocket("/ws", view_func=served)
        headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
        async with self.app.test_client().websocket("/ws", headers=headers) as socket:
            with suppress(Exception):  # it has nothing to say
                await socket.receive()

    def client(self, cookie: str | None = None) -> Client:
        return (Client if self.runtime is EVENT_LOOP else ClientInThread)(self.app, cookie)

    @property
    def records(self) -> int:
        """How many sessions there are. Notes that something was moved, or adopted, have no payload."""
        assert isinstance(self.store, MemoryStore)
        return sum(bool(kept.payload) for kept in self.store._records.values())


class Client:
    """A browser with one cookie."""

    def __init__(self, app: Quart, cookie: str | None) -> None:
        self.app = app
        self.cookie = cookie

    async def get(self, path: str) -> Response:
        response = await self.answer(path, {"Cookie": f"session={self.cookie}"} if self.cookie else {})
        for header in response.headers.getlist("Set-Cookie"):
            value = header.partition(";")[0].partition("=")[2]
            self.cookie = value or None
        return response

    async def answer(self, path: str, headers: dict[str, str]) -> Response:
        return await self.app.test_client(use_cookies=False).get(path, headers=headers)


class ClientInThread(Client):
    """One whose requests are handled in a thread each, where there is no event loop: all that Quart does blocks."""

    @override
    async def answer(self, path: str, headers: dict[str, str]) -> Response:
        async def handled() -> Response:
            request = self.app.request_class(
                "GET",
                "http",
                path,
                b"",
                Headers(headers),
                "",
                "1.1",
                cast("Any", {}),
                send_push_promise=cast("Any", None),
            )
            return cast("Response", await self.app.handle_request(request))

        return await asyncio.to_thread(lambda: THREAD.run(handled(), self.app))


@pytest.fixture(params=[EVENT_LOOP, THREAD], ids=["event_loop", "thread"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """One whose requests are handled in an event loop, or in threads without one."""
    monkeypatch.setattr(Site, "runtime", request.param)
    monkeypatch.setattr(SecureCookieSessionInterface, "runtime", request.param)
    site = Site()

    @site.view
    async def read() -> str:
        data = site.sessions.data
        return f"{data.user_id} {data.cart} {data.visits} {data.locale}"

    @site.view
    async def add() -> str:
        site.sessions.data.cart.append("book")
        return ""

    @site.view
    async def visit() -> str:
        site.sessions.data.visits += 1
        return ""

    @site.view
    async def login() -> str:
        site.sessions.current.promote(user_id=7)
        return ""

    @site.view
    async def logout() -> str:
        site.sessions.current.invalidate()
        return ""

    @site.view
    async def nothing() -> str:
        return ""

    yield site
    assert site.failures == []


in_event_loop = pytest.mark.parametrize("site", [EVENT_LOOP], indirect=True, ids=["event_loop"])
"""For tests whose requests have tasks, or streams, which only an event loop runs."""


async def text(response: Response) -> str:
    return str(await response.get_data(as_text=True))


async def test_the_cookie_holds_an_identifier_and_the_store_its_digest(site: Site) -> None:
    client = site.client()
    await client.get("/add")
    assert client.cookie is not None
    assert Identifier.of(client.cookie)
    assert await site.store.load(key_of(client.cookie)) is not None
    assert await site.store.load(client.cookie) is None
    assert await text(await client.get("/read")) == "None ['book'] 0 en"


async def test_a_session_with_nothing_stored_has_no_record_and_no_cookie(site: Site) -> None:
    response = await site.client().get("/read")
    assert "Set-Cookie" not in response.headers
    assert site.records == 0


async def test_a_second_change_needs_no_new_cookie(site: Site) -> None:
    client = site.client()
    await client.get("/add")
    response = await client.get("/add")
    assert "Set-Cookie" not in response.headers
    assert await text(await client.get("/read")) == "None ['book', 'book'] 0 en"


async def test_an_unknown_identifier_is_never_adopted(site: Site) -> None:
    fixed = "A" * 43
    client = site.client(fixed)
    response = await client.get("/read")
    assert "Set-Cookie" not in response.headers
    assert site.records == 0
    await client.get("/add")
    assert client.cookie != fixed
    assert await site.store.load(key_of(fixed)) is None


async def test_an_expired_session_is_gone(site: Site) -> None:
    site.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    client = site.client()
    await client.get("/add")
    site.clock.now += 3600
    assert await text(await client.get("/read")) == "None [] 0 en"


async def test_a_session_that_is_used_lives_on_until_its_absolute_end(site: Site) -> None:
    site.app.config.update(PERMANENT_SESSION_LIFETIME=timedelta(hours=1), SESSION_ABSOLUTE_LIFETIME=timedelta(hours=2))
    client = site.client()
    await client.get("/add")
    for _ in range(3):
        site.clock.now += 1800
        assert await text(await client.get("/read")) == "None ['book'] 0 en"
    site.clock.now += 1800
    assert await text(await client.get("/read")) == "None [] 0 en"


async def test_an_untouched_session_is_refreshed_when_it_is_due(site: Site) -> None:
    site.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    client = site.client()
    await client.get("/add")
    for _ in range(4):
        site.clock.now += 1800
        await client.get("/nothing")
    assert await text(await client.get("/read")) == "None ['book'] 0 en"


async def test_a_login_gives_another_identifier_and_kills_the_former_one(site: Site) -> None:
    client = site.client()
    await client.get("/add")
    former = client.cookie
    await client.get("/login")
    assert client.cookie != former
    assert site.records == 1
    assert await text(await client.get("/read")) == "7 ['book'] 0 en"
    assert await text(await site.client(former).get("/read")) == "None [] 0 en"


async def test_another_subject_always_gets_another_identifier(site: Site) -> None:
    @site.view
    async def careless() -> str:
        site.sessions.data.user_id = 7
        return ""

    client = site.client()
    await client.get("/add")
    former = client.cookie
    await client.get("/careless")
    assert client.cookie != former
    assert await text(await client.get("/read")) == "7 ['book'] 0 en"


async def test_regenerate_keeps_the_contents(site: Site) -> None:
    @site.view
    async def again() -> str:
        site.sessions.current.regenerate()
        return ""

    client = site.client()
    await client.get("/add")
    former = client.cookie
    await client.get("/again")
    assert client.cookie != former
    assert await text(await client.get("/read")) == "None ['book'] 0 en"
    assert site.records == 1


@pytest.mark.parametrize("path", ["/logout", "/clear"])
async def test_a_logout_deletes_the_record_and_the_cookie(site: Site, path: str) -> None:
    @site.view
    async def clear() -> str:
        quart_session.clear()
        return ""

    client = site.client()
    await client.get("/login")
    former = client.cookie
    await client.get(path)
    assert client.cookie is None
    assert site.records == 0
    assert await text(await site.client(former).get("/read")) == "None [] 0 en"


async def test_what_is_stored_after_a_logout_is_another_session(site: Site) -> None:
    @site.view
    async def switch() -> str:
        site.sessions.current.invalidate()
        site.sessions.current.promote(user_id=8)
        return ""

    client = site.client()
    await client.get("/login")
    await client.get("/add")
    former = client.cookie
    await client.get("/switch")
    assert client.cookie != former
    assert await text(await client.get("/read")) == "8 [] 0 en"
    assert site.records == 1


async def in_parallel(site: Site, client: Client, slow: View, fast: str) -> Response:
    """Run a view that begins before and ends after a request of the same visitor's."""
    loaded, release = asyncio.Event(), asyncio.Event()

    @site.view
    async def slowly() -> str:
        bool(site.sessions.current)
        loaded.set()
        await release.wait()
        return await slow()

    task = asyncio.create_task(Client(site.app, client.cookie).get("/slowly"))
    await loaded.wait()
    await client.get(fast)
    release.set()
    return await task


async def test_changes_of_different_fields_both_survive(site: Site) -> None:
    client = site.client()
    await client.get("/visit")

    async def other() -> str:
        site.sessions.data.locale = "de"
        return ""

    await in_parallel(site, client, other, "/add")
    assert await text(await client.get("/read")) == "None ['book'] 1 de"


async def test_changes_of_one_field_follow_its_rule(site: Site) -> None:
    client = site.client()
    await client.get("/visit")
    await in_parallel(site, client, site.views["visit"], "/visit")
    assert await text(await client.get("/read")) == "None [] 3 en"


async def test_without_a_rule_the_last_writer_counts(site: Site) -> None:
    client = site.client()
    await client.get("/visit")

    async def other() -> str:
        site.sessions.data.cart.append("pen")
        return ""

    await in_parallel(site, client, other, "/add")
    assert await text(await client.get("/read")) == "None ['pen'] 1 en"


async def test_a_request_in_flight_does_not_bring_back_a_logout(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    client = site.client()
    await client.get("/login")
    cookie = client.cookie
    response = await in_parallel(site, client, site.views["add"], "/logout")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert site.records == 0
    assert "change is lost" in caplog.text
    assert await text(await site.client(cookie).get("/read")) == "None [] 0 en"


async def test_a_writer_in_flight_over_a_login_loses_its_change_and_the_login_stands(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    client = site.client()
    await client.get("/visit")
    response = await in_parallel(site, client, site.views["add"], "/login")
    assert "Set-Cookie" not in response.headers
    assert "change is lost" in caplog.text
    assert await text(await client.get("/read")) == "7 [] 1 en"


async def test_a_read_writes_nothing(site: Site) -> None:
    client = site.client()
    await client.get("/add")
    assert client.cookie is not None
    before = await site.store.load(key_of(client.cookie))
    site.clock.now += 60
    await client.get("/read")
    after = await site.store.load(key_of(client.cookie))
    assert isinstance(before, Record)
    assert isinstance(after, Record)
    assert (before.version, before.last_seen) == (after.version, after.last_seen)


async def test_the_sessions_of_a_subject_are_listed_and_ended(site: Site) -> None:
    @site.view
    async def listed() -> str:
        return " ".join("current" if each.current else "other" for each in await site.sessions.of(7))

    @site.view
    async def others() -> str:
        await site.sessions.revoke(7, except_current=True)
        return ""

    @site.view
    async def everywhere() -> str:
        await site.sessions.revoke(7)
        return ""

    one, other = site.client(), site.client()
    await one.get("/login")
    site.clock.now += 1
    await other.get("/login")
    assert await text(await one.get("/listed")) == "other current"
    site.clock.now += 1
    await one.get("/others")
    assert await text(await one.get("/listed")) == "current"
    assert await text(await other.get("/read")) == "None [] 0 en"
    site.clock.now += 1
    await other.get("/login")
    site.clock.now += 1
    await one.get("/everywhere")
    assert site.records == 0


async def test_a_login_that_was_in_flight_at_a_revocation_is_refused(site: Site) -> None:
    client = site.client()
    await client.get("/visit")

    async def end() -> str:
        return ""

    loaded, release = asyncio.Event(), asyncio.Event()

    @site.view
    async def slow_login() -> str:
        bool(site.sessions.current)
        loaded.set()
        await release.wait()
        site.sessions.current.promote(user_id=7)
        return await end()

    task = asyncio.create_task(client.get("/slow_login"))
    await loaded.wait()
    site.clock.now += 1
    await site.sessions.revoke(7)
    release.set()
    await task
    assert await site.sessions.of(7) == []


async def test_a_login_that_ends_all_other_sessions_is_none_of_them(site: Site) -> None:
    @site.view
    async def login_alone() -> str:
        site.sessions.current.promote(user_id=7)
        await site.sessions.revoke(7, except_current=True)
        return ""

    client = site.client()
    await client.get("/login_alone")
    assert await text(await client.get("/read")) == "7 [] 0 en"


async def test_save_writes_at_once_and_the_response_still_tells_the_identifier(site: Site) -> None:
    @site.view
    async def long() -> str:
        site.sessions.data.cart.append("book")
        await site.sessions.save()
        assert site.records == 1
        site.sessions.data.cart.append("pen")
        return ""

    client = site.client()
    await client.get("/long")
    assert await text(await client.get("/read")) == "None ['book', 'pen'] 0 en"


async def test_after_a_save_the_session_shows_what_was_merged_into_it(site: Site) -> None:
    client = site.client()
    await client.get("/visit")

    async def saving() -> str:
        site.sessions.data.locale = "de"
        await site.sessions.save()
        assert site.sessions.data.cart == ["book"]
        site.sessions.data.visits += 1
        return ""

    await in_parallel(site, client, saving, "/add")
    assert await text(await client.get("/read")) == "None ['book'] 2 de"


async def test_a_websocket_saves(site: Site) -> None:
    @site.app.websocket("/ws")
    async def serve() -> None:
        while True:
            await websocket.receive()
            site.sessions.data.cart.append("book")
            await site.sessions.save()
            await websocket.send("saved")

    client = site.client()
    await client.get("/visit")
    async with site.app.test_client().websocket("/ws", headers={"Cookie": f"session={client.cookie}"}) as ws:
        await ws.send("x")
        await ws.receive()
        assert await text(await client.get("/read")) == "None ['book'] 1 en"


class Broken(MemoryStore):
    """A store that fails, or takes its time, when it is told to."""

    failing: frozenset[str] = frozenset()
    mute = False
    """Whether it does what it is asked to, and does not answer."""
    exists = conflicts = False
    """Whether it says so, whatever is in it."""
    seconds = 0.0

    @override
    async def create(self, key: str, write: WriteRequest) -> Created:
        await self._break("create")
        if self.exists:
            return Exists()
        created = await super().create(key, write)
        self._fall_silent()
        return created

    @override
    async def load(self, key: str) -> Found:
        await self._break("load")
        return await super().load(key)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        await self._break("update")
        present = await super().load(key) if self.conflicts else None
        if isinstance(present, Record):
            return Conflict(present)
        updated = await super().update(key, version, write, move_to=move_to)
        self._fall_silent()
        return updated

    def _fall_silent(self) -> None:
        if self.mute:
            raise StoreUnavailableError("no answer") from ConnectionResetError()

    async def _break(self, method: str) -> None:
        await _take(self.seconds)
        if method in self.failing:
            raise StoreUnavailableError("down") from OSError()


async def _take(seconds: float) -> None:
    """Take some time to answer, in whatever the test runs."""
    left = time_left()  # which only threads have to ask for
    if left is not None and left < seconds:
        await Site.runtime.sleep(left)
        time_left()
    await Site.runtime.sleep(seconds)


@pytest.fixture
def broken(site: Site) -> Broken:
    broken = Broken(clock=site.clock)
    site.app.config["SESSION_STORE"] = broken
    return broken


async def test_a_failed_load_is_a_503_at_the_first_touch_alone(site: Site, broken: Broken) -> None:
    client = site.client()
    await client.get("/add")
    broken.failing = frozenset({"load"})
    assert (await client.get("/nothing")).status_code == 200
    response = await client.get("/read")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "Set-Cookie" not in response.headers
    broken.failing = frozenset()
    assert await text(await client.get("/read")) == "None ['book'] 0 en"


async def test_the_application_may_answer_a_failed_load_itself(site: Site, broken: Broken) -> None:
    @site.app.errorhandler(StoreUnavailableError)
    async def down(_error: StoreUnavailableError) -> tuple[str, int]:
        return "back soon", 503

    client = site.client("A" * 43)
    broken.failing = frozenset({"load"})
    assert await text(await client.get("/read")) == "back soon"


@pytest.mark.parametrize("method", ["create", "update"])
async def test_a_failed_save_is_a_503(site: Site, broken: Broken, method: str) -> None:
    client = site.client()
    if method == "update":
        await client.get("/visit")
    broken.failing = frozenset({method})
    response = await client.get("/add")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "Set-Cookie" not in response.headers


async def test_a_visitor_is_a_stranger_while_the_store_is_down_if_the_settings_say_so(
    site: Site, broken: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    site.app.config["SESSION_ON_STORE_ERROR"] = "anonymous"
    client = site.client()
    await client.get("/add")
    broken.failing = frozenset({"load", "update", "create"})
    assert await text(await client.get("/read")) == "None [] 0 en"
    response = await client.get("/visit")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert "the session store did not answer" in caplog.text
    broken.failing = frozenset()
    assert await text(await client.get("/read")) == "None ['book'] 0 en"


async def test_all_that_a_request_asks_of_the_store_has_one_deadline(site: Site, broken: Broken) -> None:
    site.app.config["SESSION_STORE_TIMEOUT"] = timedelta(milliseconds=50)
    broken.seconds = 60.0
    response = await asyncio.wait_for(site.client("A" * 43).get("/read"), 2)
    assert response.status_code == 503


async def test_a_signed_cookie_is_taken_in_once(site: Site) -> None:
    before = signed(site, Visitor(user_id=7, cart=["book"]))
    client = site.client(before)
    assert await text(await client.get("/read")) == "7 ['book'] 0 en"
    assert client.cookie is not None
    assert Identifier.of(client.cookie)
    assert await text(await client.get("/read")) == "7 ['book'] 0 en"
    assert await text(await site.client(before).get("/read")) == "None [] 0 en"


async def test_a_signed_cookie_is_refused_unless_the_settings_take_it_in(site: Site) -> None:
    before = signed(site, Visitor(user_id=7))
    site.app.config["SESSION_ADOPT_SIGNED_BEFORE"] = None
    assert await text(await site.client(before).get("/read")) == "None [] 0 en"


async def test_identity_is_harmless_on_a_cookie_session() -> None:
    session = SecureCookieSession(schema=Visitor)
    session.promote(user_id=7)
    session.regenerate()
    assert session["user_id"] == 7
    session.invalidate()
    assert not session


async def test_a_transaction_of_a_test_client_reaches_the_store(site: Site) -> None:
    client = site.app.test_client()
    async with site.sessions.transaction(client) as session:
        session.data.cart.append("book")
    assert site.records == 1
    assert await text(await client.get("/read")) == "None ['book'] 0 en"


async def test_nothing_of_a_visitor_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = site.client()
    await client.get("/login")
    cookie = client.cookie or ""
    await site.client(cookie).get("/logout")
    await site.client(cookie).get("/read")
    assert cookie not in caplog.text
    assert key_of(cookie) not in caplog.text


def test_a_record_shows_nothing_of_what_it_holds() -> None:
    written = WriteRequest(b"secret-payload", Lifetime(timedelta(1)), "subject-7")
    assert "secret-payload" not in repr(written)
    assert "subject-7" not in repr(written)


async def test_a_save_has_what_the_load_left_of_the_deadline(site: Site, broken: Broken) -> None:
    client = site.client()
    await client.get("/add")
    site.app.config["SESSION_STORE_TIMEOUT"] = timedelta(milliseconds=600)
    broken.seconds = 0.4
    assert await text(await client.get("/read")) == "None ['book'] 0 en"
    assert (await client.get("/add")).status_code == 503


async def test_two_changes_that_cannot_both_be_are_an_error(site: Site) -> None:
    errors: list[Exception] = []

    @got_request_exception.connect_via(site.app)
    async def keep(_app: Quart, *, exception: Exception, **_: object) -> None:
        errors.append(exception)

    @site.view
    async def step() -> str:
        site.sessions.data.step += 1
        return ""

    @site.view
    async def two_steps() -> str:
        site.sessions.data.step += 2
        return ""

    client = site.client()
    await client.get("/visit")
    response = await in_parallel(site, client, step, "/two_steps")
    assert response.status_code == 500
    assert [type(error) for error in errors] == [SessionConflictError]
    assert "session field step" in str(errors[0])


async def test_what_this_release_cannot_read_is_a_fresh_session_and_stays_for_the_release_that_can(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    client = site.client("A" * 43)
    await site.store.create(key_of("A" * 43), WriteRequest(b"tagged-json\ntoken\n0\n{nonsense", Lifetime(timedelta(1))))
    assert await text(await client.get("/read")) == "None [] 0 en"
    assert "session cookie refused" in caplog.text
    await client.get("/add")
    assert client.cookie != "A" * 43
    assert site.records == 2


async def test_the_format_may_change_at_any_time(site: Site) -> None:
    client = site.client()
    for number, name in enumerate(("tagged-json", "msgspec-msgpack", "msgspec-json", "tagged-json"), 1):
        site.app.config["SESSION_SERIALIZER"] = name
        await client.get("/visit")
        assert await text(await client.get("/read")) == f"None [] {number} en"


async def test_the_name_of_a_format_may_be_any_text() -> None:
    class Named:
        name = "caf\xe9\nof \\n\udc80"

        def dumps(self, value: dict[str, object], /) -> str:
            return json.dumps(value)

        def loads(self, payload: str, /) -> object:
            return json.loads(payload)

    site = Site(SESSION_SERIALIZER=Named())

    @site.view
    async def add() -> str:
        site.sessions.data.cart.append("tea")
        return str(len(site.sessions.data.cart))

    client = site.client()
    assert [await text(await client.get("/add")) for _ in range(3)] == ["1", "2", "3"]


async def test_a_store_needs_no_secret_key(site: Site) -> None:
    assert site.app.secret_key is None
    client = site.client()
    await client.get("/add")
    assert client.cookie is not None


async def test_a_websocket_cannot_begin_a_session_and_says_so(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async def serve() -> None:
        site.sessions.data.cart.append("book")
        await site.sessions.save()

    await site.talk(None, serve)
    assert site.records == 0
    assert "no response to carry the session's identifier" in caplog.text


async def test_what_a_websocket_leaves_is_saved_at_its_end(site: Site) -> None:
    async def serve() -> None:
        site.sessions.data.cart.append("book")

    client = site.client()
    await client.get("/visit")
    await site.talk(client.cookie, serve)
    assert await text(await client.get("/read")) == "None ['book'] 1 en"


async def test_a_stream_saves_after_the_response_has_begun(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    @site.app.get("/stream")
    async def stream() -> Response:
        bool(site.sessions.current)

        @stream_with_context
        async def body() -> AsyncGenerator[bytes]:
            site.sessions.data.cart.append("book")
            await site.sessions.save()
            yield b"saved"

        return Response(body())

    client = site.client()
    await client.get("/visit")
    assert await text(await client.get("/stream")) == "saved"
    assert await text(await client.get("/read")) == "None ['book'] 1 en"
    assert "change is lost" not in caplog.text


@in_event_loop
async def test_a_change_in_a_stream_is_reported_until_it_is_saved(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    @site.app.get("/stream")
    async def stream() -> Response:
        bool(site.sessions.current)

        @stream_with_context
        async def body() -> AsyncGenerator[bytes]:
            site.sessions.current["locale"] = "de"
            yield b"not saved"

        return Response(body())

    client = site.client()
    await client.get("/visit")
    await client.get("/stream")
    assert "lost unless `await sessions.save()` follows" in caplog.text


async def test_another_spelling_of_a_signed_cookie_is_not_taken_in_again(site: Site) -> None:
    cookie = signed(site, Visitor(user_id=7))
    await site.client(cookie).get("/read")
    for spelling in (cookie + "=", cookie[:-1] + chr(ord(cookie[-1]) + 1), cookie[:-1] + chr(ord(cookie[-1]) - 1)):
        assert await text(await site.client(spelling).get("/read")) == "None [] 0 en"


async def test_a_signed_cookie_that_logs_out_opens_nothing_any_more(site: Site) -> None:
    cookie = signed(site, Visitor(user_id=7))
    client = site.client(cookie)
    await client.get("/logout")
    assert client.cookie is None
    assert await text(await site.client(cookie).get("/read")) == "None [] 0 en"


async def test_of_two_requests_with_one_signed_cookie_one_takes_it_in(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = signed(site, Visitor(user_id=7))
    response = await in_parallel(site, site.client(cookie), site.views["add"], "/visit")
    assert "Set-Cookie" not in response.headers
    assert "change is lost" in caplog.text
    assert len(await site.sessions.of(7)) == 1


async def test_a_forged_cookie_is_not_taken_in_and_leaves_nothing(site: Site) -> None:
    cookie = signed(site, Visitor(user_id=7))
    forged = cookie[:-5] + ("A" if cookie[-5] != "A" else "B") + cookie[-4:]  # the last character has spare bits
    client = site.client(forged)
    assert await text(await client.get("/read")) == "None [] 0 en"
    await client.get("/logout")
    assert site.records == 0


async def test_a_signed_cookie_of_a_later_time_is_refused(site: Site) -> None:
    cookie = signed(site, Visitor(user_id=7))
    site.app.config["SESSION_ADOPT_SIGNED_BEFORE"] = datetime.now(UTC) - timedelta(minutes=1)
    assert await text(await site.client(cookie).get("/read")) == "None [] 0 en"


def signed(site: Site, visitor: Visitor) -> str:
    """Return the cookie of a visitor of the time before there was a store."""
    cookies = Quart("cookies")
    cookies.secret_key = site.app.secret_key = "k" * 32
    site.app.config["SESSION_ADOPT_SIGNED_BEFORE"] = datetime.now(UTC) + timedelta(minutes=1)
    return Sessions(Visitor, cookies).cookie_for(visitor, app=cookies)


async def test_a_header_full_of_identifiers_costs_a_few_loads(site: Site) -> None:
    loads: list[str] = []

    class Counting(MemoryStore):
        @override
        async def load(self, key: str) -> Found:
            loads.append(key)
            return await super().load(key)

    site.app.config["SESSION_STORE"] = Counting()
    cookies = "; ".join(f"session={Identifier.new().text}" for _ in range(100))
    await site.app.test_client().get("/read", headers={"Cookie": cookies})
    assert len(loads) == 20


async def test_expired_sessions_are_purged_while_the_application_serves(site: Site) -> None:
    site.app.config["SESSION_PURGE_EVERY"] = timedelta(hours=1)
    await site.client().get("/add")
    site.clock.now += timedelta(days=32).total_seconds()
    async with site.app.test_app():
        for _ in range(100):
            if not site.records:
                break
            await asyncio.sleep(0.01)
    assert site.records == 0


async def test_sessions_in_cookies_cannot_be_listed_or_ended() -> None:
    app = Quart("cookies")
    app.secret_key = "k" * 32
    sessions = Sessions(Visitor, app)
    for call in (sessions.of(7), sessions.revoke(7)):
        with pytest.raises(ConfigurationError, match="that takes a store"):
            await call


async def test_save_leaves_a_cookie_session_to_its_response() -> None:
    app = Quart("cookies")
    app.secret_key = "k" * 32
    sessions = Sessions(Visitor, app)

    @app.get("/")
    async def view() -> str:
        sessions.data.visits += 1
        await sessions.save()
        return ""

    response = await app.test_client().get("/")
    assert len(response.headers.getlist("Set-Cookie")) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"SESSION_STORE": "mysql://"}, "begins with sqlite:///"),
        ({"SESSION_STORE": 7}, "SESSION_STORE must be a URL or a store, not int"),
        ({"SESSION_ABSOLUTE_LIFETIME": timedelta()}, "must be longer than nothing"),
        ({"SESSION_STORE_TIMEOUT": 0}, "must be longer than nothing"),
        ({"SESSION_STORE_TIMEOUT": "soon"}, "must be a timedelta"),
        ({"SESSION_ON_STORE_ERROR": "ignore"}, '"raise" or "anonymous"'),
        ({"SESSION_ADOPT_SIGNED_BEFORE": datetime(2026, 1, 1)}, "a datetime with a time zone"),  # noqa: DTZ001
        ({"SESSION_PURGE_EVERY": timedelta()}, "must be longer than nothing"),
    ],
    ids=str,
)
async def test_a_wrong_setting_is_refused_before_serving(site: Site, config: dict[str, Any], message: str) -> None:
    site.app.config.update(config)
    with pytest.raises(ConfigurationError, match=message):
        await site.app.startup()


@pytest.mark.parametrize("setting", ["SESSION_PURGE_EVERY", "SESSION_ADOPT_SIGNED_BEFORE"])
async def test_what_takes_a_store_is_refused_without_one(setting: str) -> None:
    app = Quart("cookies")
    app.config[setting] = timedelta(1) if "EVERY" in setting else datetime.now(UTC)
    Sessions(Visitor, app)
    with pytest.raises(ConfigurationError, match=f"{setting} needs sessions that are kept on the server"):
        await app.startup()


async def test_what_a_logout_and_login_leave_has_nothing_of_the_former_user(site: Site) -> None:
    @site.view
    async def switch() -> str:
        quart_session.clear()
        site.sessions.current["user_id"] = 8
        return ""

    client = site.client()
    await client.get("/login")
    response = await in_parallel(site, client, switch, "/add")
    client.cookie = response.headers["Set-Cookie"].partition(";")[0].removeprefix("session=")
    assert await text(await client.get("/read")) == "8 [] 0 en"


async def test_a_session_that_is_emptied_keeps_what_another_request_has_put_in(site: Site) -> None:
    @site.view
    async def empty() -> str:
        del site.sessions.current["visits"]
        return ""

    client = site.client()
    await client.get("/visit")
    response = await in_parallel(site, client, site.views["empty"], "/add")
    assert "Set-Cookie" not in response.headers
    assert await text(await client.get("/read")) == "None ['book'] 0 en"


async def test_a_session_that_is_emptied_is_deleted(site: Site) -> None:
    @site.view
    async def empty() -> str:
        del site.sessions.current["visits"]
        return ""

    client = site.client()
    await client.get("/visit")
    await client.get("/empty")
    assert client.cookie is None
    assert site.records == 0


@pytest.mark.parametrize("path", ["empty", "logout"])
async def test_what_ends_after_a_login_does_not_end_the_login(site: Site, path: str) -> None:
    @site.view
    async def empty() -> str:
        del site.sessions.current["visits"]
        return ""

    client = site.client()
    await client.get("/visit")
    response = await in_parallel(site, client, site.views[path], "/login")
    assert "Set-Cookie" not in response.headers
    assert await text(await client.get("/read")) == "7 [] 1 en"


async def test_a_request_that_was_sent_before_a_login_does_not_replace_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    client = site.client()
    await client.get("/visit")
    former = client.cookie
    await client.get("/login")
    late = site.client(former)
    assert "Set-Cookie" not in (await late.get("/add")).headers
    assert "just before it came" in caplog.text
    site.clock.now += 121
    assert "Set-Cookie" in (await late.get("/add")).headers


@pytest.mark.parametrize("login", ["data", "promote"])
async def test_a_login_without_a_response_is_not_written(
    site: Site, caplog: pytest.LogCaptureFixture, login: str
) -> None:
    async def serve() -> None:
        if login == "data":
            site.sessions.data.user_id = 7
        else:
            site.sessions.current.promote(user_id=7)
        assert not await site.sessions.save()

    client = site.client()
    await client.get("/visit")
    await site.talk(client.cookie, serve)
    assert "change is lost" in caplog.text
    assert await site.sessions.of(7) == []
    assert await text(await client.get("/read")) == "None [] 1 en"


async def test_a_save_makes_a_login_no_younger(site: Site) -> None:
    client = site.client()
    await client.get("/visit")

    @site.view
    async def late_login() -> str:
        site.clock.now += 1
        await site.sessions.revoke(7)
        site.clock.now += 1
        site.sessions.data.cart.append("book")
        assert await site.sessions.save()
        site.sessions.current.promote(user_id=7)
        return ""

    await client.get("/late_login")
    assert await site.sessions.of(7) == []


async def test_a_login_that_is_too_late_is_not_spared(site: Site) -> None:
    client = site.client()
    await client.get("/visit")

    @site.view
    async def late_login() -> str:
        site.clock.now += 1
        await site.sessions.revoke(7)
        site.clock.now += 1
        site.sessions.current.promote(user_id=7)
        await site.sessions.revoke(7, except_current=True)
        return ""

    await client.get("/late_login")
    assert await site.sessions.of(7) == []


async def test_a_failed_save_is_not_tried_again_on_the_error_page(site: Site, broken: Broken) -> None:
    @site.view
    async def saving() -> str:
        site.sessions.data.visits += 1
        broken.failing = frozenset({"update"})
        try:
            await site.sessions.save()
        finally:
            broken.failing = frozenset()
        return ""

    client = site.client()
    await client.get("/visit")
    assert (await client.get("/saving")).status_code == 503
    assert await text(await client.get("/read")) == "None [] 1 en"


@pytest.mark.parametrize("rotates", [False, True])
@pytest.mark.parametrize("begins", [False, True])
async def test_a_save_that_was_not_answered_is_not_done_twice(
    site: Site, broken: Broken, *, rotates: bool, begins: bool
) -> None:
    @site.view
    async def saving() -> str:
        site.sessions.data.visits += 1
        if rotates:
            site.sessions.current.promote(user_id=7)
        broken.mute = True
        with pytest.raises(StoreUnavailableError):
            await site.sessions.save()
        broken.mute = False
        await site.sessions.save()
        return ""

    client = site.client()
    if not begins:
        await client.get("/visit")
    await client.get("/saving")
    expected = f"{7 if rotates else None} [] {1 if begins else 2} en"
    assert await text(await client.get("/read")) == expected
    assert sum(bool(kept.payload) for kept in broken._records.values()) == 1


async def test_an_identifier_that_save_changed_is_told_with_an_error(site: Site, broken: Broken) -> None:
    @site.view
    async def saving() -> str:
        site.sessions.current.promote(user_id=7)
        await site.sessions.save()
        site.sessions.data.visits += 1
        broken.failing = frozenset({"update"})
        return ""

    client = site.client()
    await client.get("/visit")
    assert (await client.get("/saving")).status_code == 503
    broken.failing = frozenset()
    assert await text(await client.get("/read")) == "7 [] 1 en"


@in_event_loop
async def test_saves_of_one_session_come_one_after_the_other(site: Site, broken: Broken) -> None:
    @site.view
    async def saving() -> str:
        site.sessions.data.visits += 1
        await asyncio.gather(site.sessions.save(), site.sessions.save())
        return ""

    client = site.client()
    broken.seconds = 0.01
    await client.get("/saving")
    await client.get("/saving")
    assert await text(await client.get("/read")) == "None [] 2 en"
    assert len(broken._records) == 1


@in_event_loop
async def test_a_change_during_a_save_is_for_the_next_one(site: Site, broken: Broken) -> None:
    @site.view
    async def saving() -> str:
        site.sessions.data.visits += 1
        saved = asyncio.create_task(site.sessions.save())
        await asyncio.sleep(0.01)
        site.sessions.data.locale = "de"
        site.sessions.current.regenerate()
        await saved
        return ""

    client = site.client()
    await client.get("/visit")
    former = client.cookie
    broken.seconds = 0.05
    await client.get("/saving")
    assert client.cookie != former
    assert await text(await client.get("/read")) == "None [] 2 de"


@in_event_loop
async def test_many_writers_all_get_their_turn(site: Site) -> None:
    site.app.config["SESSION_STORE_TIMEOUT"] = timedelta(seconds=60)  # on a machine that is busy, too
    client = site.client()
    await client.get("/visit")
    cookie = client.cookie
    ready = asyncio.Event()

    @site.view
    async def together() -> str:
        site.sessions.data.visits += 1
        await ready.wait()
        return ""

    requests = [asyncio.create_task(site.client(cookie).get("/together")) for _ in range(64)]
    await asyncio.sleep(0.1)
    ready.set()
    assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
    assert await text(await client.get("/read")) == "None [] 65 en"


async def test_a_refresh_that_is_told_varies_by_cookie(site: Site) -> None:
    site.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)

    @site.view
    async def stay() -> str:
        quart_session.permanent = True
        return ""

    client = site.client()
    await client.get("/stay")
    site.clock.now += 1800
    response = await client.get("/nothing")
    assert "Expires" in response.headers["Set-Cookie"]
    assert response.headers["Vary"] == "Cookie"


async def test_a_session_that_is_permanent_no_longer_is_told(site: Site) -> None:
    @site.view
    async def stay() -> str:
        quart_session.permanent = True
        return ""

    @site.view
    async def leave() -> str:
        quart_session.permanent = False
        return ""

    client = site.client()
    assert "Expires" in (await client.get("/stay")).headers["Set-Cookie"]
    assert "Expires" not in (await client.get("/leave")).headers["Set-Cookie"]


async def test_a_logout_that_was_saved_in_the_request_still_deletes_the_cookie(site: Site) -> None:
    @site.view
    async def leave() -> str:
        site.sessions.current.invalidate()
        await site.sessions.save()
        return ""

    client = site.client()
    await client.get("/login")
    await client.get("/leave")
    assert client.cookie is None


async def test_a_websocket_that_saves_now_and_then_is_in_use(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    elapsed = 0.0
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + elapsed)

    async def serve() -> None:
        nonlocal elapsed
        for _ in range(5):
            site.clock.now += 900
            elapsed += 900
            assert await site.sessions.save()

    client = site.client()
    await client.get("/visit")
    await site.talk(client.cookie, serve)
    assert await text(await client.get("/read")) == "None [] 1 en"


async def test_the_application_may_answer_a_failed_save_itself(site: Site, broken: Broken) -> None:
    @site.app.errorhandler(StoreUnavailableError)
    async def down(_error: StoreUnavailableError) -> tuple[str, int]:
        return "back soon", 503

    @site.app.after_request
    async def frame(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        response.headers["ETag"] = '"of the page"'
        return response

    broken.failing = frozenset({"create"})
    response = await site.client().get("/add")
    assert (response.status_code, await text(response)) == (503, "back soon")
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
    assert "ETag" not in response.headers


PAGES: dict[str, Callable[[], Any]] = {
    "a page": lambda: Response("the page", 201, {"Content-Type": "application/json", "Content-Encoding": "br"}),
    "a redirect": lambda: redirect("/elsewhere", 303),
    "a stream": lambda: Response(iter(["the ", "page"]), 206),
    "a fragment": lambda: ("the page", {"HX-Redirect": "/elsewhere", "Refresh": "5", "Content-Disposition": "inline"}),
}


@pytest.mark.parametrize("page", PAGES)
async def test_nothing_of_a_page_goes_out_that_could_not_be_saved(site: Site, broken: Broken, page: str) -> None:
    @site.app.get("/page")
    async def shown() -> Any:
        site.sessions.data.cart.append("book")
        return PAGES[page]()

    @site.app.after_request
    async def mark(response: Response) -> Response:
        response.headers.extend(
            [
                ("Cache-Control", "public, max-age=600"),
                ("CDN-Cache-Control", "max-age=600"),
                ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
                ("ETag", '"of the page"'),
                ("Link", "</cart.css>; rel=preload"),
                ("Vary", "Accept-Language"),
                ("X-Cart", "book"),
                ("Set-Cookie", "cart=book"),
            ]
        )
        return response

    broken.failing = frozenset({"create"})
    response = await site.client().get("/page")
    assert response.status == "503 SERVICE UNAVAILABLE"
    assert {name.lower(): value for name, value in response.headers} == {
        "cache-control": "no-store",
        "content-length": str(len(await response.get_data(as_text=False))),
        "content-type": "text/html; charset=utf-8",
        "retry-after": "5",
        "vary": "Cookie",
    }
    assert "Service Unavailable" in await text(response)


async def test_an_answer_of_the_applications_has_its_own_headers(site: Site, broken: Broken) -> None:
    @site.app.errorhandler(StoreUnavailableError)
    async def down(_error: StoreUnavailableError) -> tuple[str, int, dict[str, str]]:
        return "back soon", 502, {"X-Frame-Options": "SAMEORIGIN", "Vary": "Accept", "Set-Cookie": "down=1"}

    @site.app.after_request
    async def frame(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Strict-Transport-Security"] = "max-age=600"
        return response

    broken.failing = frozenset({"create"})
    response = await site.client().get("/add")
    assert (response.status_code, await text(response)) == (502, "back soon")
    assert response.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert response.headers["Strict-Transport-Security"] == "max-age=600"
    assert response.headers["Vary"] == "Accept, Cookie"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.getlist("Set-Cookie") == ["down=1"]


async def test_an_interface_of_ones_own_rotates_and_refreshes(site: Site) -> None:
    class Own(SecureCookieSessionInterface[Visitor]):
        @override
        def get_cookie_domain(self, app: ConfiguredApp) -> str | None:
            return "example.org"

    site.app.session_interface = Own(Visitor, store=site.store)  # type: ignore[assignment]  # Quart admits only its own
    site.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    client = site.client()
    await client.get("/visit")
    former = client.cookie
    site.clock.now += 1800
    await client.get("/nothing")
    site.clock.now += 1801
    await client.get("/login")
    assert client.cookie not in (None, former)
    assert await text(await client.get("/read")) == "7 [] 1 en"


@pytest.mark.parametrize("argument", [7, MemoryStore, "mysql://", "sqlite://", "memory://x"], ids=str)
def test_a_store_that_is_none_is_refused_at_once(argument: Any) -> None:
    with pytest.raises(ConfigurationError):
        Sessions(Visitor, store=argument)


async def test_who_is_nobody_can_be_neither_listed_nor_ended(site: Site) -> None:
    for subject, error in (("7", FieldTypeError), (None, ConfigurationError)):
        with pytest.raises(error):
            await site.sessions.of(subject)  # type: ignore[arg-type]  # what a checker refuses
    with pytest.raises(RuntimeError):
        await site.sessions.revoke(7, except_current=True)
    sessions = Sessions(Plain, Quart("plain"), store="memory://?namespace=plain")
    with pytest.raises(ConfigurationError, match="Plain does not say whose session it is"):
        await sessions.of(7)


@define
class Plain:
    visits: int = 0


async def test_one_application_goes_on_when_another_one_ends(site: Site) -> None:
    other = Quart("other")
    site.sessions.init_app(other)
    other.config["SESSION_STORE"] = site.app.config["SESSION_STORE"] = "memory://"
    other.config["SESSION_NAMESPACE"] = "other"
    async with site.app.test_app():
        client = site.client()
        await client.get("/visit")
        async with other.test_app():
            pass
        assert await text(await client.get("/read")) == "None [] 1 en"


def test_what_a_request_knows_shows_nowhere() -> None:
    assert "secret" not in repr(Attempt(Identifier("secret" * 8), 0))
    assert "hunter2" not in repr(read_settings({"SESSION_STORE": "redis://:hunter2@localhost"}))


async def test_the_end_of_a_websocket_has_a_deadline_of_its_own(site: Site, broken: Broken) -> None:
    async def serve() -> None:
        site.sessions.data.cart.append("book")

    client = site.client()
    await client.get("/visit")
    site.app.config["SESSION_STORE_TIMEOUT"] = timedelta(milliseconds=600)
    broken.seconds = 0.4
    await site.talk(client.cookie, serve)
    assert await text(await client.get("/read")) == "None ['book'] 1 en"


async def test_a_subclass_may_leave_a_change_unwritten(site: Site) -> None:
    class Careful(SecureCookieSessionInterface[Visitor]):
        @override
        def should_set_cookie(self, app: ConfiguredApp, session: SecureCookieSession[Visitor]) -> bool:
            return False

    client = site.client()
    await client.get("/visit")
    site.app.session_interface = Careful(Visitor, store=site.store)  # type: ignore[assignment]  # Quart admits its own
    await client.get("/add")
    assert await text(await client.get("/read")) == "None [] 1 en"


async def test_a_refresh_that_finds_the_session_gone_brings_nothing_back(site: Site) -> None:
    site.app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    client = site.client()
    await client.get("/visit")
    site.clock.now += 1800
    response = await in_parallel(site, client, site.views["nothing"], "/logout")
    assert "Set-Cookie" not in response.headers
    assert site.records == 0


async def test_a_save_that_did_not_take_place_may_be_tried_again(site: Site, broken: Broken) -> None:
    @site.view
    async def saving() -> str:
        site.sessions.data.visits += 1
        broken.failing = frozenset({"update"})
        with pytest.raises(StoreUnavailableError):
            await site.sessions.save()
        broken.failing = frozenset()
        site.sessions.data.cart.append("book")
        assert await site.sessions.save()
        return ""

    client = site.client()
    await client.get("/visit")
    await client.get("/saving")
    assert await text(await client.get("/read")) == "None ['book'] 2 en"


async def test_a_signed_cookie_that_another_request_took_in_meanwhile_is_not_taken_in_by_a_retry(
    site: Site, broken: Broken
) -> None:
    cookie = signed(site, Visitor(user_id=7))

    @site.view
    async def saving() -> str:
        site.sessions.data.visits += 1
        broken.mute = True
        with pytest.raises(StoreUnavailableError):
            await site.sessions.save()
        broken.mute = False
        await site.client(cookie).get("/visit")
        assert not await site.sessions.save()
        return ""

    await site.client(cookie).get("/saving")
    assert len(await site.sessions.of(7)) == 1


async def test_a_new_identifier_waits_for_a_response(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async def serve() -> None:
        site.sessions.current.regenerate()
        site.sessions.data.cart.append("book")
        assert await site.sessions.save()

    client = site.client()
    await client.get("/visit")
    await site.talk(client.cookie, serve)
    assert await text(await client.get("/read")) == "None ['book'] 1 en"
    assert "lost" not in caplog.text


async def test_a_signed_cookie_that_a_websocket_only_brings_is_left_for_a_request(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = signed(site, Visitor(user_id=7))

    async def serve() -> None:
        """Ask for nothing."""

    await site.talk(cookie, serve)
    assert "lost" not in caplog.text
    assert await text(await site.client(cookie).get("/read")) == "7 [] 0 en"


async def test_an_identifier_that_is_taken_already_is_never_shared(site: Site, broken: Broken) -> None:
    broken.exists = True
    response = await site.client().get("/visit")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


async def test_a_first_login_that_was_in_flight_at_a_revocation_is_refused(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    @site.view
    async def first_login() -> str:
        site.sessions.current.promote(user_id=7)
        site.clock.now += 1
        await site.sessions.revoke(7)
        return ""

    response = await site.client().get("/first_login")
    assert "Set-Cookie" not in response.headers
    assert "the sessions of its subject were ended" in caplog.text
    assert await site.sessions.of(7) == []


async def test_a_session_that_others_change_for_ever_is_a_conflict(
    site: Site, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typed_sessions.server.saving.MOST_ATTEMPTS", 3)
    client = site.client()
    await client.get("/visit")
    broken.conflicts = True
    assert (await client.get("/visit")).status_code == 500
    broken.conflicts = False
    assert await text(await client.get("/read")) == "None [] 1 en"


async def test_what_a_newer_release_has_made_of_the_session_is_not_overwritten(site: Site) -> None:
    client = site.client()
    await client.get("/visit")
    key = key_of(client.cookie or "")

    @site.view
    async def overtaken() -> str:
        site.sessions.data.visits += 1
        record = await site.store.load(key)
        assert isinstance(record, Record)
        await site.store.update(key, record.version, WriteRequest(b"future\ntoken\n...", Lifetime(timedelta(1))))
        return ""

    assert (await client.get("/overtaken")).status_code == 500
    record = await site.store.load(key)
    assert isinstance(record, Record)
    assert record.payload == b"future\ntoken\n..."


class Keyed(TypedDict, total=False):
    tags: Annotated[set[str], Merge("union")]
    moment: datetime


async def test_a_rule_of_a_typeddict_begins_with_nothing(site: Site) -> None:
    sessions = Sessions[Keyed](Keyed, site.app, store=site.store)

    @site.view
    async def begin() -> str:
        sessions.current["begun"] = True
        return ""

    @site.view
    async def one() -> str:
        sessions.data["tags"] = {"one"}
        return ""

    @site.view
    async def other() -> str:
        sessions.data["tags"] = {"other"}
        await sessions.save()
        return ",".join(sorted(sessions.data["tags"]))

    client = site.client()
    await client.get("/begin")
    assert await text(await in_parallel(site, client, other, "/one")) == "one,other"


async def test_what_the_configured_format_cannot_hold_stays_in_the_one_that_it_came_in(site: Site) -> None:
    sessions = Sessions[Keyed](Keyed, site.app, store=site.store)
    long_ago = datetime(40, 1, 1, tzinfo=UTC)

    @site.view
    async def begin() -> str:
        sessions.data["moment"] = long_ago
        return ""

    @site.view
    async def change() -> str:
        sessions.data["tags"] = {"one"}
        return str(sessions.data["moment"] == long_ago)

    client = site.client()
    site.app.config["SESSION_SERIALIZER"] = "msgspec-json"
    await client.get("/begin")
    site.app.config["SESSION_SERIALIZER"] = "tagged-json"
    for _ in range(2):
        response = await client.get("/change")
        assert (response.status_code, await text(response)) == (200, "True")


async def test_after_a_save_the_session_lacks_what_another_request_took_out(site: Site) -> None:
    @site.view
    async def shorten() -> str:
        del site.sessions.current["visits"]
        return ""

    async def saving() -> str:
        site.sessions.data.locale = "de"
        await site.sessions.save()
        return str("visits" in site.sessions.current)

    client = site.client()
    await client.get("/visit")
    await client.get("/add")
    assert await text(await in_parallel(site, client, saving, "/shorten")) == "False"


@define
class Counted:
    visits: int = 0
    locale: str = "en"


@define
class Spelled:
    """The next release of that."""

    visits: str = ""
    locale: str = "en"


@migration(Spelled, 1)
def spell(values: dict[str, object]) -> dict[str, object]:
    return {**values, "visits": f"{values['visits']} visits"}


@in_event_loop
async def test_what_replaces_a_later_releases_session_is_migrated_by_that(site: Site) -> None:
    present, later = Quart("present"), Quart("later")
    for app in (present, later):
        app.config["SESSION_NAMESPACE"] = "site"
    counted, spelled = (Sessions(Counted, present, store=site.store), Sessions(Spelled, later, store=site.store))
    client = Client(present, None)

    @present.get("/visit")
    async def visit() -> str:
        counted.data.visits += 1
        return ""

    @later.get("/change")
    async def change() -> str:
        spelled.data.locale = "de"
        return ""

    @present.get("/replace")
    async def replace() -> str:
        counted.current.clear()
        counted.data.visits = 7
        await Client(later, client.cookie).get("/change")
        return ""

    @later.get("/read")
    async def read() -> str:
        return f"{spelled.data.visits} {spelled.data.locale}"

    await client.get("/visit")
    assert (await client.get("/replace")).status_code == 200
    assert await text(await Client(later, client.cookie).get("/read")) == "7 visits en"


@in_event_loop
@pytest.mark.parametrize("theirs", [datetime(41, 1, 1, tzinfo=UTC), None], ids=["another value", "no value"])
async def test_what_another_request_has_written_in_its_format_is_no_change_of_this_one(
    site: Site, theirs: datetime | None
) -> None:
    """An instance that has the earlier settings yet writes what the configured format cannot hold."""
    sessions, client = Sessions[Keyed](Keyed, site.app, store=site.store), site.client()

    @site.view
    async def begin() -> str:
        sessions.current["begun"] = True
        sessions.data["moment"] = datetime(40, 1, 1, tzinfo=UTC)
        return ""

    @site.view
    async def elsewhere() -> str:
        if theirs is None:
            del sessions.data["moment"]
        else:
            sessions.data["moment"] = theirs
        return ""

    @site.view
    async def change() -> str:
        sessions.data["tags"] = {"one"}
        site.app.config["SESSION_SERIALIZER"] = "msgspec-json"
        await client.get("/elsewhere")
        site.app.config["SESSION_SERIALIZER"] = "tagged-json"
        return ""

    @site.view
    async def seen() -> str:
        return f"{sessions.data.get('tags')} {sessions.data.get('moment')}"

    site.app.config["SESSION_SERIALIZER"] = "msgspec-json"
    await client.get("/begin")
    site.app.config["SESSION_SERIALIZER"] = "tagged-json"
    assert (await client.get("/change")).status_code == 200
    assert await text(await client.get("/seen")) == f"{{'one'}} {theirs}"
    assert client.cookie is not None
    record = await site.store.load(key_of(client.cookie))
    assert isinstance(record, Record)
    assert record.payload.startswith(b"tagged-json" if theirs is None else b"msgspec-json")


@in_event_loop
async def test_a_change_that_is_merged_must_fit_the_configured_format_all_the_same(site: Site) -> None:
    sessions, client = Sessions[Keyed](Keyed, site.app, store=site.store), site.client()

    @site.view
    async def begin() -> str:
        sessions.data["tags"] = {"one"}
        return ""

    @site.view
    async def elsewhere() -> str:
        sessions.data["tags"] = {"two"}
        return ""

    @site.view
    async def change() -> str:
        sessions.data["moment"] = datetime(40, 1, 1, tzinfo=UTC)
        site.app.config["SESSION_SERIALIZER"] = "msgspec-json"
        await client.get("/elsewhere")
        site.app.config["SESSION_SERIALIZER"] = "tagged-json"
        return ""

    site.app.config["SESSION_SERIALIZER"] = "msgspec-json"
    await client.get("/begin")
    site.app.config["SESSION_SERIALIZER"] = "tagged-json"
    assert (await client.get("/change")).status_code == 500


async def test_a_change_that_cannot_be_written_stays_a_change_of_its_own(site: Site, broken: Broken) -> None:
    client = site.client()
    await client.get("/visit")

    async def saving() -> str:
        site.sessions.data.locale = "de"
        broken.seconds = 0.05
        saved = asyncio.create_task(site.sessions.save())
        await asyncio.sleep(0.01)
        site.sessions.data.cart.append(cast("str", object()))
        assert await saved
        return ""

    assert (await in_parallel(site, client, saving, "/add")).status_code == 500
    assert await text(await client.get("/read")) == "None ['book'] 1 de"


async def test_a_save_that_fails_is_reported_where_visitors_may_be_strangers(
    site: Site, broken: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    site.app.config["SESSION_ON_STORE_ERROR"] = "anonymous"
    client = site.client()
    await client.get("/visit")
    broken.failing = frozenset({"update"})
    assert (await client.get("/visit")).status_code == 200
    assert "the session store did not answer" in caplog.text


async def test_what_is_stored_after_a_logout_has_another_identifier(site: Site) -> None:
    @site.view
    async def leave() -> str:
        site.sessions.current.invalidate()
        site.sessions.current["locale"] = "de"
        return ""

    client = site.client()
    await client.get("/visit")
    former = client.cookie
    await client.get("/leave")
    assert client.cookie not in (None, former)
    assert await text(await client.get("/read")) == "None [] 0 de"
    assert await text(await site.client(former).get("/read")) == "None [] 0 en"


@pytest.mark.parametrize(
    ("ask", "varies"),
    [
        pytest.param(lambda site: site.sessions.of(7), True, id="of"),
        pytest.param(lambda site: site.sessions.revoke(7, except_current=True), True, id="revoke the others"),
        pytest.param(lambda site: site.sessions.revoke(7), False, id="revoke all"),
    ],
)
async def test_what_depends_on_the_current_session_varies_by_cookie(
    site: Site, ask: Callable[[Site], Awaitable[object]], varies: bool
) -> None:
    @site.view
    async def asks() -> str:
        await ask(site)
        return ""

    response = await site.client("A" * 43).get("/asks")
    assert response.headers.get("Vary") == ("Cookie" if varies else None)


@in_event_loop
async def test_a_list_of_sessions_that_a_stream_asks_for_first_is_reported(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    @site.app.get("/stream")
    async def stream() -> Response:
        @stream_with_context
        async def parts() -> AsyncGenerator[str, None]:
            yield str(await site.sessions.of(7))

        return Response(parts())

    assert await text(await site.client("A" * 43).get("/stream")) == "[]"
    assert "session used after it was saved" in caplog.text


@pytest.mark.parametrize("policy", ["raise", "anonymous"])
async def test_the_others_are_not_ended_while_nobody_knows_which_the_current_one_is(
    site: Site, broken: Broken, policy: str
) -> None:
    @site.view
    async def others() -> str:
        await site.sessions.revoke(7, except_current=True)
        return ""

    site.app.config["SESSION_ON_STORE_ERROR"] = policy
    client = site.client()
    await client.get("/login")
    broken.failing = frozenset({"load"})
    assert (await client.get("/others")).status_code == 503
    broken.failing = frozenset()
    assert await text(await client.get("/read")) == "7 [] 0 en"


class Slow(MemoryStore):
    """A store each of whose answers takes most of the time that one request has."""

    elapsed = 0.0

    async def _take_time(self) -> None:
        self.elapsed += 1.5
        for _ in range(3):
            await asyncio.sleep(0)

    @override
    async def ids_of(self, subject: str) -> Any:
        await self._take_time()
        return await super().ids_of(subject)

    @override
    async def delete_subject(self, subject: str, *, spare: str | None = None) -> Any:
        await self._take_time()
        return await super().delete_subject(subject, spare=spare)

    @override
    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        await self._take_time()
        return await super().update(key, version, write, move_to=move_to)


async def listed(site: Site) -> None:
    await site.sessions.of(8)


async def all_ended(site: Site) -> None:
    await site.sessions.revoke(8)


async def others_ended(site: Site) -> None:
    await site.sessions.revoke(8, except_current=True)


async def changed_and_saved(site: Site) -> None:
    site.sessions.data.visits += 1
    await site.sessions.save()


CALLS = pytest.mark.parametrize("call", [listed, all_ended, others_ended, changed_and_saved])


@pytest.fixture
def slow(site: Site, monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow(clock=site.clock)
    site.app.config["SESSION_STORE"] = slow
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + slow.elapsed)
    return slow


@CALLS
@pytest.mark.usefixtures("slow")
async def test_each_call_of_a_websocket_has_a_deadline_of_its_own(
    site: Site, call: Callable[[Site], Awaitable[None]]
) -> None:
    async def serve() -> None:
        for _ in range(4):
            await call(site)
        site.sessions.data.cart.append("done")

    client = site.client()
    await client.get("/visit")
    await site.talk(client.cookie, serve)
    assert "done" in await text(await client.get("/read"))


@CALLS
@pytest.mark.usefixtures("slow")
async def test_each_call_of_a_stream_has_a_deadline_of_its_own(
    site: Site, call: Callable[[Site], Awaitable[None]]
) -> None:
    @site.app.get("/stream")
    async def stream() -> Response:
        assert site.sessions.data.cart == []

        @stream_with_context
        async def parts() -> AsyncGenerator[str, None]:
            for _ in range(4):
                await call(site)
                yield "."

        return Response(parts())

    client = site.client()
    await client.get("/visit")
    assert await text(await client.get("/stream")) == "...."


@pytest.mark.usefixtures("slow")
@in_event_loop
async def test_all_calls_of_a_request_share_its_deadline(site: Site) -> None:
    @site.view
    async def asks() -> str:
        for _ in range(4):
            await site.sessions.of(8)
        return ""

    assert (await site.client().get("/asks")).status_code == 503
