"""What debugging pages and trackers of errors show: the locals of each frame. None of ours has what opens a session."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import Factory, define
from quart import Quart, Response
from typing_extensions import override

from tests.failing_store import Failing, reset
from typed_sessions import CookieTooLargeError, StoreUnavailableError, Subject
from typed_sessions.frameworks.interface import SecureCookieSessionInterface
from typed_sessions.quart import Sessions
from typed_sessions.stores import SessionStore, SQLiteStore
from typed_sessions.stores.identifiers import Identifier, Namespace
from typed_sessions.stores.memory import MemoryStore

SECRET = "a secret key that is long enough"
BOOK = "a-book-about-tea"
KEY_OF = Namespace.derived(SECRET.encode(), "session").key_of


@define
class Visitor:
    user_id: Annotated[int | None, Subject] = None
    cart: list[str] = Factory(list[str])


class Site:
    """An application that notes the error with which a request could not go on."""

    def __init__(self, store: SessionStore | None) -> None:
        self.app = Quart("site")
        self.app.config.update(SECRET_KEY=SECRET, SESSION_STORE_TIMEOUT=timedelta(milliseconds=50))
        self.sessions = Sessions(Visitor, self.app, store=store)
        self.errors: list[Exception] = []
        self.cookie = ""

        @self.app.get("/<what>")
        async def act(what: str) -> str:
            match what:
                case "load":
                    return str(self.sessions.data.cart)
                case "login":
                    self.sessions.current.promote(user_id=7)
                case "update":
                    self.sessions.data.cart.append(BOOK)
                case "save":
                    self.sessions.data.cart.append(BOOK)
                    await self.sessions.save()
                case "ids_of":
                    await self.sessions.of(7)
                case "delete_subject":
                    await self.sessions.revoke(7, except_current=True)
                case _:
                    pass
            return ""

        @self.app.errorhandler(StoreUnavailableError)
        async def down(error: StoreUnavailableError) -> tuple[str, int]:
            self.errors.append(error)
            return "", 503

    async def get(self, what: str) -> Response:
        response = await self.app.test_client(use_cookies=False).get(
            f"/{what}", headers={"Cookie": f"session={self.cookie}"}
        )
        for header in response.headers.getlist("Set-Cookie"):
            self.cookie = header.partition(";")[0].partition("=")[2]
        return response


def chained(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that its traceback shows before it."""
    seen, waiting = set[int](), [error]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [other for other in (each.__cause__, each.__context__) if other is not None]


def repr_of(value: object) -> str:
    try:
        return repr(value)
    except StoreUnavailableError as error:  # the session's, which could not be loaded
        return repr(error)


def shown(error: BaseException) -> str:
    """What a debugging page shows of our frames."""
    texts = list[str]()
    for each in chained(error):
        traceback = each.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if frame.f_globals.get("__name__", "").startswith("typed_sessions"):
                texts += [f"{name} = {repr_of(value)}" for name, value in frame.f_locals.items()]
            traceback = traceback.tb_next
        texts.append(repr(each))
    return "\n".join(texts)


def check(error: BaseException, cookie: str) -> None:
    page = shown(error)
    assert "self = " in page  # there are frames of ours
    for secret in (cookie, KEY_OF(Identifier(cookie)), SECRET):
        assert secret not in page


WAYS = ["load", "update", "save", "ids_of", "delete_subject"]


@pytest.mark.parametrize("hangs", [False, True], ids=["fails", "hangs"])
@pytest.mark.parametrize("what", WAYS)
async def test_a_store_that_does_not_answer_shows_no_identifier(what: str, hangs: bool) -> None:
    store = Failing()
    site = Site(store)
    await site.get("login")
    store.broken, store.hangs = frozenset({what.replace("save", "update")}), hangs
    assert (await site.get(what)).status_code == 503
    (error,) = site.errors
    check(error, site.cookie)
    assert isinstance(error.__cause__, TimeoutError if hangs else ConnectionResetError)


@pytest.mark.parametrize("method", ["load", "create", "now"])
@pytest.mark.parametrize("signed", [False, True], ids=["identifier", "signed cookie"])
async def test_what_no_store_may_raise_shows_no_cookie_either(
    method: str, signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    site, cookies = Site(store), Site(None)
    site.app.config["PROPAGATE_EXCEPTIONS"] = True
    site.app.config["SESSION_ADOPT_SIGNED_BEFORE"] = datetime(2100, 1, 1, tzinfo=UTC)
    await (cookies if signed else site).get("login")
    site.cookie = cookie = cookies.cookie or site.cookie

    @site.app.get("/logout")
    async def logout() -> str:
        site.sessions.current.clear()
        site.sessions.data.cart.append(BOOK)
        return ""

    @site.app.get("/again")
    async def again() -> str:
        site.sessions.current.invalidate()
        site.sessions.current.promote(user_id=8)
        return ""

    async def fails(*_args: object) -> None:
        reset()

    monkeypatch.setattr(store, method, fails)
    for what in ("logout", "again"):
        site.cookie = cookie
        try:
            await site.get(what)
        except ConnectionResetError as error:
            page = shown(error)
            assert "self = " in page
            assert [secret for secret in (cookie, SECRET) if secret in page] == []


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Site]:
    store = SQLiteStore(tmp_path / "sessions.db", busy_timeout=timedelta(milliseconds=1))
    yield Site(store)
    await store.close()


@pytest.mark.parametrize("what", WAYS)
async def test_sqlite_that_cannot_read_or_write_shows_no_identifier(sqlite: Site, what: str, tmp_path: Path) -> None:
    sqlite.app.config["SESSION_STORE_TIMEOUT"] = timedelta(seconds=30)
    await sqlite.get("login")
    with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE records" if what in {"load", "ids_of"} else "BEGIN IMMEDIATE")
        assert (await sqlite.get(what)).status_code == 503
    (error,) = sqlite.errors
    check(error, sqlite.cookie)
    assert isinstance(error.__cause__, sqlite3.OperationalError)


async def test_a_file_that_cannot_be_made_shows_no_identifier(tmp_path: Path) -> None:
    directory = tmp_path / "volume"
    directory.mkdir()
    store = SQLiteStore(directory / "sessions.db")
    site = Site(store)
    site.app.config["SESSION_STORE_TIMEOUT"] = timedelta(seconds=30)
    directory.rmdir()
    site.cookie = "A" * 43
    assert (await site.get("load")).status_code == 503
    await store.close()
    (error,) = site.errors
    check(error, site.cookie)
    assert isinstance(error.__cause__, FileNotFoundError)


async def test_what_is_being_handled_meanwhile_keeps_its_traceback() -> None:
    store = Failing()
    site = Site(store)
    has_traceback = list[bool]()

    @site.app.get("/handling")
    async def handling() -> str:
        site.sessions.data.cart.append(BOOK)
        try:
            reset()
        except ConnectionResetError as handled:
            with pytest.raises(StoreUnavailableError) as caught:
                await site.sessions.save()
            has_traceback.extend(each.__traceback__ is not None for each in (caught.value, handled))
            has_traceback.append(caught.value.__cause__ is None or caught.value.__cause__.__traceback__ is not None)
        return ""

    await site.get("login")
    store.broken = frozenset({"update"})
    await site.get("handling")
    assert has_traceback == [True, True, False]


@pytest.mark.parametrize("make", [MemoryStore, lambda: None], ids=["store", "cookies"])
async def test_a_cookie_that_is_too_large_is_not_shown(make: Callable[[], MemoryStore | None]) -> None:
    site = Site(make())
    site.app.config.update(MAX_COOKIE_SIZE=10, PROPAGATE_EXCEPTIONS=True)
    with pytest.raises(CookieTooLargeError) as caught:
        await site.get("update")
    page = shown(caught.value)
    assert "self = " in page
    assert "session=" not in page
    assert SECRET not in page


class Helpless(SecureCookieSessionInterface[Visitor]):
    """A subclass whose own word on the cookie is an error."""

    @override
    def get_cookie_domain(self, app: Any) -> str | None:
        raise LookupError("which domain?")


@pytest.mark.parametrize("make", [MemoryStore, lambda: None], ids=["store", "cookies"])
async def test_a_helper_that_fails_does_not_show_the_cookie(make: Callable[[], MemoryStore | None]) -> None:
    site = Site(None)
    own: Any = Helpless(Visitor, store=make())
    site.app.session_interface = own
    site.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError) as caught:
        await site.get("update")
    page = shown(caught.value)
    assert "Write" in page
    assert "value='" not in page
    assert SECRET not in page
