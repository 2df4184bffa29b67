"""What is logged of sessions in use: each loss once, and nothing where nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from quart import Quart, Response, ResponseReturnValue, flash, get_flashed_messages, stream_with_context, websocket
from quart import session as quart_session
from typing_extensions import override

from tests.integrations.test_saving import Site, Visitor, in_stream, in_teardown, in_websocket, said
from typed_sessions import SecureCookieSession, SecureCookieSessionInterface
from typed_sessions.core.session import is_permanent, state_of
from typed_sessions.core.session_request import session_from
from typed_sessions.core.state import Binding, LoadResult
from typed_sessions.frameworks.quart_interface import QuartSessionInterface
from typed_sessions.stores import MemoryStore


@pytest.fixture(params=["cookie", "store"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(MemoryStore() if request.param == "store" else None)


async def nothing() -> str:
    return ""


class OwnSession(SecureCookieSession[Visitor]):
    """A session that has its own word on how long it lives."""

    @property  # type: ignore[explicit-override]  # mypy does not see @override on a property with a setter
    @override
    def permanent(self) -> bool:
        return bool(self.get("user_id")) or super().permanent

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = value


class OwnExpiry(QuartSessionInterface[Visitor]):
    @override
    def get_expiration_time(self, app: Any, session: Any) -> datetime | None:
        return super().get_expiration_time(app, session)


@pytest.mark.parametrize("own", [None, OwnSession, OwnExpiry])
async def test_a_refresh_of_an_untouched_session_warns_of_nothing(
    site: Site, own: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site.app.config["SESSION_REFRESH_AFTER"] = timedelta()
    interface = site.sessions._interface
    if own is OwnSession:
        interface.session_class = own
    elif own is OwnExpiry:
        interface.__class__ = OwnExpiry
    cookie = await site.act("", lambda session: setattr(session, "permanent", True))
    response = await site.app.test_client(use_cookies=False).get(
        site.path_of(nothing), headers={"Cookie": f"session={cookie}"}
    )
    assert "Expires=" in response.headers["Set-Cookie"]
    assert said(caplog) == []


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("bare", [False, True])
async def test_a_task_that_only_reads_warns_of_nothing(
    site: Site, used_before: bool, streams: bool, bare: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if bare:
        store = site.sessions._interface._applications._store
        setattr(site.app, "session_interface", SecureCookieSessionInterface(Visitor, store=store))  # noqa: B010
    cookie = await site.begin()
    answered = asyncio.Event()

    async def later() -> None:
        await answered.wait()
        site.found.append(site.sessions.data.visits)

    async def view() -> ResponseReturnValue:
        if used_before:
            bool(site.sessions.current)
        site.app.add_background_task(later)

        async def body() -> AsyncGenerator[str]:
            yield "a"
            answered.set()
            await asyncio.sleep(0)
            yield "b"

        if streams:
            return Response(body())
        return ""

    await site.get(view, cookie)
    answered.set()
    await asyncio.gather(*site.app.background_tasks)
    assert (site.found, said(caplog)) == ([1], [])


async def test_a_stream_that_reads_first_is_warned_of_its_missing_vary(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()

    async def view() -> ResponseReturnValue:
        @stream_with_context
        async def body() -> AsyncGenerator[str]:
            yield str(site.sessions.data.visits)

        return body(), 200

    await site.get(view, cookie)
    assert len(said(caplog)) == 1


def append(session: Any) -> None:
    session.data.cart.append("late")


def assign(session: Any) -> None:
    session.data.visits = 9


def by_key(session: Any) -> None:
    session["visits"] = 9


def read(session: Any) -> None:
    bool(session.data)


@pytest.mark.parametrize("act", [append, assign, by_key, read])
@pytest.mark.parametrize("used_before", [False, True])
async def test_a_change_in_a_teardown_is_told_once(
    site: Site, act: Callable[[Any], None], used_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = await site.begin()
    calls = [act]

    @site.app.teardown_request
    async def teardown(_error: BaseException | None) -> None:
        while calls:
            calls.pop()(site.sessions.current)

    async def view() -> str:
        if used_before:
            site.sessions.data.step += 1
        return ""

    await site.get(view, cookie)
    assert len(said(caplog)) == (act is not read)
    assert (await site.held(cookie))["visits"] == 1


async def test_a_change_in_a_teardown_that_is_saved_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(MemoryStore())

    async def late() -> None:
        assign(site.sessions.current)
        await site.saves()

    await in_teardown(site, await site.begin(), late)
    assert (site.found, said(caplog)) == ([True], [])


@pytest.mark.parametrize("saves", [0, 2])
@pytest.mark.parametrize("change", [assign, by_key])
@pytest.mark.parametrize(
    ("place", "ended"),
    [(place, ended) for place in (in_stream, in_websocket, in_teardown) for ended in (False, True)],
)
async def test_a_loss_is_told_once(
    site: Site, saves: int, change: Any, place: Any, caplog: pytest.LogCaptureFixture, *, ended: bool
) -> None:
    """Of a new session, or of one that ends elsewhere, by whatever meets it first: the change, a save, or the end."""
    cookie = await site.begin() if ended else ""

    async def late() -> None:
        bool(site.sessions.current)
        if ended:
            await site.act(cookie, lambda session: session.invalidate())
        change(site.sessions.current)
        for _ in range(saves):
            await site.saves()

    await place(site, cookie, late)
    assert site.found == [False] * saves
    assert len(said(caplog)) == 1


def test_whether_a_session_is_permanent_is_asked_without_undoing_an_access() -> None:
    """Of another thread, which uses the session meanwhile."""

    def opener() -> LoadResult[Any]:
        for session in (stock, own):
            session.accessed = True
        return state_of(SecureCookieSession({"_permanent": True})).open()

    stock = session_from(Binding(opener), SecureCookieSession[Any])
    own = session_from(Binding(opener), OwnSession)
    for session in (stock, own):
        session.accessed = False
        assert is_permanent(session)
        assert session.accessed


def test_whether_a_session_is_permanent_is_no_access() -> None:
    for cls in (SecureCookieSession[Any], OwnSession):
        session = session_from(Binding(state_of(SecureCookieSession({"_permanent": True})).open), cls)
        assert is_permanent(session)
        assert not session.accessed


async def test_a_message_under_plain_json_is_nobodys_to_declare(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.app.config["SESSION_SERIALIZER"] = json
    site.app.add_url_rule("/messages", view_func=messages)

    async def view() -> str:
        await flash("Hello", "greeting")
        return ""

    cookie = await site.get(view)
    response = await site.app.test_client().get("/messages", headers={"Cookie": f"session={cookie}"})
    assert await response.get_json() == [["greeting", "Hello"]]
    assert said(caplog) == []


async def messages() -> list[tuple[str, str]]:
    return list(get_flashed_messages(with_categories=True))  # type: ignore[arg-type]


async def test_what_an_extension_keeps_is_not_the_programs_to_declare(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.app.config["SESSION_SERIALIZER"] = json

    async def view() -> str:
        quart_session["_extensions_pair"] = (1, 2)
        quart_session["pair"] = (1, 2)
        return ""

    await site.get(view)
    assert sorted(said(caplog)) == [
        "session key '_extensions_pair' will read back as another value; use a format that keeps its type",
        "session key 'pair' will read back as another value; declare a field to keep its type",
    ]


async def test_a_websocket_that_only_reads_says_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    cookie = await site.begin()

    async def serve() -> None:
        await websocket.accept()
        site.found.append(site.sessions.data.visits)

    await in_websocket(site, cookie, serve)
    assert (site.found, said(caplog)) == ([1], [])


def test_an_application_looks_back_once_for_each_of_its_sessions() -> None:
    app = Quart("twice")
    site = Site()
    for _ in range(2):
        site.sessions.init_app(app)
    assert len(app.teardown_request_funcs[None]) == 1
